"""ONNX: matrix products and normalizations in the form that accelerators take."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..draft import Draft
from ..engine import Miss, Promise, Rewrite
from ..views import sizes
from .operands import array_of, binary, floating, reshape, scalar


class PlainGemm(Rewrite[Operator]):
    """Gemm with alpha or beta other than 1 gets them in its constants, or as Mul."""

    id: ClassVar[str] = "gemm-without-factors"
    title: ClassVar[str] = "Gemm's alpha and beta move into its constant operands, or become Mul"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("Gemm",)
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = ("ACL501", "gemm-alpha", "gemm-beta")

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """Floats, and a factor that is not 1."""
        if floating(graph, op) is None:
            return Miss("it is not on floats")
        factors = (
            op.attrs.get("alpha", 1.0),
            op.attrs.get("beta", 1.0) if len(op.inputs) > 2 and op.inputs[2] else 1.0,
        )
        return Miss("its factors are 1") if factors == (1.0, 1.0) else op

    def apply(self, graph: Graph, found: Operator) -> None:
        """alpha goes to B and beta to C."""
        draft = Draft(graph, found)
        inputs = list(found.inputs)
        for index, factor in ((1, found.attrs.get("alpha", 1.0)), (2, found.attrs.get("beta", 1.0))):
            name = inputs[index] if index < len(inputs) else None
            if name is not None and factor != 1.0:
                inputs[index] = _scaled(draft, name, float(factor))
        attrs = {key: value for key, value in found.attrs.items() if key not in ("alpha", "beta")}
        draft.keep(found, inputs=tuple(inputs), attrs=attrs)
        draft.commit((found,))


def _scaled(draft: Draft, name: str, factor: float) -> str:
    source = draft.find(name)
    value = array_of(draft.graph, name)
    if value is None:
        return binary(draft, "Mul", name, scalar(draft, factor, source.dtype))
    return draft.constant((value * value.dtype.type(factor)).astype(value.dtype), source.dtype, "scaled")


@dataclass(frozen=True, slots=True)
class Trailing:
    """A LayerNormalization over several axes: rows times the elements that are normalized together."""

    op: Operator
    rows: int
    columns: int
    shape: tuple[int, ...]


class LayerNormOverLast(Rewrite[Trailing]):
    """LayerNormalization over several axes becomes one over the last axis of a view with two."""

    id: ClassVar[str] = "layer-norm-over-last-axis"
    title: ClassVar[str] = "LayerNormalization over several axes works on a view in which they are one"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("LayerNormalization",)
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = ("ACL404", "ACL501", "ACL405", "ACL401")

    def match(self, graph: Graph, op: Operator) -> Trailing | Miss:
        """Known sizes, more than one axis, weights of exactly these axes, and no statistics asked for."""
        shape = sizes(graph.find(op.inputs[0] or ""))
        if shape is None or 0 in shape:
            return Miss("its sizes are not all known")
        axis = int(op.attrs.get("axis", -1))
        start = axis % len(shape) if -len(shape) <= axis < len(shape) else len(shape)
        if start >= len(shape) - 1:
            return Miss("it normalizes the last axis alone already")
        if any(name and (graph.consumers(name) or name in graph.outputs) for name in op.outputs[1:]):
            return Miss("its statistics are read")
        for name in op.inputs[1:]:
            if name is not None and sizes(graph.find(name)) != shape[start:]:
                return Miss("its weights are broadcast")
        return Trailing(op, prod(shape[:start]), prod(shape[start:]), shape)

    def apply(self, graph: Graph, found: Trailing) -> None:
        """View, normalize, shape."""
        draft = Draft(graph, found.op)
        op = found.op
        view = (found.rows, found.columns)
        x = reshape(draft, op.inputs[0] or "", view)
        weights = [None if name is None else reshape(draft, name, (found.columns,)) for name in op.inputs[1:]]
        name = draft.value(
            "LayerNormalization", (x, *weights), draft.find(x).dtype, view, {**op.attrs, "axis": -1}
        )
        draft.finish(reshape(draft, name, found.shape), op.outputs[0] or "")
        draft.commit((op,))


REWRITES = (PlainGemm(), LayerNormOverLast())
