"""ONNX: products of activations that are quantized while the model runs, as products of floats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..draft import Draft
from ..engine import Miss, Promise, Rewrite
from .operands import array_of, binary

if TYPE_CHECKING:
    from numpy.typing import NDArray

MICROSOFT = "com.microsoft"
PLAIN = {"MatMulInteger": "MatMul", "ConvInteger": "Conv"}
QUANTIZED = ("int8", "uint8")


@dataclass(frozen=True, slots=True)
class Scaled:
    """A product of integers and what makes floats of it.

    Attributes:
        source: the float tensor that is quantized.
        weight: the stored operand as floats.
        result: what the floats are called.
        bias: added to the result by the operator itself.
        old: the operators that go.
    """

    op: Operator
    type: str
    source: str
    weight: NDArray[Any]
    result: str
    bias: str | None
    old: tuple[Operator, ...]


class FloatForDynamicInteger(Rewrite[Scaled]):
    """Dynamic quantization is undone: its weights are stored as floats and nothing is quantized."""

    id: ClassVar[str] = "float-for-dynamic-integers"
    title: ClassVar[str] = (
        "a product of a dynamically quantized tensor and stored integers becomes MatMul or Conv of floats"
    )
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = (
        "ConvInteger",
        "DynamicQuantizeLinear",
        "DynamicQuantizeMatMul",
        "MatMulInteger",
        "MatMulIntegerToFloat",
    )
    parity: ClassVar[Promise] = Promise.APPROXIMATE
    answers: ClassVar[tuple[str, ...]] = ("ACL201",)

    def speaks_of(self, op: Operator) -> bool:
        """Two of them are ONNX Runtime's own."""
        own = op.type in ("DynamicQuantizeMatMul", "MatMulIntegerToFloat")
        return op.domain in ((MICROSOFT,) if own else ("", "ai.onnx")) and op.type in self.root

    def match(self, graph: Graph, op: Operator) -> Scaled | Miss:
        """The activations come from DynamicQuantizeLinear, the weights and their scale are stored."""
        if op.type == "DynamicQuantizeLinear":
            return self._reader(graph, op)
        if op.type == "DynamicQuantizeMatMul":
            return _whole(graph, op, op.inputs[0] or "", 2, 3, 4)
        source = _dynamic(graph, op, 4 if op.type == "MatMulIntegerToFloat" else 2)
        if source is None:
            return Miss("its activations are not quantized by DynamicQuantizeLinear")
        if op.type == "MatMulIntegerToFloat":
            scale = graph.producer(_name(op, 2))
            if scale is None or scale.type != "DynamicQuantizeLinear" or scale.outputs[1] != op.inputs[2]:
                return Miss("its activations have a scale of their own")
            return _whole(graph, op, source, 3, 5, 6)
        return _parts(graph, op, source)

    def _reader(self, graph: Graph, op: Operator) -> Scaled | Miss:
        """From the operator that quantizes: its first product that can be undone."""
        missed = Miss("nothing that it quantizes is multiplied by stored integers")
        for reader in graph.consumers(op.outputs[0] or ""):
            if not self.speaks_of(reader) or reader.type == "DynamicQuantizeLinear":
                continue
            found = self.match(graph, reader)
            if isinstance(found, Scaled):
                return found
            missed = found
        return missed

    def apply(self, graph: Graph, found: Scaled) -> None:
        """One product of floats, and the sum with its bias where it has one."""
        draft, op = Draft(graph, found.op), found.op
        weight = draft.constant(found.weight, "float32", "weight")
        attrs = op.attrs if found.type == "Conv" else {}
        shape = graph.tensor(found.result).shape
        name = draft.value(found.type, (found.source, weight), "float32", shape, attrs)
        if found.bias is not None:
            name = binary(draft, "Add", name, found.bias)
        draft.finish(name, found.result)
        draft.commit(found.old)


def _name(op: Operator, index: int) -> str:
    return (op.inputs[index] if index < len(op.inputs) else None) or ""


