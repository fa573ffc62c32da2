"""What onnx infers of one operator, from what is known of its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import guard
from .attributes import fill_attribute, kind_of
from .proto import NUMBERS, pb
from .types import store_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...ir.graph import Constant, Operator, Shape, Tensor


def infer_outputs(
    op: Operator, inputs: Mapping[str, Tensor], values: Mapping[str, Constant], opsets: Mapping[str, int]
) -> dict[str, Shape]:
    """The shapes of an operator's results; empty where onnx does not know the operator or cannot tell.

    ``inputs`` has a tensor for each input, ``values`` the constants among them that inference may look at.
    """
    if op.graphs or any(tensor.dtype not in NUMBERS for tensor in inputs.values()):
        return {}
    try:
        model = _model(op, inputs, values, opsets)
        data = guard.infer_shapes(model.SerializeToString(), values=False, proto=model)
    except Exception:  # the extension raises classes of its own, RuntimeError among them
        return {}
    found = pb().ModelProto.FromString(data).graph.output
    return {info.name: shape for info in found if (shape := _shape(info.type)) is not None}


def _model(
    op: Operator, inputs: Mapping[str, Tensor], values: Mapping[str, Constant], opsets: Mapping[str, int]
) -> Any:
    """The operator alone: inference of a whole model is what ``guard`` keeps within bounds."""
    model = pb().ModelProto(ir_version=8)
    for domain, version in {**opsets, op.domain: op.version}.items():
        model.opset_import.add(domain=domain, version=version)
    graph = model.graph
    graph.name = "g"
    graph.node.append(_node(op))
    for name, tensor in inputs.items():
        info = graph.input.add(name=name)
        store_type(info.type, tensor.dtype, tensor.shape)
    graph.initializer.extend(_tensor(name, value) for name, value in values.items())
    graph.output.extend(pb().ValueInfoProto(name=name) for name in op.outputs if name)
    return model


def _node(op: Operator) -> Any:
    node = pb().NodeProto(op_type=op.type, domain=op.domain, name=op.id)
    node.input.extend(name or "" for name in op.inputs)
    node.output.extend(name or "" for name in op.outputs)
    for name, value in op.attrs.items():
        attribute = node.attribute.add()
        attribute.name = name
        fill_attribute(attribute, value, kind_of(value), _tensor)
    return node


def _tensor(name: str, value: Constant) -> Any:
    return pb().TensorProto(name=name, data_type=NUMBERS[value.dtype], dims=value.shape, raw_data=value.raw())


def _shape(proto: Any) -> Shape:
    kind = proto.tensor_type
    if not kind.HasField("shape"):
        return None
    return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim)
