"""ONNX tensors: TensorProto to Constant.

Large data is never read: the Constant says where it lies, in the model file or in an external file.
"""

from __future__ import annotations

import struct
import sys
from array import array
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from ...errors import GraphError, ModelError
from ...ir.dtypes import BITS
from ...ir.graph import Constant
from ..wire import Span, WireError, encode, tag
from .external import ExternalFiles
from .proto import DTYPES, pb, text
from .wire import MARK, RAW_DATA, span_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAX_ELEMENTS = (1 << 63) - 1
MAX_DENSE = (1 << 31) - 1
"""Bytes of the largest sparse tensor that can be read, the limit of a tensor that is stored dense."""
_TYPED = {
    "float32": ("float_data", "f"),
    "complex64": ("float_data", "f"),
    "float64": ("double_data", "d"),
    "complex128": ("double_data", "d"),
    "int64": ("int64_data", "q"),
    "uint32": ("uint64_data", "I"),
    "uint64": ("uint64_data", "Q"),
    "int32": ("int32_data", "i"),
    "int16": ("int32_data", "h"),
    "uint16": ("int32_data", "H"),
    "float16": ("int32_data", "H"),
    "bfloat16": ("int32_data", "H"),
    "int8": ("int32_data", "b"),
}
"""Typed field and array code of the dtypes; every other dtype is held byte by byte in ``int32_data``."""
_FIELD_NUMBERS = {"float_data": 4, "int32_data": 5, "int64_data": 7, "double_data": 10, "uint64_data": 11}


@dataclass(slots=True)
class Values:
    """Turns the TensorProtos of one stripped model into Constants.

    Attributes:
        path: the model, for messages.
        file: where the spans lie; None for a model in memory.
        spans: what ``strip`` took out.
    """

    path: Path
    file: Path | None = None
    spans: list[Span] = field(default_factory=list)
    external: ExternalFiles | None = None

    def constant(self, proto: Any) -> Constant:
        """The value of a TensorProto. Raises ModelError when dtype, dims and data do not fit together."""
        name = proto.name
        dtype = DTYPES.get(proto.data_type)
        if dtype is None:
            raise self.error(
                f"tensor {name!r} has the data type {proto.data_type}, which ONNX does not define"
            )
        dims = tuple(proto.dims)
        need = self.nbytes(name, dtype, dims)
        if proto.data_location == 1:
            return self._elsewhere(proto, dtype, dims, need)
        if dtype == "string":
            if _count(dims) != len(proto.string_data):
                raise self.error(
                    f"tensor {name!r} of shape {list(dims)} has {len(proto.string_data)} strings"
                )
            return Constant(dtype, dims, loader=partial(_strings, tuple(proto.string_data)))
        data = proto.raw_data if proto.HasField("raw_data") else self._typed(proto, dtype)
        if need is not None and len(data) != need:
            raise self.error(
                f"tensor {name!r} ({dtype}, shape {list(dims)}) needs {need} bytes and has {len(data)}"
            )
        return Constant(dtype, dims, length=len(data), inline=data)

    def sparse(self, proto: Any) -> Constant:
        """The dense value of a SparseTensorProto, built when it is read."""
        values = self.constant(proto.values)
        dims = tuple(proto.dims)
        need = self.nbytes(proto.values.name, values.dtype, dims)
        if need is None or BITS[values.dtype] < 8 or need > MAX_DENSE:
            raise self.error(
                f"the sparse tensor {proto.values.name!r} ({values.dtype}, shape {list(dims)}) "
                f"cannot be made dense"
            )
        indices = self.constant(proto.indices)
        if indices.dtype != "int64" or indices.shape not in (values.shape, (*values.shape, len(dims))):
            raise self.error(f"the indices of the sparse tensor {proto.values.name!r} do not fit its values")
        return Constant(values.dtype, dims, length=need, loader=partial(_dense, values, indices, dims))

    def nbytes(self, name: str, dtype: str, dims: Iterable[int]) -> int | None:
        """Bytes that a tensor takes, None when the dtype has no size. Raises ModelError on dims that cannot
        be.
        """
        count = 1
        for dim in dims:
            if dim < 0:
                raise self.error(f"tensor {name!r} has the negative dimension {dim}")
            count *= dim
            if count > MAX_ELEMENTS:
                raise self.error(f"tensor {name!r} has more elements than 63 bits can count")
        bits = BITS.get(dtype)
        return None if bits is None else (count * bits + 7) // 8

    def error(self, problem: str) -> ModelError:
        """A ModelError about this model."""
        return ModelError(
            self.path, problem, "the file is damaged or its exporter is broken: export it again"
        )

    def _typed(self, proto: Any, dtype: str) -> bytes:
        source, _ = _TYPED.get(dtype, ("int32_data", "B"))
        try:
            return pack(getattr(proto, source), dtype)
        except (OverflowError, ValueError) as error:
            raise self.error(f"tensor {proto.name!r} holds a number that {dtype} cannot: {error}") from error

    def _elsewhere(self, proto: Any, dtype: str, dims: tuple[int, ...], need: int | None) -> Constant:
        entries = {text(entry.key): text(entry.value) for entry in proto.external_data}
        if MARK in entries:
            return self._in_file(proto, entries[MARK], dtype, dims, need)
        if need is None or dtype == "string":
            raise self.error(f"tensor {proto.name!r} of {dtype} cannot be stored externally")
        if self.external is None:
            self.external = ExternalFiles(self.path)
        file, offset = self.external.locate(proto.name, entries, need)
        return Constant(dtype, dims, file=file, offset=offset, length=need)

    def _in_file(
        self, proto: Any, mark: str, dtype: str, dims: tuple[int, ...], need: int | None
    ) -> Constant:
        try:
            span = span_of(mark, self.spans)
        except WireError as error:
            raise self.error(f"tensor {proto.name!r} has {error}") from error
        if span.number != RAW_DATA:
            return Constant(
                dtype,
                dims,
                length=need or 0,
                loader=partial(_typed_span, span.file or self.file, span, dtype, need),
            )
        if need is not None and span.length != need:
            raise self.error(
                f"tensor {proto.name!r} ({dtype}, shape {list(dims)}) needs {need} bytes and "
                f"has {span.length}"
            )
        return Constant(dtype, dims, file=span.file or self.file, offset=span.offset, length=span.length)


