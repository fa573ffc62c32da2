"""Scatters and updates at places that are known: slices and joins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..engine import Miss, Promise, Rewrite
from .operands import (
    MilDraft,
    binary,
    concat,
    given,
    numbers,
    reshape,
    result,
    setting,
    shape_of,
    take,
    whole,
)


@dataclass(frozen=True, slots=True)
class Scattered:
    """Whole slices along an axis go to known positions."""

    op: Operator
    data: str
    updates: str
    axis: int
    places: tuple[int, ...]
    adds: bool


class ScatterAsJoin(Rewrite[Scattered]):
    """A scatter of whole slices to constant positions becomes slices of both, joined in order."""

    id: ClassVar[str] = "constant-scatter-to-join"
    title: ClassVar[str] = (
        "A scatter to constant positions becomes slices of data and updates, joined in order"
    )
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = ("scatter", "scatter_nd")
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = ("scatter-or-index-operator",)
    after: ClassVar[tuple[str, ...]] = ("float32-to-float16",)
    MOST = 256

    def match(self, graph: Graph, op: Operator) -> Scattered | Miss:
        """Distinct constant positions along one axis, and values that replace or are added."""
        data, updates = given(op, "data"), given(op, "updates")
        before, values = shape_of(graph, data), shape_of(graph, updates)
        indices, shape = whole(graph, op, "indices"), shape_of(graph, given(op, "indices"))
        if data is None or updates is None or before is None or values is None:
            return Miss("its sizes are not all known")
        if indices is None or shape is None:
            return Miss("its positions are computed")
        axis = int(setting(op, "axis", 0)) % len(before) if op.type == "scatter" else 0
        if (op.type == "scatter" and len(shape) != 1) or (
            op.type == "scatter_nd" and (len(shape) != 2 or shape[1] != 1)
        ):
            return Miss("its positions are not along one axis")
        mode = setting(op, "mode", "add")
        if mode not in ("update", "add"):
            return Miss(f"its mode is {mode}")
        places = tuple(index % before[axis] for index in indices)
        if len(set(places)) != len(places) or len(places) > self.MOST:
            return Miss("a position occurs twice, or there are too many")
        return Scattered(op, data, updates, axis, places, mode == "add")

    def apply(self, graph: Graph, found: Scattered) -> None:
        """One part a position that is written, and one for the positions between two of these."""
        draft, axis = MilDraft(graph, found.op), found.axis
        size = (shape_of(graph, found.data) or ())[axis]
        at = {place: index for index, place in enumerate(found.places)}
        parts, start = [], 0
        for place in sorted(at):
            if place > start:
                parts.append(take(draft, found.data, axis, start, place))
            part = take(draft, found.updates, axis, at[place], at[place] + 1)
            if found.adds:
                part = binary(draft, "add", take(draft, found.data, axis, place, place + 1), part)
            parts.append(part)
            start = place + 1
        if start < size:
            parts.append(take(draft, found.data, axis, start, size))
        draft.finish(concat(draft, parts, axis), result(found.op))
        draft.commit((found.op,))


@dataclass(frozen=True, slots=True)
class Updated:
    """A box of a value is replaced."""

    op: Operator
    x: str
    update: str
    box: tuple[tuple[int, int], ...]
    shape: tuple[int, ...]


class UpdateAsJoin(Rewrite[Updated]):
    """slice_update at constant positions becomes what lies before, the update, and what lies behind,
    joined.
    """

    id: ClassVar[str] = "slice-update-to-join"
    title: ClassVar[str] = (
        "slice_update at constant positions outside a state becomes slices around the update, joined"
    )
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = ("slice_update",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("slice-update-outside-a-state",)
    after: ClassVar[tuple[str, ...]] = ("float32-to-float16",)

    def match(self, graph: Graph, op: Operator) -> Updated | Miss:
        """Constant bounds and steps of 1."""
        x, update = given(op, "x"), given(op, "update")
        before, begin, end = shape_of(graph, x), whole(graph, op, "begin"), whole(graph, op, "end")
        if x is None or update is None or before is None or begin is None or end is None:
            return Miss("its sizes are not all known, or its bounds are computed")
        rank = len(before)
        if any(step != 1 for step in numbers(op, "stride", [1] * rank)):
            return Miss("it has steps")
        squeezed, first, last = (
            numbers(op, key, [0] * rank) for key in ("squeeze_mask", "begin_mask", "end_mask")
        )
        box = []
        for axis, size in enumerate(before):
            start = 0 if first[axis] else begin[axis] + (size if begin[axis] < 0 else 0)
            stop = size if last[axis] else end[axis] + (size if end[axis] < 0 else 0)
            box.append((start, start + 1 if squeezed[axis] else min(stop, size)))
        wanted = [stop - start for start, stop in box]
        given_shape = shape_of(graph, update)
        kept = [size for size, gone in zip(wanted, squeezed, strict=True) if not gone]
        if given_shape is None or list(given_shape) != kept:
            return Miss("its update does not fill the box")
        return Updated(op, x, update, tuple(box), before)

    def apply(self, graph: Graph, found: Updated) -> None:
        """From the first axis to the last: only the part that is updated is looked into."""
        draft = MilDraft(graph, found.op)
        update = reshape(draft, found.update, [stop - start for start, stop in found.box])
        made = self._within(draft, found.x, update, found.box, 0)
        draft.finish(made, result(found.op))
        draft.commit((found.op,))

    def _within(
        self, draft: MilDraft, x: str, update: str, box: tuple[tuple[int, int], ...], axis: int
    ) -> str:
        if axis == len(box):
            return update
        start, stop = box[axis]
        size = [dim for dim in draft.find(x).shape or () if isinstance(dim, int)][axis]
        parts = [take(draft, x, axis, 0, start)] if start else []
        parts.append(self._within(draft, take(draft, x, axis, start, stop), update, box, axis + 1))
        parts += [take(draft, x, axis, stop, size)] if stop < size else []
        return concat(draft, parts, axis)


REWRITES = (ScatterAsJoin(), UpdateAsJoin())
