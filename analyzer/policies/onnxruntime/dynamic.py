"""Dynamically quantized products, which ONNX Runtime's QNN provider takes as one operator though none of the
parts is supported.

``DynamicQuantizeLinear``, ``ConvInteger`` or ``MatMulInteger``, ``Cast``, ``Mul`` by the product of both
scales and, where it follows, ``Add`` of a bias. Measured with onnxruntime-qnn 2.7.0, whose source is not
published.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ...ir.graph import Constant, Graph, Operator, Tensor
from ...ir.view import edited
from .fusions import only_reader

_PRODUCTS = {"ConvInteger": ("Conv", 4, 0), "MatMulInteger": ("Identity", 2, 1)}
"""What a product is shown as (five dimensions are taken, of which a MatMul of floats takes four), the
dimensions that its weights have, and the one of these that counts its results.
"""
_QUANTIZE = "DynamicQuantizeLinear"
_LEAST = 2
_FLOAT = 1
"""``onnx.TensorProto.FLOAT``"""


@dataclass(frozen=True)
class _Product:
    quantize: Operator
    product: Operator


def seen_dynamic(graph: Graph) -> Graph:
    """The graph with each dynamically quantized product that the provider takes shown as operators on floats.

    The operator that quantizes becomes an Identity; its scale and zero point stay as they are.
    """
    found = {item.product.id: item for item in _products(graph)}
    if not found:
        return graph
    shown: dict[str, Operator | None] = {}
    tensors: dict[str, Tensor] = {}
    for op, quantize in ((item.product, item.quantize) for item in found.values()):
        shown[quantize.id] = replace(quantize, type="Identity")
        shown[op.id] = replace(op, type=_PRODUCTS[op.type][0], inputs=(op.inputs[0], _weights_name(op)))
        floats = (graph.tensor(name) for name in (quantize.outputs[0], op.outputs[0]) if name)
        told = (_weights(graph, op), *(replace(tensor, dtype="float32") for tensor in floats))
        tensors.update((tensor.name, tensor) for tensor in told)
    return edited(graph, shown, tensors.values())


def quantized_for_others(graph: Graph, op: Operator) -> bool:
    """Whether a DynamicQuantizeLinear has readers that are taken with it and others: the graph is then not
    built.
    """
    if op.type != _QUANTIZE:
        return False
    readers = graph.consumers(op.outputs[0])
    taken = [reader for reader in readers if reader.type in _PRODUCTS and _match(graph, reader) is not None]
    return 0 < len(taken) < len(readers)


def quantizes_a_constant(graph: Graph, op: Operator) -> bool:
    """Whether a DynamicQuantizeLinear that is taken with what reads it reads a constant: the graph is then
    not composed.
    """
    if op.type != _QUANTIZE or graph.constant(op.inputs[0]) is None:
        return False
    return any(
        reader.type in _PRODUCTS and _match(graph, reader) is not None
        for reader in graph.consumers(op.outputs[0])
    )


def _weights_name(op: Operator) -> str:
    return f"{op.id}::weights"


def _weights(graph: Graph, op: Operator) -> Tensor:
    stored = graph.constant(op.inputs[1])
    shape = () if stored is None else stored.shape
    return Tensor(
        _weights_name(op),
        "float32",
        shape,
        const=Constant("float32", shape, loader=lambda: _read_as_float(stored)),
    )


def _read_as_float(stored: Constant | None) -> bytes:
    data: bytes = b"" if stored is None else stored.read().astype("<f4").tobytes()
    return data


def _products(graph: Graph) -> Iterator[_Product]:
    for op in graph.ops():
        found = _match(graph, op) if op.type in _PRODUCTS else None
        if found is not None:
            yield found


def _match(graph: Graph, op: Operator) -> _Product | None:
    quantize, cast = graph.producer(op.inputs[0] or ""), only_reader(graph, op)
    if (
        quantize is None
        or quantize.type != _QUANTIZE
        or cast is None
        or cast.type != "Cast"
        or cast.attrs.get("to") != _FLOAT
    ):
        return None
    if not _for_products(graph, quantize) or not _plain(graph, op, quantize):
        return None
    scaled = only_reader(graph, cast)
    if scaled is None or scaled.type != "Mul":
        return None
    rows = _rows(graph, op)
    if not _by_both_scales(graph, scaled, cast, quantize, rows) or not _with_its_bias(graph, scaled, rows):
        return None
    return _Product(quantize, op)


def _for_products(graph: Graph, quantize: Operator) -> bool:
    """Whether nothing but products reads the integers and the zero point, and nothing but Mul the scale."""
    if any(name in graph.outputs for name in quantize.outputs):
        return False
    return all(
        reader.type in types
        for name, types in zip(quantize.outputs, (_PRODUCTS, ("Mul",), _PRODUCTS), strict=False)
        for reader in graph.consumers(name or "")
    )


def _rows(graph: Graph, op: Operator) -> Sequence[tuple[int, ...]]:
    """The shapes in which the provider reads one number for each channel of the result."""
    weights = graph.constant(op.inputs[1])
    count = 0 if weights is None else weights.shape[_PRODUCTS[op.type][2]]
    return [(count,), (1, count, 1, 1) if op.type == "ConvInteger" else (1, count)]


def _plain(graph: Graph, op: Operator, quantize: Operator) -> bool:
    """Whether the product reads the zero point that was computed and constant weights, and has no padding of
    its own choice.
    """
    if (
        len(op.inputs) < 3
        or op.inputs[2] != quantize.outputs[2]
        or op.attrs.get("auto_pad", "NOTSET") != "NOTSET"
    ):
        return False
    weights, data = graph.constant(op.inputs[1]), graph.find(op.inputs[0] or "")
    if data is None or len(data.shape or ()) < _LEAST:
        return False
    zero = op.inputs[3] if len(op.inputs) > 3 else None
    return (
        weights is not None
        and len(weights.shape) == _PRODUCTS[op.type][1]
        and (not zero or graph.constant(zero) is not None)
    )


def _by_both_scales(
    graph: Graph, scaled: Operator, cast: Operator, quantize: Operator, rows: Sequence[tuple[int, ...]]
) -> bool:
    names = [name for name in scaled.inputs if name != cast.outputs[0]]
    scales = graph.producer(names[0] or "") if len(names) == 1 else None
    if (
        scales is None
        or scales.type != "Mul"
        or only_reader(graph, scales) != scaled
        or quantize.outputs[1] not in scales.inputs
    ):
        return False
    stored = [constant for name in scales.inputs if (constant := graph.constant(name)) is not None]
    return len(stored) == 1 and (stored[0].shape in ((), (1,)) or stored[0].shape in rows)


def _with_its_bias(graph: Graph, scaled: Operator, rows: Sequence[tuple[int, ...]]) -> bool:
    """Whether nothing is added behind, or a constant with one number for each channel: any other Add undoes
    it all.
    """
    add = only_reader(graph, scaled)
    if add is None or add.type != "Add":
        return True
    stored = [constant for name in add.inputs if (constant := graph.constant(name)) is not None]
    return len(stored) == 1 and (stored[0].shape in rows or ((1,) in rows and stored[0].shape == ()))
