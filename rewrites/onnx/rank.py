"""ONNX: operators on more dimensions than accelerators take, on views with four."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ...analyzer.ir.match import writer
from ..draft import Draft
from ..engine import Miss, Promise, Rewrite
from ..rank import OnFour, Order, TransposeOnFour, Views
from ..views import sizes
from .operands import integers, ints, reduced, reshape, transpose

RANK = ("ACL401", "ACL404", "ACL201")
UNARY = (
    "Abs",
    "Cast",
    "Ceil",
    "Cos",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "Log",
    "Mish",
    "Neg",
    "Not",
    "Reciprocal",
    "Relu",
    "Round",
    "Selu",
    "Sigmoid",
    "Sign",
    "Sin",
    "Softplus",
    "Sqrt",
    "Tanh",
    "ThresholdedRelu",
    "IsNaN",
)
BROADCAST = (
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Pow",
    "Max",
    "Min",
    "And",
    "Or",
    "Xor",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Where",
    "Mod",
    "PRelu",
    "Sum",
)
REDUCE = (
    "ReduceMean",
    "ReduceSum",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "ReduceL2",
    "ReduceL1",
    "ReduceSumSquare",
)


@dataclass(frozen=True, slots=True)
class Reshaped:
    """A Reshape and the tensor that it can read instead of another reshape's result."""

    op: Operator
    source: str
    shape: tuple[int, ...]


class MergeReshapesOnnx(Rewrite[Reshaped]):
    """A Reshape of a Reshape, Squeeze, Unsqueeze or Flatten reads what that reads."""

    id: ClassVar[str] = "merge-reshapes-onnx"
    title: ClassVar[str] = "A Reshape of a Reshape, Squeeze, Unsqueeze or Flatten reads what that reads"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("Reshape",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    after: ClassVar[tuple[str, ...]] = ("fold-constants",)

    def match(self, graph: Graph, op: Operator) -> Reshaped | Miss:
        """The input is a reshape's result and the sizes of this result are known."""
        inner = writer(graph, op.inputs[0], "Reshape", "Squeeze", "Unsqueeze", "Flatten")
        if inner is None:
            return Miss("its input is not the result of a reshape")
        shape = sizes(graph.find(op.outputs[0] or ""))
        if shape is None or 0 in shape:
            return Miss("the sizes of its result are not all known")
        return Reshaped(op, inner.inputs[0] or "", shape)

    def apply(self, graph: Graph, found: Reshaped) -> None:
        """Read further up, with a constant target shape."""
        draft = Draft(graph, found.op)
        target = integers(draft, found.shape, "shape")
        draft.keep(found.op, inputs=(found.source, target), attrs={})
        draft.commit((found.op,))


class TransposeOnViewsOnnx(TransposeOnFour):
    """Transpose of more than four dimensions becomes Reshape and Transpose on views with at most four."""

    id: ClassVar[str] = "transpose-on-views-onnx"
    title: ClassVar[str] = (
        "Transpose of more than four dimensions becomes transposes of views with at most four"
    )
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("Transpose",)
    answers: ClassVar[tuple[str, ...]] = RANK

    def order(self, graph: Graph, op: Operator) -> Order | Miss:
        """Known sizes; all axes backwards where no order is given."""
        before, after = sizes(graph.find(op.inputs[0] or "")), sizes(graph.find(op.outputs[0] or ""))
        if before is None or after is None or 0 in before:
            return Miss("its sizes are not all known")
        return Order(before, after, tuple(op.attrs.get("perm", reversed(range(len(before))))))

    def turned(self, draft: Draft, name: str, view: Sequence[int], order: Sequence[int]) -> str:
        """Reshape, Transpose."""
        return transpose(draft, reshape(draft, name, view), order)

    def finish(self, draft: Draft, name: str, shape: Sequence[int], to: str) -> None:
        """Reshape."""
        draft.finish(reshape(draft, name, shape), to)


class OnViewsOnnx(OnFour):
    """Element-wise operators, reductions, concatenations and softmax on more than four dimensions work on
    views with four.
    """

    id: ClassVar[str] = "merge-dimensions-onnx"
    title: ClassVar[str] = (
        "Operators on more than four dimensions work on views with four, where neighbouring "
        "dimensions are merged"
    )
    dialect: ClassVar[str] = "onnx"
    reduces: ClassVar[tuple[str, ...]] = REDUCE
    joins: ClassVar[tuple[str, ...]] = ("Concat",)
    along: ClassVar[tuple[str, ...]] = ("Softmax", "LogSoftmax")
    multiplies: ClassVar[tuple[str, ...]] = ("MatMul",)
    root: ClassVar[tuple[str, ...]] = (*UNARY, *BROADCAST, *REDUCE, *joins, *along, *multiplies)
    answers: ClassVar[tuple[str, ...]] = RANK

    def axes(self, graph: Graph, op: Operator, rank: int) -> Sequence[int] | Miss:
        """From an input or an attribute, as the operator set has them; all when a reduction has none."""
        if op.type not in REDUCE:
            axis = int(op.attrs.get("axis", -1 if op.version >= 13 else 1))
            return (axis % rank,) if -rank <= axis < rank else Miss("its axis is out of range")
        axes = ints(graph, op, 1, "axes")
        if axes is None or (not axes and op.attrs.get("noop_with_empty_axes")):
            return Miss("its axes are computed when the model runs")
        return axes or range(rank)

    def compute(self, draft: Draft, found: Views) -> None:
        """Reshape in, the operator, Reshape out."""
        op, merged = found.op, found.merged
        views = zip(op.inputs, merged.inputs, strict=False)
        names = [reshape(draft, name or "", view) for name, view in views]
        if op.type in REDUCE:
            name = reduced(draft, op.type, names[0], merged.axes)
        else:
            attrs = {**op.attrs, "axis": merged.axes[0]} if merged.axes else dict(op.attrs)
            dtype = draft.graph.tensor(op.outputs[0] or "").dtype
            name = draft.value(op.type, names, dtype, merged.result, attrs)
        draft.finish(reshape(draft, name, found.after), op.outputs[0] or "")


REWRITES = (MergeReshapesOnnx(), TransposeOnViewsOnnx(), OnViewsOnnx())
