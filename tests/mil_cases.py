"""Operators of ML Programs with inputs and, where coremltools evaluates no constants, numpy's own answer."""

from __future__ import annotations

from math import erf, pi, sqrt
from typing import Any

import numpy as np
from mil_programs import Case
from numpy.typing import NDArray

Array = NDArray[Any]


def ramp(*shape: int, low: float = -2.0, high: float = 2.0) -> Array:
    """Distinct values from low to high, in an order that is none of the axes'."""
    count = int(np.prod(shape))
    order = np.random.default_rng(count).permutation(count)
    return np.linspace(low, high, count, dtype=np.float32)[order].reshape(shape)


def ints(*shape: int, low: int = -7, high: int = 8) -> Array:
    return np.random.default_rng(3).integers(low, high, shape).astype(np.int32)


X = ramp(2, 3, 4)
POSITIVE = ramp(2, 3, 4, low=0.1, high=3.0)
UNIT = ramp(2, 3, 4, low=-0.9, high=0.9)
Y = ramp(3, 1, low=0.3, high=2.5)
IMAGE = ramp(2, 4, 6, 5)


def unary(op: str, x: Array = X, **params: Any) -> Case:
    return Case(op, {"x": x}, params)


def pair(op: str, x: Array, y: Array, label: str = "") -> Case:
    return Case(op, {"x": x, "y": y}, label=label)


ELEMENTWISE = [
    *(
        unary(op)
        for op in ("abs", "atan", "ceil", "cos", "cosh", "erf", "exp", "exp2", "floor", "sign", "sin")
    ),
    *(unary(op) for op in ("sinh", "square", "tan", "tanh", "round", "relu", "relu6", "sigmoid", "softsign")),
    *(unary(op, UNIT) for op in ("acos", "asin", "atanh")),
    *(unary(op, POSITIVE) for op in ("sqrt", "rsqrt", "inverse", "log")),
    Case("log", {"x": POSITIVE}, {"epsilon": 0.5}, label="epsilon"),
    Case("clip", {"x": X}, {"alpha": -0.5, "beta": 1.25}),
    Case("cast", {"x": X}, {"dtype": "int32"}, label="to-int"),
    Case("cast", {"x": ints(2, 3)}, {"dtype": "fp32"}, label="to-float"),
    *(pair(op, X, Y) for op in ("add", "sub", "mul", "real_div", "floor_div", "mod", "maximum", "minimum")),
    pair("pow", POSITIVE, Y),
    *(
        pair(op, ints(3, 4), ints(4, low=1, high=5), "ints")
        for op in ("add", "sub", "mul", "floor_div", "mod")
    ),
    *(
        pair(op, ints(3, 4), ints(4))
        for op in ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")
    ),
    *(pair(op, X > 0, X > 1) for op in ("logical_and", "logical_or", "logical_xor")),
    unary("logical_not", X > 0),
    Case("select", {"cond": X > 0, "a": X, "b": -2 * X}),
]

ACTIVATIONS = [
    unary("elu", alpha=0.7),
    unary("leaky_relu", alpha=0.2),
    unary("linear_activation", alpha=1.5, beta=-0.25),
    unary("scaled_tanh", alpha=1.5, beta=0.5),
    unary("sigmoid_hard", alpha=0.3, beta=0.4),
    unary("softplus"),
    unary("threshold", alpha=0.3),
    unary("thresholded_relu", alpha=0.4),
    unary("clamped_relu", alpha=0.2, beta=1.0),
    Case("silu", {"x": X}, {}, lambda x: x / (1 + np.exp(-x))),
    Case(
        "gelu",
        {"x": X},
        {"mode": "EXACT"},
        lambda x: np.vectorize(lambda v: v / 2 * (1 + erf(v / sqrt(2))))(x),
    ),
    Case(
        "gelu",
        {"x": X},
        {"mode": "TANH_APPROXIMATION"},
        lambda x: x / 2 * (1 + np.tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))),
        label="tanh",
    ),
    Case(
        "gelu",
        {"x": X},
        {"mode": "SIGMOID_APPROXIMATION"},
        lambda x: x / (1 + np.exp(-1.702 * x)),
        label="sigmoid",
    ),
    Case(
        "prelu",
        {"x": IMAGE},
        {"alpha": np.array([0.1, 0.2, 0.3, 0.4], np.float32)},
        lambda x: np.where(x < 0, x * np.array([0.1, 0.2, 0.3, 0.4], np.float32)[:, None, None], x),
    ),
    Case(
        "softplus_parametric",
        {"x": X},
        {"alpha": np.array([1, 2, 3], np.float32), "beta": np.array([0.5, 1, 1.5], np.float32)},
        lambda x: np.array([1, 2, 3])[:, None] * np.log1p(np.exp(np.array([0.5, 1, 1.5])[:, None] * x)),
    ),
    unary("softmax", axis=1),
]

