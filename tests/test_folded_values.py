"""The arithmetic that shapes are computed with, beside onnx's reference evaluator; every operator of it has a
case, and each bound has both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from accelint.analyzer.ir.arrays import to_bytes
from accelint.analyzer.ir.dtypes import BITS
from accelint.analyzer.ir.graph import Constant, Operator
from accelint.analyzer.optimizer import likes
from accelint.analyzer.policies import folded_values
from accelint.analyzer.policies.folded_values import MOST, NATIVE, value_of
from onnx import helper
from onnx.reference import ReferenceEvaluator

I, F = np.int64, np.float32  # noqa: E741
A, B = np.array([[7, -3, 2], [4, 5, -6]], I), np.array([[2, 2, 3], [1, -2, 4]], I)
R, S = A.astype(F) / 2, np.abs(B).astype(F)
P, Q = np.array([True, True, False]), np.array([True, False, False])
ONE, TWO, LIST = np.array(1, I), np.array(2, I), np.array([2, 3, 4], I)
WITH_VALUES: dict[str, tuple[Sequence[np.ndarray[Any, Any]], dict[str, Any]]] = {
    **{name: ([A, B], {}) for name in ("Add", "Sub", "Mul", "Div", "Equal", "Less", "Greater", "Mod")},
    **{name: ([R, S], {}) for name in ("Max", "Min")},
    "Pow": ([S, S], {}),
    **{name: ([P, Q], {}) for name in ("And", "Or")},
    "Not": ([P], {}),
    **{name: ([R], {}) for name in ("Neg", "Floor", "Ceil", "Identity", "Abs", "Reciprocal")},
    "Sqrt": ([S], {}),
    "Cast": ([R], {"to": 7}),
    "Where": ([P, A, B], {}),
    "Expand": ([ONE, LIST], {}),
    "Range": ([ONE, np.array(9, I), TWO], {}),
    "Gather": ([A, np.array([2, 0], I)], {"axis": 1}),
    "Concat": ([A, B], {"axis": 1}),
    "Reshape": ([A, np.array([3, 2], I)], {}),
    "Squeeze": ([A[None], np.array([0], I)], {}),
    "Unsqueeze": ([A, np.array([1], I)], {}),
    "ReduceProd": ([A], {"axes": [1], "keepdims": 0}),
    "ConstantOfShape": ([LIST], {}),
    "Slice": ([A, np.array([2], I), np.array([0], I), np.array([1], I), np.array([-1], I)], {}),
}
OF_SHAPES = {"Shape": {"start": 1}, "Size": {}}


def stored(array: np.ndarray[Any, Any]) -> Constant:
    return Constant(str(array.dtype), array.shape, inline=to_bytes(array, str(array.dtype)))


def operator(kind: str, inputs: Sequence[Any], attrs: dict[str, Any]) -> Operator:
    names = tuple(f"i{place}" for place in range(len(inputs)))
    return Operator("op", kind, names, ("y",), attrs, version=17)


def reference(kind: str, inputs: Sequence[np.ndarray[Any, Any]], attrs: dict[str, Any]) -> Any:
    names = [f"i{place}" for place in range(len(inputs))]
    told = helper.make_empty_tensor_value_info
    body = helper.make_graph(
        [helper.make_node(kind, names, ["y"], **attrs)], "g", list(map(told, names)), [told("y")]
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)])
    return np.asarray(ReferenceEvaluator(model).run(None, dict(zip(names, inputs, strict=True)))[0])


@pytest.mark.parametrize("kind", WITH_VALUES)
def test_a_value_is_that_of_the_reference(kind: str) -> None:
    inputs, attrs = WITH_VALUES[kind]
    wanted = reference(kind, inputs, attrs)
    op = operator(kind, inputs, attrs)
    found = value_of(op, [stored(array) for array in inputs], None, str(wanted.dtype))
    assert found is not None
    assert found.shape == wanted.shape
    np.testing.assert_array_equal(found.read(), wanted)


@pytest.mark.parametrize("kind", OF_SHAPES)
def test_a_shape_tells_values(kind: str) -> None:
    attrs = OF_SHAPES[kind]
    found = value_of(operator(kind, [A], attrs), [], A.shape, "int64")
    assert found is not None
    np.testing.assert_array_equal(found.read(), reference(kind, [A], attrs))


def test_every_operator_has_a_case() -> None:
    assert {*WITH_VALUES, *OF_SHAPES} == set(folded_values._operators())


def test_values_up_to_a_bound_are_followed() -> None:
    for count, followed in ((MOST, True), (MOST + 1, False)):
        array = np.arange(count, dtype=I)
        found = value_of(operator("Neg", [array], {}), [stored(array)], None, "int64")
        assert (found is not None) == followed
    assert MOST == 256


def test_element_types_that_numpy_has_are_followed() -> None:
    for dtype in NATIVE:
        array = np.ones(2, dtype)
        assert value_of(operator("Identity", [array], {}), [stored(array)], None, dtype) is not None
    assert set(BITS) - NATIVE == {
        "bfloat16", "int2", "uint2", "int4", "uint4", "float4e2m1", "float8e4m3fn", "float8e4m3fnuz",
        "float8e5m2", "float8e5m2fnuz", "float8e8m0",
    }  # fmt: skip


# ---- shapes of what is not computed ----------------------------------------------------------

ANY = {
    **WITH_VALUES,
    **{
        name: ([np.array([0.5, 1.5], F)], {})
        for name in (
            "Exp",
            "Log",
            "Erf",
            "Relu",
            "Sigmoid",
            "Tanh",
            "Round",
            "Clip",
            "Softmax",
            "Sign",
            "Sin",
        )
    },
    "Cos": ([R], {}),
    "IsNaN": ([R], {}),
    "IsInf": ([R], {}),
    **{name: ([A, B], {}) for name in ("LessOrEqual", "GreaterOrEqual")},
    "Xor": ([P, Q], {}),
    "Transpose": ([A[None]], {"perm": [2, 0, 1]}),
}


@pytest.mark.parametrize("kind", sorted(likes._SHAPES))
def test_type_and_shape_are_told_without_computing(kind: str) -> None:
    inputs, attrs = ANY[kind]
    wanted = reference(kind, inputs, attrs)
    found = likes.like(operator(kind, inputs, attrs), [stored(array) for array in inputs])
    assert found is not None
    assert (found.dtype, found.shape) == (str(wanted.dtype), wanted.shape)


def test_what_is_not_listed_is_not_told() -> None:
    assert likes.like(operator("Gather", [A, ONE], {}), [stored(A), stored(ONE)]) is None
