"""ONNX: operators that only move values, by others that accelerators have."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..draft import Draft
from ..engine import Miss, Promise, Rewrite
from ..views import padded, sizes
from .operands import integers, ints, reshape

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_DIMS = 4
LARGEST = 1 << 16
"""Positions, or elements of a constant, that a rewrite may write down."""


@dataclass(frozen=True, slots=True)
class Picks:
    """An operator, its sizes, and for each axis the positions that its result takes; None takes all."""

    op: Operator
    shape: tuple[int, ...]
    picks: tuple[tuple[int, ...] | None, ...]


class ByGather(Rewrite[Picks]):
    """An operator that takes stored positions along its axes becomes a Gather for each."""

    dialect: ClassVar[str] = "onnx"
    parity: ClassVar[Promise] = Promise.BIT_EXACT

    def apply(self, graph: Graph, found: Picks) -> None:
        """Axis by axis."""
        draft, shape = Draft(graph, found.op), list(found.shape)
        name = found.op.inputs[0] or ""
        dtype = draft.find(name).dtype
        for axis, positions in enumerate(found.picks):
            if positions is None:
                continue
            shape[axis] = len(positions)
            indices = integers(draft, positions, "positions")
            name = draft.value("Gather", (name, indices), dtype, tuple(shape), {"axis": axis})
        draft.finish(name, found.op.outputs[0] or "")
        draft.commit((found.op,))


class PadByGather(ByGather):
    """Pad by reflection, or with the values of the edge, takes stored positions."""

    id: ClassVar[str] = "pad-to-gather"
    title: ClassVar[str] = (
        "Pad with reflect, edge or wrap becomes Gather of stored positions on each padded axis"
    )
    root: ClassVar[tuple[str, ...]] = ("Pad",)
    answers: ClassVar[tuple[str, ...]] = ("pad-mode", "ACL501", "pad-reflect-axes", "ACL404")

    def match(self, graph: Graph, op: Operator) -> Picks | Miss:
        """Stored widths that are not negative, and known sizes."""
        mode = op.attrs.get("mode", "constant")
        if mode not in ("reflect", "edge", "wrap"):
            return Miss(f"its mode is {mode}")
        shape = sizes(graph.find(op.inputs[0] or ""))
        if shape is None or 0 in shape:
            return Miss("its sizes are not all known")
        widths = ints(graph, op, 1, "pads")
        if widths is None or len(op.inputs) > 3:
            return Miss("its widths are computed when the model runs, or are of some axes")
        if len(widths) != 2 * len(shape) or min(widths, default=0) < 0:
            return Miss("its widths are negative, or not two for each axis")
        pairs = list(zip(widths[: len(shape)], widths[len(shape) :], strict=True))
        if max((size + sum(pair) for size, pair in zip(shape, pairs, strict=True)), default=0) > LARGEST:
            return Miss("its result is too large for a list of positions")
        if mode != "edge" and any(max(pair) >= size for size, pair in zip(shape, pairs, strict=True)):
            return Miss("it is padded by more than there is")
        picks = (
            _padded(size, *pair, mode) if any(pair) else None for size, pair in zip(shape, pairs, strict=True)
        )
        return Picks(op, shape, tuple(picks))


def _padded(size: int, before: int, after: int, mode: str) -> tuple[int, ...]:
    import numpy as np

    return tuple(np.pad(np.arange(size), (before, after), mode=mode).tolist())  # type: ignore[call-overload]


class SliceByGather(ByGather):
    """Slice of an old operator set takes stored positions."""

    id: ClassVar[str] = "slice-to-gather"
    title: ClassVar[str] = "Slice with stored bounds becomes Gather of stored positions on each axis"
    root: ClassVar[tuple[str, ...]] = ("Slice",)
    answers: ClassVar[tuple[str, ...]] = ("slice-opset", "opset-below-10")

    def match(self, graph: Graph, op: Operator) -> Picks | Miss:
        """Stored bounds and known sizes."""
        shape = sizes(graph.find(op.inputs[0] or ""))
        if shape is None:
            return Miss("its sizes are not all known")
        ranges = _ranges(graph, op, shape)
        if ranges is None:
            return Miss("its bounds are computed when the model runs")
        if max(map(len, ranges), default=0) > LARGEST or any(len(item) == 0 for item in ranges):
            return Miss("its result has no elements, or too many for a list of positions")
        kept = (
            None if item == range(size) else tuple(item) for item, size in zip(ranges, shape, strict=True)
        )
        return Picks(op, shape, tuple(kept))


def _ranges(graph: Graph, op: Operator, shape: Sequence[int]) -> list[range] | None:
    """What a Slice takes of each axis; None when its bounds are not stored."""
    lists = [
        ints(graph, op, index, name) for index, name in enumerate(("starts", "ends", "axes", "steps"), 1)
    ]
    if any(values is None for values in lists):
        return None
    starts, ends, axes, steps = (values or [] for values in lists)
    chosen = [range(size) for size in shape]
    axes = axes or list(range(len(starts)))
    for start, end, axis, step in zip(starts, ends, axes, steps or [1] * len(starts), strict=True):
        at = axis % len(shape)
        chosen[at] = range(*slice(start, end, step).indices(shape[at]))
    return chosen


@dataclass(frozen=True, slots=True)
class Parted:
    """A Split, the shape of its data, and where each part begins and ends."""

    op: Operator
    axis: int
    bounds: tuple[tuple[int, int], ...]


class SplitBySlices(Rewrite[Parted]):
    """Split becomes a Slice for each part."""

    id: ClassVar[str] = "split-to-slices"
    title: ClassVar[str] = "Split becomes a Slice for each part"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("Split",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = (
        "ACL201", "split-uneven", "split-sizes-without-count", "split-opset", "split-into-one", "ACL502",
        "ACL405",
    )  # fmt: skip

    def match(self, graph: Graph, op: Operator) -> Parted | Miss:
        """Stored sizes, or parts of the same size, of a known axis."""
        shape = sizes(graph.find(op.inputs[0] or ""))
        if graph.opsets.get("", 1) < 10:
            return Miss("before operator set 10 the bounds of Slice are no inputs")
        if shape is None:
            return Miss("its sizes are not all known")
        axis = int(op.attrs.get("axis", 0)) % len(shape)
        parts = ints(graph, op, 1, "split")
        if parts is None:
            return Miss("the sizes of its parts are computed when the model runs")
        if not parts:
            each = -(-shape[axis] // len(op.outputs))
            starts = [min(each * index, shape[axis]) for index in range(len(op.outputs) + 1)]
            parts = [end - start for start, end in itertools.pairwise(starts)]
        ends = [sum(parts[: index + 1]) for index in range(len(parts))]
        return Parted(op, axis, tuple(zip([0, *ends], ends, strict=False)))

    def apply(self, graph: Graph, found: Parted) -> None:
        """Those parts that are read."""
        draft, data = Draft(graph, found.op), found.op.inputs[0] or ""
        source = draft.find(data)
        for (start, end), name in zip(found.bounds, found.op.outputs, strict=True):
            if name is None:
                continue
            bounds = [integers(draft, [value], "bound") for value in (start, end, found.axis)]
            draft.value("Slice", (data, *bounds), source.dtype, draft.find(name).shape, to=name)
        draft.commit((found.op,))


@dataclass(frozen=True, slots=True)
class Widened:
    """An operator that repeats its input: the sizes before, with ones in front, and after."""

    op: Operator
    before: tuple[int, ...]
    after: tuple[int, ...]


def _widened(graph: Graph, op: Operator) -> Widened | Miss:
    before, after = (sizes(graph.find(name or "")) for name in (op.inputs[0], op.outputs[0]))
    if before is None or after is None or 0 in after:
        return Miss("its sizes are not all known")
    return Widened(op, padded(before, len(after)), after)


class ExpandByTile(Rewrite[Widened]):
    """Expand becomes Tile."""

    id: ClassVar[str] = "expand-to-tile"
    title: ClassVar[str] = "Expand becomes Tile, with a Reshape where the rank grows"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("Expand",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL502")

    def match(self, graph: Graph, op: Operator) -> Widened | Miss:
        """Known sizes."""
        return _widened(graph, op)

    def apply(self, graph: Graph, found: Widened) -> None:
        """As often as each axis grows."""
        draft = Draft(graph, found.op)
        name = reshape(draft, found.op.inputs[0] or "", found.before)
        times = [after // before for before, after in zip(found.before, found.after, strict=True)]
        counts = integers(draft, times, "repeats")
        name = draft.value("Tile", (name, counts), draft.find(name).dtype, found.after)
        draft.finish(name, found.op.outputs[0] or "")
        draft.commit((found.op,))


class RepeatByConcat(Rewrite[Widened]):
    """Tile, or Expand, of few copies becomes Concat."""

    id: ClassVar[str] = "repeat-to-concat"
    title: ClassVar[str] = "Tile and Expand of at most 64 copies become Concat of the same tensor"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("Tile", "Expand")
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    after: ClassVar[tuple[str, ...]] = ("expand-to-tile",)
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL301", "ACL401", "ACL502")
    MOST = 64

    def match(self, graph: Graph, op: Operator) -> Widened | Miss:
        """Known sizes, and few copies along each axis."""
        found = _widened(graph, op)
        if isinstance(found, Miss):
            return found
        times = [after // max(before, 1) for before, after in zip(found.before, found.after, strict=True)]
        if max(times, default=1) > self.MOST:
            return Miss(f"it makes {max(times)} copies")
        return found if found.after else Miss("it has no axis")

    def apply(self, graph: Graph, found: Widened) -> None:
        """Axis by axis, from the last."""
        draft, shape = Draft(graph, found.op), list(found.before)
        name = reshape(draft, found.op.inputs[0] or "", found.before)
        for axis in reversed(range(len(shape))):
            times = found.after[axis] // shape[axis]
            shape[axis] = found.after[axis]
            if times > 1:
                dtype = draft.find(name).dtype
                name = draft.value("Concat", [name] * times, dtype, tuple(shape), {"axis": axis})
        draft.finish(name, found.op.outputs[0] or "")
        draft.commit((found.op,))


class DepthByRows(Rewrite[Operator]):
    """DepthToSpace by columns and rows becomes the one by depth, of channels in another order."""

    id: ClassVar[str] = "depth-to-space-by-depth"
    title: ClassVar[str] = "DepthToSpace with mode CRD becomes Gather of the channels and the mode DCR"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("DepthToSpace",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("depth-to-space-mode", "ACL501")

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """Channels of a known number, in the other order."""
        if op.attrs.get("mode", "DCR") != "CRD":
            return Miss("its mode is DCR already")
        known = sizes(graph.find(op.inputs[0] or ""))
        return op if known is not None else Miss("its sizes are not all known")

    def apply(self, graph: Graph, found: Operator) -> None:
        """Channel c * block ** 2 + r goes to r * channels + c."""
        import numpy as np

        draft, name = Draft(graph, found), found.inputs[0] or ""
        source, area = draft.find(name), int(found.attrs["blocksize"]) ** 2
        channels = (sizes(source) or ())[1]
        order = np.arange(channels).reshape(-1, area).T.reshape(-1).tolist()
        positions = integers(draft, order, "channels")
        moved = draft.value("Gather", (name, positions), source.dtype, source.shape, {"axis": 1})
        draft.keep(found, inputs=(moved,), attrs={**found.attrs, "mode": "DCR"})
        draft.commit((found,))


class GatherByList(Rewrite[Operator]):
    """Gather by a scalar becomes Gather by a list of one, and Squeeze."""

    id: ClassVar[str] = "gather-scalar-as-list"
    title: ClassVar[str] = "Gather by a scalar becomes Gather by a list of one, and Reshape"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("Gather",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("gather-int64-by-a-scalar", "gather-one-of-dynamic-shape")

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """A scalar, and known sizes with an axis to leave."""
        indices, shape = (sizes(graph.find(name or "")) for name in (op.inputs[1], op.inputs[0]))
        if indices != ():
            return Miss("its indices are no scalar")
        known = shape is not None and sizes(graph.find(op.outputs[0] or "")) is not None
        return op if known else Miss("its sizes are not all known")

    def apply(self, graph: Graph, found: Operator) -> None:
        """The axis stays until it is reshaped."""
        draft, name = Draft(graph, found), found.inputs[0] or ""
        shape = list(sizes(draft.find(name)) or ())
        shape[int(found.attrs.get("axis", 0))] = 1
        listed = reshape(draft, found.inputs[1] or "", (1,))
        dtype = draft.find(name).dtype
        picked = draft.value("Gather", (name, listed), dtype, tuple(shape), dict(found.attrs))
        after = sizes(draft.find(found.outputs[0] or "")) or ()
        target = integers(draft, after, "shape")
        draft.value("Reshape", (picked, target), dtype, after, to=found.outputs[0])
        draft.commit((found,))


class FlattenByReshape(Rewrite[Operator]):
    """Flatten becomes Reshape."""

    id: ClassVar[str] = "flatten-to-reshape"
    title: ClassVar[str] = "Flatten of a tensor with known sizes becomes Reshape"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("Flatten",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "neural-network-only", "ACL301")

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """Known sizes, none of them 0: Reshape takes that for the size of its input."""
        after = sizes(graph.find(op.outputs[0] or ""))
        if after is None:
            return Miss("its sizes are not all known")
        return Miss("it has no elements") if 0 in after else op

    def apply(self, graph: Graph, found: Operator) -> None:
        """The sizes of the result."""
        draft, source = Draft(graph, found), graph.tensor(found.inputs[0] or "")
        after = sizes(graph.tensor(found.outputs[0] or "")) or ()
        target = integers(draft, after, "shape")
        draft.value("Reshape", (source.name, target), source.dtype, after, to=found.outputs[0])
        draft.commit((found,))


@dataclass(frozen=True, slots=True)
class Along:
    """An operator on many dimensions that works along some: the view of its data, and the axes in it."""

    op: Operator
    view: tuple[int, ...]
    axes: tuple[int, ...]


class MovesOnViews(Rewrite[Along]):
    """Slice, Gather, Split or Squeeze on more than four dimensions works on a view."""

    id: ClassVar[str] = "moves-on-views"
    title: ClassVar[str] = "Slice, Gather, Split and Squeeze on more than four dimensions work on views"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("Slice", "Gather", "Split", "Squeeze", "Unsqueeze", "Flatten")
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL401", "ACL404", "slice-rank", "rank-of-1-to-4")

    def match(self, graph: Graph, op: Operator) -> Along | Miss:
        """Known sizes, and a view of few dimensions."""
        shape = sizes(graph.find(op.inputs[0] or ""))
        results = [sizes(graph.find(name)) for name in op.outputs if name]
        if shape is None or None in results or 0 in shape:
            return Miss("its sizes are not all known")
        rank = max(len(shape), *(len(result or ()) for result in results))
        if rank <= MOST_DIMS:
            return Miss("it has at most four dimensions")
        if op.type in ("Squeeze", "Unsqueeze", "Flatten"):
            return Along(op, (), ())
        worked = self.worked(graph, op, shape)
        if worked is None:
            return Miss("its bounds, or indices of several dimensions, are computed when the model runs")
        view, axes = _view(shape, worked)
        return Along(op, view, axes) if len(view) <= MOST_DIMS else Miss("it works along too many axes")

    def worked(self, graph: Graph, op: Operator, shape: tuple[int, ...]) -> list[int] | None:
        """The axes along which it does something."""
        if op.type != "Slice":
            indices = sizes(graph.find(op.inputs[1] or "")) if op.type == "Gather" else ()
            known = indices is not None and len(indices) < 2
            return [int(op.attrs.get("axis", 0)) % len(shape)] if known else None
        ranges = _ranges(graph, op, shape)
        if ranges is None or any(len(item) == 0 for item in ranges):
            return None
        return [axis for axis, item in enumerate(ranges) if item != range(shape[axis])]

    def apply(self, graph: Graph, found: Along) -> None:
        """View, the operator, and the shape of each result."""
        draft, op = Draft(graph, found.op), found.op
        if not found.view:
            name = op.inputs[0] or ""
            after = sizes(draft.find(op.outputs[0] or "")) or ()
            target = integers(draft, after, "shape")
            draft.value("Reshape", (name, target), draft.find(name).dtype, after, to=op.outputs[0])
        else:
            view = reshape(draft, op.inputs[0] or "", found.view)
            getattr(self, op.type.lower())(draft, op, view, found)
        draft.commit((op,))

    def slice(self, draft: Draft, op: Operator, view: str, found: Along) -> None:
        """The same bounds on the axes of the view."""
        shape = sizes(draft.find(op.inputs[0] or "")) or ()
        ranges = _ranges(draft.graph, op, shape) or []
        chosen = [item for axis, item in enumerate(ranges) if item != range(shape[axis])]
        after = list(found.view)
        for axis, item in zip(found.axes, chosen, strict=True):
            after[axis] = len(item)
        least = -(1 << 31)
        ends = [item.stop if item.step > 0 or item.stop >= 0 else least for item in chosen]
        lists = ([item.start for item in chosen], ends, found.axes, [item.step for item in chosen])
        bounds = [integers(draft, values, "bound") for values in lists]
        name = draft.value("Slice", (view, *bounds), draft.find(view).dtype, tuple(after))
        self.shaped(draft, name, op.outputs[0])

    def gather(self, draft: Draft, op: Operator, view: str, found: Along) -> None:
        """Along the axis of the view."""
        count = prod(sizes(draft.find(op.inputs[1] or "")) or ())
        indices = reshape(draft, op.inputs[1] or "", (count,))
        after = (*found.view[: found.axes[0]], count, *found.view[found.axes[0] + 1 :])
        attrs = {"axis": found.axes[0]}
        name = draft.value("Gather", (view, indices), draft.find(view).dtype, after, attrs)
        self.shaped(draft, name, op.outputs[0])

    def split(self, draft: Draft, op: Operator, view: str, found: Along) -> None:
        """Along the axis of the view."""
        axis, dtype = found.axes[0], draft.find(view).dtype
        old = int(op.attrs.get("axis", 0))
        parts: list[str | None] = []
        for name in op.outputs:
            shape = sizes(draft.find(name or "")) or ()
            after = (*found.view[:axis], shape[old], *found.view[axis + 1 :])
            parts.append(None if name is None else draft.tensor(dtype, after, stem="part"))
        draft.op("Split", (view, *op.inputs[1:]), parts, {**op.attrs, "axis": axis}, version=op.version)
        for part, name in zip(parts, op.outputs, strict=True):
            if part is not None:
                self.shaped(draft, part, name)

    def shaped(self, draft: Draft, name: str, to: str | None) -> None:
        """A value in the shape of a result."""
        after = sizes(draft.find(to or "")) or ()
        target = integers(draft, after, "shape")
        draft.value("Reshape", (name, target), draft.find(name).dtype, after, to=to)


def _view(shape: tuple[int, ...], worked: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Runs of axes along which nothing is done made one; where the others are then."""
    view: list[int] = []
    axes: list[int] = []
    free = False
    for axis, size in enumerate(shape):
        if axis in worked:
            axes.append(len(view))
            view.append(size)
        elif free:
            view[-1] *= size
        else:
            view.append(size)
        free = axis not in worked
    return tuple(view), tuple(axes)


REWRITES = (
    PadByGather(),
    SliceByGather(),
    SplitBySlices(),
    ExpandByTile(),
    RepeatByConcat(),
    DepthByRows(),
    GatherByList(),
    FlattenByReshape(),
    MovesOnViews(),
)
