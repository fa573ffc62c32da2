"""Waves over what onnxsim's simplifier leaves: shape arithmetic is computed, and some patterns are one
operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...formats.onnx.node import infer_outputs
from ...ir.facts import Facts
from ...ir.graph import Constant, Graph, Operator, Shape, Tensor
from ...ir.view import edited
from ..alternating import Alternating
from ..folded_values import MOST, NATIVE, value_of
from ..tables import Book, WithTables
from .fusions import seen_fused


class OnnxSim(WithTables, Alternating):
    """``Waves`` of a converter that simplifies the model first: what it computes ahead of time counts as
    supported.
    """

    def view(self, graph: Graph, options: Mapping[str, Any]) -> Graph:
        """The graph without what is computed ahead of time, its results as constants, whose values are known
        where they make shapes.

        Shapes that follow from those values are filled in: onnx's own inference does not follow every
        operator. The last operator of what is fused is shown as the fused one.
        """
        ahead = Ahead(graph, self.tables["onnxsim/policy"])
        ops = {op.id: ahead.shown(op) for op in graph.ops()}
        seen = edited(graph, ops, map(ahead.tensor, graph.tensors.values()))
        if seen is not graph:
            seen.facts = ahead.facts()
        return seen_fused(seen, self.tables["onnxsim/fusions"])


class Ahead:
    """One walk in file order: what reads nothing but constants and shapes that are fixed, and the shapes that
    follow.
    """

    def __init__(self, graph: Graph, book: Book) -> None:
        self.graph = graph
        self.dequantizes = book.types("dequantizes")
        self.kept_types = book.types("not-folded") | self.dequantizes
        self.domains = book.types("folded-domains")
        self.measures = book.types("measures")
        self.done: set[str] = set()
        self.known: dict[str, Constant] = {}
        self.kept: set[str] = set()
        self.measured: set[str] = set()
        self.shapes: dict[str, Shape] = {}
        for op in graph.ops():
            if self._is_ahead(op):
                self._fold(op)
            else:
                self._infer(op)
                if op.type in self.dequantizes and all(
                    self._constant(name) is not None for name in op.inputs if name
                ):
                    self.kept.update(name for name in op.outputs if name)  # coremltools evaluates it

    def tensor(self, tensor: Tensor) -> Tensor:
        """The tensor with what was learned of it."""
        shape = self.shapes.get(tensor.name, tensor.shape)
        folded = self.known.get(tensor.name)
        if folded is not None:
            return replace(tensor, shape=shape, const=folded)
        if tensor.name in self.kept:
            return replace(tensor, shape=shape, const=Constant("unknown", ()))
        return tensor if shape is tensor.shape else replace(tensor, shape=shape)

    def facts(self) -> Facts:
        """What was learned of the tensors of this graph; each is told once, the first that holds."""
        own = self.graph.tensors.keys()
        folded = own & self.known.keys()
        dequantized = own & self.kept - folded
        return replace(
            self.graph.facts,
            folded=frozenset(folded),
            dequantized=frozenset(dequantized),
            measured=frozenset(own & self.measured - folded - dequantized),
        )

    def shown(self, op: Operator) -> Operator | None:
        """What is left of an operator: nothing when it is computed, unless an input has to get in."""
        if op.id not in self.done:
            return op if self.kept.isdisjoint(op.outputs) else replace(op, outputs=())
        reads_input = op.type in self.measures and op.inputs[0] in self.graph.inputs
        return replace(op, type="Shape", outputs=()) if reads_input else None

    def _is_ahead(self, op: Operator) -> bool:
        if (
            not op.inputs
            or op.type == "Constant"
            or op.graphs
            or (op.domain or "ai.onnx") not in self.domains
            or op.type in self.kept_types
        ):
            return False
        return self._static(op) is not None or all(
            self._constant(name) is not None for name in op.inputs if name
        )

    def _static(self, op: Operator) -> Shape:
        """The shape of what a Shape or a Size reads, when it is fixed."""
        if op.type not in self.measures or not op.inputs[0]:
            return None
        tensor = self._find(op.inputs[0])
        return tensor.shape if tensor is not None and tensor.static else None

    def _fold(self, op: Operator) -> None:
        self.done.add(op.id)
        self.measured.update(name for name in op.inputs if name and self._static(op) is not None)
        values = [self._constant(name) for name in op.inputs]
        for name in op.outputs:
            tensor = self.graph.find(name) if name else None
            if name and tensor is not None:
                shape = self._static(op)
                value = value_of(op, [] if shape is not None else values, shape, tensor.dtype)
                self.known[name] = value or Constant("unknown", ())
                if value is not None:
                    self.shapes[name] = value.shape

    def _infer(self, op: Operator) -> None:
        opened = [
            name
            for name in op.outputs
            if name and (found := self.graph.find(name)) is not None and not found.static
        ]
        inputs = {name: tensor for name in op.inputs if name and (tensor := self._find(name)) is not None}
        if not opened or len(inputs) != len({name for name in op.inputs if name}):
            return
        values = {
            name: value
            for name in inputs
            if (value := self._constant(name)) is not None and _may_be_read(value)
        }
        told = infer_outputs(op, inputs, values, self.graph.opsets)
        self.shapes.update({name: told[name] for name in opened if name in told})

    def _find(self, name: str) -> Tensor | None:
        tensor = self.graph.find(name)
        return None if tensor is None else self.tensor(tensor)

    def _constant(self, name: str | None) -> Constant | None:
        return None if name is None else self.known.get(name) or self.graph.constant(name)


def _may_be_read(value: Constant) -> bool:
    return value.dtype in NATIVE and value.elements <= MOST


POLICIES = {"": OnnxSim}
