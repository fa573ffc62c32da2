"""Slices, gathers and scatters, ranges, windows, masks of positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ...errors import NotCoveredError
from ..call import Call
from ..emit import LAST


def _mask(call: Call, key: str, rank: int) -> list[bool]:
    found = call.attr(key)
    return [bool(item) for item in np.reshape(found, -1)] if found is not None else [False] * rank


def _bounds(call: Call, rank: int) -> tuple[str, str, list[int], list[int]]:
    """ONNX names of starts and ends, the steps, and the axes that are squeezed."""
    emit = call.emit
    steps = call.numbers("stride", [1] * rank)
    squeezed = _mask(call, "squeeze_mask", rank)
    open_begin, open_end = _mask(call, "begin_mask", rank), _mask(call, "end_mask", rank)
    begin, end = call.value("begin"), call.value("end")
    first = [0 if step > 0 else LAST for step in steps]
    last = [LAST if step > 0 else -LAST for step in steps]
    axes = [axis for axis in range(rank) if squeezed[axis]]
    if begin is not None and end is not None:
        starts = [first[axis] if open_begin[axis] else int(begin.reshape(-1)[axis]) for axis in range(rank)]
        ends = [last[axis] if open_end[axis] else int(end.reshape(-1)[axis]) for axis in range(rank)]
        for axis in axes:
            starts[axis] = int(begin.reshape(-1)[axis])
            ends[axis] = starts[axis] + 1 if starts[axis] != -1 else LAST
        return emit.ints(starts), emit.ints(ends), steps, axes
    start = emit.op("Where", emit.constant(np.array(open_begin)), emit.ints(first), call.indices("begin"))
    stop = emit.op("Where", emit.constant(np.array(open_end)), emit.ints(last), call.indices("end"))
    if axes:
        after = emit.op("Add", start, emit.ints([1] * rank))
        ending = emit.op("Equal", after, emit.ints([0] * rank))
        single = emit.op("Where", ending, emit.ints([LAST] * rank), after)
        stop = emit.op("Where", emit.constant(np.array(squeezed)), single, stop)
    return start, stop, steps, axes


def _slice_by_index(call: Call) -> None:
    rank = call.rank()
    starts, ends, steps, axes = _bounds(call, rank)
    emit = call.emit
    made = emit.op("Slice", call["x"], starts, ends, emit.ints(range(rank)), emit.ints(steps))
    if axes:
        emit.squeeze(made, axes, to=call.out())
    else:
        call.give(made)


def _slice_by_size(call: Call) -> None:
    """A size of -1 reaches to the end."""
    emit, rank = call.emit, call.rank()
    begin, size = call.indices("begin"), call.indices("size")
    end = emit.op("Add", begin, size)
    whole = emit.op("Equal", size, emit.ints([-1] * rank))
    stop = emit.op("Where", whole, emit.ints([LAST] * rank), end)
    call.done("Slice", call["x"], begin, stop, emit.ints(range(rank)))


def _slice_update(call: Call) -> None:
    """The update is scattered to the places of a slice of all positions."""
    emit, rank = call.emit, call.rank()
    sizes = call.shape()
    count = int(np.prod(sizes))
    starts, ends, steps, axes = _bounds(call, rank)
    positions = emit.constant(np.arange(count, dtype=np.int64).reshape(sizes), "positions")
    places = emit.op("Slice", positions, starts, ends, emit.ints(range(rank)), emit.ints(steps))
    update = emit.unsqueeze(call["update"], axes) if axes else call["update"]
    spread = emit.op("Expand", update, emit.op("Shape", places))
    flat = emit.op(
        "ScatterElements",
        emit.reshape(call["x"], [-1]),
        emit.reshape(places, [-1]),
        emit.reshape(spread, [-1]),
        axis=0,
    )
    emit.reshape(flat, sizes, to=call.out())


def _gather(call: Call) -> None:
    batch = int(call.attr("batch_dims", 0) or 0)
    axis, rank = int(call.attr("axis", 0)), call.rank()
    axis %= max(rank, 1)
    if not batch:
        call.done("Gather", call["x"], call.indices("indices"), axis=axis)
        return
    _batched_gather(call, axis, batch)


def _batched_gather(call: Call, axis: int, batch: int) -> None:
    """By GatherND over the axis behind the batch, the axes between moved behind."""
    emit, rank = call.emit, call.rank()
    inner = call.rank("indices") - batch
    middle = list(range(batch, axis))
    turned = emit.op("Transpose", call["x"], perm=[*range(batch), axis, *middle, *range(axis + 1, rank)])
    indices = emit.unsqueeze(call.indices("indices"), [-1])
    found = emit.op("GatherND", turned, indices, batch_dims=batch)
    # batch, indices, middle, rest -> batch, middle, indices, rest
    total = batch + inner + (rank - batch - 1)
    order = [
        *range(batch),
        *range(batch + inner, batch + inner + len(middle)),
        *range(batch, batch + inner),
        *range(batch + inner + len(middle), total),
    ]
    call.done("Transpose", found, perm=order)


def _gather_along(call: Call) -> None:
    call.done("GatherElements", call["x"], call.indices("indices"), axis=int(call.attr("axis", 0)))


def _gather_nd(call: Call) -> None:
    call.done("GatherND", call["x"], call.indices("indices"), batch_dims=int(call.attr("batch_dims", 0) or 0))


_REDUCED = {"update": "none", "add": "add", "mul": "mul", "max": "max", "min": "min"}


def _mode(call: Call, default: str = "add") -> tuple[str, str]:
    """ONNX's reduction and the name of the updates; "sub" adds what is negated."""
    mode, updates = call.attr("mode", default), call.wide("updates")
    if mode == "sub":
        return "add", call.emit.op("Neg", updates)
    if mode == "div" and call.dtype("data").startswith("float"):
        return "mul", call.emit.op("Reciprocal", updates)
    if mode not in _REDUCED:
        raise NotCoveredError(f"{call.type} with the mode {mode!r}")
    return _REDUCED[mode], updates


