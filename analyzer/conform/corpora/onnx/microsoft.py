"""Recipes for Microsoft's operators: what quantizers, optimizers and the exporters of language models write.

Shapes and attributes are those of the schemas in ONNX Runtime's ``docs/ContribOperators.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from .build import Arg, Dims, Spec

DOMAIN = "com.microsoft"
X: Dims = (2, 4, 6, 8)
TOKENS: Dims = (1, 8, 64)
"""A batch of one, eight tokens, four heads of sixteen."""
CACHE: Dims = (1, 2, 16, 16)
"""Keys or values of two heads, sixteen tokens so far."""
Result = tuple[str | None, Dims]


def recipes() -> Iterator[Spec]:
    """All of this module."""
    yield from activations()
    yield from products()
    yield from normalizations()
    yield from attention()
    yield from integers()
    yield from rest()


def _spec(
    op: str,
    inputs: tuple[Arg | None, ...],
    attrs: dict[str, Any],
    note: str,
    *results: Result,
    domain: str = DOMAIN,
) -> Spec:
    return Spec(op, inputs, attrs, note, domain=domain, results=results, outputs=len(results))


def _stored(*shape: int, dtype: str | None = None) -> Arg:
    return Arg(shape, dtype, const=True)


def _scale() -> Arg:
    return Arg((), "float32", 0.05, True)


def activations() -> Iterator[Spec]:
    """GELU in its forms, and biases."""
    for op in ("Gelu", "QuickGelu", "FastGelu"):
        yield _spec(op, (Arg(X),), {}, "contrib", (None, X))
    yield _spec("BiasGelu", (Arg(X), _stored(8)), {}, "contrib", (None, X))
    yield _spec("FastGelu", (Arg(X), _stored(8)), {}, "bias", (None, X))
    yield _spec("QuickGelu", (Arg(X),), {"alpha": 1.0}, "alpha", (None, X))
    yield _spec(
        "BiasAdd", (Arg((1, 8, 320)), _stored(320), Arg((1, 8, 320))), {}, "base", (None, (1, 8, 320))
    )
    yield _spec("BiasSplitGelu", (Arg((1, 8, 2560)), _stored(2560)), {}, "base", (None, (1, 8, 1280)))


def products() -> Iterator[Spec]:
    """Fused products and convolutions, and products with packed weights."""
    for trans in (0, 1):
        right = (6, 8) if trans else (8, 6)
        attrs = {"transB": trans, "alpha": 0.5}
        yield _spec("FusedMatMul", (Arg((2, 4, 8)), _stored(*right)), attrs, f"t{trans}", (None, (2, 4, 6)))
        yield _spec(
            "FusedMatMul", (Arg((2, 4, 8)), Arg((2, *right))), attrs, f"t{trans}-computed", (None, (2, 4, 6))
        )
    for activation in ("Relu", "LeakyRelu", "Tanh", "HardSigmoid"):
        more = {
            "HardSigmoid": {"activation_params": [0.2, 0.5]},
            "LeakyRelu": {"activation_params": [0.1]},
        }.get(activation, {})
        inputs = (Arg((1, 4, 8, 8)), _stored(4, 4, 3, 3), _stored(4))
        note = "base" if activation == "Relu" else activation
        yield _spec(
            "FusedConv",
            inputs,
            {"activation": activation, "kernel_shape": [3, 3], **more},
            note,
            (None, (1, 4, 6, 6)),
        )
    yield _spec(
        "FusedGemm", (Arg((2, 8)), _stored(8, 4), _stored(4)), {"activation": "Relu"}, "base", (None, (2, 4))
    )
    for bits, block in product((4, 8), (16, 32)):
        weight, scales = _stored(6, 64 // block, block * bits // 8, dtype="uint8"), _stored(6 * (64 // block))
        attrs = {"K": 64, "N": 6, "bits": bits, "block_size": block}
        yield _spec(
            "MatMulNBits", (Arg((1, 4, 64)), weight, scales), attrs, f"b{bits}-{block}", (None, (1, 4, 6))
        )
    for bits in (4, 8):
        table, index = _stored(32, 32 * bits // 8, dtype="uint8"), Arg((2,), "int64", [1, 3])
        attrs = {"block_size": 32, "bits": bits, "gather_axis": 0, "quantize_axis": 1}
        yield _spec(
            "GatherBlockQuantized", (table, index, _stored(32, 1)), attrs, f"b{bits}", (None, (2, 32))
        )


def normalizations() -> Iterator[Spec]:
    """Layer and group normalization, alone, with a skip connection and with an embedding in front."""
    dims: Dims = (1, 4, 8)
    yield _spec(
        "SimplifiedLayerNormalization",
        (Arg(dims), _stored(8)),
        {"epsilon": 1e-5},
        "base",
        (None, dims),
        domain="",
    )
    for op in ("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"):
        yield _spec(op, (Arg(dims), Arg(dims), _stored(8)), {}, "base", (None, dims))
    images: Dims = (1, 8, 8, 32)
    affine = (_stored(32, dtype="float32"), _stored(32, dtype="float32"))
    yield _spec("GroupNorm", (Arg(images), *affine), {"groups": 8, "activation": 1}, "base", (None, images))
    yield _spec(
        "SkipGroupNorm",
        (Arg(images), *affine, Arg(images)),
        {"groups": 8, "activation": 0},
        "base",
        (None, images),
    )
    words, places, scale = _stored(16, 8), _stored(16, 8), (_stored(8), _stored(8))
    inputs = (Arg((1, 4), "int32", [[1, 2, 3, 4]]), None, words, places, None, *scale)
    yield _spec("EmbedLayerNormalization", inputs, {}, "base", (None, dims), ("int32", (1,)))


def attention() -> Iterator[Spec]:
    """Attention as ONNX Runtime's transformer optimizer and the exporters of language models write it."""
    query, key = Arg(TOKENS), Arg((1, 8, 32))
    yield _spec(
        "Attention", (Arg(TOKENS), _stored(64, 192), _stored(192)), {"num_heads": 4}, "base", (None, TOKENS)
    )
    yield _spec("MultiHeadAttention", (query, query, query), {"num_heads": 4}, "base", (None, TOKENS))
    mask = Arg((1, 8), "int32", [[1] * 8])
    yield _spec(
        "MultiHeadAttention", (query, query, query, None, mask), {"num_heads": 4}, "mask", (None, TOKENS)
    )
    lengths = (Arg((1,), "int32", [15], True), Arg((1,), "int32", [16], True))
    heads = {"num_heads": 4, "kv_num_heads": 2}
    results: tuple[Result, ...] = ((None, TOKENS), (None, CACHE), (None, CACHE))
    yield _spec(
        "GroupQueryAttention", (query, key, key, Arg(CACHE), Arg(CACHE), *lengths), heads, "base", *results
    )
    angles = (_stored(32, 8), _stored(32, 8))
    rotary = {**heads, "do_rotary": 1}
    yield _spec(
        "GroupQueryAttention",
        (query, key, key, Arg(CACHE), Arg(CACHE), *lengths, *angles),
        rotary,
        "rotary",
        *results,
    )
    places = Arg((1, 8), "int64", [list(range(8))])
    yield _spec("RotaryEmbedding", (Arg(TOKENS), places, *angles), {"num_heads": 4}, "base", (None, TOKENS))


