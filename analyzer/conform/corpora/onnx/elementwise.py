"""Recipes for operators that work element by element, along axes, or on pairs of matrices."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from .build import Arg, Dims, Spec

UNARY: dict[str, tuple[dict[str, Any], ...]] = {
    name: ({},)
    for name in (
        "Abs",
        "Acos",
        "Acosh",
        "Asin",
        "Asinh",
        "Atan",
        "Atanh",
        "Ceil",
        "Cos",
        "Cosh",
        "Erf",
        "Exp",
        "Floor",
        "HardSwish",
        "Identity",
        "IsNaN",
        "Log",
        "Mish",
        "Neg",
        "Reciprocal",
        "Relu",
        "Round",
        "Sigmoid",
        "Sign",
        "Sin",
        "Sinh",
        "Softplus",
        "Softsign",
        "Sqrt",
        "Tan",
        "Tanh",
        "NonZero",
        "Size",
        "Shape",
        "BitwiseNot",
        "Not",
        "Det",
        "GlobalAveragePool",
        "GlobalMaxPool",
    )
} | {
    "Celu": ({}, {"alpha": 2.0}),
    "Elu": ({}, {"alpha": 2.0}),
    "Gelu": ({}, {"approximate": "tanh"}),
    "HardSigmoid": ({}, {"alpha": 0.166667, "beta": 0.5}),
    "IsInf": ({}, {"detect_negative": 0}),
    "LeakyRelu": ({}, {"alpha": 0.2}),
    "Selu": ({}, {"alpha": 2.0, "gamma": 1.5}),
    "Shrink": ({}, {"lambd": 0.3, "bias": 0.1}),
    "ThresholdedRelu": ({}, {"alpha": 0.5}),
    "EyeLike": ({}, {"dtype": 1}, {"k": 1}),
    "RandomUniformLike": ({}, {"low": -1.0, "high": 1.0}, {"seed": 1.0}, {"dtype": 10}),
    "RandomNormalLike": ({}, {"mean": 1.0}),
    "Bernoulli": ({}, {"dtype": 9}),
    "Softmax": ({}, {"axis": 0}, {"axis": 1}, {"axis": -1}, {"axis": 2}),
    "LogSoftmax": ({}, {"axis": 0}, {"axis": 1}, {"axis": -1}, {"axis": 2}),
    "Hardmax": ({}, {"axis": 1}),
    "LpNormalization": ({}, {"axis": 1}, {"p": 1}, {"axis": 0}),
    "GlobalLpPool": ({}, {"p": 1}),
    "LRN": ({"size": 3}, {"size": 5, "alpha": 0.001, "bias": 2.0}, {"size": 2}, {"size": 4, "beta": 0.5}),
    "MeanVarianceNormalization": ({}, {"axes": [2, 3]}),
    "DepthToSpace": ({"blocksize": 2}, {"blocksize": 2, "mode": "CRD"}),
    "SpaceToDepth": ({"blocksize": 2},),
    "ArgMax": ({}, {"axis": 1}, {"axis": -1, "keepdims": 0}, {"select_last_index": 1}),
    "ArgMin": ({}, {"axis": 1}, {"axis": -1, "keepdims": 0}, {"select_last_index": 1}),
    "Flatten": ({}, {"axis": 0}, {"axis": 2}, {"axis": -1}),
    "Transpose": (
        {},
        {"perm": [0, 2, 3, 1]},
        {"perm": [0, 3, 1, 2]},
        {"perm": [1, 0, 2, 3]},
        {"perm": [3, 2, 1, 0]},
    ),
    "Dropout": ({},),
    "Cast": tuple({"to": number} for number in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16)),
    "Trilu": ({}, {"upper": 0}),
}
"""Operators of one input and their attribute settings, the first the base."""

SHAPES: tuple[Dims, ...] = (
    (2, 8, 4, 4),
    (),
    (8,),
    (4, 8),
    (2, 4, 8),
    (1, 8, 4, 4),
    (1, 2, 4, 4, 4),
    (1, 2, 2, 2, 4, 4),
    (1, 2, 2, 2, 2, 2, 2),
    (0, 4),
)

BINARY = (
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Pow",
    "Mod",
    "PRelu",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "And",
    "Or",
    "Xor",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "Max",
    "Min",
    "Mean",
    "Sum",
)
BROADCASTS: tuple[tuple[Dims, Dims], ...] = (
    ((2, 8, 4, 4), (2, 8, 4, 4)),
    ((2, 8, 4, 4), ()),
    ((2, 8, 4, 4), (1,)),
    ((2, 8, 4, 4), (4,)),
    ((2, 8, 4, 4), (8, 1, 1)),
    ((2, 8, 4, 4), (1, 8, 1, 1)),
    ((4,), (2, 8, 4, 4)),
    ((), (4,)),
    ((), ()),
    ((8,), (8,)),
    ((4, 8), (4, 8)),
    ((4, 8), (8,)),
    ((4, 1), (1, 8)),
    ((1, 2, 4, 4, 4), (1, 2, 4, 4, 4)),
    ((1, 2, 4, 4, 4), (4,)),
    ((1, 2, 2, 2, 4, 4), (1, 2, 2, 2, 4, 4)),
    ((1, 2, 2, 2, 4, 4), (4,)),
    ((1, 2, 2, 2, 2, 2, 2), (1, 2, 2, 2, 2, 2, 2)),
    ((2, 1, 4, 4), (2, 8, 4, 1)),
    ((0, 4), (4,)),
    ((1, 8), (4, 8)),
)
BINARY_ATTRS: dict[str, tuple[dict[str, Any], ...]] = {"Mod": ({}, {"fmod": 1})}
LOGICAL = ("And", "Or", "Xor", "Not")

REDUCE = tuple(
    f"Reduce{name}"
    for name in ("Max", "Min", "Mean", "Sum", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare")
)


def main_dtype(op: str) -> str:
    """The dtype of a recipe's base case."""
    if op in LOGICAL:
        return "bool"
    return "int32" if op.startswith("Bitwise") else "float32"


