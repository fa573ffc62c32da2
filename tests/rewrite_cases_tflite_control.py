"""Cases of the TFLite families `loops`, `spectral`, `lookups` and `convolution`: each way in which a rewrite
applies, and a near miss for each guard.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from accelint.analyzer.conform.corpora.tflite.corpus import cases
from accelint.analyzer.formats.tflite.reader import from_bytes
from accelint.analyzer.ir.graph import Graph
from rewrite_models import Net

Build = Callable[[Net], Any]


def part(name: str, build: Callable[[Net], tuple[str, ...]]) -> Graph:
    """A subgraph that an operator calls."""
    net = Net()
    net.graph = Graph(name, "tflite")
    net.graph.set_interface(net.inputs, build(net))
    return net.graph


def calling(net: Net, type: str, inputs: list[str], shapes: list[Any], **graphs: Graph) -> list[str]:
    """An operator with subgraphs, one float32 or int32 result for each input that it names."""
    names = net.ops(type, [*inputs], shapes)
    op = net.graph.ops()[-1]
    net.graph.update(op, graphs=graphs)
    return names


def binary(type: str, dtype: str = "float32") -> Build:
    return lambda net: net.op(type, [net.input(name, (2, 3), dtype) for name in "xy"], (2, 3), dtype)


def loop(most: int = 3, *, computed: bool = False, tangled: bool = False, grows: bool = False) -> Build:
    """x = tanh(x @ w) + step, a few times, with a counter."""

    def condition(net: Net) -> tuple[str, ...]:
        counter = net.input("i", (), "int32")
        net.input("v", (2, 4))
        return (net.op("LESS", [counter, net.const(most, "int32")], (), "bool"),)

    def body(net: Net) -> tuple[str, ...]:
        counter, x = net.input("i", (), "int32"), net.input("v", (2, 4))
        more = net.op("ADD", [counter, net.const(1, "int32")], (), "int32")
        weights = net.const(np.linspace(-1, 1, 16).reshape(4, 4))
        y = net.op("FULLY_CONNECTED", [x, weights, None], (2, 4))
        if tangled:
            y = calling(
                net, "WHILE", [more, y], [(), (2, 4)], cond=part("c2", condition), body=part("b2", body_of)
            )[1]
        return more, net.op("TANH", [y], (2, 4))

    def body_of(net: Net) -> tuple[str, ...]:
        return net.input("i", (), "int32"), net.input("v", (2, 4))

    def build(net: Net) -> str:
        x = net.input("x", (2, 4))
        start = net.input("n", (), "int32") if computed else net.const(0, "int32")
        shapes = [(), (None, 4) if grows else (2, 4)]
        ends = calling(net, "WHILE", [start, x], shapes, cond=part("c", condition), body=part("b", body))
        net.graph.set_tensor(replace(net.graph.tensor(ends[0]), dtype="int32"))
        return ends[1]

    return build


def passed_through(net: Net) -> str:
    """A loop that never runs hands its input on."""
    return str(loop(0)(net))


def choice(*, long: bool = False, dtype: str = "float32", shape: Any = (2, 4), fails: bool = False) -> Build:
    def side(type: str) -> Callable[[Net], tuple[str, ...]]:
        def build(net: Net) -> tuple[str, ...]:
            y = net.input("v", (2, 4))
            for _ in range(200 if long else 2):
                y = net.op(type, [y], (2, 4))
            if fails:
                y = net.op("GATHER", [y, net.op("CAST", [y], (2, 4), "int32")], (2, 4, 4))
            return (y,)

        return build

    def build(net: Net) -> str:
        x = net.input("x", (2, 4))
        flag = net.op(
            "RESHAPE", [net.input("f", (1, 1), "bool"), net.const(np.zeros(0), "int32")], (), "bool"
        )
        sides = {"then": part("t", side("TANH")), "else": part("e", side("LOGISTIC"))}
        name = calling(net, "IF", [flag, x], [shape], **sides)[0]
        if dtype != "float32":
            net.graph.set_tensor(replace(net.graph.tensor(name), dtype=dtype))
        return name

    return build


def spectrum(
    reads: tuple[str, ...] = ("COMPLEX_ABS",),
    size: int = 16,
    length: int = 16,
    rows: int = 1,
    *,
    shaped: bool = False,
    computed: bool = False,
) -> Build:
    def build(net: Net) -> tuple[str, ...]:
        x = net.input("x", (2, rows, size))
        lengths = net.input("l", (2,), "int32") if computed else net.const([rows, length], "int32")
        bins = length // 2 + 1
        name = net.op("RFFT2D", [x, lengths], (2, rows, bins), "complex64")
        after: tuple[int, ...] = (2, rows, bins)
        if shaped:
            after = (2, bins)
            name = net.op(
                "RESHAPE", [name, net.const([2, bins], "int32")], after, "complex64", new_shape=after
            )
        return tuple(net.op(type, [name], after) for type in reads) if reads else (name,)

    return build


def lookup(
    type: str,
    shape: tuple[int, ...],
    positions: Any,
    after: tuple[int, ...],
    kind: str = "int32",
    **attrs: Any,
) -> Build:
    """Positions are the shape of an input, or an array."""

    def build(net: Net) -> str:
        x = net.input("x", shape)
        stored = isinstance(positions, np.ndarray)
        index = net.const(positions, kind) if stored else net.input("i", positions, kind)
        return net.op(type, [x, index], after, **attrs)

    return build


def scattered(
    positions: tuple[int, ...], rows: tuple[int, ...], after: list[int], dtype: str = "float32"
) -> Build:
    def build(net: Net) -> str:
        index, values = net.input("i", positions, "int32"), net.input("x", rows, dtype)
        return net.op("SCATTER_ND", [index, values, net.const(after, "int32")], tuple(after), dtype)

    return build


def sparse(net: Net) -> Any:
    """A case of the corpus, whose weights are stored sparsely."""
    case = next(case for case in cases(ops=["DENSIFY"]) if case.name == "DENSIFY/use=True")
    return from_bytes(case.build(), "sparse.tflite")


def computed_sparse(net: Net) -> str:
    return net.op("DENSIFY", [net.input("x", (2, 3))], (2, 3))


def volume(
    padding: str = "SAME",
    kernel: tuple[int, ...] = (3, 3, 2, 4, 5),
    after: tuple[int, ...] = (1, 6, 7, 8, 5),
    before: tuple[int, ...] = (1, 6, 7, 8, 4),
    *,
    bias: bool = True,
    computed: bool = False,
    **attrs: Any,
) -> Build:
    def build(net: Net) -> str:
        x = net.input("x", before)
        values = np.linspace(-1, 1, int(np.prod(kernel))).reshape(kernel)
        weights = net.input("w", kernel) if computed else net.const(values)
        added = net.const(np.linspace(0, 1, kernel[-1])) if bias else None
        options = {f"stride_{axis}": 1 for axis in "dhw"} | {f"dilation_{axis}_factor": 1 for axis in "dhw"}
        options |= {"padding": padding, **attrs}
        return net.op("CONV_3D", [x, weights, added], after, **options)

    return build


def stored_product(*, computed: bool = False, activation: str = "NONE", output: bool = False) -> Build:
    def build(net: Net) -> str:
        x = net.input("x", (2, 4))
        rows = x if computed else net.const(np.linspace(0, 1, 8).reshape(2, 4))
        weights, bias = net.const(np.linspace(-1, 1, 12).reshape(3, 4)), net.const([0.5, 1, -1])
        y = net.op("FULLY_CONNECTED", [rows, weights, bias], (2, 3), fused_activation_function=activation)
        other = net.op("SLICE", [x, net.const([0, 0], "int32"), net.const([2, 3], "int32")], (2, 3))
        return y if output else net.op("ADD", [other, y], (2, 3))

    return build


def composite(*, tangled: bool = False, bare: bool = False, after: Any = (2, 4)) -> Build:
    """A normalization with a weight of its own."""

    def body(net: Net) -> tuple[str, ...]:
        x, scale = net.input("v", (2, 4)), net.input("s", (4,))
        squared = net.op("MUL", [x, x], (2, 4))
        mean = net.op("MEAN", [squared, net.const([1], "int32")], (2, 1), keep_dims=True)
        root = net.op("RSQRT", [net.op("ADD", [mean, net.const([1e-3])], (2, 1))], (2, 1))
        y = net.op("MUL", [net.op("MUL", [x, root], (2, 4)), scale], (2, 4))
        if tangled:
            inner = part("inner", lambda other: (other.input("a", (2, 4)),))
            y = calling(net, "STABLEHLO_COMPOSITE", [y], [(2, 4)], decomposition=inner)[0]
        return (y,)

    def build(net: Net) -> str:
        operands = [net.input("x", (2, 4)), net.const([1, 2, 3, 4])]
        names = net.ops(
            "STABLEHLO_COMPOSITE",
            operands[:1] if bare else [*operands],
            [after],
            name="example.norm",
            version=1,
            composite_attributes=b"",
        )
        net.graph.update(net.graph.ops()[-1], graphs={"decomposition": part("norm", body)})
        return names[0]

    return build


APPLIES: dict[str, dict[str, Build]] = {
    "composite-inlined": {"norm": composite()},
    "stablehlo-to-builtin": {
        type.lower(): binary(f"STABLEHLO_{type}") for type in ("ADD", "MULTIPLY", "MAXIMUM", "MINIMUM")
    },
    "fully-connected-of-constants": {"rows": stored_product()},
    "while-unrolled": {"three": loop(), "once": loop(1), "never": passed_through},
    "if-to-select": {"two sides": choice()},
    "rfft-to-products": {
        "magnitude": spectrum(),
        "parts": spectrum(("REAL", "IMAG")),
        "all": spectrum(("REAL", "COMPLEX_ABS", "IMAG"), shaped=True),
        "filled": spectrum(size=10),
        "cut": spectrum(size=19, length=16),
        "short": spectrum(("REAL",), size=12, length=8),
    },
    "gather-in-batches": {
        "computed": lookup("GATHER", (2, 2, 5), (2, 3), (2, 3, 5), axis=1, batch_dims=1),
        "stored": lookup(
            "GATHER", (2, 4, 5), np.array([[3, 0, 1], [2, 2, 0]]), (2, 3, 5), axis=1, batch_dims=1
        ),
        "two batches": lookup("GATHER", (2, 3, 2), (2, 3, 4), (2, 3, 4), axis=2, batch_dims=2),
        "one each": lookup("GATHER", (3, 2, 4), (3,), (3, 4), axis=1, batch_dims=1),
        "wide positions": lookup("GATHER", (2, 2, 5), (2, 3), (2, 3, 5), "int64", axis=1, batch_dims=1),
    },
    "positions-int32": {
        "stored": lookup("GATHER", (4, 5), np.array([3, 1]), (2, 5), "int64", axis=0),
        "computed": lookup("GATHER", (4, 5), (3,), (3, 5), "int64", axis=0),
        "rows": lookup("GATHER_ND", (4, 3, 5), np.array([[3, 1], [0, 2]]), (2, 5), "int64"),
    },
    "gather-nd-by-row": {
        "two": lookup("GATHER_ND", (4, 3, 5), (2, 6, 2), (2, 6, 5)),
        "one": lookup("GATHER_ND", (4, 5), (3, 1), (3, 5)),
        "elements": lookup("GATHER_ND", (4, 3), (6, 2), (6,)),
        "wide positions": lookup("GATHER_ND", (4, 3, 5), (6, 2), (6, 5), "int64"),
    },
    "scatter-to-product": {
        "rows": scattered((3, 1), (3, 4), [10, 4]),
        "two axes": scattered((5, 2), (5, 3), [2, 4, 3]),
        "elements": scattered((5, 2), (5,), [2, 4]),
    },
    "densify-to-constant": {"weights": sparse},
    "conv-3d-to-2d": {
        "same": volume(),
        "valid": volume("VALID", after=(1, 4, 5, 7, 5)),
        "strides": volume(after=(1, 3, 4, 4, 5), stride_d=2, stride_h=2, stride_w=2),
        "strides, valid": volume("VALID", after=(1, 2, 3, 4, 5), stride_d=2, stride_h=2, stride_w=2),
        "one slice": volume(kernel=(1, 3, 3, 4, 5)),
        "no bias": volume(bias=False),
        "activation": volume(fused_activation_function="RELU"),
    },
}

NEAR: dict[str, tuple[tuple[Build, str], ...]] = {
    "composite-inlined": (
        (composite(bare=True), "no decomposition"),
        (composite(tangled=True), "calls others"),
        (composite(after=(None, 4)), "not all known"),
    ),
    "stablehlo-to-builtin": ((binary("STABLEHLO_ADD", "float16"), "on float16"),),
    "fully-connected-of-constants": (
        (stored_product(computed=True), "computed when the model runs"),
        (stored_product(activation="RELU"), "has an activation"),
        (stored_product(output=True), "output of the graph"),
    ),
    "while-unrolled": (
        (loop(computed=True), "computed when the model runs"),
        (loop(513), "more than 512 times"),
        (loop(tangled=True), "calls others"),
        (loop(grows=True), "not all known"),
    ),
    "if-to-select": (
        (choice(long=True), "a side is long"),
        (choice(fails=True), "do not fit"),
        (choice(dtype="float16"), "dtype that is not selected"),
        (choice(shape=(None, 4)), "not known"),
        (choice(shape=()), "no dimensions"),
    ),
    "rfft-to-products": (
        (spectrum(computed=True), "not all known"),
        (spectrum(rows=2), "columns too"),
        (spectrum(size=4096, length=4096), "too large"),
        (spectrum(()), "read as it is"),
    ),
    "gather-in-batches": (
        (lookup("GATHER", (4, 5), (3,), (3, 5), axis=0), "no batch dimensions"),
        (lookup("GATHER", (2, 4, 5), (2, 3), (2, 4, 3), axis=2, batch_dims=1), "behind other axes"),
        (lookup("GATHER", (2, 4, 5), (2, None), (2, 3, 5), axis=1, batch_dims=1), "not known"),  # type: ignore[arg-type]
    ),
    "positions-int32": ((lookup("GATHER", (4, 5), (3,), (3, 5), axis=0), "int32 already"),),
    "gather-nd-by-row": (
        (lookup("GATHER_ND", (4, 5), np.array([[1], [2]]), (2, 5)), "are stored"),
        (lookup("GATHER_ND", (4, 5), (None, 1), (3, 5)), "not known"),  # type: ignore[arg-type]
    ),
    "scatter-to-product": (
        (scattered((3, 1), (3, 4), [10, 4], "int32"), "not on float32"),
        (scattered((3, 1), (3, 4), [10**6, 4]), "too large"),
        (scattered((None, 1), (3, 4), [10, 4]), "not all known"),  # type: ignore[arg-type]
    ),
    "densify-to-constant": ((computed_sparse, "computed when the model runs"),),
    "conv-3d-to-2d": (
        (volume(computed=True), "computed when the model runs"),
        (volume(before=(2, 6, 7, 8, 4), after=(2, 6, 7, 8, 5)), "2 volumes"),
        (volume(kernel=(3, 3, 2, 2, 5)), "in parts"),
        (volume(before=(1, None, 7, 8, 4)), "not all known"),  # type: ignore[arg-type]
    ),
}
