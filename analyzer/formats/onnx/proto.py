"""onnx's protobuf classes and its C++ shape inference, without paying for ``import onnx``.

``onnx/__init__`` imports numpy and every helper module (0.1 to 0.8 s); the protobuf module alone takes
0.04 s and the C++ extension 0.01 s. Both are loaded under their real names, so that a later
``import onnx`` in the same process finds and uses them.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from ...errors import GraphError, MissingExtraError

if TYPE_CHECKING:
    from types import ModuleType

DTYPES: dict[int, str] = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    8: "string",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    14: "complex64",
    15: "complex128",
    16: "bfloat16",
    17: "float8e4m3fn",
    18: "float8e4m3fnuz",
    19: "float8e5m2",
    20: "float8e5m2fnuz",
    21: "uint4",
    22: "int4",
    23: "float4e2m1",
    24: "float8e8m0",
    25: "uint2",
    26: "int2",
    27: "float6e2m3",
    28: "float6e3m2",
}
"""dtype by ``TensorProto.DataType``. Source: onnx 1.23, onnx-ml.proto."""
NUMBERS: dict[str, int] = {dtype: number for number, dtype in DTYPES.items()}


_LOADING = Lock()
"""Threads that read their first models at once must not see a module before it has been executed."""


def _package() -> Path:
    spec = find_spec("onnx")
    if spec is None or spec.origin is None:
        raise MissingExtraError("onnx", "all", "reading ONNX files")
    return Path(spec.origin).parent


def _load(name: str, pattern: str) -> ModuleType:
    with _LOADING:
        return _loaded(name, pattern)


def _loaded(name: str, pattern: str) -> ModuleType:
    full = f"onnx.{name}"
    if full in sys.modules:
        return sys.modules[full]
    if "onnx" in sys.modules:
        return import_module(full)
    file = next(iter(sorted(_package().glob(pattern))), None)
    spec = None if file is None else spec_from_file_location(full, file)
    if spec is None or spec.loader is None:
        return import_module(full)
    module = module_from_spec(spec)
    sys.modules[full] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[full]
        raise
    return module


@cache
def pb() -> Any:
    """The module ``onnx.onnx_ml_pb2``."""
    return _load("onnx_ml_pb2", "onnx_ml_pb2.py")


@cache
def native() -> Any:
    """The extension module ``onnx.onnx_cpp2py_export`` (checker, schemas, shape inference)."""
    return _load("onnx_cpp2py_export", "onnx_cpp2py_export*.[sp][oy]*")


def extension_file() -> Path:
    """The file of that extension module, for a process that needs nothing else. Raises ImportError."""
    found = next(iter(sorted(_package().glob("onnx_cpp2py_export*.[sp][oy]*"))), None)
    if found is None:
        raise ImportError("onnx has no extension module onnx_cpp2py_export")
    return found


def text(value: str | bytes) -> str:
    """A name. Raises GraphError when it is not UTF-8, for which protobuf gives bytes."""
    if isinstance(value, bytes):
        raise GraphError(f"the name {value[:40]!r} is not UTF-8")
    return value


def prose(value: str | bytes) -> str:
    """Text that nothing refers to, whatever its encoding."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def attribute_type(op_type: str, domain: str, version: int, attribute: str) -> int | None:
    """The ``AttributeProto.AttributeType`` that the operator's schema declares, None when there is no
    schema.
    """
    defs = native().defs
    try:
        schema = defs.get_schema(op_type, version, domain)
    except Exception:  # onnx's own SchemaError class is private to the extension
        return None
    declared = schema.attributes.get(attribute)
    return None if declared is None else int(declared.type.value)
