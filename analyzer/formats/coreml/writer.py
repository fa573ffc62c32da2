"""Writing Core ML models: what the graph does not change stays as it was stored, weights byte for byte."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ...files import atomic
from ...ir.model import OWN
from .edit import Snapshot, edit_block, same, set_type
from .mil import specialization_name
from .reader import Stored, parts
from .weights import NewWeights
from .wire import restore

if TYPE_CHECKING:
    from pathlib import Path

    from ...ir.graph import Graph, Operator
    from ...ir.model import Model

_BLOCK = 1 << 20


def write(model: Model, path: Path) -> None:
    """Write a Core ML model that was read from a file, with its graphs' edits. Raises UsageError where an
    edit cannot be stored.
    """
    stored = model.stored
    if not isinstance(stored, Stored):
        raise UsageError(
            "a Core ML model is written from the file that it was read from: load it with accelint first"
        )
    weights = NewWeights() if stored.package is not None else None
    spec = _edited(model, stored, weights)
    if stored.package is None:
        with atomic(path, source=stored.file) as draft:
            _write_spec(spec, stored, draft)
        return
    if path.exists() and not (path / "Manifest.json").is_file():
        raise UsageError(f"{path} exists and is no Core ML package: give another output path")
    with atomic(path, source=stored.package, folder=True) as draft:
        inner = stored.file.relative_to(stored.package)
        shutil.copytree(stored.package, draft, dirs_exist_ok=True, ignore=_all_but(stored))
        if weights is not None and spec is not None:
            weights.write(spec, (draft / inner).parent, stored.package)
            _list_weights(draft)
        _write_spec(spec, stored, draft / inner)


def _list_weights(package: Path) -> None:
    """A package whose manifest names no weights gets an entry for the folder that has some now."""
    folder = package / "Data" / "com.apple.CoreML" / "weights"
    file = package / "Manifest.json"
    manifest = json.loads(file.read_bytes())
    entries = manifest["itemInfoEntries"]
    if not folder.is_dir() or any(str(item.get("path", "")).endswith("weights") for item in entries.values()):
        return
    about = {"author": "com.apple.CoreML", "description": "CoreML Model Weights", "name": "weights"}
    entries["accelint-weights"] = {**about, "path": "com.apple.CoreML/weights"}
    file.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def _all_but(stored: Stored) -> Any:
    """Leave out the specification: it is written anew."""

    def ignored(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if os.path.join(folder, name) == os.fspath(stored.file)]  # noqa: PTH118

    return ignored


def _write_spec(spec: Any, stored: Stored, draft: Path) -> None:
    if spec is None:
        shutil.copyfile(stored.file, draft)
        return
    pieces = restore(spec.SerializeToString(deterministic=True))
    with stored.file.open("rb") as source, draft.open("wb") as target:
        for piece in pieces:
            if isinstance(piece, bytes):
                target.write(piece)
                continue
            left = piece.length
            source.seek(piece.offset)
            while left:
                block = source.read(min(left, _BLOCK))
                if not block:
                    raise UsageError(f"{stored.file} changed while it was copied: load the model again")
                target.write(block)
                left -= len(block)


def _edited(model: Model, stored: Stored, weights: NewWeights | None) -> Any:
    """A copy of the specification with the graphs' edits, None when there are none."""
    changed = [name for name, graph in model.graphs.items() if not same(graph, stored.original[name])]
    properties = _own_properties(model, stored)
    if not changed and not properties:
        return None
    spec = type(stored.spec)()
    spec.CopyFrom(stored.spec)
    spec.description.metadata.userDefined.update(properties)
    places = parts(spec, "")
    for name in changed:
        if name not in places:
            raise UsageError(f"stage {name!r} has no operators of its own: it can only be kept")
        part, description = places[name]
        graph, original = model.graphs[name], stored.original[name]
        _check_interface(graph, original)
        if graph.dialect == "mil":
            block = part.block_specializations[specialization_name(part)]
            edit_block(block, graph, original, weights)
            _set_inputs(part, description, graph, original)
        else:
            _edit_network(part, graph, original)
    return spec


