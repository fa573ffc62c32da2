"""Bytes to arrays and back; the only place that knows how each dtype is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import GraphError
from .dtypes import BITS, STORED_AS

if TYPE_CHECKING:
    from numpy.typing import NDArray


def to_array(data: bytes, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Little-endian row-major bytes as an array; sub-byte elements (packed low bits first) are widened to 8
    bits.

    Raises GraphError when the byte count does not fit the shape.
    """
    bits = BITS.get(dtype)
    if bits is None:
        raise GraphError(f"a constant of dtype {dtype!r} has no plain bytes")
    count = 1
    for dim in shape:
        count *= dim
    if (count * bits + 7) // 8 != len(data):
        raise GraphError(
            f"a {dtype} constant of shape {shape} needs {(count * bits + 7) // 8} bytes, "
            f"{len(data)} are stored"
        )
    if bits < 8:
        return _unpack(np.frombuffer(data, np.uint8), bits, count, signed=dtype.startswith("int")).reshape(
            shape
        )
    return np.frombuffer(data, np.dtype(STORED_AS.get(dtype, dtype)).newbyteorder("<")).reshape(shape)


def to_bytes(array: NDArray[Any], dtype: str) -> bytes:
    """The bytes in which ``to_array`` reads the array back."""
    bits = BITS[dtype]
    flat = np.ascontiguousarray(array).reshape(-1)
    if bits >= 8:
        return flat.astype(np.dtype(STORED_AS.get(dtype, dtype)).newbyteorder("<")).tobytes()
    per_byte = 8 // bits
    values = (flat.astype(np.int64) & ((1 << bits) - 1)).astype(np.uint8)
    values = np.pad(values, (0, -len(values) % per_byte)).reshape(-1, per_byte)
    shifts = np.arange(per_byte, dtype=np.uint8) * bits
    return bytes(np.bitwise_or.reduce(values << shifts, axis=1).astype(np.uint8))


def _unpack(packed: NDArray[np.uint8], bits: int, count: int, *, signed: bool) -> NDArray[Any]:
    shifts = np.arange(8 // bits, dtype=np.uint8) * bits
    values = ((packed[:, None] >> shifts) & ((1 << bits) - 1)).reshape(-1)[:count]
    if not signed:
        return values
    return (values.astype(np.int8) ^ (1 << (bits - 1))) - (1 << (bits - 1))
