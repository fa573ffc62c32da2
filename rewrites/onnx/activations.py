"""ONNX: element-wise operators by those that accelerators have, to the last digits."""

from __future__ import annotations

from math import sqrt
from typing import ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..draft import Draft
from ..engine import Promise
from ..views import sizes
from .operands import array_of, binary, floating, scalar, unary
from .parts import Parts

OLDEST_BROADCAST = 8
"""Operator set from which on Min and Max broadcast."""


class ClipAsMinMax(Parts):
    """Clip to limits that an accelerator has no operator for becomes Max and Min."""

    id: ClassVar[str] = "clip-to-min-max"
    title: ClassVar[str] = "Clip becomes Min(Max(x, lowest), highest)"
    root: ClassVar[tuple[str, ...]] = ("Clip",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL505", "clip-limits", "ACL502", "clip-limits-computed")

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """A limit, and operators that broadcast it."""
        if op.version < OLDEST_BROADCAST or graph.opsets.get("", 1) < OLDEST_BROADCAST:
            return f"before operator set {OLDEST_BROADCAST} Min and Max do not broadcast"
        stated = [op.attrs.get(name) for name in ("min", "max")]
        return None if any(op.inputs[1:]) or any(limit is not None for limit in stated) else "it has no limit"

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """The limits that there are."""
        shape = draft.find(x).shape
        for index, (attribute, type) in enumerate((("min", "Max"), ("max", "Min")), 1):
            limit = op.inputs[index] if len(op.inputs) > index else None
            if attribute in op.attrs:
                limit = scalar(draft, float(op.attrs[attribute]), dtype)
            if limit is not None:
                x = draft.value(type, (x, limit), dtype, shape)
        return x


class ErfByRational(Parts):
    """Erf becomes a quotient of polynomials that is as exact as float32."""

    id: ClassVar[str] = "erf-to-rational"
    title: ClassVar[str] = "Erf becomes x * p(x * x) / q(x * x) of x between -4 and 4, exact to float32"
    root: ClassVar[tuple[str, ...]] = ("Erf",)
    answers: ClassVar[tuple[str, ...]] = ("ACL201",)
    TOP = (
        -2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
        -7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02,
    )  # fmt: skip
    BOTTOM = (
        -1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03,
        -1.42647390514189e-02,
    )  # fmt: skip
    """Highest power first. Source: Eigen 3.4, unsupported SpecialFunctionsImpl.h (erf of float), which
    XLA and TensorFlow Lite compute by as well.
    """

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """float32: the coefficients are smaller than halves."""
        if floating(graph, op) != "float32":
            return "it is not on float32"
        old = graph.opsets.get("", 1) < 11
        return "before operator set 11 the limits of Clip are no inputs" if old else None

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """Horner, over and under the line."""
        limits = (scalar(draft, -4.0, dtype), scalar(draft, 4.0, dtype))
        near = draft.value("Clip", (x, *limits), dtype, draft.find(x).shape)
        square = binary(draft, "Mul", near, near)
        top, bottom = (_horner(draft, square, items, dtype) for items in (self.TOP, self.BOTTOM))
        return binary(draft, "Div", binary(draft, "Mul", near, top), bottom)


def _horner(draft: Draft, x: str, coefficients: tuple[float, ...], dtype: str) -> str:
    name = binary(draft, "Mul", x, scalar(draft, coefficients[0], dtype))
    for factor in coefficients[1:-1]:
        name = binary(draft, "Add", name, scalar(draft, factor, dtype))
        name = binary(draft, "Mul", name, x)
    return binary(draft, "Add", name, scalar(draft, coefficients[-1], dtype))


class GeluParts(Parts):
    """Gelu becomes 0.5 * x * (1 + Erf(x / sqrt(2))), or its form with Tanh."""

    id: ClassVar[str] = "gelu-parts"
    title: ClassVar[str] = "Gelu becomes 0.5 * x * (1 + Erf(x / sqrt(2))), or its approximation with Tanh"
    root: ClassVar[tuple[str, ...]] = ("Gelu",)

    def speaks_of(self, op: Operator) -> bool:
        """Microsoft's own as well, which has no attribute."""
        return op.type == "Gelu" and op.domain in ("", "ai.onnx", "com.microsoft")

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """As it is defined."""
        half, one = scalar(draft, 0.5, dtype), scalar(draft, 1.0, dtype)
        if op.attrs.get("approximate", "none") == "tanh":
            cube = binary(draft, "Mul", binary(draft, "Mul", x, x), x)
            inner = binary(draft, "Add", x, binary(draft, "Mul", cube, scalar(draft, 0.044715, dtype)))
            scaled = binary(draft, "Mul", inner, scalar(draft, 0.7978845608028654, dtype))
            part = unary(draft, "Tanh", scaled)
        else:
            part = unary(draft, "Erf", binary(draft, "Div", x, scalar(draft, sqrt(2.0), dtype)))
        return binary(draft, "Mul", binary(draft, "Mul", x, half), binary(draft, "Add", part, one))


class CosAsSine(Parts):
    """Cos becomes 1 - 2 * sin(x / 2) ** 2, which loses no digits of x."""

    id: ClassVar[str] = "cos-to-sin"
    title: ClassVar[str] = "Cos becomes 1 - 2 * Sin(x / 2) * Sin(x / 2)"
    root: ClassVar[tuple[str, ...]] = ("Cos",)
    answers: ClassVar[tuple[str, ...]] = ("ACL201",)

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """float32."""
        return None if floating(graph, op) == "float32" else "it is not on float32"

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """Half of x is exact."""
        sine = unary(draft, "Sin", binary(draft, "Mul", x, scalar(draft, 0.5, dtype)))
        square = binary(draft, "Mul", sine, sine)
        return binary(
            draft, "Sub", scalar(draft, 1.0, dtype), binary(draft, "Mul", square, scalar(draft, 2.0, dtype))
        )


class SoftplusParts(Parts):
    """Softplus becomes Relu(x) + Log(1 + Exp(-Abs(x)))."""

    id: ClassVar[str] = "softplus-parts"
    title: ClassVar[str] = "Softplus becomes Relu(x) + Log(1 + Exp(-Abs(x)))"
    root: ClassVar[tuple[str, ...]] = ("Softplus",)

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """The exponential is never above 1."""
        small = unary(draft, "Exp", unary(draft, "Neg", unary(draft, "Abs", x)))
        bend = unary(draft, "Log", binary(draft, "Add", small, scalar(draft, 1.0, dtype)))
        return binary(draft, "Add", unary(draft, "Relu", x), bend)


class SeluByElu(Parts):
    """Selu becomes a scaled Elu."""

    id: ClassVar[str] = "selu-to-elu"
    title: ClassVar[str] = "Selu becomes gamma * Elu(x)"
    root: ClassVar[tuple[str, ...]] = ("Selu",)

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """The defaults are those of the operator."""
        alpha = float(op.attrs.get("alpha", 1.6732632423543772))
        gamma = float(op.attrs.get("gamma", 1.0507009873554805))
        elu = unary(draft, "Elu", x, {"alpha": alpha})
        return binary(draft, "Mul", elu, scalar(draft, gamma, dtype))


class SignTurned(Parts):
    """An operator of which an accelerator has the mirror image works on the negated value."""

    id: ClassVar[str] = "sign-turned"
    title: ClassVar[str] = (
        "Neg becomes x * -1, Abs Relu(x) + Relu(-x), Ceil -Floor(-x), and Min(a, b) -Max(-a, -b)"
    )
    root: ClassVar[tuple[str, ...]] = ("Neg", "Abs", "Ceil", "Min")
    answers: ClassVar[tuple[str, ...]] = ("ACL201",)

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """Floats, and for Min two that are broadcast."""
        if op.type != "Min":
            return None
        if graph.opsets.get("", 1) < OLDEST_BROADCAST or len(op.inputs) != 2:
            return "it does not compare two that are broadcast"
        return None if sizes(graph.find(op.outputs[0] or "")) is not None else "its sizes are not all known"

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """Negated by a factor, since what has no Abs has often no Neg either."""
        if op.type == "Neg":
            return _negated(draft, x, dtype)
        if op.type == "Abs":
            sides = (unary(draft, "Relu", x), unary(draft, "Relu", _negated(draft, x, dtype)))
            return binary(draft, "Add", *sides)
        if op.type == "Min":
            shape = draft.find(op.outputs[0] or "").shape
            turned = [_negated(draft, name or "", dtype) for name in op.inputs]
            return _negated(draft, draft.value("Max", turned, dtype, shape), dtype)
        return _negated(draft, unary(draft, "Floor", _negated(draft, x, dtype)), dtype)


class FloorByCeil(Parts):
    """Floor becomes Ceil of the negated value, negated."""

    id: ClassVar[str] = "floor-to-ceil"
    title: ClassVar[str] = "Floor becomes -Ceil(-x)"
    root: ClassVar[tuple[str, ...]] = ("Floor",)
    answers: ClassVar[tuple[str, ...]] = ("ACL201",)

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """As Ceil from Floor."""
        return _negated(draft, unary(draft, "Ceil", _negated(draft, x, dtype)), dtype)


def _negated(draft: Draft, x: str, dtype: str) -> str:
    stored = array_of(draft.graph, x)
    if stored is not None:
        return draft.constant(-stored, dtype, "negated")
    return binary(draft, "Mul", x, scalar(draft, -1.0, dtype))


class RoundByFloor(Parts):
    """Round to the nearest even number becomes Floor of the number, of its half and of what is left."""

    id: ClassVar[str] = "round-to-floor"
    title: ClassVar[str] = "Round becomes Floor(x), and 1 more where more than a half is left, or half of odd"
    root: ClassVar[tuple[str, ...]] = ("Round",)
    answers: ClassVar[tuple[str, ...]] = ("ACL201",)

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """Each difference is exact. ``more``: over a half is left; ``least``: a half or more."""
        half, one, two = (scalar(draft, value, dtype) for value in (0.5, 1.0, 2.0))
        whole = unary(draft, "Floor", x)
        even = binary(draft, "Mul", unary(draft, "Floor", binary(draft, "Mul", whole, half)), two)
        odd = binary(draft, "Sub", whole, even)
        rest = binary(draft, "Sub", x, whole)
        more = _negated(draft, unary(draft, "Floor", binary(draft, "Sub", half, rest)), dtype)
        least = binary(draft, "Add", unary(draft, "Floor", binary(draft, "Sub", rest, half)), one)
        tie = binary(draft, "Mul", binary(draft, "Sub", least, more), odd)
        return binary(draft, "Add", binary(draft, "Add", whole, more), tie)


class SeveralAsPairs(Parts):
    """Sum, Mean, Min or Max of several operands becomes a chain of two at a time."""

    id: ClassVar[str] = "several-to-pairs"
    title: ClassVar[str] = "Sum, Mean, Min and Max of several operands become chains of two at a time"
    root: ClassVar[tuple[str, ...]] = ("Sum", "Mean", "Min", "Max")
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL504", "min-max-of-two")
    PAIR: ClassVar[dict[str, str]] = {"Sum": "Add", "Mean": "Add", "Min": "Min", "Max": "Max"}

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """More than two, or two of a type that has another name for them; all of known sizes."""
        if graph.opsets.get("", 1) < OLDEST_BROADCAST:
            return f"before operator set {OLDEST_BROADCAST} its operands are not broadcast"
        if len(op.inputs) < 2 or (len(op.inputs) == 2 and op.type in ("Min", "Max")):
            return f"it has {len(op.inputs)} operands"
        known = all(sizes(graph.find(name or "")) is not None for name in op.inputs)
        return None if known else "its sizes are not all known"

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """From left to right."""
        import numpy as np

        for other in op.inputs[1:]:
            shapes = (sizes(draft.find(name or "")) or () for name in (x, other))
            x = draft.value(self.PAIR[op.type], (x, other), dtype, np.broadcast_shapes(*shapes))
        if op.type != "Mean":
            return x
        return binary(draft, "Div", x, scalar(draft, float(len(op.inputs)), dtype))


REWRITES = (
    ClipAsMinMax(),
    ErfByRational(),
    GeluParts(),
    CosAsSine(),
    SoftplusParts(),
    SeluByElu(),
    SignTurned(),
    FloorByCeil(),
    RoundByFloor(),
    SeveralAsPairs(),
)
