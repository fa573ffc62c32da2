"""Operators of ML Programs over space and time, with numpy's own answer."""

from __future__ import annotations

import numpy as np
from mil_cases import IMAGE, Array, X, ramp
from mil_programs import Case


def windows(x: Array, kernel: list[int], strides: list[int], dilations: list[int]) -> Array:
    """(n, c, *places, *kernel): every window of the spatial axes."""
    spread = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    found = np.lib.stride_tricks.sliding_window_view(x, spread, axis=tuple(range(2, x.ndim)))
    rank = len(kernel)
    places = tuple(slice(None, None, step) for step in strides)
    inner = tuple(slice(None, None, step) for step in dilations)
    return np.asarray(found[(slice(None), slice(None), *places, *inner)][..., :] if rank else found)


def conv(
    x: Array,
    weight: Array,
    pads: list[tuple[int, int]],
    strides: list[int],
    dilations: list[int],
    shares: int = 1,
) -> Array:
    """By windows and a sum of products, group by group."""
    kernel = list(weight.shape[2:])
    padded = np.pad(x, [(0, 0), (0, 0), *pads])
    rows = []
    own, given = weight.shape[0] // shares, weight.shape[1]
    for share in range(shares):
        seen = windows(padded[:, share * given : (share + 1) * given], kernel, strides, dilations)
        part = weight[share * own : (share + 1) * own]
        axes = list(range(seen.ndim - len(kernel), seen.ndim))
        rows.append(np.moveaxis(np.tensordot(seen, part, ([1, *axes], [1, *range(2, weight.ndim)])), -1, 1))
    return np.concatenate(rows, 1)


def conv_transpose(x: Array, weight: Array, strides: list[int], shares: int = 1) -> Array:
    """Every element puts its kernel down; nothing is cut off."""
    kernel = weight.shape[2:]
    sizes = [
        (size - 1) * step + width for size, step, width in zip(x.shape[2:], strides, kernel, strict=True)
    ]
    own = weight.shape[1]
    found = np.zeros((x.shape[0], own * shares, *sizes), np.float32)
    given = x.shape[1] // shares
    for place in np.ndindex(*x.shape[2:]):
        where = tuple(
            slice(at * step, at * step + width)
            for at, step, width in zip(place, strides, kernel, strict=True)
        )
        for share in range(shares):
            part = x[(slice(None), slice(share * given, (share + 1) * given), *place)]
            put = np.tensordot(part, weight[share * given : (share + 1) * given], 1)
            found[(slice(None), slice(share * own, (share + 1) * own), *where)] += put
    return found


