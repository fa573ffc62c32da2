"""Values of constants, those of odd widths included, which only compressed weights have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NotCoveredError
from ..formats.coreml.package import ODD_BITS
from ..ir.dtypes import BITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..ir.graph import Constant


def read(const: Constant) -> NDArray[Any]:
    """The value as an array; 1 to 7 bits an element, packed low bits first, are widened. Raises
    NotCoveredError.
    """
    bits = ODD_BITS.get(const.dtype)
    if bits is not None:
        return _unpack(const.raw(), bits, const.shape)
    if const.dtype == "bfloat16":
        raw = np.frombuffer(const.raw(), np.uint16).astype(np.uint32) << 16
        return raw.view(np.float32).reshape(const.shape)
    if const.dtype not in BITS or const.dtype.startswith("float8"):
        raise NotCoveredError(f"constants of {const.dtype}")
    return const.read()


def _unpack(data: bytes, bits: int, shape: tuple[int, ...]) -> NDArray[Any]:
    count = int(np.prod(shape, dtype=np.int64))
    stream = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[: count * bits]
    powers = (1 << np.arange(bits)).astype(np.uint8)
    values: NDArray[Any] = (stream.reshape(count, bits) * powers).sum(axis=1).astype(np.uint8)
    return values.reshape(shape)
