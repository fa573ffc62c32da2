"""The TensorFlow messages that a reader needs, declared here so that TensorFlow need not be installed.

Names, numbers and types are those of tensorflow/core/framework/*.proto and tensorflow/core/protobuf/*.proto
(TensorFlow 2.21; a field never changes its number). Fields that no reader asks for are left out: protobuf
keeps them as unknown fields. The messages live in a descriptor pool and a package of their own, so that
TensorFlow's own modules can be imported into the same process before or after.

``TensorProto.file_offset`` and ``file_length`` are ours: ``tf_wire`` puts them where it skipped
``tensor_content``.
"""

from __future__ import annotations

from functools import cache
from typing import Any

SKIPPED_OFFSET, SKIPPED_LENGTH = 1001, 1002

DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    8: "complex64",
    9: "int64",
    10: "bool",
    11: "qint8",
    12: "quint8",
    13: "qint32",
    14: "bfloat16",
    15: "qint16",
    16: "quint16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    20: "resource",
    21: "variant",
    22: "uint32",
    23: "uint64",
    24: "float8e5m2",
    25: "float8e4m3fn",
    26: "float8e4m3fnuz",
    27: "float8e4m3b11fnuz",
    28: "float8e5m2fnuz",
    29: "int4",
    30: "uint4",
    31: "int2",
    32: "uint2",
    33: "float4e2m1",
}
"""tensorflow.DataType by number (types.proto); 100 more is the reference type of the same element."""

_ENUM = {
    "DT_INVALID": 0,
    "DT_FLOAT": 1,
    "DT_DOUBLE": 2,
    "DT_INT32": 3,
    "DT_UINT8": 4,
    "DT_INT16": 5,
    "DT_INT8": 6,
    "DT_STRING": 7,
    "DT_COMPLEX64": 8,
    "DT_INT64": 9,
    "DT_BOOL": 10,
    "DT_QINT8": 11,
    "DT_QUINT8": 12,
    "DT_QINT32": 13,
    "DT_BFLOAT16": 14,
    "DT_QINT16": 15,
    "DT_QUINT16": 16,
    "DT_UINT16": 17,
    "DT_COMPLEX128": 18,
    "DT_HALF": 19,
    "DT_RESOURCE": 20,
    "DT_VARIANT": 21,
    "DT_UINT32": 22,
    "DT_UINT64": 23,
    "DT_FLOAT_REF": 101,
    "DT_DOUBLE_REF": 102,
    "DT_INT32_REF": 103,
    "DT_STRING_REF": 107,
    "DT_INT64_REF": 109,
    "DT_BOOL_REF": 110,
}
"""Names that the text form of a SavedModel uses."""

# Message: "number type name" each; "*" repeats, "map<K,V>" is a map, "?" puts the field in the message's one
# oneof.
MESSAGES: dict[str, tuple[str, ...]] = {
    "SavedModel": ("1 int64 saved_model_schema_version", "2 *MetaGraphDef meta_graphs"),
    "MetaGraphDef": (
        "1 MetaInfoDef meta_info_def",
        "2 GraphDef graph_def",
        "5 map<string,SignatureDef> signature_def",
        "7 SavedObjectGraph object_graph_def",
    ),
    "MetaInfoDef": (
        "2 OpList stripped_op_list",
        "4 *string tags",
        "5 string tensorflow_version",
        "7 bool stripped_default_attrs",
    ),
    "OpList": ("1 *OpDef op",),
    "OpDef": (
        "1 string name",
        "2 *ArgDef input_arg",
        "3 *ArgDef output_arg",
        "4 *AttrDef attr",
        "20 *string control_output",
    ),
    "ArgDef": (
        "1 string name",
        "3 DataType type",
        "4 string type_attr",
        "5 string number_attr",
        "6 string type_list_attr",
        "16 bool is_ref",
    ),
    "AttrDef": ("1 string name", "2 string type", "3 AttrValue default_value"),
    "SignatureDef": (
        "1 map<string,TensorInfo> inputs",
        "2 map<string,TensorInfo> outputs",
        "3 string method_name",
    ),
    "TensorInfo": ("1 string name", "2 DataType dtype", "3 TensorShapeProto tensor_shape"),
    "GraphDef": (
        "1 *NodeDef node",
        "2 FunctionDefLibrary library",
        "4 VersionDef versions",
        "5 GraphDebugInfo debug_info",
    ),
    "VersionDef": ("1 int32 producer", "2 int32 min_consumer"),
    "NodeDef": (
        "1 string name",
        "2 string op",
        "3 *string input",
        "4 string device",
        "5 map<string,AttrValue> attr",
    ),
    "AttrValue": (
        "2 ?bytes s",
        "3 ?int64 i",
        "4 ?float f",
        "5 ?bool b",
        "6 ?DataType type",
        "7 ?TensorShapeProto shape",
        "8 ?TensorProto tensor",
        "1 ?ListValue list",
        "10 ?NameAttrList func",
        "9 ?string placeholder",
    ),
    "ListValue": (
        "2 *bytes s",
        "3 *int64 i",
        "4 *float f",
        "5 *bool b",
        "6 *DataType type",
        "7 *TensorShapeProto shape",
        "8 *TensorProto tensor",
        "9 *NameAttrList func",
    ),
    "NameAttrList": ("1 string name", "2 map<string,AttrValue> attr"),
    "TensorProto": (
        "1 DataType dtype",
        "2 TensorShapeProto tensor_shape",
        "4 bytes tensor_content",
        "13 *int32 half_val",
        "5 *float float_val",
        "6 *double double_val",
        "7 *int32 int_val",
        "8 *bytes string_val",
        "9 *float scomplex_val",
        "10 *int64 int64_val",
        "11 *bool bool_val",
        "12 *double dcomplex_val",
        "16 *uint32 uint32_val",
        "17 *uint64 uint64_val",
        "18 bytes float8_val",
        f"{SKIPPED_OFFSET} uint64 file_offset",
        f"{SKIPPED_LENGTH} uint64 file_length",
    ),
    "TensorShapeProto": ("2 *Dim dim", "3 bool unknown_rank"),
    "Dim": ("1 int64 size", "2 string name"),
    "FunctionDefLibrary": ("1 *FunctionDef function",),
    "FunctionDef": (
        "1 OpDef signature",
        "5 map<string,AttrValue> attr",
        "7 map<uint32,ArgAttrs> arg_attr",
        "3 *NodeDef node_def",
        "4 map<string,string> ret",
        "6 map<string,string> control_ret",
    ),
    "ArgAttrs": ("1 map<string,AttrValue> attr",),
    "SavedObjectGraph": ("1 *SavedObject nodes", "2 map<string,SavedConcreteFunction> concrete_functions"),
    "SavedObject": (
        "1 *ObjectReference children",
        "3 *SlotVariableReference slot_variables",
        "4 SavedUserObject user_object",
        "6 SavedFunction function",
        "7 SavedVariable variable",
        "8 SavedBareConcreteFunction bare_concrete_function",
    ),
    "ObjectReference": ("1 int32 node_id", "2 string local_name"),
    "SlotVariableReference": ("2 string slot_name",),
    "SavedUserObject": ("1 string identifier",),
    "SavedFunction": ("1 *string concrete_functions",),
    "SavedVariable": ("1 DataType dtype", "2 TensorShapeProto shape", "3 bool trainable", "6 string name"),
    "SavedBareConcreteFunction": ("1 string concrete_function_name",),
    "SavedConcreteFunction": ("2 *int32 bound_inputs",),
    "TrackableObjectGraph": ("1 *TrackableObject nodes",),
    "TrackableObject": ("1 *ObjectReference children", "2 *SerializedTensor attributes"),
    "SerializedTensor": ("1 string name", "2 string full_name", "3 string checkpoint_key"),
    "BundleHeaderProto": ("1 int32 num_shards",),
    "BundleEntryProto": (
        "1 DataType dtype",
        "2 TensorShapeProto shape",
        "3 int32 shard_id",
        "4 int64 offset",
        "5 int64 size",
    ),
    "GraphDebugInfo": (
        "1 *string files",
        "4 map<fixed64,FileLineCol> frames_by_id",
        "6 map<fixed64,StackTrace> traces_by_id",
        "2 map<string,StackTrace> traces",
        "5 map<string,fixed64> name_to_trace_id",
    ),
    "FileLineCol": ("1 int32 file_index", "2 int32 line", "3 int32 col", "4 string func"),
    "StackTrace": ("1 *FileLineCol file_line_cols", "2 *fixed64 frame_id"),
}

