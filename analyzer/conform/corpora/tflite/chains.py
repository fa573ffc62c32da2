"""Corpus families: a few operators together, as exporters make them and as partitions break them."""

from __future__ import annotations

from typing import Any

from .elementwise import DYN, SIGMOID
from .family import family
from .net import KINDS, Kind, Net, Skip

SHAPE = (1, 8, 8, 4)


def _step(net: Net, op: str, x: str, kind: str) -> str:
    """One operator that keeps the shape."""
    shape = net.shape_of(x)
    out = net.result(shape, kind)
    channels = shape[-1]
    if op in ("ADD", "MUL", "SUB", "MAXIMUM", "FLOOR_MOD", "POW"):
        net.op(op, [x, net.weights((channels,), kind)], [out])
    elif op == "CONV_2D":
        wide = Kind("bias", "int32", 0.0025)
        weights = net.weights((channels, 3, 3, channels), "q8s" if kind == "q8" else "f32", channels=0)
        bias = net.weights((channels,), wide if kind == "q8" else "f32", channels=0)
        net.op("CONV_2D", [x, weights, bias], [out], {"stride_h": 1, "stride_w": 1})
    elif op == "SOFTMAX":
        net.graph.set_tensor(
            _requantized(net, out, SIGMOID[kind]) if kind in SIGMOID else net.graph.tensor(out)
        )
        net.op("SOFTMAX", [x], [out], {"beta": 1.0})
    elif op == "SELF":
        net.op("ADD", [x, x], [out])
    elif op == "CUMSUM":
        net.op("CUMSUM", [x, net.const(1)], [out])
    elif op == "REVERSE_V2":
        net.op("REVERSE_V2", [x, net.const((1,))], [out])
    elif op == "CUSTOM":
        net.op("NoSuchOperator", [x], [out], domain="custom")
    else:
        net.op(op, [x], [out])
    return out


def _requantized(net: Net, name: str, kind: Kind) -> Any:
    from dataclasses import replace

    return replace(net.graph.tensor(name), quant=kind.quant())


def _chain(net: Net, p: Any) -> None:
    x = net.input(SHAPE, p.kind)
    for op in p.ops:
        x = _step(net, op, x, p.kind)


_RUNS: tuple[tuple[str, ...], ...] = (
    ("CONV_2D", "RELU"),
    ("CONV_2D", "ADD", "RELU6"),
    ("ADD", "CUMSUM", "ADD"),
    ("ADD", "REVERSE_V2", "ADD"),
    ("CUMSUM", "ADD"),
    ("ADD", "CUMSUM"),
    ("CUMSUM", "CUMSUM"),
    ("ADD", "CUMSUM") * 3,
    ("ADD", "CUMSUM") * 8,
    ("ADD", "FLOOR", "MUL", "CEIL", "SUB"),
    ("ADD",) * 2 + ("CUMSUM",) + ("MUL",) * 5,
    ("POW", "FLOOR_MOD", "ADD"),
    ("CONV_2D",) * 4,
    ("ADD",),
    ("SELF",),
    ("CONV_2D", "CUMSUM", "CONV_2D", "CUMSUM", "CONV_2D"),
    ("CONV_2D", "SOFTMAX"),
    ("SIN", "COS", "EXP"),
    ("ADD", "CUSTOM", "ADD"),
    ("LOGISTIC", "TANH", "ELU"),
)
family("CHAIN", _chain, mixes=16, ops=_RUNS, kind=("f32",), dyn=DYN)
family(
    "CHAIN",
    _chain,
    label="int8",
    mixes=4,
    ops=(
        ("CONV_2D", "RELU"),
        ("ADD", "ADD", "RELU"),
        ("CONV_2D",) * 3,
        ("CONV_2D", "SOFTMAX"),
        ("ADD", "RELU", "ADD", "HARD_SWISH", "ADD"),
    ),
    kind=("q8",),
    dyn=DYN,
)


def _branches(net: Net, p: Any) -> None:
    """Two ways from one tensor that meet again; one of them may hold an operator that few accelerators
    have.
    """
    x = _step(net, "ADD", net.input(SHAPE, "f32"), "f32")
    left, right = x, x
    for op in p.left:
        left = _step(net, op, left, "f32")
    for op in p.right:
        right = _step(net, op, right, "f32")
    out = net.result(SHAPE, "f32")
    net.op("MUL", [left, right], [out])
    net.finish([out, *((x,) if p.tap else ())])


