"""ONNX: operators on more dimensions than accelerators take, on views with four."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..draft import Draft
from ..engine import Miss, Parity, Rewrite
from ..permute import Step, steps
from ..views import broadcast_views, reduction_views
from .operands import ints, reduced, reshape, sizes, transpose

MOST_DIMS = 4
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
    parity: ClassVar[Parity] = Parity.BIT_EXACT
    after: ClassVar[tuple[str, ...]] = ("fold-constants",)

    def match(self, graph: Graph, op: Operator) -> Reshaped | Miss:
        """The input is a reshape's result and the sizes of this result are known."""
        inner = graph.producer(op.inputs[0])
        if inner is None or inner.type not in ("Reshape", "Squeeze", "Unsqueeze", "Flatten"):
            return Miss("its input is not the result of a reshape")
        shape = sizes(graph.find(op.outputs[0] or ""))
        if shape is None or 0 in shape:
            return Miss("the sizes of its result are not all known")
        return Reshaped(op, inner.inputs[0] or "", shape)

    def apply(self, graph: Graph, found: Reshaped) -> None:
        """Read further up, with a constant target shape."""
        from .operands import integers

        draft = Draft(graph, found.op)
        target = integers(draft, found.shape, "shape")
        draft.keep(found.op, inputs=(found.source, target), attrs={})
        draft.commit((found.op,))


@dataclass(frozen=True, slots=True)
class Swaps:
    """A transpose as steps on few axes."""

    op: Operator
    after: tuple[int, ...]
    steps: tuple[Step, ...]


class TransposeOnViewsOnnx(Rewrite[Swaps]):
    """Transpose of more than four dimensions becomes Reshape and Transpose on views with at most four."""

    id: ClassVar[str] = "transpose-on-views-onnx"
    title: ClassVar[str] = (
        "Transpose of more than four dimensions becomes transposes of views with at most four"
    )
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("Transpose",)
    parity: ClassVar[Parity] = Parity.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = RANK

    def match(self, graph: Graph, op: Operator) -> Swaps | Miss:
        """More than four dimensions of known sizes."""
        before, after = sizes(graph.find(op.inputs[0] or "")), sizes(graph.find(op.outputs[0] or ""))
        if before is None or after is None or 0 in before:
            return Miss("its sizes are not all known")
        if len(before) <= MOST_DIMS:
            return Miss(f"it has {len(before)} dimensions, which is few enough")
        perm = tuple(op.attrs.get("perm", reversed(range(len(before)))))
        return Swaps(op, after, tuple(steps(before, perm, MOST_DIMS)))

    def apply(self, graph: Graph, found: Swaps) -> None:
        """View, transpose, view, transpose, ..., shape."""
        draft = Draft(graph, found.op)
        name = found.op.inputs[0] or ""
        for view, order in found.steps:
            name = transpose(draft, reshape(draft, name, view), order)
        draft.finish(reshape(draft, name, found.after), found.op.outputs[0] or "")
        draft.commit((found.op,))


@dataclass(frozen=True, slots=True)
class Views:
    """The view of each input and of the result; for a reduction the axes of the view."""

    op: Operator
    inputs: tuple[tuple[int, ...], ...]
    result: tuple[int, ...]
    after: tuple[int, ...]
    axes: tuple[int, ...] = ()


class OnViewsOnnx(Rewrite[Views]):
    """Element-wise operators, reductions, concatenations and softmax on more than four dimensions work on
    views with four.
    """

    id: ClassVar[str] = "merge-dimensions-onnx"
    title: ClassVar[str] = (
        "Operators on more than four dimensions work on views with four, where neighbouring "
        "dimensions are merged"
    )
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = (
        *UNARY,
        *BROADCAST,
        *REDUCE,
        "Concat",
        "Softmax",
        "LogSoftmax",
        "MatMul",
    )
    parity: ClassVar[Parity] = Parity.ROUNDING
    answers: ClassVar[tuple[str, ...]] = RANK

    def match(self, graph: Graph, op: Operator) -> Views | Miss:
        """Known sizes, more than four dimensions, few enough after merging."""
        data = op.inputs[:1] if op.type in REDUCE else op.inputs
        shapes = [sizes(graph.find(name or "")) for name in data]
        after = sizes(graph.find(op.outputs[0] or ""))
        if len(op.outputs) != 1 or after is None or any(shape is None for shape in shapes) or not shapes:
            return Miss("its shapes are not all known")
        known = [shape or () for shape in shapes]
        if max(len(shape) for shape in (*known, after)) <= MOST_DIMS:
            return Miss("it has at most four dimensions")
        if not prod(after) or any(not prod(shape) for shape in known):
            return Miss("a tensor has no elements")
        return self._views(graph, op, known, after)

    def _views(
        self, graph: Graph, op: Operator, known: list[tuple[int, ...]], after: tuple[int, ...]
    ) -> Views | Miss:
        if op.type in REDUCE:
            return self._reduction(graph, op, known[0], after)
        if op.type == "Concat":
            axis = int(op.attrs["axis"]) % len(after)
            views = tuple((prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])) for shape in known)
            return Views(op, views, (prod(after[:axis]), after[axis], prod(after[axis + 1 :])), after)
        if op.type in ("Softmax", "LogSoftmax"):
            axis = int(op.attrs.get("axis", -1 if op.version >= 13 else 1)) % len(after)
            if axis != len(after) - 1:
                return Miss("it works along an inner axis")
            view = (prod(after[:-1]), after[-1])
            return Views(op, (view,), view, after)
        if op.type == "MatMul":
            if known[0][:-2] != known[1][:-2]:
                return Miss("its batches are broadcast")
            return Views(
                op,
                tuple((prod(shape[:-2]), *shape[-2:]) for shape in known),
                (prod(after[:-2]), *after[-2:]),
                after,
            )
        views_ = broadcast_views(known, after, MOST_DIMS)
        return (
            Miss("its broadcast needs too many dimensions") if views_ is None else Views(op, *views_, after)
        )

    def _reduction(
        self, graph: Graph, op: Operator, before: tuple[int, ...], after: tuple[int, ...]
    ) -> Views | Miss:
        axes = ints(graph, op, 1, "axes")
        if axes is None or (not axes and op.attrs.get("noop_with_empty_axes")):
            return Miss("its axes are computed when the model runs")
        found = reduction_views(before, axes or list(range(len(before))), MOST_DIMS)
        if found is None:
            return Miss("its reduction needs too many dimensions, or reduces nothing")
        view, gone = found
        return Views(
            op, (view,), tuple(1 if axis in gone else size for axis, size in enumerate(view)), after, gone
        )

    def apply(self, graph: Graph, found: Views) -> None:
        """Reshape in, the operator, Reshape out."""
        draft = Draft(graph, found.op)
        op = found.op
        names = [
            reshape(draft, name or "", view) for name, view in zip(op.inputs, found.inputs, strict=False)
        ]
        if found.axes:
            name = reduced(draft, op.type, names[0], found.axes)
        else:
            dtype = graph.tensor(op.outputs[0] or "").dtype
            name = draft.value(op.type, names, dtype, found.result, self._attributes(op, len(found.result)))
        draft.finish(reshape(draft, name, found.after), op.outputs[0] or "")
        draft.commit((op,))

    def _attributes(self, op: Operator, rank: int) -> dict[str, object]:
        if op.type == "Concat":
            return {**op.attrs, "axis": 1}
        return {**op.attrs, "axis": rank - 1} if op.type in ("Softmax", "LogSoftmax") else dict(op.attrs)


REWRITES = (MergeReshapesOnnx(), TransposeOnViewsOnnx(), OnViewsOnnx())
