"""Local functions put in place of their calls, as ONNX Runtime does before it asks its providers.

onnx's own inliner does the work on the model without its weights. Beforehand every call gets a
function of its own whose nodes carry the place of the call, so each operator afterwards tells
which operator of the stored model it comes from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import ModelError
from .build import Builder
from .functions import MAX_EXPANDED, calls, expanded, function_key
from .guard import inline
from .proto import pb
from .reader import from_stripped
from .stored import Stored

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ...ir.model import Model

PLACE = "accelint.place"


def inlined(model: Model) -> tuple[Model, Mapping[str, str]]:
    """The model without local functions, and for each of its operators the id of the stored operator it comes
    from.

    A model without functions is returned as it is. A function whose opsets differ from the model's
    stays a call. Raises ModelError when the functions expand beyond reason.
    """
    if not model.functions:
        return model, {op.id: op.id for _, op in model.operators()}
    builder = Builder(model)
    proto = builder.model()
    if sum(expanded(proto).values()) > MAX_EXPANDED:
        raise ModelError(
            model.path, "the local functions expand to too many operators", "inline them when exporting"
        )
    originals = _split(proto)
    data = _inlined_by_onnx(model.path, proto.SerializeToString())
    data = _restore(pb().ModelProto.FromString(data), originals)
    file = model.stored.file if isinstance(model.stored, Stored) else None
    flat = from_stripped(data, builder.spans, model.path, file)
    return flat, _origins(flat)


def _inlined_by_onnx(path: Path, data: bytes) -> bytes:
    """What onnx's inliner makes of a model; it trusts that a call fits its function, and asserts it."""
    try:
        return inline(data)
    except Exception as error:  # the extension raises classes of its own, RuntimeError among them
        problem = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise ModelError(
            path, f"its local functions cannot be inlined: {problem}", "the file is damaged: export it again"
        ) from error


def _split(proto: Any) -> dict[str, Any]:
    """A function of its own for each call, and the place of its call on every node; returns the function by
    the new name.
    """
    bodies = {function_key(function): function for function in proto.functions}
    copies: list[Any] = []
    originals: dict[str, Any] = {}
    todo: list[tuple[Any, str, str]] = [(proto.graph.node, "main", "")]
    while todo:
        nodes, where, origin = todo.pop()
        for index, node in enumerate(nodes):
            place = origin or f"{where}/{index}"
            node.metadata_props.add(key=PLACE, value=place)
            for attribute in node.attribute:
                todo.append((attribute.g.node, f"{where}/{index}/{attribute.name}", origin))
                todo += [
                    (body.node, f"{where}/{index}/{attribute.name}/{part}", origin)
                    for part, body in enumerate(attribute.graphs)
                ]
            body = bodies.get("::".join(filter(None, (node.domain, node.op_type, node.overload))))
            if body is None:
                continue
            copy = pb().FunctionProto()
            copy.CopyFrom(body)
            copy.name = node.op_type = f"{body.name}.{len(copies)}"
            originals[copy.name] = body
            copies.append(copy)
            todo.append((copy.node, "", place))
    originals = {
        name: pb().FunctionProto.FromString(body.SerializeToString()) for name, body in originals.items()
    }
    del proto.functions[:]
    proto.functions.extend(copies)
    return originals


def _restore(proto: Any, originals: Mapping[str, Any]) -> bytes:
    """The message with the calls that are left under their own names."""
    left: dict[str, Any] = {}
    todo = [proto.graph]
    while todo:
        for node in todo.pop().node:
            for attribute in node.attribute:
                todo += [attribute.g, *attribute.graphs]
            body = originals.get(node.op_type)
            if body is not None and body.domain == node.domain:
                node.op_type = body.name
                left[function_key(body)] = body
    del proto.functions[:]
    proto.functions.extend(_with_callees(left, originals))
    data: bytes = proto.SerializeToString()
    return data


def _with_callees(left: dict[str, Any], originals: Mapping[str, Any]) -> list[Any]:
    """The functions of the calls that are left, and all that these call."""
    known = {function_key(body): body for body in originals.values()}
    todo = list(left)
    while todo:
        for callee in calls(left[todo.pop()].node):
            if callee in known and callee not in left:
                left[callee] = known[callee]
                todo.append(callee)
    return list(left.values())


def _origins(model: Model) -> dict[str, str]:
    """The place that each operator carries; the notes are taken off again."""
    origins: dict[str, str] = {}
    for record in model.stored.graphs.values():
        for op, node in zip(record.ops, record.proto.node, strict=True):
            for entry in [entry for entry in node.metadata_props if entry.key == PLACE]:
                origins[op.id] = entry.value
                node.metadata_props.remove(entry)
    return origins