family("CHAIN", _branches, label="branches", mixes=8, left=(("CONV_2D",), ("CUMSUM",), ("FLOOR", "ADD"), ()),
       right=(("RELU",), ("CUMSUM", "ADD"), ("CUMSUM",)), tap=(False, True), dyn=DYN[:2])  # fmt: skip


def _quantized_island(net: Net, p: Any) -> None:
    """float -> QUANTIZE -> int8 operators -> DEQUANTIZE -> float."""
    x = net.input(SHAPE, "f32")
    if p.before:
        x = _step(net, "ADD", x, "f32")
    q = net.result(SHAPE, p.kind)
    net.op("QUANTIZE", [x], [q])
    for op in p.ops:
        q = _step(net, op, q, p.kind)
    out = net.result(SHAPE, "f32")
    net.op("DEQUANTIZE", [q], [out])
    if p.after:
        _step(net, "MUL", out, "f32")


family(
    "CHAIN",
    _quantized_island,
    label="island",
    mixes=6,
    kind=("q8", "qu8"),
    ops=(("ADD",), ("MUL", "ADD"), (), ("MAXIMUM",)),
    before=(False, True),
    after=(False, True),
    dyn=DYN[:2],
)


def _classifier(net: Net, p: Any) -> None:
    """Convolution, pool or mean, reshape, fully connected, softmax."""
    x = _step(net, "CONV_2D", net.input(SHAPE, "f32"), "f32")
    pooled = net.result((1, 1, 1, 4) if p.pool == "AVERAGE_POOL_2D" else (1, 4), "f32")
    if p.pool == "MEAN":
        net.op("MEAN", [x, net.const((1, 2))], [pooled])
    else:
        net.op(
            "AVERAGE_POOL_2D",
            [x],
            [pooled],
            {"padding": "VALID", "stride_h": 8, "stride_w": 8, "filter_height": 8, "filter_width": 8},
        )
    flat = net.result((1, 4), "f32")
    net.op("RESHAPE", [pooled, net.const((1, 4) if not p.infer else (-1, 4))], [flat], {"new_shape": (1, 4)})
    logits, out = net.result((1, 10), "f32"), net.result((1, 10), "f32")
    net.op("FULLY_CONNECTED", [flat, net.weights((10, 4), "f32"), net.weights((10,), "f32")], [logits])
    net.op(p.last, [logits], [out], {"beta": 1.0} if p.last == "SOFTMAX" else {})


family(
    "CHAIN",
    _classifier,
    label="classifier",
    mixes=4,
    pool=("MEAN", "AVERAGE_POOL_2D"),
    infer=(False, True),
    last=("SOFTMAX", "LOG_SOFTMAX", "LOGISTIC"),
    dyn=DYN,
)


def _padded(net: Net, p: Any) -> None:
    """PAD and a VALID window, as exporters from channel-first frameworks make it."""
    x, wide = net.input((1, 8, 8, 4), "f32"), net.result((1, 10, 10, 4), "f32")
    edges = net.const(((0, 0), (1, 1), (1, 1), (0, 0)))
    net.op(
        p.pad,
        [x, edges, *([net.const(0.0, "f32")] if p.pad == "PADV2" else [])],
        [wide],
        {"mode": "REFLECT"} if p.pad == "MIRROR_PAD" else {},
    )
    out = net.result((1, 8, 8, 4), "f32")
    if p.window == "MAX_POOL_2D":
        attrs: dict[str, Any] = {
            "padding": "VALID",
            "stride_h": 1,
            "stride_w": 1,
            "filter_height": 3,
            "filter_width": 3,
        }
        net.op("MAX_POOL_2D", [wide], [out], attrs)
        return
    attrs = {"padding": "VALID", "stride_h": 1, "stride_w": 1, "fused_activation_function": p.act}
    shape = (4, 3, 3, 4) if p.window == "CONV_2D" else (1, 3, 3, 4)
    if p.window == "DEPTHWISE_CONV_2D":
        attrs["depth_multiplier"] = 1
    net.op(p.window, [wide, net.weights(shape, "f32"), net.weights((4,), "f32")], [out], attrs)


