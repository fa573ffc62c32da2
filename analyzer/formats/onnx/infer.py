"""Types and shapes that the file lacks, from onnx's own shape inference on the stripped model."""

from __future__ import annotations

from typing import Any

from ...errors import LimitError
from .faults import MOST_BYTES, faults, named
from .functions import MAX_EXPANDED, expanded
from .inference import infer_shapes
from .proto import pb

PROPAGATORS = frozenset(
    {"Add", "Cast", "Concat", "Gather", "Mul", "Size", "Slice", "Squeeze", "Sub", "Unsqueeze"}
)
"""Operators whose values onnx can follow. It takes about 70 bytes for each element of a 1-D operand, whatever
it means.
"""
MAX_FOLLOWED = 500_000
"""Elements of such operands beyond which values are not followed."""


def infer_missing(proto: Any, data: bytes) -> tuple[Any, str, dict[str, str]]:
    """The model with inferred types, the problem when inference failed (then the model as far as it is
    known), and what is wrong with operators, by their ids (``faults``).

    Inference runs when the file leaves the shape of a result open, as ONNX Runtime does: it often
    finds numbers where the exporter stored symbols. ``data`` is the serialized ``proto``. Large
    constants are not in it, so what follows from their values stays unknown. Values are followed
    through the operators that compute shapes only when something stays open without. A large model
    that leaves nothing open is not looked at.
    """
    leaves_open = _open(proto.graph)
    if not leaves_open and len(data) > MOST_BYTES:
        return proto, "", {}
    if sum(expanded(proto).values()) > MAX_EXPANDED:
        return proto, "the local functions expand to too many operators" if leaves_open else "", {}
    found, problem, wrong = _checked(proto, data)
    if not leaves_open:
        return proto, "", wrong
    if problem or not _open(found.graph) or not (proto.functions or _counts(found.graph)):
        return found, problem, wrong
    if _followed(found.graph) > MAX_FOLLOWED:
        return found, "values are not followed through tensors of one long dimension", wrong
    return (*_infer(found, data, values=True), wrong)


def _checked(proto: Any, data: bytes) -> tuple[Any, str, dict[str, str]]:
    try:
        inferred = infer_shapes(data, values=False, proto=proto, checked=True)
    except LimitError as error:
        return proto, _words(error), {}
    except Exception as error:  # the extension raises classes of its own, RuntimeError among them
        return (*_infer(proto, data, values=False), faults(data) if named(error) else {})
    return pb().ModelProto.FromString(inferred), "", {}


def _infer(fallback: Any, data: bytes, *, values: bool) -> tuple[Any, str]:
    try:
        return pb().ModelProto.FromString(infer_shapes(data, values=values, proto=fallback)), ""
    except Exception as error:  # the extension raises classes of its own, RuntimeError among them
        return fallback, _words(error)


def _words(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]


def _counts(graph: Any) -> bool:
    """True when an operator whose values onnx can follow gives whole numbers, which shapes are made of."""
    kinds = {
        info.name: info.type.tensor_type.elem_type
        for infos in (graph.value_info, graph.output)
        for info in infos
    }
    for node in graph.node:
        if (node.op_type in PROPAGATORS or node.op_type == "Shape") and any(
            kinds.get(name, 0) in (0, 6, 7) for name in node.output
        ):
            return True
        if any(attribute.type == 5 and _counts(attribute.g) for attribute in node.attribute):
            return True
    return False


def _followed(graph: Any) -> int:
    """Elements that following the values in a graph and its bodies would make onnx keep."""
    lengths = {
        info.name: _length(info.type)
        for infos in (graph.value_info, graph.input, graph.output)
        for info in infos
    }
    total = 0
    for node in graph.node:
        if node.op_type in PROPAGATORS:
            total += sum(lengths.get(name, 0) for name in node.input)
        for attribute in node.attribute:
            if attribute.type == 5:
                total += _followed(attribute.g)
    return total


def _length(proto: Any) -> int:
    """The length of a 1-D tensor, 0 for every other type."""
    dims: Any = proto.tensor_type.shape.dim if proto.HasField("tensor_type") else ()
    return max(0, dims[0].dim_value) if len(dims) == 1 else 0


def _open(graph: Any) -> bool:
    """True when a result of an operator, here or in a body, has no type or a shape that is not all
    numbers.
    """
    known = {
        info.name
        for infos in (graph.value_info, graph.output, graph.input)
        for info in infos
        if _closed(info.type)
    }
    for node in graph.node:
        for name in node.output:
            if name and name not in known:
                return True
        for attribute in node.attribute:
            if attribute.type == 5 and _open(attribute.g):
                return True
    return False


def _closed(proto: Any) -> bool:
    if not proto.HasField("tensor_type"):
        return proto.WhichOneof("value") is not None
    tensor = proto.tensor_type
    if not tensor.elem_type or not tensor.HasField("shape"):
        return False
    return all(dim.dim_value or dim.HasField("dim_value") for dim in tensor.shape.dim)
