"""Normalizations, computed in float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..call import Call


def _batch_norm(call: Call) -> None:
    emit, rank = call.emit, call.rank()

    def channels(key: str, default: float) -> str:
        size = len(call.fixed("mean").reshape(-1))
        found = call.value(key)
        values = np.full(size, default) if found is None else found.reshape(-1)
        return emit.constant(values.astype(np.float32).reshape(-1, *[1] * (rank - 2)), key)

    moved = emit.op("Sub", call.wide(), channels("mean", 0.0))
    epsilon = emit.scalar(float(call.attr("epsilon", 1e-5)), "float32")
    deviation = emit.op("Sqrt", emit.op("Add", channels("variance", 1.0), epsilon))
    scaled = emit.op("Mul", emit.op("Div", moved, deviation), channels("gamma", 1.0))
    call.narrow(emit.op("Add", scaled, channels("beta", 0.0)), call.dtype())


def _normalized(call: Call, axes: Sequence[int], epsilon: float) -> str:
    emit, x = call.emit, call.wide()
    moved = emit.op("Sub", x, emit.op("ReduceMean", x, emit.ints(axes), keepdims=1))
    variance = emit.op("ReduceMean", emit.op("Mul", moved, moved), emit.ints(axes), keepdims=1)
    root = emit.op("Sqrt", emit.op("Add", variance, emit.scalar(epsilon, "float32")))
    return emit.op("Div", moved, root)


def _scaled(call: Call, name: str, shape: Sequence[int]) -> str:
    """Times gamma plus beta, both in that shape."""
    for key, kind in (("gamma", "Mul"), ("beta", "Add")):
        if not call.has(key):
            continue
        value = call.value(key)
        if value is not None:
            other = call.emit.constant(value.astype(np.float32).reshape(shape), key)
        else:
            other = call.emit.reshape(call.wide(key), list(shape))
        name = call.emit.op(kind, name, other)
    return name


def _instance_norm(call: Call) -> None:
    rank = call.rank()
    made = _normalized(call, list(range(2, rank)), float(call.attr("epsilon", 1e-5)))
    call.narrow(_scaled(call, made, [-1, *[1] * (rank - 2)]), call.dtype())


def _layer_norm(call: Call) -> None:
    rank = call.rank()
    axes = sorted(axis % rank for axis in call.numbers("axes", list(range(rank))))
    made = _normalized(call, axes, float(call.attr("epsilon", 1e-5)))
    sizes = [call.dims()[axis] if axis in axes else 1 for axis in range(rank)]
    shape = [-1 if size is None else size for size in sizes]
    call.narrow(_scaled(call, made, shape), call.dtype())


def _l2_norm(call: Call) -> None:
    """Over the last three axes: x / sqrt(sum(x ** 2) + epsilon)."""
    emit, x, rank = call.emit, call.wide(), call.rank()
    axes = list(range(max(rank - 3, 0), rank))
    total = emit.op("ReduceSum", emit.op("Mul", x, x), emit.ints(axes), keepdims=1)
    root = emit.op("Sqrt", emit.op("Add", total, emit.scalar(float(call.attr("epsilon", 1e-6)), "float32")))
    call.narrow(emit.op("Div", x, root), call.dtype())


def _local_response(call: Call) -> None:
    rank, x = call.rank(), call.wide()
    shaped = x if rank == 4 else call.emit.unsqueeze(x, list(range(rank, 4)))
    made = call.emit.op(
        "LRN", shaped, size=int(call.attr("size")), alpha=float(call.attr("alpha", 1e-4)),
        beta=float(call.attr("beta", 0.75)), bias=float(call.attr("k", 1.0)),
    )  # fmt: skip
    call.narrow(made if rank == 4 else call.emit.squeeze(made, list(range(rank, 4))), call.dtype())


LOWERINGS: Mapping[str, Callable[[Call], None]] = {
    "batch_norm": _batch_norm,
    "instance_norm": _instance_norm,
    "layer_norm": _layer_norm,
    "l2_norm": _l2_norm,
    "local_response_norm": _local_response,
}