def _dynamic(graph: Graph, op: Operator, zero: int) -> str | None:
    """The float tensor behind the first operand, whose zero point is at ``zero``; None when it is another."""
    maker = graph.producer(_name(op, 0))
    if maker is None or maker.type != "DynamicQuantizeLinear":
        return None
    given = (maker.outputs[0], maker.outputs[2])
    return maker.inputs[0] if given == (op.inputs[0], _name(op, zero)) else None


def _weight(
    graph: Graph, op: Operator, zero: str, scale: NDArray[Any], *, filters: bool
) -> NDArray[Any] | None:
    """The stored operand times its scale; None when it, or its zero point, is computed or of other types.

    Scales and zero points of several values go along the last axis, of filters along the first.
    """
    stored = array_of(graph, op.inputs[1])
    points = array_of(graph, zero) if zero else None
    if stored is None or str(stored.dtype) not in QUANTIZED or (zero and points is None):
        return None

    def along(values: NDArray[Any]) -> NDArray[Any]:
        values = values.reshape(-1) if values.size == 1 or filters else values
        return values.reshape(-1, *(1 for _ in stored.shape[1:])) if filters and values.size > 1 else values

    whole = stored.astype("float32")
    if points is not None:
        whole = whole - along(points.astype("float32"))
    result: NDArray[Any] = (whole * along(scale)).astype("float32")
    return result if result.shape == stored.shape else None


def _whole(graph: Graph, op: Operator, source: str, scale: int, zero: int, bias: int) -> Scaled | Miss:
    """The operators of ONNX Runtime: float in, float out."""
    scales = array_of(graph, _name(op, scale))
    weight = None if scales is None else _weight(graph, op, _name(op, zero), scales, filters=False)
    if weight is None:
        return Miss("its weights, their scale or their zero point are computed when the model runs")
    return Scaled(op, "MatMul", source, weight, op.outputs[0] or "", _name(op, bias) or None, (op,))


def _parts(graph: Graph, op: Operator, source: str) -> Scaled | Miss:
    """An integer product, its Cast, and one or two Mul by the scales."""
    maker = graph.producer(_name(op, 0))
    dynamic = "" if maker is None else maker.outputs[1] or ""
    old, name, scale, scaled = [op], op.outputs[0] or "", None, False
    while not (scaled and scale is not None):
        readers = graph.consumers(name)
        if len(readers) != 1 or name in graph.outputs:
            return Miss("its result is read by others than a Cast and the product with its scales")
        reader = readers[0]
        if reader.type == "Cast" and len(old) == 1:
            old, name = [*old, reader], reader.outputs[0] or ""
            continue
        other = _name(reader, 1) if _name(reader, 0) == name else _name(reader, 0)
        factors = _factors(graph, other, dynamic) if reader.type == "Mul" and len(old) > 1 else None
        if factors is None or (scaled and factors[0]) or (scale is not None and factors[1] is not None):
            return Miss("its result is not multiplied by the scales of both operands")
        scaled, scale = scaled or factors[0], factors[1] if factors[1] is not None else scale
        old, name = [*old, reader], reader.outputs[0] or ""
    filters = op.type == "ConvInteger"
    if filters and scale.size not in (1, graph.tensor(op.inputs[1] or "").shape[0]):  # type: ignore[index]
        return Miss("its scales are not one for each filter")
    weight = _weight(graph, op, _name(op, 3), scale, filters=filters)
    if weight is None:
        return Miss("its weights, their scale or their zero point are computed when the model runs")
    return Scaled(op, PLAIN[op.type], source, weight, name, None, tuple(old))


def _factors(graph: Graph, name: str, dynamic: str) -> tuple[bool, NDArray[Any] | None] | None:
    """Whether a factor holds the dynamic scale, and the stored one in it; None when it is something else."""
    if name == dynamic:
        return True, None
    stored = array_of(graph, name)
    if stored is not None:
        return False, stored
    maker = graph.producer(name)
    if maker is None or maker.type != "Mul" or dynamic not in maker.inputs:
        return None
    other = _name(maker, 1) if _name(maker, 0) == dynamic else _name(maker, 0)
    stored = array_of(graph, other)
    return None if stored is None else (True, stored)


REWRITES = (FloatForDynamicInteger(),)
