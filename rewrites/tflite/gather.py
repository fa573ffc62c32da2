"""TFLite: GATHER and GATHER_ND as GATHER with a list of indices, SLICE and RESHAPE."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..draft import Draft
from ..engine import Miss, Promise, Rewrite
from ..views import sizes
from .operands import axis_of, integers, ints, moves, reshape, take


@dataclass(frozen=True, slots=True)
class Picked:
    """A gather along one axis; ``indices`` when they are constant."""

    op: Operator
    axis: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    indices: list[int] | None
    count: int


class GatherByList(Rewrite[Picked]):
    """GATHER whose indices are no list becomes SLICE or a GATHER with a list, and RESHAPE."""

    id: ClassVar[str] = "gather-by-list"
    title: ClassVar[str] = (
        "GATHER with a scalar, a range or a table of indices becomes SLICE, or GATHER with a "
        "list, and RESHAPE"
    )
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("GATHER",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = (
        "ACL201",
        "ACL301",
        "ACL401",
        "ACL402",
        "ACL404",
        "ACL405",
        "ACL501",
        "ACL502",
        "ACL505",
    )

    def match(self, graph: Graph, op: Operator) -> Picked | Miss:
        """Shapes are known, there are no batch dimensions, and the indices are no plain list already."""
        found = moves(graph, op)
        if isinstance(found, str):
            return Miss(found)
        if op.attrs.get("batch_dims"):
            return Miss("it has batch dimensions")
        axis = axis_of(graph, op, len(found[2]))
        indices = graph.find(op.inputs[1] or "")
        shape = sizes(indices)
        if axis is None or indices is None or shape is None:
            return Miss("its axis or the shape of its indices is not known")
        values = ints(graph, indices.name)
        if values is not None and any(not 0 <= value < found[2][axis] for value in values):
            return Miss("an index is outside the data")
        ranged = values is not None and values == list(range(values[0], values[0] + len(values)))
        if len(shape) == 1 and not ranged and len(found[2]) <= 4:
            return Miss("its indices are a list already")
        return Picked(op, axis, found[2], found[3], values, prod(shape))

    def apply(self, graph: Graph, found: Picked) -> None:
        """View the data as [lead, axis, rest], pick, and shape the result."""
        draft = Draft(graph, found.op)
        data, indices = found.op.inputs[0] or "", found.op.inputs[1] or ""
        lead, size, rest = (
            prod(found.before[: found.axis]),
            found.before[found.axis],
            prod(found.before[found.axis + 1 :]),
        )
        values = found.indices
        wide = len(found.before) > 4
        shape = (1, lead, size, rest) if wide else found.before
        axis = 2 if wide else found.axis
        view = reshape(draft, data, shape)
        result = (*shape[:axis], found.count, *shape[axis + 1 :])
        if values is not None and values == list(range(values[0], values[0] + len(values))):
            begin = [values[0] if place == axis else 0 for place in range(len(shape))]
            name = take(draft, view, begin, result)
        else:
            flat = (
                integers(draft, values, "indices")
                if values is not None
                else reshape(draft, indices, (found.count,))
            )
            source = draft.find(view)
            name = draft.value(
                "GATHER", (view, flat), source.dtype, result, {"axis": axis}, quant=source.quant
            )
        reshape(draft, name, found.after, to=found.op.outputs[0])
        draft.commit((found.op,))


class GatherNdByList(Rewrite[Picked]):
    """GATHER_ND with constant indices becomes GATHER, or SLICE, along one merged axis."""

    id: ClassVar[str] = "gather-nd-to-gather"
    title: ClassVar[str] = (
        "GATHER_ND with constant indices becomes SLICE, or GATHER along the merged leading "
        "dimensions, and RESHAPE"
    )
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("GATHER_ND",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL301", "ACL401", "ACL405", "ACL502")

    def match(self, graph: Graph, op: Operator) -> Picked | Miss:
        """Constant indices, each within the data."""
        found = moves(graph, op)
        if isinstance(found, str):
            return Miss(found)
        values, shape = ints(graph, op.inputs[1]), sizes(graph.find(op.inputs[1] or ""))
        if values is None or not shape or not shape[-1]:
            return Miss("its indices are computed when the model runs")
        depth = shape[-1]
        merged = []
        for row in range(len(values) // depth):
            index = values[row * depth : (row + 1) * depth]
            if any(not 0 <= value < size for value, size in zip(index, found[2], strict=False)):
                return Miss("an index is outside the data")
            flat = 0
            for value, size in zip(index, found[2], strict=False):
                flat = flat * size + value
            merged.append(flat)
        return Picked(op, depth, found[2], found[3], merged, len(merged))

    def apply(self, graph: Graph, found: Picked) -> None:
        """View the data as [merged, rest], pick rows, and shape the result."""
        draft = Draft(graph, found.op)
        rows, rest = prod(found.before[: found.axis]), prod(found.before[found.axis :])
        view = reshape(draft, found.op.inputs[0] or "", (1, 1, rows, rest))
        values = found.indices or []
        source = draft.find(view)
        if values == list(range(values[0], values[0] + len(values))):
            name = take(draft, view, (0, 0, values[0], 0), (1, 1, len(values), rest))
        else:
            flat = integers(draft, values, "indices")
            name = draft.value(
                "GATHER",
                (view, flat),
                source.dtype,
                (1, 1, len(values), rest),
                {"axis": 2},
                quant=source.quant,
            )
        reshape(draft, name, found.after, to=found.op.outputs[0])
        draft.commit((found.op,))


REWRITES = (GatherByList(), GatherNdByList())
