"""Arrays as ONNX Runtime takes them where numpy has no type of that name: text, bfloat16, integers of four
and two bits.
"""

from __future__ import annotations

from typing import Any

_BITS = {"tensor(int4)": 4, "tensor(uint4)": 4, "tensor(int2)": 2, "tensor(uint2)": 2}
_ONNX = {
    "tensor(bfloat16)": 16,
    "tensor(uint4)": 21,
    "tensor(int4)": 22,
    "tensor(uint2)": 25,
    "tensor(int2)": 26,
}
"""``TensorProto.DataType`` by ONNX Runtime's word for it."""


def as_fed(array: Any, text: str) -> Any:
    """What ``InferenceSession.run`` takes for an input of a type, given its values in a type of numpy."""
    if "string" in text:
        return array.astype(object)
    if text not in _ONNX:
        return array
    from onnxruntime import OrtValue

    bits = _packed(array, _BITS[text]) if text in _BITS else _bfloat16(array)
    return OrtValue.ortvalue_from_numpy_with_onnx_type(bits, _ONNX[text])


def _packed(array: Any, width: int) -> Any:
    """Several elements a byte, the first in the lowest bits, in an array of the tensor's shape: ONNX Runtime
    reads as many bytes of it as the elements need.
    """
    import numpy as np

    each = 8 // width
    flat = array.astype(np.int8).reshape(-1).view(np.uint8) & ((1 << width) - 1)
    rows = np.zeros((-(-flat.size // each), each), np.uint8)
    rows.reshape(-1)[: flat.size] = flat
    found = np.zeros(flat.size, np.uint8)
    found[: len(rows)] = np.bitwise_or.reduce(rows << (np.arange(each, dtype=np.uint8) * width), axis=1)
    return found.reshape(array.shape)


def _bfloat16(array: Any) -> Any:
    """The upper halves of float32, rounded to the nearest, ties to even."""
    import numpy as np

    if array.dtype == np.uint16:
        return array  # already the bits
    bits = array.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
