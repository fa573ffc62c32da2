"""The payloads of a graph: constants, tensors and operators, immutable and compared by identity."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import GraphError
from .dtypes import BITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .graph import Graph

Dim = int | str | None
"""A dimension: its size, the name of a symbol, or None when nothing is known."""
Shape = tuple[Dim, ...] | None
"""None when the rank is unknown."""


NOTHING: Mapping[str, Any] = MappingProxyType({})
"""What every payload without attributes or bodies shares: a model has as many as operators and tensors."""


def _nothing() -> Mapping[str, Any]:
    return NOTHING


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """The value of a constant tensor, read only when asked for.

    ``length`` bytes at ``offset`` of ``file``, row-major and little-endian, 4-bit and 2-bit
    elements packed low bits first. ``inline`` holds the bytes of a small constant, ``loader``
    gives them where the storage is not plain bytes (compressed, sparse, lists of numbers).
    """

    dtype: str
    shape: tuple[int, ...]
    file: Path | None = None
    offset: int = 0
    length: int = 0
    inline: bytes | None = field(default=None, repr=False)
    loader: Callable[[], bytes] | None = field(default=None, repr=False)

    @property
    def elements(self) -> int:
        """Number of elements."""
        count = 1
        for dim in self.shape:
            count *= dim
        return count

    def whole(self, shape: Shape) -> bool:
        """Whether the value has that shape, where it is known, and its bytes, where they are at hand."""
        bits = BITS.get(self.dtype)
        if shape is not None and shape != self.shape:
            return False
        return self.inline is None or bits is None or len(self.inline) == (self.elements * bits + 7) // 8

    def raw(self) -> bytes:
        """The bytes. Raises GraphError when the file no longer holds them."""
        if self.inline is not None:
            return self.inline
        if self.loader is not None:
            return self.loader()
        if self.file is None:
            raise GraphError("a constant without a value was read")
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            data = stream.read(self.length)
        if len(data) != self.length:
            raise GraphError(
                f"{self.file}: {self.length} bytes expected at offset {self.offset}, {len(data)} found"
            )
        return data

    def numbers(self, most: int | None = None) -> list[Any]:
        """The elements in row-major order, or the first ``most``, as Python numbers: without numpy, which
        takes a third of a short check to import.
        """
        from .numbers import numbers

        return numbers(self, most)

    def read(self) -> NDArray[Any]:
        """The value as an array in ``shape``; sub-byte elements are widened to int8 or uint8."""
        from .arrays import to_array

        return to_array(self.raw(), self.dtype, self.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Quantization:
    """Affine quantization: real = scale * (stored - zero_point), along ``axis`` when per channel."""

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None = None
    block: int | None = None

    @property
    def scheme(self) -> str:
        """``per-tensor``, ``per-channel`` or ``blockwise``."""
        if self.block is not None:
            return "blockwise"
        return "per-channel" if len(self.scale) > 1 else "per-tensor"


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """One value of the graph.

    ``attrs`` keeps what only the format knows (``shape_signature``, ``is_variable``, ...).
    """

    name: str
    dtype: str = "unknown"
    shape: Shape = None
    const: Constant | None = None
    quant: Quantization | None = None
    attrs: Mapping[str, Any] = field(default_factory=_nothing, repr=False)

    @property
    def rank(self) -> int | None:
        """Number of dimensions, None when unknown."""
        return None if self.shape is None else len(self.shape)

    @property
    def static(self) -> bool:
        """True when every dimension is a known number."""
        return self.shape is not None and all(isinstance(dim, int) for dim in self.shape)

    @property
    def elements(self) -> int | None:
        """Number of elements, None when the shape is not static."""
        if self.shape is None:
            return None
        count = 1
        for dim in self.shape:
            if not isinstance(dim, int):
                return None
            count *= dim
        return count

    @property
    def nbytes(self) -> int | None:
        """Size in bytes, None when shape or dtype does not tell."""
        bits, count = BITS.get(self.dtype), self.elements
        return None if bits is None or count is None else (count * bits + 7) // 8


@dataclass(frozen=True, slots=True)
class Source:
    """Where an operator comes from: the model file and, where the exporter said, the code."""

    path: str = ""
    code: str | None = None
    """``file.py:line`` of the user's code that made the operator."""
    named: bool = True
    """Whether the file stores a name for the operator, or ``Operator.name`` is its output's."""


@dataclass(frozen=True, slots=True, eq=False)
class Operator:
    """One node. ``inputs`` and ``outputs`` are positional: an omitted one is None, never skipped.

    ``id`` is the path and index in the stored model (``main/12``), ``name`` the stored name or the
    first output when there is none. ``graphs`` holds bodies (If, Loop, While, composites, functions)
    by attribute name.
    """

    id: str
    type: str
    inputs: tuple[str | None, ...] = ()
    outputs: tuple[str | None, ...] = ()
    attrs: Mapping[str, Any] = field(default_factory=_nothing)
    name: str = ""
    domain: str = ""
    version: int = 1
    graphs: Mapping[str, Graph] = field(default_factory=_nothing, repr=False)
    source: Source = field(default=Source(), repr=False)

    def input(self, index: int) -> str | None:
        """The name of an input, None when it is omitted or the operator has fewer."""
        return self.inputs[index] if 0 <= index < len(self.inputs) else None

    def output(self, index: int) -> str | None:
        """The name of an output, None when it is omitted or the operator has fewer."""
        return self.outputs[index] if 0 <= index < len(self.outputs) else None

    @property
    def label(self) -> str:
        """What to call the operator in a message."""
        return self.name or next((name for name in self.outputs if name), self.id)


_NUMBER_FORMS = {
    "value_int": ("int64", "q"),
    "value_ints": ("int64", "q"),
    "value_float": ("float32", "f"),
    "value_floats": ("float32", "f"),
}


def number_constant(attrs: Mapping[str, Any]) -> Constant | None:
    """The value of an ONNX ``Constant`` node that holds plain numbers and no tensor."""
    for form, (dtype, code) in _NUMBER_FORMS.items():
        value = attrs.get(form)
        if isinstance(value, int | float | tuple):
            numbers = value if isinstance(value, tuple) else (value,)
            data = struct.pack(f"<{len(numbers)}{code}", *numbers)
            return Constant(
                dtype, (len(numbers),) if isinstance(value, tuple) else (), length=len(data), inline=data
            )
    return None
