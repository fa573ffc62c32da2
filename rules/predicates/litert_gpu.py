"""Predicates of ``litert/gpu``: relations of shapes that the operator parser of the GPU delegate checks.

Read from ``ml_drift_delegate/tflite/model_builder.cc`` (google-ai-edge/LiteRT, commit f67457790c9c).
"""

from __future__ import annotations

from ...analyzer.ir.graph import Graph, Operator, Tensor
from ..conditions import Context, Outcome
from ..subjects import UNKNOWN, constant_values
from . import holds_if, predicate


def _shape(tensor: Tensor | None) -> tuple[int, ...] | None:
    """The sizes, None when they are not all known."""
    if tensor is None or tensor.shape is None or not tensor.static:
        return None
    return tuple(dim for dim in tensor.shape if isinstance(dim, int))


def _bhwc(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """How the delegate lays out up to 4 dimensions: batch, height, width, channels."""
    if len(shape) <= 1:
        return (shape[0] if shape else 1, 1, 1, 1)
    if len(shape) == 2:
        return (shape[0], 1, 1, shape[1])
    return (shape[0], 1, shape[1], shape[2]) if len(shape) == 3 else (shape[0], shape[1], shape[2], shape[3])


@predicate("litert_two_operands")
def litert_two_operands(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The two operands are different tensors."""
    same = len(op.inputs) == 2 and op.inputs[0] == op.inputs[1]
    return holds_if(not same, f"both operands are {op.inputs[0] if op.inputs else 'missing'}", "two tensors")


@predicate("litert_grouped")
def litert_grouped(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Each group has a multiple of 4 channels before and after, or one of each; one group may have any."""
    before, weights = (_shape(tensor) for tensor in graph.input_tensors(op)[:2])
    if before is None or weights is None or len(before) != 4 or len(weights) != 4 or not weights[3]:
        return holds_if(None, "unknown channels", "multiples of 4")
    groups = max(before[3] // weights[3], 1)
    inside, outside = weights[3], weights[0] // groups
    fits = groups == 1 or (inside, outside) == (1, 1) or (inside % 4 == 0 and outside % 4 == 0)
    return holds_if(fits, f"{inside} and {outside}", "multiples of 4, or one of each")


@predicate("litert_prelu_slope")
def litert_prelu_slope(graph: Graph, op: Operator, context: Context) -> Outcome:
    """A stored slope with one value for each channel, or in the input's height, width and channels."""
    if len(op.inputs) != 2 or graph.constant(op.inputs[1]) is None:
        return holds_if(False, "the slope is computed", "a stored slope")
    data, slope = (_shape(tensor) for tensor in graph.input_tensors(op))
    if data is None or slope is None:
        return holds_if(None, "unknown", "a slope for each channel")
    _, height, width, channels = _bhwc(data)
    words = f"slope {list(slope)} of input {list(data)}"
    if slope and all(dim == 1 for dim in slope[:-1]):
        return holds_if(slope[-1] == channels, words, f"{channels} values")
    inner = slope[1:] if len(slope) == 4 and slope[0] == 1 else slope
    return holds_if(inner == (height, width, channels), words, f"[{height}, {width}, {channels}]")


@predicate("litert_depth_multiplier")
def litert_depth_multiplier(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Channels of the result are those of the input times the stored depth multiplier."""
    before, after = _shape(graph.input_tensors(op)[0]), _shape(graph.output_tensors(op)[0])
    if before is None or after is None or len(before) != 4 or len(after) != 4:
        return holds_if(
            None if before is None or after is None else False, "unknown channels", "4 dimensions"
        )
    multiplier = int(op.attrs.get("depth_multiplier", 0))
    words = f"{before[3]} channels times {multiplier} is not {after[3]}"
    return holds_if(before[3] * multiplier == after[3], words, f"{after[3]}")


@predicate("litert_one_hot_axis")
def litert_one_hot_axis(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The axis is -1, or equals the *size* of the last dimension: the parser compares the two."""
    axis = int(op.attrs.get("axis", 0))
    shape = _shape(graph.input_tensors(op)[0])
    if axis != -1 and shape is None:
        return holds_if(None, f"axis {axis}", "-1")
    fine = axis == -1 or bool(shape and axis == shape[-1])
    if fine and shape and len(shape) >= 4 and shape[3] != 1:
        return holds_if(False, f"indices {list(shape)}", "one channel")
    return holds_if(fine, f"axis {axis}", "-1")


def _indices(graph: Graph, op: Operator, index: int) -> list[int] | None:
    constant = graph.constant(op.inputs[index]) if index < len(op.inputs) else None
    values = [] if constant is None else constant_values(constant)
    return None if constant is None or UNKNOWN in values else [int(value) for value in values]


def _spread(values: list[int], base: tuple[int, ...], *, batch: bool) -> list[int]:
    """Indices as batch, height, width, channels; without a batch they fill the last dimensions."""
    slots = (
        {4: (0, 1, 2, 3), 3: (0, 2, 3), 2: (0, 3), 1: (0,)} if batch else {3: (1, 2, 3), 2: (2, 3), 1: (3,)}
    )
    result = list(base)
    for slot, value in zip(slots.get(len(values), ()), values, strict=False):
        result[slot] = value
    return result


def _masked(mask: int, rank: int) -> int:
    """A mask over dimensions as one over batch, height, width, channels."""
    if rank == 3:
        return (mask & 4) << 1 | (mask & 2) << 1 | mask & 1
    return (mask & 2) << 2 | mask & 1 if rank == 2 else mask


@predicate("litert_strided_slice")
def litert_strided_slice(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The slice that the parser reads has positive strides and the shape of the result."""
    data, result = _shape(graph.input_tensors(op)[0]), _shape(graph.output_tensors(op)[0])
    begin, end, strides = (_indices(graph, op, index) for index in (1, 2, 3))
    if begin is None or end is None or strides is None:
        return holds_if(False, "indices are computed", "stored indices")
    if data is None or result is None:
        return holds_if(None, "unknown shape", "known shapes")
    if len(data) - len(begin) not in (0, 1) or len(data) > 4:
        return holds_if(
            False, f"{len(begin)} indices for {len(data)} dimensions", "an index for each dimension"
        )
    read = _read_slice(data, begin, end, strides, op)
    if read is None:
        return holds_if(False, f"strides {strides}", "positive strides")
    return holds_if(
        read == _bhwc(result),
        f"the delegate reads {list(read)} for {list(result)}",
        "indices for every dimension",
    )


def _read_slice(
    data: tuple[int, ...], begin: list[int], end: list[int], strides: list[int], op: Operator
) -> tuple[int, ...] | None:
    """The shape that the parser makes of the indices, None for a stride that is not positive."""
    whole, batch = _bhwc(data), len(begin) == len(data)
    starts = [
        _wrapped(value, size)
        for value, size in zip(_spread(begin, (0, 0, 0, 0), batch=batch), whole, strict=True)
    ]
    ends = [
        _wrapped(value, size) for value, size in zip(_spread(end, whole, batch=batch), whole, strict=True)
    ]
    steps = _spread(strides, (1, 1, 1, 1), batch=batch)
    begin_mask, end_mask = (
        _masked(int(op.attrs.get(key, 0)), len(data)) for key in ("begin_mask", "end_mask")
    )
    starts = [0 if begin_mask >> axis & 1 else value for axis, value in enumerate(starts)]
    ends = [whole[axis] if end_mask >> axis & 1 else value for axis, value in enumerate(ends)]
    if any(step <= 0 for step in steps):
        return None
    return tuple(
        (stop - start + step - 1) // step for start, stop, step in zip(starts, ends, steps, strict=True)
    )


def _wrapped(value: int, size: int) -> int:
    return value + size if value < 0 else value
