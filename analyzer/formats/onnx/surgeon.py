"""Edited models through onnx-graphsurgeon, where it carries all that the model holds.

onnx-graphsurgeon 0.6 rebuilds a model from its own graph. What it leaves out is listed by
``losses``; measured on the ONNX backend suite and the fixtures, see docs/formats.md. Tensors
whose values are not at hand pass through it untouched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .proto import pb

if TYPE_CHECKING:
    from collections.abc import Iterator


def through_surgeon(proto: Any) -> Any:
    """The ModelProto as onnx-graphsurgeon writes it, or ``proto`` itself where that would lose or change
    something.
    """
    if next(losses(proto), None):
        return proto
    try:
        rebuilt = _rebuild(proto)
    except Exception:  # whatever stops it, the message that we have is whole
        return proto
    return rebuilt if _comparable(rebuilt) == _comparable(proto) else proto


def losses(proto: Any) -> Iterator[str]:
    """What onnx-graphsurgeon would not carry, part by part."""
    graph = proto.graph
    names = {info.name for info in graph.input}
    read = {name for node in graph.node for name in node.input} | {info.name for info in graph.output}
    fields = (
        "domain",
        "doc_string",
        "model_version",
        "metadata_props",
        "training_info",
        "configuration",
        "functions",
    )
    yield from (f"the model's {field}" for field in fields if getattr(proto, field))
    parts = ("quantization_annotation", "metadata_props", "sparse_initializer")
    yield from (f"the graph's {field}" for field in parts if getattr(graph, field))
    for tensor in graph.initializer:
        if tensor.name in names or tensor.name not in read:
            yield f"the initializer {tensor.name!r}, an input too or not read at all"
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.doc_string or info.metadata_props or info.type.WhichOneof("value") != "tensor_type":
            yield f"the notes or the kind of {info.name!r}"
    for node in graph.node:
        if node.doc_string or node.metadata_props or node.overload or node.device_configurations:
            yield f"the notes of {node.name or node.op_type!r}"
        if any(
            attribute.HasField("g") or attribute.graphs or attribute.doc_string
            for attribute in node.attribute
        ):
            yield f"the bodies of {node.name or node.op_type!r}"


def _rebuild(proto: Any) -> Any:
    import onnx_graphsurgeon as gs
    from onnx_graphsurgeon.logger import G_LOGGER

    copy = pb().ModelProto()
    copy.CopyFrom(proto)
    severity = G_LOGGER.severity
    G_LOGGER.severity = G_LOGGER.CRITICAL
    try:
        return gs.export_onnx(gs.import_onnx(copy))
    finally:
        G_LOGGER.severity = severity


def _comparable(proto: Any) -> tuple[Any, ...]:
    """All that a runtime sees, without the orders and the spellings of absence that mean nothing."""
    graph = proto.graph
    return (
        proto.ir_version,
        (proto.producer_name, proto.producer_version),
        {entry.domain: entry.version for entry in proto.opset_import},
        (graph.name, graph.doc_string),
        [_node(node) for node in graph.node],
        {tensor.name: tensor.SerializeToString() for tensor in graph.initializer},
        [info.SerializeToString() for info in (*graph.input, *graph.output)],
        {info.name: info.SerializeToString() for info in graph.value_info},
    )


def _node(node: Any) -> tuple[Any, ...]:
    attributes = {attribute.name: _attribute(attribute) for attribute in node.attribute}
    return node.op_type, node.domain, node.name, list(node.input), list(node.output), attributes


def _attribute(proto: Any) -> bytes:
    if proto.HasField("t") and not proto.t.name:
        copy = pb().AttributeProto()
        copy.CopyFrom(proto)
        copy.t.ClearField("name")
        proto = copy
    data: bytes = proto.SerializeToString()
    return data
