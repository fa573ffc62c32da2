"""TFLite: lookups by computed or batched positions, and what is scattered to them, by lists of rows and
products; weights that are stored sparsely.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from ...analyzer.ir.graph import Constant, Graph, Operator
from ..draft import Draft
from ..engine import Miss, Promise, Rewrite
from ..views import sizes
from .operands import axis_of, binary, integers, ints, moves, reshape

LARGEST = 1 << 20
"""Elements of a table of zeros and ones."""
LARGEST_DENSE = 1 << 27
"""Bytes of weights that are written out."""


def as_int32(draft: Draft, name: str) -> str:
    """Positions as int32: a constant of them, or a CAST; they count elements, which int32 holds."""
    import numpy as np

    source = draft.find(name)
    if source.dtype == "int32":
        return name
    stored = ints(draft.graph, name)
    if stored is not None:
        return draft.constant(np.array(stored, np.int32).reshape(sizes(source) or ()), "int32", "positions")
    attrs = {"in_data_type": source.dtype.upper(), "out_data_type": "INT32"}
    return draft.value("CAST", (name,), "int32", source.shape, attrs)


@dataclass(frozen=True, slots=True)
class Rows:
    """A lookup: sizes of its data, of its positions and of its result, and the first axis of the rows."""

    op: Operator
    before: tuple[int, ...]
    positions: tuple[int, ...]
    after: tuple[int, ...]
    axis: int


class GatherInBatches(Rewrite[Rows]):
    """GATHER with batch dimensions becomes one of all rows, whose positions count the batches before."""

    id: ClassVar[str] = "gather-in-batches"
    title: ClassVar[str] = (
        "GATHER with batch dimensions becomes GATHER of all rows at positions moved by batch"
    )
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("GATHER",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = (
        "ACL201",
        "ACL401",
        "ACL404",
        "ACL405",
        "ACL501",
        "ACL502",
        "ACL505",
    )

    def match(self, graph: Graph, op: Operator) -> Rows | Miss:
        """Known sizes, batches in front, and the positions along the axis behind them."""
        found = moves(graph, op)
        if isinstance(found, str):
            return Miss(found)
        batches = int(op.attrs.get("batch_dims") or 0)
        indices = graph.find(op.inputs[1] or "")
        positions, axis = sizes(indices), axis_of(graph, op, len(found[2]))
        if indices is None or positions is None or axis is None or indices.dtype not in ("int32", "int64"):
            return Miss("the sizes of its positions, or its axis, are not known")
        if not 0 < batches <= len(positions) or axis != batches:
            return Miss("it has no batch dimensions, or works behind other axes")
        return Rows(op, found[2], positions, found[3], axis)

    def apply(self, graph: Graph, found: Rows) -> None:
        """Rows of all batches one after the other."""
        import numpy as np

        draft, op = Draft(graph, found.op), found.op
        batches, size = prod(found.before[: found.axis]), found.before[found.axis]
        count = prod(found.positions[found.axis :])
        rest = found.before[found.axis + 1 :]
        offsets = (np.arange(batches, dtype=np.int32) * size).reshape(-1, 1).repeat(count, 1)
        stored = ints(graph, op.inputs[1])
        if stored is not None:
            flat = integers(draft, np.array(stored, np.int32) + offsets.reshape(-1), "rows")
        else:
            name = reshape(draft, as_int32(draft, op.inputs[1] or ""), (batches * count,))
            moved = draft.constant(offsets.reshape(-1), "int32", "offsets")
            flat = draft.value("ADD", (name, moved), "int32", (batches * count,))
        view = reshape(draft, op.inputs[0] or "", (batches * size, prod(rest)))
        source = draft.find(view)
        after = (batches * count, prod(rest))
        name = draft.value("GATHER", (view, flat), source.dtype, after, {"axis": 0}, quant=source.quant)
        reshape(draft, name, found.after, to=op.outputs[0])
        draft.commit((op,))


class PositionsAs32(Rewrite[Operator]):
    """GATHER and GATHER_ND by 64-bit positions take 32-bit ones."""

    id: ClassVar[str] = "positions-int32"
    title: ClassVar[str] = "GATHER and GATHER_ND by int64 positions take them as int32"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("GATHER", "GATHER_ND")
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL301", "gathered-by-int64", "ACL502")

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """int64."""
        positions = graph.find(op.inputs[1] or "")
        known = positions is not None and positions.dtype == "int64"
        return op if known else Miss("its positions are int32 already")

    def apply(self, graph: Graph, found: Operator) -> None:
        """A constant, or a CAST."""
        draft = Draft(graph, found)
        positions = as_int32(draft, found.inputs[1] or "")
        draft.keep(found, inputs=(found.inputs[0], positions))
        draft.commit((found,))


class GatherNdByRow(Rewrite[Rows]):
    """GATHER_ND by computed positions becomes GATHER of rows that are counted."""

    id: ClassVar[str] = "gather-nd-by-row"
    title: ClassVar[str] = "GATHER_ND by computed positions becomes GATHER of rows, numbered by MUL and SUM"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("GATHER_ND",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    after: ClassVar[tuple[str, ...]] = ("gather-nd-to-gather",)
    answers: ClassVar[tuple[str, ...]] = ("ACL201",)

    def match(self, graph: Graph, op: Operator) -> Rows | Miss:
        """Known sizes, and positions that are computed."""
        found = moves(graph, op)
        if isinstance(found, str):
            return Miss(found)
        positions = sizes(graph.find(op.inputs[1] or ""))
        if positions is None or not positions or not prod(positions):
            return Miss("the sizes of its positions are not known, or it has none")
        if graph.constant(op.inputs[1]) is not None:
            return Miss("its positions are stored")
        return Rows(op, found[2], positions, found[3], positions[-1])

    def apply(self, graph: Graph, found: Rows) -> None:
        """Number the rows, and pick them."""
        draft, op = Draft(graph, found.op), found.op
        numbers = row_numbers(draft, op.inputs[1] or "", found.positions, found.before[: found.axis])
        count, rest = prod(found.positions[:-1]), prod(found.before[found.axis :])
        view = reshape(draft, op.inputs[0] or "", (prod(found.before[: found.axis]), rest))
        source = draft.find(view)
        name = draft.value(
            "GATHER", (view, numbers), source.dtype, (count, rest), {"axis": 0}, quant=source.quant
        )
        reshape(draft, name, found.after, to=op.outputs[0])
        draft.commit((op,))


def row_numbers(draft: Draft, name: str, shape: tuple[int, ...], lead: tuple[int, ...]) -> str:
    """Positions along the leading axes as numbers of rows, as a list."""
    import numpy as np

    count = prod(shape[:-1])
    flat = as_int32(draft, name)
    if len(lead) == 1:
        return reshape(draft, flat, (count,))
    steps = np.array([prod(lead[axis + 1 :]) for axis in range(len(lead))], np.int32)
    table = reshape(draft, flat, (count, len(lead)))
    scaled = draft.value("MUL", (table, integers(draft, steps, "steps")), "int32", (count, len(lead)))
    return draft.value("SUM", (scaled, integers(draft, [1])), "int32", (count,), {"keep_dims": False})


class ScatterByProduct(Rewrite[Rows]):
    """SCATTER_ND of floats becomes a product with zeros and ones."""

    id: ClassVar[str] = "scatter-to-product"
    title: ClassVar[str] = "SCATTER_ND of float32 becomes BATCH_MATMUL of zeros and ones with the rows"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("SCATTER_ND",)
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = ("ACL201",)

    def match(self, graph: Graph, op: Operator) -> Rows | Miss:
        """Known sizes, float32 rows, and a table that is not large."""
        positions, rows = (sizes(graph.find(name or "")) for name in op.inputs[:2])
        result, shape = graph.find(op.outputs[0] or ""), ints(graph, op.inputs[2])
        if positions is None or rows is None or shape is None or result is None or not prod(positions):
            return Miss("its sizes are not all known")
        if result.dtype != "float32":
            return Miss("it is not on float32")
        if graph.tensor(op.inputs[0] or "").dtype != "int32":
            return Miss("its positions are not int32")
        axis = positions[-1]
        if prod(shape[:axis]) * prod(positions[:-1]) > LARGEST:
            return Miss("its table of zeros and ones would be too large")
        return Rows(op, rows, positions, tuple(shape), axis)

    def apply(self, graph: Graph, found: Rows) -> None:
        """A row of the result is the sum of those that are sent to it."""
        import numpy as np

        draft, op = Draft(graph, found.op), found.op
        lead = found.after[: found.axis]
        numbers = row_numbers(draft, op.inputs[0] or "", found.positions, lead)
        rows, count, rest = prod(lead), prod(found.positions[:-1]), prod(found.after[found.axis :])
        wide = reshape(draft, numbers, (1, count))
        order = draft.constant(np.arange(rows, dtype=np.int32).reshape(rows, 1), "int32", "order")
        same = draft.value("EQUAL", (wide, order), "bool", (rows, count))
        attrs = {"in_data_type": "BOOL", "out_data_type": "FLOAT32"}
        table = draft.value("CAST", (same,), "float32", (rows, count), attrs)
        values = reshape(draft, op.inputs[1] or "", (count, rest))
        name = binary(draft, "BATCH_MATMUL", table, values, (rows, rest))
        reshape(draft, name, found.after, to=op.outputs[0])
        draft.commit((op,))


@dataclass(frozen=True, slots=True)
class Dense:
    """A DENSIFY and its weights as they are meant."""

    op: Operator
    value: Constant


class DensifyToConstant(Rewrite[Dense]):
    """DENSIFY of stored weights becomes the weights."""

    id: ClassVar[str] = "densify-to-constant"
    title: ClassVar[str] = "DENSIFY of sparsely stored weights becomes the weights with their zeros"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("DENSIFY",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL201",)

    def match(self, graph: Graph, op: Operator) -> Dense | Miss:
        """They are in the file."""
        result, const = graph.find(op.outputs[0] or ""), graph.constant(op.inputs[0])
        if const is None or result is None:
            return Miss("its weights are computed when the model runs")
        if result.name in graph.outputs:
            return Miss("its result is an output of the graph")
        if (result.nbytes or 0) > LARGEST_DENSE:
            return Miss(f"the file would have to carry {(result.nbytes or 0) >> 20} MB")
        return Dense(op, const)

    def apply(self, graph: Graph, found: Dense) -> None:
        """Zeros and all."""
        graph.fold(found.op, {found.op.outputs[0] or "": found.value})


REWRITES = (GatherInBatches(), PositionsAs32(), GatherNdByRow(), ScatterByProduct(), DensifyToConstant())