UPSTREAM = {
    "ArgDef": "OpDef.ArgDef",
    "AttrDef": "OpDef.AttrDef",
    "ListValue": "AttrValue.ListValue",
    "Dim": "TensorShapeProto.Dim",
    "ArgAttrs": "FunctionDef.ArgAttrs",
    "MetaInfoDef": "MetaGraphDef.MetaInfoDef",
    "FileLineCol": "GraphDebugInfo.FileLineCol",
    "StackTrace": "GraphDebugInfo.StackTrace",
    "TrackableObject": "TrackableObjectGraph.TrackableObject",
    "ObjectReference": "TrackableObjectGraph.TrackableObject.ObjectReference",
    "SlotVariableReference": "TrackableObjectGraph.TrackableObject.SlotVariableReference",
    "SerializedTensor": "TrackableObjectGraph.TrackableObject.SerializedTensor",
}
"""Where TensorFlow nests a message that is declared flat here (nesting does not show on the wire)."""

_SCALARS = {
    "double": 1,
    "float": 2,
    "int64": 3,
    "uint64": 4,
    "int32": 5,
    "fixed64": 6,
    "bool": 8,
    "string": 9,
    "bytes": 12,
    "uint32": 13,
}
_MESSAGE, _ENUMERATION = 11, 14
_PACKAGE = "accelint.tf"


@cache
def message(name: str) -> Any:
    """The class of a message in ``MESSAGES``."""
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))


@cache
def _pool() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool

    file = descriptor_pb2.FileDescriptorProto(name="accelint/tf.proto", package=_PACKAGE, syntax="proto3")
    enum = file.enum_type.add(name="DataType")
    for name, number in _ENUM.items():
        enum.value.add(name=name, number=number)
    for name, lines in MESSAGES.items():
        declared = file.message_type.add(name=name)
        for line in lines:
            _declare(declared, line)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _declare(owner: Any, line: str) -> None:
    number, kind, name = line.split(" ")
    field = owner.field.add(
        name=name, number=int(number), label=3 if kind[0] == "*" or kind.startswith("map<") else 1
    )
    if kind.startswith("map<"):
        key, value = kind[4:-1].split(",")
        entry = owner.nested_type.add(name=name.title().replace("_", "") + "Entry")
        entry.options.map_entry = True
        _type(entry.field.add(name="key", number=1, label=1), key)
        _type(entry.field.add(name="value", number=2, label=1), value)
        field.type, field.type_name = _MESSAGE, f".{_PACKAGE}.{owner.name}.{entry.name}"
        return
    if kind[0] == "?":
        if not owner.oneof_decl:
            owner.oneof_decl.add(name="value")
        field.oneof_index = 0
    _type(field, kind.lstrip("*?"))


def _type(field: Any, kind: str) -> None:
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
        return
    field.type = _ENUMERATION if kind == "DataType" else _MESSAGE
    field.type_name = f".{_PACKAGE}.{kind}"
