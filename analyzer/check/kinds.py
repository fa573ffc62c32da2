"""Operators that no local condition of a pack can tell apart: one of them is judged for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...rules.subjects import Reach

if TYPE_CHECKING:
    from collections.abc import Hashable

    from ..ir.graph import Graph, Operator


@dataclass(eq=False, slots=True)
class Kind:
    """Operators of one graph that do not differ in anything within ``reach``."""

    reach: Reach


class Kinds:
    """The kinds of the operators of one graph, found as they are asked for."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._of: dict[str, Kind] = {}
        self._known: dict[Hashable, Kind] = {}
        self._numbers: dict[Hashable, int] = {}
        self._tensors: dict[str, int] = {}
        self._quantized: set[int] = set()

    def of(self, op: Operator) -> Kind:
        """The kind of an operator."""
        found = self._of.get(op.id)
        if found is None:
            found = self._of[op.id] = self._find(op)
        return found

    def _find(self, op: Operator) -> Kind:
        known, describe = self._tensors, self._describe
        tensors = [
            0 if name is None else known[name] if name in known else describe(name)
            for name in (*op.inputs, None, *op.outputs)
        ]
        quantized = not self._quantized.isdisjoint(tensors)
        reach = Reach.LOCAL if quantized else Reach.QUANTIZED
        arity = len(op.inputs)
        seen = (
            op.type, op.domain, op.version, arity, tuple(tensors), tuple(op.attrs.items()), tuple(op.graphs),
        )  # fmt: skip
        try:
            found = self._known.get(seen)
        except TypeError:  # an attribute that cannot be hashed
            return Kind(reach)
        if found is None:
            found = self._known[seen] = Kind(reach)
        return found

    def _describe(self, name: str) -> int:
        """A number for what local conditions see of a tensor."""
        graph = self.graph
        tensor = graph.find(name)
        if tensor is None:
            seen: Hashable = None
        else:
            constant = tensor.const is not None or graph.constant(name) is not None
            quant = tensor.quant
            scheme = None if quant is None else (quant.scheme, quant.axis)
            seen = (tensor.dtype, tensor.shape, constant, scheme, tensor.attrs.get("kind"))
        number = self._numbers.setdefault(seen, len(self._numbers) + 1)
        self._tensors[name] = number
        if tensor is not None and tensor.quant is not None:
            self._quantized.add(number)
        return number