def unary() -> Iterator[Spec]:
    """One input: attribute settings at rank 4, then every rank with the first and last setting."""
    for op, settings in UNARY.items():
        dtype = main_dtype(op)
        for index, attrs in enumerate(settings):
            yield Spec(op, (Arg(SHAPES[0]),), attrs, f"attrs{index}" if index else "base", dtype)
        for shape in SHAPES[1:]:
            for index in {0, len(settings) - 1}:
                yield Spec(
                    op,
                    (Arg(shape),),
                    settings[index],
                    f"rank{len(shape)}-{shape[0] if shape else 1}-attrs{index}",
                    dtype,
                )


def binary() -> Iterator[Spec]:
    """Two inputs over the broadcasts, the second also constant."""
    for op in BINARY:
        dtype = main_dtype(op)
        for index, (left, right) in enumerate(BROADCASTS):
            for attrs in BINARY_ATTRS.get(op, ({},)):
                note = "base" if not index else f"broadcast{index}" + ("-fmod" if attrs else "")
                yield Spec(op, (Arg(left), Arg(right)), attrs, note if not attrs or index else "fmod", dtype)
                yield Spec(
                    op,
                    (Arg(left), Arg(right, const=True)),
                    attrs,
                    f"{note}-const" + ("-fmod" if attrs else ""),
                    dtype,
                )
    for op in ("Max", "Min", "Mean", "Sum"):
        for count in (1, 3, 4):
            yield Spec(op, (Arg((2, 8, 4, 4)),) * count, {}, f"inputs{count}")
    for exponent in (2.0, 0.5, 3.0, -1.0):
        yield Spec(
            "Pow", (Arg((2, 8, 4, 4)), Arg((), values=exponent, const=True)), {}, f"exponent{exponent}"
        )
    yield Spec("Pow", (Arg((2, 8, 4, 4)), Arg((), "int64", 2, True)), {}, "exponent-int64")
    for direction in ("LEFT", "RIGHT"):
        yield Spec("BitShift", (Arg((4, 8)), Arg((4, 8))), {"direction": direction}, direction, "uint8")


