"""The shapes that ONNX Runtime knows when it asks its providers: fewer than onnx's own inference finds.

ONNX Runtime carries values from Shape operators through fewer operators than onnx does, and uses them where
all are known. Measured on 1.31.1, by the shapes of chains of one operator each, loaded with ORT_DISABLE_ALL:
through Cast of a list (not of a scalar), Squeeze, Unsqueeze, Gather of one constant index, as a scalar or a
list, Concat, Add, Sub, Mul and Div of carried values (``onnxruntime/core/graph/data_propagation``); not
through Slice, Identity, Where, nor together with constants. `python tools/conformance/ort_shapes.py`
compares.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from .inference import infer_shapes
from .proto import pb

if TYPE_CHECKING:
    from ...ir.graph import Graph, Operator, Shape

SHAPED: Mapping[str, int] = {
    "Reshape": 1,
    "Expand": 1,
    "ConstantOfShape": 0,
    "Tile": 1,
    "Slice": 1,
    "Resize": 3,
    "Range": 0,
    "Pad": 1,
    "Split": 1,
    "Unsqueeze": 1,
    "TopK": 1,
    "OneHot": 1,
    "Upsample": 1,
}
"""Operators whose result's shape follows from the value of an input, and the position of that input."""
OPAQUE: Mapping[str, int] = {"GreaterOrEqual": 16, "LessOrEqual": 16, "MeanVarianceNormalization": 1_000}
"""Operators whose result has no shape before that operator set: ONNX Runtime 1.24.1 and 1.31.1 have no
inference for them.
"""
_ROUNDS = 16
"""Inferences at most: how deep computed shapes may stand on other computed shapes."""
Carried = tuple[int, list[int]]
"""Rank (0 or 1) and elements of an integer value."""


def note_plain_shapes(
    graph: Graph, proto: Any, types: Callable[[Any, Any], Mapping[str, tuple[Any, Shape]]]
) -> None:
    """Write ``plain_shapes`` into a graph's facts: tensor -> (its shape, the one without carried
    values), where the two differ.

    ``types`` gives dtype and shape by name of a GraphProto and its inferred twin.
    """
    plain = infer_plainly(proto)
    if plain is None:
        return
    known = types(proto.graph, plain.graph)
    shapes = {info.name: known[info.name][1] for info in (*plain.graph.value_info, *plain.graph.output)}
    seen = {
        name: (tensor.shape, shapes.get(name))
        for name, tensor in graph.tensors.items()
        if _written(graph, name)
    }
    endless = [name for op in graph.ops() if _of_no_rank(graph, op, shapes) and (name := op.outputs[0])]
    seen |= {name: (graph.tensor(name).shape, (None,)) for name in endless}
    differing = {name: pair for name, pair in seen.items() if pair[0] != pair[1]}
    graph.facts = replace(graph.facts, plain_shapes=differing)


def _written(graph: Graph, name: str) -> bool:
    writer = graph.producer(name)
    return writer is not None and writer.type != "Shape"


def _of_no_rank(graph: Graph, op: Operator, shapes: Mapping[str, Shape]) -> bool:
    """Whether it is the Shape of something of which not even the number of dimensions is known: how long it
    is is not known either.
    """
    name = op.inputs[0] if op.type == "Shape" else None
    return (
        name is not None
        and graph.producer(name) is not None
        and _written(graph, name)
        and shapes.get(name) is None
    )


def infer_plainly(proto: Any) -> Any | None:
    """The model with those shapes, None when they are the same or cannot be inferred.

    What becomes known lets more values be carried, so inference is repeated while it finds something.
    """
    constants = {tensor.name for tensor in proto.graph.initializer}
    constants |= {name for node in proto.graph.node if node.op_type == "Constant" for name in node.output}
    opset = max((item.version for item in proto.opset_import if item.domain in ("", "ai.onnx")), default=1)
    opaque = [index for index, node in enumerate(proto.graph.node) if opset < OPAQUE.get(node.op_type, 0)]
    if not opaque and not any(_computed(node, constants) or _bodies(node) for node in proto.graph.node):
        return None
    try:
        copy = pb().ModelProto.FromString(proto.SerializeToString())
        for index in opaque:
            copy.graph.node[index].op_type += "WithoutShape"
        _hand_down(copy.graph, {})
        stored = len(copy.graph.initializer)
        for _ in range(_ROUNDS):
            data = copy.SerializeToString()
            known = pb().ModelProto.FromString(infer_shapes(data, values=False, proto=copy))
            if not _write_values(copy.graph, known.graph):
                break
    except Exception:  # the extension raises classes of its own; the first inference has reported it
        return None
    for value in copy.graph.initializer[stored:]:
        _tell_type(known.graph, value)
    return known


def _hand_down(graph: Any, outer: Mapping[str, Any]) -> None:
    """Store in each body the whole-number constants that it reads from outside: onnx's inference looks no
    further than the body.
    """
    known = {**outer, **{tensor.name: tensor for tensor in graph.initializer if _small(tensor)}}
    for node in graph.node:
        if node.op_type == "Constant" and node.output:
            known.update(
                (node.output[0], item.t) for item in node.attribute if item.name == "value" and _small(item.t)
            )
    for body in (body for node in graph.node for body in _bodies(node)):
        own = {info.name for info in body.input} | {tensor.name for tensor in body.initializer}
        own |= {name for node in body.node for name in node.output}
        for name in sorted({name for node in body.node for name in node.input} & (known.keys() - own)):
            body.initializer.add().CopyFrom(known[name])
            body.initializer[-1].name = name
        _hand_down(body, known)


