"""TFLite: operators on more than four dimensions, on views with four."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..draft import Draft
from ..engine import Miss, Promise, Rewrite
from ..rank import MOST_DIMS, OnFour, Order, TransposeOnFour, Views
from ..views import Merged, Sizes, padded, sizes
from .operands import axis_of, integers, ints, moves, reshape, same_quantization, transpose

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


class TransposeOnViews(TransposeOnFour):
    """TRANSPOSE of more than four dimensions becomes RESHAPE and TRANSPOSE on views with four."""

    id: ClassVar[str] = "transpose-on-views"
    title: ClassVar[str] = (
        "TRANSPOSE of more than four dimensions becomes transposes of views with at most four"
    )
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("TRANSPOSE",)
    answers: ClassVar[tuple[str, ...]] = RANK

    def order(self, graph: Graph, op: Operator) -> Order | Miss:
        """Known sizes, in a constant order."""
        found = moves(graph, op)
        if isinstance(found, str):
            return Miss(found)
        perm = ints(graph, op.inputs[1])
        if perm is None or sorted(perm) != list(range(len(found[2]))):
            return Miss("its permutation is computed when the model runs")
        return Order(found[2], found[3], tuple(perm))

    def turned(self, draft: Draft, name: str, view: Sequence[int], order: Sequence[int]) -> str:
        """RESHAPE, TRANSPOSE, both on four dimensions."""
        ones = MOST_DIMS - len(view)
        name = reshape(draft, name, padded(view, MOST_DIMS))
        return transpose(draft, name, (*range(ones), *(axis + ones for axis in order)))

    def finish(self, draft: Draft, name: str, shape: Sequence[int], to: str) -> None:
        """RESHAPE."""
        reshape(draft, name, shape, to=to)


class OnViews(OnFour):
    """An element-wise operator, reduction, concatenation or softmax on more than four dimensions works on
    views with four.
    """

    id: ClassVar[str] = "merge-dimensions"
    title: ClassVar[str] = (
        "Operators on more than four dimensions work on views with four, where neighbouring "
        "dimensions are merged"
    )
    dialect: ClassVar[str] = "tflite"
    reduces: ClassVar[tuple[str, ...]] = REDUCE
    joins: ClassVar[tuple[str, ...]] = ("CONCATENATION",)
    along: ClassVar[tuple[str, ...]] = ("SOFTMAX", "LOG_SOFTMAX")
    multiplies: ClassVar[tuple[str, ...]] = ("BATCH_MATMUL",)
    root: ClassVar[tuple[str, ...]] = (*UNARY, *BROADCAST, *REDUCE, *joins, *along, *multiplies)
    answers: ClassVar[tuple[str, ...]] = RANK

    def axes(self, graph: Graph, op: Operator, rank: int) -> Sequence[int] | Miss:
        """From an input for reductions, the last one for softmax."""
        if op.type in REDUCE:
            return ints(graph, op.inputs[1]) or Miss("its axes are computed when the model runs")
        axis = rank - 1 if op.type in self.along else axis_of(graph, op, rank)
        return Miss("its axis is out of range") if axis is None else (axis,)

    def merged(self, graph: Graph, op: Operator, known: list[Sizes], after: Sizes) -> Merged | Miss:
        """Views with all of the four dimensions; nothing is quantized per channel."""
        tensors = (tensor for tensor in graph.input_tensors(op) if tensor is not None)
        if any(tensor.quant is not None and tensor.quant.axis is not None for tensor in tensors):
            return Miss("its tensors are quantized per channel")
        found = super().merged(graph, op, known, after)
        few = not isinstance(found, Miss) and len(found.result) < MOST_DIMS
        return found.padded(MOST_DIMS) if few and not isinstance(found, Miss) else found

    def compute(self, draft: Draft, found: Views) -> None:
        """RESHAPE in, the operator, RESHAPE out."""
        op, merged = found.op, found.merged
        names: list[str | None] = [
            name if name is None else reshape(draft, name, view)
            for name, view in zip(op.inputs, merged.inputs, strict=op.type not in REDUCE)
        ]
        changed: dict[str, Any] = {}
        if op.type in REDUCE:
            names, changed = [*names, integers(draft, merged.axes)], {"keep_dims": True}
        elif op.type in self.joins:
            changed = {"axis": merged.axes[0]}
        result = draft.graph.tensor(op.outputs[0] or "")
        name = draft.value(
            op.type,
            names,
            result.dtype,
            merged.result,
            {**op.attrs, **changed},
            quant=result.quant,
            version=min(op.version, FOUR_DIMS_VERSION),
        )
        reshape(draft, name, found.after, to=result.name)


class PackToConcatenation(Rewrite[Operator]):
    """PACK of many dimensions becomes CONCATENATION on views with four."""

    id: ClassVar[str] = "pack-to-concatenation"
    title: ClassVar[str] = (
        "PACK whose result has more than four dimensions becomes CONCATENATION of views with four"
    )
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("PACK",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
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
