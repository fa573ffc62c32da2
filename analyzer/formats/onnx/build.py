"""Model to ModelProto: stored messages where nothing changed, new ones where an edit was made."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from ...errors import GraphError
from ...ir.dtypes import BITS
from ...ir.model import OWN
from ..wire import KEEP, Span
from .attributes import GRAPH, GRAPHS, fill_attribute, kind_of, name_types
from .functions import function_key
from .proto import DTYPES, NUMBERS, attribute_type, pb
from .stored import GraphRecord, Stored
from .types import store_type
from .wire import MARK, RAW_DATA

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ...ir.graph import Constant, Graph, Operator, Tensor
    from ...ir.model import Model

IR_VERSIONS = (
    (7, 3),
    (8, 3),
    (9, 4),
    (10, 5),
    (11, 6),
    (12, 7),
    (14, 7),
    (18, 8),
    (20, 9),
    (22, 10),
    (23, 11),
    (24, 12),
)
"""The lowest IR version that came with an opset or a later one. Source: onnx, docs/Versioning.md."""


class Builder:
    """Builds the protobuf message of one model.

    Attributes:
        spans: what the tensors that carry a ``MARK`` stand for; those of the stored model come first.
    """

    def __init__(self, model: Model) -> None:
        self.source = model
        self.stored = model.stored if isinstance(model.stored, Stored) else Stored(b"", None, [])
        self.spans = list(self.stored.spans)
        self.ir_version = 0

    @property
    def unchanged(self) -> bool:
        """True when nothing was edited since the model was read."""
        return all(map(self.stored.unchanged, (self.source.graph, *self.source.functions.values())))

    def model(self) -> Any:
        """The ModelProto; values that stay in files are marked spans or external data, not bytes."""
        proto = pb().ModelProto()
        proto.CopyFrom(self.stored.proto)
        if not proto.ir_version:
            proto.ir_version = _ir_version(self.source.graph.opsets.get("", 1))
            name_types(proto.graph)
        self.ir_version = proto.ir_version
        _set_opsets(proto.opset_import, self.source.graph.opsets)
        self.graph(proto.graph, self.source.graph)
        if not proto.graph.name:
            proto.graph.name = self.source.graph.name
        self.functions(proto)
        _set_properties(proto, self.source.metadata.get("properties", {}))
        return proto

    def functions(self, proto: Any) -> None:
        """Bring the local functions up to date."""
        stored = {function_key(function): function for function in self.stored.proto.functions}
        functions: list[Any] = []
        for key, body in self.source.functions.items():
            function = pb().FunctionProto()
            if key in stored:
                function.CopyFrom(stored[key])
            else:
                function.domain, function.name, *overload = key.split("::")
                function.overload = "".join(overload)
                function.attribute.extend(body.attrs.get("parameters", ()))
            if not self.stored.unchanged(body):
                self.function(function, body)
            functions.append(function)
        del proto.functions[:]
        proto.functions.extend(functions)

    def function(self, proto: Any, graph: Graph) -> None:
        """Bring a FunctionProto up to date with its body."""
        record = self.stored.graphs.get(graph.name) or GraphRecord(lambda: proto)
        self.nodes(proto, graph, record)
        proto.input[:], proto.output[:] = graph.inputs, graph.outputs
        _set_opsets(proto.opset_import, graph.opsets)
        self.value_infos(proto, graph, record)

    def graph(self, proto: Any, graph: Graph) -> None:
        """Bring a GraphProto, a copy of the stored one or an empty one, up to date."""
        if self.stored.unchanged(graph):
            return
        record = self.stored.graphs.get(graph.name) or GraphRecord(pb().GraphProto)
        self.nodes(proto, graph, record)
        self.initializers(proto, graph, record)
        self.interface(proto, graph, record)
        self.value_infos(proto, graph, record)
        gone = [
            note
            for note in proto.quantization_annotation
            if note.tensor_name in record.tensors and graph.find(note.tensor_name) is None
        ]
        for note in gone:
            proto.quantization_annotation.remove(note)

    # ---- operators -------------------------------------------------------------------------

    def nodes(self, proto: Any, graph: Graph, record: GraphRecord) -> None:
        """Replace the nodes."""
        nodes = [self.node(op, graph, record) for op in graph.ops()]
        del proto.node[:]
        proto.node.extend(nodes)

    def node(self, op: Operator, graph: Graph, record: GraphRecord) -> Any:
        """The NodeProto of an operator."""
        before = record.op(op.id)
        if before is not None and self.stored.same(record, op):
            return record.node(before)
        proto = pb().NodeProto()
        if before is None:
            proto.name, proto.op_type, proto.domain = op.name, op.type, op.domain
        else:
            proto.CopyFrom(record.node(before))
        if before is None or before.type != op.type:
            proto.op_type = op.type
        if before is not None and before.domain != op.domain:
            proto.domain = op.domain
        if before is not None and before.name != op.name:
            proto.name = op.name
        if before is None or before.inputs != op.inputs:
            proto.input[:] = [name or "" for name in op.inputs]
        if before is None or before.outputs != op.outputs:
            proto.output[:] = [name or "" for name in op.outputs]
        self.attributes(proto, op, before)
        self.bodies(proto, op)
        return proto

    def attributes(self, proto: Any, op: Operator, before: Operator | None) -> None:
        """Bring the attributes that are not bodies up to date."""
        old: Mapping[str, Any] = {} if before is None else before.attrs
        if op.attrs is old:
            return
        for name in [name for name in old if name not in op.attrs]:
            proto.attribute.remove(_attribute(proto, name))
        for name, value in op.attrs.items():
            if name in old and (
                old[name] is value or (type(old[name]) is type(value) and old[name] == value)
            ):
                continue
            stored = _attribute(proto, name)
            kind = stored.type if stored is not None else None
            kind = kind or attribute_type(op.type, op.domain, op.version, name) or kind_of(value)
            attribute = proto.attribute.add() if stored is None else stored
            doc = attribute.doc_string
            attribute.Clear()
            attribute.name = name
            if doc:
                attribute.doc_string = doc
            fill_attribute(attribute, value, kind, self.tensor)

    def bodies(self, proto: Any, op: Operator) -> None:
        """Bring the bodies up to date; ``name/0`` is the first of a list of bodies."""
        for attribute in [item for item in proto.attribute if item.type in (GRAPH, GRAPHS)]:
            if attribute.name not in {key.partition("/")[0] for key in op.graphs}:
                proto.attribute.remove(attribute)
        for key, body in op.graphs.items():
            name, _, index = key.partition("/")
            attribute = _attribute(proto, name)
            if attribute is None:
                attribute = proto.attribute.add(name=name, type=GRAPHS if index else GRAPH)
            if not index:
                target = attribute.g
            else:
                while len(attribute.graphs) <= int(index):
                    attribute.graphs.add()
                target = attribute.graphs[int(index)]
            self.graph(target, body)
            if not target.name:
                target.name = key

    # ---- tensors ---------------------------------------------------------------------------

    def initializers(self, proto: Any, graph: Graph, record: GraphRecord) -> None:
        """Keep the stored initializers whose value is still that of the graph, and add what is new."""
        values = {
            name: value for name, tensor in graph.tensors.items() if (value := _value(tensor)) is not None
        }
        before = {name: _value(tensor) for name, tensor in record.tensors.items()}
        dense = [
            item
            for item in record.proto.initializer
            if item.name in values and values[item.name] is before.get(item.name)
        ]
        sparse = [item for item in record.proto.sparse_initializer if _same(item.values.name, values, before)]
        kept = {item.name for item in dense} | {item.values.name for item in sparse}
        stored = {item.name: item for item in record.proto.initializer}
        tensors: list[Any] = []
        for item in record.proto.initializer:
            if item.name in kept:
                tensors.append(item)
            elif item.name in values:
                tensors.append(self.tensor(item.name, values[item.name]))
        tensors += [
            self.tensor(name, value)
            for name, value in values.items()
            if name not in kept and name not in stored
        ]
        del proto.initializer[:], proto.sparse_initializer[:]
        proto.initializer.extend(tensors)
        proto.sparse_initializer.extend(sparse)

    def tensor(self, name: str, value: Constant) -> Any:
        """The TensorProto of a value: small ones inline, large ones as a reference to where their bytes
        lie.
        """
        number = NUMBERS.get(value.dtype)
        if number is None:
            raise GraphError(f"the constant {name!r} is of {value.dtype}, which ONNX has not")
        proto = pb().TensorProto(name=name, data_type=number, dims=value.shape)
        if value.dtype == "string":
            proto.string_data.extend(split_strings(value.raw()))
        elif value.file is None or value.loader is not None:
            proto.raw_data = value.raw()
        elif self._is_external(value.file):
            location = value.file.relative_to(self.source.path.parent).as_posix()
            set_external(proto, location, value.offset, value.length)
        elif value.length <= KEEP:
            proto.raw_data = value.raw()
        else:
            self.refer(proto, Span(RAW_DATA, value.offset, value.length, value.file))
        return proto

    def refer(self, proto: Any, span: Span) -> None:
        """Let the value of the tensor be the bytes of a span."""
        self.spans.append(span)
        del proto.external_data[:]
        proto.external_data.add(key=MARK, value=str(len(self.spans) - 1))
        proto.data_location = 1

    def size(self, proto: Any) -> int:
        """Bytes of a tensor's value, from its dtype and dims."""
        bits = BITS[DTYPES[proto.data_type]]
        count = 1
        for dim in proto.dims:
            count *= dim
        return (count * bits + 7) // 8

    def _is_external(self, file: Path) -> bool:
        return (
            self.stored.file is not None
            and file != self.stored.file
            and file.is_relative_to(self.source.path.parent)
        )

    # ---- types -----------------------------------------------------------------------------

    def interface(self, proto: Any, graph: Graph, record: GraphRecord) -> None:
        """Inputs and outputs; before IR version 4 the initializers are inputs too."""
        listed = [info.name for info in record.proto.input]
        wanted = set(graph.inputs)
        if self.ir_version < 4 and graph.outer is None:
            wanted |= {
                name
                for name, tensor in graph.tensors.items()
                if tensor.const is not None and (name in listed or name not in record.tensors)
            }
        order = [name for name in listed if name in wanted]
        if [name for name in order if name in graph.inputs] != [
            name for name in graph.inputs if name in order
        ]:
            order = [*graph.inputs, *(name for name in order if name not in graph.inputs)]
        order += [name for name in graph.inputs if name not in order]
        order += [name for name in graph.tensors if name in wanted and name not in order]
        self._infos(proto.input, order, record.proto.input, graph, record)
        self._infos(proto.output, graph.outputs, record.proto.output, graph, record)

    def value_infos(self, proto: Any, graph: Graph, record: GraphRecord) -> None:
        """Types of the tensors between: the stored ones that still exist, and those of changed or new
        tensors.
        """
        tensors = graph.tensors
        stored = [info.name for info in record.proto.value_info]
        names = [name for name in stored if name in tensors or name not in record.tensors]
        skip = {*stored, *graph.inputs, *graph.outputs}
        for name, tensor in tensors.items():
            if (
                name in skip
                or tensor is record.tensors.get(name)
                or tensor.const is not None
                or "default" in tensor.attrs
            ):
                continue
            if tensor.dtype != "unknown":
                names.append(name)
        self._infos(proto.value_info, names, record.proto.value_info, graph, record)

    def _infos(
        self, target: Any, names: Iterable[str], stored: Any, graph: Graph, record: GraphRecord
    ) -> None:
        known = {info.name: info for info in stored}
        infos: list[Any] = []
        for name in names:
            info = known.get(name)
            tensor = graph.tensors.get(name)
            if info is None or (tensor is not None and tensor is not record.tensors.get(name)):
                info = _updated(info, name, tensor or graph.find(name))
            infos.append(info)
        del target[:]
        target.extend(infos)