SHAPES = [
    Case("reshape", {"x": X}, {"shape": [4, -1]}),
    Case("transpose", {"x": X}, {"perm": [2, 0, 1]}),
    Case("expand_dims", {"x": X}, {"axes": [0, -1]}),
    Case("squeeze", {"x": ramp(1, 3, 1, 2)}, {"axes": [2]}),
    Case("squeeze", {"x": ramp(1, 3, 1, 2)}, label="all"),
    Case("concat", {"a": X, "b": -X}, {"axis": 1}),
    Case(
        "concat",
        {"a": IMAGE, "b": -IMAGE},
        {"axis": 1, "interleave": True},
        lambda a, b: np.stack([a, b], 2).reshape(2, 8, 6, 5),
        label="interleaved",
    ),
    Case("stack", {"a": X, "b": -X}, {"axis": 1}),
    Case("split", {"x": X}, {"num_splits": 2, "axis": 2}),
    Case("split", {"x": X}, {"split_sizes": [1, 3], "axis": -1}, label="sizes"),
    Case("tile", {"x": X}, {"reps": [1, 2, 3]}),
    Case("flatten2d", {"x": X}, {"axis": 2}),
    Case("shape", {"x": X}),
    Case("fill_like", {"ref_tensor": X}, {"value": 1.5}, lambda ref_tensor: np.full((2, 3, 4), 1.5), ios=16),
    Case("pad", {"x": X}, {"pad": [1, 0, 0, 2], "mode": "constant", "constant_val": 1.5}),
    Case("pad", {"x": X}, {"pad": [1, 2], "mode": "reflect", "constant_val": 0.0}, label="reflect"),
    Case(
        "pad",
        {"x": X},
        {"pad": [2, 1, 1, 2], "mode": "replicate", "constant_val": 0.0},
        lambda x: np.pad(x, [(0, 0), (2, 1), (1, 2)], mode="edge"),
        label="replicate",
    ),
    Case("crop", {"x": IMAGE}, {"crop_height": [1, 2], "crop_width": [0, 1]}, lambda x: x[:, :, 1:-2, :-1]),
    Case(
        "depth_to_space",
        {"x": ramp(1, 8, 2, 3)},
        {"block_size": 2},
        lambda x: x.reshape(1, 2, 2, 2, 2, 3).transpose(0, 3, 4, 1, 5, 2).reshape(1, 2, 4, 6),
    ),
    Case(
        "space_to_depth",
        {"x": ramp(1, 2, 4, 6)},
        {"block_size": 2},
        lambda x: x.reshape(1, 2, 2, 2, 3, 2).transpose(0, 3, 5, 1, 2, 4).reshape(1, 8, 2, 3),
    ),
    Case(
        "pixel_shuffle",
        {"x": ramp(1, 8, 2, 3)},
        {"upscale_factor": 2},
        lambda x: x.reshape(1, 2, 2, 2, 2, 3).transpose(0, 1, 4, 2, 5, 3).reshape(1, 2, 4, 6),
    ),
    Case(
        "pixel_unshuffle",
        {"x": ramp(1, 2, 4, 6)},
        {"downscale_factor": np.uint32(2)},
        lambda x: x.reshape(1, 2, 2, 2, 3, 2).transpose(0, 1, 3, 5, 2, 4).reshape(1, 8, 2, 3),
        ios=16,
    ),
    Case(
        "space_to_batch",
        {"x": ramp(1, 2, 3, 6)},
        {"block_shape": [2, 3], "paddings": [[0, 1], [0, 0]]},
        lambda x: (
            np.pad(x, [(0, 0), (0, 0), (0, 1), (0, 0)])
            .reshape(1, 2, 2, 2, 2, 3)
            .transpose(3, 5, 0, 1, 2, 4)
            .reshape(6, 2, 2, 2)
        ),
    ),
    Case(
        "batch_to_space",
        {"x": ramp(6, 2, 2, 2)},
        {"block_shape": [2, 3], "crops": [[0, 1], [0, 0]]},
        lambda x: x.reshape(2, 3, 1, 2, 2, 2).transpose(2, 3, 4, 0, 5, 1).reshape(1, 2, 4, 6)[:, :, :3],
    ),
    Case("reverse", {"x": X}, {"axes": [0, 2]}),
    Case(
        "reverse_sequence",
        {"x": X, "lengths": np.array([1, 3], np.int32)},
        {"seq_axis": 1, "batch_axis": 0},
        lambda x, lengths: np.stack(
            [np.concatenate([row[:n][::-1], row[n:]]) for row, n in zip(x, lengths, strict=True)]
        ),
    ),
]

