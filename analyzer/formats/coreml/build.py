"""A graph of the ``mil`` dialect as a Core ML model of its own, in one file with its weights inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...ir.graph import Graph, Tensor
from .edit import Snapshot, edit_block, set_type
from .schema import OPSETS, message

_ARRAYS = {"float32": 65568, "float64": 65600, "int32": 131104, "int8": 131080, "float16": 65552}
_SPECIFICATION = {"CoreML5": 6, "CoreML6": 7, "CoreML7": 8, "CoreML8": 9, "CoreML9": 10}
"""Specification version by opset (coremltools ``_OPSET``)."""


def build(functions: Mapping[str, Graph], default: str = "main") -> bytes:
    """A serialized ML Program with these functions. Raises UsageError for what the format cannot hold.

    A function's opset is its graph's ``ios`` opset, iOS 18 where it has none. The result is the content of an
    ``.mlmodel`` file; coremltools reads it, and Core ML wants it in a package (``package``).
    """
    spec = message("Model")()
    newest = "CoreML5"
    for name, graph in functions.items():
        opset = next(
            (key for key, release in OPSETS.items() if release == graph.opsets.get("ios")), "CoreML8"
        )
        newest = max(newest, opset)
        function = spec.mlProgram.functions[name]
        function.opset = opset
        for item in graph.inputs:
            value = function.inputs.add(name=item)
            set_type(value.type, graph.tensor(item))
        edit_block(function.block_specializations[opset], graph, Snapshot((), (), {}, {}, {}))
    spec.mlProgram.version = 1
    spec.specificationVersion = _SPECIFICATION[newest]
    _describe(spec.description, functions[default])
    return bytes(spec.SerializeToString(deterministic=True))


def _describe(description: Any, graph: Graph) -> None:
    for features, names in ((description.input, graph.inputs), (description.output, graph.outputs)):
        for name in names:
            _feature(features.add(name=name), graph.tensor(name))


def _feature(feature: Any, tensor: Tensor) -> None:
    array = feature.type.multiArrayType
    array.dataType = _ARRAYS.get(tensor.dtype, _ARRAYS["float32"])
    array.shape.extend(dim if isinstance(dim, int) else 1 for dim in tensor.shape or ())


def package(program: bytes, folder: Path) -> None:
    """Put a serialized ML Program into a new ``.mlpackage`` folder, the form in which Core ML takes
    programs.
    """
    inner = folder / "Data" / "com.apple.CoreML"
    inner.mkdir(parents=True)
    (inner / "model.mlmodel").write_bytes(program)
    entry = {
        "author": "com.apple.CoreML",
        "description": "CoreML Model Specification",
        "name": "model.mlmodel",
    }
    items = {"accelint-model": {**entry, "path": "com.apple.CoreML/model.mlmodel"}}
    manifest = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": items,
        "rootModelIdentifier": "accelint-model",
    }
    (folder / "Manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