K4, K2, KG = ramp(3, 4, 3, 2), ramp(4, 3, 3, 3), ramp(4, 1, 3, 3)
SPATIAL = [
    Case(
        "conv",
        {"x": IMAGE},
        {"weight": K4, "bias": ramp(3), "strides": [2, 1], "pad_type": "custom", "pad": [1, 0, 0, 2]},
        lambda x: conv(x, K4, [(1, 0), (0, 2)], [2, 1], [1, 1]) + ramp(3)[:, None, None],
    ),
    Case(
        "conv",
        {"x": IMAGE},
        {"weight": K4, "pad_type": "same", "strides": [2, 2]},
        lambda x: conv(x, K4, [(0, 1), (0, 1)], [2, 2], [1, 1]),
        label="same",
    ),
    Case(
        "conv",
        {"x": IMAGE},
        {"weight": K4, "pad_type": "same_lower", "strides": [2, 2]},
        lambda x: conv(x, K4, [(1, 0), (1, 0)], [2, 2], [1, 1]),
        ios=16,
        label="same-lower",
    ),
    Case(
        "conv",
        {"x": IMAGE},
        {"weight": KG, "groups": 4, "dilations": [2, 1], "pad_type": "valid"},
        lambda x: conv(x, KG, [(0, 0), (0, 0)], [1, 1], [2, 1], 4),
        label="depthwise",
    ),
    Case(
        "conv",
        {"x": ramp(1, 3, 9)},
        {"weight": ramp(2, 3, 4), "strides": [3], "pad_type": "valid"},
        lambda x: conv(x, ramp(2, 3, 4), [(0, 0)], [3], [1]),
        label="1d",
    ),
    Case(
        "conv",
        {"x": ramp(1, 2, 3, 4, 5)},
        {"weight": ramp(2, 2, 2, 3, 2), "pad_type": "valid"},
        lambda x: conv(x, ramp(2, 2, 2, 3, 2), [(0, 0)] * 3, [1] * 3, [1] * 3),
        label="3d",
    ),
    Case(
        "conv",
        {"x": ramp(1, 4, 6, 5), "weight": K4},
        {"pad_type": "valid"},
        lambda x, weight: conv(x, weight, [(0, 0), (0, 0)], [1, 1], [1, 1]),
        label="computed",
    ),
    Case(
        "conv_transpose",
        {"x": IMAGE},
        {"weight": K2, "strides": [2, 3], "pad_type": "valid"},
        lambda x: conv_transpose(x, K2, [2, 3]),
    ),
    Case(
        "conv_transpose",
        {"x": IMAGE},
        {"weight": K2, "strides": [2, 2], "pad_type": "custom", "pad": [1, 1, 0, 1]},
        lambda x: conv_transpose(x, K2, [2, 2])[:, :, 1:-1, :-1],
        label="padded",
    ),
    Case(
        "conv_transpose",
        {"x": IMAGE},
        {
            "weight": K2,
            "strides": [2, 2],
            "pad_type": "custom",
            "pad": [1, 1, 1, 1],
            "output_shape": [2, 3, 12, 10],
        },
        lambda x: np.pad(conv_transpose(x, K2, [2, 2]), [(0, 0)] * 2 + [(0, 1)] * 2)[:, :, 1:13, 1:11],
        label="sized",
    ),
    Case(
        "conv_transpose",
        {"x": IMAGE},
        {"weight": K2, "strides": [2, 2], "pad_type": "same"},
        lambda x: conv_transpose(x, K2, [2, 2])[:, :, :12, :10],
        label="same",
    ),
    Case(
        "conv_transpose",
        {"x": IMAGE},
        {"weight": ramp(4, 2, 2, 2), "strides": [2, 2], "groups": 2, "pad_type": "valid"},
        lambda x: conv_transpose(x, ramp(4, 2, 2, 2), [2, 2], 2),
        label="grouped",
    ),
    Case(
        "max_pool",
        {"x": IMAGE},
        {"kernel_sizes": [3, 2], "strides": [2, 1], "pad_type": "custom", "pad": [1, 1, 0, 0]},
        lambda x: windows(
            np.pad(x, [(0, 0), (0, 0), (1, 1), (0, 0)], constant_values=-np.inf), [3, 2], [2, 1], [1, 1]
        ).max((-1, -2)),
    ),
    Case(
        "avg_pool",
        {"x": IMAGE},
        {"kernel_sizes": [2, 2], "strides": [2, 2], "pad_type": "valid"},
        lambda x: windows(x, [2, 2], [2, 2], [1, 1]).mean((-1, -2)),
    ),
    Case(
        "avg_pool",
        {"x": IMAGE},
        {"kernel_sizes": [3, 3], "pad_type": "same", "exclude_padding_from_average": False},
        lambda x: windows(np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)]), [3, 3], [1, 1], [1, 1]).mean((-1, -2)),
        label="padded",
    ),
    Case(
        "avg_pool",
        {"x": IMAGE},
        {"kernel_sizes": [3, 3], "pad_type": "same", "exclude_padding_from_average": True},
        lambda x: np.nanmean(
            windows(
                np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=np.nan), [3, 3], [1, 1], [1, 1]
            ),
            axis=(-1, -2),
        ),
        label="excluded",
    ),
    Case(
        "l2_pool",
        {"x": IMAGE},
        {"kernel_sizes": [2, 3], "strides": [1, 1], "pad_type": "valid"},
        lambda x: np.sqrt((windows(x, [2, 3], [1, 1], [1, 1]) ** 2).sum((-1, -2))),
    ),
    Case(
        "batch_norm",
        {"x": IMAGE},
        {
            "mean": ramp(4),
            "variance": ramp(4, low=0.5, high=2),
            "gamma": ramp(4),
            "beta": -ramp(4),
            "epsilon": 1e-3,
        },
        lambda x: (
            (x - ramp(4)[:, None, None])
            / np.sqrt(ramp(4, low=0.5, high=2)[:, None, None] + 1e-3)
            * ramp(4)[:, None, None]
            - ramp(4)[:, None, None]
        ),
    ),
    Case(
        "instance_norm",
        {"x": IMAGE},
        {"gamma": ramp(4), "beta": -ramp(4), "epsilon": 1e-3},
        lambda x: normalized(x, (2, 3), 1e-3) * ramp(4)[:, None, None] - ramp(4)[:, None, None],
    ),
    Case(
        "layer_norm",
        {"x": IMAGE},
        {"axes": [1], "gamma": ramp(4), "beta": -ramp(4), "epsilon": 1e-3},
        lambda x: normalized(x, (1,), 1e-3) * ramp(4)[:, None, None] - ramp(4)[:, None, None],
    ),
    Case(
        "layer_norm",
        {"x": X},
        {"axes": [-1], "epsilon": 1e-3},
        lambda x: normalized(x, (-1,), 1e-3),
        label="last",
    ),
    Case(
        "l2_norm",
        {"x": IMAGE},
        {"epsilon": 1e-3},
        lambda x: x / np.sqrt((x * x).sum((1, 2, 3), keepdims=True) + 1e-3),
    ),
    Case(
        "local_response_norm",
        {"x": IMAGE},
        {"size": 3, "alpha": 0.3, "beta": 0.6, "k": 1.5},
        lambda x: x / (1.5 + 0.1 * windows_of_channels(x * x)) ** 0.6,
    ),
]


