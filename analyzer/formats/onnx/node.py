"""What onnx infers of one operator, from what is known of its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .attributes import fill_attribute, kind_of
from .proto import NUMBERS, native, pb
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
        schema = native().defs.get_schema(op.type, op.version, op.domain)
        types = {name: _type(tensor) for name, tensor in inputs.items()}
        data = {name: _tensor(name, value) for name, value in values.items()}
        found = schema._infer_node_outputs(_node(op), types, data, {}, dict(opsets), 10)
    except Exception:  # the extension raises classes of its own, RuntimeError among them
        return {}
    return {name: shape for name, data in found.items() if (shape := _shape(data)) is not None}


def _node(op: Operator) -> bytes:
    node = pb().NodeProto(op_type=op.type, domain=op.domain, name=op.id)
    node.input.extend(name or "" for name in op.inputs)
    node.output.extend(name or "" for name in op.outputs)
    for name, value in op.attrs.items():
        attribute = node.attribute.add()
        attribute.name = name
        fill_attribute(attribute, value, kind_of(value), _tensor_proto)
    return bytes(node.SerializeToString())


def _type(tensor: Tensor) -> bytes:
    proto = pb().TypeProto()
    store_type(proto, tensor.dtype, tensor.shape)
    return bytes(proto.SerializeToString())


def _tensor(name: str, value: Constant) -> bytes:
    return bytes(_tensor_proto(name, value).SerializeToString())


def _tensor_proto(name: str, value: Constant) -> Any:
    return pb().TensorProto(name=name, data_type=NUMBERS[value.dtype], dims=value.shape, raw_data=value.raw())


def _shape(data: bytes) -> Shape:
    kind = pb().TypeProto.FromString(data).tensor_type
    if not kind.HasField("shape"):
        return None
    return tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim)
