"""Corpus families: operators that work element by element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .family import family
from .net import KINDS, Kind, Net, Skip, broadcast

SHAPES = (
    (1, 8, 8, 4),
    (),
    (5,),
    (3, 4),
    (2, 3, 4),
    (2, 5, 3, 4),
    (1, 2, 3, 4, 5),
    (1, 2, 1, 2, 3, 2),
    (1, 1, 1, 1),
    (0, 4),
    (1, 1, 8),
)
DYN = ("", "batch", "all")
FLOATS = ("f32", "f16", "bf16")
QUANTS = ("q8", "qu8", "q16")

SIGMOID: Mapping[str, Kind] = {
    "q8": Kind("q8", "int8", 1 / 256, -128),
    "qu8": Kind("qu8", "uint8", 1 / 256, 0),
    "q16": Kind("q16", "int16", 1 / 32768, 0),
}
"""The output quantization that kernels with a range of 0..1 demand."""
SIGNED_UNIT: Mapping[str, Kind] = {
    "q8": Kind("q8", "int8", 1 / 128, 0),
    "qu8": Kind("qu8", "uint8", 1 / 128, 128),
    "q16": Kind("q16", "int16", 1 / 32768, 0),
}
"""The same for a range of -1..1."""
LOG_UNIT: Mapping[str, Kind] = {
    "q8": Kind("q8", "int8", 16 / 256, 127),
    "qu8": Kind("qu8", "uint8", 16 / 256, 255),
}
UNIT_16 = {"q16": Kind("q16", "int16", 1 / 4096, 0)}

UNARY: Mapping[str, tuple[str, ...]] = {
    "ABS": ("f32", "i32", "i16", "q8", "q16", "f16", "i64"),
    "CEIL": ("f32", "f16"),
    "FLOOR": ("f32", "f16"),
    "ROUND": ("f32", "f16"),
    "NEG": ("f32", "i32", "i64", "f16", "q8"),
    "SIN": ("f32", "f16"),
    "COS": ("f32", "f16"),
    "LOG": ("f32", "q8", "q16"),
    "EXP": ("f32", "q8", "q16"),
    "SQRT": ("f32", "q8", "q16"),
    "RSQRT": ("f32", "q8", "q16"),
    "SQUARE": ("f32",),
    "LOGICAL_NOT": ("bool",),
    "ELU": ("f32", "q8"),
    "GELU": ("f32", "q8", "qu8", "f16"),
    "HARD_SWISH": ("f32", "q8", "qu8"),
    "RELU": ("f32", "q8", "qu8", "q16", "f16"),
    "RELU6": ("f32", "q8", "qu8", "q16"),
    "RELU_N1_TO_1": ("f32", "q8", "qu8"),
    "RELU_0_TO_1": ("f32", "q8", "qu8"),
    "LOGISTIC": ("f32", "q8", "qu8", "q16"),
    "TANH": ("f32", "q8", "qu8", "q16"),
    "SIGN": ("f32", "f64", "i32"),
    "ZEROS_LIKE": ("f32", "i32", "i64"),
    "LEAKY_RELU": ("f32", "q8", "qu8", "q16"),
}
"""Kinds that the operator has a kernel for, and a few that it has none for."""


def _unary(op: str) -> None:
    results = {"LOGISTIC": SIGMOID, "TANH": SIGNED_UNIT}.get(op, {})

    def make(net: Net, p: Any) -> None:
        kind = KINDS[p.kind]
        if (op == "TANH" and p.kind == "q16") or (op == "LOGISTIC" and p.kind == "q16"):
            kind = UNIT_16["q16"]
        attrs = {name: getattr(p, name) for name in ("alpha", "approximate") if hasattr(p, name)}
        net.op(
            op,
            [net.input(p.shape, kind)],
            [net.result(p.shape, results.get(p.kind, kind), factor=p.rescale)],
            attrs,
        )

    more: dict[str, Any] = {}
    if op == "LEAKY_RELU":
        more["alpha"] = (0.2, 0.0, 1.0, -0.5, 2.0)
    if op == "GELU":
        more["approximate"] = (False, True)
    rescale = (1.0,) if op in ("LOGISTIC", "TANH", "SIGN", "ZEROS_LIKE") else (1.0, 0.5, 2.0)
    family(op, make, mixes=16, kind=UNARY[op], shape=SHAPES, dyn=DYN, rescale=rescale, **more)


for _op in UNARY:
    _unary(_op)

ARITHMETIC: Mapping[str, tuple[str, ...]] = {
    "ADD": ("f32", "i32", "i64", "i16", "q8", "qu8", "q16p", "q16", "f16"),
    "SUB": ("f32", "i32", "i64", "q8", "qu8", "q16p", "q16"),
    "MUL": ("f32", "i32", "i64", "i16", "u32", "c64", "q8", "qu8", "q16", "f16"),
    "DIV": ("f32", "i32", "qu8", "q8"),
    "MAXIMUM": ("f32", "i32", "i64", "q8", "qu8", "i16", "q16"),
    "MINIMUM": ("f32", "i32", "i64", "q8", "qu8", "i16", "q16"),
    "SQUARED_DIFFERENCE": ("f32", "i32", "q8"),
    "FLOOR_DIV": ("f32", "i32", "i16", "i8"),
    "FLOOR_MOD": ("f32", "i32", "i64", "i16", "i8"),
    "POW": ("f32", "i32"),
    "ATAN2": ("f32", "f64"),
    "BITWISE_XOR": ("i32", "u32", "i16", "u16", "i8", "u8"),
    "RIGHT_SHIFT": ("i32", "u32", "i16", "u16", "i8", "u8"),
    "LOGICAL_AND": ("bool",),
    "LOGICAL_OR": ("bool",),
    "PRELU": ("f32", "q8", "qu8"),
}
COMPARE: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("EQUAL", "NOT_EQUAL"), ("f32", "i32", "i64", "bool", "q8", "qu8", "i16")),
    **dict.fromkeys(("GREATER", "LESS_EQUAL"), ("f32", "i32", "i64", "q8", "qu8")),
    **dict.fromkeys(("LESS", "GREATER_EQUAL"), ("f32", "i32", "i64", "q8", "qu8", "i16")),
}
PAIRS = (
    ((1, 4, 5, 3), (1, 4, 5, 3)),
    ((1, 4, 5, 3), ()),
    ((1, 4, 5, 3), (1,)),
    ((1, 4, 5, 3), (3,)),
    ((1, 4, 5, 3), (1, 1, 1, 3)),
    ((1, 4, 5, 3), (1, 1, 1, 1)),
    ((1, 4, 5, 3), (1, 4, 1, 3)),
    ((1, 4, 5, 3), (1, 4, 5, 1)),
    ((1, 4, 5, 3), (5, 3)),
    ((1, 4, 5, 3), (4, 1, 1)),
    ((2, 4, 5, 3), (2, 4, 5, 3)),
    ((2, 4, 5, 3), (1, 1, 1, 3)),
    ((2, 4, 5, 3), (2, 1, 1, 3)),
    ((1, 1, 1, 3), (1, 4, 5, 3)),
    ((3,), (1, 4, 5, 3)),
    ((), (1, 4, 5, 3)),
    ((1, 4, 1, 3), (1, 1, 5, 3)),
    ((6,), (6,)),
    ((), ()),
    ((3, 4), (3, 4)),
    ((3, 4), (4,)),
    ((3, 4), (3, 1)),
    ((2, 3, 4), (2, 3, 4)),
    ((2, 3, 4), (3, 1)),
    ((2, 3, 4), (4,)),
    ((1, 2, 3, 4, 5), (1, 2, 3, 4, 5)),
    ((1, 2, 3, 4, 5), (5,)),
    ((2, 2, 3, 4, 5), (1, 2, 1, 4, 1)),
    ((1, 2, 1, 2, 3, 2), (1, 2, 1, 2, 3, 2)),
    ((1, 2, 1, 2, 3, 2), (2,)),
    ((1, 1, 1, 1), (1, 1, 1, 1)),
)
"""Shapes of the two operands: equal, every form of broadcast, and both orders."""
ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1", "TANH", "SIGN_BIT")


def _binary(op: str) -> None:
    compares = op in COMPARE

    def make(net: Net, p: Any) -> None:
        first, second = p.shapes
        if op == "PRELU" and broadcast(first, second) != first:
            raise Skip("the slope is wider than the input")
        if op == "ATAN2" and first != second:
            raise Skip("the kernel does not broadcast")
        names = [
            net.operand(first, p.kind, const=p.const == "first"),
            net.operand(second, p.kind, const=p.const == "second", factor=p.rescale),
        ]
        out = net.result(
            broadcast(first, second),
            "bool" if compares else p.kind,
            factor=1.0 if compares else 4 * p.rescale,
        )
        attrs = {"fused_activation_function": p.act} if hasattr(p, "act") else {}
        if op in ("ADD", "SUB") and p.kind == "q16":
            attrs["pot_scale_int16"] = False
        net.op(op, names, [out], attrs)

    more: dict[str, Any] = {}
    if op in ("ADD", "SUB", "MUL", "DIV"):
        more["act"] = ACTIVATIONS[:4] if op == "DIV" else ACTIVATIONS
    same_scale = op in ("MAXIMUM", "MINIMUM", "FLOOR_DIV", "FLOOR_MOD")
    kinds = COMPARE.get(op) or ARITHMETIC[op]
    family(
        op,
        make,
        mixes=40,
        kind=kinds,
        shapes=PAIRS,
        const=("second", "", "first") if op == "PRELU" else ("", "second", "first"),
        dyn=DYN,
        rescale=(0.25,) if same_scale else (1.0, 0.5),
        **more,
    )


for _op in (*ARITHMETIC, *COMPARE):
    _binary(_op)


def _power_of_two(net: Net, p: Any) -> None:
    x = net.input(p.shape, "q16p", factor=p.left)
    y = net.operand(p.shape, "q16p", const=p.const, factor=p.right)
    net.op(p.op, [x, y], [net.result(p.shape, "q16p", factor=p.out)], {"pot_scale_int16": p.pot})


for _op in ("ADD", "SUB"):
    family(
        _op,
        _power_of_two,
        label="power-of-two",
        mixes=12,
        op=(_op,),
        shape=((1, 4, 5, 3), (7,), (2, 3)),
        left=(1.0, 0.5, 0.3),
        right=(1.0, 2.0),
        out=(1.0, 4.0),
        const=(False, True),
        pot=(True, False),
    )


def _same(net: Net, p: Any) -> None:
    x = net.input(p.shape, p.kind)
    net.op(p.op, [x, x], [net.result(p.shape, p.kind)])


for _op in ("ADD", "SUB", "MUL", "DIV", "MAXIMUM"):
    family(
        _op,
        _same,
        label="same",
        mixes=4,
        op=(_op,),
        shape=((1, 4, 5, 3), (4,), (2, 3, 4)),
        kind=("f32", "q8") if _op != "DIV" else ("f32", "i32"),
    )


def _add_n(net: Net, p: Any) -> None:
    names = [net.operand(p.shape, p.kind, const=p.const and index == p.count - 1) for index in range(p.count)]
    net.op("ADD_N", names, [net.result(p.shape, p.kind)])


family(
    "ADD_N", _add_n, kind=("f32", "i32", "q8"), count=(2, 3, 5), shape=SHAPES, const=(False, True), dyn=DYN
)


def _cast(net: Net, p: Any) -> None:
    if p.kind == p.to:
        raise Skip("the same dtype")
    types = {
        "f32": "FLOAT32",
        "f16": "FLOAT16",
        "i32": "INT32",
        "i64": "INT64",
        "u8": "UINT8",
        "i8": "INT8",
        "bool": "BOOL",
        "i16": "INT16",
        "u32": "UINT32",
        "f64": "FLOAT64",
        "u16": "UINT16",
        "c64": "COMPLEX64",
        "i4": "INT4",
        "bf16": "BFLOAT16",
        "i2": "INT2",
        "u4": "UINT4",
    }
    attrs = {"in_data_type": types[p.kind], "out_data_type": types[p.to]} if p.options else {}
    x = net.operand(p.shape, p.kind, const=p.kind in ("i4", "i2", "u4"))
    net.op("CAST", [x], [net.result(p.shape, p.to)], attrs)


CASTS = ("f32", "i32", "i64", "u8", "i8", "bool", "i16", "f16", "u32", "f64", "u16", "bf16")
family(
    "CAST",
    _cast,
    mixes=90,
    kind=(*CASTS, "i4", "c64"),
    to=("i32", "f32", *CASTS[2:]),
    shape=SHAPES,
    options=(True, False),
    dyn=DYN,
)


def _select(net: Net, p: Any) -> None:
    condition, yes, no = p.shapes
    names = [
        net.operand(condition, "bool", const=p.const == "condition"),
        net.operand(yes, p.kind, const=p.const == "yes"),
        net.operand(no, p.kind, const=p.const == "no"),
    ]
    net.op(p.op, names, [net.result(broadcast(condition, yes, no), p.kind)])


_KINDS = ("f32", "i32", "i64", "q8", "qu8", "i16", "bool", "u32", "f16")
family(
    "SELECT",
    _select,
    op=("SELECT",),
    kind=_KINDS,
    shapes=(
        ((1, 4, 5, 3),) * 3,
        ((),) * 3,
        ((3,),) * 3,
        ((2,), (2, 3), (2, 3)),
        ((2, 3),) * 3,
        ((1, 2, 3, 4, 5),) * 3,
        ((2, 3, 4),) * 3,
        ((), (2, 3), (2, 3)),
    ),
    const=("", "condition", "yes", "no"),
    dyn=DYN,
)
family(
    "SELECT_V2",
    _select,
    op=("SELECT_V2",),
    mixes=40,
    kind=_KINDS,
    shapes=(
        ((1, 4, 5, 3),) * 3,
        ((),) * 3,
        ((1, 4, 5, 1), (1, 4, 5, 3), (1, 4, 5, 3)),
        ((1, 4, 5, 3), (1, 4, 5, 3), ()),
        ((1, 4, 5, 3), (), (1, 4, 5, 3)),
        ((3,), (1, 4, 5, 3), (3,)),
        ((2, 1), (1, 3), (2, 3)),
        ((2, 3, 4),) * 3,
        ((1, 2, 3, 4, 5),) * 3,
        ((), (1, 4, 5, 3), (1, 4, 5, 3)),
        ((1, 4, 5, 3), (3,), (1, 1, 1, 1)),
        ((1, 1, 1, 3), (2, 4, 5, 3), (2, 4, 5, 3)),
    ),
    const=("", "condition", "yes", "no"),
    dyn=DYN,
)


def _quantize(net: Net, p: Any) -> None:
    if p.kind == "f32" and p.rescale != 1.0:
        raise Skip("one quantization only")
    net.op("QUANTIZE", [net.input(p.shape, p.kind)], [net.result(p.shape, p.to, factor=p.rescale)])


family(
    "QUANTIZE",
    _quantize,
    mixes=40,
    kind=("f32", "q8", "qu8", "q16"),
    to=("q8", "qu8", "q16", "q8s"),
    shape=SHAPES,
    rescale=(1.0, 0.5, 2.0),
    dyn=DYN,
)


def _dequantize(net: Net, p: Any) -> None:
    if p.channels and (p.kind not in ("q8", "q4", "q16") or not p.shape or not p.const):
        raise Skip("no channels")
    channels = len(p.shape) - 1 if p.channels else None
    x = net.weights(p.shape, p.kind, channels=channels) if p.const else net.input(p.shape, p.kind)
    net.op("DEQUANTIZE", [x], [net.result(p.shape, "f32")])


family(
    "DEQUANTIZE",
    _dequantize,
    mixes=40,
    kind=("q8", "qu8", "q16", "f16", "q4", "f32"),
    shape=SHAPES[:9],
    const=(False, True),
    channels=(False, True),
    dyn=DYN,
)


def _fake_quant(net: Net, p: Any) -> None:
    net.op("FAKE_QUANT", [net.input(p.shape, "f32")], [net.result(p.shape, "f32")],
           {"min": p.min, "max": 6.0, "num_bits": p.bits, "narrow_range": p.narrow})  # fmt: skip


family(
    "FAKE_QUANT",
    _fake_quant,
    mixes=8,
    shape=SHAPES[:5],
    bits=(8, 4, 16),
    narrow=(False, True),
    min=(-6.0, 0.0),
    dyn=DYN,
)


def _complex(net: Net, p: Any) -> None:
    net.op(p.op, [net.input(p.shape, p.kind)], [net.result(p.shape, "f32" if p.kind == "c64" else "f64")])


for _op in ("REAL", "IMAG", "COMPLEX_ABS"):
    family(_op, _complex, mixes=6, op=(_op,), kind=("c64", "c128"), shape=SHAPES[:6], dyn=DYN)


def _bucketize(net: Net, p: Any) -> None:
    net.op(
        "BUCKETIZE", [net.input(p.shape, p.kind)], [net.result(p.shape, "i32")], {"boundaries": p.boundaries}
    )


family(
    "BUCKETIZE",
    _bucketize,
    mixes=6,
    kind=("f32", "i32", "i64", "f64"),
    shape=SHAPES[:6],
    boundaries=((0.0, 1.0, 2.0), (0.5,)),
    dyn=DYN,
)


def _bitcast(net: Net, p: Any) -> None:
    net.op("BITCAST", [net.input(p.shape, p.kind)], [net.result((*p.shape, *p.more), p.to)])


family(
    "BITCAST",
    _bitcast,
    label="same-width",
    mixes=4,
    kind=("f32", "i32", "u32"),
    to=("i32", "f32", "u32"),
    shape=SHAPES[:6],
    more=((),),
)
family(
    "BITCAST",
    _bitcast,
    label="narrower",
    mixes=4,
    kind=("i32", "f32", "u32"),
    to=("i16", "u16", "f16"),
    shape=SHAPES[:4],
    more=((2,),),
)


def _custom(net: Net, p: Any) -> None:
    net.op(
        p.code,
        [net.input(p.shape, "f32")],
        [net.result(p.shape, "f32")],
        {"custom_options": p.options},
        domain="custom",
    )


family(
    "CUSTOM",
    _custom,
    mixes=2,
    code=("NoSuchOperator", "FlexErf", "edgetpu-custom-op"),
    shape=SHAPES[:3],
    options=(b"", b"\x01\x02\x03"),
)