def _scatter_along(call: Call) -> None:
    reduction, updates = _mode(call)
    axis = int(call.attr("axis", 0))
    places = call.indices("indices")
    made = call.emit.op("ScatterElements", call.wide("data"), places, updates, axis=axis, reduction=reduction)
    call.narrow(made, call.dtype("data"))


def _scatter_nd(call: Call) -> None:
    reduction, updates = _mode(call)
    made = call.emit.op("ScatterND", call.wide("data"), call.indices("indices"), updates, reduction=reduction)
    call.narrow(made, call.dtype("data"))


def _scatter(call: Call) -> None:
    """Whole slices along an axis: the indices spread over the updates."""
    emit, rank = call.emit, call.rank("data")
    axis, inner = int(call.attr("axis", 0)) % rank, call.rank("indices")
    reduction, updates = _mode(call)
    if inner != 1:
        if axis:
            raise NotCoveredError("scatter with indices of several dimensions along an inner axis")
        indices = emit.unsqueeze(call.indices("indices"), [-1])
        made = emit.op("ScatterND", call.wide("data"), indices, updates, reduction=reduction)
        return call.narrow(made, call.dtype("data"))
    shaped = emit.reshape(call.indices("indices"), [-1 if at == axis else 1 for at in range(rank)])
    spread = emit.op("Expand", shaped, emit.op("Shape", updates))
    made = emit.op("ScatterElements", call.wide("data"), spread, updates, axis=axis, reduction=reduction)
    return call.narrow(made, call.dtype("data"))


def _range(call: Call) -> None:
    ends = [call.emit.reshape(call.widen(call[key], call.dtype(key)), []) for key in ("start", "end", "step")]
    call.narrow(call.emit.op("Range", *ends), call.result().dtype)


def _non_zero(call: Call) -> None:
    """One row a place."""
    places = call.emit.op("Transpose", call.emit.op("NonZero", call["x"]), perm=[1, 0])
    call.emit.cast(places, call.result().dtype, to=call.out())


def _one_hot(call: Call) -> None:
    dtype = call.result().dtype
    values = call.emit.constant(
        np.array([call.attr("off_value", 0), call.attr("on_value", 1)], np.dtype(dtype))
    )
    depth = call.emit.reshape(call.indices("one_hot_vector_size"), [1])
    indices = call.indices("indices")
    axis = int(call.attr("axis", -1))
    # ONNX counts negative indices from the end, and MIL leaves their rows off
    hidden = call.emit.op("Less", indices, call.emit.scalar(0, "int64"))
    call.done("OneHot", call.emit.op("Where", hidden, depth, indices), depth, values, axis=axis)


def _band_part(call: Call) -> None:
    rows, columns = call.shape()[-2:]
    lower, upper = int(call.attr("lower", -1)), int(call.attr("upper", -1))
    below = np.arange(rows)[:, None] - np.arange(columns)[None, :]
    band = ((lower < 0) | (below <= lower)) & ((upper < 0) | (-below <= upper))
    call.done("Where", call.emit.constant(band, "band"), call["x"], call.emit.scalar(0, call.dtype()))


def _sliding_windows(call: Call) -> None:
    """A gather of the windows' positions."""
    rank = call.rank()
    axis, size = int(call.attr("axis")) % rank, int(call.attr("size"))
    stride = int(call.attr("stride", 1))
    count = (call.shape()[axis] - size) // stride + 1
    places = (np.arange(count)[:, None] * stride + np.arange(size)[None, :]).astype(np.int64)
    call.done("Gather", call["x"], call.emit.constant(places, "windows"), axis=axis)


LOWERINGS: Mapping[str, Callable[[Call], None]] = {
    "slice_by_index": _slice_by_index,
    "slice_by_size": _slice_by_size,
    "slice_update": _slice_update,
    "gather": _gather,
    "gather_along_axis": _gather_along,
    "gather_nd": _gather_nd,
    "scatter": _scatter,
    "scatter_along_axis": _scatter_along,
    "scatter_nd": _scatter_nd,
    "range_1d": _range,
    "non_zero": _non_zero,
    "one_hot": _one_hot,
    "band_part": _band_part,
    "sliding_windows": _sliding_windows,
}
