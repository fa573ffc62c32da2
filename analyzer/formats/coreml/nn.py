"""NeuralNetwork models: layers as operators.

A layer's type is the name of its ``layer`` field (``convolution``, ``innerProduct``, ...), its parameters
become attributes: nested fields with dotted names (``same.asymmetryMode``), a choice between messages as the
name of the chosen one, weights as ``Constant``. Layers may write a name again (loops do): each later value of
a name gets a name of its own, ``x#1``, ``x#2``, so that every tensor has one writer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...errors import ModelError
from ...ir.graph import Constant, Graph, Operator, Shape, Source, Tensor
from .mil import Place, flexibility

_ARRAYS = {65568: "float32", 65600: "float64", 131104: "int32", 131080: "int8", 65552: "float16"}
"""``ArrayFeatureType.ArrayDataType`` (FeatureTypes.proto)."""
_WEIGHTS = {1: "float32", 2: "float16", 30: "raw", 31: "int8"}
_LISTED = 16
"""How many entries of a list of messages become attributes."""
_BODIES = {"branch": ("ifBranch", "elseBranch"), "loop": ("conditionNetwork", "bodyNetwork")}


@dataclass(slots=True)
class Names:
    """The tensor that a stored name stands for now, here and in the network around."""

    graph: Graph
    current: dict[str, str] = field(default_factory=dict)
    outer: Names | None = None

    def read(self, name: str) -> str:
        """The tensor that a layer reads under that name."""
        scope: Names | None = self
        while scope is not None:
            if name in scope.current:
                return scope.current[name]
            scope = scope.outer
        return name

    def write(self, name: str) -> str:
        """A tensor name for a new value of that name."""
        fresh, count = name, 0
        while self.graph.find(fresh) is not None:
            count += 1
            fresh = f"{name}#{count}"
        return fresh


def network(name: str, net: Any, description: Any, place: Place) -> Graph:
    """The graph of one network. Raises ModelError or GraphError when it is not whole."""
    graph = Graph(name, "nn")
    names = Names(graph)
    for item in description.input:
        graph.add_tensor(feature(item))
        names.current[item.name] = item.name
    _layers(names, net, place)
    outputs = [names.read(item.name) for item in description.output]
    graph.set_interface(
        [item.name for item in description.input], [name for name in outputs if graph.find(name) is not None]
    )
    missing = [
        item.name
        for item, tensor in zip(description.output, outputs, strict=True)
        if graph.find(tensor) is None
    ]
    if missing and not _classifier(description):
        raise ModelError(place.path, f"no layer writes the output {missing[0]!r}", "export it again")
    return graph


def _classifier(description: Any) -> bool:
    """A classifier's label and probabilities are made after its last layer."""
    return bool(description.predictedFeatureName)


def feature(item: Any) -> Tensor:
    """An input or output that a model's description declares; ``kind`` says what a value is that is no
    tensor.
    """
    form = item.type.WhichOneof("Type")
    attrs = flexibility(item.type)
    if form == "multiArrayType":
        array = item.type.multiArrayType
        shape = None if "flexible" in attrs or not array.shape else tuple(array.shape)
        return Tensor(item.name, _ARRAYS.get(array.dataType, "unknown"), shape, attrs=attrs)
    if form == "imageType":
        image = item.type.imageType
        channels = 1 if image.colorSpace in (10, 40) else 3
        fixed: Shape = None if "flexible" in attrs else (1, channels, image.height, image.width)
        return Tensor(item.name, "float32", fixed, attrs=attrs)
    return Tensor(item.name, attrs={"kind": (form or "unknown").removesuffix("Type")})


def _layers(names: Names, net: Any, place: Place) -> None:
    for index, layer in enumerate(net.layers):
        _layer(names, index, layer, place)


def _layer(names: Names, index: int, layer: Any, place: Place) -> None:
    graph, id = names.graph, f"{names.graph.name}/{index}"
    kind = layer.WhichOneof("layer")
    if kind is None:
        problem = f"layer {layer.name or id!r} is of a kind that accelint does not know"
        raise ModelError(place.path, problem, "update accelint, or export it for an older release")
    parameters = getattr(layer, kind)
    inputs = tuple(names.read(name) for name in layer.input)
    _note_shapes(graph, inputs, layer.inputTensor)
    bodies = _bodies(names, id, kind, parameters, place)
    written = [*layer.output, *_written(bodies, layer.output, names)]
    outputs = []
    for position, name in enumerate(written):
        fresh = names.write(name)
        shape = _dims(layer.outputTensor[position]) if position < len(layer.outputTensor) else None
        graph.add_tensor(Tensor(fresh, "float32", shape))
        outputs.append((name, fresh))
    attrs = _attributes(parameters, place)
    if layer.isUpdatable:
        attrs["isUpdatable"] = True
    graphs = {key: body.graph for key, body in bodies.items()}
    names_out = tuple(fresh for _, fresh in outputs)
    graph.add_op(
        Operator(
            id, kind, inputs, names_out, attrs, layer.name, graphs=graphs, source=Source(str(place.path))
        )
    )
    names.current.update(outputs)


