"""Corpus families: convolutions, pools, matrix products, resizing and block operators."""

from __future__ import annotations

from typing import Any

from .elementwise import ACTIVATIONS, DYN
from .family import family
from .net import KINDS, Kind, Net, Size, Skip, rescaled

SPATIAL_DYN = ("", "batch", "all")
BIAS = {"f32": KINDS["f32"], "q8": Kind("bias8", "int32", 0.0025), "qu8": Kind("biasu8", "int32", 0.0025),
    "q16": Kind("bias16", "int64", 0.000025)}  # fmt: skip
WEIGHTS = {"f32": "f32", "q8": "q8s", "qu8": "qu8", "q16": "q8s"}
FORMATS = (
    "f32",
    "q8",
    "qu8",
    "q16",
    "hybrid",
    "hybrid-channel",
    "q8-tensor",
    "f16-dequantize",
    "q8-dequantize",
    "q4",
    "q16-bias32",
)
"""Activations and weights: float; int8, uint8 or int16 (per-channel weights but for uint8); float with int8
weights; int8 with one scale; float with float16 or int8 weights behind DEQUANTIZE; int8 with int4 weights;
int16 with int32 bias.
"""


def _extent(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    """Output size of a window along one dimension. Raises Skip when the window does not fit."""
    if padding == "SAME":
        return -(-size // stride)
    reach = (kernel - 1) * dilation + 1
    if size < reach:
        raise Skip("the window is larger than the input")
    return (size - reach) // stride + 1


def _weights(net: Net, format: str, shape: Size, axis: int, *, const: bool = True) -> tuple[str, str]:
    """The kind of the activations, and the tensor that holds the weights in this format."""
    if format in ("f32", "qu8"):
        return format, net.operand(shape, WEIGHTS[format], const=const)
    if not const:
        if format not in ("q8", "q16", "q8-tensor"):
            raise Skip("weights that are made at run time are float or one scale")
        return ("q16" if format == "q16" else "q8"), net.input(shape, "q8s")
    if format in ("q8", "q16", "q16-bias32"):
        return format[:3].rstrip("-"), net.weights(shape, "q8s", channels=axis)
    if format == "q8-tensor":
        return "q8", net.weights(shape, "q8s")
    if format == "q4":
        return "q8", net.weights(shape, "q4", channels=axis)
    if format.startswith("hybrid"):
        return "f32", net.weights(shape, "q8s", channels=axis if format == "hybrid-channel" else None)
    stored = "f16" if format == "f16-dequantize" else "q8s"
    out = net.result(shape, "f32", static=True)
    net.op("DEQUANTIZE", [net.weights(shape, stored, channels=axis if stored == "q8s" else None)], [out])
    return "f32", out


def _bias(net: Net, p: Any, kind: str, size: int) -> str | None:
    """The bias: ``const``, ``runtime``, ``none`` (no input) or ``omitted`` (an input of -1)."""
    if p.bias in ("none", "omitted"):
        return None
    format = getattr(p, "format", "")
    wide = {"q16-bias32": Kind("bias", "int32", BIAS["q16"].scale), "q4": Kind("bias", "int32", 0.005)}.get(
        format, BIAS[kind]
    )
    if p.bias == "runtime":
        return net.input((size,), wide, static=True)
    if format == "f16-dequantize":
        out = net.result((size,), "f32", static=True)
        net.op("DEQUANTIZE", [net.weights((size,), "f16", name="bias")], [out])
        return out
    per_channel = format in ("q8", "q16", "q16-bias32", "q4") and p.weights == "const"
    return net.weights((size,), wide, channels=0 if per_channel else None, name="bias")


def _bias_type(format: str) -> dict[str, str]:
    return {"quantized_bias_type": "INT32"} if format == "q16-bias32" else {}


def _conv(net: Net, p: Any) -> None:
    batch, height, width, channels = p.shape
    if channels % p.groups:
        raise Skip("groups")
    x = net.input(
        p.shape,
        {"q16-bias32": "q16", "q4": "q8", "q8-tensor": "q8"}.get(
            p.format, p.format if p.format in BIAS else "f32"
        ),
    )
    kernel = (p.filters, *p.kernel, channels // p.groups)
    kind, weights = _weights(net, p.format, kernel, 0, const=p.weights == "const")
    out = (
        batch,
        *(
            _extent(size, k, s, d, p.padding)
            for size, k, s, d in zip((height, width), p.kernel, p.stride, p.dilation, strict=True)
        ),
        p.filters,
    )
    bias = _bias(net, p, kind, p.filters)
    attrs = {
        "padding": p.padding,
        "stride_h": p.stride[0],
        "stride_w": p.stride[1],
        "dilation_h_factor": p.dilation[0],
        "dilation_w_factor": p.dilation[1],
        "fused_activation_function": p.act,
        **_bias_type(p.format),
    }
    net.op(
        "CONV_2D",
        [x, weights, *([bias] if p.bias != "none" else [])],
        [net.result(out, kind, factor=4)],
        attrs,
    )


SQUARES = ((3, 3), (1, 1), (2, 2), (5, 5), (1, 3), (3, 1), (7, 7), (9, 9), (1, 7))
STRIDES = ((1, 1), (2, 2), (1, 2), (2, 1), (3, 3), (4, 4), (5, 5))
family(
    "CONV_2D",
    _conv,
    mixes=160,
    format=FORMATS,
    shape=(
        (1, 12, 12, 4),
        (2, 12, 12, 4),
        (1, 9, 16, 3),
        (1, 12, 12, 1),
        (1, 70, 3, 8),
        (1, 12, 12, 16),
        (1, 1, 1, 8),
        (1, 1, 24, 4),
        (4, 9, 9, 8),
    ),
    kernel=(*SQUARES, (11, 2), (1, 65)),
    stride=(*STRIDES, (1, 4)),
    dilation=((1, 1), (2, 2), (1, 2), (3, 3), (4, 1)),
    padding=("SAME", "VALID"),
    filters=(8, 1, 3, 16),
    act=ACTIVATIONS,
    bias=("const", "none", "omitted", "runtime"),
    weights=("const", "runtime"),
    groups=(1, 2, 4),
    dyn=SPATIAL_DYN,
)


def _depthwise(net: Net, p: Any) -> None:
    batch, height, width, channels = p.shape
    x = net.input(
        p.shape,
        {"q16-bias32": "q16", "q4": "q8", "q8-tensor": "q8"}.get(
            p.format, p.format if p.format in BIAS else "f32"
        ),
    )
    filters = channels * p.multiplier
    kind, weights = _weights(net, p.format, (1, *p.kernel, filters), 3, const=p.weights == "const")
    out = (
        batch,
        *(
            _extent(size, k, s, d, p.padding)
            for size, k, s, d in zip((height, width), p.kernel, p.stride, p.dilation, strict=True)
        ),
        filters,
    )
    bias = _bias(net, p, kind, filters)
    attrs = {
        "padding": p.padding,
        "stride_h": p.stride[0],
        "stride_w": p.stride[1],
        "depth_multiplier": p.multiplier if p.told else 0,
        "dilation_h_factor": p.dilation[0],
        "dilation_w_factor": p.dilation[1],
        "fused_activation_function": p.act,
    }
    net.op(
        "DEPTHWISE_CONV_2D",
        [x, weights, *([bias] if p.bias != "none" else [])],
        [net.result(out, kind, factor=4)],
        attrs,
    )


family(
    "DEPTHWISE_CONV_2D",
    _depthwise,
    mixes=140,
    format=FORMATS[:-1],
    shape=((1, 12, 12, 4), (2, 12, 12, 4), (1, 9, 16, 3), (1, 12, 12, 1), (1, 70, 3, 8), (1, 1, 1, 8)),
    kernel=(*SQUARES, (65, 1)),
    stride=STRIDES,
    dilation=((1, 1), (2, 2), (1, 2), (3, 3)),
    padding=("SAME", "VALID"),
    multiplier=(1, 2, 3, 8),
    told=(True, False),
    act=ACTIVATIONS,
    bias=("const", "none", "omitted", "runtime"),
    weights=("const", "runtime"),
    dyn=SPATIAL_DYN,
)


def _transpose_conv(net: Net, p: Any) -> None:
    batch, height, width, channels = p.shape
    formats = {"q16-bias32": "q16", "q8-tensor": "q8"}
    kind = formats.get(p.format, p.format if p.format in BIAS else "f32")
    weights = _weights(net, p.format, (p.filters, *p.kernel, channels), 0, const=p.weights == "const")[1]
    sizes = []
    for size, kernel, stride in zip((height, width), p.kernel, p.stride, strict=True):
        sizes.append(size * stride if p.padding == "SAME" else (size - 1) * stride + kernel)
    out = (batch, *sizes, p.filters)
    where = net.const(out) if p.shape_const else net.input((4,), "i32", static=True)
    bias = [] if p.bias == "none" else [_bias(net, p, kind, p.filters)]
    attrs = {
        "padding": p.padding,
        "stride_h": p.stride[0],
        "stride_w": p.stride[1],
        "fused_activation_function": p.act,
        **_bias_type(p.format),
    }
    net.op(
        "TRANSPOSE_CONV",
        [where, weights, net.input(p.shape, kind), *bias],
        [net.result(out, kind, factor=4)],
        attrs,
    )


family(
    "TRANSPOSE_CONV",
    _transpose_conv,
    mixes=90,
    format=("f32", "q8", "qu8", "q16", "q8-tensor", "f16-dequantize", "q16-bias32"),
    shape=((1, 6, 6, 4), (2, 6, 6, 4), (1, 5, 8, 3), (1, 6, 6, 1)),
    kernel=((3, 3), (1, 1), (2, 2), (4, 4), (5, 5), (3, 2), (9, 9)),
    stride=((2, 2), (1, 1), (1, 2), (3, 3), (4, 4)),
    padding=("SAME", "VALID"),
    filters=(8, 1, 3),
    act=("NONE", "RELU", "RELU6", "RELU_N1_TO_1"),
    bias=("none", "const", "omitted", "runtime"),
    weights=("const", "runtime"),
    shape_const=(True, False),
    dyn=SPATIAL_DYN,
)


def _conv_3d(net: Net, p: Any) -> None:
    batch, *sizes, channels = p.shape
    x = net.input(p.shape, "f32")
    weights = net.operand((*p.kernel, channels, p.filters), "f32", const=p.weights == "const")
    out = (
        batch,
        *(
            _extent(size, k, s, d, p.padding)
            for size, k, s, d in zip(sizes, p.kernel, p.stride, p.dilation, strict=True)
        ),
        p.filters,
    )
    bias = [] if p.bias == "none" else [_bias(net, p, "f32", p.filters)]
    net.op("CONV_3D", [x, weights, *bias], [net.result(out, "f32")], _conv_3d_attrs(p))


def _conv_3d_attrs(p: Any) -> dict[str, Any]:
    steps = {f"stride_{dim}": step for dim, step in zip("dhw", p.stride, strict=True)}
    gaps = {f"dilation_{dim}_factor": gap for dim, gap in zip("dhw", p.dilation, strict=True)}
    return {"padding": p.padding, "fused_activation_function": p.act, **steps, **gaps}


def _conv_3d_transpose(net: Net, p: Any) -> None:
    batch, *sizes, channels = p.shape
    extents = [
        size * s if p.padding == "SAME" else (size - 1) * s + k
        for size, k, s in zip(sizes, p.kernel, p.stride, strict=True)
    ]
    out = (batch, *extents, p.filters)
    where = net.const(out) if p.shape_const else net.input((5,), "i32", static=True)
    weights = net.operand((*p.kernel, p.filters, channels), "f32", const=p.weights == "const")
    bias = [] if p.bias == "none" else [_bias(net, p, "f32", p.filters)]
    net.op(
        "CONV_3D_TRANSPOSE",
        [where, weights, net.input(p.shape, "f32"), *bias],
        [net.result(out, "f32")],
        _conv_3d_attrs(p),
    )


_CUBE: dict[str, Any] = {
    "shape": ((1, 6, 6, 6, 2), (2, 4, 5, 6, 3)),
    "kernel": ((3, 3, 3), (1, 1, 1), (2, 3, 1)),
    "stride": ((1, 1, 1), (2, 2, 2), (1, 2, 1)),
    "padding": ("SAME", "VALID"),
    "filters": (4, 1),
    "act": ACTIVATIONS[:4],
    "bias": ("const", "none", "omitted", "runtime"),
    "weights": ("const", "runtime"),
    "dyn": SPATIAL_DYN,
}
family("CONV_3D", _conv_3d, mixes=24, dilation=((1, 1, 1), (2, 2, 2)), **_CUBE)
family(
    "CONV_3D_TRANSPOSE",
    _conv_3d_transpose,
    mixes=20,
    dilation=((1, 1, 1),),
    shape_const=(True, False),
    **_CUBE,
)


def _pool(net: Net, p: Any) -> None:
    batch, height, width, channels = p.shape
    kernel = (height, width) if p.kernel == "all" else p.kernel
    sizes = (
        _extent(size, k, s, 1, p.padding)
        for size, k, s in zip((height, width), kernel, p.stride, strict=True)
    )
    attrs = {
        "padding": p.padding,
        "stride_h": p.stride[0],
        "stride_w": p.stride[1],
        "filter_height": kernel[0],
        "filter_width": kernel[1],
        "fused_activation_function": p.act,
    }
    net.op(
        p.op,
        [net.input(p.shape, p.kind)],
        [net.result((batch, *sizes, channels), p.kind, factor=rescaled(p))],
        attrs,
    )


for _op in ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"):
    family(
        _op,
        _pool,
        mixes=60 if _op != "L2_POOL_2D" else 16,
        op=(_op,),
        kind=("f32", "q8", "qu8", "q16") if _op != "L2_POOL_2D" else ("f32",),
        shape=((1, 12, 12, 4), (2, 12, 12, 4), (1, 9, 16, 3), (1, 1, 12, 8), (1, 70, 70, 1), (1, 300, 2, 1)),
        kernel=((2, 2), (3, 3), (1, 1), (1, 2), (5, 3), (9, 9), "all"),
        stride=((2, 2), (1, 1), (1, 2), (3, 3), (4, 4), (5, 5)),
        padding=("VALID", "SAME"),
        act=ACTIVATIONS[:4],
        rescale=(1.0, 0.5),
        dyn=SPATIAL_DYN,
    )


def _fully_connected(net: Net, p: Any) -> None:
    depth = p.shape[-1] if p.keep or p.flat == 0 else p.flat
    count = 1
    for dim in p.shape:
        count *= dim
    if count % depth:
        raise Skip("the input has no whole number of rows")
    kind = {
        "q16-bias32": "q16",
        "q4": "q8",
        "q8-tensor": "q8",
        "hybrid-q4": "f32",
        "hybrid-asymmetric": "f32",
    }.get(p.format, p.format if p.format in BIAS else "f32")
    x = net.input(p.shape, kind)
    if p.format == "hybrid-q4":
        weights = net.weights((p.units, depth), "q4", channels=0)
    else:
        weights = _weights(
            net,
            "hybrid" if p.format == "hybrid-asymmetric" else p.format,
            (p.units, depth),
            0,
            const=p.weights == "const",
        )[1]
    bias = [] if p.bias == "none" else [_bias(net, p, kind, p.units)]
    out = (*p.shape[:-1], p.units) if p.keep else (count // depth, p.units)
    attrs = {
        "fused_activation_function": p.act,
        "keep_num_dims": p.keep,
        "asymmetric_quantize_inputs": p.format == "hybrid-asymmetric",
        **_bias_type(p.format),
    }
    net.op("FULLY_CONNECTED", [x, weights, *bias], [net.result(out, kind, factor=4)], attrs)


family(
    "FULLY_CONNECTED",
    _fully_connected,
    mixes=120,
    format=(*FORMATS, "hybrid-q4", "hybrid-asymmetric"),
    shape=(
        (1, 16),
        (4, 16),
        (1, 3, 16),
        (2, 3, 16),
        (1, 2, 3, 16),
        (2, 2, 3, 16),
        (16,),
        (1, 1, 1, 16),
        (1, 1, 2, 3, 8),
    ),
    units=(8, 1, 5),
    keep=(False, True),
    flat=(0, 8),
    act=ACTIVATIONS,
    bias=("const", "none", "omitted", "runtime"),
    weights=("const", "runtime"),
    dyn=DYN,
)


def _batch_matmul(net: Net, p: Any) -> None:
    left, right = p.shapes
    if (p.const and p.kind == "f32-q8") or p.kind != "f32-q8":
        a = left if not p.adj_x else (*left[:-2], left[-1], left[-2])
        b = right if not p.adj_y else (*right[:-2], right[-1], right[-2])
    else:
        raise Skip("hybrid weights are constant")
    rank = max(len(left), len(right))
    heads = [(1,) * (rank - len(shape)) + shape[:-2] for shape in (left, right)]
    batch = tuple(max(pair) for pair in zip(*heads, strict=True))
    kind = "f32" if p.kind == "f32-q8" else p.kind
    second = net.weights(b, "q8s") if p.kind == "f32-q8" else net.operand(b, p.kind, const=p.const)
    attrs = {"adj_x": p.adj_x, "adj_y": p.adj_y, "asymmetric_quantize_inputs": p.asymmetric}
    net.op(
        "BATCH_MATMUL",
        [net.input(a, kind), second],
        [net.result((*batch, left[-2], right[-1]), {"i8": "i32"}.get(kind, kind), factor=16)],
        attrs,
    )


family(
    "BATCH_MATMUL",
    _batch_matmul,
    mixes=60,
    kind=("f32", "q8", "q16", "i8", "f32-q8"),
    shapes=(
        ((2, 4, 5), (2, 5, 3)),
        ((4, 5), (5, 3)),
        ((1, 2, 4, 5), (1, 2, 5, 3)),
        ((2, 4, 5), (5, 3)),
        ((4, 5), (2, 5, 3)),
        ((1, 4, 5), (2, 5, 3)),
        ((2, 1, 4, 5), (1, 3, 5, 3)),
        ((2, 2, 2, 4, 5), (2, 2, 2, 5, 3)),
        ((1, 1, 5), (1, 5, 1)),
        ((8, 16), (16, 8)),
        ((1, 1, 4, 8), (1, 1, 8, 4)),
    ),
    adj_x=(False, True),
    adj_y=(False, True),
    const=(False, True),
    asymmetric=(False, True),
    dyn=DYN,
)


def _resize(net: Net, p: Any) -> None:
    batch, height, width, channels = p.shape
    size = tuple(int(dim * factor) for dim, factor in zip((height, width), p.factor, strict=True))
    if min(size) < 1 or (p.align and p.half):
        raise Skip("no such size")
    where = net.const(size) if p.const else net.input((2,), "i32", static=True)
    attrs = {"align_corners": p.align, "half_pixel_centers": p.half}
    net.op(
        p.op,
        [net.input(p.shape, p.kind), where],
        [net.result((batch, *size, channels), p.kind, factor=rescaled(p))],
        attrs,
    )


for _op in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"):
    family(
        _op,
        _resize,
        mixes=50,
        op=(_op,),
        kind=("f32", "q8", "qu8", "i16"),
        shape=((1, 6, 6, 4), (2, 6, 6, 4), (1, 1, 1, 4), (1, 4, 7, 3), (1, 1, 6, 2)),
        factor=((2, 2), (1, 1), (3, 3), (4, 4), (8, 8), (0.5, 0.5), (2, 1), (1.5, 1.5), (5, 3)),
        align=(False, True),
        half=(False, True),
        const=(True, False),
        rescale=(1.0, 0.5),
        dyn=SPATIAL_DYN,
    )


def _space_to_depth(net: Net, p: Any) -> None:
    batch, height, width, channels = p.shape
    block = p.block
    if p.op == "SPACE_TO_DEPTH":
        if height % block or width % block:
            raise Skip("blocks")
        out = (batch, height // block, width // block, channels * block * block)
    else:
        if channels % (block * block):
            raise Skip("blocks")
        out = (batch, height * block, width * block, channels // (block * block))
    net.op(p.op, [net.input(p.shape, p.kind)], [net.result(out, p.kind)], {"block_size": block})


for _op in ("SPACE_TO_DEPTH", "DEPTH_TO_SPACE"):
    family(_op, _space_to_depth, mixes=20, op=(_op,), kind=("f32", "q8", "qu8", "i32", "i64"),
           shape=((1, 12, 12, 16), (2, 12, 12, 16), (1, 8, 4, 4), (1, 6, 6, 18)),
           block=(2, 1, 3, 4), dyn=SPATIAL_DYN)  # fmt: skip


def _space_to_batch(net: Net, p: Any) -> None:
    shape, blocks, edges = p.case
    rest = shape[1 + len(blocks) :]
    count = 1
    for block in blocks:
        count *= block
    if p.op == "SPACE_TO_BATCH_ND":
        sizes = [size + sum(edge) for size, edge in zip(shape[1:], edges, strict=False)]
        if any(size % block for size, block in zip(sizes, blocks, strict=True)):
            raise Skip("blocks")
        x, out = (
            shape,
            (shape[0] * count, *(size // block for size, block in zip(sizes, blocks, strict=True)), *rest),
        )
    else:
        x = (shape[0] * count, *shape[1:])
        out = (
            shape[0],
            *(size * block - sum(edge) for size, block, edge in zip(shape[1:], blocks, edges, strict=False)),
            *rest,
        )
    where = [
        net.const(value) if p.const else net.input(size, "i32", static=True)
        for value, size in ((blocks, (len(blocks),)), (edges, (len(blocks), 2)))
    ]
    net.op(p.op, [net.input(x, p.kind), *where], [net.result(out, p.kind)])


_ZERO = ((0, 0), (0, 0))
for _op in ("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"):
    family(
        _op,
        _space_to_batch,
        mixes=24,
        op=(_op,),
        kind=("f32", "q8", "qu8", "i32", "i64", "q16"),
        case=(
            ((1, 4, 6, 3), (2, 2), _ZERO),
            ((2, 4, 6, 3), (2, 2), _ZERO),
            ((1, 4, 6, 3), (2, 3), _ZERO),
            ((1, 4, 6, 3), (1, 1), _ZERO),
            ((1, 3, 5, 3), (2, 2), ((1, 0), (1, 0))),
            ((1, 4, 6, 3), (4, 2), ((1, 3), (0, 0))),
            ((1, 6, 3), (2,), ((0, 0),)),
            ((1, 6, 3), (3,), ((2, 1),)),
            ((1, 4, 6, 1), (3, 3), ((1, 1), (0, 0))),
        ),
        const=(True, False),
        dyn=SPATIAL_DYN,
    )


def _normalise(net: Net, p: Any) -> None:
    kind = KINDS[p.kind]
    result = {"q8": Kind("q8", "int8", 1 / 128, 0), "qu8": Kind("qu8", "uint8", 1 / 128, 128)}.get(
        p.kind, kind
    )
    net.op(
        "L2_NORMALIZATION",
        [net.input(p.shape, kind)],
        [net.result(p.shape, result)],
        {"fused_activation_function": p.act},
    )


family(
    "L2_NORMALIZATION",
    _normalise,
    mixes=6,
    kind=("f32", "q8", "qu8"),
    shape=((1, 4, 5, 8), (2, 4, 5, 8), (3, 8), (2, 3, 8), (8,)),
    act=("NONE", "RELU"),
    dyn=DYN,
)


def _local_response(net: Net, p: Any) -> None:
    attrs = {"radius": p.radius, "bias": p.bias, "alpha": 0.5, "beta": p.beta}
    net.op("LOCAL_RESPONSE_NORMALIZATION", [net.input(p.shape, "f32")], [net.result(p.shape, "f32")], attrs)


family(
    "LOCAL_RESPONSE_NORMALIZATION",
    _local_response,
    mixes=10,
    shape=((1, 4, 5, 8), (2, 4, 5, 8), (1, 1, 1, 20)),
    radius=(2, 0, 5),
    bias=(1.0, 2.0),
    beta=(0.5, 1.0),
    dyn=SPATIAL_DYN,
)


def _dilate(net: Net, p: Any) -> None:
    out = tuple((size - 1) * gap + 1 for size, gap in zip(p.shape, p.gaps, strict=False))
    if len(p.gaps) != len(p.shape):
        raise Skip("ranks")
    gaps = net.const(p.gaps) if p.const else net.input((len(p.gaps),), "i32", static=True)
    net.op("DILATE", [net.input(p.shape, p.kind), gaps, net.weights((), p.kind)], [net.result(out, p.kind)])


family("DILATE", _dilate, mixes=12, kind=("f32", "i32", "i8", "i64", "u8"), shape=((3, 4), (5,), (2, 3, 4)),
       gaps=((2, 3), (1, 1), (2,), (2, 1, 3)), const=(True, False), dyn=DYN)  # fmt: skip
