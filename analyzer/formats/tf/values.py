"""Values of TensorFlow messages as accelint's: dtypes, shapes, attributes, constants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import GraphError
from ...ir.dtypes import BITS
from ...ir.graph import Constant, Shape, Tensor
from .ops import dtype

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_RANK = 254
"""TensorShape's own limit (tensorflow/core/framework/tensor_shape.h)."""
MAX_ELEMENTS = 1 << 31
MAX_STRINGS = 64

_LISTS = {
    "float32": "float_val",
    "float64": "double_val",
    "int32": "int_val",
    "int16": "int_val",
    "int8": "int_val",
    "uint8": "int_val",
    "uint16": "int_val",
    "int64": "int64_val",
    "bool": "bool_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "float16": "half_val",
    "bfloat16": "half_val",
    "complex64": "scomplex_val",
    "complex128": "dcomplex_val",
    "int4": "int_val",
    "uint4": "int_val",
    "int2": "int_val",
    "uint2": "int_val",
}
"""The TensorProto field that lists the elements of a dtype (tensor.proto)."""


def shape(proto: Any) -> Shape:
    """A TensorShapeProto: None for an unknown rank, None for an unknown dimension. Raises GraphError past
    rank 254.
    """
    if proto.unknown_rank:
        return None
    if len(proto.dim) > MAX_RANK:
        raise GraphError(f"a shape of rank {len(proto.dim)} is stored, TensorFlow allows {MAX_RANK}")
    return tuple(dim.size if dim.size >= 0 else (dim.name or None) for dim in proto.dim)


def attributes(node: Any, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a NodeDef, what it leaves out filled with the operator's defaults.

    Dtypes become names, byte strings become text where they are UTF-8, functions their names,
    tensors a ``Constant`` or None. ``_output_shapes`` is left out: it became the tensors' shapes.
    """
    found = {name: _default(value) for name, value in defaults.items() if name not in node.attr}
    found.update((name, attribute(value)) for name, value in node.attr.items() if name != "_output_shapes")
    return found


def _default(value: Any) -> Any:
    if isinstance(value, dict):
        return dtype(value["type"])
    if isinstance(value, list):
        return tuple(_default(item) for item in value)
    return value


def attribute(value: Any) -> Any:
    """One AttrValue."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "list":
        return _list(value.list)
    return _single(kind, getattr(value, kind))


def _list(value: Any) -> tuple[Any, ...]:
    fields = value.ListFields()
    if not fields:
        return ()
    field, items = fields[0]
    return tuple(_single(field.name, item) for item in items)


def _single(kind: str, value: Any) -> Any:
    if kind == "s":
        return _text(value)
    if kind == "type":
        return dtype(value)
    if kind == "shape":
        return shape(value)
    if kind == "func":
        return value.name
    if kind == "tensor":
        return constant(value, None)
    return value


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value


def const_tensor(name: str, proto: Any, file: Path | None, attrs: Mapping[str, Any]) -> Tensor:
    """The constant tensor of a Const node; strings are kept in ``attrs["strings"]`` (the first 64)."""
    value = constant(proto, file)
    if value.dtype == "string":
        attrs = {**attrs, "strings": tuple(_text(item) for item in proto.string_val[:MAX_STRINGS])}
    return Tensor(name, value.dtype, value.shape, value, attrs=attrs)


def constant(proto: Any, file: Path | None) -> Constant:
    """A TensorProto as a lazy constant. Raises GraphError when its bytes do not fit its shape."""
    kind = dtype(proto.dtype)
    dims = shape(proto.tensor_shape)
    if dims is None or any(not isinstance(dim, int) for dim in dims):
        raise GraphError("a constant whose shape is not fully known")
    static = tuple(dim for dim in dims if isinstance(dim, int))
    if proto.file_length:
        _check_size(proto.file_length, kind, static)
        if file is None:
            raise GraphError("a constant names a place in a file where there is none")
        return Constant(kind, static, file=file, offset=proto.file_offset, length=proto.file_length)
    if proto.tensor_content and BITS.get(kind, 0) >= 8:
        _check_size(len(proto.tensor_content), kind, static)
        return Constant(kind, static, inline=bytes(proto.tensor_content))
    return Constant(kind, static, loader=lambda: _listed(proto, kind, static))


def _check_size(length: int, kind: str, dims: tuple[int, ...]) -> None:
    bits = BITS.get(kind)
    if bits is None or bits < 8:
        return
    needed = bits // 8
    for dim in dims:
        needed *= dim
    if needed != length:
        raise GraphError(f"a {kind} constant of shape {dims} needs {needed} bytes, {length} are stored")


def _listed(proto: Any, kind: str, dims: tuple[int, ...]) -> bytes:
    """The bytes of a constant that is stored as a list; the last element fills what the list leaves out."""
    import numpy as np

    from ...ir.arrays import to_bytes
    from ...ir.dtypes import STORED_AS

    count = 1
    for dim in dims:
        count *= dim
    field = _LISTS.get(kind)
    if field is None or count > MAX_ELEMENTS:
        raise GraphError(f"a {kind} constant of shape {dims} has no plain bytes")
    # Sub-byte elements come as content, one per byte.
    values = (
        np.frombuffer(proto.tensor_content, np.int8)
        if proto.tensor_content
        else np.asarray(list(getattr(proto, field)))
    )
    if kind in ("complex64", "complex128"):
        values = values[0::2] + 1j * values[1::2]
    values = values[:count]
    if not len(values):
        values = np.zeros(1, values.dtype)
    values = (
        np.concatenate([values, np.full(count - len(values), values[-1])])
        if len(values) < count
        else values[:count]
    )
    if field == "half_val":
        values = values.astype(np.uint16)
        return values.astype("<u2").tobytes()
    stored = STORED_AS.get(kind, kind)
    return to_bytes(values if BITS[kind] < 8 else values.astype(stored), kind)
