"""Files of ONNX Runtime's format to Models: the graph becomes an ONNX message, large weights stay where
they are.

Nodes are stored by index and not in execution order; the graph sorts them. ONNX Runtime runs no graph
optimization on such a file when it loads it (measured with 1.31.1: 29 operators that were saved without
optimization are 29 at the default level), so a check is of the operators as they are stored.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import ModelError
from ...ir.model import Model
from ..onnx.proto import pb
from ..onnx.reader import from_stripped
from ..onnx.wire import MARK, RAW_DATA
from ..tflite.flat import Broken, Flat, Row
from ..wire import KEEP, Span
from .schema import ENUMS, schema

_DAMAGED = "the file is damaged or cut off: copy it or convert the ONNX model again"
_NUMBERS = {name: number for number, name in enumerate(ENUMS["AttributeType"][1].split())}


def read(path: Path) -> Model:
    """Read a file of ONNX Runtime's format. Raises ModelError."""
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            made = _Reader(path, Flat(data, schema()))
            message = made.message()
    except (Broken, OSError, ValueError) as error:
        raise ModelError(path, f"cannot be read as ONNX Runtime's format: {error}", _DAMAGED) from error
    model = from_stripped(message.SerializeToString(), made.spans, path, path)
    told = {"ort_version": made.version, "runtime_optimizations": made.records}
    metadata = {**model.metadata, **{key: value for key, value in told.items() if value}}
    return replace(model, format="ort", metadata=metadata)