_MOST = 64
"""Elements of a constant that is stored again: it is a shape, axes or a position."""


def _bodies(node: Any) -> list[Any]:
    return [attribute.g for attribute in node.attribute if attribute.type == 5]


def _small(tensor: Any) -> bool:
    return tensor.data_type in (6, 7) and prod(tensor.dims) <= _MOST


def _computed(node: Any, constants: set[str]) -> bool:
    position = SHAPED.get(node.op_type)
    return position is not None and any(name and name not in constants for name in node.input[position:])


def _write_values(graph: Any, known: Any) -> bool:
    """Store the values that shapes follow from as initializers, their operators' results get another name.
    False when there are none.
    """
    asked = {
        name for node in graph.node if node.op_type in SHAPED for name in node.input[SHAPED[node.op_type] :]
    }
    found = {name: value for name, value in carried(graph, known).items() if name in asked}
    for node in graph.node:
        name = node.output[0] if node.output else ""
        if name in found:
            rank, values = found[name]
            graph.initializer.add(
                name=name, data_type=7, dims=[len(values)] if rank else [], int64_data=values
            )
            node.output[0] = f"{name}/carried"
    return bool(found)


def _tell_type(graph: Any, value: Any) -> None:
    info = graph.value_info.add(name=value.name)
    info.type.tensor_type.elem_type = value.data_type
    info.type.tensor_type.shape.SetInParent()
    for dim in value.dims:
        info.type.tensor_type.shape.dim.add(dim_value=dim)


def carried(graph: Any, known: Any) -> dict[str, Carried]:
    """The integer values that ONNX Runtime carries, by result; ``known`` is the graph with inferred types."""
    typed = [info for infos in (known.value_info, known.input, known.output) for info in infos]
    shapes = {
        info.name: _numbers(info.type.tensor_type.shape)
        for info in typed
        if info.type.tensor_type.HasField("shape")
    }
    shapes |= {item.name: list(item.dims) for item in graph.initializer}
    indices = {item.name: item for item in graph.initializer if list(item.dims) in ([], [1])}
    indices |= {
        node.output[0]: node.attribute[0].t
        for node in graph.node
        if node.op_type == "Constant" and _holds_tensor(node)
    }
    done = {item.name for item in graph.initializer}
    found: dict[str, Carried] = {}
    for node in graph.node:
        value = _shape_of(node, shapes) if node.op_type == "Shape" else _through(node, found, indices)
        if value is not None and node.output[0] not in done and not node.output[0].endswith("/carried"):
            found[node.output[0]] = value
    return found


def _holds_tensor(node: Any) -> bool:
    return (
        len(node.attribute) == 1
        and node.attribute[0].HasField("t")
        and list(node.attribute[0].t.dims) in ([], [1])
    )


def _numbers(shape: Any) -> list[int | None]:
    known = (dim.HasField("dim_value") and dim.dim_value >= 0 for dim in shape.dim)
    return [dim.dim_value if told else None for dim, told in zip(shape.dim, known, strict=True)]


def _shape_of(node: Any, shapes: Mapping[str, list[int | None]]) -> Carried | None:
    shape = shapes.get(node.input[0])
    if shape is None:
        return None
    span = {attribute.name: attribute.i for attribute in node.attribute}
    dims = shape[slice(span.get("start", 0), span.get("end"))]
    known = [dim for dim in dims if dim is not None]
    return (1, known) if len(known) == len(dims) else None


def _through(node: Any, found: Mapping[str, Carried], indices: Mapping[str, Any]) -> Carried | None:
    values = [found[name] for name in node.input if name in found]
    if not values or node.domain not in ("", "ai.onnx"):
        return None
    rank, first = values[0]
    if node.op_type == "Cast":
        return (rank, first) if rank and node.attribute and node.attribute[0].i in (6, 7) else None
    if node.op_type in ("Squeeze", "Unsqueeze"):
        return (0 if node.op_type == "Squeeze" else 1), first
    if node.op_type == "Gather" and rank and len(node.input) == 2 and node.input[1] in indices:
        return _picked(first, indices[node.input[1]])
    if len(values) != len(node.input):
        return None
    if node.op_type == "Concat":
        return 1, [item for _, items in values for item in items]
    return _arithmetic(node.op_type, values)


def _picked(items: list[int], index: Any) -> Carried | None:
    typed = (*index.int64_data, *index.int32_data)
    at = typed[0] if typed else int.from_bytes(index.raw_data, "little", signed=True)
    return (len(index.dims), [items[at]]) if -len(items) <= at < len(items) else None


def _divided(left: int, right: int) -> int:
    """Towards zero, as in C++."""
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _arithmetic(kind: str, values: list[Carried]) -> Carried | None:
    function = {"Add": operator.add, "Sub": operator.sub, "Mul": operator.mul, "Div": _divided}.get(kind)
    if kind == "Div" and any(0 in items for _, items in values[1:]):
        return None
    if function is None or len(values) != 2 or len({len(items) for _, items in values} - {1}) > 1:
        return None
    size = max(len(items) for _, items in values)
    left, right = ([*items * size][:size] for _, items in values)
    return max(rank for rank, _ in values), list(map(function, left, right))
