"""TFLite: composites by what they are made of, and StableHLO's element-wise operators as TFLite's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..draft import Draft
from ..engine import Miss, Promise, Rewrite
from ..views import sizes
from .loops import copied
from .operands import reshape

BUILTIN = {
    "STABLEHLO_ADD": "ADD",
    "STABLEHLO_MULTIPLY": "MUL",
    "STABLEHLO_MAXIMUM": "MAXIMUM",
    "STABLEHLO_MINIMUM": "MINIMUM",
}
"""Those that LiteRT has kernels for. Source: LiteRT, tflite/core/kernels/register.cc."""
DTYPES = ("float32", "int32", "int64")
"""Of the kernels of both. Source: LiteRT, tflite/kernels/{stablehlo_add,add,mul,maximum_minimum}.cc."""


@dataclass(frozen=True, slots=True)
class Composed:
    """A composite and the subgraph that computes the same."""

    op: Operator
    body: Graph


class CompositeInlined(Rewrite[Composed]):
    """A composite becomes its decomposition."""

    id: ClassVar[str] = "composite-inlined"
    title: ClassVar[str] = "STABLEHLO_COMPOSITE becomes the operators of its decomposition"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("STABLEHLO_COMPOSITE",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL405", "ACL502", "ACL504", "ACL702")

    def match(self, graph: Graph, op: Operator) -> Composed | Miss:
        """The file has the decomposition, with as many operands, and results of known sizes."""
        body = next(iter(op.graphs.values()), None)
        if body is None or len(body.inputs) != len(op.inputs) or len(body.outputs) != len(op.outputs):
            return Miss("the file has no decomposition that fits it")
        if any(inner.graphs for inner in body.ops()):
            return Miss("its decomposition calls others")
        if any(name is None for name in op.inputs):
            return Miss("an operand is left out")
        known = all(sizes(graph.find(name or "")) is not None for name in op.outputs)
        return Composed(op, body) if known else Miss("the sizes of its results are not all known")

    def apply(self, graph: Graph, found: Composed) -> None:
        """Its operators on the operands."""
        draft = Draft(graph, found.op)
        ends = copied(draft, found.body, [name or "" for name in found.op.inputs], {})
        for name, to in zip(ends, found.op.outputs, strict=True):
            if to is not None:
                reshape(draft, name, sizes(graph.tensor(to)) or (), to=to)
        draft.commit((found.op,))


class StablehloAsBuiltin(Rewrite[Operator]):
    """An element-wise operator of StableHLO becomes TFLite's own."""

    id: ClassVar[str] = "stablehlo-to-builtin"
    title: ClassVar[str] = "STABLEHLO_ADD, MULTIPLY, MAXIMUM and MINIMUM become ADD, MUL, MAXIMUM and MINIMUM"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = tuple(BUILTIN)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL202")

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """A dtype that both compute."""
        result = graph.tensor(op.outputs[0] or "")
        return op if result.dtype in DTYPES and result.quant is None else Miss(f"it is on {result.dtype}")

    def apply(self, graph: Graph, found: Operator) -> None:
        """The same operands."""
        draft = Draft(graph, found)
        result = graph.tensor(found.outputs[0] or "")
        type = BUILTIN[found.type]
        draft.value(type, found.inputs, result.dtype, result.shape, to=result.name)
        draft.commit((found,))


REWRITES = (CompositeInlined(), StablehloAsBuiltin())
