"""TFLite: the Fourier transform of a row, by products with sines and cosines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..draft import Draft
from ..engine import Miss, Promise, Rewrite
from ..views import sizes
from .operands import binary, ints, reshape, unary

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST = 1 << 21
"""Elements of the tables of sines and cosines together."""
PARTS = ("COMPLEX_ABS", "REAL", "IMAG")


@dataclass(frozen=True, slots=True)
class Spectrum:
    """A transform, the reshapes of its complex result, and what makes real numbers of it."""

    op: Operator
    length: int
    between: tuple[Operator, ...]
    readers: tuple[Operator, ...]


class FourierByProduct(Rewrite[Spectrum]):
    """RFFT2D over rows becomes two FULLY_CONNECTED, with a table of cosines and one of sines."""

    id: ClassVar[str] = "rfft-to-products"
    title: ClassVar[str] = (
        "RFFT2D of rows, read by COMPLEX_ABS, REAL or IMAG, becomes FULLY_CONNECTED with cosines and sines"
    )
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("RFFT2D",)
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = ("ACL201",)

    def match(self, graph: Graph, op: Operator) -> Spectrum | Miss:
        """One row at a time, of a known length, whose spectrum is not itself a result."""
        shape, lengths = sizes(graph.find(op.inputs[0] or "")), ints(graph, op.inputs[1])
        if shape is None or lengths is None or len(lengths) != 2 or len(shape) < 2:
            return Miss("its sizes or lengths are not all known")
        if lengths[0] != 1 or shape[-2] != 1:
            return Miss("it transforms columns too")
        if lengths[1] * (lengths[1] // 2 + 1) * 2 > LARGEST:
            return Miss(f"rows of {lengths[1]} need tables that are too large")
        between, readers = _readers(graph, op.outputs[0] or "")
        fits = readers and all(
            reader.type in PARTS and graph.tensor(reader.outputs[0] or "").dtype == "float32"
            for reader in readers
        )
        return Spectrum(op, lengths[1], between, readers) if fits else Miss("its spectrum is read as it is")

    def apply(self, graph: Graph, found: Spectrum) -> None:
        """A product for each part that is read."""
        draft = Draft(graph, found.op)
        x = found.op.inputs[0] or ""
        shape = sizes(graph.tensor(x)) or ()
        kinds = {reader.type for reader in found.readers}
        wanted = [name for name in PARTS[1:] if name in kinds or PARTS[0] in kinds]
        tables = dict(zip(PARTS[1:], _tables(shape[-1], found.length), strict=True))
        made = {name: _product(draft, x, shape, tables[name]) for name in wanted}
        if PARTS[0] in kinds:
            after = sizes(draft.find(next(iter(made.values())))) or ()
            real, imaginary = (binary(draft, "MUL", made[name], made[name], after) for name in PARTS[1:])
            made[PARTS[0]] = unary(draft, "SQRT", binary(draft, "ADD", real, imaginary, after))
        for reader in found.readers:
            result = graph.tensor(reader.outputs[0] or "")
            reshape(draft, made[reader.type], sizes(result) or (), to=result.name)
        draft.commit((found.op, *found.between, *found.readers))


def _readers(graph: Graph, name: str) -> tuple[tuple[Operator, ...], tuple[Operator, ...]]:
    """Reshapes of a value, and what reads it behind them; nothing where it is an output."""
    between: list[Operator] = []
    ends: list[Operator] = []
    todo = [name]
    while todo:
        at = todo.pop()
        if at in graph.outputs:
            return (), ()
        for reader in graph.consumers(at):
            known = sizes(graph.find(reader.outputs[0] or "")) is not None
            if reader.type in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS") and known:
                between.append(reader)
                todo.append(reader.outputs[0] or "")
            else:
                ends.append(reader)
    return tuple(between), tuple(ends)


def _tables(size: int, length: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """[bins, size] cosines, and sines of the opposite sign; of a row that is cut or filled with zeros."""
    import numpy as np

    rows = min(size, length)
    angle = -2 * np.pi * np.outer(np.arange(length // 2 + 1), np.arange(rows)) / length
    full = [np.zeros((length // 2 + 1, size), np.float32) for _ in range(2)]
    full[0][:, :rows], full[1][:, :rows] = np.cos(angle), np.sin(angle)
    return full[0], full[1]


def _product(draft: Draft, x: str, shape: tuple[int, ...], table: NDArray[Any]) -> str:
    weights = draft.constant(table, "float32", "table")
    return draft.value(
        "FULLY_CONNECTED",
        (x, weights, None),
        "float32",
        (*shape[:-1], len(table)),
        {"keep_num_dims": True},
        version=2,
    )


REWRITES = (FourierByProduct(),)
