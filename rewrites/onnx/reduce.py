"""ONNX: reductions by pools, means and products, for accelerators that have those."""

from __future__ import annotations

from math import prod
from typing import ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..draft import Draft
from ..engine import Promise
from ..views import sizes
from .operands import binary, floating, ints, reduced, reshape, scalar, transpose, unary
from .parts import Parts


class Reduction(Parts):
    """A float32 reduction along known axes of a tensor of known sizes."""

    answers: ClassVar[tuple[str, ...]] = ("ACL201",)

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """Something is reduced, along axes that are constants."""
        shape = sizes(graph.find(op.inputs[0] or ""))
        if floating(graph, op) != "float32" or not shape or 0 in shape:
            return "it is not on float32 of known sizes"
        axes = ints(graph, op, 1, "axes")
        if axes is None:
            return "its axes are computed when the model runs"
        return "without axes it does nothing" if not axes and op.attrs.get("noop_with_empty_axes") else None


def axes_of(draft: Draft, op: Operator) -> list[int]:
    """The axes that are reduced, from the first; all where none are given."""
    rank = len(draft.find(op.inputs[0] or "").shape or ())
    return sorted(axis % rank for axis in ints(draft.graph, op, 1, "axes") or range(rank))


class ExtremeAsPool(Reduction):
    """ReduceMax becomes the largest of a window, and ReduceMin that of the negated values, negated."""

    id: ClassVar[str] = "extreme-to-pool"
    title: ClassVar[str] = "ReduceMax becomes GlobalMaxPool of a view, and ReduceMin that of -x, negated"
    root: ClassVar[tuple[str, ...]] = ("ReduceMax", "ReduceMin")
    parity: ClassVar[Promise] = Promise.BIT_EXACT

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """The reduced axes last, as the window of a view [1, rows, reduced, 1]."""
        shape = sizes(draft.find(x)) or ()
        axes = axes_of(draft, op)
        others = [axis for axis in range(len(shape)) if axis not in axes]
        rows, columns = prod(shape[axis] for axis in others), prod(shape[axis] for axis in axes)
        least = op.type == "ReduceMin"
        name = transpose(draft, unary(draft, "Neg", x) if least else x, [*others, *axes])
        name = reshape(draft, name, (1, rows, columns, 1))
        name = draft.value("GlobalMaxPool", (name,), dtype, (1, rows, 1, 1))
        after = [1 if axis in axes else size for axis, size in enumerate(shape)]
        if not op.attrs.get("keepdims", 1):
            after = [shape[axis] for axis in others]
        name = unary(draft, "Neg", name) if least else name
        return reshape(draft, name, after)


class SumAsMean(Reduction):
    """ReduceSum becomes a mean times the number of what is added."""

    id: ClassVar[str] = "sum-to-mean"
    title: ClassVar[str] = "ReduceSum becomes ReduceMean times the number of elements"
    root: ClassVar[tuple[str, ...]] = ("ReduceSum",)

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """In the order of the original's axes."""
        shape, axes = sizes(draft.find(x)) or (), axes_of(draft, op)
        mean = reduced(draft, "ReduceMean", x, axes, keep=bool(op.attrs.get("keepdims", 1)))
        return binary(draft, "Mul", mean, scalar(draft, float(prod(shape[axis] for axis in axes)), dtype))


class LengthParts(Reduction):
    """ReduceL2 becomes the square root of a sum of squares."""

    id: ClassVar[str] = "length-parts"
    title: ClassVar[str] = "ReduceL2 becomes Sqrt(ReduceSum(x * x))"
    root: ClassVar[tuple[str, ...]] = ("ReduceL2",)

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """As it is defined."""
        keep = bool(op.attrs.get("keepdims", 1))
        total = reduced(draft, "ReduceSum", binary(draft, "Mul", x, x), axes_of(draft, op), keep=keep)
        return unary(draft, "Sqrt", total)


class LogSumExpParts(Reduction):
    """ReduceLogSumExp, and LogSoftmax, become exponentials of what is left of the largest value."""

    id: ClassVar[str] = "log-sum-exp-parts"
    title: ClassVar[str] = (
        "ReduceLogSumExp and LogSoftmax become Exp, ReduceSum and Log of x less its largest value"
    )
    root: ClassVar[tuple[str, ...]] = ("ReduceLogSumExp", "LogSoftmax")

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """Before operator set 13 LogSoftmax flattens its input."""
        if op.type == "LogSoftmax" and op.version < 13:
            return "before operator set 13 it flattens its input"
        return super().guard(graph, op)

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """Nothing overflows."""
        shape = sizes(draft.find(x)) or ()
        soft = op.type == "LogSoftmax"
        axes = [int(op.attrs.get("axis", -1)) % len(shape)] if soft else axes_of(draft, op)
        most = reduced(draft, "ReduceMax", x, axes)
        moved = binary(draft, "Sub", x, most)
        total = unary(draft, "Log", reduced(draft, "ReduceSum", unary(draft, "Exp", moved), axes))
        if soft:
            return binary(draft, "Sub", moved, total)
        name = binary(draft, "Add", total, most)
        return reshape(draft, name, sizes(draft.find(op.outputs[0] or "")) or ())


REWRITES = (ExtremeAsPool(), SumAsMean(), LengthParts(), LogSumExpParts())