class _Reader:
    def __init__(self, path: Path, flat: Flat) -> None:
        self.path = path
        self.flat = flat
        self.spans: list[Span] = []
        self.version = ""
        self.records = 0

    def message(self) -> Any:
        """The ModelProto, its large tensors marked."""
        root = self.flat.root("InferenceSession", b"ORTM")
        self.version = root["ort_version"] or ""
        row = root["model"]
        if row is None or row["graph"] is None:
            raise Broken("there is no graph in it")
        model = pb().ModelProto(ir_version=row["ir_version"], model_version=row["model_version"])
        for field in ("producer_name", "producer_version", "domain", "doc_string"):
            setattr(model, field, row[field] or "")
        for entry in row["opset_import"] or ():
            model.opset_import.add(domain=entry["domain"] or "", version=entry["version"])
        for entry in row["metadata_props"] or ():
            model.metadata_props.add(key=entry["key"] or "", value=entry["value"] or "")
        self.graph(model.graph, row["graph"])
        model.graph.doc_string = row["graph_doc_string"] or ""
        return model

    def graph(self, graph: Any, row: Row) -> None:
        types = {info["name"] or "": info["type"] for info in row["node_args"] or ()}
        nodes = sorted(row["nodes"] or (), key=lambda node: node["index"])
        for name in row["inputs"] or ():
            self.value(graph.input.add(name=name), types)
        for name in row["outputs"] or ():
            self.value(graph.output.add(name=name), types)
        for tensor in row["initializers"] or ():
            self.tensor(graph.initializer.add(), tensor)
        for sparse in row["sparse_initializers"] or ():
            self.sparse(graph.sparse_initializer.add(), sparse)
        for node in nodes:
            self.node(graph.node.add(), node)
        given = {*(row["inputs"] or ()), *(row["outputs"] or ())}
        for name in dict.fromkeys(name for node in graph.node for name in node.output):
            if name and name not in given and types.get(name):
                self.value(graph.value_info.add(name=name), types)
        kept = row["runtime_optimizations"]
        for entry in (kept["records"] if kept else None) or ():
            self.records += len(entry["runtime_optimization_records"] or ())

    def node(self, node: Any, row: Row) -> None:
        if row["type"] != "Primitive":
            raise Broken(f"the node {row['name']!r} was fused by a provider and holds no operators")
        node.name, node.op_type, node.domain = (row[key] or "" for key in ("name", "op_type", "domain"))
        node.input.extend(row["inputs"] or ())
        node.output.extend(row["outputs"] or ())
        for attribute in row["attributes"] or ():
            self.attribute(node.attribute.add(), attribute)

    def attribute(self, attribute: Any, row: Row) -> None:
        kind = row["type"]
        attribute.name, attribute.type = row["name"] or "", _NUMBERS[kind]
        if kind in ("FLOAT", "INT"):
            setattr(attribute, kind[0].lower(), row[kind[0].lower()])
        elif kind == "STRING":
            attribute.s = (row["s"] or "").encode()
        elif kind in ("FLOATS", "INTS"):
            getattr(attribute, kind.lower()).extend(row[kind.lower()] or ())
        elif kind == "STRINGS":
            attribute.strings.extend(text.encode() for text in row["strings"] or ())
        elif kind == "TENSOR":
            self.tensor(attribute.t, self._there(row, "t"))
        elif kind == "GRAPH":
            self.graph(attribute.g, self._there(row, "g"))
        elif kind == "TENSORS":
            for tensor in row["tensors"] or ():
                self.tensor(attribute.tensors.add(), tensor)
        elif kind == "GRAPHS":
            for graph in row["graphs"] or ():
                self.graph(attribute.graphs.add(), graph)
        else:
            raise Broken(f"the attribute {attribute.name!r} is of the type {kind}")

    def _there(self, row: Row, field: str) -> Row:
        found: Row | None = row[field]
        if found is None:
            raise Broken(f"the attribute {row['name']!r} has no value")
        return found

    def tensor(self, tensor: Any, row: Row) -> None:
        """A small value is copied, a large one becomes a span of the file."""
        tensor.name, tensor.data_type = row["name"] or "", row["data_type"]
        tensor.dims.extend(row["dims"] or ())
        if row["external_data_offset"] >= 0:
            raise ModelError(
                self.path,
                f"the weights are not in the file: tensor {tensor.name!r} lies in a training checkpoint",
                "give the ONNX file that it was made from",
            )
        if row["data_type"] == pb().TensorProto.STRING:
            tensor.string_data.extend(text.encode() for text in row["string_data"] or ())
            return
        at, length = row["raw_data"] or (0, 0)
        if length <= KEEP:
            tensor.raw_data = self.flat.take((at, length)) if length else b""
            return
        tensor.external_data.add(key=MARK, value=str(len(self.spans)))
        tensor.data_location = pb().TensorProto.EXTERNAL
        self.spans.append(Span(RAW_DATA, at, length))

    def sparse(self, sparse: Any, row: Row) -> None:
        if row["values"] is None or row["indices"] is None:
            raise Broken("a sparse initializer without values or indices")
        self.tensor(sparse.values, row["values"])
        self.tensor(sparse.indices, row["indices"])
        sparse.dims.extend(row["dims"] or ())

    def value(self, info: Any, types: Mapping[str, Row | None]) -> None:
        found = types.get(info.name)
        if found is not None:
            self.type(info.type, found)

    def type(self, proto: Any, row: Row) -> None:
        union: tuple[str, Row] = row["value"] or ("", {})
        kind, value = union
        if kind == "TensorTypeAndShape":
            proto.tensor_type.elem_type = value["elem_type"]
            if value["shape"] is not None:
                _fill(proto.tensor_type.shape, value["shape"]["dim"] or ())
        elif kind == "SequenceType" and value["elem_type"] is not None:
            self.type(proto.sequence_type.elem_type, value["elem_type"])
        elif kind == "MapType" and value["value_type"] is not None:
            proto.map_type.key_type = value["key_type"]
            self.type(proto.map_type.value_type, value["value_type"])


def _fill(shape: Any, dims: Sequence[Row]) -> None:
    shape.SetInParent()
    for row in dims:
        dim, value = shape.dim.add(), row["value"] or {}
        if value.get("dim_type") == "VALUE":
            dim.dim_value = value["dim_value"]
        elif value.get("dim_type") == "PARAM":
            dim.dim_param = value["dim_param"] or ""
