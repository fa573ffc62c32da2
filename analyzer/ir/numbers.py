"""The numbers of a constant as Python objects: what rules read, which are few, without importing numpy."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from ..errors import GraphError
from .dtypes import BITS, STORED_AS

if TYPE_CHECKING:
    from .payloads import Constant

_CODES = {
    "bool": "?", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I",
    "int64": "q", "uint64": "Q", "float16": "e", "float32": "f", "float64": "d",
}  # fmt: skip


def numbers(constant: Constant, most: int | None = None) -> list[Any]:
    """The elements in row-major order, the first ``most`` of them; those of dtypes that Python lacks as the
    integers that hold their bits, as ``Constant.read`` gives them.

    Raises GraphError when the dtype has no plain numbers or the byte count does not fit the shape.
    """
    bits, count = BITS.get(constant.dtype), constant.elements
    if bits is None:
        raise GraphError(f"a constant of dtype {constant.dtype!r} has no plain numbers")
    code = _CODES.get(STORED_AS.get(constant.dtype, constant.dtype))
    if code is None and bits >= 8:  # complex numbers
        values: list[Any] = constant.read().reshape(-1)[:most].tolist()
        return values
    data = constant.raw()
    if (count * bits + 7) // 8 != len(data):
        raise GraphError(
            f"a {constant.dtype} constant of shape {constant.shape} needs {(count * bits + 7) // 8} bytes, "
            f"{len(data)} are stored"
        )
    wanted = count if most is None else min(most, count)
    if code is None:
        return _unpacked(data, bits, wanted, signed=constant.dtype.startswith("int"))
    return list(struct.unpack_from(f"<{wanted}{code}", data))


def _unpacked(data: bytes, bits: int, count: int, *, signed: bool) -> list[int]:
    """Elements of less than a byte, the low bits first."""
    per, mask, half = 8 // bits, (1 << bits) - 1, 1 << (bits - 1)
    values = [data[place // per] >> place % per * bits & mask for place in range(count)]
    return [(value ^ half) - half for value in values] if signed else values
