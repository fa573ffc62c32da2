"""TFLite: operators on more than four dimensions, on views with four."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..draft import Draft
from ..engine import Miss, Parity, Rewrite
from ..permute import Step, steps
from ..views import broadcast_views, reduction_views
from .operands import (
    MOST_DIMS,
    axis_of,
    integers,
    ints,
    moves,
    padded,
    reshape,
    same_quantization,
    sizes,
    transpose,
)

FOUR_DIMS_VERSION = 2
"""Element-wise operators have higher versions for five dimensions and 16-bit types, which delegates take for
unknown.
"""
RANK = ("ACL401", "ACL201", "ACL404", "ACL405", "ACL505", "ACL202", "ACL502")

UNARY = (
    "ABS",
    "CEIL",
    "COS",
    "ELU",
    "EXP",
    "FLOOR",
    "GELU",
    "HARD_SWISH",
    "LEAKY_RELU",
    "LOG",
    "LOGISTIC",
    "NEG",
    "RELU",
    "RELU6",
    "RELU_N1_TO_1",
    "ROUND",
    "RSQRT",
    "SIGN",
    "SIN",
    "SQRT",
    "SQUARE",
    "TANH",
    "CAST",
    "LOGICAL_NOT",
    "QUANTIZE",
    "DEQUANTIZE",
)
BROADCAST = (
    "ADD",
    "SUB",
    "MUL",
    "DIV",
    "MAXIMUM",
    "MINIMUM",
    "POW",
    "SQUARED_DIFFERENCE",
    "FLOOR_DIV",
    "FLOOR_MOD",
    "ATAN2",
    "EQUAL",
    "NOT_EQUAL",
    "GREATER",
    "GREATER_EQUAL",
    "LESS",
    "LESS_EQUAL",
    "LOGICAL_AND",
    "LOGICAL_OR",
    "SELECT_V2",
)
REDUCE = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL")


@dataclass(frozen=True, slots=True)
class Swaps:
    """A transpose as steps on few axes."""

    op: Operator
    source: str
    after: tuple[int, ...]
    steps: tuple[Step, ...]


class TransposeOnViews(Rewrite[Swaps]):
    """TRANSPOSE of more than four dimensions becomes RESHAPE and TRANSPOSE on views with at most four."""

    id: ClassVar[str] = "transpose-on-views"
    title: ClassVar[str] = (
        "TRANSPOSE of more than four dimensions becomes transposes of views with at most four"
    )
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("TRANSPOSE",)
    parity: ClassVar[Parity] = Parity.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = RANK

    def match(self, graph: Graph, op: Operator) -> Swaps | Miss:
        """More than four dimensions, all known, in a constant order."""
        found = moves(graph, op)
        if isinstance(found, str):
            return Miss(found)
        perm = ints(graph, op.inputs[1])
        if perm is None or sorted(perm) != list(range(len(found[2]))):
            return Miss("its permutation is computed when the model runs")
        if len(found[2]) <= MOST_DIMS:
            return Miss(f"it has {len(found[2])} dimensions, which is few enough")
        return Swaps(op, found[0].name, found[3], tuple(steps(found[2], perm, MOST_DIMS)))

    def apply(self, graph: Graph, found: Swaps) -> None:
        """View, transpose, view, transpose, ..., shape."""
        draft = Draft(graph, found.op)
        name = found.source
        for view, order in found.steps:
            ones = MOST_DIMS - len(view)
            name = reshape(draft, name, padded(view))
            name = transpose(draft, name, (*range(ones), *(axis + ones for axis in order)))
        reshape(draft, name, found.after, to=found.op.outputs[0])
        draft.commit((found.op,))


@dataclass(frozen=True, slots=True)
class Views:
    """The view that each input is read through (None: as it is), the view of the result, and changed
    attributes and axes.
    """

    op: Operator
    inputs: tuple[tuple[int, ...] | None, ...]
    result: tuple[int, ...]
    after: tuple[int, ...]
    attrs: dict[str, object]
    axes: tuple[int, ...] | None = None


class OnViews(Rewrite[Views]):
    """An element-wise operator, reduction, concatenation or softmax on more than four dimensions works on
    views with four.
    """

    id: ClassVar[str] = "merge-dimensions"
    title: ClassVar[str] = (
        "Operators on more than four dimensions work on views with four, where neighbouring "
        "dimensions are merged"
    )
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = (
        *UNARY,
        *BROADCAST,
        *REDUCE,
        "CONCATENATION",
        "SOFTMAX",
        "LOG_SOFTMAX",
        "BATCH_MATMUL",
    )
    parity: ClassVar[Parity] = Parity.ROUNDING
    answers: ClassVar[tuple[str, ...]] = RANK

    def match(self, graph: Graph, op: Operator) -> Views | Miss:
        """Known sizes, more than four dimensions, and few enough after merging."""
        if len(op.outputs) != 1 or op.outputs[0] is None:
            return Miss("it has several results")
        shapes = [sizes(tensor) for tensor in graph.input_tensors(op)]
        after = sizes(graph.find(op.outputs[0]))
        if after is None or any(shape is None for shape in shapes) or not shapes:
            return Miss("its shapes are not all known")
        known = [shape or () for shape in shapes]
        if max(len(shape) for shape in (*known, after)) <= MOST_DIMS:
            return Miss("it has at most four dimensions")
        if not prod(after) or any(not prod(shape) for shape in known):
            return Miss("a tensor has no elements")
        if any(
            tensor is not None and tensor.quant is not None and tensor.quant.axis is not None
            for tensor in graph.input_tensors(op)
        ):
            return Miss("its tensors are quantized per channel")
        return self._views(graph, op, known, after)

    def _views(
        self, graph: Graph, op: Operator, known: list[tuple[int, ...]], after: tuple[int, ...]
    ) -> Views | Miss:
        if op.type in REDUCE:
            return _reduced(graph, op, known[0], after)
        if op.type == "CONCATENATION":
            return _joined(graph, op, known, after)
        if op.type in ("SOFTMAX", "LOG_SOFTMAX"):
            view = (1, 1, prod(after[:-1]), after[-1])
            return Views(op, (view,), view, after, {})
        if op.type == "BATCH_MATMUL":
            if known[0][:-2] != known[1][:-2]:
                return Miss("its batches are broadcast")
            views = [(1, prod(shape[:-2]), *shape[-2:]) for shape in known]
            return Views(op, tuple(views), (1, prod(after[:-2]), *after[-2:]), after, {})
        return _broadcast(op, known, after)

    def apply(self, graph: Graph, found: Views) -> None:
        """RESHAPE in, the operator, RESHAPE out."""
        draft = Draft(graph, found.op)
        op = found.op
        names: list[str | None] = [
            name if view is None or name is None else reshape(draft, name, view)
            for name, view in zip(op.inputs, found.inputs, strict=True)
        ]
        if found.axes is not None:
            names[1] = integers(draft, found.axes)
        result = graph.tensor(op.outputs[0] or "")
        attrs = {**op.attrs, **found.attrs}
        version = min(op.version, FOUR_DIMS_VERSION)
        name = draft.value(
            op.type, names, result.dtype, found.result, attrs, quant=result.quant, version=version
        )
        reshape(draft, name, found.after, to=result.name)
        draft.commit((op,))


def _broadcast(op: Operator, known: list[tuple[int, ...]], after: tuple[int, ...]) -> Views | Miss:
    views = broadcast_views(known, after, MOST_DIMS)
    return Miss("its broadcast needs too many dimensions") if views is None else Views(op, *views, after, {})


def _reduced(graph: Graph, op: Operator, before: tuple[int, ...], after: tuple[int, ...]) -> Views | Miss:
    axes = ints(graph, op.inputs[1])
    if axes is None:
        return Miss("its axes are computed when the model runs")
    found = reduction_views(before, axes, MOST_DIMS)
    if found is None:
        return Miss("its reduction needs too many dimensions, or reduces nothing")
    view, gone = found
    result = tuple(1 if axis in gone else size for axis, size in enumerate(view))
    return Views(op, (view, None), result, after, {"keep_dims": True}, gone)


def _joined(graph: Graph, op: Operator, known: list[tuple[int, ...]], after: tuple[int, ...]) -> Views | Miss:
    axis = axis_of(graph, op, len(after))
    if axis is None:
        return Miss("its axis is out of range")
    views = tuple((1, prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])) for shape in known)
    return Views(op, views, (1, prod(after[:axis]), after[axis], prod(after[axis + 1 :])), after, {"axis": 2})


class PackToConcatenation(Rewrite[Operator]):
    """PACK of many dimensions becomes CONCATENATION on views with four."""

    id: ClassVar[str] = "pack-to-concatenation"
    title: ClassVar[str] = (
        "PACK whose result has more than four dimensions becomes CONCATENATION of views with four"
    )
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("PACK",)
    parity: ClassVar[Parity] = Parity.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = RANK

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """Known sizes and one quantization."""
        found = moves(graph, op)
        if isinstance(found, str):
            return Miss(found)
        if any(
            tensor is None or not same_quantization(tensor.quant, found[1].quant)
            for tensor in graph.input_tensors(op)
        ):
            return Miss("its inputs are quantized differently")
        return op if axis_of(graph, op, len(found[3])) is not None else Miss("its axis is out of range")

    def apply(self, graph: Graph, found: Operator) -> None:
        """[1, lead, 1, rest] each, joined on the third axis."""
        draft = Draft(graph, found)
        result = graph.tensor(found.outputs[0] or "")
        after = sizes(result) or ()
        axis = axis_of(graph, found, len(after)) or 0
        lead, rest = prod(after[:axis]), prod(after[axis + 1 :])
        views = [reshape(draft, name or "", (1, lead, 1, rest)) for name in found.inputs]
        joined = (1, lead, after[axis], rest)
        name = draft.value("CONCATENATION", views, result.dtype, joined, {"axis": 2}, quant=result.quant)
        reshape(draft, name, after, to=result.name)
        draft.commit((found,))


REWRITES = (TransposeOnViews(), OnViews(), PackToConcatenation())
