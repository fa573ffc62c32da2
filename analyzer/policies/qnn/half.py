"""Partitions of float32 that the compiler of the HTP cannot finish for Hexagon v68 (1002): halves and full
floats that meet.

v68 computes some types in float16 only, some in whichever of the two widths their input has, and converts at
the edge of a partition but not within. What is known of a tensor inside of a partition: it is ``HALF``, it is
``FULL``, it is ``FREE``, which comes from the edge through operators that compute in both, or it is ``SOFT``,
which is computed from halves and becomes full where an operator that keeps halves from being handed on
(``Softmax``) reads it. How each type treats the width of its operands is in ``half.toml``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

from ...ir.graph import Graph, Operator
from ..base import Dropped
from ..onnxruntime.units import units
from ..tables import STANDARD, Book, Tables

FREE, HALF, SOFT, FULL = "free", "half", "soft", "full"
_NEEDS = ("needs", "needs-only")
"""Kinds that do not compile where what they read is full."""


def meeting(graph: Graph, partition: Sequence[str], tables: Tables = STANDARD) -> Dropped | None:
    """Whether an operator of the partition needs halves where full floats are computed."""
    integers = {id for id, unit in units(graph, tables).items() if unit.target.id in partition}
    book = tables["qnn/half"]
    first = _Widths(graph, book, frozenset(partition)).first(partition, integers)
    return None if first is None else book.dropped("full-floats-meet-halves")


class _Widths:
    """The widths of the tensors of one partition."""

    def __init__(self, graph: Graph, book: Book, inside: Set[str]) -> None:
        self.graph = graph
        self.inside = inside
        self.kinds = book.kinds("width")
        self.alone = book.types("first-operand")
        self.floats = book.types("floats")
        self.hands_on = book.types("hands-on")
        self.modulo = book.kinds("modulo")
        self.modulo_of = book.types("modulo-of")
        self.conjunction = book.types("no-full-bool")
        self.square = book.limit("half-exponent")

    def first(self, partition: Sequence[str], integers: Set[str]) -> str | None:
        """The first operator whose operands cannot be had in the width that it needs."""
        kinds: dict[str, str] = {}
        roots: dict[str, frozenset[str]] = {}
        needed: dict[str, str] = {}
        kept: set[str] = set()
        for id in partition:
            op = self.graph.op(id)
            if id in integers:
                continue
            names = list(self._data(op))
            kind, read = self._kind(op), [kinds.get(name, FREE) for name in names]
            made = self._made(op, kind, read)
            if made is None:
                return id
            soft = frozenset().union(*(roots.get(name, frozenset()) for name in names))
            if kind in ("frees-halves", "free"):
                kept |= soft
            elif kind in _NEEDS or HALF in read:
                needed.update(dict.fromkeys(soft, id))
            if made == SOFT and kind == "widens":
                soft |= {id}
            kinds.update((name, made) for name in op.outputs if name)
            roots.update((name, soft) for name in op.outputs if name and made == SOFT)
        return next((needed[root] for root in needed if root in kept), None)

    def _data(self, op: Operator) -> Iterator[str]:
        """The operands whose width counts."""
        for name in op.inputs[: 1 if op.type in self.alone else None]:
            if name:
                yield name

    def _made(self, op: Operator, kind: str, read: Sequence[str]) -> str | None:
        """What an operator makes of operands of these kinds; None where it cannot be compiled.

        Integers have no width here but for Mod: nothing that is compared with Mod of int64 goes to And, and
        Mod of int64 by a stored divisor is compiled of few results of the group.
        """
        dtype = self._dtype(op)
        modulo = self.modulo.get(dtype) if op.type == "Mod" else None
        if modulo is not None:
            return FULL if modulo == "full" and not self._divides_made(op) else None
        if op.type in self.conjunction and FULL in read:
            return None
        if dtype not in self.floats and op.type not in self.hands_on:
            return FREE if dtype != "float16" else HALF
        if kind in _NEEDS:
            return None if FULL in read else FREE if kind == "needs-only" else HALF
        if kind in ("half", "free", "full"):
            return kind
        return self._of_both(op, kind, read)

    def _divides_made(self, op: Operator) -> bool:
        """Whether a Mod by a stored divisor reads what another type computes in the group."""
        maker = self.graph.producer(op.inputs[0])
        if maker is None or maker.id not in self.inside or maker.type in self.modulo_of:
            return False
        return self.graph.constant(op.inputs[1]) is not None

    def _of_both(self, op: Operator, kind: str, read: Sequence[str]) -> str | None:
        """What is made by an operator that computes in either width."""
        joined = kind == "joins" and not self._last(op) and not self._read_within(op)
        if HALF in read or SOFT in read:
            return None if FULL in read and HALF in read and not joined else self._of_halves(op, kind, read)
        if kind == "joins" and FULL in read and FREE in read and not joined:
            return None
        return FULL if FULL in read or kind in ("widens", "apart") else FREE

    def _of_halves(self, op: Operator, kind: str, read: Sequence[str]) -> str:
        """What is made where an operand is in halves, or can be."""
        if kind in ("frees-halves", "apart"):
            return FREE if HALF in read or self._read_alone(op) else FULL
        if HALF in read:
            return SOFT if kind == "widens" else HALF
        free = [
            name
            for name, width in zip(self._data(op), read, strict=True)
            if width == FREE and self.graph.constant(name) is None
        ]
        return FULL if FULL in read or (kind != "joins" and free) else SOFT

    def _read_alone(self, op: Operator) -> bool:
        """Whether the result goes to one operator, which needs halves and reads constants beside it."""
        readers = self.graph.consumers(op.outputs[0])
        if len(readers) != 1 or self._kind(readers[0]) not in _NEEDS:
            return False
        return all(
            name == op.outputs[0] or self.graph.constant(name) is not None
            for name in readers[0].inputs
            if name
        )

    def _kind(self, op: Operator) -> str:
        """How an operator treats the width of its operands."""
        kind = self.kinds.get(op.type, "passes")
        if kind == "reduces":
            return self._reduces(op)
        if kind == "widens" and op.type == "Pow" and _number(self.graph, op.inputs[1]) == self.square:
            return "needs"
        if kind == "cuts":
            whole = _sizes(self.graph, op.inputs[0]) == _sizes(self.graph, op.outputs[0])
            return "passes" if whole else "frees-halves"
        if kind == "splits":
            return "frees-halves" if len(op.outputs) > 1 else "passes"
        if kind == "resizes":
            return "half" if op.attrs.get("mode", "nearest") != "nearest" else "passes"
        if kind == "casts":
            return "frees-halves" if any(self._reads_others(op)) else "passes"
        return "passes" if kind == "apart" and all(self._reads_others(op)) else kind

    def _reads_others(self, op: Operator) -> Iterator[bool]:
        """For each operand that is there, whether it is other than floats."""
        for tensor in self.graph.input_tensors(op):
            if tensor is not None:
                yield tensor.dtype not in self.floats

    def _dtype(self, op: Operator) -> str:
        """The dtype of the first result."""
        tensor = self.graph.find(op.outputs[0] or "")
        return tensor.dtype if tensor is not None else ""

    def _reduces(self, op: Operator) -> str:
        """Axes of one are nothing to reduce, and the mean of the last two is another operator than that of
        one.
        """
        sizes = _sizes(self.graph, op.inputs[0])
        axes = op.attrs.get("axes")
        stored = self.graph.constant(op.inputs[1]) if len(op.inputs) > 1 else None
        if stored is not None:
            axes = stored.numbers()
        if sizes is None:
            return "half"
        rank = len(sizes)
        found = {axis % rank for axis in (axes if axes is not None else range(rank))} if sizes else set()
        if all(sizes[axis] == 1 for axis in found):
            return "passes"
        return "apart" if op.type == "ReduceMean" and {rank - 1, rank - 2} <= found else "half"

    def _last(self, op: Operator) -> bool:
        """Whether tensors are joined along their last axis."""
        sizes = _sizes(self.graph, op.outputs[0])
        axis = op.attrs.get("axis", 0)
        return axis == -1 or (sizes is not None and axis == len(sizes) - 1)

    def _read_within(self, op: Operator) -> bool:
        return any(
            reader.id in self.inside for name in op.outputs if name for reader in self.graph.consumers(name)
        )


def _number(graph: Graph, name: str | None) -> float | None:
    stored = graph.constant(name)
    return float(stored.numbers()[0]) if stored is not None and stored.elements == 1 else None


def _sizes(graph: Graph, name: str | None) -> Sequence[object] | None:
    tensor = graph.find(name or "")
    return None if tensor is None else tensor.shape
