"""ONNX: operators that accelerators lack, put together from simpler ones."""

from __future__ import annotations

from math import pi, sqrt
from typing import ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..draft import Draft
from ..engine import Miss, Promise, Rewrite
from ..views import sizes
from .operands import array_of, binary, floating, integers, ints, reduced, scalar, unary

LARGEST_TABLE = 1 << 20
"""Elements of a constant that a rewrite may add."""


class Parts(Rewrite[Operator]):
    """One float operator with one result that becomes several; ``build`` gives the name of the result."""

    dialect: ClassVar[str] = "onnx"
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL501")

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """Float input of known rank, one result, and what ``guard`` asks."""
        tensor = graph.find(op.inputs[0] or "") if op.inputs else None
        if floating(graph, op) is None or tensor is None or tensor.shape is None:
            return Miss("it is not on floats, or its rank is not known")
        if sum(1 for name in op.outputs if name) != 1 or not op.outputs[0]:
            return Miss("it has several results")
        objection = self.guard(graph, op)
        return Miss(objection) if objection else op

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """Why the operator is left as it is; None when it is not."""
        return None

    def apply(self, graph: Graph, found: Operator) -> None:
        """Replace the operator by what ``build`` makes."""
        draft = Draft(graph, found)
        name = self.build(draft, found.inputs[0] or "", found, floating(graph, found) or "float32")
        draft.finish(name, found.outputs[0] or "")
        draft.commit((found,))

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """The operators that compute the result from ``x``; its name."""
        raise NotImplementedError


class ReduceParts(Parts):
    """ReduceL1, ReduceSumSquare, ReduceLogSum and ReduceLogSumExp become ReduceSum with what stands before
    and behind it.
    """

    id: ClassVar[str] = "reduce-parts"
    title: ClassVar[str] = (
        "ReduceL1, ReduceSumSquare and ReduceLogSum become ReduceSum of Abs, of x * x, and its Log"
    )
    root: ClassVar[tuple[str, ...]] = ("ReduceL1", "ReduceSumSquare", "ReduceLogSum")

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """The axes are known, and there are some or all are meant."""
        axes = ints(graph, op, 1, "axes")
        if axes is None:
            return "its axes are computed when the model runs"
        return "without axes it does nothing" if not axes and op.attrs.get("noop_with_empty_axes") else None

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """What is summed, the sum, and its logarithm."""
        before = {
            "ReduceL1": lambda: unary(draft, "Abs", x),
            "ReduceSumSquare": lambda: binary(draft, "Mul", x, x),
        }
        name = before[op.type]() if op.type in before else x
        total = reduced(
            draft,
            "ReduceSum",
            name,
            ints(draft.graph, op, 1, "axes") or [],
            keep=bool(op.attrs.get("keepdims", 1)),
        )
        return unary(draft, "Log", total) if op.type == "ReduceLogSum" else total


class GlobalLpPoolParts(Parts):
    """GlobalLpPool becomes a norm over the spatial axes."""

    id: ClassVar[str] = "global-lp-pool-to-reduce"
    title: ClassVar[str] = (
        "GlobalLpPool with p of 1 or 2 becomes ReduceSum of Abs, or ReduceL2, over the spatial axes"
    )
    root: ClassVar[tuple[str, ...]] = ("GlobalLpPool",)

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """p is 1 or 2."""
        return None if op.attrs.get("p", 2) in (1, 2) else f"its p is {op.attrs.get('p')}"

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """A sum of magnitudes or the root of a sum of squares."""
        axes = list(range(2, len(draft.find(x).shape or ())))
        if op.attrs.get("p", 2) == 1:
            return reduced(draft, "ReduceSum", unary(draft, "Abs", x), axes)
        return unary(draft, "Sqrt", reduced(draft, "ReduceSum", binary(draft, "Mul", x, x), axes))