def integers() -> Iterator[Spec]:
    """Operators on quantized tensors: a tensor, its scale and its zero point."""
    unary: dict[str, dict[str, Any]] = {
        "QLinearSigmoid": {}, "QLinearLeakyRelu": {"alpha": 0.1},
        "QLinearGlobalAveragePool": {}, "QLinearAveragePool": {"kernel_shape": [2, 2]},
    }  # fmt: skip
    shapes: dict[str, Dims] = {"QLinearGlobalAveragePool": (2, 4, 1, 1), "QLinearAveragePool": (2, 4, 5, 7)}
    image, params = Arg(X, "uint8"), (_scale(), Arg((), "uint8", 0, True))
    for op, attrs in unary.items():
        yield _spec(op, (image, *params, *params), attrs, "base", ("uint8", shapes.get(op, X)))
    yield _spec("QLinearSoftmax", (image, *params, *params), {"axis": -1, "opset": 13}, "base", ("uint8", X))
    for op in ("QLinearAdd", "QLinearMul"):
        yield _spec(op, (image, *params, image, *params, *params), {}, "base", ("uint8", X))
    yield _spec(
        "QLinearConcat",
        (*params, image, *params, image, *params),
        {"axis": 1},
        "base",
        ("uint8", (2, 8, 6, 8)),
    )
    yield _spec(
        "QuantizeLinear", (Arg(X), _scale(), Arg((), "uint16", 0, True)), {}, "contrib", ("uint16", X)
    )
    yield _spec(
        "DequantizeLinear",
        (Arg(X, "uint16"), _scale(), Arg((), "uint16", 0, True)),
        {},
        "contrib",
        ("float32", X),
    )
    weight = (_stored(8, 6, dtype="uint8"), Arg((), "float32", 0.05, True), Arg((), "uint8", 0, True))
    yield _spec("DynamicQuantizeMatMul", (Arg((4, 8)), *weight), {}, "base", (None, (4, 6)))
    mixed = (Arg((4, 8), "uint8"), _stored(8, 6, dtype="uint8"), _scale(), _scale())
    yield _spec("MatMulIntegerToFloat", mixed, {}, "base", ("float32", (4, 6)))
    gemm = (Arg((4, 8), "uint8"), *params, _stored(8, 6, dtype="uint8"), *params, None, *params)
    yield _spec("QGemm", gemm, {}, "base", ("uint8", (4, 6)))


def rest() -> Iterator[Spec]:
    """What has a newer form in the standard."""
    yield _spec("Inverse", (Arg((2, 3, 3)),), {}, "contrib", (None, (2, 3, 3)))
    yield _spec("Trilu", (Arg((4, 8)),), {}, "contrib", (None, (4, 8)))
    yield _spec("Pad", (Arg((4, 8)), Arg((4,), "int64", [0, 1, 0, 1], True)), {}, "contrib", (None, (4, 10)))
    yield _spec("ExpandDims", (Arg((4, 8)), Arg((), "int32", 1, True)), {}, "contrib", (None, (4, 1, 8)))
    yield _spec("GridSample", (Arg((1, 2, 4, 4)), Arg((1, 3, 3, 2))), {}, "contrib", (None, (1, 2, 3, 3)))
    yield _spec(
        "NhwcMaxPool",
        (Arg((1, 8, 8, 4), "uint8"),),
        {"kernel_shape": [2, 2]},
        "contrib",
        ("uint8", (1, 7, 7, 4)),
    )
