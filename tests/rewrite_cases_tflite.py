"""One model for each way in which a TFLite rewrite applies, and for each guard that keeps it from
applying.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import rewrite_cases_tflite_control as control
from accelint.analyzer.ir.graph import Quantization
from rewrite_models import Net

Build = Callable[[Net], Any]
QUANT = Quantization((0.05,), (3,))
OTHER = Quantization((0.1,), (0,))


def ints(net: Net, *values: int) -> str:
    return net.const(list(values), "int32")


def scalar(net: Net, value: int) -> str:
    return net.const(np.int32(value), "int32")


def masked(
    shape: tuple[int, ...],
    begin: list[int],
    end: list[int],
    strides: list[int],
    after: tuple[int, ...],
    **masks: int,
) -> Build:
    def build(net: Net) -> str:
        bounds = [ints(net, *values) for values in (begin, end, strides)]
        return net.op("STRIDED_SLICE", [net.input("x", shape), *bounds], after, **masks)

    return build


def gather(shape: tuple[int, ...], indices: Any, axis: int, after: tuple[int, ...], **options: Any) -> Build:
    def build(net: Net) -> str:
        return net.op(
            "GATHER", [net.input("x", shape), net.const(indices, "int32")], after, axis=axis, **options
        )

    return build


def gather_table(net: Net) -> str:
    table = net.const(np.arange(40).reshape(10, 4) / 7)
    return net.op("GATHER", [table, net.input("i", (2, 3), "int32")], (2, 3, 4), axis=0)


def unary(type: str, shape: tuple[int, ...], **attrs: Any) -> Build:
    return lambda net: net.op(type, [net.input("x", shape)], shape, **attrs)


def binary(
    type: str,
    left: tuple[int, ...],
    right: tuple[int, ...],
    after: tuple[int, ...],
    dtype: str = "float32",
    **attrs: Any,
) -> Build:
    return lambda net: net.op(type, [net.input("x", left), net.input("y", right)], after, dtype, **attrs)


def reduce(
    type: str, shape: tuple[int, ...], axes: list[int], after: tuple[int, ...], *, keep: bool = False
) -> Build:
    return lambda net: net.op(type, [net.input("x", shape), ints(net, *axes)], after, keep_dims=keep)


def transposed(
    shape: tuple[int, ...], perm: tuple[int, ...], dtype: str = "float32", quant: Quantization | None = None
) -> Build:
    def build(net: Net) -> str:
        after = tuple(shape[axis] for axis in perm)
        return net.op(
            "TRANSPOSE", [net.input("x", shape, dtype, quant), ints(net, *perm)], after, dtype, quant=quant
        )

    return build


def argmax(cast: bool) -> Build:
    def build(net: Net) -> str:
        best = net.op(
            "ARG_MAX", [net.input("x", (2, 3, 7)), scalar(net, 2)], (2, 3), "int64", output_type="INT64"
        )
        if not cast:
            return best
        return net.op("CAST", [best], (2, 3), "int32", in_data_type="INT64", out_data_type="INT32")

    return build


def prelu(shape: tuple[int, ...], alpha: tuple[int, ...], low: float = 0.1, high: float = 0.9) -> Build:
    def build(net: Net) -> str:
        slopes = net.const(np.linspace(low, high, int(np.prod(alpha))).reshape(alpha))
        return net.op("PRELU", [net.input("x", shape), slopes], shape)

    return build


def zeros_like(net: Net) -> str:
    x = net.input("x", (2, 3, 5))
    return net.op("ADD", [x, net.op("ZEROS_LIKE", [x], (2, 3, 5))], (2, 3, 5))


def add_n(net: Net) -> str:
    return net.op("ADD_N", [net.input(name, (2, 3, 5)) for name in ("x", "y", "z")], (2, 3, 5))


def spread(shape: tuple[int, ...], after: tuple[int, ...]) -> Build:
    return lambda net: net.op("BROADCAST_TO", [net.input("x", shape), ints(net, *after)], after)


def window(height: int, width: int, stride: int) -> dict[str, int]:
    """The options of a pooling operator."""
    return {"filter_height": height, "filter_width": width, "stride_h": stride, "stride_w": stride}


def chain(net: Net) -> str:
    """Pixel shuffle: 4 -> 6 dimensions, transpose, back to 4."""
    x = net.input("x", (1, 2, 3, 8))
    six = net.op(
        "RESHAPE", [x, ints(net, 1, 2, 3, 2, 2, 2)], (1, 2, 3, 2, 2, 2), new_shape=(1, 2, 3, 2, 2, 2)
    )
    turned = net.op("TRANSPOSE", [six, ints(net, 0, 1, 3, 2, 4, 5)], (1, 2, 2, 3, 2, 2))
    return net.op("RESHAPE", [turned, ints(net, 1, 4, 6, 2)], (1, 4, 6, 2), new_shape=(1, 4, 6, 2))


def two_reshapes(net: Net) -> str:
    x = net.input("x", (2, 3, 4))
    first = net.op("RESHAPE", [x, ints(net, 6, 4)], (6, 4), new_shape=(6, 4))
    second = net.op("EXPAND_DIMS", [first, scalar(net, 1)], (6, 1, 4))
    return net.op("RESHAPE", [second, ints(net, 4, 6)], (4, 6), new_shape=(4, 6))


def joined(net: Net) -> str:
    parts = [net.input("x", (1, 2, 3, 4, 5)), net.input("y", (1, 2, 3, 2, 5))]
    return net.op("CONCATENATION", parts, (1, 2, 3, 6, 5), axis=-2)


def product(net: Net) -> str:
    return net.op(
        "BATCH_MATMUL", [net.input("x", (2, 1, 3, 4, 5)), net.input("y", (2, 1, 3, 5, 2))], (2, 1, 3, 4, 2)
    )


def select(net: Net) -> str:
    x, y = net.input("x", (1, 2, 3, 4, 5)), net.input("y", (1, 2, 3, 4, 5))
    larger = net.op("GREATER", [x, net.const(np.float32(0.5))], (1, 2, 3, 4, 5), "bool")
    return net.op("SELECT_V2", [larger, x, y], (1, 2, 3, 4, 5))


def packed(net: Net) -> str:
    return net.op(
        "PACK", [net.input(name, (2, 3, 4, 5)) for name in "xyz"], (2, 3, 3, 4, 5), values_count=3, axis=-4
    )


def unpacked(net: Net) -> list[str]:
    return net.ops("UNPACK", [net.input("x", (2, 3, 3, 4, 5))], [(2, 3, 4, 5)] * 3, num=3, axis=1)


def int8_expand(net: Net) -> str:
    return net.op(
        "EXPAND_DIMS",
        [net.input("x", (2, 3), "int8", QUANT), scalar(net, -1)],
        (2, 3, 1),
        "int8",
        quant=QUANT,
    )


def no_op_reshape(net: Net) -> str:
    x = net.op("NEG", [net.input("x", (2, 3))], (2, 3))
    return net.op("ABS", [net.op("RESHAPE", [x, ints(net, 2, 3)], (2, 3), new_shape=(2, 3))], (2, 3))


def shape_arithmetic(net: Net) -> str:
    x = net.input("x", (2, 3, 4))
    shape = net.op("SHAPE", [x], (3,), "int32", out_type="INT32")
    doubled = net.op("MUL", [shape, ints(net, 1, 1, 1)], (3,), "int32")
    return net.op("RESHAPE", [x, doubled], (2, 3, 4))


def compared(type: str) -> Build:
    return lambda net: net.op(type, [ints(net, 0, 1, 2, 3), net.input("x", (4,), "int32")], (4,), "bool")


def leaky(alpha: float, quant: Quantization | None = None, after: Quantization | None = None) -> Build:
    dtype = "float32" if quant is None else "int8"

    def build(net: Net) -> str:
        return net.op(
            "LEAKY_RELU",
            [net.input("x", (2, 3, 5), dtype, quant)],
            (2, 3, 5),
            dtype,
            alpha=alpha,
            quant=after,
        )

    return build


APPLIES: dict[str, dict[str, Build]] = {
    "leaky-relu-to-maximum": {
        "float": leaky(0.1),
        "negative": leaky(-0.5),
        "steep": leaky(1.5),
        "int8": leaky(0.2, QUANT, QUANT),
        "int8 of another scale": leaky(0.2, QUANT, OTHER),
        "steep int8": leaky(2.0, QUANT, OTHER),
        "prelu": prelu((2, 3, 5), (5,), low=-1.0, high=1.0),
        "steep prelu": prelu((2, 3, 5), (1, 1, 5), low=1.0, high=2.0),
    },
    "fold-shape-tflite": {
        "shape": shape_arithmetic,
        "rank": lambda net: net.op(
            "ADD",
            [net.input("x", (2,), "int32"), net.op("RANK", [net.input("y", (2, 3))], (), "int32")],
            (2,),
            "int32",
        ),
    },
    "fold-constants-tflite": {
        "mul": lambda net: net.op(
            "RESHAPE",
            [net.input("x", (2, 6)), net.op("MUL", [ints(net, 1, 2), ints(net, 3, 2)], (2,), "int32")],
            (3, 4),
        )
    },
    "remove-idle-tflite": {"reshape": no_op_reshape},
    "merge-reshapes": {"three": two_reshapes},
    "expand-squeeze-to-reshape": {
        "expand": lambda net: net.op(
            "EXPAND_DIMS", [net.input("x", (2, 3, 5)), scalar(net, 1)], (2, 1, 3, 5)
        ),
        "squeeze": lambda net: net.op("SQUEEZE", [net.input("x", (2, 1, 3, 1))], (2, 3), squeeze_dims=(1, 3)),
        "int8": int8_expand,
    },
    "plain-strided-slice": {
        "shrink": masked((2, 4, 5), [0, -3, 1], [2, 9, 4], [1, 1, 1], (2, 3), shrink_axis_mask=2),
        "shrink all but one": masked((4, 5, 3), [2, 3, 0], [3, 4, 3], [1, 1, 1], (3,), shrink_axis_mask=3),
        "new axis": masked((4, 5), [0, 0, 1], [0, 4, 5], [1, 1, 2], (1, 4, 2), new_axis_mask=1),
        "ellipsis": masked((2, 3, 4, 5), [0, 1], [0, 4], [1, 2], (2, 3, 4, 2), ellipsis_mask=1),
        "ellipsis in the middle": masked(
            (2, 3, 4, 5), [1, 0, 1], [2, 0, 4], [1, 1, 2], (3, 4, 2), ellipsis_mask=2, shrink_axis_mask=1
        ),
        "backwards": masked((3, 7), [2, -1], [-4, -8], [-1, -2], (3, 4)),
        "six dimensions": masked(
            (1, 3, 4, 2, 5, 2),
            [0, -2, 0, 0, 0, 0],
            [1, 3, 4, 2, 5, 2],
            [1] * 6,
            (4, 2, 5, 2),
            shrink_axis_mask=3,
            end_mask=60,
        ),
        "five backwards": masked(
            (2, 3, 4, 2, 2), [0, -1, 0, 1, 0], [2, -4, 4, 2, 2], [1, -1, 2, 1, 1], (2, 3, 2, 1, 2)
        ),
        "slice of five": lambda net: net.op(
            "SLICE",
            [net.input("x", (2, 3, 4, 2, 5)), ints(net, 0, 1, 0, 0, 0), ints(net, -1, 2, 4, -1, 5)],
            (2, 2, 4, 2, 5),
        ),
        "backwards with masks": masked((3, 7), [0, 0], [0, 2], [-1, -3], (3, 2), begin_mask=3, end_mask=1),
    },
    "unpack-to-split": {"five": unpacked},
    "gather-by-list": {
        "scalar": gather((3, 4, 5), np.int32(2), 1, (3, 5)),
        "range": gather((3, 4, 5), [1, 2, 3], 1, (3, 3, 5)),
        "matrix": gather((3, 4, 5), [[3, 0], [0, 2]], 1, (3, 2, 2, 5)),
        "five dimensions": gather((2, 3, 4, 5, 2), [3, 0], 2, (2, 3, 2, 5, 2)),
        "table": gather_table,
    },
    "gather-nd-to-gather": {
        "rows": lambda net: net.op(
            "GATHER_ND", [net.input("x", (4, 3, 5)), net.const([[2], [0]], "int32")], (2, 3, 5)
        ),
        "points": lambda net: net.op(
            "GATHER_ND",
            [net.input("x", (4, 3, 5)), net.const([[[2, 1], [0, 2]], [[3, 0], [1, 1]]], "int32")],
            (2, 2, 5),
        ),
        "range": lambda net: net.op(
            "GATHER_ND", [net.input("x", (4, 3)), net.const([[1], [2]], "int32")], (2, 3)
        ),
    },
    "broadcast-to-tile": {
        "same rank": spread((2, 1, 5), (2, 3, 5)),
        "more": spread((1, 5), (2, 3, 5)),
        "scalar": spread((), (2, 3)),
        "none": spread((2, 3), (2, 3)),
    },
    "add-n-to-adds": {"three": add_n},
    "stored-in-full-rank": {
        "integers": lambda net: net.op(
            "SUB", [ints(net, 1, 2, 3), net.input("x", (1, 3), "int32")], (1, 3), "int32"
        ),
        "floats": lambda net: net.op(
            "MUL", [net.input("x", (2, 4, 3)), net.const(np.ones((4, 3)))], (2, 4, 3)
        ),
    },
    "comparison-turned": {
        name: compared(name) for name in ("GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")
    },
    "zeros-like-to-constant": {"added": zeros_like},
    "argmax-int32": {"cast": argmax(cast=True)},
    "prelu-per-channel": {
        "one": prelu((1, 3, 4, 5), (1,)),
        "column": prelu((1, 3, 4, 5), (4, 1)),
        "row": prelu((1, 3, 4, 5), (3, 1, 1)),
        "rank 3": prelu((2, 3, 4), (1,)),
    },
    "relu-0-to-1-to-minimum": {"plain": unary("RELU_0_TO_1", (2, 3, 5))},
    "log-softmax-parts": {"plain": unary("LOG_SOFTMAX", (2, 3, 5))},
    "l2-normalization-parts": {"plain": unary("L2_NORMALIZATION", (2, 3, 5))},
    "l2-pool-to-average-pool": {
        "same": lambda net: net.op(
            "L2_POOL_2D", [net.input("x", (1, 5, 6, 3))], (1, 3, 3, 3), padding="SAME", **window(3, 2, 2)
        )
    },
    "transpose-on-views": {
        "window": transposed((1, 2, 3, 4, 5, 2), (0, 1, 3, 2, 4, 5)),
        "reversed": transposed((2, 3, 4, 5, 2), (4, 3, 2, 1, 0)),
        "rolled": transposed((2, 3, 4, 5, 3), (2, 3, 4, 0, 1)),
        "mixed": transposed((2, 3, 4, 2, 3, 2), (5, 2, 0, 4, 1, 3)),
        "ones": transposed((1, 2, 1, 3, 1, 4), (5, 4, 3, 2, 1, 0)),
        "int8": transposed((2, 3, 4, 2, 3), (4, 2, 0, 3, 1), "int8", QUANT),
        "pixel shuffle": chain,
    },
    "merge-dimensions": {
        "unary": unary("EXP", (1, 2, 3, 4, 5)),
        "same": binary("ADD", (2, 3, 4, 5, 2), (2, 3, 4, 5, 2), (2, 3, 4, 5, 2)),
        "broadcast": binary("SUB", (2, 3, 4, 5, 2), (1, 1, 1, 5, 2), (2, 3, 4, 5, 2)),
        "both": binary("MUL", (2, 3, 1, 1, 2), (1, 1, 4, 5, 2), (2, 3, 4, 5, 2)),
        "lower rank": binary("MAXIMUM", (2, 3, 4, 5, 2), (5, 2), (2, 3, 4, 5, 2)),
        "compare": binary("LESS", (2, 3, 1, 5, 2), (2, 3, 4, 5, 2), (2, 3, 4, 5, 2), "bool"),
        "select": select,
        "concatenation": joined,
        "product": product,
        "softmax": unary("SOFTMAX", (1, 2, 3, 4, 5), beta=1.0),
        "mean": reduce("MEAN", (2, 3, 4, 3, 2), [1, 2, 4], (2, 3)),
        "max": reduce("REDUCE_MAX", (2, 3, 4, 3, 2), [-1], (2, 3, 4, 3, 1), keep=True),
    },
    "pack-to-concatenation": {"three": packed},
}

MISSES: dict[str, tuple[Build, str]] = {
    "leaky-relu-to-maximum": (leaky(0.0, QUANT, QUANT), "not positive"),
    "fold-shape-tflite": (
        lambda net: net.op("SHAPE", [net.input("x", (2, 3))], (2,), "int32", out_type="INT32"),
        "output of the graph",
    ),
    "fold-constants-tflite": (
        lambda net: net.op("ABS", [net.op("NEG", [net.input("x", (2,))], (2,))], (2,)),
        "output of the graph",
    ),
    "remove-idle-tflite": (transposed((2, 3), (1, 0)), "it moves axes"),
    "merge-reshapes": (
        lambda net: net.op("RESHAPE", [net.input("x", (2, 3)), ints(net, 6)], (6,)),
        "not the result of a reshape",
    ),
    "expand-squeeze-to-reshape": (
        lambda net: net.op(
            "EXPAND_DIMS",
            [net.input("x", (2, 3), "int8", QUANT), scalar(net, 0)],
            (1, 2, 3),
            "int8",
            quant=OTHER,
        ),
        "changes the quantization",
    ),
    "plain-strided-slice": (masked((4, 5), [0, 1], [4, 5], [1, 2], (4, 2)), "plain already"),
    "unpack-to-split": (
        lambda net: net.ops("UNPACK", [net.input("x", (2, None))], [(None,)] * 2, num=2),
        "not all known",
    ),
    "gather-by-list": (gather((3, 4), [2, 0], 1, (3, 2)), "a list already"),
    "gather-nd-to-gather": (
        lambda net: net.op("GATHER_ND", [net.input("x", (4, 3)), net.input("i", (2, 1), "int32")], (2, 3)),
        "computed when the model runs",
    ),
    "broadcast-to-tile": (
        lambda net: net.op("BROADCAST_TO", [net.input("x", (1, None)), ints(net, 2, 3)], (2, 3)),
        "shapes are not all known",
    ),
    "stored-in-full-rank": (
        lambda net: net.op("ADD", [net.input("x", (3,)), net.const(np.ones(3))], (3,)),
        "as many dimensions",
    ),
    "comparison-turned": (binary("LESS", (4,), (4,), (4,), "bool"), "not the stored one"),
    "add-n-to-adds": (lambda net: net.op("ADD_N", [net.input("x", (2,))], (2,)), "one input"),
    "zeros-like-to-constant": (
        lambda net: net.op("ZEROS_LIKE", [net.input("x", (2, 3))], (2, 3)),
        "output of the graph",
    ),
    "argmax-int32": (argmax(cast=False), "output of the graph"),
    "prelu-per-channel": (prelu((1, 3, 4, 5), (1, 1, 5)), "for every channel already"),
    "relu-0-to-1-to-minimum": (
        lambda net: net.op("RELU_0_TO_1", [net.input("x", (2,), "int8", QUANT)], (2,), "int8", quant=QUANT),
        "not on float32",
    ),
    "log-softmax-parts": (
        lambda net: net.op("LOG_SOFTMAX", [net.input("x", (2,), "int8", QUANT)], (2,), "int8", quant=OTHER),
        "not on float32",
    ),
    "l2-normalization-parts": (
        unary("L2_NORMALIZATION", (2, 3), fused_activation_function="RELU"),
        "fused activation",
    ),
    "l2-pool-to-average-pool": (
        lambda net: net.op(
            "L2_POOL_2D",
            [net.input("x", (1, 2, 2, 1))],
            (1, 1, 1, 1),
            padding="VALID",
            **window(2, 2, 1),
            fused_activation_function="RELU6",
        ),
        "fused activation",
    ),
    "transpose-on-views": (transposed((2, 3, 4, 5), (3, 0, 1, 2)), "few enough"),
    "merge-dimensions": (
        binary("ADD", (2, 1, 2, 1, 2), (1, 3, 1, 3, 1), (2, 3, 2, 3, 2)),
        "its broadcast needs too many dimensions",
    ),
    "pack-to-concatenation": (
        lambda net: net.op(
            "PACK",
            [net.input("x", (2,), "int8", QUANT), net.input("y", (2,), "int8", OTHER)],
            (2, 2),
            "int8",
            values_count=2,
            quant=QUANT,
        ),
        "quantized differently",
    ),
}

NEAR: dict[str, tuple[tuple[Build, str], ...]] = {id: (miss,) for id, miss in MISSES.items()}
for _family in (control,):
    APPLIES.update(_family.APPLIES)
    NEAR.update(_family.NEAR)