class MeanVarianceParts(Parts):
    """MeanVarianceNormalization becomes means, a difference and a quotient."""

    id: ClassVar[str] = "mean-variance-parts"
    title: ClassVar[str] = (
        "MeanVarianceNormalization becomes (x - mean) / (sqrt(mean((x - mean) ** 2)) + 1e-9)"
    )
    root: ClassVar[tuple[str, ...]] = ("MeanVarianceNormalization",)
    EPSILON = 1e-9
    """Source: ONNX, function body of MeanVarianceNormalization-13."""

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """The axes are there; the default ones are those of images."""
        rank = len(graph.tensor(op.inputs[0] or "").shape or ())
        outside = [axis for axis in op.attrs.get("axes", (0, 2, 3)) if not -rank <= axis < rank]
        return f"it has no axis {outside[0]}" if outside else None

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """The variance is taken of the differences, which keeps its digits."""
        axes = list(op.attrs.get("axes", (0, 2, 3)))
        moved = binary(draft, "Sub", x, reduced(draft, "ReduceMean", x, axes))
        deviation = unary(
            draft, "Sqrt", reduced(draft, "ReduceMean", binary(draft, "Mul", moved, moved), axes)
        )
        return binary(
            draft, "Div", moved, binary(draft, "Add", deviation, scalar(draft, self.EPSILON, dtype))
        )


class CeluParts(Parts):
    """Celu becomes Relu(x) + Min(0, Elu(x / alpha))."""

    id: ClassVar[str] = "celu-to-elu"
    title: ClassVar[str] = "Celu becomes Relu(x) + Min(0, Elu(x / alpha))"
    root: ClassVar[tuple[str, ...]] = ("Celu",)

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """A positive alpha."""
        return None if op.attrs.get("alpha", 1.0) > 0 else "its alpha is not positive"

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """Elu has the same alpha as factor."""
        alpha = float(op.attrs.get("alpha", 1.0))
        scaled = binary(draft, "Div", x, scalar(draft, alpha, dtype))
        below = binary(draft, "Min", unary(draft, "Elu", scaled, {"alpha": alpha}), scalar(draft, 0.0, dtype))
        return binary(draft, "Add", unary(draft, "Relu", x), below)


class SoftsignParts(Parts):
    """Softsign becomes x / (1 + |x|)."""

    id: ClassVar[str] = "softsign-parts"
    title: ClassVar[str] = "Softsign becomes x / (1 + Abs(x))"
    root: ClassVar[tuple[str, ...]] = ("Softsign",)

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """As it is defined."""
        return binary(
            draft, "Div", x, binary(draft, "Add", unary(draft, "Abs", x), scalar(draft, 1.0, dtype))
        )


class HardActivationParts(Parts):
    """HardSigmoid becomes Clip(alpha * x + beta, 0, 1), and HardSwish x times that."""

    id: ClassVar[str] = "hard-activation-parts"
    title: ClassVar[str] = "HardSigmoid becomes Clip(alpha * x + beta, 0, 1), and HardSwish x times that"
    root: ClassVar[tuple[str, ...]] = ("HardSigmoid", "HardSwish")

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """Before operator set 11 Clip has its limits elsewhere."""
        return (
            None
            if graph.opsets.get("", 1) >= 11
            else "before operator set 11 the limits of Clip are no inputs"
        )

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """HardSwish has a sixth and a half as its factors."""
        swish = op.type == "HardSwish"
        alpha, beta = (
            (1 / 6, 0.5) if swish else (float(op.attrs.get("alpha", 0.2)), float(op.attrs.get("beta", 0.5)))
        )
        line = binary(
            draft, "Add", binary(draft, "Mul", x, scalar(draft, alpha, dtype)), scalar(draft, beta, dtype)
        )
        limits = (scalar(draft, 0.0, dtype), scalar(draft, 1.0, dtype))
        part = draft.value("Clip", (line, *limits), dtype, draft.find(x).shape)
        return binary(draft, "Mul", x, part) if swish else part


