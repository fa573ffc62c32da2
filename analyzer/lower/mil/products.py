"""Matrix products, einsum and attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt

import numpy as np

from ..call import Call


def _linear(call: Call) -> None:
    """x times the transposed weight, plus a bias."""
    emit = call.emit
    weight = call.value("weight")
    if weight is not None:
        turned = np.ascontiguousarray(weight.T.astype(np.float32) if call.dtype() == "float16" else weight.T)
        right = emit.constant(turned, "weight")
    else:
        right = emit.op("Transpose", call.wide("weight"), perm=[1, 0])
    made = emit.op("MatMul", call.wide(), right)
    if call.has("bias"):
        made = emit.op("Add", made, call.wide("bias"))
    call.narrow(made, call.dtype())


def _turned(call: Call, key: str, *, turn: bool) -> str:
    name, rank = call.wide(key), call.rank(key)
    if not turn or rank < 2:
        return name
    return call.emit.op("Transpose", name, perm=[*range(rank - 2), rank - 1, rank - 2])


def _matmul(call: Call) -> None:
    x = _turned(call, "x", turn=bool(call.attr("transpose_x", False)))
    y = _turned(call, "y", turn=bool(call.attr("transpose_y", False)))
    call.narrow(call.emit.op("MatMul", x, y), call.dtype())


def _einsum(call: Call) -> None:
    operands = [
        call.widen(name, tensor.dtype)
        for name, tensor in zip(call.all("values"), call.tensors("values"), strict=True)
    ]
    made = call.emit.op("Einsum", *operands, equation=str(call.attr("equation")))
    call.narrow(made, call.tensors("values")[0].dtype)


def _attention(call: Call) -> None:
    """softmax(q k^T / sqrt(d) + mask) v; a mask of bool hides where it is false."""
    emit = call.emit
    query, rank = call.wide("query"), call.rank("key")
    width = call.shape("query")[-1] if call.tensor("query").static else call.dims("query")[-1]
    scaled = emit.op("Mul", query, emit.scalar(1 / sqrt(width or 1), "float32"))
    keys = emit.op("Transpose", call.wide("key"), perm=[*range(rank - 2), rank - 1, rank - 2])
    scores = emit.op("MatMul", scaled, keys)
    if call.has("attn_mask"):
        scores = _masked(call, scores)
    made = emit.op("MatMul", emit.op("Softmax", scores, axis=-1), call.wide("value"))
    call.narrow(made, call.dtype("query"))


def _masked(call: Call, scores: str) -> str:
    if call.dtype("attn_mask") != "bool":
        return call.emit.op("Add", scores, call.wide("attn_mask"))
    return call.emit.op("Where", call["attn_mask"], scores, call.emit.scalar(float("-inf"), "float32"))


LOWERINGS: Mapping[str, Callable[[Call], None]] = {
    "linear": _linear,
    "matmul": _matmul,
    "einsum": _einsum,
    "scaled_dot_product_attention": _attention,
}
