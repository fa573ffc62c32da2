"""Types and shapes that the file lacks, from onnx's own shape inference on the stripped model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .onnx_functions import MAX_EXPANDED, expanded
from .onnx_proto import infer_shapes, pb

if TYPE_CHECKING:
    from pathlib import Path


def infer_missing(proto: Any, data: bytes, path: Path) -> tuple[Any, str]:
    """The model with inferred types, and the problem when inference failed (then the model as it is).

    ``data`` is the serialized ``proto``. Large constants are not in it, so values that they would
    give (a Reshape to a shape of hundreds of numbers) stay unknown.
    """
    if not _missing(proto.graph):
        return proto, ""
    if sum(expanded(proto).values()) > MAX_EXPANDED:
        return proto, "the local functions expand to too many operators"
    try:
        return pb().ModelProto.FromString(infer_shapes(data)), ""
    except Exception as error:  # the extension raises classes of its own, RuntimeError among them
        return proto, f"{error}".strip().splitlines()[0][:500] if f"{error}".strip() else type(error).__name__


def _missing(graph: Any) -> bool:
    """True when a result of an operator, here or in a body, has no type or no shape."""
    known = {info.name for infos in (graph.value_info, graph.output, graph.input) for info in infos if _has_shape(info.type)}
    for node in graph.node:
        for name in node.output:
            if name and name not in known:
                return True
        for attribute in node.attribute:
            if attribute.type == 5 and _missing(attribute.g):
                return True
    return False


def _has_shape(proto: Any) -> bool:
    if proto.HasField("tensor_type"):
        return bool(proto.tensor_type.elem_type) and proto.tensor_type.HasField("shape")
    return proto.WhichOneof("value") is not None
