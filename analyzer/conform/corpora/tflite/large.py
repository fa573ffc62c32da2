"""Corpus families: sizes at the limits of fixed-function hardware (kernels, windows, reductions, depths,
dimensions).
"""

from __future__ import annotations

from typing import Any

from .elementwise import SIGMOID
from .family import family
from .net import KINDS, Kind, Net

BIAS: dict[str, Kind | str] = {"f32": "f32", "q8": Kind("bias", "int32", 0.0025)}
KINDS_HERE = ("q8", "f32")


def _conv(net: Net, p: Any) -> None:
    height, width = p.kernel
    shape = (1, height, width, p.channels)
    depthwise = p.op == "DEPTHWISE_CONV_2D"
    filters = p.channels if depthwise else 1
    names = [
        net.input(shape, p.kind),
        net.weights(shape, "q8s" if p.kind == "q8" else "f32"),
        net.weights((filters,), BIAS[p.kind], name="bias"),
    ]
    attrs = {"padding": "VALID", "stride_h": 1, "stride_w": 1} | (
        {"depth_multiplier": 1} if depthwise else {}
    )
    net.op(p.op, names, [net.result((1, 1, 1, filters), p.kind, factor=64)], attrs)


for _op in ("CONV_2D", "DEPTHWISE_CONV_2D"):
    family(
        _op,
        _conv,
        label="large",
        mixes=0,
        op=(_op,),
        kind=KINDS_HERE,
        channels=(1, 4),
        kernel=(
            (64, 64),
            (64, 65),
            (65, 64),
            (63, 65),
            (1, 64),
            (64, 1),
            (65, 1),
            (1, 4096),
            (1, 4097),
            (256, 1),
            (257, 1),
        ),
    )


def _pool(net: Net, p: Any) -> None:
    height, width = p.kernel
    attrs = {
        "padding": p.padding,
        "stride_h": p.stride,
        "stride_w": p.stride,
        "filter_height": height,
        "filter_width": width,
    }
    grown = (height + 2, width + 2) if p.padding == "SAME" else (height, width)
    out = tuple(-(-size // p.stride) for size in grown) if p.padding == "SAME" else (1, 1)
    net.op(p.op, [net.input((1, *grown, 2), p.kind)], [net.result((1, *out, 2), p.kind)], attrs)


for _op in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
    family(
        _op,
        _pool,
        label="large",
        mixes=0,
        op=(_op,),
        kind=KINDS_HERE,
        padding=("VALID", "SAME"),
        stride=(1, 3, 4),
        kernel=((8, 8), (9, 9), (16, 16), (1, 256), (256, 1), (257, 1), (1, 257), (256, 256), (256, 257)),
    )


def _reduce(net: Net, p: Any) -> None:
    rank = len(p.shape)
    axes = tuple(axis % rank for axis in p.axes)
    out = tuple(1 if index in axes else size for index, size in enumerate(p.shape))
    net.op(
        p.op, [net.input(p.shape, p.kind), net.const(p.axes)], [net.result(out, p.kind)], {"keep_dims": True}
    )


for _op in ("MEAN", "SUM", "REDUCE_MAX"):
    family(
        _op,
        _reduce,
        label="large",
        mixes=6,
        op=(_op,),
        kind=(*KINDS_HERE, "q16") if _op != "SUM" else KINDS_HERE,
        axes=((1, 2), (1,), (2,), (3,), (-1,)),
        shape=(
            (1, 64, 64, 2),
            (1, 64, 65, 2),
            (1, 65, 64, 2),
            (1, 256, 256, 1),
            (1, 257, 256, 1),
            (1, 1, 4096, 2),
            (1, 4096, 1, 2),
            (1, 1, 1, 4096),
            (1, 1, 1, 4095),
            (1, 2, 3, 4097),
        ),
    )


def _argmax(net: Net, p: Any) -> None:
    net.op(
        "ARG_MAX",
        [net.input((1, 2, 3, p.depth), p.kind), net.const(3)],
        [net.result((1, 2, 3), p.to)],
        {"output_type": "INT32" if p.to == "i32" else "INT64"},
    )


family(
    "ARG_MAX", _argmax, label="large", mixes=0, kind=KINDS_HERE, to=("i32", "i64"), depth=(127, 128, 1, 1024)
)


def _elementwise(net: Net, p: Any) -> None:
    names = [net.input(p.shape, p.kind)]
    if p.op in ("ADD", "MUL"):
        names.append(net.input(p.shape, p.kind))
    result = SIGMOID.get(p.kind, KINDS[p.kind]) if p.op in ("LOGISTIC", "SOFTMAX") else KINDS[p.kind]
    net.op(p.op, names, [net.result(p.shape, result)], {"beta": 1.0} if p.op == "SOFTMAX" else {})


for _op in ("ADD", "MUL", "RELU", "LOGISTIC", "SOFTMAX"):
    family(
        _op,
        _elementwise,
        label="large",
        mixes=0,
        op=(_op,),
        kind=KINDS_HERE,
        shape=(
            (1, 1, 1, 65535),
            (1, 1, 1, 65536),
            (1, 1, 1, 65537),
            (1, 65536, 1, 1),
            (1, 65537, 1, 1),
            (1, 1, 65537, 1),
            (65537,),
            (1, 65537),
            (65536, 2),
        ),
    )


def _matrix(net: Net, p: Any) -> None:
    weights = (
        net.weights((p.units, p.depth), "q8s" if p.kind == "q8" else "f32")
        if p.const
        else net.input((p.units, p.depth), "q8s" if p.kind == "q8" else "f32")
    )
    names = [net.input((p.rows, p.depth), p.kind), weights]
    net.op("FULLY_CONNECTED", names, [net.result((p.rows, p.units), p.kind, factor=64)])


family(
    "FULLY_CONNECTED",
    _matrix,
    label="large",
    mixes=0,
    kind=KINDS_HERE,
    rows=(1, 2, 16),
    units=(4, 256),
    depth=(16, 4096, 65536, 65537),
    const=(True, False),
)


def _resize(net: Net, p: Any) -> None:
    height, width = p.shape[1:3]
    size = tuple((dim - 1) * p.factor + 1 if p.align else dim * p.factor for dim in (height, width))
    attrs = {"align_corners": p.align, "half_pixel_centers": p.half and not p.align}
    net.op(
        p.op,
        [net.input(p.shape, p.kind), net.const(size)],
        [net.result((1, *size, p.shape[3]), p.kind)],
        attrs,
    )


for _op in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"):
    family(
        _op,
        _resize,
        label="factors",
        mixes=12,
        op=(_op,),
        kind=KINDS_HERE,
        shape=((1, 4, 5, 3), (1, 1, 1, 3), (1, 1, 5, 3)),
        factor=(2, 1, 3, 4, 5, 8, 16),
        align=(False, True),
        half=(False, True),
    )
