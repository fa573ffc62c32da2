"""Predicates of ``litert/builtins`` and ``litert/flex``: neighbours that TensorFlow's converter makes one
operator of.

Measured with TensorFlow 2.21.0: of eighteen spellings of the exact GELU these two become a builtin.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose, sqrt
from typing import Any

from ...analyzer.ir.graph import Graph, Operator
from ..conditions import Context, Outcome
from ..subjects import UNKNOWN, constant_values
from . import holds_if, predicate


@predicate("tf_exact_gelu")
def tf_exact_gelu(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Part of ``(0.5 x) * (1 + Erf(c x))`` or ``(0.5 x) * Erfc(c (-x))`` in float32, c = sqrt(0.5), each step
    read once.
    """
    words, wanted = (
        f"{op.type} outside of a GELU",
        "(0.5 x) * (1 + Erf(x sqrt(0.5))) or (0.5 x) * Erfc(-x sqrt(0.5)) in float32",
    )
    x = _scaled(graph, _writer(graph, op.inputs[0]), sqrt(0.5))
    if op.type == "Erfc":
        negated = _writer(graph, x)
        x = negated.inputs[0] if negated is not None and negated.type == "Neg" else None
    last = _only_reader(graph, op)
    if op.type == "Erf" and last is not None:
        last = (
            _only_reader(graph, last)
            if last.type in ("Add", "AddV2") and _constant(graph, last, 1.0) is not None
            else None
        )
    if x is None or last is None or last.type != "Mul":
        return holds_if(False, words, wanted)
    halves = [_scaled(graph, _writer(graph, name), 0.5) for name in last.inputs]
    kind = graph.input_tensors(op)[0]
    return holds_if(x in halves and kind is not None and kind.dtype == "float32", words, wanted)


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
    """The builtin's result has the type of its first operand: open sizes must be the same ones as well."""
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


def _writer(graph: Graph, name: str | None) -> Operator | None:
    return graph.producer(name) if name else None


def _only_reader(graph: Graph, op: Operator) -> Operator | None:
    readers = graph.consumers(op.outputs[0])
    return readers[0] if len(readers) == 1 and op.outputs[0] not in graph.outputs else None


def _scaled(graph: Graph, op: Operator | None, factor: float) -> str | None:
    """What ``op`` multiplies by ``factor``, or divides by its inverse."""
    if op is None or op.type not in ("Mul", "RealDiv", "Div"):
        return None
    return _constant(graph, op, factor if op.type == "Mul" else 1 / factor)


def _constant(graph: Graph, op: Operator, value: float) -> str | None:
    """The other input of a binary operator with a scalar constant near ``value``."""
    for name, other in (op.inputs, tuple(reversed(op.inputs))):
        constant = graph.constant(name)
        values: list[Any] = (
            [UNKNOWN] if constant is None or constant.elements != 1 else constant_values(constant)
        )
        if other and values[0] is not UNKNOWN and isclose(float(values[0]), value, rel_tol=1e-4):
            return other
    return None