INDEXING = [
    Case("slice_by_index", {"x": X}, {"begin": [0, 1, 0], "end": [2, 3, 4], "stride": [1, 1, 2]}),
    Case(
        "slice_by_index",
        {"x": X},
        {
            "begin": [0, -1, 3],
            "end": [0, 0, 0],
            "stride": [1, 1, -1],
            "begin_mask": [True, False, False],
            "end_mask": [True, False, True],
            "squeeze_mask": [False, True, False],
        },
        label="masks",
    ),
    Case(
        "slice_by_index",
        {"x": X, "begin": np.array([0, 1, 1], np.int32), "end": np.array([2, 2, 3], np.int32)},
        {"squeeze_mask": [False, True, False]},
        lambda x, begin, end: x[0:2, 1, 1:3],
        label="computed",
    ),
    Case("slice_by_size", {"x": X}, {"begin": [0, 1, 0], "size": [1, -1, 3]}),
    Case("gather", {"x": X}, {"indices": np.array([[2, 0], [1, 1]], np.int32), "axis": 1}),
    Case(
        "gather",
        {"x": X, "indices": np.array([[2, 0], [1, 1]], np.int32)},
        {"axis": 2, "batch_dims": 1},
        lambda x, indices: np.stack([row[:, at] for row, at in zip(x, indices, strict=True)]),
        ios=17,
        label="batched",
    ),
    Case(
        "gather_along_axis",
        {"x": X, "indices": ints(2, 3, 2, low=0, high=4)},
        {"axis": 2},
        lambda x, indices: np.take_along_axis(x, indices, 2),
    ),
    Case(
        "gather_nd", {"x": X}, {"indices": np.array([[1, 2], [0, 0]], np.int32)}, lambda x: x[[1, 0], [2, 0]]
    ),
    Case(
        "scatter",
        {"data": X, "updates": ramp(2, 2, 4)},
        {"indices": np.array([2, 0], np.int32), "axis": 1, "mode": "update"},
        lambda data, updates: np.stack([updates[:, 1], data[:, 1], updates[:, 0]], 1),
    ),
    Case(
        "scatter",
        {"data": X, "updates": ramp(2, 2, 4)},
        {"indices": np.array([2, 0], np.int32), "axis": 1, "mode": "sub"},
        lambda data, updates: data - np.stack([updates[:, 1], 0 * updates[:, 0], updates[:, 0]], 1),
        label="sub",
    ),
    Case(
        "scatter_along_axis",
        {"data": X, "updates": ramp(2, 1, 4)},
        {"indices": np.array([[[0, 1, 2, 0]], [[1, 1, 0, 2]]], np.int32), "axis": 1, "mode": "update"},
    ),
    Case(
        "scatter_along_axis",
        {"data": X, "updates": ramp(2, 1, 4)},
        {"indices": np.array([[[0, 1, 2, 0]], [[1, 1, 0, 2]]], np.int32), "axis": 1, "mode": "add"},
        lambda data, updates: (
            data + updates * (np.arange(3)[:, None] == np.array([[[0, 1, 2, 0]], [[1, 1, 0, 2]]]))
        ),
        label="add",
    ),
    Case(
        "scatter_nd",
        {"data": X, "updates": ramp(2, 4)},
        {"indices": np.array([[1, 2], [0, 0]], np.int32), "mode": "update"},
        lambda data, updates: np.stack(
            [np.stack([updates[1], *data[0, 1:]]), np.stack([*data[1, :2], updates[0]])]
        ),
    ),
    Case(
        "slice_update",
        {"x": X, "update": ramp(2, 1, 2)},
        {"begin": [0, 1, 0], "end": [2, 2, 4], "stride": [1, 1, 2]},
        lambda x, update: _updated(x, (slice(0, 2), slice(1, 2), slice(0, 4, 2)), update),
        ios=18,
    ),
    Case("range_1d", {"end": np.array(9, np.int32)}, {"start": 1, "step": 3}, lambda end: np.arange(1, 9, 3)),
    Case("non_zero", {"x": (X > 0).astype(np.float32)}, {}, lambda x: np.argwhere(x)),
    Case(
        "one_hot",
        {"indices": np.array([0, 2, 1], np.int32)},
        {"one_hot_vector_size": 4, "axis": -1, "on_value": 3.0, "off_value": -1.0},
        lambda indices: np.where(np.arange(4) == indices[:, None], 3.0, -1.0),
    ),
    Case("band_part", {"x": X}, {"lower": 0, "upper": 1}),
    Case(
        "sliding_windows",
        {"x": ramp(2, 7, 3)},
        {"axis": 1, "size": 3, "stride": 2},
        lambda x: np.stack([x[:, at : at + 3] for at in (0, 2, 4)], 1),
    ),
    Case("topk", {"x": X}, {"k": 2, "axis": 2}),
    Case("topk", {"x": X}, {"k": 2, "axis": 1, "ascending": True}, label="ascending"),
    Case("argsort", {"x": X}, {"axis": -1, "ascending": True}),
    Case("cumsum", {"x": X}, {"axis": 1}),
    Case(
        "cumsum",
        {"x": X},
        {"axis": 2, "exclusive": True, "reverse": True},
        lambda x: np.cumsum(x[..., ::-1], 2)[..., ::-1] - x,
        label="reversed",
    ),
]


