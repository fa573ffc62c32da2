"""Predicates of ``litert/builtins`` and ``litert/flex``: neighbours that TensorFlow's converter makes one
operator of.

Measured with TensorFlow 2.21.0: of eighteen spellings of the exact GELU these two become a builtin.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

from ...analyzer.ir.graph import Graph, Operator
from ...analyzer.ir.match import Pattern, alone, any_order, number, op, sole_reader, value
from ..conditions import Context, Outcome
from ..subjects import UNKNOWN, constant_values
from . import holds_if, predicate


def _scaled(x: Pattern, factor: float) -> Pattern:
    """x times a number, or divided by its inverse."""
    return op("Mul", any_order(x, number(factor, 1e-4))) | op(("RealDiv", "Div"), x, number(1 / factor, 1e-4))


_X = value("x")
_ERF = alone("Erf", _scaled(_X, sqrt(0.5)), name="root")
_ERFC = alone("Erfc", _scaled(op("Neg", _X), sqrt(0.5)), name="root")
EXACT_GELU = op(
    "Mul",
    any_order(_scaled(_X, 0.5), alone(("Add", "AddV2"), any_order(_ERF, number(1, 1e-4))) | _ERFC),
)
"""``(0.5 x) * (1 + Erf(c x))`` or ``(0.5 x) * Erfc(c (-x))``, c = sqrt(0.5)."""


@predicate("tf_exact_gelu")
def tf_exact_gelu(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Part of ``EXACT_GELU`` in float32, each step read once."""
    added = sole_reader(graph, op, "Add", "AddV2") if op.type == "Erf" else op
    last, kind = sole_reader(graph, added, "Mul"), graph.input_tensors(op)[0]
    found = last is not None and any(match.op("root") is op for match in EXACT_GELU.matches(graph, last))
    return holds_if(
        found and kind is not None and kind.dtype == "float32",
        f"{op.type} outside of a GELU",
        "(0.5 x) * (1 + Erf(x sqrt(0.5))) or (0.5 x) * Erfc(-x sqrt(0.5)) in float32",
    )


@predicate("tf_shapes_may_be_equal")
def tf_shapes_may_be_equal(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The first two inputs have one shape as far as it is known (MLIR's SameOperandsAndResultShape)."""
    shapes = [None if tensor is None else tensor.shape for tensor in graph.input_tensors(op)[:2]]
    seen, wanted = " and ".join(map(_words, shapes)), "one shape"
    if len(shapes) < 2 or None in shapes:
        return holds_if(True, seen, wanted)
    first, second = shapes
    equal = all(
        a == b or not (isinstance(a, int) and isinstance(b, int))
        for a, b in zip(first or (), second or (), strict=False)
    )
    return holds_if(equal and len(first or ()) == len(second or ()), seen, wanted)


@predicate("tf_first_input_has_the_shape_of_the_result")
def tf_first_input_has_the_shape_of_the_result(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The builtin's result has the type of its first operand: dynamic dimensions must be the same ones as
    well.
    """
    given, result = graph.input_tensors(op)[0], graph.tensors.get(op.outputs[0] or "")
    shapes = [None if tensor is None else tensor.shape for tensor in (given, result)]
    known = [
        None if shape is None else tuple(dim if isinstance(dim, int) else None for dim in shape)
        for shape in shapes
    ]
    return holds_if(
        known[0] == known[1],
        f"{_words(shapes[0])}, the result {_words(shapes[1])}",
        "the shape of the result",
    )


@predicate("tf_slice_within")
def tf_slice_within(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Begin and size, where they are stored, stay within the sizes that are known; a size of -1 takes the
    rest.
    """
    given, *stored = (*graph.input_tensors(op), None, None, None)[:3]
    constants = [graph.constant(tensor.name) if tensor is not None else None for tensor in stored]
    if given is None or given.shape is None or None in constants:
        return holds_if(True, "anywhere", "within the tensor")
    begins, sizes = (
        [int(value) for value in constant_values(constant) if value is not UNKNOWN]
        for constant in constants
        if constant
    )
    for dim, begin, size in zip(given.shape, begins, sizes, strict=False):
        if isinstance(dim, int) and not 0 <= begin <= begin + max(size, 0) <= dim:
            return holds_if(False, f"from {begin} over {size} of {dim}", "within the tensor")
    return holds_if(True, "within", "within the tensor")


def _words(shape: Sequence[Any] | None) -> str:
    return (
        "a tensor without rank"
        if shape is None
        else "x".join(str(dim) if isinstance(dim, int) else "?" for dim in shape) or "a scalar"
    )