family(
    "CHAIN",
    _padded,
    label="padded",
    mixes=4,
    pad=("PAD", "PADV2", "MIRROR_PAD"),
    window=("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D"),
    act=("NONE", "RELU6"),
    dyn=DYN[:2],
)


def _normalised(net: Net, p: Any) -> None:
    """Layer normalisation in its parts."""
    x = net.input(p.shape, "f32")
    small = (*p.shape[:-1], 1)
    axis = net.const((len(p.shape) - 1,))
    mean, square, variance, shifted, scale, centred, out = (
        net.result(small if name in "mvsr" else p.shape, "f32")
        for name in ("m", "q", "v", "s", "r", "c", "o")
    )
    net.op("MEAN", [x, axis], [mean], {"keep_dims": True})
    net.op("SQUARED_DIFFERENCE", [x, mean], [square])
    net.op("MEAN", [square, axis], [variance], {"keep_dims": True})
    net.op("ADD", [variance, net.const(1e-5, "f32")], [shifted])
    net.op("RSQRT", [shifted], [scale])
    net.op("SUB", [x, mean], [centred])
    net.op("MUL", [centred, scale], [out])
    _step(net, "MUL", out, "f32")


family(
    "CHAIN",
    _normalised,
    label="layer-norm",
    mixes=0,
    shape=((1, 16, 8), (2, 16, 8), (1, 4, 4, 8), (16, 8)),
    dyn=DYN,
)


def _attention(net: Net, p: Any) -> None:
    """One attention head: products, scale, softmax, product, transpose, reshape, fully connected."""
    heads, length, depth = 2, 6, 4
    shape = (1, heads, length, depth)
    query, key, value = (net.input(shape, "f32") for _ in range(3))
    scores, weights = (net.result((1, heads, length, length), "f32") for _ in range(2))
    scaled = net.result((1, heads, length, length), "f32")
    net.op("BATCH_MATMUL", [query, key], [scores], {"adj_y": True})
    net.op("MUL", [scores, net.const(0.5, "f32")], [scaled])
    if p.mask:
        masked = net.result((1, heads, length, length), "f32")
        net.op("ADD", [scaled, net.input((1, 1, 1, length), "f32")], [masked])
        scaled = masked
    net.op("SOFTMAX", [scaled], [weights], {"beta": 1.0})
    mixed, turned, flat = (
        net.result(shape, "f32"),
        net.result((1, length, heads, depth), "f32"),
        net.result((1, length, heads * depth), "f32"),
    )
    net.op("BATCH_MATMUL", [weights, value], [mixed])
    net.op("TRANSPOSE", [mixed, net.const((0, 2, 1, 3))], [turned])
    net.op(
        "RESHAPE",
        [turned, net.const((1, length, heads * depth))],
        [flat],
        {"new_shape": (1, length, heads * depth)},
    )
    net.op(
        "FULLY_CONNECTED",
        [flat, net.weights((8, 8), "f32")],
        [net.result((1, length, 8), "f32")],
        {"keep_num_dims": True},
    )


family("CHAIN", _attention, label="attention", mixes=0, mask=(False, True), dyn=DYN)


def _runtime_shape(net: Net, p: Any) -> None:
    """A reshape to a shape that is computed: SHAPE, STRIDED_SLICE, PACK, RESHAPE."""
    x = net.input((2, 3, 4), "f32")
    sizes, batch, target = (
        net.result((3,), "i32", static=True),
        net.result((), "i32"),
        net.result((2,), "i32", static=True),
    )
    net.op("SHAPE", [x], [sizes], {"out_type": "INT32"})
    net.op(
        "STRIDED_SLICE",
        [sizes, net.const((0,)), net.const((1,)), net.const((1,))],
        [batch],
        {"shrink_axis_mask": 1},
    )
    net.op("PACK", [batch, net.const(12)], [target], {"values_count": 2})
    flat = net.result((2, 12), "f32")
    net.op("RESHAPE", [x, target], [flat])
    if p.after:
        _step(net, p.after, flat, "f32")