def _updated(x: Array, where: Any, update: Array) -> Array:
    found = x.copy()
    found[where] = update
    return found


REDUCTIONS = [
    *(
        unary(op, POSITIVE, axes=[0, 2])
        for op in (
            "reduce_sum",
            "reduce_mean",
            "reduce_max",
            "reduce_min",
            "reduce_prod",
            "reduce_l1_norm",
            "reduce_l2_norm",
            "reduce_log_sum",
            "reduce_log_sum_exp",
            "reduce_sum_square",
        )
    ),
    Case("reduce_sum", {"x": X}, {"axes": [1], "keep_dims": True}, label="kept"),
    Case("reduce_max", {"x": X}, label="all"),
    Case("reduce_sum", {"x": ints(2, 3)}, {"axes": [1]}, label="ints"),
    Case("reduce_argmax", {"x": X}, {"axis": 1, "keep_dims": False}),
    Case("reduce_argmin", {"x": X}, {"axis": 2, "keep_dims": True}),
]


def attention(query: Array, key: Array, value: Array, attn_mask: Array | None = None) -> Array:
    scores = query @ np.swapaxes(key, -1, -2) / sqrt(query.shape[-1])
    if attn_mask is not None:
        scores = np.where(attn_mask, scores, -np.inf) if attn_mask.dtype == bool else scores + attn_mask
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(shares / shares.sum(-1, keepdims=True) @ value)


W = ramp(5, 4, low=-1, high=1)
Q, K, V = ramp(1, 2, 3, 4), ramp(1, 2, 5, 4), ramp(1, 2, 5, 6)
PRODUCTS = [
    Case("linear", {"x": X}, {"weight": W, "bias": ramp(5)}, lambda x: x @ W.T + ramp(5)),
    Case("matmul", {"x": X, "y": ramp(2, 4, 5)}),
    Case("matmul", {"x": X, "y": ramp(2, 5, 3)}, {"transpose_x": True, "transpose_y": True}, label="turned"),
    Case(
        "einsum",
        {"a": ramp(2, 3, 1, 4), "b": ramp(2, 4, 1, 5)},
        {"equation": "bnhc,bchm->bnhm"},
        lambda a, b: np.einsum("bnhc,bchm->bnhm", a, b),
    ),
    Case("scaled_dot_product_attention", {"query": Q, "key": K, "value": V}, {}, attention, ios=18),
    Case(
        "scaled_dot_product_attention",
        {"query": Q, "key": K, "value": V, "attn_mask": ramp(3, 5)},
        {},
        attention,
        ios=18,
        label="added",
    ),
    Case(
        "scaled_dot_product_attention",
        {"query": Q, "key": K, "value": V, "attn_mask": ramp(3, 5) > -1.5},
        {},
        attention,
        ios=18,
        label="hidden",
    ),
]

CASES = [*ELEMENTWISE, *ACTIVATIONS, *SHAPES, *INDEXING, *REDUCTIONS, *PRODUCTS]
