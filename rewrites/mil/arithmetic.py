"""Operators that the Neural Engine does not have, put together from those that it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..engine import Miss, Promise, Rewrite
from .operands import (
    MilDraft,
    binary,
    given,
    numbers,
    reshape,
    result,
    scalar,
    setting,
    shape_of,
    take,
    transpose,
    unary,
)

LARGEST_TABLE = 1 << 22
"""Elements of a constant that a rewrite may add."""


class MilParts(Rewrite[Operator]):
    """One operator on floats of known sizes that becomes several; ``build`` gives the name of the result."""

    dialect: ClassVar[str] = "mil"
    parity: ClassVar[Promise] = Promise.ROUNDING
    after: ClassVar[tuple[str, ...]] = ("float32-to-float16",)

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """Floats of known sizes, one result, and what ``guard`` asks."""
        name = given(op, "x")
        if name is None or shape_of(graph, name) is None or shape_of(graph, result(op)) is None:
            return Miss("its sizes are not all known")
        if not graph.tensor(name).dtype.startswith("float"):
            return Miss(f"it is on {graph.tensor(name).dtype}")
        objection = self.guard(graph, op)
        return Miss(objection) if objection else op

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """Why the operator is left as it is; None when it is not."""
        return None

    def apply(self, graph: Graph, found: Operator) -> None:
        """Replace the operator by what ``build`` makes."""
        draft = MilDraft(graph, found)
        draft.finish(self.build(draft, given(found, "x") or "", found), result(found))
        draft.commit((found,))

    def build(self, draft: MilDraft, x: str, op: Operator) -> str:
        """The operators that compute the result from ``x``; its name."""
        raise NotImplementedError


class ModParts(MilParts):
    """mod becomes x - floor(x / y) * y."""

    id: ClassVar[str] = "mod-parts"
    title: ClassVar[str] = "mod becomes x - floor_div(x, y) * y"
    root: ClassVar[tuple[str, ...]] = ("mod",)
    answers: ClassVar[tuple[str, ...]] = ("function-not-there",)

    def build(self, draft: MilDraft, x: str, op: Operator) -> str:
        """floor_div is on the Neural Engine."""
        y = given(op, "y") or ""
        return binary(draft, "sub", x, binary(draft, "mul", binary(draft, "floor_div", x, y), y))


def _exponentials(draft: MilDraft, x: str) -> tuple[str, str]:
    return unary(draft, "exp", x), unary(draft, "exp", _times(draft, x, -1.0))


def _times(draft: MilDraft, x: str, factor: float) -> str:
    return binary(draft, "mul", x, scalar(draft, factor, draft.find(x).dtype))


def _tan(draft: MilDraft, x: str) -> str:
    return binary(draft, "real_div", unary(draft, "sin", x), unary(draft, "cos", x))


def _sinh(draft: MilDraft, x: str) -> str:
    up, down = _exponentials(draft, x)
    return _times(draft, binary(draft, "sub", up, down), 0.5)


def _cosh(draft: MilDraft, x: str) -> str:
    up, down = _exponentials(draft, x)
    return _times(draft, binary(draft, "add", up, down), 0.5)


def _atanh(draft: MilDraft, x: str) -> str:
    dtype = draft.find(x).dtype
    one = scalar(draft, 1.0, dtype)
    up, down = binary(draft, "add", one, x), binary(draft, "sub", one, x)
    quotient = binary(draft, "real_div", up, down)
    return _times(draft, unary(draft, "log", quotient, epsilon=0.0), 0.5)


def _asin(draft: MilDraft, x: str) -> str:
    """atan(x / sqrt((1 - x)(1 + x)))."""
    one = scalar(draft, 1.0, draft.find(x).dtype)
    rest = binary(draft, "mul", binary(draft, "sub", one, x), binary(draft, "add", one, x))
    return unary(draft, "atan", binary(draft, "real_div", x, unary(draft, "sqrt", rest)))


def _acos(draft: MilDraft, x: str) -> str:
    """A right angle less the arc sine."""
    return binary(draft, "sub", scalar(draft, 1.5707963267948966, draft.find(x).dtype), _asin(draft, x))


FORMS: Mapping[str, Callable[[MilDraft, str], str]] = {
    "tan": _tan,
    "sinh": _sinh,
    "cosh": _cosh,
    "atanh": _atanh,
    "asin": _asin,
    "acos": _acos,
}


class FunctionParts(MilParts):
    """Functions that the Neural Engine lacks, by those that it has."""

    id: ClassVar[str] = "function-parts"
    title: ClassVar[str] = (
        "tan, sinh, cosh, asin, acos and atanh become sin, cos, exp, log, sqrt and atan of the operand"
    )
    root: ClassVar[tuple[str, ...]] = tuple(FORMS)
    answers: ClassVar[tuple[str, ...]] = ("function-not-there",)

    def build(self, draft: MilDraft, x: str, op: Operator) -> str:
        """The identity of the function."""
        return FORMS[op.type](draft, x)


class ProductOfSlices(MilParts):
    """reduce_prod becomes products of halves."""

    id: ClassVar[str] = "reduce-prod-to-products"
    title: ClassVar[str] = (
        "reduce_prod multiplies one half of the axis by the other until one element is left"
    )
    root: ClassVar[tuple[str, ...]] = ("reduce_prod",)
    answers: ClassVar[tuple[str, ...]] = ("reduction-not-there",)
    MOST = 4096

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """An axis that is not endless."""
        shape = shape_of(graph, given(op, "x")) or ()
        if not shape or not prod(shape):
            return "it has no elements, or no dimensions"
        axes = numbers(op, "axes", range(len(shape)))
        return "it multiplies too many elements" if max(shape[axis] for axis in axes) > self.MOST else None

    def build(self, draft: MilDraft, x: str, op: Operator) -> str:
        """Halves, and an odd element by itself."""
        shape = shape_of(draft.graph, x) or ()
        axes = {axis % len(shape) for axis in numbers(op, "axes", range(len(shape)))}
        name = x
        for axis in sorted(axes):
            size = shape[axis]
            while size > 1:
                half = size // 2
                left, right = take(draft, name, axis, 0, half), take(draft, name, axis, half, 2 * half)
                made = binary(draft, "mul", left, right)
                if size % 2:
                    rest = take(draft, name, axis, size - 1, size)
                    first = take(draft, made, axis, 0, 1)
                    together = binary(draft, "mul", first, rest)
                    made = (
                        together
                        if half == 1
                        else _joined(draft, together, take(draft, made, axis, 1, half), axis)
                    )
                name, size = made, half
        return reshape(draft, name, shape_of(draft.graph, result(op)) or ())


def _joined(draft: MilDraft, first: str, rest: str, axis: int) -> str:
    from .operands import concat

    return concat(draft, [first, rest], axis)


class BandAsMask(MilParts):
    """band_part becomes a product with a mask of zeros and ones."""

    id: ClassVar[str] = "band-part-to-mask"
    title: ClassVar[str] = "band_part becomes a select by a constant mask"
    root: ClassVar[tuple[str, ...]] = ("band_part",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("scatter-or-index-operator",)

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """A mask that the file can carry."""
        shape = shape_of(graph, given(op, "x")) or ()
        return "its mask would be too large" if prod(shape[-2:]) > LARGEST_TABLE else None

    def build(self, draft: MilDraft, x: str, op: Operator) -> str:
        """What lies outside the band becomes 0, infinities as well."""
        import numpy as np

        shape = shape_of(draft.graph, x) or ()
        rows, columns = shape[-2:]
        lower, upper = int(setting(op, "lower", -1)), int(setting(op, "upper", -1))
        below = np.arange(rows)[:, None] - np.arange(columns)[None, :]
        band = ((lower < 0) | (below <= lower)) & ((upper < 0) | (-below <= upper))
        mask = draft.constant(np.broadcast_to(band, shape), "bool", "band")
        dtype = draft.find(x).dtype
        zeros = draft.constant(np.zeros(shape, np.dtype(dtype)), dtype, "zeros")
        return draft.make("select", {"cond": mask, "a": x, "b": zeros}, shape, dtype=dtype)


class CumsumAsProduct(MilParts):
    """cumsum becomes a product with a triangle of ones."""

    id: ClassVar[str] = "cumsum-to-product"
    title: ClassVar[str] = "cumsum becomes a matrix product with a triangle of ones"
    root: ClassVar[tuple[str, ...]] = ("cumsum",)
    answers: ClassVar[tuple[str, ...]] = ("reduction-not-there",)
    MOST = 2048

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """A triangle that the file can carry, and dimensions for a product."""
        shape = shape_of(graph, given(op, "x")) or ()
        if not shape or len(shape) > 4:
            return "it has no dimensions, or more than a product has"
        size = shape[int(setting(op, "axis", 0)) % len(shape)]
        return f"its triangle would have {size} rows" if size > self.MOST else None

    def build(self, draft: MilDraft, x: str, op: Operator) -> str:
        """The axis is last for the product."""
        import numpy as np

        shape = shape_of(draft.graph, x) or ()
        rank, axis = len(shape), int(setting(op, "axis", 0)) % len(shape)
        size, dtype = shape[axis], draft.find(x).dtype
        ones = np.triu(np.ones((size, size), np.dtype(dtype)), 1 if setting(op, "exclusive", False) else 0)
        if setting(op, "reverse", False):
            ones = ones.T
        table = draft.constant(np.ascontiguousarray(ones), dtype, "triangle")
        perm = [*(at for at in range(rank) if at != axis), axis]
        turned = transpose(draft, x, perm)
        wide = reshape(draft, turned, (1, size)) if rank == 1 else turned
        known = [dim for dim in draft.find(wide).shape or () if isinstance(dim, int)]
        made = draft.make("matmul", {"x": wide, "y": table}, known, transpose_x=False, transpose_y=False)
        made = reshape(draft, made, [shape[at] for at in perm])
        return transpose(draft, made, [perm.index(at) for at in range(rank)])


class LogicParts(Rewrite[Operator]):
    """logical_or, logical_xor and logical_not by logical_and and comparisons."""

    id: ClassVar[str] = "logic-as-comparison"
    title: ClassVar[str] = (
        "logical_or, logical_xor and logical_not become comparisons of their operands as numbers"
    )
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = ("logical_or", "logical_xor", "logical_not")
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("logic-not-measured",)

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """Operands of known sizes."""
        if any(shape_of(graph, name) is None for name in (*op.inputs, *op.outputs)):
            return Miss("its sizes are not all known")
        return op

    def apply(self, graph: Graph, found: Operator) -> None:
        """Through numbers of 0 and 1, which casts of bool on the Neural Engine give."""
        from .operands import cast

        draft = MilDraft(graph, found)
        x = cast(draft, given(found, "x") or "", "float16")
        half = scalar(draft, 0.5, "float16")
        shape = shape_of(graph, result(found)) or ()
        if found.type == "logical_not":
            made = draft.make("less", {"x": x, "y": half}, shape, dtype="bool")
        else:
            y = cast(draft, given(found, "y") or "", "float16")
            other = binary(draft, "add" if found.type == "logical_or" else "sub", x, y)
            if found.type == "logical_xor":
                other = unary(draft, "abs", other)
            made = draft.make("greater", {"x": other, "y": half}, shape, dtype="bool")
        draft.finish(made, result(found))
        draft.commit((found,))


class ActivationParts(MilParts):
    """clamped_relu, softplus_parametric and threshold by activations that were measured."""

    id: ClassVar[str] = "activation-parts"
    title: ClassVar[str] = "threshold and clamped_relu become maximum, minimum and leaky_relu"
    root: ClassVar[tuple[str, ...]] = ("threshold", "clamped_relu")
    answers: ClassVar[tuple[str, ...]] = ("activation-not-measured",)

    def build(self, draft: MilDraft, x: str, op: Operator) -> str:
        """The larger or the smaller of the value and a number."""
        dtype, alpha = draft.find(x).dtype, float(setting(op, "alpha", 0.0))
        if op.type == "threshold":
            return binary(draft, "maximum", x, scalar(draft, alpha, dtype))
        leaky = unary(draft, "leaky_relu", x, alpha=alpha)
        return binary(draft, "minimum", leaky, scalar(draft, float(setting(op, "beta", 0.0)), dtype))


class PReluParts(MilParts):
    """prelu with a slope a channel: relu(x) - slope * relu(-x)."""

    id: ClassVar[str] = "prelu-parts"
    title: ClassVar[str] = "prelu with slopes per channel becomes relu(x) - slope * relu(-x)"
    root: ClassVar[tuple[str, ...]] = ("prelu",)
    answers: ClassVar[tuple[str, ...]] = ("prelu-per-channel",)

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """Constant slopes."""
        return None if graph.constant(given(op, "alpha")) is not None else "its slopes are computed"

    def build(self, draft: MilDraft, x: str, op: Operator) -> str:
        """The slopes broadcast over the spatial axes."""
        const = draft.graph.constant(given(op, "alpha"))
        assert const is not None
        shape, dtype = shape_of(draft.graph, x) or (), draft.find(x).dtype
        slopes = const.read().reshape(-1, *[1] * (len(shape) - 2))
        factor = draft.constant(-slopes, dtype, "slopes")
        low = unary(draft, "relu", _times(draft, x, -1.0))
        return binary(draft, "add", unary(draft, "relu", x), binary(draft, "mul", low, factor))


class FlattenAsReshape(MilParts):
    """flatten2d and reshape_like become reshape."""

    id: ClassVar[str] = "flatten-to-reshape-mil"
    title: ClassVar[str] = "flatten2d and reshape_like of known sizes become reshape"
    root: ClassVar[tuple[str, ...]] = ("flatten2d", "reshape_like")
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("shape-operator-not-measured",)

    def build(self, draft: MilDraft, x: str, op: Operator) -> str:
        """The sizes are those of the result."""
        return reshape(draft, x, shape_of(draft.graph, result(op)) or ())


REWRITES = (
    FlattenAsReshape(),
    ModParts(),
    FunctionParts(),
    ProductOfSlices(),
    BandAsMask(),
    CumsumAsProduct(),
    LogicParts(),
    ActivationParts(),
    PReluParts(),
)
