"""Dynamically quantized products, which ONNX Runtime's QNN provider takes as one operator though none of the
parts is supported.

``DynamicQuantizeLinear``, ``ConvInteger`` or ``MatMulInteger``, ``Cast``, ``Mul`` by the product of both
scales and, where it follows, ``Add`` of a bias. Measured with onnxruntime-qnn 2.7.0, whose source is not
published.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

from ...ir.graph import Constant, Graph, Operator, Tensor
from ...ir.match import Match, Pattern, Scope, alone, any_order, constant, find, maybe, op, sole_reader
from ...ir.view import edited
from ..tables import Book, Tables

_BOOK = "onnxruntime/fusions"
_CHANNELS = {"ConvInteger": 0, "MatMulInteger": 1}
"""The dimension of the weights that counts the channels of the result."""
_QUANTIZE = "DynamicQuantizeLinear"
_FLOAT = 1
"""``onnx.TensorProto.FLOAT``"""


@cache
def _dynamic(book: Book) -> Pattern:
    """A product of integers, cast to floats and multiplied by the product of both scales."""
    kinds = book.kinds("dynamic-products")
    products = tuple(sorted(kinds))

    def for_products(scope: Scope, quantize: Operator) -> bool:
        """Whether only products read the integers and the zero point, and only Mul the scale."""
        if any(name in scope.graph.outputs for name in quantize.outputs):
            return False
        return all(
            reader.type in types
            for name, types in zip(quantize.outputs, (products, ("Mul",), products), strict=False)
            for reader in scope.graph.consumers(name or "")
        )

    def plain(scope: Scope, product: Operator) -> bool:
        """Whether the product has no padding of its own choice, and weights and data of the right rank."""
        data, weights = scope.tensor(product.inputs[0]), scope.constant(product.inputs[1])
        if product.attrs.get("auto_pad", "NOTSET") != "NOTSET" or data is None or weights is None:
            return False
        rank = book.limit(f"dynamic-{kinds[product.type].lower()}-weights")
        return len(data.shape or ()) >= book.limit("dynamic-rank") and len(weights.shape) == rank

    integers = op(_QUANTIZE, name="quantize", where=for_products)
    product = alone(
        products, integers, constant("weights"), integers[2], maybe(constant()), name="product", where=plain
    )
    scales = alone("Mul", any_order(integers[1], constant("scales")))
    return op("Mul", any_order(alone("Cast", product, attrs={"to": _FLOAT}), scales))


def seen_dynamic(graph: Graph, tables: Tables) -> Graph:
    """The graph with each dynamically quantized product that the provider takes shown as operators on floats.

    The operator that quantizes becomes an Identity; its scale and zero point stay as they are.
    """
    shown: dict[str, Operator | None] = {}
    tensors: dict[str, Tensor] = {}
    book = tables[_BOOK]
    if all(op.type != _QUANTIZE for op in graph.ops()):
        return graph
    kinds = book.kinds("dynamic-products")
    for match in filter(_fits, find(graph, _dynamic(book))):
        item, quantize = match.op("product"), match.op("quantize")
        shown[quantize.id] = replace(quantize, type="Identity")
        shown[item.id] = replace(item, type=kinds[item.type], inputs=(item.inputs[0], f"{item.id}::weights"))
        floats = (graph.tensor(name) for name in (quantize.outputs[0], item.outputs[0]) if name)
        known = (_weights(match), *(replace(tensor, dtype="float32") for tensor in floats))
        tensors.update((tensor.name, tensor) for tensor in known)
    return edited(graph, shown, tensors.values())


def quantized_for_others(graph: Graph, op: Operator, tables: Tables) -> bool:
    """Whether a DynamicQuantizeLinear has readers that are supported with it and others: the graph is then
    not built.
    """
    return op.type == _QUANTIZE and 0 < sum(_readers(graph, op, tables)) < len(graph.consumers(op.outputs[0]))


def quantizes_a_constant(graph: Graph, op: Operator, tables: Tables) -> bool:
    """Whether a DynamicQuantizeLinear that is supported with what reads it reads a constant: the graph is
    then not composed.
    """
    if op.type != _QUANTIZE or graph.constant(op.inputs[0]) is None:
        return False
    return any(_readers(graph, op, tables))


def _readers(graph: Graph, quantize: Operator, tables: Tables) -> Iterator[bool]:
    """For each reader of the integers, whether it is a product that is supported with what quantizes."""
    pattern, products = _dynamic(tables[_BOOK]), tables[_BOOK].types("dynamic-products")
    for reader in graph.consumers(quantize.outputs[0]):
        cast = sole_reader(graph, reader, "Cast") if reader.type in products else None
        scaled = sole_reader(graph, cast, "Mul")
        match = None if scaled is None else pattern.match(graph, scaled)
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
    count = 0 if weights is None else weights.shape[_CHANNELS.get(type, 0)]
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
