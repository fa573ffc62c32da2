"""Compressed weights, which are worked out when the program is written, and quantization of activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import NotCoveredError
from ..call import Call
from ..emit import NARROW

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _known(value: Callable[[Call], NDArray[Any]]) -> Callable[[Call], None]:
    """An operator on constants: its result is a constant, in the dtype that the program says."""

    def write(call: Call) -> None:
        result = value(call).astype(np.dtype(call.result().dtype))
        call.writer.know(call.graph, call.op.outputs[0] or "", result)
        call.give(call.emit.constant(result, "weight"))

    return write


def _affine(call: Call) -> NDArray[Any]:
    data, axis = call.fixed("quantized_data").astype(np.float32), int(call.attr("axis", 0) or 0)
    moved = data - _along(call.fixed("zero_point"), axis, data.ndim)
    return np.asarray(moved * _along(call.fixed("scale"), axis, data.ndim))


def _along(values: NDArray[Any], axis: int, rank: int) -> NDArray[Any]:
    flat = values.astype(np.float32)
    return flat if flat.ndim == 0 else flat.reshape([-1 if at == axis % rank else 1 for at in range(rank)])


def _table(call: Call) -> NDArray[Any]:
    indices = call.fixed("indices")
    table = call.fixed("lut")
    if "shape" in call.op.attrs or call.has("shape"):  # before iOS 18: packed indices of one table
        shape = [int(item) for item in np.reshape(call.fixed("shape"), -1)]
        if int(np.prod(shape)) != indices.size:
            bits = max(int(np.log2(table.size)), 1)
            stream = np.unpackbits(indices.astype(np.uint8).reshape(-1), bitorder="little")
            rows = stream[: int(np.prod(shape)) * bits].reshape(-1, bits)
            indices = (rows * (1 << np.arange(bits))).sum(axis=1)
        return np.asarray(table.reshape(-1)[indices.astype(np.int64).reshape(-1)].reshape(shape))
    return looked_up(indices, table, call.attr("vector_axis"))


def looked_up(indices: NDArray[Any], table: NDArray[Any], vector_axis: int | None) -> NDArray[Any]:
    """iOS 18: one table for each block of the indices, of scalars or of vectors along ``vector_axis``."""
    blocks, (entries, width) = table.shape[:-2], table.shape[-2:]
    spread = table.reshape(*blocks, entries, width)
    for axis, count in enumerate(blocks):
        spread = np.repeat(spread, indices.shape[axis] // count, axis=axis)
    found = np.take_along_axis(
        spread, indices.astype(np.int64)[..., None, None].repeat(width, axis=-1), axis=-2
    )[..., 0, :]
    if width == 1:
        return np.asarray(found[..., 0])
    axis = int(vector_axis or 0) % indices.ndim
    moved = np.moveaxis(found, -1, axis + 1)
    shape = list(indices.shape)
    shape[axis] *= width
    return np.asarray(moved.reshape(shape))


def _sparse(call: Call) -> NDArray[Any]:
    values, mask = call.fixed("nonzero_data").reshape(-1), call.fixed("mask")
    if "shape" in call.op.attrs or call.has("shape"):  # before iOS 18: a bit for each element
        shape = [int(item) for item in np.reshape(call.fixed("shape"), -1)]
        count = int(np.prod(shape))
        bits = np.unpackbits(mask.astype(np.uint8).reshape(-1), bitorder="little")[:count].astype(bool)
    else:
        shape, bits = list(mask.shape), mask.reshape(-1).astype(bool)
    result = np.zeros(bits.size, values.dtype)
    result[bits] = values[: int(bits.sum())]
    return result.reshape(shape)


def _blockwise(call: Call) -> NDArray[Any]:
    data = call.fixed("data").astype(np.float32)
    scale = _spread(call.fixed("scale").astype(np.float32), data.shape)
    offset = call.value("offset") if call.has("offset") or "offset" in call.op.attrs else None
    if offset is not None:
        data = data - _spread(offset.astype(np.float32), data.shape)
    return np.asarray(data * scale)


def _spread(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """One value a block becomes one an element."""
    for axis, size in enumerate(shape):
        values = np.repeat(values, size // values.shape[axis], axis=axis)
    return values


def _cast(call: Call) -> NDArray[Any]:
    return call.fixed("source_val")


def _quantize(call: Call) -> None:
    emit, dtype = call.emit, str(call.attr("output_dtype"))
    axis, rank = int(call.attr("axis", 0) or 0), call.rank("input")
    scale, zero = _factors(call, axis, rank)
    steps = emit.op("Round", emit.op("Div", call.wide("input"), scale))
    moved = steps if zero is None else emit.op("Add", steps, zero)
    info = np.iinfo(np.dtype(dtype))
    low, high = emit.scalar(float(info.min), "float32"), emit.scalar(float(info.max), "float32")
    bounded = emit.op("Min", emit.op("Max", moved, low), high)
    emit.cast(bounded, dtype, to=call.out())


def _dequantize(call: Call) -> None:
    emit, axis, rank = call.emit, int(call.attr("axis", 0) or 0), call.rank("input")
    scale, zero = _factors(call, axis, rank)
    if call.dtype("input") not in NARROW:
        raise NotCoveredError(f"dequantize of {call.dtype('input')}")
    values = emit.cast(call["input"], "float32")
    moved = values if zero is None else emit.op("Sub", values, zero)
    call.narrow(emit.op("Mul", moved, scale), call.result().dtype)


def _factors(call: Call, axis: int, rank: int) -> tuple[str, str | None]:
    scale = call.emit.constant(_along(call.fixed("scale"), axis, rank), "scale")
    zero = call.value("zero_point")
    return scale, None if zero is None else call.emit.constant(_along(zero, axis, rank), "zero_point")


LOWERINGS: Mapping[str, Callable[[Call], None]] = {
    "constexpr_affine_dequantize": _known(_affine),
    "constexpr_lut_to_dense": _known(_table),
    "constexpr_sparse_to_dense": _known(_sparse),
    "constexpr_blockwise_shift_scale": _known(_blockwise),
    "constexpr_cast": _known(_cast),
    "quantize": _quantize,
    "dequantize": _dequantize,
}