class MishParts(Parts):
    """Mish becomes x * u / (u + 2) with u = e^x * (e^x + 2), which is x * tanh(softplus(x))."""

    id: ClassVar[str] = "mish-parts"
    title: ClassVar[str] = "Mish becomes x * u / (u + 2) with u = e^x * (e^x + 2)"
    root: ClassVar[tuple[str, ...]] = ("Mish",)
    HIGHEST: ClassVar[dict[str, float]] = {"float16": 5.0}
    """From there on the quotient is 1 in that dtype, before the exponential overflows; 20 in wider ones."""

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """The exponential of what is not too large."""
        most = scalar(draft, self.HIGHEST.get(dtype, 20.0), dtype)
        capped = draft.value("Clip", (x, None, most), dtype, draft.find(x).shape)
        grown = unary(draft, "Exp", capped)
        two = scalar(draft, 2.0, dtype)
        part = binary(draft, "Mul", grown, binary(draft, "Add", grown, two))
        return binary(draft, "Mul", x, binary(draft, "Div", part, binary(draft, "Add", part, two)))


class ShrinkParts(Parts):
    """Shrink becomes two comparisons and Where."""

    id: ClassVar[str] = "shrink-to-where"
    title: ClassVar[str] = "Shrink becomes Where(x < -lambd, x + bias, Where(x > lambd, x - bias, 0))"
    root: ClassVar[tuple[str, ...]] = ("Shrink",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """As it is defined."""
        limit, bias = float(op.attrs.get("lambd", 0.5)), float(op.attrs.get("bias", 0.0))
        shape = draft.find(x).shape
        low = binary(draft, "Less", x, scalar(draft, -limit, dtype), "bool")
        high = binary(draft, "Greater", x, scalar(draft, limit, dtype), "bool")
        down = binary(draft, "Sub", x, scalar(draft, bias, dtype))
        up = binary(draft, "Add", x, scalar(draft, bias, dtype))
        inner = draft.value("Where", (high, down, scalar(draft, 0.0, dtype)), dtype, shape)
        return draft.value("Where", (low, up, inner), dtype, shape)


class CoshParts(Parts):
    """Cosh becomes (exp(x) + exp(-x)) / 2."""

    id: ClassVar[str] = "cosh-parts"
    title: ClassVar[str] = "Cosh becomes (Exp(x) + Exp(-x)) / 2"
    root: ClassVar[tuple[str, ...]] = ("Cosh",)

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """As it is defined."""
        both = binary(draft, "Add", unary(draft, "Exp", x), unary(draft, "Exp", unary(draft, "Neg", x)))
        return binary(draft, "Mul", both, scalar(draft, 0.5, dtype))


class SinhParts(Parts):
    """Sinh becomes (exp(x) - exp(-x)) / 2, which loses digits near zero."""

    id: ClassVar[str] = "sinh-parts"
    title: ClassVar[str] = "Sinh becomes (Exp(x) - Exp(-x)) / 2"
    root: ClassVar[tuple[str, ...]] = ("Sinh",)
    parity: ClassVar[Promise] = Promise.APPROXIMATE

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """As it is defined."""
        both = binary(draft, "Sub", unary(draft, "Exp", x), unary(draft, "Exp", unary(draft, "Neg", x)))
        return binary(draft, "Mul", both, scalar(draft, 0.5, dtype))


class ErfByTanh(Parts):
    """Erf becomes a Tanh of a cubic, at most 4e-4 off."""

    id: ClassVar[str] = "erf-to-tanh"
    title: ClassVar[str] = "Erf becomes Tanh(x * (1.12838 + 0.10091 * x * x)), at most 4e-4 off"
    root: ClassVar[tuple[str, ...]] = ("Erf",)
    parity: ClassVar[Promise] = Promise.APPROXIMATE

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """The slope at zero is that of erf, 2 / sqrt(pi)."""
        slope = 2 / sqrt(pi)
        cubic = binary(draft, "Mul", binary(draft, "Mul", x, x), scalar(draft, 0.08943 * slope, dtype))
        return unary(
            draft, "Tanh", binary(draft, "Mul", x, binary(draft, "Add", cubic, scalar(draft, slope, dtype)))
        )


class HardmaxParts(Parts):
    """Hardmax becomes OneHot(ArgMax(x))."""

    id: ClassVar[str] = "hardmax-to-one-hot"
    title: ClassVar[str] = "Hardmax becomes OneHot of ArgMax along the same axis"
    root: ClassVar[tuple[str, ...]] = ("Hardmax",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """One axis of known size; before operator set 13 it flattens instead."""
        tensor = graph.tensor(op.inputs[0] or "")
        axis = int(op.attrs.get("axis", -1 if op.version >= 13 else 1))
        shape = tensor.shape or ()
        if len(shape) < 2:
            return "it has one dimension, and OneHot takes no scalar"
        if not -len(shape) <= axis < len(shape) or not isinstance(shape[axis], int):
            return "the size of its axis is not known"
        if op.version < 13 and axis not in (-1, len(shape) - 1):
            return "before operator set 13 it flattens its input"
        return None

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """The first of equal values wins in both."""
        import numpy as np

        shape = draft.find(x).shape or ()
        axis = int(op.attrs.get("axis", -1 if op.version >= 13 else 1)) % len(shape)
        rest = tuple(dim for index, dim in enumerate(shape) if index != axis)
        best = draft.value("ArgMax", (x,), "int64", rest, {"axis": axis, "keepdims": 0})
        depth = draft.constant(np.array(shape[axis], np.int64), "int64", "depth")
        values = draft.constant(np.array([0, 1], dtype), dtype, "values")
        return draft.value("OneHot", (best, depth, values), dtype, shape, {"axis": axis})


class TriluToWhere(Parts):
    """Trilu of computed values becomes Where with a constant mask."""

    id: ClassVar[str] = "trilu-to-where"
    title: ClassVar[str] = "Trilu becomes Where with a constant mask"
    root: ClassVar[tuple[str, ...]] = ("Trilu",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """The last two sizes and the diagonal are known, and the mask is small."""
        shape = graph.tensor(op.inputs[0] or "").shape or ()
        if len(shape) < 2 or not all(isinstance(dim, int) for dim in shape[-2:]):
            return "its last two sizes are not known"
        if ints(graph, op, 1, "k") is None:
            return "its diagonal is computed when the model runs"
        rows, columns = shape[-2:]
        return "the mask would be too large" if int(rows or 0) * int(columns or 0) > LARGEST_TABLE else None

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """What the mask leaves out is zero."""
        import numpy as np

        shape = draft.find(x).shape or ()
        diagonal = (ints(draft.graph, op, 1, "k") or [0])[0]
        ones = np.ones(tuple(int(dim or 0) for dim in shape[-2:]), np.bool_)
        mask = draft.constant(
            np.triu(ones, diagonal) if op.attrs.get("upper", 1) else np.tril(ones, diagonal), "bool", "mask"
        )
        return draft.value("Where", (mask, x, scalar(draft, 0.0, dtype)), dtype, shape)


class CumSumToMatMul(Parts):
    """CumSum along a short axis becomes a product with a triangle of ones."""

    id: ClassVar[str] = "cumsum-to-matmul"
    title: ClassVar[str] = (
        "CumSum along an axis of at most 1024 elements becomes MatMul with a triangle of ones"
    )
    root: ClassVar[tuple[str, ...]] = ("CumSum",)
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL501", "ACL404")
    LONGEST = 1024

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """A constant axis of known, moderate size."""
        axis = array_of(graph, op.inputs[1])
        shape = graph.tensor(op.inputs[0] or "").shape or ()
        if axis is None or not shape:
            return "its axis is computed when the model runs"
        size = shape[int(axis.reshape(-1)[0])]
        if not isinstance(size, int):
            return "the size of its axis is not known"
        return f"its axis has {size} elements" if size > self.LONGEST else None

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """x times the triangle along the last axis, transposed there and back where it is another."""
        import numpy as np

        from .operands import transpose

        where = array_of(draft.graph, op.inputs[1])
        shape = draft.find(x).shape or ()
        axis = int(where.reshape(-1)[0]) % len(shape) if where is not None else 0
        size = int(shape[axis] or 0)
        ones = np.triu(np.ones((size, size)), int(bool(op.attrs.get("exclusive"))))
        triangle = draft.constant(
            (ones.T if op.attrs.get("reverse") else ones).astype(dtype), dtype, "triangle"
        )
        order = list(range(len(shape)))
        order[axis], order[-1] = order[-1], order[axis]
        moved = transpose(draft, x, order)
        summed = draft.value("MatMul", (moved, triangle), dtype, draft.find(moved).shape)
        return transpose(draft, summed, order)


class IsInfToEqual(Parts):
    """IsInf becomes a comparison of magnitudes."""

    id: ClassVar[str] = "isinf-to-equal"
    title: ClassVar[str] = "IsInf becomes Equal(Abs(x), infinity)"
    root: ClassVar[tuple[str, ...]] = ("IsInf",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """At least one sign is looked for, and Equal takes floats: from operator set 11 on."""
        if op.version < 11:
            return "before operator set 11 Equal does not take floats"
        return (
            None
            if op.attrs.get("detect_negative", 1) or op.attrs.get("detect_positive", 1)
            else "it looks for no sign"
        )

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """Of x itself where only one sign is looked for."""
        down, up = op.attrs.get("detect_negative", 1), op.attrs.get("detect_positive", 1)
        name = unary(draft, "Abs", x) if down and up else x
        return binary(
            draft, "Equal", name, scalar(draft, float("inf") if up else float("-inf"), dtype), "bool"
        )


class CompressToGather(Rewrite[Operator]):
    """Compress with a constant condition becomes Gather."""

    id: ClassVar[str] = "compress-to-gather"
    title: ClassVar[str] = "Compress with a constant condition becomes Gather"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("Compress",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL102", "ACL502")

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """The condition is constant and an axis is given."""
        condition = array_of(graph, op.inputs[1])
        tensor = graph.find(op.inputs[0] or "")
        if condition is None:
            return Miss("its condition is computed when the model runs")
        if tensor is None or sizes(tensor) is None or "axis" not in op.attrs:
            return Miss("it flattens its input, or the sizes are not all known")
        return op if condition.any() else Miss("it keeps nothing")

    def apply(self, graph: Graph, found: Operator) -> None:
        """The positions that are kept."""
        draft = Draft(graph, found)
        condition = array_of(graph, found.inputs[1])
        assert condition is not None
        kept = [int(value) for value in condition.reshape(-1).nonzero()[0]]
        source = graph.tensor(found.inputs[0] or "")
        axis = int(found.attrs["axis"]) % len(source.shape or ())
        shape = tuple(len(kept) if index == axis else dim for index, dim in enumerate(source.shape or ()))
        name = draft.value(
            "Gather", (source.name, integers(draft, kept, "kept")), source.dtype, shape, {"axis": axis}
        )
        draft.finish(name, found.outputs[0] or "")
        draft.commit((found,))


REWRITES = (
    ReduceParts(),
    GlobalLpPoolParts(),
    MeanVarianceParts(),
    CeluParts(),
    SoftsignParts(),
    HardActivationParts(),
    MishParts(),
    ShrinkParts(),
    CoshParts(),
    SinhParts(),
    ErfByTanh(),
    HardmaxParts(),
    TriluToWhere(),
    CumSumToMatMul(),
    IsInfToEqual(),
    CompressToGather(),
)
