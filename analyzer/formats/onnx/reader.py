"""ONNX files to Models. Cost follows structure, not weights: large tensor data is skipped on the wire and
never read.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import GraphError, ModelError
from ...ir.graph import Graph, Operator, Source, Tensor
from ...ir.model import Model
from ...ir.payloads import NOTHING, Constant
from ..wire import Span
from .attributes import Attributes
from .carried import note_plain_shapes
from .functions import check_functions, function_key
from .infer import infer_missing
from .proto import pb, prose, text
from .source import code_of
from .stale import forget_stale
from .stored import GraphRecord, Stored
from .tensors import Values
from .types import Type, Types
from .wire import Stripped, strip

MAX_MEMORY_MODEL = (1 << 31) - 1
_DAMAGED = "the file is damaged or cut off: copy or export it again"


def read(path: Path) -> Model:
    """Read an ONNX file; sizes over 2 GB and external data are fine. Raises ModelError."""
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            stripped = strip(data, len(data))
    except (OSError, ValueError) as error:
        raise ModelError(path, f"cannot be read as ONNX: {error}", _DAMAGED) from error
    return _model(stripped, path, path)


def from_bytes(data: bytes, path: Path = Path("model.onnx")) -> Model:
    """A Model from a serialized ModelProto in memory; ``path`` names it and is where external data is looked
    for.
    """
    return _model(Stripped(data), path, None)


def from_stripped(data: bytes, spans: list[Span], path: Path, file: Path | None) -> Model:
    """A Model from a stripped message; ``spans`` are what its marked tensors stand for, in ``file`` where
    they name no other.
    """
    return _model(Stripped(data, spans), path, file)


def _model(stripped: Stripped, path: Path, file: Path | None) -> Model:
    if len(stripped.data) > MAX_MEMORY_MODEL:
        raise ModelError(
            path, "more than 2 GB beside its tensors", "protobuf cannot hold that: export it again"
        )
    try:
        return _Reader(path, file, stripped).model()
    except UnicodeDecodeError as error:
        raise ModelError(path, f"a name is not UTF-8: {error}", _DAMAGED) from error
    except GraphError as error:
        raise ModelError(path, error.message, _DAMAGED) from error
    except (RecursionError, MemoryError) as error:
        raise ModelError(path, f"nested or sized beyond reason ({type(error).__name__})", _DAMAGED) from error


class _Reader:
    def __init__(self, path: Path, file: Path | None, stripped: Stripped) -> None:
        self.path = path
        self.source = Source(str(path))
        self.nameless = Source(str(path), named=False)
        self.data = stripped.data
        self.proto = self._parse(stripped.data)
        self.values = Values(path, file, stripped.spans)
        self.attributes = Attributes(self.values)
        self.stored = Stored(stripped.data, file, stripped.spans, self.proto)
        self.ir_version: int = self.proto.ir_version
        self.types = Types(self.values)
        self.names: dict[str, str] = {}
        """Each name once: protobuf makes a new string whenever it is asked for one."""

    def _parse(self, data: bytes) -> Any:
        from google.protobuf.message import DecodeError

        try:
            proto = pb().ModelProto.FromString(data)
        except DecodeError as error:
            raise ModelError(self.path, f"not an ONNX model: {error}", _DAMAGED) from error
        if not proto.HasField("graph"):
            raise ModelError(self.path, "an ONNX model without a graph", _DAMAGED)
        return proto

    def model(self) -> Model:
        proto = self.proto
        check_functions(proto, self.path)
        opsets = _opsets(proto.opset_import)
        inferred, problem, wrong = infer_missing(proto, self.data)
        graph = Graph("main", "onnx", opsets)
        stored = self.stored
        self.fill(graph, proto.graph, inferred.graph, lambda: stored.proto.graph)
        if not problem:
            note_plain_shapes(graph, proto, self.types.of_graph)
        forget_stale(graph)
        graph.facts = replace(
            graph.facts, ir_version=self.ir_version, faults={**wrong, **self.attributes.wrong}
        )
        functions: dict[str, Graph] = {}
        for index, function in enumerate(proto.functions):
            body = Graph(
                f"functions/{function_key(function)}", "onnx", _opsets(function.opset_import) or opsets
            )
            self.fill_function(body, function, index)
            functions[function_key(function)] = body
        metadata = self.metadata(opsets)
        if problem:
            metadata["shape_inference_error"] = problem
        stored.release()
        return Model(self.path, "onnx", graph, {"main": graph}, functions, metadata, self.stored)

    def metadata(self, opsets: dict[str, int]) -> dict[str, Any]:
        proto = self.proto
        found = {
            "ir_version": self.ir_version,
            "producer": " ".join(
                prose(part) for part in (proto.producer_name, proto.producer_version) if part
            ),
            "domain": prose(proto.domain),
            "model_version": proto.model_version,
            "doc": prose(proto.doc_string),
            "opsets": dict(opsets),
            "properties": {prose(entry.key): prose(entry.value) for entry in proto.metadata_props},
        }
        return {key: value for key, value in found.items() if value}

    # ---- graphs ----------------------------------------------------------------------------

    def fill(self, graph: Graph, proto: Any, inferred: Any, find: Callable[[], Any]) -> None:
        """Fill a graph from its GraphProto, which ``find`` gives later; ``inferred`` is its twin that has the
        inferred types.
        """
        record = self.stored.graphs[graph.name] = GraphRecord(find)
        types = self.types.of_graph(proto, inferred)
        interface = [text(info.name) for info in proto.input]
        inputs = self.add_inputs(graph, proto, types, interface)
        self.add_results(graph, proto.node, types)
        outputs = [text(info.name) for info in proto.output]
        for name in outputs:
            if not name:
                raise GraphError(f"an output of graph {graph.name!r} has no name")
        self.add_ops(graph, proto.node, inferred.node, record)
        graph.set_interface(inputs, outputs)
        self.note(graph, proto)
        graph.ops()
        record.tensors = dict(graph.tensors)
        record.inputs, record.outputs = graph.inputs, graph.outputs

    def fill_function(self, graph: Graph, proto: Any, index: int) -> None:
        """Fill the body of a local function; its inputs have no types of their own."""
        stored = self.stored
        record = self.stored.graphs[graph.name] = GraphRecord(lambda: stored.proto.functions[index])
        types = self.types.stored(proto.value_info)
        for name in proto.input:
            self.add(graph, name, types, NOTHING)
        self.add_results(graph, proto.node, types)
        self.add_ops(graph, proto.node, proto.node, record)
        graph.set_interface(proto.input, proto.output)
        graph.attrs["parameters"] = (
            *map(text, proto.attribute),
            *(text(attribute.name) for attribute in proto.attribute_proto),
        )
        graph.ops()
        record.tensors = dict(graph.tensors)
        record.inputs, record.outputs = graph.inputs, graph.outputs

    def note(self, graph: Graph, proto: Any) -> None:
        graph.attrs["name"] = text(proto.name)
        if proto.doc_string:
            graph.attrs["doc"] = prose(proto.doc_string)
        if proto.quantization_annotation:
            graph.attrs["quantization_annotation"] = {
                text(note.tensor_name): {
                    text(entry.key): text(entry.value) for entry in note.quant_parameter_tensor_names
                }
                for note in proto.quantization_annotation
            }

    def add_inputs(self, graph: Graph, proto: Any, types: dict[str, Type], interface: list[str]) -> list[str]:
        """Add inputs and initializers; an initializer that is also an input is a default value from IR
        version 4 on.
        """
        listed = set(interface)
        constants = {text(tensor.name): self.values.constant(tensor) for tensor in proto.initializer}
        sparse = {text(tensor.values.name): self.values.sparse(tensor) for tensor in proto.sparse_initializer}
        overridable = listed if self.ir_version >= 4 or graph.outer is not None else set()
        for name in interface:
            default = constants.get(name)
            if default is None or name in overridable:
                self.add(graph, name, types, NOTHING if default is None else {"default": default})
        for name, const in (constants | sparse).items():
            if not name:
                raise GraphError(f"an initializer of graph {graph.name!r} has no name")
            if name not in overridable:
                attrs = {"sparse": True} if name in sparse else self.place(const)
                graph.add_tensor(Tensor(name, const.dtype, const.shape, const, attrs=attrs))
        return [name for name in interface if name in overridable or name not in constants]

    def place(self, const: Constant) -> Mapping[str, Any]:
        """What is noted of a value that is stored beside the model's file."""
        return NOTHING if const.file in (None, self.values.file) else {"external": True}

    def add(self, graph: Graph, name: str, types: dict[str, Type], attrs: Mapping[str, Any]) -> None:
        if not name:
            raise GraphError(f"an input of graph {graph.name!r} has no name")
        dtype, shape = types.get(text(name), ("unknown", None))
        graph.add_tensor(Tensor(name, dtype, shape, attrs=attrs))

    def add_results(self, graph: Graph, nodes: Any, types: dict[str, Type]) -> None:
        tensors, unknown, own = graph.tensors, ("unknown", None), self.names.setdefault
        for node in nodes:
            for name in node.output:
                if name and name not in tensors:
                    dtype, shape = types.get(text(name), unknown)
                    graph.add_tensor(Tensor(own(name, name), dtype, shape))

    def add_ops(self, graph: Graph, nodes: Any, inferred: Any, record: GraphRecord) -> None:
        made: list[Operator] = []
        for index, node in enumerate(nodes):
            op = self.operator(graph, index, node, inferred, record)
            graph.add_op(op)
            made.append(op)
        record.ops = tuple(made)

    def operator(self, graph: Graph, index: int, node: Any, inferred: Any, record: GraphRecord) -> Operator:
        op_id = f"{graph.name}/{index}"
        kind, domain, name = text(node.op_type), text(node.domain), text(node.name)
        if not kind:
            raise GraphError(f"operator {op_id} has no type")
        if domain == "ai.onnx":
            domain = ""
        attrs, bodies = NOTHING, NOTHING
        if node.attribute:
            attrs, found = self.attributes.read(node, op_id, self.ir_version)
            bodies = self.bodies(graph, op_id, found, inferred[index], record) if found else NOTHING
            attrs = attrs or NOTHING
        own = self.names.setdefault
        outputs = tuple([own(name, name) or None for name in node.output])
        plain = self.source if name else self.nameless
        return Operator(
            id=op_id,
            type=own(kind, kind),
            inputs=tuple([own(name, name) or None for name in node.input]),
            outputs=outputs,
            attrs=attrs,
            name=own(name, name) or next((name for name in outputs if name), op_id),
            domain=domain,
            version=graph.opsets.get(domain, 1),
            graphs=bodies,
            source=code_of(node, plain) if node.metadata_props else plain,
        )

    def bodies(
        self, graph: Graph, op_id: str, found: Mapping[str, Any], twin: Any, record: GraphRecord
    ) -> dict[str, Graph]:
        """The bodies of an operator, filled; ``twin`` is its node with the inferred types."""
        twins = self.attributes.bodies(twin)
        place = int(op_id.rpartition("/")[2])
        bodies: dict[str, Graph] = {}
        for key, proto in found.items():
            body = bodies[key] = Graph(f"{op_id}/{key}", "onnx", graph.opsets, graph)
            find = partial(_body, self.attributes, record, place, key)
            self.fill(body, proto, twins.get(key, proto), find)
        return bodies


def _body(attributes: Attributes, record: GraphRecord, place: int, key: str) -> Any:
    """The GraphProto of a body of a stored node."""
    return attributes.bodies(record.proto.node[place])[key]


def _opsets(imports: Any) -> dict[str, int]:
    """Version by domain; the default domain is the empty string."""
    return {"" if entry.domain == "ai.onnx" else text(entry.domain): entry.version for entry in imports}