def _note_shapes(graph: Graph, inputs: tuple[str, ...], shapes: Any) -> None:
    """Take the shape of a tensor from the layer that reads it, where its writer told none."""
    for name, dims in zip(inputs, shapes, strict=False):
        tensor, shape = graph.tensors.get(name), _dims(dims)
        if (
            tensor is not None
            and tensor.shape is None
            and shape is not None
            and "flexible" not in tensor.attrs
        ):
            graph.set_tensor(Tensor(tensor.name, tensor.dtype, shape, attrs=tensor.attrs))


def _dims(tensor: Any) -> Shape:
    if tensor.rank > 64 or len(tensor.dimValue) not in (0, tensor.rank):
        return None
    if not tensor.dimValue:
        return (None,) * int(tensor.rank)
    return tuple(int(size) if size >= 0 else None for size in tensor.dimValue)


def _bodies(names: Names, id: str, kind: str, parameters: Any, place: Place) -> dict[str, Names]:
    bodies: dict[str, Names] = {}
    for key in _BODIES.get(kind, ()):
        if parameters.HasField(key):
            inner = Names(Graph(f"{id}/{key}", "nn", outer=names.graph), outer=names)
            _layers(inner, getattr(parameters, key), place)
            inner.graph.set_interface(
                (), [fresh for fresh in inner.current.values() if fresh in inner.graph.tensors]
            )
            bodies[key] = inner
    return bodies


def _written(bodies: dict[str, Names], own: Any, names: Names) -> list[str]:
    """Names that the bodies write and that the network around can read afterwards."""
    found = dict.fromkeys(name for body in bodies.values() for name in body.current)
    return [name for name in found if name not in own]


# ---- parameters --------------------------------------------------------------------------------


def _attributes(parameters: Any, place: Place) -> dict[str, Any]:
    """Every field of a layer's parameters, flattened."""
    attrs: dict[str, Any] = {}
    waiting: list[tuple[str, Any]] = [("", parameters)]
    while waiting:
        prefix, message = waiting.pop()
        for item in message.DESCRIPTOR.fields:
            _field(attrs, waiting, prefix, message, item, place)
        for choice in message.DESCRIPTOR.oneofs:
            chosen = message.WhichOneof(choice.name)
            if chosen is not None:
                attrs[prefix + choice.name] = chosen
    return attrs


def _field(
    attrs: dict[str, Any], waiting: list[tuple[str, Any]], prefix: str, message: Any, item: Any, place: Place
) -> None:
    name, kind = prefix + item.name, item.message_type
    if kind is not None and kind.name in ("NeuralNetwork", "Stored"):
        return
    value = getattr(message, item.name)
    if _repeated(item):
        if kind is None:
            attrs[name] = tuple(value)
        else:
            attrs[name + ".count"] = len(value)
            listed = [] if kind.GetOptions().map_entry else list(value)[:_LISTED]
            waiting.extend((f"{name}.{index}.", entry) for index, entry in enumerate(listed))
    elif kind is None:
        if item.containing_oneof is None or message.WhichOneof(item.containing_oneof.name) == item.name:
            named = item.enum_type.values_by_number.get(value) if item.enum_type else None
            attrs[name] = value if named is None else named.name
    elif message.HasField(item.name):
        if kind.name == "WeightParams":
            attrs[name] = _weights(value, place)
        else:
            waiting.append((name + ".", value))


def _repeated(item: Any) -> bool:
    return bool(item.is_repeated) if hasattr(item, "is_repeated") else item.label == 3


def _weights(weights: Any, place: Place) -> Constant:
    """The values of a WeightParams, in one dimension; quantized ones as they are stored."""
    bits = weights.quantization.numberOfBits if weights.HasField("quantization") else 0
    if weights.HasField("stored"):
        stored = weights.stored
        if stored.offset + stored.length > place.file.stat().st_size:
            raise ModelError(
                place.path, "weights beyond the end of the file", "the file is damaged: export it again"
            )
        dtype, width = _weight_dtype(stored.field, bits)
        return Constant(
            dtype, (stored.length * 8 // width,), file=place.file, offset=stored.offset, length=stored.length
        )
    if weights.floatValue:
        import struct

        return Constant(
            "float32",
            (len(weights.floatValue),),
            inline=struct.pack(f"<{len(weights.floatValue)}f", *weights.floatValue),
        )
    for number, data in ((2, weights.float16Value), (30, weights.rawValue), (31, weights.int8RawValue)):
        if data:
            dtype, width = _weight_dtype(number, bits)
            return Constant(dtype, (len(data) * 8 // width,), inline=bytes(data))
    return Constant("float32", (0,), inline=b"")


def _weight_dtype(number: int, bits: int) -> tuple[str, int]:
    """dtype and width of the values that field ``number`` of WeightParams holds."""
    kind = _WEIGHTS.get(number, "raw")
    if kind == "raw":
        return (f"uint{bits}", bits) if 0 < bits <= 8 else ("uint8", 8)
    return kind, {"float32": 32, "float16": 16, "int8": 8}[kind]
