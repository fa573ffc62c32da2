"""TFLite: operators that only change the shape, as RESHAPE, SLICE and REVERSE_V2, which delegates take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ...analyzer.ir.match import writer
from ..draft import Draft
from ..engine import Miss, Promise, Rewrite
from ..rank import MOST_DIMS
from ..views import sizes
from .operands import integers, ints, moves, reshape, told


@dataclass(frozen=True, slots=True)
class Reshaped:
    """An operator that gives its input in another shape."""

    op: Operator
    source: str
    shape: tuple[int, ...]


class ShapeToReshape(Rewrite[Reshaped]):
    """EXPAND_DIMS and SQUEEZE become RESHAPE."""

    id: ClassVar[str] = "expand-squeeze-to-reshape"
    title: ClassVar[str] = "EXPAND_DIMS and SQUEEZE with known sizes become RESHAPE"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("EXPAND_DIMS", "SQUEEZE")
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL502", "ACL404")

    def match(self, graph: Graph, op: Operator) -> Reshaped | Miss:
        """Shapes and axes are known and the quantization stays."""
        found = moves(graph, op)
        if not told(graph, op):
            return Miss("its axis is computed when the model runs")
        return Miss(found) if isinstance(found, str) else Reshaped(op, found[0].name, found[3])

    def apply(self, graph: Graph, found: Reshaped) -> None:
        """One RESHAPE."""
        draft = Draft(graph, found.op)
        reshape(draft, found.source, found.shape, to=found.op.outputs[0])
        draft.commit((found.op,))


class MergeReshapes(Rewrite[Reshaped]):
    """A RESHAPE of a RESHAPE reads the first one's input."""

    id: ClassVar[str] = "merge-reshapes"
    title: ClassVar[str] = "A RESHAPE of a RESHAPE, SQUEEZE or EXPAND_DIMS reads what that reads"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("RESHAPE",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    after: ClassVar[tuple[str, ...]] = ("fold-constants-tflite",)

    def match(self, graph: Graph, op: Operator) -> Reshaped | Miss:
        """The input is written by another reshape and the result's sizes are known."""
        inner = writer(graph, op.inputs[0], "RESHAPE", "SQUEEZE", "EXPAND_DIMS")
        if inner is None:
            return Miss("its input is not the result of a reshape")
        if not told(graph, op):
            return Miss("its shape is computed when the model runs")
        outer, first = moves(graph, op), moves(graph, inner)
        if isinstance(outer, str) or isinstance(first, str):
            return Miss("shapes or quantization of the two are not plain")
        return Reshaped(op, first[0].name, outer[3])

    def apply(self, graph: Graph, found: Reshaped) -> None:
        """Read further up, with a constant target shape."""
        draft = Draft(graph, found.op)
        reshape(draft, found.source, found.shape, to=found.op.outputs[0])
        draft.commit((found.op,))


@dataclass(frozen=True, slots=True)
class Box:
    """A strided slice as begin, count and stride for each axis of the input; a negative stride walks
    backwards.
    """

    op: Operator
    source: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    begin: tuple[int, ...]
    count: tuple[int, ...]
    stride: tuple[int, ...]


class PlainStridedSlice(Rewrite[Box]):
    """STRIDED_SLICE with masks of axes, backwards or of many dimensions becomes a plain one, REVERSE_V2 and
    RESHAPE.
    """

    id: ClassVar[str] = "plain-strided-slice"
    title: ClassVar[str] = (
        "Slices with axis masks, backwards or of many dimensions become plain ones, REVERSE_V2 and RESHAPE"
    )
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("STRIDED_SLICE", "SLICE")
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = (
        "ACL501",
        "ACL505",
        "ACL401",
        "ACL404",
        "ACL202",
        "ACL504",
        "ACL405",
    )

    def match(self, graph: Graph, op: Operator) -> Box | Miss:
        """Everything about the slice is known and something about it is not plain."""
        found = moves(graph, op)
        if isinstance(found, str):
            return Miss(found)
        bounds = [ints(graph, name) for name in op.inputs[1:4]]
        if any(bound is None for bound in bounds):
            return Miss("its bounds are computed when the model runs")
        lists = [bound or [] for bound in bounds]
        box = resolve(op, found[2], *lists) if op.type == "STRIDED_SLICE" else whole(found[2], *lists)
        if box is None:
            return Miss("its masks are not understood")
        masked = any(
            op.attrs.get(f"{name}_mask") for name in ("ellipsis", "new_axis", "shrink_axis")
        ) or op.attrs.get("offset")
        if not masked and min(box[2], default=1) > 0 and len(found[2]) <= MOST_DIMS:
            return Miss("it is plain already")
        return Box(op, found[0].name, found[2], found[3], *box)

    def apply(self, graph: Graph, found: Box) -> None:
        """View with few dimensions, slice forwards, turn around, then shape."""
        draft = Draft(graph, found.op)
        box = merged(found) if len(found.before) > MOST_DIMS else found
        name = reshape(draft, found.source, box.before)
        lows, highs, steps, back = forwards(box)
        if (lows, highs) != ((0,) * len(lows), box.before) or any(step != 1 for step in steps):
            bounds = [integers(draft, values, "bound") for values in (lows, highs, steps)]
            source = draft.find(name)
            name = draft.value("STRIDED_SLICE", (name, *bounds), source.dtype, box.count, quant=source.quant)
        for axis in back:
            source = draft.find(name)
            name = draft.value(
                "REVERSE_V2", (name, integers(draft, [axis])), source.dtype, box.count, quant=source.quant
            )
        reshape(draft, name, found.after, to=found.op.outputs[0])
        draft.commit((found.op,))


def whole(
    shape: tuple[int, ...], begin: list[int], size: list[int]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None:
    """Begin, count and stride of a SLICE; -1 takes the rest of an axis."""
    if not len(begin) == len(size) == len(shape):
        return None
    counts = tuple(
        full - first if count == -1 else count for full, first, count in zip(shape, begin, size, strict=True)
    )
    fits = all(
        first >= 0 and 0 < count <= full - first
        for full, first, count in zip(shape, begin, counts, strict=True)
    )
    return (tuple(begin), counts, (1,) * len(shape)) if fits else None


def merged(box: Box) -> Box:
    """The same slice with fewer dimensions: ones dropped and neighbours that are taken whole made one, with
    ones in front to four.
    """
    axes = [item for item in zip(box.before, box.begin, box.count, box.stride, strict=True) if item[0] != 1]
    kept: list[tuple[int, int, int, int]] = []
    for size, begin, count, stride in axes:
        last = kept[-1] if kept else None
        if last is not None and (count, stride, last[2], last[3]) == (size, 1, last[0], 1):
            kept[-1] = (last[0] * size, 0, last[0] * size, 1)
        else:
            kept.append((size, begin, count, stride))
    kept = [(1, 0, 1, 1)] * (MOST_DIMS - len(kept)) + kept
    before, begins, counts, strides = zip(*kept, strict=True)
    return Box(box.op, box.source, before, box.after, begins, counts, strides)


def forwards(box: Box) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], list[int]]:
    """Begin, end and positive stride of the same elements in ascending order, and the axes to turn around."""
    lows, highs = [], []
    for begin, count, stride in zip(box.begin, box.count, box.stride, strict=True):
        last = begin + (count - 1) * stride
        low, high = min(begin, last), max(begin, last)
        lows.append(low)
        highs.append(high + 1)
    back = [
        axis
        for axis, (count, stride) in enumerate(zip(box.count, box.stride, strict=True))
        if stride < 0 and count > 1
    ]
    return tuple(lows), tuple(highs), tuple(abs(step) for step in box.stride), back


