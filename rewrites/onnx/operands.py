"""What the ONNX families share: reading operands, and the small operators that replacements are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...analyzer.ir.graph import Graph, Operator, Tensor
from ..draft import Draft

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLOATS = ("float32", "float16", "float64")


def array_of(graph: Graph, name: str | None, most: int = 1 << 24) -> NDArray[Any] | None:
    """The value of a constant of at most so many elements, None when it is not one."""
    const = graph.constant(name)
    if const is None or const.elements > most or const.dtype in ("string", "unknown", "bfloat16"):
        return None
    return const.read()


def ints(graph: Graph, op: Operator, index: int, attribute: str) -> list[int] | None:
    """Integers that an input holds in newer operator sets and an attribute in older ones; an empty list when
    neither is given.
    """
    if attribute in op.attrs:
        return [int(value) for value in op.attrs[attribute]]
    if len(op.inputs) <= index or op.inputs[index] is None:
        return []
    value = array_of(graph, op.inputs[index])
    return None if value is None else [int(item) for item in value.reshape(-1)]


def floating(graph: Graph, op: Operator) -> str | None:
    """The float dtype of the first input, None when it is another or unknown."""
    tensor = graph.find(op.inputs[0] or "") if op.inputs else None
    return tensor.dtype if tensor is not None and tensor.dtype in FLOATS else None


def scalar(draft: Draft, value: float, dtype: str) -> str:
    """A constant without dimensions."""
    import numpy as np

    return draft.constant(np.array(value, dtype), dtype)


def integers(draft: Draft, values: Sequence[int], stem: str = "axes") -> str:
    """An int64 list."""
    import numpy as np

    return draft.constant(np.array(values, np.int64), "int64", stem)


def reshape(draft: Draft, name: str, shape: Sequence[int]) -> str:
    """``name`` in another shape: itself, a constant in it, or the result of a Reshape."""
    source = draft.find(name)
    shape = tuple(shape)
    if source.shape == shape:
        return name
    if source.const is not None and source.const.loader is None and name not in draft.graph.inputs:
        new = draft.graph.fresh(f"{name}/reshaped")
        draft.tensors[new] = Tensor(new, source.dtype, shape, replace(source.const, shape=shape))
        return new
    return draft.value("Reshape", (name, integers(draft, shape, "shape")), source.dtype, shape)


def transpose(draft: Draft, name: str, perm: Sequence[int]) -> str:
    """``name`` with its axes in another order; itself when the order is the same."""
    source = draft.find(name)
    if tuple(perm) == tuple(range(len(perm))):
        return name
    known = source.shape or ()
    return draft.value(
        "Transpose", (name,), source.dtype, tuple(known[axis] for axis in perm), {"perm": tuple(perm)}
    )


def unary(draft: Draft, type: str, name: str, attrs: dict[str, Any] | None = None, dtype: str = "") -> str:
    """An element-wise operator on one tensor."""
    source = draft.find(name)
    return draft.value(type, (name,), dtype or source.dtype, source.shape, attrs)


def binary(draft: Draft, type: str, left: str, right: str, dtype: str = "") -> str:
    """An element-wise operator on a tensor and another that is broadcast to it, or the other way round."""
    one, other = draft.find(left), draft.find(right)
    wide = (
        one
        if other.shape is not None and len(one.shape or ()) >= len(other.shape) and one.elements != 1
        else other
    )
    return draft.value(type, (left, right), dtype or one.dtype, wide.shape)


def reduced(draft: Draft, type: str, name: str, axes: Sequence[int], *, keep: bool = True) -> str:
    """A reduction; the axes are an input or an attribute, as the operator set has it. All axes when none are
    given.
    """
    source = draft.find(name)
    rank = len(source.shape or ())
    wanted = {axis % rank for axis in axes} if axes else set(range(rank))
    dims = enumerate(source.shape or ())
    shape = (
        tuple(1 if axis in wanted else dim for axis, dim in dims)
        if keep
        else tuple(dim for axis, dim in dims if axis not in wanted)
    )
    attrs: dict[str, Any] = {"keepdims": int(keep)}
    version = draft.graph.opsets.get("", 1)
    if not axes:
        return draft.value(type, (name,), source.dtype, shape, attrs)
    if version >= 18 or (type == "ReduceSum" and version >= 13):
        return draft.value(type, (name, integers(draft, axes)), source.dtype, shape, attrs)
    return draft.value(type, (name,), source.dtype, shape, {**attrs, "axes": tuple(axes)})
