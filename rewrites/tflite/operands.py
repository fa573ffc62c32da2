"""What the TFLite families share: reading operands, and the small operators that replacements are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from ...analyzer.ir.graph import Graph, Operator, Quantization, Tensor
from ..draft import Draft
from ..views import sizes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def ints(graph: Graph, name: str | None) -> list[int] | None:
    """The values of an integer constant, flat; None when it is not one."""
    const = graph.constant(name)
    if (
        const is None
        or const.elements > 65_536
        or const.dtype not in ("int32", "int64", "int16", "int8", "uint8")
    ):
        return None
    return [int(value) for value in const.read().reshape(-1)]


def same_quantization(one: Quantization | None, other: Quantization | None) -> bool:
    """True when two tensors store real numbers alike."""
    if one is None or other is None:
        return one is other
    return (one.scale, one.zero_point, one.block) == (other.scale, other.zero_point, other.block)


def moves(
    graph: Graph, op: Operator, source: int = 0
) -> tuple[Tensor, Tensor, tuple[int, ...], tuple[int, ...]] | str:
    """Input and result, with their sizes, of an operator that only moves values; or why it is not plain.

    The sizes of the result are what the file says, so they count only where no other input computes them.
    """
    tensor, result = graph.find(op.inputs[source] or ""), graph.find(op.outputs[0] or "")
    if tensor is None or result is None:
        return "a tensor is missing"
    before, after = sizes(tensor), sizes(result)
    if before is None or after is None:
        return "its shapes are not all known"
    if not prod(before) or not prod(after):
        return "it has no elements"
    if not after:
        return "its result has no dimensions, and a RESHAPE to that counts as dynamic"
    if not same_quantization(tensor.quant, result.quant):
        return "it changes the quantization"
    return tensor, result, before, after


def told(graph: Graph, op: Operator) -> bool:
    """True when every input but the first is a constant: the result's sizes are not computed when the model
    runs.
    """
    return all(name is None or graph.constant(name) is not None for name in op.inputs[1:])


def quantized(graph: Graph, op: Operator) -> bool:
    """True when any tensor of the operator is quantized."""
    tensors = (*graph.input_tensors(op), *graph.output_tensors(op))
    return any(tensor is not None and tensor.quant is not None for tensor in tensors)


def reshape(draft: Draft, name: str, shape: Sequence[int], to: str | None = None) -> str:
    """``name`` in another shape: the same name when it has that shape, a constant in it, or the result of a
    RESHAPE.
    """
    import numpy as np

    source = draft.find(name)
    shape = tuple(shape)
    if to is None and source.shape == shape:
        return name
    if (
        to is None
        and source.const is not None
        and source.const.loader is None
        and name not in draft.graph.inputs
    ):
        const = replace(source.const, shape=shape)
        new = draft.graph.fresh(f"{name}/reshaped")
        draft.tensors[new] = Tensor(new, source.dtype, shape, const, source.quant)
        return new
    target = draft.constant(np.array(shape, np.int32), stem="shape")
    return draft.value(
        "RESHAPE", (name, target), source.dtype, shape, {"new_shape": shape}, quant=source.quant, to=to
    )


def transpose(draft: Draft, name: str, perm: Sequence[int], to: str | None = None) -> str:
    """``name`` with its axes in another order."""
    import numpy as np

    source = draft.find(name)
    known = sizes(source) or ()
    axes = draft.constant(np.array(perm, np.int32), stem="perm")
    return draft.value(
        "TRANSPOSE",
        (name, axes),
        source.dtype,
        tuple(known[axis] for axis in perm),
        quant=source.quant,
        to=to,
    )


def take(draft: Draft, name: str, begin: Sequence[int], size: Sequence[int], to: str | None = None) -> str:
    """A box out of ``name`` by SLICE."""
    import numpy as np

    source = draft.find(name)
    first = draft.constant(np.array(begin, np.int32), stem="begin")
    count = draft.constant(np.array(size, np.int32), stem="size")
    return draft.value("SLICE", (name, first, count), source.dtype, tuple(size), quant=source.quant, to=to)


def binary(
    draft: Draft, type: str, left: str, right: str, shape: Sequence[int], to: str | None = None
) -> str:
    """An element-wise operator on two floats."""
    return draft.value(type, (left, right), "float32", tuple(shape), to=to)


def unary(draft: Draft, type: str, name: str, to: str | None = None) -> str:
    """An element-wise operator on one float tensor."""
    source = draft.find(name)
    return draft.value(type, (name,), source.dtype, source.shape, to=to)


def number(draft: Draft, value: float) -> str:
    """A float scalar."""
    import numpy as np

    return draft.constant(np.array(value, np.float32), "float32")


def integers(draft: Draft, values: Sequence[int] | NDArray[np.int32], stem: str = "axes") -> str:
    """An int32 list."""
    import numpy as np

    return draft.constant(np.array(values, np.int32), "int32", stem)


def axis_of(graph: Graph, op: Operator, rank: int, key: str = "axis") -> int | None:
    """The operator's axis, counted from the front; None when it is out of range."""
    axis = op.attrs.get(key, 0)
    return axis % rank if isinstance(axis, int) and -rank <= axis < rank else None
