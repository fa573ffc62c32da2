"""The FlatBuffers schema of ONNX Runtime's format, as far as a graph is made of it.

Source: microsoft/onnxruntime, ``onnxruntime/core/flatbuffers/schema/ort.fbs`` (commit 10b2886dc2c6), with
``Tensor.external_data_offset`` of later releases. The edges between nodes, what kernels were chosen and which
optimizations a minimal build may apply when it loads the file are not read, only counted.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ..tflite.schema import Schema, fields_of

ENUMS = {
    "AttributeType": (
        "int",
        "UNDEFINED FLOAT INT STRING TENSOR GRAPH FLOATS INTS STRINGS TENSORS GRAPHS "
        "SPARSE_TENSOR SPARSE_TENSORS",
    ),
    "DimensionValueType": ("byte", "UNKNOWN VALUE PARAM"),
    "NodeType": ("int", "Primitive Fused"),
}
UNIONS: dict[str, tuple[str, ...]] = {"TypeInfoValue": ("TensorTypeAndShape", "SequenceType", "MapType")}
TABLES: dict[str, list[list[Any]]] = {
    "InferenceSession": [
        ["ort_version", "string", None],
        ["model", "Model", None],
        ["session_state", "Left", None, "deprecated"],
    ],
    "Model": [
        ["ir_version", "long", 0],
        ["opset_import", "[OperatorSetId]", None],
        ["producer_name", "string", None],
        ["producer_version", "string", None],
        ["domain", "string", None],
        ["model_version", "long", 0],
        ["doc_string", "string", None],
        ["graph", "Graph", None],
        ["graph_doc_string", "string", None],
        ["metadata_props", "[StringStringEntry]", None],
    ],
    "OperatorSetId": [["domain", "string", None], ["version", "long", 0]],
    "StringStringEntry": [["key", "string", None], ["value", "string", None]],
    "Graph": [
        ["initializers", "[Tensor]", None],
        ["node_args", "[ValueInfo]", None],
        ["nodes", "[Node]", None],
        ["max_node_index", "uint", 0],
        ["node_edges", "[Left]", None, "deprecated"],
        ["inputs", "[string]", None],
        ["outputs", "[string]", None],
        ["sparse_initializers", "[SparseTensor]", None],
        ["runtime_optimizations", "RuntimeOptimizations", None],
    ],
    "Node": [
        ["name", "string", None],
        ["doc_string", "string", None],
        ["domain", "string", None],
        ["since_version", "int", 0],
        ["index", "uint", 0],
        ["op_type", "string", None],
        ["type", "NodeType", "Primitive"],
        ["execution_provider_type", "string", None],
        ["inputs", "[string]", None],
        ["outputs", "[string]", None],
        ["attributes", "[Attribute]", None],
    ],
    "Attribute": [
        ["name", "string", None],
        ["doc_string", "string", None],
        ["type", "AttributeType", "UNDEFINED"],
        ["f", "float", 0.0],
        ["i", "long", 0],
        ["s", "string", None],
        ["t", "Tensor", None],
        ["g", "Graph", None],
        ["floats", "[float]", None],
        ["ints", "[long]", None],
        ["strings", "[string]", None],
        ["tensors", "[Tensor]", None],
        ["graphs", "[Graph]", None],
    ],
    "Tensor": [
        ["name", "string", None],
        ["doc_string", "string", None],
        ["dims", "[long]", None],
        ["data_type", "int", 0],
        ["raw_data", "[ubyte]", None],
        ["string_data", "[string]", None],
        ["external_data_offset", "long", -1],
    ],
    "SparseTensor": [["values", "Tensor", None], ["indices", "Tensor", None], ["dims", "[long]", None]],
    "ValueInfo": [["name", "string", None], ["doc_string", "string", None], ["type", "TypeInfo", None]],
    "TypeInfo": [["denotation", "string", None], ["value", "TypeInfoValue", None]],
    "TensorTypeAndShape": [["elem_type", "int", 0], ["shape", "Shape", None]],
    "SequenceType": [["elem_type", "TypeInfo", None]],
    "MapType": [["key_type", "int", 0], ["value_type", "TypeInfo", None]],
    "Shape": [["dim", "[Dimension]", None]],
    "Dimension": [["value", "DimensionValue", None], ["denotation", "string", None]],
    "DimensionValue": [
        ["dim_type", "DimensionValueType", "UNKNOWN"],
        ["dim_value", "long", 0],
        ["dim_param", "string", None],
    ],
    "RuntimeOptimizations": [["records", "[RuntimeOptimizationRecordContainerEntry]", None]],
    "RuntimeOptimizationRecordContainerEntry": [
        ["optimizer_name", "string", None],
        ["runtime_optimization_records", "[RuntimeOptimizationRecord]", None],
    ],
    "RuntimeOptimizationRecord": [["action_id", "string", None]],
}
"""Name, type and default of the fields of each table, in the order of their slots."""


@lru_cache(maxsize=1)
def schema() -> Schema:
    """The schema, made once."""
    enums = {name: dict(enumerate(members.split())) for name, (_, members) in ENUMS.items()}
    bases = {name: {"int": "i", "byte": "b"}[base] for name, (base, _) in ENUMS.items()}
    tables = {name: fields_of(rows, bases, UNIONS) for name, rows in TABLES.items()}
    source = {"project": "microsoft/onnxruntime", "date": "2026"}
    return Schema(tables, enums, bases, UNIONS, {}, source)