def select() -> Iterator[Spec]:
    """Where, Clip, Dropout with its inputs, CumSum, Trilu."""
    for index, shapes in enumerate(
        (
            ((2, 8, 4, 4),) * 3,
            ((2, 8, 4, 4), (), ()),
            ((4,), (2, 8, 4, 4), (1,)),
            ((8,),) * 3,
            ((1, 2, 2, 2, 4, 4),) * 3,
        )
    ):
        condition, *values = shapes
        yield Spec(
            "Where",
            (Arg(condition, "bool"), Arg(values[0]), Arg(values[1])),
            {},
            f"shapes{index}" if index else "base",
        )
        yield Spec(
            "Where",
            (Arg(condition, "bool", const=True), Arg(values[0]), Arg(values[1])),
            {},
            f"shapes{index}-const0",
        )
        yield Spec(
            "Where",
            (Arg(condition, "bool"), Arg(values[0]), Arg(values[1], const=True)),
            {},
            f"shapes{index}-const2",
        )
    for shape in SHAPES:
        x = Arg(shape)
        low, high = Arg((), values=0, const=True), Arg((), values=6, const=True)
        for note, rest in {
            "base": (low, high),
            "low": (low,),
            "high": (None, high),
            "none": (),
            "dynamic": (Arg(()), Arg(())),
            "high-dynamic": (low, Arg(())),
        }.items():
            yield Spec(
                "Clip", (x, *rest), {}, note if shape == SHAPES[0] else f"{note}-rank{len(shape)}-{shape[:1]}"
            )
    for exclusive, reverse, axis in product((0, 1), (0, 1), (0, 2, -1)):
        attrs = {"exclusive": exclusive, "reverse": reverse}
        yield Spec(
            "CumSum", (Arg((2, 4, 8)), Arg((), "int64", axis, True)), attrs, f"e{exclusive}r{reverse}a{axis}"
        )
    yield Spec("CumSum", (Arg((2, 4, 8)), Arg((), "int64")), {}, "axis-dynamic")
    yield Spec("CumSum", (Arg((8,)), Arg((1,), "int32", 0, True)), {}, "rank1")
    yield Spec("Trilu", (Arg((4, 4)), Arg((), "int64", 1, True)), {"upper": 1}, "k")


def reduce() -> Iterator[Spec]:
    """Reductions: axes as input (constant or not) and as attribute, every rank, keepdims."""
    for op in REDUCE:
        for shape in SHAPES:
            rank = len(shape)
            for axes in (None, [0], [-1], list(range(rank)), [1, 2], [0, 2]):
                if axes is not None and (not axes or max(axes) >= rank or -min(axes) > rank):
                    continue
                for keep in (1, 0):
                    base = shape == SHAPES[0] and axes == [1, 2] and keep
                    inputs = (
                        (Arg(shape),)
                        if axes is None
                        else (Arg(shape), Arg((len(axes),), "int64", axes, True))
                    )
                    note = f"r{rank}-{shape[:1]}-axes{axes}-keep{keep}".replace(" ", "")
                    yield Spec(op, inputs, {"keepdims": keep}, "base" if base else note)
        yield Spec(op, (Arg(SHAPES[0]), Arg((1,), "int64")), {}, "axes-dynamic")
        yield Spec(op, (Arg(SHAPES[0]),), {"noop_with_empty_axes": 1}, "noop")
        yield Spec(op, (Arg(SHAPES[0]),), {"axes": [1]}, "axes-attribute", opset=11)
        yield Spec(op, (Arg(SHAPES[0]),), {"axes": [-1], "keepdims": 0}, "axes-attribute-last", opset=12)


