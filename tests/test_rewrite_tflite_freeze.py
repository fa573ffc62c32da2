"""Freezing and folding TFLite: shapes by LiteRT's own planning, shape arithmetic folded, bits kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from accelint.analyzer.errors import UsageError
from accelint.analyzer.flows.litert_shapes import infer_litert, trusted
from accelint.rewrites.freeze import freeze
from accelint.rewrites.planner import tidy
from accelint.rewrites.registry import rewrites
from accelint.rewrites.tflite.fold import FoldTflite
from accelint.rewrites.tflite.values import EVALUATORS
from rewrite_models import LiteRT, Net, same_bits


def dynamic() -> Net:
    """x[?,4,6] is reshaped to [batch, 24] through SHAPE, STRIDED_SLICE and PACK, as Keras' Flatten and
    Reshape do it.
    """
    net = Net()
    x = net.input("x", (None, 4, 6))
    shape = net.op("SHAPE", [x], (3,), "int32", out_type="INT32")
    zero, one = net.const([0], "int32"), net.const([1], "int32")
    batch = net.op("STRIDED_SLICE", [shape, zero, one, one], (), "int32", shrink_axis_mask=1)
    target = net.op("PACK", [batch, net.const(np.int32(24), "int32")], (2,), "int32", values_count=2, axis=0)
    flat = net.op("RESHAPE", [x, target], (None, 24))
    net.op("ADD", [flat, net.const(np.arange(24))], (None, 24))
    return net


def tidied(net: Any, *outputs: str) -> Any:
    return tidy(net.graph, rewrites("tflite"))


def test_a_frozen_batch_folds_the_shape_arithmetic_and_keeps_every_bit() -> None:
    net = dynamic()
    model = net.model("t4")
    before = LiteRT(model, {"x": (3, 4, 6)})
    done = freeze(model, ["batch=3"], infer_litert, lambda graph: tidy(graph, rewrites("tflite")))
    model.graph.validate()
    assert done.inputs == {"x": (3, 4, 6)} and done.outputs == {"t4": (3, 24)} and not done.open
    assert [op.type for op in model.graph.ops()] == ["RESHAPE", "ADD"]
    after = LiteRT(model)
    feeds = after.feeds()
    assert same_bits(before.run(feeds), after.run(feeds))


def test_an_input_shape_and_its_contradictions() -> None:
    model = dynamic().model("t4")
    with pytest.raises(UsageError, match="size at axis 1 is 4 and cannot become 5"):
        freeze(model, ["x=1x5x6"], infer_litert, lambda graph: {})
    assert freeze(model, ["x=2x4x6"], infer_litert, lambda graph: {}).inputs == {"x": (2, 4, 6)}


CASES: dict[str, tuple[list[Any], dict[str, Any], Any, str]] = (
    {
        # type: constant inputs, attributes, result shape, result dtype
        "RESHAPE": ([np.arange(6, dtype=np.float32), np.array([2, 3], np.int32)], {}, (2, 3), "float32"),
        "EXPAND_DIMS": ([np.arange(6, dtype=np.float32), np.array(0, np.int32)], {}, (1, 6), "float32"),
        "SQUEEZE": (
            [np.arange(6, dtype=np.float32).reshape(1, 6, 1)],
            {"squeeze_dims": (0,)},
            (6, 1),
            "float32",
        ),
        "PACK": (
            [np.array([1, 2], np.int32), np.array([3, 4], np.int32)],
            {"axis": 1, "values_count": 2},
            (2, 2),
            "int32",
        ),
        "CONCATENATION": (
            [np.array([[1, 2]], np.int32), np.array([[3]], np.int32)],
            {"axis": 1},
            (1, 3),
            "int32",
        ),
        "SLICE": (
            [
                np.arange(12, dtype=np.int32).reshape(3, 4),
                np.array([1, 0], np.int32),
                np.array([-1, 2], np.int32),
            ],
            {},
            (2, 2),
            "int32",
        ),
        "STRIDED_SLICE": (
            [
                np.arange(12, dtype=np.int32).reshape(3, 4),
                np.array([0, -1], np.int32),
                np.array([0, 0], np.int32),
                np.array([1, -2], np.int32),
            ],
            {"end_mask": 2, "shrink_axis_mask": 1},
            (2,),
            "int32",
        ),
        "GATHER": (
            [np.arange(12, dtype=np.int32).reshape(3, 4), np.array([3, 0, 3], np.int32)],
            {"axis": 1},
            (3, 3),
            "int32",
        ),
        "TRANSPOSE": (
            [np.arange(24, dtype=np.float32).reshape(2, 3, 4), np.array([2, 0, 1], np.int32)],
            {},
            (4, 2, 3),
            "float32",
        ),
        "BROADCAST_TO": ([np.array([[1], [2]], np.int32), np.array([2, 3], np.int32)], {}, (2, 3), "int32"),
        "BROADCAST_ARGS": ([np.array([3, 1], np.int32), np.array([1, 4], np.int32)], {}, (2,), "int32"),
        "TILE": ([np.array([[1, 2]], np.int32), np.array([2, 3], np.int32)], {}, (2, 6), "int32"),
        "FILL": ([np.array([2, 2], np.int32), np.array(7, np.int32)], {}, (2, 2), "int32"),
        "RANGE": ([np.array(1, np.int32), np.array(12, np.int32), np.array(3, np.int32)], {}, (4,), "int32"),
        "CAST": ([np.array([1.9, -1.9, 0.2], np.float32)], {}, (3,), "int32"),
        "ZEROS_LIKE": ([np.array([1, 2], np.int32)], {}, (2,), "int32"),
        "SELECT_V2": (
            [np.array([True, False]), np.array([1, 2], np.int32), np.array([3, 4], np.int32)],
            {},
            (2,),
            "int32",
        ),
        "REVERSE_V2": (
            [np.arange(6, dtype=np.float32).reshape(2, 3), np.array([1], np.int32)],
            {},
            (2, 3),
            "float32",
        ),
        "NEG": ([np.array([1, -2], np.int32)], {}, (2,), "int32"),
        "ABS": ([np.array([1.5, -2.5], np.float32)], {}, (2,), "float32"),
        "LOGICAL_NOT": ([np.array([True, False])], {}, (2,), "bool"),
        "UNPACK": (
            [np.arange(6, dtype=np.int32).reshape(2, 3)],
            {"num": 2, "axis": 0},
            [(3,), (3,)],
            "int32",
        ),
    }
    | {
        name: ([np.array([7, -7, 3, 0], np.int32), np.array([2, 2, -5, 4], np.int32)], {}, (4,), "int32")
        for name in ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "FLOOR_DIV", "FLOOR_MOD")
    }
    | {
        name: ([np.array([7.5, -7, 3, 0], np.float32), np.array([2, -7, 5, 0], np.float32)], {}, (4,), "bool")
        for name in ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")
    }
    | {
        name: ([np.array([True, True, False]), np.array([True, False, False])], {}, (3,), "bool")
        for name in ("LOGICAL_AND", "LOGICAL_OR")
    }
    | {
        name: (
            [np.array([[3, -7, 2], [5, 6, 4]], np.int32), np.array([1], np.int32)],
            {"keep_dims": True},
            (2, 1),
            "int32",
        )
        for name in ("REDUCE_PROD", "SUM", "REDUCE_MAX", "REDUCE_MIN")
    }
    | {
        name: ([np.array([[True, False], [True, True]]), np.array([0], np.int32)], {}, (2,), "bool")
        for name in ("REDUCE_ANY", "REDUCE_ALL")
    }
)


@pytest.mark.parametrize("type", sorted(EVALUATORS))
def test_every_folded_operator_gives_what_litert_gives(type: str) -> None:
    arrays, attrs, shapes, dtype = CASES[type]

    def net(constant: bool) -> Any:
        made = Net()
        names = [
            made.const(array, str(array.dtype))
            if constant or index
            else made.input("x", array.shape, str(array.dtype))
            for index, array in enumerate(arrays)
        ]
        results = made.ops(type, names, shapes if isinstance(shapes, list) else [shapes], dtype, **attrs)
        ends = [
            made.op(
                "RESHAPE",
                [name, made.const([-1], "int32")],
                (int(np.prod(made.graph.tensor(name).shape or ())),),
                dtype,
                new_shape=(-1,),
            )
            for name in results
        ]
        return made.model(*ends)

    model = net(constant=True)
    assert FoldTflite().speaks_of(model.graph.ops()[0])
    tidy(model.graph, rewrites("tflite"))
    assert type not in [op.type for op in model.graph.ops()] or type == "RESHAPE"
    expected = LiteRT(net(constant=False)).run({"x": arrays[0]})
    assert same_bits(expected, LiteRT(model).run({}))


def test_a_reshape_to_a_computed_shape_is_believed_only_where_the_elements_fit() -> None:
    """LiteRT plans it in the sizes that the file stores, with ones for the unknown ones."""
    net = Net()
    x, target = net.input("x", (2, 6)), net.input("target", (2,), "int32")
    shaped = net.op("RESHAPE", [x, target], (None, None))
    last = net.op("NEG", [shaped], (None, None))
    graph = net.model(last).graph
    stale = {"x": (2, 6), "target": (2,), shaped: (1, 1), last: (1, 1)}
    assert set(trusted(graph, stale)) == {"x", "target"}
    fitting = {**stale, shaped: (3, 4), last: (3, 4)}
    assert trusted(graph, fitting) == fitting