def resolve(
    op: Operator, shape: tuple[int, ...], begin: list[int], end: list[int], strides: list[int]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None:
    """Begin, count and stride for each axis of the input; None when the masks do not fit the shape.

    Source: LiteRT, tflite/kernels/strided_slice.cc (BuildStridedSliceParams) and
    kernels/internal/strided_slice_logic.h.
    """
    masks = {
        name: int(op.attrs.get(f"{name}_mask") or 0)
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    if op.attrs.get("offset") or len(end) != len(begin) or len(strides) != len(begin):
        return None
    new_axes = sum(
        1
        for index in range(len(begin))
        if masks["new_axis"] >> index & 1 and not masks["ellipsis"] >> index & 1
    )
    lists: tuple[list[int], list[int], list[int]] = ([], [], [])
    for index, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        axis = len(lists[0])
        if masks["ellipsis"] >> index & 1:
            fill = len(shape) - (len(begin) - 1 - new_axes)
            for size in shape[axis : axis + fill]:
                _append(lists, 0, size, 1)
            continue
        if masks["new_axis"] >> index & 1:
            continue
        if axis >= len(shape) or step == 0:
            return None
        bounds = _axis(shape[axis], first, last, step, masks, index)
        if bounds is None:
            return None
        _append(lists, *bounds)
    for size in shape[len(lists[0]) :]:
        _append(lists, 0, size, 1)
    if len(lists[0]) != len(shape) or min(lists[1], default=1) < 1:
        return None
    return tuple(lists[0]), tuple(lists[1]), tuple(lists[2])


def _append(lists: tuple[list[int], list[int], list[int]], *values: int) -> None:
    for items, value in zip(lists, values, strict=True):
        items.append(value)


def _axis(
    size: int, first: int, last: int, step: int, masks: dict[str, int], index: int
) -> tuple[int, int, int] | None:
    if masks["shrink_axis"] >> index & 1:
        at = first + size if first < 0 else first
        return (at, 1, 1) if 0 <= at < size else None
    start = None if masks["begin"] >> index & 1 else first
    stop = None if masks["end"] >> index & 1 else last
    picked = range(*slice(start, stop, step).indices(size))
    return (picked[0], len(picked), step) if len(picked) else None


SPLITS = ("float32", "uint8", "int8", "int16", "int32", "int64")
"""Source: LiteRT, tflite/kernels/split.cc."""


class UnpackToSplit(Rewrite[Operator]):
    """UNPACK of a tensor with too many dimensions becomes SPLIT and RESHAPE."""

    id: ClassVar[str] = "unpack-to-split"
    title: ClassVar[str] = "UNPACK becomes a RESHAPE to three dimensions, SPLIT and RESHAPE"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("UNPACK",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL401", "ACL404")

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """Shapes are known, the quantization stays, and SPLIT has a kernel for the dtype."""
        found = moves(graph, op)
        if isinstance(found, str):
            return Miss(found)
        return op if found[0].dtype in SPLITS else Miss(f"SPLIT does not take {found[0].dtype}")

    def apply(self, graph: Graph, found: Operator) -> None:
        """[lead, n, rest] split into n pieces."""
        from math import prod

        draft = Draft(graph, found)
        source = graph.tensor(found.inputs[0] or "")
        shape = sizes(source) or ()
        axis = int(found.attrs.get("axis", 0)) % len(shape)
        lead, rest = prod(shape[:axis]), prod(shape[axis + 1 :])
        view = reshape(draft, source.name, (1, lead, shape[axis], rest))
        pieces = [
            draft.tensor(source.dtype, (1, lead, 1, rest), source.quant, "piece") for _ in range(shape[axis])
        ]
        draft.op("SPLIT", (integers(draft, 2), view), pieces, {"num_splits": shape[axis]})  # type: ignore[arg-type]
        for piece, name in zip(pieces, found.outputs, strict=True):
            if name is not None:
                reshape(draft, piece, sizes(graph.tensor(name)) or (), to=name)
        draft.commit((found,))


REWRITES = (ShapeToReshape(), MergeReshapes(), PlainStridedSlice(), UnpackToSplit())