def matrix() -> Iterator[Spec]:
    """MatMul, Gemm, Einsum and the integer products, with weights constant and not."""
    pairs: tuple[tuple[Dims, Dims], ...] = (
        ((2, 4, 8), (8, 6)),
        ((4, 8), (8, 6)),
        ((8,), (8, 6)),
        ((4, 8), (8,)),
        ((8,), (8,)),
        ((2, 4, 8), (2, 8, 6)),
        ((1, 4, 8), (3, 8, 6)),
        ((2, 2, 4, 8), (2, 2, 8, 6)),
        ((2, 2, 4, 8), (8, 6)),
        ((1, 2, 2, 4, 8), (1, 2, 2, 8, 6)),
        ((1, 2, 2, 4, 8), (8, 6)),
        ((1, 1, 2, 2, 4, 8), (1, 1, 2, 2, 8, 6)),
        ((1, 1, 2, 2, 4, 8), (8, 6)),
        ((4, 8), (2, 8, 6)),
        ((2, 4, 8), (8,)),
        ((8,), (2, 8, 6)),
        ((2, 2, 4, 8), (2, 1, 8, 6)),
    )
    for index, (left, right) in enumerate(pairs):
        for const in ((False, True), (False, False), (True, False)):
            note = (
                "base"
                if not index and const == (False, True)
                else f"shapes{index}-const{int(const[0])}{int(const[1])}"
            )
            yield Spec("MatMul", (Arg(left, const=const[0]), Arg(right, const=const[1])), {}, note)
            integer = (Arg(left, const=const[0]), Arg(right, const=const[1]))
            yield Spec("MatMulInteger", integer, {}, note, "uint8")
    for trans_a, trans_b, stored in product((0, 1), (0, 1), (True, False)):
        left, right = ((8, 4) if trans_a else (4, 8)), ((6, 8) if trans_b else (8, 6))
        for bias in (None, (6,), (1, 6), (4, 6), (), (4, 1), (1,)):
            inputs = (
                Arg(left),
                Arg(right, const=stored),
                *(() if bias is None else (Arg(bias, const=stored),)),
            )
            base = not trans_a and trans_b and stored and bias == (6,)
            note = f"t{trans_a}{trans_b}-c{int(stored)}-bias{bias}".replace(" ", "")
            yield Spec("Gemm", inputs, {"transA": trans_a, "transB": trans_b}, "base" if base else note)
    for attrs in ({"alpha": 0.5}, {"beta": 2.0}, {"alpha": 0.5, "beta": 0.0}):
        yield Spec(
            "Gemm",
            (Arg((4, 8)), Arg((8, 6), const=True), Arg((6,), const=True)),
            attrs,
            f"scaled{sorted(attrs)}",
        )
    equations: dict[str, tuple[Dims, ...]] = {
        "ij,jk->ik": ((4, 8), (8, 6)),
        "bij,bjk->bik": ((2, 4, 8), (2, 8, 6)),
        "bhqd,bhkd->bhqk": ((2, 2, 4, 8), (2, 2, 6, 8)),
        "ij->ji": ((4, 8),),
        "bhwc,hkc->bhwk": ((2, 3, 4, 5), (3, 6, 5)),
        "bhqk,bhkd->bhqd": ((2, 2, 4, 6), (2, 2, 6, 8)),
        "i,i->": ((8,), (8,)),
        "ij->i": ((4, 8),),
        "bid,bjd->bij": ((2, 4, 8), (2, 6, 8)),
        "ij,ij->ij": ((4, 8), (4, 8)),
        "...ij,...jk->...ik": ((2, 4, 8), (2, 8, 6)),
        "bnc,nck->bnk": ((2, 3, 4), (3, 4, 5)),
    }
    for equation, shapes in equations.items():
        yield Spec("Einsum", tuple(Arg(shape) for shape in shapes), {"equation": equation}, equation)
    zero = Arg((), "uint8", 0, True)
    scale = Arg((), "float32", 0.05, True)
    for stored in (True, False):
        inputs = (Arg((4, 8)), scale, zero, Arg((8, 6), const=stored), scale, zero, scale, zero)
        yield Spec("QLinearMatMul", inputs, {}, "base" if stored else "dynamic", "uint8")


def recipes() -> Iterator[Spec]:
    """All of this module."""
    yield from unary()
    yield from binary()
    yield from select()
    yield from reduce()
    yield from matrix()
