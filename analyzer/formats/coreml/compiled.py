"""Compiled Core ML models (``.mlmodelc``): the program that ``model.mil`` holds as text, what
``metadata.json`` says of inputs, and the models of a pipeline in folders of their own. A compiled
NeuralNetwork is in a form of Espresso's own and is not read.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from ...errors import GraphError, ModelError
from ...ir.graph import Graph, Operator, Source
from ...ir.model import Model
from . import mil
from .mil import Place
from .miltext import MilTextError, program
from .package import Blobs
from .schema import message

_MOST_TEXT = 512 << 20
_MOST_METADATA = 16 << 20
_DEEPEST = 4
_NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")
_MALFORMED = (MilTextError, ValueError, OverflowError, struct.error, TypeError)


def read_compiled(path: Path) -> Model:
    """Read a compiled model. Raises ModelError, which names the file and what to do."""
    about = _metadata(path)
    graphs = _graphs(path, path, "", about, 0)
    first = max(graphs.values(), key=len)
    main = graphs.get(str(about.get("defaultFunctionName", "main")), graphs.get("main", first))
    metadata = {
        "specification_version": about.get("specificationVersion"),
        "kind": _kind(about),
        "author": about.get("author"),
        "description": about.get("shortDescription"),
        "version": about.get("version"),
        "license": about.get("license"),
        "properties": about.get("userDefinedMetadata"),
    }
    return Model(path, "mlmodelc", main, graphs, {}, {key: value for key, value in metadata.items() if value})


def _graphs(path: Path, folder: Path, prefix: str, about: dict[str, Any], depth: int) -> dict[str, Graph]:
    """The graphs of a compiled model and of the models in it, by name."""
    if depth > _DEEPEST:
        raise ModelError(path, f"pipelines nested deeper than {_DEEPEST} levels", "the model is damaged")
    text = folder / "model.mil"
    if text.is_file():
        return _program(path, text, prefix, about)
    inner = sorted(item for item in folder.iterdir() if (item / "coremldata.bin").is_file())
    found: dict[str, Graph] = {}
    for item in inner:
        name = f"{prefix}.{item.name}" if prefix else item.name
        found |= _graphs(path, item, name, _metadata(item), depth + 1)
    return found or {prefix or "main": _opaque(path, prefix or "main", about)}


def _program(path: Path, file: Path, prefix: str, about: dict[str, Any]) -> dict[str, Graph]:
    if file.stat().st_size > _MOST_TEXT:
        raise ModelError(
            path, "model.mil is larger than 512 MiB", "give the .mlpackage that it was made from"
        )
    try:
        made = program(file.read_text("utf-8", errors="replace"))
    except _MALFORMED as error:
        raise ModelError(
            path, f"model.mil is not understood: {error}", "give the .mlpackage that it was compiled from"
        ) from error
    place = Place(path, file, Blobs(file, path))
    graphs: dict[str, Graph] = {}
    for name in sorted(made.functions):
        label = name if not prefix else prefix if len(made.functions) == 1 else f"{prefix}.{name}"
        try:
            graphs[label] = mil.function_graph(label, made.functions[name], _description(about, name), place)
        except GraphError as error:
            raise ModelError(path, error.message, "the model is damaged: compile it again") from error
    if not graphs:
        raise ModelError(path, "an ML Program without functions", "compile it again")
    return graphs


def _opaque(path: Path, name: str, about: dict[str, Any]) -> Graph:
    """A model that is no program: a single operator of its kind. Raises ModelError for a NeuralNetwork."""
    kind = _kind(about)
    if kind in _NETWORKS or not kind:
        what = (
            "a compiled NeuralNetwork"
            if kind
            else "a compiled model without model.mil and without a modelType"
        )
        raise ModelError(path, what, "give the .mlmodel that it was compiled from")
    graph = Graph(name, "nn")
    graph.add_op(Operator(f"{name}/0", kind, name=name, source=Source(str(path))))
    return graph


def _kind(about: dict[str, Any]) -> str:
    kind = about.get("modelType")
    name = kind.get("name") if isinstance(kind, dict) else None
    return name.removeprefix("MLModelType_") if isinstance(name, str) else ""


def _metadata(folder: Path) -> dict[str, Any]:
    """What ``metadata.json`` says of a model; empty where there is none."""
    file = folder / "metadata.json"
    if not file.is_file():
        return {}
    if file.stat().st_size > _MOST_METADATA:
        raise ModelError(folder, "metadata.json is larger than 16 MiB", "the model is damaged")
    try:
        found = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelError(folder, f"metadata.json is not JSON: {error}", "compile the model again") from error
    first = found[0] if isinstance(found, list) and found else found
    return first if isinstance(first, dict) else {}


def _description(about: dict[str, Any], name: str) -> Any:
    """The inputs' shapes as a model's description tells them."""
    functions = [item for item in _tables(about.get("functions")) if item.get("name") == name]
    made = message("ModelDescription")()
    for item in _tables((functions[0] if functions else about).get("inputSchema")):
        _array(made.input.add(name=str(item.get("name", ""))).type.multiArrayType, item)
    return made


def _tables(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _array(made: Any, item: dict[str, Any]) -> None:
    """Default shape, range and enumerated shapes of an input, where they are told as lists of numbers."""
    shape, ranges, shapes = (_numbers(item.get(key)) for key in ("shape", "shapeRange", "enumeratedShapes"))
    made.shape.extend(dim for dim in shape if isinstance(dim, int))
    if item.get("hasShapeFlexibility") != "1":
        return
    for bounds in ranges:
        if isinstance(bounds, list) and len(bounds) == 2:
            made.shapeRange.sizeRanges.add(lowerBound=bounds[0], upperBound=bounds[1])
    for each in shapes:
        if isinstance(each, list):
            made.enumeratedShapes.shapes.add().shape.extend(each)


def _numbers(text: Any) -> list[Any]:
    """A list of whole numbers, or of lists of them, as metadata write it: ``"[1, 3, 224, 224]"``."""
    try:
        found = json.loads(text) if isinstance(text, str) else []
    except (ValueError, RecursionError):
        return []
    flat = [each for item in found for each in (item if isinstance(item, list) else [item])] if found else []
    whole = isinstance(found, list) and all(type(each) is int and -1 <= each < 1 << 31 for each in flat)
    return found if whole else []
