"""Core ML models: ``.mlpackage`` and ``.mlmodel``, ML Programs (dialect ``mil``) and NeuralNetworks (dialect
``nn``).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ...errors import GraphError, ModelError
from ...ir.graph import Graph, Operator, Source
from ...ir.model import Model
from . import mil as coreml_mil
from . import nn as coreml_nn
from .edit import Snapshot, snapshot
from .mil import Place
from .package import Blobs, root_model
from .schema import message
from .wire import strip

if TYPE_CHECKING:
    from pathlib import Path

NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")
PIPELINES = ("pipeline", "pipelineClassifier", "pipelineRegressor")


@dataclass(eq=False)
class Stored:
    """The reader's record of the file, for the writer.

    Attributes:
        spec: the specification, its large values replaced by their places in ``file``.
        file: the specification file.
        package: the ``.mlpackage`` folder, None for an ``.mlmodel``.
        original: by graph name, the graph as it was read.
    """

    spec: Any
    file: Path
    package: Path | None
    original: dict[str, Snapshot] = field(default_factory=dict)


def read(path: Path) -> Model:
    """Read a Core ML model, also a compiled or a zipped one. Raises ModelError, which names the file and what
    to do.
    """
    if _is_zip(path):
        from .zipped import held, unpacked

        inner, scratch = unpacked(path)
        model = read(inner)
        model.path = path
        return held(model, scratch)
    if path.is_dir() and not (path / "Manifest.json").is_file():
        from .compiled import read_compiled

        return read_compiled(path)
    package = path if path.is_dir() else None
    file = root_model(path) if package else path
    spec = _parse(path, file)
    stored = Stored(spec, file, package)
    try:
        graphs = _graphs(spec, Place(path, file, Blobs(file, path)))
    except GraphError as error:
        raise ModelError(path, error.message, "the file is damaged: export it again") from error
    stored.original = {name: snapshot(graph) for name, graph in graphs.items()}
    return Model(
        path, "mlpackage" if package else "mlmodel", _main(spec, graphs), graphs, {}, _metadata(spec), stored
    )


def _is_zip(path: Path) -> bool:
    if path.is_dir():
        return False
    with path.open("rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def _parse(path: Path, file: Path) -> Any:
    from google.protobuf.message import DecodeError

    try:
        return message("Model").FromString(strip(file))
    except OSError as error:
        raise ModelError(path, f"cannot be read: {error.strerror}", "check the permissions") from error
    except DecodeError as error:
        raise ModelError(
            path, f"no Core ML specification: {error}", "the file is damaged or cut off: export it again"
        ) from error


def parts(spec: Any, prefix: str) -> dict[str, tuple[Any, Any]]:
    """By graph name, the ``MILSpec.Function`` or NeuralNetwork message that holds the graph, and its
    description.

    Empty when the model has no operators. ``prefix`` is the name of the pipeline's stage.
    """
    kind = spec.WhichOneof("Type")
    if kind == "mlProgram":
        functions, described = (
            spec.mlProgram.functions,
            {item.name: item for item in spec.description.functions},
        )
        alone = len(functions) == 1
        return {
            _join(prefix, name, alone=alone): (functions[name], described.get(name, spec.description))
            for name in sorted(functions)
        }
    if kind in NETWORKS:
        return {prefix or "main": (getattr(spec, kind), spec.description)}
    found: dict[str, tuple[Any, Any]] = {}
    for name, stage in stages(spec, prefix).items():
        found.update(parts(stage, name))
    return found


def _join(prefix: str, name: str, *, alone: bool) -> str:
    """The name of a function's graph: a pipeline's stage goes before it, and stands for its only function."""
    if not prefix:
        return name
    return prefix if alone else f"{prefix}.{name}"


def stages(spec: Any, prefix: str) -> dict[str, Any]:
    """The models of a pipeline by name, empty for other models."""
    kind = spec.WhichOneof("Type")
    if kind not in PIPELINES:
        return {}
    pipeline = getattr(spec, kind)
    pipeline = pipeline if kind == "pipeline" else pipeline.pipeline
    found: dict[str, Any] = {}
    for index, stage in enumerate(pipeline.models):
        given = pipeline.names[index] if index < len(pipeline.names) else ""
        name = _join(prefix, given or f"stage{index}", alone=False)
        found[name if name not in found else f"{name}#{index}"] = stage
    return found


def _graphs(spec: Any, place: Place) -> dict[str, Graph]:
    """The entry graphs of a model, those of a pipeline's stages included. Raises ModelError when there are
    none.
    """
    kind = spec.WhichOneof("Type")
    if kind is None:
        problem = "no model in the specification, or one of a kind that is newer than accelint"
        raise ModelError(place.path, problem, "update accelint, or export it again")
    if kind == "mlProgram" and not spec.mlProgram.functions:
        raise ModelError(place.path, "an ML Program without functions", "export it again")
    held = parts(spec, "")
    graphs = {name: _graph(name, part, description, place) for name, (part, description) in held.items()}
    steps = {name: _opaque(name, stage, place) for name, stage in _opaque_stages(spec).items()}
    if not graphs and not steps:
        raise ModelError(place.path, f"a {kind} without stages", "export it again")
    return {**graphs, **steps}


def _graph(name: str, part: Any, description: Any, place: Place) -> Graph:
    if part.DESCRIPTOR.name == "Function":
        return coreml_mil.function_graph(name, part, description, place)
    return coreml_nn.network(name, part, description, place)


def _opaque_stages(spec: Any) -> dict[str, Any]:
    """Models that are no network and no program, by name: a model that is one itself (trees, linear models,
    text classifiers, ...), and such stages of a pipeline (NonMaximumSuppression, ...).
    """
    kind = spec.WhichOneof("Type")
    if kind not in (*NETWORKS, *PIPELINES, "mlProgram"):
        return {"main": spec}
    found: dict[str, Any] = {}
    waiting = [("", spec)]
    while waiting:
        prefix, current = waiting.pop()
        for name, stage in stages(current, prefix).items():
            kind = stage.WhichOneof("Type")
            if kind in PIPELINES:
                waiting.append((name, stage))
            elif kind not in (*NETWORKS, "mlProgram"):
                found[name] = stage
    return found


def _opaque(name: str, stage: Any, place: Place) -> Graph:
    """The graph of a model or stage that is one step: a single operator of its kind."""
    kind = stage.WhichOneof("Type") or "unknown"
    graph = Graph(name, "nn")
    given = {item.name: item for item in stage.description.input}
    made = {item.name: item for item in stage.description.output}
    reads = list(given)
    for item in given.values():
        graph.add_tensor(coreml_nn.feature(item))
    outputs = [item if item not in given else f"{item}#1" for item in made]
    for item, stored in zip(outputs, made.values(), strict=True):
        graph.add_tensor(replace(coreml_nn.feature(stored), name=item))
    graph.add_op(
        Operator(f"{name}/0", kind, tuple(reads), tuple(outputs), name=name, source=Source(str(place.path)))
    )
    graph.set_interface(reads, outputs)
    return graph


def _main(spec: Any, graphs: dict[str, Graph]) -> Graph:
    """The default function, ``main``, or the stage with the most operators."""
    for name in (spec.description.defaultFunctionName, "main"):
        if name in graphs:
            return graphs[name]
    return max(graphs.values(), key=len)


def _metadata(spec: Any) -> dict[str, Any]:
    about = spec.description.metadata
    found = {
        "specification_version": spec.specificationVersion,
        "kind": spec.WhichOneof("Type"),
        "author": about.author,
        "description": about.shortDescription,
        "version": about.versionString,
        "license": about.license,
        "properties": {key: about.userDefined[key] for key in sorted(about.userDefined)},
    }
    return {key: value for key, value in found.items() if value}
