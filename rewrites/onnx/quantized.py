"""ONNX: integers that an accelerator does not compute with, as the floats that they stand for.

What is rounded to integers when the model runs stays rounded, by Round and Clip, so that the numbers are
those of the quantized model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ...analyzer.ir.match import sole_reader, writer
from ..draft import Draft
from ..engine import Miss, Promise, Rewrite
from .operands import array_of, binary, reduced, scalar, unary

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVELS = 255.0
SMALLEST = 6e-8
"""A scale below which float16 has none: a tensor of zeros gets this one."""
LARGEST = 1 << 26
"""Elements of a constant that is written out as floats."""
RANGES = {"uint8": (0, 255), "int8": (-128, 127), "uint16": (0, 65535), "int16": (-32768, 32767)}
QUANTIZED = (
    "ACL201", "ACL301", "ACL302", "quantized-dtype", "scale-per-channel", "scale-computed", "quantize-to",
    "node-unit-not-supported", "dequantizes-plain-integers",
)  # fmt: skip


def rounded(draft: Draft, x: str, dtype: str = "float32") -> str:
    """What x is worth after it was quantized dynamically: to 8 bits between its own extremes and zero.

    Source: ONNX, DynamicQuantizeLinear-11.
    """
    shape = draft.find(x).shape
    top = unary(draft, "Relu", reduced(draft, "ReduceMax", x, [], keep=False))
    least = reduced(draft, "ReduceMin", x, [], keep=False)
    bottom = unary(draft, "Relu", binary(draft, "Mul", least, scalar(draft, -1.0, dtype)))
    span = binary(draft, "Div", binary(draft, "Add", top, bottom), scalar(draft, LEVELS, dtype))
    smallest = scalar(draft, SMALLEST, dtype)
    scale = draft.value("Clip", (span, smallest), dtype, ())
    zero = unary(draft, "Round", binary(draft, "Div", bottom, scale))
    steps = unary(draft, "Round", draft.value("Div", (x, scale), dtype, shape))
    moved = draft.value("Add", (steps, zero), dtype, shape)
    limits = (scalar(draft, 0.0, dtype), scalar(draft, LEVELS, dtype))
    kept = draft.value("Clip", (moved, *limits), dtype, shape)
    back = draft.value("Sub", (kept, zero), dtype, shape)
    return draft.value("Mul", (back, scale), dtype, shape)


def dequantized(
    graph: Graph, values: NDArray[Any], scale: str | None, zero: str | None, axis: int = 1, block: int = 0
) -> NDArray[Any] | None:
    """Stored integers as floats; None where a scale or zero point is computed, or does not fit."""
    import numpy as np

    scales = array_of(graph, scale)
    zeros = array_of(graph, zero) if zero else None
    if scales is None or (zero and zeros is None):
        return None
    full = _spread(scales, values, axis, block)
    moved = values.astype(np.int32)
    if zeros is not None:
        offsets = _spread(zeros, values, axis, block)
        moved = moved if offsets is None else moved - offsets.astype(np.int32)
    return None if full is None else (moved.astype(scales.dtype) * full).astype(scales.dtype)


def _spread(array: NDArray[Any], like: NDArray[Any], axis: int, block: int) -> NDArray[Any] | None:
    """Scales in a shape that is broadcast to the values."""
    if array.size == 1:
        return array.reshape(())
    axis %= max(like.ndim, 1)
    if block:
        full = array.repeat(block, axis)
        return full[tuple(slice(size) for size in like.shape)] if full.ndim == like.ndim else None
    if array.ndim != 1 or array.size != like.shape[axis]:
        return None
    return array.reshape([-1 if index == axis else 1 for index in range(like.ndim)])


@dataclass(frozen=True, slots=True)
class Folded:
    """A DequantizeLinear, what it gives, and the Gather between it and the stored integers."""

    op: Operator
    value: NDArray[Any]
    gather: Operator | None = None


class StoredAsFloats(Rewrite[Folded]):
    """DequantizeLinear of stored integers becomes stored floats."""

    id: ClassVar[str] = "dequantized-constants"
    title: ClassVar[str] = (
        "DequantizeLinear of stored integers, or of what is gathered from them, becomes stored floats"
    )
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("DequantizeLinear",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = QUANTIZED

    def match(self, graph: Graph, op: Operator) -> Folded | Miss:
        """The integers, scales and zero points are stored."""
        if op.outputs[0] in graph.outputs:
            return Miss("its result is an output of the graph")
        gather = writer(graph, op.inputs[0], "Gather")
        source = op.inputs[0] if gather is None else gather.inputs[0]
        const = graph.constant(source)
        if const is None:
            return Miss("what it dequantizes is computed when the model runs")
        if const.elements > LARGEST or const.dtype not in (*RANGES, "int32"):
            return Miss(f"{const.elements} values of {const.dtype} are not written out as floats")
        scales = graph.find(op.inputs[1] or "")
        if gather is not None and (scales is None or scales.elements != 1):
            return Miss("what is gathered has a scale for each channel")
        zero = op.inputs[2] if len(op.inputs) > 2 else None
        axis, block = int(op.attrs.get("axis", 1)), int(op.attrs.get("block_size", 0))
        value = dequantized(graph, const.read(), op.inputs[1], zero, axis, block)
        return Miss("its scales are computed, or do not fit") if value is None else Folded(op, value, gather)

    def apply(self, graph: Graph, found: Folded) -> None:
        """A constant, or Gather from it."""
        from ..draft import constant_of

        name = found.op.outputs[0] or ""
        if found.gather is None:
            graph.fold(found.op, {name: constant_of(found.value)})
            return
        draft = Draft(graph, found.op)
        table = draft.constant(found.value, str(found.value.dtype), "table")
        known = graph.tensor(name)
        inputs = (table, *found.gather.inputs[1:])
        draft.value("Gather", inputs, known.dtype, known.shape, found.gather.attrs, to=name)
        draft.commit((found.op,))


MOVES = ("Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Gather")


@dataclass(frozen=True, slots=True)
class Behind:
    """An operator that moves integers, and the DequantizeLinear that alone reads it."""

    op: Operator
    reader: Operator
    value: NDArray[Any] | None


class DequantizedBeforeMoves(Rewrite[Behind]):
    """What moves integers that are then dequantized moves floats."""

    id: ClassVar[str] = "dequantized-before-moves"
    title: ClassVar[str] = "DequantizeLinear behind an operator that only moves integers comes before it"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = MOVES
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = (
        "ACL301", "uint8-from-outside", "gather-dtype", "dtype", "dequantizes-plain-integers",
        "node-unit-not-supported",
    )  # fmt: skip

    def match(self, graph: Graph, op: Operator) -> Behind | Miss:
        """Integers of one scale, read by nothing else."""
        tensor = graph.find(op.inputs[0] or "")
        if tensor is None or tensor.dtype not in RANGES:
            return Miss("it does not move quantized integers")
        reader = sole_reader(graph, op, "DequantizeLinear")
        if reader is None:
            return Miss("what it gives is read by others than one DequantizeLinear")
        scale = graph.find(reader.inputs[1] or "")
        if scale is None or scale.elements != 1:
            return Miss("it is dequantized with a scale for each channel")
        const = graph.constant(op.inputs[0])
        if const is None:
            return Behind(op, reader, None)
        zero = reader.inputs[2] if len(reader.inputs) > 2 else None
        value = dequantized(graph, const.read(), reader.inputs[1], zero)
        return Miss("its scale is computed") if value is None else Behind(op, reader, value)

    def apply(self, graph: Graph, found: Behind) -> None:
        """Floats, and the move."""
        draft, name = Draft(graph, found.op), found.op.inputs[0] or ""
        dtype = graph.tensor(found.reader.outputs[0] or "").dtype
        if found.value is not None:
            name = draft.constant(found.value, dtype, "floats")
        else:
            inputs = (name, *found.reader.inputs[1:])
            name = draft.value("DequantizeLinear", inputs, dtype, graph.tensor(name).shape)
        draft.keep(found.op, inputs=(name, *found.op.inputs[1:]), outputs=found.reader.outputs)
        draft.commit((found.op, found.reader))


@dataclass(frozen=True, slots=True)
class Product:
    """An integer product of dynamically quantized values: what computes its float result, and its weight."""

    op: Operator
    chain: tuple[Operator, ...]
    result: str
    weight: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Dynamic:
    """A DynamicQuantizeLinear and the integer products that read it."""

    op: Operator
    products: tuple[Product, ...]


class DynamicAsFloat(Rewrite[Dynamic]):
    """Integer products of dynamically quantized values become float products of the rounded values."""

    id: ClassVar[str] = "dynamic-quantization-as-float"
    title: ClassVar[str] = (
        "DynamicQuantizeLinear with MatMulInteger or ConvInteger becomes Round and Clip of the values, and "
        "MatMul or Conv with dequantized weights"
    )
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("DynamicQuantizeLinear",)
    parity: ClassVar[Promise] = Promise.ROUNDING
    after: ClassVar[tuple[str, ...]] = ("float-for-dynamic-integers",)
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL301")
    FLOAT: ClassVar[dict[str, str]] = {"MatMulInteger": "MatMul", "ConvInteger": "Conv"}

    def match(self, graph: Graph, op: Operator) -> Dynamic | Miss:
        """Every reader of the integers is a product whose result is scaled to floats."""
        if any(name in graph.outputs for name in op.outputs if name):
            return Miss("its integers are an output of the graph")
        source = graph.find(op.inputs[0] or "")
        if source is None or source.dtype != "float32" or source.shape is None:
            return Miss("its rank is not known")
        readers = graph.consumers(op.outputs[0] or "")
        found = [self.product(graph, op, reader) for reader in readers]
        products = tuple(item for item in found if item is not None)
        if not products or len(products) != len(readers):
            return Miss("its integers are read by others than products that are scaled to floats")
        return Dynamic(op, products)

    def product(self, graph: Graph, op: Operator, reader: Operator) -> Product | None:
        """``Mul(Cast(product), Mul(scale, stored scale))``, in any order."""
        weight = array_of(graph, reader.inputs[1]) if len(reader.inputs) > 1 else None
        zero = reader.inputs[3] if len(reader.inputs) > 3 else None
        fits = reader.type in self.FLOAT and reader.inputs[0] == op.outputs[0] and weight is not None
        if not fits or len(reader.inputs) < 3 or reader.inputs[2] != op.outputs[2] or weight is None:
            return None
        cast = sole_reader(graph, reader, "Cast")
        product = None if cast is None else sole_reader(graph, cast, "Mul")
        if cast is None or product is None or not _to_float(graph, cast):
            return None
        other = next((name for name in product.inputs if name != cast.outputs[0]), None)
        scaling = writer(graph, other, "Mul")
        if scaling is None or op.outputs[1] not in scaling.inputs:
            return None
        stored = next((name for name in scaling.inputs if name != op.outputs[1]), None)
        scale = array_of(graph, stored)
        if scale is None or not _of_channels(scale, weight, reader.type):
            return None
        axis = 0 if reader.type == "ConvInteger" else weight.ndim - 1
        value = dequantized(graph, weight, stored, zero, axis)
        if value is None:
            return None
        return Product(reader, (reader, cast, product), product.outputs[0] or "", value)

    def apply(self, graph: Graph, found: Dynamic) -> None:
        """The values once, and a float product for each integer one."""
        draft = Draft(graph, found.op)
        x = rounded(draft, found.op.inputs[0] or "")
        old: list[Operator] = []
        for item in found.products:
            weight = draft.constant(item.weight, "float32", "weight")
            known = graph.tensor(item.result)
            type = self.FLOAT[item.op.type]
            draft.value(type, (x, weight), "float32", known.shape, item.op.attrs, to=item.result)
            old += item.chain
        scales = graph.consumers(found.op.outputs[1] or "")
        spare = [op for op in scales if all(reader in old for reader in graph.consumers(op.outputs[0] or ""))]
        draft.commit((found.op, *old, *spare))


def _to_float(graph: Graph, cast: Operator) -> bool:
    result = graph.find(cast.outputs[0] or "")
    return result is not None and result.dtype == "float32"


def _of_channels(scale: NDArray[Any], weight: NDArray[Any], type: str) -> bool:
    """One scale, or one for each column of a matrix."""
    return scale.size == 1 or (type == "MatMulInteger" and scale.shape == weight.shape[-1:])


@dataclass(frozen=True, slots=True)
class Pair:
    """A QuantizeLinear, the DequantizeLinear operators that read it, and what they have in common."""

    op: Operator
    readers: tuple[Operator, ...]
    scale: NDArray[Any]
    limits: tuple[NDArray[Any], NDArray[Any]]


class PairsAsFloat(Rewrite[Pair]):
    """QuantizeLinear that only DequantizeLinear reads becomes Round and Clip of floats."""

    id: ClassVar[str] = "quantization-as-float"
    title: ClassVar[str] = "QuantizeLinear and DequantizeLinear become Clip(Round(x / scale)) * scale"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("QuantizeLinear",)
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL301", "ACL302", "quantization-at-the-edge")

    def match(self, graph: Graph, op: Operator) -> Pair | Miss:
        """One stored scale a tensor, which every reader has too."""
        source, result = graph.find(op.inputs[0] or ""), graph.find(op.outputs[0] or "")
        if source is None or result is None or source.dtype != "float32" or source.shape is None:
            return Miss("it is not on float32 of known rank")
        if result.dtype not in RANGES or result.name in graph.outputs:
            return Miss("its integers are an output of the graph, or of few bits")
        scale = array_of(graph, op.inputs[1])
        zero = array_of(graph, op.inputs[2]) if len(op.inputs) > 2 and op.inputs[2] else None
        if scale is None or scale.size != 1 or (zero is None and len(op.inputs) > 2 and op.inputs[2]):
            return Miss("its scale is computed, or one for each channel")
        readers = graph.consumers(result.name)
        if not readers or any(_differs(graph, op, reader) for reader in readers):
            return Miss("its integers are read by others than DequantizeLinear with the same scale")
        if graph.opsets.get("", 1) < 12:
            return Miss("before operator set 11 there is no Round, and Clip has its limits elsewhere")
        at = 0 if zero is None else int(zero.reshape(-1)[0])
        lowest, highest = RANGES[result.dtype]
        kind = scale.dtype.type
        return Pair(op, tuple(readers), scale.reshape(()), (kind(lowest - at), kind(highest - at)))

    def apply(self, graph: Graph, found: Pair) -> None:
        """One product for each reader."""
        draft, x = Draft(graph, found.op), found.op.inputs[0] or ""
        shape, dtype = draft.find(x).shape, "float32"
        scale = draft.constant(found.scale, dtype, "scale")
        steps = unary(draft, "Round", draft.value("Div", (x, scale), dtype, shape))
        limits = [draft.constant(limit, dtype, "limit") for limit in found.limits]
        kept = draft.value("Clip", (steps, *limits), dtype, shape)
        for reader in found.readers:
            draft.value("Mul", (kept, scale), dtype, shape, to=reader.outputs[0])
        draft.commit((found.op, *found.readers))


def _differs(graph: Graph, op: Operator, reader: Operator) -> bool:
    if reader.type != "DequantizeLinear" or len(reader.inputs) != len(op.inputs):
        return True
    for one, other in zip(op.inputs[1:], reader.inputs[1:], strict=True):
        left, right = array_of(graph, one), array_of(graph, other)
        if one != other and (left is None or right is None or left.tolist() != right.tolist()):
            return True
    return False


REWRITES = (StoredAsFloats(), DequantizedBeforeMoves(), DynamicAsFloat(), PairsAsFloat())
