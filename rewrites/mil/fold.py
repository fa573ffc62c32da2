"""Constant folding in ML Programs: what shapes, indices and counters are computed with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ...analyzer.errors import GraphError
from ...analyzer.ir.graph import Graph, Operator
from ..draft import constant_of
from ..engine import Miss, Promise, Rewrite
from ..folding import GROWTH, LARGEST, Fold, Known
from .operands import given, shape_of
from .values import EVALUATORS, evaluate

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FoldMil(Fold):
    """An operator whose inputs are all constants becomes its result."""

    id: ClassVar[str] = "fold-constants-mil"
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = tuple(EVALUATORS)
    plain: ClassVar[frozenset[str]] = frozenset(
        ("float32", "float16", "int32", "bool", "int16", "uint16", "int8", "uint8")
    )

    def objection(self, graph: Graph, found: Known) -> str | None:
        """Size, and results whose dtype or sizes are not those that the program says."""
        promised = sum(tensor.nbytes or 0 for tensor in graph.output_tensors(found.op) if tensor is not None)
        if found.nbytes > LARGEST or promised > found.nbytes + GROWTH:
            return f"the file would have to carry {max(found.nbytes, promised) >> 20} MB"
        return None

    def results(self, graph: Graph, found: Known) -> list[NDArray[Any]]:
        """By numpy."""
        import numpy as np

        values = {
            name: const.read()
            for name, const in zip(found.op.inputs, found.inputs, strict=True)
            if name is not None and const is not None
        }
        made = evaluate(found.op, values.get)
        if made is None:
            raise GraphError(f"{found.op.type} cannot be evaluated")
        told = graph.tensor(found.op.outputs[0] or "").dtype
        return [made if told == "unknown" else made.astype(np.dtype(told))]


class FoldShapeMil(Rewrite[Operator]):
    """The shape of a value of known sizes becomes a constant."""

    id: ClassVar[str] = "fold-shape-mil"
    title: ClassVar[str] = "The shape of a value with known sizes becomes a constant"
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = ("shape",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """Every size is known."""
        if shape_of(graph, given(op, "x")) is None or op.outputs[0] in graph.outputs:
            return Miss("the sizes of its input are not all known, or it is an output of the graph")
        return op

    def apply(self, graph: Graph, found: Operator) -> None:
        """An integer list."""
        import numpy as np

        name = found.outputs[0] or ""
        shape = shape_of(graph, given(found, "x")) or ()
        graph.fold(found, {name: constant_of(np.array(shape, np.dtype(graph.tensor(name).dtype)))})


REWRITES = (FoldMil(), FoldShapeMil())