def _set_properties(proto: Any, properties: Mapping[str, str]) -> None:
    """Carry the properties that are accelint's own; all others stay as they are stored."""
    for key, value in properties.items():
        if key.startswith(OWN):
            entry = next((item for item in proto.metadata_props if item.key == key), None)
            entry = proto.metadata_props.add(key=key) if entry is None else entry
            entry.value = value


def _ir_version(opset: int) -> int:
    return next((ir for top, ir in IR_VERSIONS if opset <= top), 13)


def _set_opsets(imports: Any, opsets: Mapping[str, int]) -> None:
    stored = {"" if entry.domain == "ai.onnx" else entry.domain: entry for entry in imports}
    for domain, version in opsets.items():
        entry = stored.get(domain)
        if entry is None:
            imports.add(domain=domain, version=version)
        elif entry.version != version:
            entry.version = version


def _attribute(proto: Any, name: str) -> Any:
    return next((item for item in proto.attribute if item.name == name), None)


def _value(tensor: Tensor) -> Constant | None:
    """The value that is stored for a tensor: its constant, or the default of an input."""
    return tensor.const if tensor.const is not None else tensor.attrs.get("default")


def _same(name: str, values: Mapping[str, Constant], before: Mapping[str, Constant | None]) -> bool:
    return name in values and values[name] is before.get(name)


def split_strings(data: bytes) -> list[bytes]:
    """The strings of a string constant, each stored behind its length as four little-endian bytes."""
    found: list[bytes] = []
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        found.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def set_external(proto: Any, location: str, offset: int, size: int) -> None:
    """Let the value of the tensor lie in an external file."""
    del proto.external_data[:]
    proto.external_data.add(key="location", value=location)
    proto.external_data.add(key="offset", value=str(offset))
    proto.external_data.add(key="length", value=str(size))
    proto.data_location = 1


def _updated(info: Any, name: str, tensor: Tensor | None) -> Any:
    """A ValueInfoProto for a tensor, from the stored one where there is one."""
    new = pb().ValueInfoProto()
    if info is not None:
        new.CopyFrom(info)
    new.name = name
    if tensor is not None:
        store_type(new.type, tensor.dtype, tensor.shape)
    return new