def _count(dims: tuple[int, ...]) -> int:
    count = 1
    for dim in dims:
        count *= dim
    return count


def pack(numbers: Any, dtype: str) -> bytes:
    """The numbers of a typed field as little-endian bytes of ``dtype``. Raises OverflowError when one does
    not fit.
    """
    _, code = _TYPED.get(dtype, ("", "B"))
    values = array(code, numbers)
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def _typed_span(file: Path | None, span: Span, dtype: str, need: int | None) -> bytes:
    raw = Constant(dtype, (), file=file, offset=span.offset, length=span.length).raw()
    source = next(name for name, number in _FIELD_NUMBERS.items() if number == span.number)
    proto = pb().TensorProto.FromString(tag(span.number, 2) + encode(len(raw)) + raw)
    data = pack(getattr(proto, source), dtype)
    if need is not None and len(data) != need:
        raise ModelError(
            file or "", f"a {dtype} tensor needs {need} bytes and has {len(data)}", "export it again"
        )
    return data


def _strings(values: tuple[bytes, ...]) -> bytes:
    """Strings, each behind its length as four little-endian bytes."""
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def _dense(values: Constant, indices: Constant, dims: tuple[int, ...]) -> bytes:
    import numpy as np

    from ...ir.arrays import to_bytes

    stored = values.read()
    dense = np.zeros(dims, stored.dtype)
    where = indices.read()
    if where.size and (where.min() < 0 or (where >= (dims if where.ndim == 2 else dense.size)).any()):
        raise GraphError(f"a sparse tensor of shape {dims} has a value outside of it")
    if where.ndim == 1:
        dense.reshape(-1)[where] = stored
    else:
        dense[tuple(where.T)] = stored
    return to_bytes(dense, values.dtype)