family("CHAIN", _runtime_shape, label="runtime-shape", mixes=0, after=("", "ADD", "SOFTMAX"), dyn=DYN)


def _halved(net: Net, p: Any) -> None:
    """float16 weights behind DEQUANTIZE, shared by several operators or used once."""
    x = net.input(SHAPE, "f32")
    weights, bias = net.result((4, 3, 3, 4), "f32", static=True), net.result((4,), "f32", static=True)
    net.op("DEQUANTIZE", [net.weights((4, 3, 3, 4), p.kind)], [weights])
    net.op("DEQUANTIZE", [net.weights((4,), p.kind)], [bias])
    for _ in range(p.uses):
        out = net.result(SHAPE, "f32")
        net.op("CONV_2D", [x, weights, bias], [out], {"stride_h": 1, "stride_w": 1})
        x = out
    if p.elsewhere:
        net.op("ADD", [x, bias], [net.result(SHAPE, "f32")])


family(
    "CHAIN",
    _halved,
    label="half-weights",
    mixes=2,
    kind=("f16", "q8s"),
    uses=(1, 2, 3),
    elsewhere=(False, True),
    dyn=DYN[:2],
)


def _interface(net: Net, p: Any) -> None:
    """Unusual interfaces: an input that is an output, an unread input, an unread result, a constant output,
    no operator.
    """
    x = net.input(SHAPE, "f32")
    if p.what == "no-operator":
        net.finish([x])
        return
    out = _step(net, "ADD", x, "f32")
    outputs = [out]
    if p.what == "input-is-output":
        outputs.append(x)
    elif p.what == "unread-input":
        net.input((3,), "f32")
    elif p.what == "constant-output":
        outputs.append(net.weights((3,), "f32"))
    elif p.what == "unread-result":
        _step(net, "MUL", out, "f32")
    elif p.what == "output-twice":
        outputs.append(out)
    elif p.what == "read-output":
        outputs.append(_step(net, "MUL", out, "f32"))
    elif p.what == "constants-only":
        out = net.result((3,), "f32", static=True)
        net.op("ADD", [net.weights((3,), "f32"), net.weights((3,), "f32")], [out])
        outputs.append(out)
    net.finish(outputs)


family(
    "CHAIN",
    _interface,
    label="interface",
    mixes=0,
    what=(
        "plain",
        "no-operator",
        "input-is-output",
        "unread-input",
        "constant-output",
        "unread-result",
        "output-twice",
        "read-output",
        "constants-only",
    ),
    dyn=DYN[:2],
)


def _split_use(net: Net, p: Any) -> None:
    """Some results of an operator with several are read, some not."""
    x = net.input((1, 8, 8, 8), "f32")
    parts = [net.result((1, 8, 8, 4), "f32") for _ in range(2)]
    net.op("SPLIT", [net.const(3), x], parts, {"num_splits": 2})
    if p.use == "none":
        raise Skip("nothing is read")
    names = parts if p.use == "both" else parts[:1] * 2
    out = net.result((1, 8, 8, 8), "f32")
    net.op("CONCATENATION", names, [out], {"axis": 3})
    net.finish([out])


family("CHAIN", _split_use, label="split", mixes=0, use=("both", "first"), dyn=DYN[:2])


def _quantized_types(net: Net, p: Any) -> None:
    """A requantization between two integer types, and an operator on each side."""
    x = net.input((1, 16), p.kind)
    left, middle = net.result((1, 16), p.kind), net.result((1, 16), p.to)
    net.op("RELU" if p.kind != "q16" else "LOGISTIC", [x], [left])
    net.graph.set_tensor(
        _requantized(net, left, SIGMOID["q16"]) if p.kind == "q16" else net.graph.tensor(left)
    )
    net.op("QUANTIZE", [left], [middle])
    net.op(
        "ADD",
        [middle, middle],
        [net.result((1, 16), p.to, factor=2)],
        {"pot_scale_int16": False} if KINDS[p.to].dtype == "int16" else {},
    )


family(
    "CHAIN", _quantized_types, label="requantize", mixes=0, kind=("q8", "qu8", "q16"), to=("qu8", "q8", "q16")
)