def normalized(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    moved = x - x.mean(axes, keepdims=True)
    return np.asarray(moved / np.sqrt((moved**2).mean(axes, keepdims=True) + epsilon))


def windows_of_channels(x: Array) -> Array:
    padded = np.pad(x, [(0, 0), (1, 1), (0, 0), (0, 0)])
    return np.asarray(padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:])


def resized(x: Array, places: tuple[Array, Array]) -> Array:
    """Linear between the points at these positions of the last two axes."""
    for axis, points in zip((-2, -1), places, strict=True):
        size = x.shape[axis]
        points = np.clip(points, 0, size - 1)
        low = np.floor(points).astype(int)
        share = (points - low).reshape([-1 if at == axis % 4 else 1 for at in range(4)])
        x = np.take(x, low, axis) * (1 - share) + np.take(x, np.minimum(low + 1, size - 1), axis) * share
    return x


def halves(count: int, factor: float) -> Array:
    return (np.arange(count) + 0.5) / factor - 0.5


def sampled(x: Array, coordinates: Array) -> Array:
    """Bilinear at (x, y) in pixels, zeros outside; each image by itself."""
    found = np.zeros((x.shape[0], x.shape[1], *coordinates.shape[1:3]), np.float32)
    for index in np.ndindex(x.shape[0], *coordinates.shape[1:3]):
        at = coordinates[index]
        for row in (int(np.floor(at[1])), int(np.floor(at[1])) + 1):
            for column in (int(np.floor(at[0])), int(np.floor(at[0])) + 1):
                if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                    share = (1 - abs(at[1] - row)) * (1 - abs(at[0] - column))
                    found[index[0], :, index[1], index[2]] += share * x[index[0], :, row, column]
    return found


POINTS = ramp(2, 3, 2, 2, low=-0.9, high=4.7)
IMAGES = [
    Case(
        "upsample_nearest_neighbor",
        {"x": IMAGE},
        {"scale_factor_height": 2, "scale_factor_width": 3},
        lambda x: x.repeat(2, 2).repeat(3, 3),
    ),
    Case(
        "upsample_bilinear",
        {"x": IMAGE},
        {"scale_factor_height": 2, "scale_factor_width": 2, "align_corners": True},
        lambda x: resized(x, (np.linspace(0, 5, 12), np.linspace(0, 4, 10))),
    ),
    Case(
        "upsample_bilinear",
        {"x": IMAGE},
        {
            "scale_factor_height": 2,
            "scale_factor_width": 2,
            "align_corners": False,
            "half_pixel_centers": True,
        },
        lambda x: resized(x, (halves(12, 2), halves(10, 2))),
        ios=16,
        label="halves",
    ),
    Case(
        "resize_bilinear",
        {"x": IMAGE},
        {"target_size_height": 9, "target_size_width": 10, "sampling_mode": "UNALIGN_CORNERS"},
        lambda x: resized(x, (halves(9, 1.5), halves(10, 2))),
    ),
    Case(
        "resize_bilinear",
        {"x": IMAGE},
        {"target_size_height": 9, "target_size_width": 10, "sampling_mode": "DEFAULT"},
        lambda x: resized(x, (np.arange(9) / 1.5, np.arange(10) / 2)),
        label="default",
    ),
    Case(
        "resize_nearest_neighbor",
        {"x": IMAGE},
        {"target_size_height": 12, "target_size_width": 5},
        lambda x: x.repeat(2, 2),
    ),
    Case(
        "resize",
        {"x": IMAGE},
        {
            "shape": [12, 0],
            "resized_dims": np.uint32(2),
            "interpolation_mode": "LINEAR",
            "sampling_mode": "STRICT_ALIGN_CORNERS",
        },
        lambda x: resized(x, (np.linspace(0, 5, 12), np.arange(5.0))),
        ios=17,
    ),
    Case(
        "resample",
        {"x": IMAGE, "coordinates": POINTS},
        {
            "sampling_mode": "bilinear",
            "padding_mode": "constant",
            "padding_value": 0.0,
            "coordinates_mode": "unnormalized",
            "align_corners": True,
        },
        sampled,
    ),
    Case(
        "resample",
        {"x": IMAGE, "coordinates": POINTS / 3 - 0.5},
        {
            "sampling_mode": "bilinear",
            "padding_mode": "constant",
            "padding_value": 0.0,
            "coordinates_mode": "normalized_minus_one_to_one",
            "align_corners": True,
        },
        lambda x, coordinates: sampled(x, (coordinates + 1) / 2 * np.array([4, 5])),
        label="normalized",
    ),
    Case(
        "affine",
        {"x": IMAGE},
        {
            "transform_matrix": np.array([[1, 0, 0, 0, 1, 0]], np.float32),
            "output_height": 11,
            "output_width": 5,
            "sampling_mode": "bilinear",
            "padding_mode": "constant",
            "padding_value": 0.0,
            "coordinates_mode": "normalized_minus_one_to_one",
            "align_corners": True,
        },
        lambda x: resized(x, (np.linspace(0, 5, 11), np.arange(5.0))),
    ),
]


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


