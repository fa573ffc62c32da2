"""Small TFLite models, built tensor by tensor: what the generated corpus is made of."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....formats.tflite.schema import schema
from ....formats.tflite.versions import signature_of, version_of
from ....ir.dtypes import BITS
from ....ir.graph import Constant, Graph, Operator, Quantization, Tensor
from ....ir.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

Size = tuple[int, ...]


class Skip(Exception):
    """This combination makes no model; it is left out of the corpus."""


@dataclass(frozen=True)
class Kind:
    """A dtype with its quantization: what a tensor stores and how it is meant."""

    name: str
    dtype: str
    scale: float | None = None
    zero_point: int = 0

    def quant(self, factor: float = 1.0) -> Quantization | None:
        """Per-tensor parameters, with the scale times ``factor``."""
        return None if self.scale is None else Quantization((self.scale * factor,), (self.zero_point,))

    @property
    def quantized(self) -> bool:
        """Whether it has quantization parameters."""
        return self.scale is not None


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("f32", "float32"),
        Kind("f16", "float16"),
        Kind("bf16", "bfloat16"),
        Kind("f64", "float64"),
        Kind("i8", "int8"),
        Kind("u8", "uint8"),
        Kind("i16", "int16"),
        Kind("u16", "uint16"),
        Kind("i32", "int32"),
        Kind("u32", "uint32"),
        Kind("i64", "int64"),
        Kind("u64", "uint64"),
        Kind("bool", "bool"),
        Kind("str", "string"),
        Kind("c64", "complex64"),
        Kind("c128", "complex128"),
        Kind("q8", "int8", 0.05, 3),
        Kind("q8s", "int8", 0.05, 0),
        Kind("qu8", "uint8", 0.05, 128),
        Kind("q16", "int16", 0.0005, 0),
        Kind("q16p", "int16", 2.0**-11, 0),
        Kind("q4", "int4", 0.1, 0),
        Kind("i4", "int4"),
        Kind("i2", "int2"),
        Kind("u4", "uint4"),
        Kind("f8e4", "float8e4m3fn"),
        Kind("f8e5", "float8e5m2"),
    )
}


class Net:
    """One model in the making.

    Args:
        seed: of the constants' values.
        dynamic: which dimensions of activations are unknown: ``""`` none, ``"batch"`` the first, ``"all"``
            every one,
            ``"rank"`` the rank itself.
    """

    def __init__(self, seed: str = "", dynamic: str = "") -> None:
        self.graph = Graph("main", "tflite")
        self.dynamic = dynamic
        self.inputs: list[str] = []
        self.random = random.Random(seed)
        self.bodies: list[Graph] = []

    # ---- tensors -------------------------------------------------------------------------

    def input(self, shape: Size, kind: Kind | str, *, factor: float = 1.0, static: bool = False) -> str:
        """A graph input."""
        name = self._add(f"in{len(self.inputs)}", shape, _kind(kind), factor=factor, static=static)
        self.inputs.append(name)
        return name

    def result(self, shape: Size, kind: Kind | str, *, factor: float = 1.0, static: bool = False) -> str:
        """A tensor for an operator to write."""
        return self._add("out", shape, _kind(kind), factor=factor, static=static)

    def variable(self, shape: Size, kind: Kind | str) -> str:
        """A tensor that keeps its value between calls."""
        kind = _kind(kind)
        name = self.graph.fresh("state")
        self.graph.add_tensor(Tensor(name, kind.dtype, shape, None, kind.quant(), {"is_variable": True}))
        return name

    def const(
        self, value: Any, kind: Kind | str = "i32", *, channels: int | None = None, name: str = "const"
    ) -> str:
        """A constant. ``channels`` gives it one scale for each index of that axis."""
        import numpy as np

        from ....ir.arrays import to_bytes
        from ....ir.dtypes import STORED_AS

        kind = _kind(kind)
        array: NDArray[Any] = np.asarray(value)
        narrow = BITS[kind.dtype] < 8
        stored = np.dtype(np.int8 if narrow else STORED_AS.get(kind.dtype, kind.dtype))
        data = to_bytes(array.astype(stored), kind.dtype)
        return self._constant(kind, tuple(array.shape), data, channels, name)

    def weights(
        self, shape: Size, kind: Kind | str, *, channels: int | None = None, name: str = "weights"
    ) -> str:
        """A constant with values that differ, in the range of its dtype."""
        kind = _kind(kind)
        return self._constant(kind, shape, self._values(shape, kind), channels, name)

    def strings(self, values: Sequence[bytes], shape: Size) -> str:
        """A constant of strings: their count, offsets and characters."""
        import struct

        offsets, at = [], 4 * (len(values) + 2)
        for value in values:
            offsets.append(at)
            at += len(value)
        data = struct.pack(f"<{len(values) + 2}i", len(values), *offsets, at) + b"".join(values)
        return self._constant(KINDS["str"], shape, data, None, "strings")

    def operand(self, shape: Size, kind: Kind | str, *, const: bool, factor: float = 1.0) -> str:
        """A constant or a graph input."""
        return self.weights(shape, kind, name="operand") if const else self.input(shape, kind, factor=factor)

    def shape_of(self, name: str) -> Size:
        """The sizes of a tensor, those of unknown dimensions included."""
        tensor = self.graph.tensor(name)
        return tuple(tensor.attrs.get("stored_shape", tensor.shape or ()))

    def _constant(self, kind: Kind, shape: Size, data: bytes, channels: int | None, name: str) -> str:
        name = self.graph.fresh(name)
        quant = kind.quant()
        if channels is not None and kind.scale is not None:
            scales = tuple(kind.scale * (1 + index / 8) for index in range(shape[channels]))
            quant = Quantization(scales, (0,) * len(scales), channels)
        const = Constant(kind.dtype, shape, inline=data, length=len(data))
        self.graph.add_tensor(Tensor(name, kind.dtype, shape, const, quant))
        return name

    def _values(self, shape: Size, kind: Kind) -> bytes:
        count = _product(shape)
        if kind.dtype in ("float32", "float16", "float64", "bfloat16", "complex64"):
            import numpy as np

            numbers = np.array([self.random.uniform(-1, 1) for _ in range(count)], np.float32)
            if kind.dtype == "bfloat16":
                return bytes((numbers.view(np.uint32) >> 16).astype(np.uint16).tobytes())
            return bytes(numbers.astype(kind.dtype).tobytes())
        width = BITS[kind.dtype]
        if kind.dtype == "bool":
            return bytes(self.random.randrange(2) for _ in range(count))
        if width <= 8:
            return bytes(self.random.randrange(1, 120) for _ in range((count * width + 7) // 8))
        return b"".join(self.random.randrange(1, 100).to_bytes(width // 8, "little") for _ in range(count))

    def _add(self, stem: str, shape: Size, kind: Kind, *, factor: float, static: bool) -> str:
        if any(dim < 0 for dim in shape):
            raise Skip(f"negative size {shape}")
        name = self.graph.fresh(stem)
        dims: tuple[int | None, ...] | None = shape
        attrs: dict[str, Any] = {}
        if not static and shape and self.dynamic:
            dims = (None, *shape[1:]) if self.dynamic == "batch" else (None,) * len(shape)
            attrs["stored_shape"] = shape
        self.graph.add_tensor(Tensor(name, kind.dtype, dims, None, kind.quant(factor), attrs))
        return name

    # ---- operators -----------------------------------------------------------------------

    def op(
        self,
        type_: str,
        inputs: Iterable[str | None],
        outputs: Iterable[str],
        attrs: Mapping[str, Any] | None = None,
        *,
        version: int | None = None,
        domain: str = "",
        graphs: Mapping[str, Graph] | None = None,
    ) -> tuple[str, ...]:
        """Add an operator; options that are not given have the schema's defaults. Returns what it writes."""
        inputs, outputs = tuple(inputs), tuple(outputs)
        options = {} if domain else schema().option_defaults(type_)
        unknown = (
            (attrs or {}).keys()
            - options.keys()
            - {"custom_options", "intermediates", "mutating_variable_inputs"}
        )
        if unknown and not domain:
            raise KeyError(f"{type_} has no options {sorted(unknown)}")
        options.update(attrs or {})
        if version is None:
            tensors = [None if name is None else self.graph.tensor(name) for name in inputs]
            results = [self.graph.tensor(name) for name in outputs]
            version = 1 if domain else version_of(type_, signature_of(tensors, results, options))
        id_ = f"{self.graph.name}/{len(self.graph)}"
        self.graph.add_op(Operator(id_, type_, inputs, outputs, options, "", domain, version, graphs or {}))
        return outputs

    def body(self, name: str) -> Net:
        """A net for a body that an operator of this one calls."""
        net = Net(name, self.dynamic)
        net.graph = Graph(name, "tflite")
        return net

    def finish(self, outputs: Iterable[str] | None = None) -> Graph:
        """Set the interface: what nobody reads is an output, unless told."""
        graph = self.graph
        if outputs is None:
            outputs = [
                name for op in graph.ops() for name in op.outputs if name and not graph.consumers(name)
            ]
        graph.set_interface(self.inputs, outputs)
        return graph

    def model(self) -> Model:
        """The finished model."""
        graph = self.graph if self.graph.outputs else self.finish()
        return Model(Path("<generated>"), "tflite", graph, {"main": graph})


def seeded(*parts: object) -> random.Random:
    """A random stream that depends on these parts alone, on every machine."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "little"))


def broadcast(*shapes: Size) -> Size:
    """The common shape. Raises Skip when there is none."""
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    out = []
    for sizes in zip(*padded, strict=True):
        wide = {size for size in sizes if size != 1}
        if len(wide) > 1:
            raise Skip(f"{shapes} do not broadcast")
        out.append(wide.pop() if wide else 1)
    return tuple(out)


def rescaled(p: Any) -> float:
    """The factor of the output's scale, where a family has one. Raises Skip when nothing is quantized."""
    if p.rescale != 1.0 and not KINDS[p.kind].quantized:
        raise Skip("no scale to change")
    return float(p.rescale)


def _kind(kind: Kind | str) -> Kind:
    return KINDS[kind] if isinstance(kind, str) else kind


def _product(shape: Size) -> int:
    count = 1
    for dim in shape:
        count *= dim
    return count
