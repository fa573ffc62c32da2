"""Types and shapes that the file lacks, from onnx's own shape inference on the stripped model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .onnx_functions import MAX_EXPANDED, expanded
from .onnx_proto import infer_shapes, pb

PROPAGATORS = frozenset({"Add", "Cast", "Concat", "Gather", "Mul", "Size", "Slice", "Squeeze", "Sub", "Unsqueeze"})
"""Operators whose values onnx can follow. It takes about 70 bytes for each element of a 1-D operand, whatever it means."""
MAX_FOLLOWED = 500_000
"""Elements of such operands beyond which values are not followed."""


def infer_missing(proto: Any, data: bytes) -> tuple[Any, str]:
    """The model with inferred types, and the problem when inference failed (then the model as far as it is known).

    Inference runs when the file leaves the shape of a result open, as ONNX Runtime does: it often
    finds numbers where the exporter stored symbols. ``data`` is the serialized ``proto``. Large
    constants are not in it, so what follows from their values stays unknown. Values are followed
    through the operators that compute shapes only when something stays open without.
    """
    if not _open(proto.graph):
        return proto, ""
    if sum(expanded(proto).values()) > MAX_EXPANDED:
        return proto, "the local functions expand to too many operators"
    found, problem = _infer(proto, data, values=False)
    if problem or not _open(found.graph):
        return found, problem
    if _followed(found.graph) > MAX_FOLLOWED:
        return found, "values are not followed through tensors of one long dimension"
    return _infer(found, data, values=True)


def _infer(fallback: Any, data: bytes, *, values: bool) -> tuple[Any, str]:
    try:
        return pb().ModelProto.FromString(infer_shapes(data, values=values)), ""
    except Exception as error:  # the extension raises classes of its own, RuntimeError among them
        return fallback, (str(error).strip().splitlines() or [type(error).__name__])[0][:500]


def _followed(graph: Any) -> int:
    """Elements that following the values in a graph and its bodies would make onnx keep."""
    lengths = {info.name: _length(info.type) for infos in (graph.value_info, graph.input, graph.output) for info in infos}
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
    dims = proto.tensor_type.shape.dim if proto.HasField("tensor_type") else ()
    return max(0, dims[0].dim_value) if len(dims) == 1 else 0


SHAPED: Mapping[str, int] = {
    "Reshape": 1, "Expand": 1, "ConstantOfShape": 0, "Tile": 1, "Slice": 1, "Resize": 3, "Range": 1, "Pad": 1, "Split": 1, "Unsqueeze": 1,
    "TopK": 1, "OneHot": 1, "Upsample": 1,
}  # fmt: skip
"""Operators whose result's shape follows from the value of an input, and the position of that input."""


def infer_plainly(proto: Any, inferred: Any) -> Any | None:
    """The model with the types that follow without carrying values through operators, None when that makes no difference.

    ONNX Runtime infers like this (and folds constants later): a Reshape to a computed shape has an unknown shape there,
    but one to the result of a Shape has a known one.
    """
    constants = {tensor.name for tensor in proto.graph.initializer}
    constants |= {name for node in proto.graph.node if node.op_type in ("Constant", "Shape") for name in node.output}
    if not any(_computed(node, constants) for node in proto.graph.node):
        return None
    try:
        copy = pb().ModelProto.FromString(proto.SerializeToString())
        _write_shapes(copy.graph, inferred.graph)
        return pb().ModelProto.FromString(infer_shapes(copy.SerializeToString(), values=False))
    except Exception:  # the propagating inference has reported it
        return None


def _write_shapes(graph: Any, inferred: Any) -> None:
    """Store what Shape operators of static tensors give as initializers; the operators keep a result of another name."""
    known = {info.name: info.type for infos in (inferred.value_info, inferred.input) for info in infos if _closed(info.type)}
    for node in graph.node:
        if node.op_type == "Shape" and not node.attribute and node.input[0] in known:
            dims = [dim.dim_value for dim in known[node.input[0]].tensor_type.shape.dim]
            graph.initializer.add(name=node.output[0], data_type=7, dims=[len(dims)], int64_data=dims)
            node.output[0] += "/shape"


def _computed(node: Any, constants: set[str]) -> bool:
    position = SHAPED.get(node.op_type)
    return position is not None and any(name and name not in constants for name in node.input[max(position, 0) :])


def _open(graph: Any) -> bool:
    """True when a result of an operator, here or in a body, has no type or a shape that is not all numbers."""
    known = {info.name for infos in (graph.value_info, graph.output, graph.input) for info in infos if _closed(info.type)}
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