def _own_properties(model: Model, stored: Stored) -> dict[str, str]:
    """accelint's own properties that the file does not have so."""
    kept = stored.spec.description.metadata.userDefined
    properties = model.metadata.get("properties", {})
    return {key: text for key, text in properties.items() if key.startswith(OWN) and kept.get(key) != text}


def _check_interface(graph: Graph, original: Snapshot) -> None:
    if graph.inputs != original.inputs or len(graph.outputs) != len(original.outputs):
        raise UsageError(
            f"function {graph.name!r} has other inputs or outputs than the model's "
            f"description: they can only be kept"
        )


def _set_inputs(function: Any, description: Any, graph: Graph, original: Snapshot) -> None:
    """Carry new input shapes (a frozen dimension) into the function and into the model's description."""
    for value in function.inputs:
        tensor = graph.tensor(value.name)
        if tensor is original.tensors.get(value.name):
            continue
        set_type(value.type, tensor)
        for item in description.input:
            if item.name == value.name and tensor.static:
                _freeze(item.type, [dim for dim in tensor.shape or () if isinstance(dim, int)])
    renamed = {old: new for old, new in zip(original.outputs, graph.outputs, strict=True) if old != new}
    for item in description.output:
        item.name = renamed.get(item.name, item.name)


def _freeze(kind: Any, shape: list[int]) -> None:
    if kind.WhichOneof("Type") == "multiArrayType":
        kind.multiArrayType.ClearField(kind.multiArrayType.WhichOneof("ShapeFlexibility") or "shapeRange")
        kind.multiArrayType.shape[:] = shape
    elif kind.WhichOneof("Type") == "imageType" and len(shape) == 4:
        kind.imageType.ClearField(kind.imageType.WhichOneof("SizeFlexibility") or "imageSizeRange")
        kind.imageType.height, kind.imageType.width = shape[2:]


# ---- NeuralNetwork -----------------------------------------------------------------------------


def _edit_network(net: Any, graph: Graph, original: Snapshot) -> None:
    """Carry removed layers, changed inputs and changed scalar parameters into a network. Raises UsageError
    for new layers.
    """
    kept = []
    for op in graph.ops():
        before = original.ops.get(op.id)
        if before is None or op.type != before.type:
            raise UsageError(
                f"layer {op.label!r} ({op.type}) is new: NeuralNetwork layers can be kept, changed or removed"
            )
        layer = type(net.layers[0])()
        layer.CopyFrom(net.layers[int(op.id.rpartition("/")[2])])
        bodies = original.bodies.get(op.id, {})
        if any(not same(body, bodies[key]) for key, body in op.graphs.items()):
            raise UsageError(f"layer {op.label!r} ({op.type}) has edited bodies: they can only be kept")
        if op is not before:
            _edit_layer(layer, op, before)
        kept.append(layer)
    del net.layers[:]
    net.layers.extend(kept)


def _edit_layer(layer: Any, op: Operator, before: Operator) -> None:
    layer.input[:] = [(name or "").partition("#")[0] for name in op.inputs]
    if op.outputs != before.outputs:
        layer.output[:] = [(name or "").partition("#")[0] for name in op.outputs]
    parameters = getattr(layer, op.type)
    for key in sorted({*op.attrs, *before.attrs}):
        value = op.attrs.get(key)
        if value == before.attrs.get(key):
            continue
        if "." in key or value is None or key not in parameters.DESCRIPTOR.fields_by_name:
            raise UsageError(f"layer {op.label!r} ({op.type}): {key} cannot be changed")
        if isinstance(value, tuple):
            getattr(parameters, key)[:] = value
        else:
            setattr(parameters, key, value)
