"""Recipes for convolution, pooling, normalization, resizing and recurrent operators."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from .build import Arg, Dims, Spec

CONV_ATTRS: tuple[dict[str, Any], ...] = (
    {},
    {"strides": [2, 2]},
    {"dilations": [2, 2]},
    {"pads": [1, 1, 1, 1]},
    {"auto_pad": "SAME_UPPER"},
    {"auto_pad": "SAME_LOWER"},
    {"auto_pad": "VALID"},
    {"pads": [0, 1, 2, 1]},
    {"strides": [2, 1]},
    {"strides": [3, 3], "dilations": [2, 1]},
)
POOL_ATTRS: tuple[dict[str, Any], ...] = (
    {"strides": [2, 2]},
    {},
    {"pads": [1, 1, 1, 1]},
    {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    {"auto_pad": "SAME_LOWER"},
    {"auto_pad": "VALID"},
    {"ceil_mode": 1, "strides": [2, 2]},
    {"dilations": [2, 2]},
    {"count_include_pad": 1, "pads": [1, 1, 1, 1]},
    {"storage_order": 1},
    {"pads": [0, 1, 0, 1]},
    {"p": 1},
    {"ceil_mode": 1, "strides": [2, 2], "pads": [1, 1, 1, 1]},
    {"ceil_mode": 1, "strides": [2, 2], "pads": [0, 0, 1, 1], "count_include_pad": 1},
)


def _spatial(value: Any, rank: int) -> Any:
    """A two-dimensional attribute setting for another number of spatial dimensions."""
    if not isinstance(value, list):
        return value
    half = len(value) == 4
    return value[:1] * rank + value[2:3] * rank if half else (value * 3)[:rank]


def _note(attrs: dict[str, Any]) -> str:
    return "-".join(f"{key}{value}" for key, value in attrs.items()).replace(" ", "") or "plain"


def conv() -> Iterator[Spec]:
    """Convolutions of one to three dimensions, plain, grouped and depthwise, with constant and computed
    weights.
    """
    for op, dims, attrs in product(("Conv", "ConvTranspose"), (2, 1, 3), CONV_ATTRS):
        settings = {key: _spatial(value, dims) for key, value in attrs.items()}
        for group, channels in ((1, 4), (4, 4), (2, 4)):
            weight: Dims = (
                ((6 if group != 4 else 4), channels // group)
                if op == "Conv"
                else (channels, 6 // group if group != 4 else 1)
            )
            x, w = Arg((1, channels) + (8,) * dims), Arg(weight + (3,) * dims, const=True)
            out = weight[0] if op == "Conv" else weight[1] * group
            note = f"{dims}d-g{group}-{_note(attrs)}"
            base = dims == 2 and group == 1 and not attrs
            yield Spec(
                op, (x, w, Arg((out,), const=True)), {**settings, "group": group}, "base" if base else note
            )
            if not attrs or attrs.get("strides"):
                yield Spec(op, (x, w), {**settings, "group": group}, f"{note}-nobias")
                yield Spec(op, (x, Arg(w.shape)), {**settings, "group": group}, f"{note}-computed")
                yield Spec(op, (x, w, Arg((out,))), {**settings, "group": group}, f"{note}-computed-bias")
                yield Spec(
                    op,
                    (x, w, Arg((out,), const=True)),
                    {**settings, "group": group, "kernel_shape": [3] * dims},
                    f"{note}-kernel",
                )
    x, w = Arg((1, 4, 8, 8)), Arg((4, 6, 3, 3), const=True)
    for attrs in (
        {"output_padding": [1, 1], "strides": [2, 2]},
        {"output_shape": [16, 16], "strides": [2, 2]},
        {"output_shape": [10, 10]},
    ):
        yield Spec("ConvTranspose", (x, w), attrs, _note(attrs))
    for size in (1, 2, 5, 7):
        yield Spec("Conv", (x, Arg((6, 4, size, size), const=True)), {}, f"kernel{size}")
    yield Spec("Conv", (Arg((3, 4, 8, 8)), Arg((6, 4, 3, 3), const=True)), {}, "batch3")
    zero, scale = Arg((), "uint8", 0, True), Arg((), "float32", 0.05, True)
    yield Spec("ConvInteger", (x, Arg((6, 4, 3, 3), const=True)), {}, "base", "uint8")
    yield Spec(
        "QLinearConv",
        (x, scale, zero, Arg((6, 4, 3, 3), const=True), scale, zero, scale, zero),
        {},
        "base",
        "uint8",
    )
    offset = Arg((1, 18, 6, 6))
    yield Spec("DeformConv", (x, Arg((6, 4, 3, 3), const=True), offset), {}, "base", opset=22)


def pool() -> Iterator[Spec]:
    """Pooling of one to three dimensions."""
    for op, dims, attrs in product(("MaxPool", "AveragePool", "LpPool"), (2, 1, 3), POOL_ATTRS):
        settings = {key: _spatial(value, dims) for key, value in attrs.items()}
        note = f"{dims}d-{_note(attrs)}"
        base = dims == 2 and attrs is POOL_ATTRS[0]
        for kernel in (2, 3):
            yield Spec(
                op,
                (Arg((1, 4) + (9,) * dims),),
                {**settings, "kernel_shape": [kernel] * dims},
                "base" if base and kernel == 2 else f"{note}-k{kernel}",
            )
        if op == "MaxPool":
            yield Spec(
                op,
                (Arg((1, 4) + (9,) * dims),),
                {**settings, "kernel_shape": [2] * dims},
                f"{note}-indices",
                outputs=2,
            )
    yield Spec("MaxRoiPool", (Arg((1, 4, 8, 8)), Arg((2, 5))), {"pooled_shape": [2, 2]})
    yield Spec(
        "MaxUnpool",
        (Arg((1, 1, 2, 2)), Arg((1, 1, 2, 2), "int64")),
        {"kernel_shape": [2, 2], "strides": [2, 2]},
    )
    rois = (Arg((1, 4, 8, 8)), Arg((2, 4)), Arg((2,), "int64"))
    for mode, coordinate in product(("avg", "max"), ("half_pixel", "output_half_pixel")):
        for ratio in (0, 2):
            attrs = {
                "mode": mode,
                "output_height": 2,
                "output_width": 2,
                "coordinate_transformation_mode": coordinate,
                "sampling_ratio": ratio,
            }
            yield Spec("RoiAlign", rois, attrs, f"{mode}-{coordinate}-{ratio}")
    yield Spec(
        "Col2Im", (Arg((1, 9, 4)), Arg((2,), "int64", [4, 4], True), Arg((2,), "int64", [3, 3], True)), {}
    )


def norm() -> Iterator[Spec]:
    """Batch, instance, layer, group and RMS normalization."""
    for shape in ((2, 8, 4, 4), (2, 8), (2, 8, 4), (1, 8, 4, 4), (1, 8, 2, 4, 4), (1, 8, 2, 2, 2, 2)):
        channel = Arg((8,), const=True)
        note = "base" if shape == (2, 8, 4, 4) else f"shape{shape}".replace(" ", "")
        yield Spec(
            "BatchNormalization",
            (Arg(shape), channel, channel, channel, Arg((8,), values=1, const=True)),
            {},
            note,
        )
        yield Spec("BatchNormalization", (Arg(shape),) + (Arg((8,)),) * 4, {}, f"{note}-computed")
        yield Spec("InstanceNormalization", (Arg(shape), channel, channel), {}, note)
        yield Spec("InstanceNormalization", (Arg(shape), Arg((8,)), Arg((8,))), {}, f"{note}-computed")
        for axis in (-1, 1, len(shape) - 1, 0):
            rest = shape[axis:]
            for op in ("LayerNormalization", "RMSNormalization"):
                opset = 23 if op.startswith("RMS") else 21
                scale = Arg(rest, const=True)
                first = note == "base" and axis == -1
                yield Spec(op, (Arg(shape), scale), {"axis": axis}, f"{note}-axis{axis}-nobias", opset=opset)
                if op.startswith("Layer"):
                    yield Spec(
                        op,
                        (Arg(shape), scale, scale),
                        {"axis": axis},
                        "base" if first else f"{note}-axis{axis}",
                        opset=opset,
                    )
                    yield Spec(
                        op,
                        (Arg(shape), Arg(rest), Arg(rest)),
                        {"axis": axis},
                        f"{note}-axis{axis}-computed",
                        opset=opset,
                    )
                    yield Spec(
                        op,
                        (Arg(shape), scale, scale),
                        {"axis": axis},
                        f"{note}-axis{axis}-mean",
                        outputs=3,
                        opset=opset,
                    )
        for groups in (1, 2, 8):
            yield Spec(
                "GroupNormalization",
                (Arg(shape), channel, channel),
                {"num_groups": groups},
                f"{note}-{groups}",
                results=((None, shape),),
            )
            yield Spec(
                "GroupNormalization",
                (Arg(shape), Arg((8,)), Arg((8,))),
                {"num_groups": groups},
                f"{note}-{groups}-computed",
                results=((None, shape),),
            )
    train = (Arg((2, 8, 4, 4)),) + (Arg((8,)),) * 4
    yield Spec("BatchNormalization", train, {"training_mode": 1}, "training", outputs=3)


def resize() -> Iterator[Spec]:
    """Resize and Upsample: modes, sizes against scales, growing and shrinking; GridSample and AffineGrid."""
    coordinates = (
        "half_pixel",
        "asymmetric",
        "align_corners",
        "pytorch_half_pixel",
        "half_pixel_symmetric",
        "tf_crop_and_resize",
    )
    for mode, coordinate, nearest in product(
        ("nearest", "linear", "cubic"),
        coordinates,
        ("round_prefer_floor", "floor", "ceil", "round_prefer_ceil"),
    ):
        if mode != "nearest" and nearest != "round_prefer_floor":
            continue
        attrs = {"mode": mode, "coordinate_transformation_mode": coordinate, "nearest_mode": nearest}
        roi = Arg((8,), values=[0, 0, 0, 0, 1, 1, 1, 1], const=True) if coordinate.startswith("tf") else None
        for factor in (2.0, 0.5, 1.5, 3.0):
            note = f"{mode}-{coordinate}-{nearest}-x{factor}"
            scales = Arg((4,), "float32", [1, 1, factor, factor], True)
            yield Spec("Resize", (Arg((1, 4, 8, 8)), roi, scales), attrs, note)
        sizes = Arg((4,), "int64", [1, 4, 16, 16], True)
        yield Spec(
            "Resize", (Arg((1, 4, 8, 8)), roi, None, sizes), attrs, f"{mode}-{coordinate}-{nearest}-sizes"
        )
    plain = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    for shape, factors in (
        ((1, 4, 8), [1, 1, 2]),
        ((1, 2, 4, 4, 4), [1, 1, 2, 2, 2]),
        ((4, 8), [2, 2]),
        ((1, 8, 8, 4), [1, 2, 2, 1]),
        ((2, 4, 8, 8), [1, 2, 2, 2]),
    ):
        for mode in ("nearest", "linear"):
            scales = Arg((len(shape),), "float32", factors, True)
            yield Spec(
                "Resize",
                (Arg(shape), None, scales),
                {**plain, "mode": mode},
                f"rank{len(shape)}-{mode}-{factors}".replace(" ", ""),
            )
            yield Spec(
                "Upsample",
                (Arg(shape), scales),
                {"mode": mode},
                f"rank{len(shape)}-{mode}-{factors}".replace(" ", ""),
                opset=9,
            )
    yield Spec("Resize", (Arg((1, 4, 8, 8)), None, Arg((4,), "float32", [1, 1, 2, 2], True)), plain)
    yield Spec("Resize", (Arg((1, 4, 8, 8)), None, Arg((4,), "float32")), plain, "scales-dynamic")
    extras: tuple[dict[str, Any], ...] = (
        {"antialias": 1},
        {"exclude_outside": 1, "mode": "cubic"},
        {"extrapolation_value": 1.0},
        {"cubic_coeff_a": -0.5, "mode": "cubic"},
    )
    for extra in extras:
        yield Spec(
            "Resize",
            (Arg((1, 4, 8, 8)), None, Arg((4,), "float32", [1, 1, 0.5, 0.5], True)),
            {**plain, **extra},
            _note(extra),
        )
    for keep in ("stretch", "not_larger", "not_smaller"):
        inputs = (Arg((1, 4, 8, 8)), None, None, Arg((2,), "int64", [16, 20], True))
        yield Spec("Resize", inputs, {**plain, "axes": [2, 3], "keep_aspect_ratio_policy": keep}, keep)
    for growth in ([1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 1.5, 3.0]):
        for mode in ("nearest", "linear"):
            yield Spec(
                "Upsample",
                (Arg((1, 4, 8, 8)), Arg((4,), "float32", growth, True)),
                {"mode": mode},
                f"{mode}-{growth}".replace(" ", ""),
                opset=9,
            )
            yield Spec(
                "Upsample",
                (Arg((1, 4, 8, 8)),),
                {"mode": mode, "scales": growth},
                f"{mode}-{growth}-attr".replace(" ", ""),
                opset=7,
            )
    for mode, padding, corners in product(
        ("linear", "nearest", "cubic"), ("zeros", "border", "reflection"), (0, 1)
    ):
        sampling: dict[str, Any] = {"mode": mode, "padding_mode": padding, "align_corners": corners}
        yield Spec(
            "GridSample", (Arg((1, 4, 8, 8)), Arg((1, 6, 6, 2))), sampling, f"{mode}-{padding}-{corners}"
        )
    yield Spec("GridSample", (Arg((1, 4, 4, 8, 8)), Arg((1, 4, 6, 6, 3))), {}, "5d")
    yield Spec("AffineGrid", (Arg((1, 2, 3)), Arg((4,), "int64", [1, 4, 8, 8], True)), {})


def recurrent() -> Iterator[Spec]:
    """LSTM, GRU, RNN: direction, optional inputs and outputs."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}
    for op, direction, const in product(gates, ("forward", "reverse", "bidirectional"), (True, False)):
        ways, width = (2 if direction == "bidirectional" else 1), gates[op] * 8
        core = (Arg((5, 2, 4)), Arg((ways, width, 4), const=const), Arg((ways, width, 8), const=const))
        bias, lengths, state = (
            Arg((ways, 2 * width), const=const),
            Arg((2,), "int32", [5, 3], True),
            Arg((ways, 2, 8)),
        )
        attrs = {"hidden_size": 8, "direction": direction}
        outputs = 3 if op == "LSTM" else 2
        note = f"{direction}" + ("" if const else "-computed")
        yield Spec(op, core, attrs, "base" if note == "forward" else note, outputs=outputs)
        yield Spec(op, (*core, bias), attrs, f"{note}-bias", outputs=outputs)
        yield Spec(op, (*core, bias, lengths), attrs, f"{note}-lengths", outputs=outputs)
        yield Spec(op, (*core, bias, None, state), attrs, f"{note}-state", outputs=outputs)
        yield Spec(op, (*core, bias), {**attrs, "clip": 1.0}, f"{note}-clip", outputs=1)
        yield Spec(op, (*core, bias), {**attrs, "layout": 1}, f"{note}-layout", outputs=1)
        if op == "LSTM":
            yield Spec(op, (*core, bias, None, state, state), attrs, f"{note}-both", outputs=3)
            yield Spec(
                op,
                (*core, bias, None, state, state, Arg((ways, 24), const=True)),
                attrs,
                f"{note}-peephole",
                outputs=3,
            )
            yield Spec(op, (*core, bias), {**attrs, "input_forget": 1}, f"{note}-forget", outputs=1)
            yield Spec(
                op,
                (*core, bias),
                {**attrs, "activations": ["Sigmoid", "Relu", "Tanh"] * ways},
                f"{note}-activations",
                outputs=1,
            )
        if op == "GRU":
            yield Spec(op, (*core, bias), {**attrs, "linear_before_reset": 1}, f"{note}-linear", outputs=1)


def recipes() -> Iterator[Spec]:
    """All of this module."""
    yield from conv()
    yield from pool()
    yield from norm()
    yield from resize()
    yield from recurrent()