H = 3
WI, WH, B = ramp(4 * H, 4, low=-1, high=1), ramp(4 * H, H, low=-1, high=1), ramp(4 * H, low=-0.5, high=0.5)
GI, GH, GB = ramp(3 * H, 4, low=-1, high=1), ramp(3 * H, H, low=-1, high=1), ramp(3 * H, low=-0.5, high=0.5)
RI, RH, RB = ramp(H, 4, low=-1, high=1), ramp(H, H, low=-1, high=1), ramp(H, low=-0.5, high=0.5)
STEPS, START, CELL = ramp(5, 2, 4), ramp(2, H, low=-0.5, high=0.5), ramp(2, H, low=-0.7, high=0.4)


def lstm(x: Array, initial_h: Array, initial_c: Array, turned: bool = False) -> tuple[Array, Array, Array]:
    """As coremltools documents it: gates input, forget, output, cell."""
    h, c, rows = initial_h, initial_c, []
    for step in x[::-1] if turned else x:
        i, f, o, z = np.split(step @ WI.T + h @ WH.T + B, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(z)
        h = sigmoid(o) * np.tanh(c)
        rows.append(h)
    return np.stack(rows[::-1] if turned else rows), h, c


def both(x: Array, initial_h: Array, initial_c: Array) -> tuple[Array, Array, Array]:
    one = lstm(x, initial_h[:, :H], initial_c[:, :H])
    two = lstm(x, initial_h[:, H:], initial_c[:, H:], turned=True)
    return tuple(np.concatenate(pair, -1) for pair in zip(one, two, strict=True))  # type: ignore[return-value]


def gru(x: Array, initial_h: Array) -> tuple[Array, Array]:
    """Gates reset, output, update; the reset gate scales what comes of the hidden state."""
    h, rows = initial_h, []
    for step in x:
        (ri, oi, zi), (rh, oh, zh) = np.split(step @ GI.T, 3, axis=1), np.split(h @ GH.T, 3, axis=1)
        rb, ob, zb = np.split(GB, 3)
        r, z = sigmoid(ri + rh + rb), sigmoid(zi + zh + zb)
        o = np.tanh(oi + r * oh + ob)
        h = (1 - z) * o + z * h
        rows.append(h)
    return np.stack(rows), h


def rnn(x: Array, initial_h: Array) -> tuple[Array, Array]:
    h = initial_h
    for step in x:
        h = np.tanh(step @ RI.T + h @ RH.T + RB)
    return h[None], h


RECURRENT = [
    Case(
        "lstm",
        {"x": STEPS, "initial_h": START, "initial_c": CELL},
        {"weight_ih": WI, "weight_hh": WH, "bias": B, "direction": "forward", "output_sequence": True},
        lstm,
    ),
    Case(
        "lstm",
        {"x": STEPS, "initial_h": np.tile(START, 2), "initial_c": np.tile(CELL, 2)},
        {
            "weight_ih": WI,
            "weight_hh": WH,
            "bias": B,
            "weight_ih_back": WI,
            "weight_hh_back": WH,
            "bias_back": B,
            "direction": "bidirectional",
            "output_sequence": True,
        },
        both,
        label="bidirectional",
    ),
    Case(
        "lstm",
        {"x": STEPS, "initial_h": START, "initial_c": CELL},
        {"weight_ih": WI, "weight_hh": WH, "bias": B, "direction": "reverse", "output_sequence": False},
        lambda x, initial_h, initial_c: (lambda s: (s[1][None], s[1], s[2]))(
            lstm(x, initial_h, initial_c, True)
        ),
        label="last",
    ),
    Case(
        "gru",
        {"x": STEPS, "initial_h": START},
        {"weight_ih": GI, "weight_hh": GH, "bias": GB, "direction": "forward", "output_sequence": True},
        gru,
    ),
    Case(
        "rnn",
        {"x": STEPS, "initial_h": START},
        {"weight_ih": RI, "weight_hh": RH, "bias": RB, "direction": "forward", "output_sequence": False},
        rnn,
    ),
]


CASES = [*SPATIAL, *IMAGES, *RECURRENT]
