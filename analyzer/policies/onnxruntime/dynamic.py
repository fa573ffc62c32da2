"""Dynamically quantized products, which ONNX Runtime's QNN provider takes as one operator though none of the
parts is supported.

``DynamicQuantizeLinear``, ``ConvInteger`` or ``MatMulInteger``, ``Cast``, ``Mul`` by the product of both
scales and, where it follows, ``Add`` of a bias. Measured with onnxruntime-qnn 2.7.0, whose source is not
published.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ...ir.graph import Constant, Graph, Operator, Tensor
from ...ir.match import Match, Scope, alone, any_order, constant, find, maybe, op, sole_reader
from ...ir.view import edited

_PRODUCTS = {"ConvInteger": ("Conv", 4, 0), "MatMulInteger": ("Identity", 2, 1)}
"""What a product is shown as (five dimensions are supported, of which a MatMul of floats takes four), the
dimensions that its weights have, and the one of these that counts its results.
"""
_QUANTIZE = "DynamicQuantizeLinear"
_LEAST = 2
_FLOAT = 1
"""``onnx.TensorProto.FLOAT``"""


def _for_products(scope: Scope, quantize: Operator) -> bool:
    """Whether nothing but products reads the integers and the zero point, and nothing but Mul the scale."""
    if any(name in scope.graph.outputs for name in quantize.outputs):
        return False
    return all(
        reader.type in types
        for name, types in zip(quantize.outputs, (_PRODUCTS, ("Mul",), _PRODUCTS), strict=False)
        for reader in scope.graph.consumers(name or "")
    )


def _plain(scope: Scope, product: Operator) -> bool:
    """Whether the product has no padding of its own choice, and weights and data of the right rank."""
    data, weights = scope.tensor(product.inputs[0]), scope.constant(product.inputs[1])
    if product.attrs.get("auto_pad", "NOTSET") != "NOTSET" or data is None or weights is None:
        return False
    return len(data.shape or ()) >= _LEAST and len(weights.shape) == _PRODUCTS[product.type][1]


_INTEGERS = op(_QUANTIZE, name="quantize", where=_for_products)
_PRODUCT = alone(
    tuple(_PRODUCTS), _INTEGERS, constant("weights"), _INTEGERS[2], maybe(constant()),
    name="product", where=_plain,
)  # fmt: skip
_SCALES = alone("Mul", any_order(_INTEGERS[1], constant("scales")))
DYNAMIC = op("Mul", any_order(alone("Cast", _PRODUCT, attrs={"to": _FLOAT}), _SCALES))
"""A product of integers, cast to floats and multiplied by the product of both scales."""


def seen_dynamic(graph: Graph) -> Graph:
    """The graph with each dynamically quantized product that the provider takes shown as operators on floats.

    The operator that quantizes becomes an Identity; its scale and zero point stay as they are.
    """
    shown: dict[str, Operator | None] = {}
    tensors: dict[str, Tensor] = {}
    for match in filter(_fits, find(graph, DYNAMIC)):
        item, quantize = match.op("product"), match.op("quantize")
        shown[quantize.id] = replace(quantize, type="Identity")
        shown[item.id] = replace(
            item, type=_PRODUCTS[item.type][0], inputs=(item.inputs[0], f"{item.id}::weights")
        )
        floats = (graph.tensor(name) for name in (quantize.outputs[0], item.outputs[0]) if name)
        known = (_weights(match), *(replace(tensor, dtype="float32") for tensor in floats))
        tensors.update((tensor.name, tensor) for tensor in known)
    return edited(graph, shown, tensors.values())


def quantized_for_others(graph: Graph, op: Operator) -> bool:
    """Whether a DynamicQuantizeLinear has readers that are supported with it and others: the graph is then
    not built.
    """
    return op.type == _QUANTIZE and 0 < sum(_readers(graph, op)) < len(graph.consumers(op.outputs[0]))


def quantizes_a_constant(graph: Graph, op: Operator) -> bool:
    """Whether a DynamicQuantizeLinear that is supported with what reads it reads a constant: the graph is
    then not composed.
    """
    return op.type == _QUANTIZE and graph.constant(op.inputs[0]) is not None and any(_readers(graph, op))


def _readers(graph: Graph, quantize: Operator) -> Iterator[bool]:
    """For each reader of the integers, whether it is a product that is supported with what quantizes."""
    for reader in graph.consumers(quantize.outputs[0]):
        cast = sole_reader(graph, reader, "Cast") if reader.type in _PRODUCTS else None
        scaled = sole_reader(graph, cast, "Mul")
        match = None if scaled is None else DYNAMIC.match(graph, scaled)
        yield match is not None and match.op("product") is reader and _fits(match)


def _fits(match: Match) -> bool:
    """Whether the stored scales are one number, or one for each channel, and so is a bias that follows."""
    rows, scales = _rows(match), match.constant("scales")
    if scales is None or not (scales.shape in ((), (1,)) or scales.shape in rows):
        return False
    return _with_its_bias(match.scope.graph, match.root, rows)


def _rows(match: Match) -> Sequence[tuple[int, ...]]:
    """The shapes in which the provider reads one number for each channel of the result."""
    type, weights = match.op("product").type, match.constant("weights")
    count = 0 if weights is None else weights.shape[_PRODUCTS[type][2]]
    return [(count,), (1, count, 1, 1) if type == "ConvInteger" else (1, count)]


def _with_its_bias(graph: Graph, scaled: Operator, rows: Sequence[tuple[int, ...]]) -> bool:
    """Whether nothing is added behind, or a constant with one number for each channel: any other Add undoes
    it all.
    """
    add = sole_reader(graph, scaled, "Add")
    if add is None:
        return True
    stored = [constant for name in add.inputs if (constant := graph.constant(name)) is not None]
    return len(stored) == 1 and (stored[0].shape in rows or ((1,) in rows and stored[0].shape == ()))


def _weights(match: Match) -> Tensor:
    stored = match.constant("weights")
    shape = () if stored is None else stored.shape
    return Tensor(
        f"{match.op('product').id}::weights",
        "float32",
        shape,
        const=Constant("float32", shape, loader=lambda: _read_as_float(stored)),
    )


def _read_as_float(stored: Constant | None) -> bytes:
    data: bytes = b"" if stored is None else stored.read().astype("<f4").tobytes()
    return data
