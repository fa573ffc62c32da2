"""Recipes for operators that move, select, create and quantize data, and for what is left."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from .build import Arg, Dims, Spec

X: Dims = (2, 4, 6, 8)
RANKS: tuple[Dims, ...] = (
    (8,),
    (4, 8),
    (2, 4, 8),
    X,
    (1, 2, 4, 6, 8),
    (1, 1, 2, 4, 2, 4),
    (1, 1, 2, 2, 2, 2, 2),
)


def _ints(*values: int) -> Arg:
    return Arg((len(values),), "int64", list(values), True)


def shape() -> Iterator[Spec]:
    """Reshape and its relatives, Concat, Split, Expand, Tile, Pad."""
    for target in (
        (2, 192),
        (0, -1),
        (-1,),
        (0, 0, 48),
        (2, 4, 2, 3, 8),
        (2, 4, 2, 3, 2, 4),
        (1, 2, 4, 2, 3, 2, 4),
    ):
        yield Spec(
            "Reshape",
            (Arg(X), _ints(*target)),
            {},
            "base" if target == (2, 192) else f"to{len(target)}-{target[:2]}",
        )
    yield Spec("Reshape", (Arg(X), Arg((2,), "int64")), {}, "dynamic")
    yield Spec("Reshape", (Arg((2, 0, 4)), _ints(0, 4, 2)), {"allowzero": 1}, "allowzero")
    yield Spec("Reshape", (Arg(X), _ints(2, 192)), {"allowzero": 1}, "allowzero-unused")
    yield Spec("Reshape", (Arg(()), _ints(1)), {}, "from-scalar")
    yield Spec("Reshape", (Arg((1,)), Arg((0,), "int64", [], True)), {}, "to-scalar")
    for dims in RANKS:
        rank, one = len(dims), (1, *dims[1:])
        yield Spec("Squeeze", (Arg(one), _ints(0)), {}, "base" if rank == 4 else f"rank{rank}")
        yield Spec("Unsqueeze", (Arg(dims), _ints(0)), {}, "base" if rank == 4 else f"rank{rank}")
        yield Spec("Unsqueeze", (Arg(dims), _ints(-1)), {}, f"rank{rank}-last")
        yield Spec("Squeeze", (Arg(one),), {}, f"rank{rank}-all")
        yield Spec("Transpose", (Arg(dims),), {"perm": [*range(1, rank), 0]}, f"rotate{rank}")
        yield Spec("Concat", (Arg(dims), Arg(dims)), {"axis": 0}, "base" if rank == 4 else f"rank{rank}")
        yield Spec("Concat", (Arg(dims), Arg(dims, const=True), Arg(dims)), {"axis": -1}, f"rank{rank}-three")
        yield Spec(
            "Split",
            (Arg(dims),),
            {"axis": -1, "num_outputs": 2},
            "base" if rank == 4 else f"rank{rank}",
            outputs=2,
        )
        half = int(dims[-1]) // 2
        yield Spec(
            "Split",
            (Arg(dims), _ints(half, int(dims[-1]) - half)),
            {"axis": -1},
            f"rank{rank}-sizes",
            outputs=2,
        )
        yield Spec(
            "Expand", (Arg(one), _ints(3, *map(int, dims[1:]))), {}, "base" if rank == 4 else f"rank{rank}"
        )
        yield Spec("Expand", (Arg(dims), _ints(2, *(1,) * rank)), {}, f"rank{rank}-grow")
        yield Spec(
            "Tile", (Arg(dims), _ints(*(1,) * (rank - 1), 2)), {}, "base" if rank == 4 else f"rank{rank}"
        )
        for mode in ("constant", "reflect", "edge", "wrap"):
            yield Spec("Pad", (Arg(dims), _pads(rank, 1)), {"mode": mode}, f"{mode}-rank{rank}")
    yield Spec("Split", (Arg(X), Arg((2,), "int64")), {"axis": 1}, "sizes-dynamic", outputs=2)
    yield Spec("Split", (Arg(X), _ints(1, 3)), {"axis": 1}, "uneven", outputs=2)
    yield Spec("Split", (Arg((2, 7)),), {"axis": 1, "num_outputs": 3}, "uneven-count", outputs=3)
    yield Spec("Split", (Arg(X),), {"axis": 1, "split": [1, 3]}, "attribute", outputs=2, opset=11)
    yield Spec("Squeeze", (Arg((1, 4, 1, 8)),), {"axes": [0, 2]}, "attribute", opset=11)
    yield Spec("Unsqueeze", (Arg((4, 8)),), {"axes": [0, 2]}, "attribute", opset=11)
    yield Spec("Squeeze", (Arg((1, 4, 1, 8)), Arg((1,), "int64")), {}, "dynamic")
    yield Spec("Expand", (Arg((1, 8)), Arg((2,), "int64")), {}, "dynamic")
    yield Spec("Tile", (Arg((4, 8)), Arg((2,), "int64")), {}, "dynamic")
    yield Spec("Concat", (Arg(X),), {"axis": 1}, "one")
    yield Spec("Concat", (Arg((2, 3, 4)), Arg((2, 0, 4))), {"axis": 1}, "empty")
    yield from _padding()


def _pads(rank: int, amount: int) -> Arg:
    return _ints(*(0,) * (rank - 1), amount, *(0,) * (rank - 1), amount)


def _padding() -> Iterator[Spec]:
    value = Arg((), values=1.5, const=True)
    yield Spec("Pad", (Arg(X), _pads(4, 1)), {})
    yield Spec("Pad", (Arg(X), _pads(4, 1), value), {}, "value")
    yield Spec("Pad", (Arg(X), _pads(4, 1), Arg(())), {}, "value-dynamic")
    yield Spec("Pad", (Arg(X), _pads(4, -1)), {}, "negative")
    yield Spec("Pad", (Arg(X), Arg((8,), "int64")), {}, "dynamic")
    yield Spec("Pad", (Arg(X), _ints(1, 1), None, _ints(-1)), {}, "axes")
    yield Spec("Pad", (Arg(X), _pads(4, 7)), {"mode": "reflect"}, "reflect-most")
    yield Spec("Pad", (Arg(X),), {"pads": [0, 0, 1, 1, 0, 0, 1, 1], "value": 1.0}, "attribute", opset=2)
    yield Spec("CenterCropPad", (Arg((6, 8)), _ints(4, 10)), {})


def index() -> Iterator[Spec]:
    """Slice, Gather, Scatter and their relatives, TopK, OneHot, Range, NonMaxSuppression."""
    for dims in RANKS:
        rank = len(dims)
        for axis, kind in product((0, -1), ("int64", "int32")):
            for const in (True, False):
                indices = Arg((2, 3), kind, [0, 1, 0, 1, 1, 0], const)
                note = f"rank{rank}-axis{axis}-{kind}-c{int(const)}"
                yield Spec(
                    "Gather",
                    (Arg(dims), indices),
                    {"axis": axis},
                    "base" if note == "rank4-axis0-int64-c1" else note,
                )
        for const in (True, False):
            yield Spec(
                "GatherElements",
                (Arg(dims), Arg(dims, "int64", 0, const)),
                {"axis": 0},
                f"rank{rank}-c{int(const)}",
            )
            yield Spec(
                "GatherND",
                (Arg(dims), Arg((3, 1), "int64", [0, 0, 0], const)),
                {},
                f"rank{rank}-c{int(const)}",
            )
            updates = Arg((1, *dims[1:]))
            for reduction in ("none", "add", "mul", "max", "min"):
                note = f"rank{rank}-{reduction}-c{int(const)}"
                yield Spec(
                    "ScatterND",
                    (Arg(dims), Arg((1, 1), "int64", 0, const), updates),
                    {"reduction": reduction},
                    note,
                )
                yield Spec(
                    "ScatterElements",
                    (Arg(dims), Arg(dims, "int64", 0, const), Arg(dims)),
                    {"reduction": reduction, "axis": -1},
                    note,
                )
        yield Spec(
            "Slice", (Arg(dims), _ints(0), _ints(1), _ints(0)), {}, "base" if rank == 4 else f"rank{rank}"
        )
        yield Spec(
            "Slice", (Arg(dims), _ints(-1), _ints(-9), _ints(-1), _ints(-1)), {}, f"rank{rank}-reverse"
        )
        yield Spec("Slice", (Arg(dims), _ints(0), _ints(99), _ints(-1), _ints(2)), {}, f"rank{rank}-step2")
        for largest, ordered, axis in product((1, 0), (1, 0), (-1, 0)):
            note = f"rank{rank}-l{largest}s{ordered}a{axis}"
            attrs = {"largest": largest, "sorted": ordered, "axis": axis}
            yield Spec(
                "TopK", (Arg(dims), _ints(1)), attrs, "base" if note == "rank4-l1s1a-1" else note, outputs=2
            )
    yield Spec("Gather", (Arg((6, 8)), Arg((), "int64", 1, True)), {}, "scalar-index")
    yield Spec("Gather", (Arg((6, 8)), Arg((), "int64")), {}, "scalar-index-dynamic")
    yield Spec("Gather", (Arg((6, 8)), Arg((2,), "int64", [-1, 0], True)), {}, "negative-index")
    yield Spec("Gather", (Arg((6, 8), const=True), Arg((2, 3), "int64")), {}, "embedding")
    yield Spec("Gather", (Arg((6, 8), const=True), Arg((2, 3), "int32")), {}, "embedding-int32")
    yield Spec("GatherND", (Arg((2, 4, 8)), Arg((2, 1), "int64", [0, 1], True)), {"batch_dims": 1}, "batch")
    for count in range(4):
        inputs = [_ints(0), _ints(1), _ints(0), _ints(1)]
        if count != 2:
            inputs[count] = Arg((1,), "int64")
            yield Spec("Slice", (Arg((4, 8)), *inputs), {}, f"dynamic{count}")
    yield Spec("Slice", (Arg((4, 8)),), {"starts": [0], "ends": [2], "axes": [0]}, "attribute", opset=9)
    yield Spec("Slice", (Arg((4, 8)), _ints(2), _ints(2), _ints(0)), {}, "empty")
    yield Spec("TopK", (Arg((4, 8)), Arg((1,), "int64")), {}, "k-dynamic", outputs=2)
    yield Spec("TopK", (Arg((4, 8)), _ints(3)), {"axis": 0}, "k3-axis0", outputs=2)
    yield Spec(
        "OneHot",
        (Arg((4,), "int64", const=False), Arg((), "int64", 8, True), Arg((2,), values=[0, 1], const=True)),
        {},
    )
    yield Spec("Range", tuple(Arg((), values=value, const=True) for value in (0, 8, 1)), {})
    yield Spec("Range", (Arg(()),) * 3, {}, "dynamic")
    yield Spec("Compress", (Arg((4, 8)), Arg((4,), "bool")), {"axis": 0})
    yield Spec("ReverseSequence", (Arg((5, 2, 4)), Arg((2,), "int64", [5, 3], True)), {})
    yield Spec("Unique", (Arg((8,)),), {}, outputs=1)
    yield Spec(
        "NonMaxSuppression", (Arg((1, 6, 4)), Arg((1, 1, 6)), _ints(3), Arg((1,), "float32", 0.5, True)), {}
    )
    yield Spec("ConstantOfShape", (_ints(2, 3),), {})
    yield Spec("ConstantOfShape", (Arg((2,), "int64"),), {}, "dynamic")
    yield Spec("Constant", (), {"value_float": 1.0})
    yield Spec("RandomUniform", (), {"shape": [2, 3]})
    yield Spec("RandomNormal", (), {"shape": [2, 3]})


def quantize() -> Iterator[Spec]:
    """Quantization operators standing alone, per tensor, per channel and blockwise."""
    for kind, (shape, axis) in product(
        ("uint8", "int8", "uint16", "int16", "int4", "uint4", "int32"), (((), None), ((8,), 1), ((2,), 0))
    ):
        scale = Arg(shape, "float32", 0.05, True)
        zero = Arg(shape, kind, 0, True)
        attrs = {} if axis is None else {"axis": axis}
        note = f"{kind}" + ("" if axis is None else f"-axis{axis}")
        if kind != "int32":
            yield Spec(
                "QuantizeLinear", (Arg((2, 8, 4)), scale, zero), attrs, "base" if note == "uint8" else note
            )
        yield Spec(
            "DequantizeLinear",
            (Arg((2, 8, 4), kind), scale, zero),
            attrs,
            "base" if note == "uint8" else note,
        )
        yield Spec("DequantizeLinear", (Arg((2, 8, 4), kind, 1, True), scale, zero), attrs, f"{note}-const")
        yield Spec("DequantizeLinear", (Arg((2, 8, 4), kind), scale), attrs, f"{note}-nozero")
        yield Spec("QuantizeLinear", (Arg((2, 8, 4)), Arg(shape, "float32"), zero), attrs, f"{note}-dynamic")
    yield Spec("DynamicQuantizeLinear", (Arg((2, 8)),), {}, outputs=3)


def other() -> Iterator[Spec]:
    """Signals, attention, losses, text: operators that few accelerators know."""
    yield Spec("DFT", (Arg((1, 8, 1)),), {"axis": 1}, opset=17)
    yield Spec(
        "STFT",
        (Arg((1, 16, 1)), Arg((), "int64", 4, True), Arg((8,), const=True), Arg((), "int64", 8, True)),
        {"onesided": 1},
    )
    yield Spec("HannWindow", (Arg((), "int64", 8, True),), {})
    yield Spec("HammingWindow", (Arg((), "int64", 8, True),), {})
    yield Spec("BlackmanWindow", (Arg((), "int64", 8, True),), {})
    yield Spec(
        "MelWeightMatrix",
        tuple(
            Arg((), kind, value, True)
            for kind, value in (
                ("int64", 8),
                ("int64", 16),
                ("int64", 8192),
                ("float32", 0.0),
                ("float32", 4096.0),
            )
        ),
        {},
    )
    yield Spec("Attention", (Arg((1, 2, 4, 8)),) * 3, {}, opset=23)
    yield Spec(
        "RotaryEmbedding",
        (Arg((1, 2, 4, 8)), Arg((4, 4)), Arg((4, 4)), Arg((1, 4), "int64", [0, 1, 2, 3], True)),
        {},
        opset=23,
    )
    yield Spec("NegativeLogLikelihoodLoss", (Arg((4, 8)), Arg((4,), "int64", 1)), {})
    yield Spec("SoftmaxCrossEntropyLoss", (Arg((4, 8)), Arg((4,), "int64", 1)), {})
    yield Spec("CastLike", (Arg((4, 8)), Arg((1,), "float16")), {})
    yield Spec("Multinomial", (Arg((2, 8)),), {"sample_size": 3})
    yield Spec("Scatter", (Arg((4, 8)), Arg((4, 8), "int64", 0), Arg((4, 8))), {}, opset=10)
    yield Spec("StringConcat", (Arg((4,), "string"), Arg((4,), "string")), {})
    yield Spec("StringSplit", (Arg((4,), "string"),), {"delimiter": " "}, outputs=2)
    yield Spec("RegexFullMatch", (Arg((4,), "string"),), {"pattern": "s[0-9]"})
    yield Spec("SplitToSequence", (Arg((4, 8)),), {"axis": 0})
    yield Spec("SequenceConstruct", (Arg((4, 8)), Arg((4, 8))), {})
    yield Spec("CumProd", (Arg((4, 8)), Arg((), "int64", 0, True)), {}, opset=26)
    yield Spec("BitCast", (Arg((4, 8)),), {"to": 6}, opset=26)
    yield Spec("StringNormalizer", (Arg((4,), "string"),), {})
    yield Spec(
        "TensorScatter", (Arg((1, 2, 4, 8)), Arg((1, 2, 1, 8)), Arg((1,), "int64", 0, True)), {}, opset=24
    )
    yield Spec("Swish", (Arg((4, 8)),), {}, opset=24)


def recipes() -> Iterator[Spec]:
    """All of this module."""
    yield from shape()
    yield from index()
    yield from quantize()
    yield from other()
