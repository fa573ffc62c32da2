"""Core ML's protobuf messages, from a descriptor set of our own.

Source: coremltools ``mlmodel/format/*.proto``, derived by ``tools/derive/coreml_schema.py``. The messages
live in a private pool, so they never meet the same ones of an installed coremltools.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ..wire import LEAF

_HERE = Path(__file__).resolve().parent
PREFIX = "CoreML.Specification."
STORED = 536870000
"""Field of ``WeightParams`` and ``TensorValue`` where the reader notes the place of bytes that it skipped."""

DTYPES = {
    1: "bool",
    2: "string",
    10: "float16",
    11: "float32",
    12: "float64",
    13: "bfloat16",
    21: "int8",
    22: "int16",
    23: "int32",
    24: "int64",
    25: "int4",
    31: "uint8",
    32: "uint16",
    33: "uint32",
    34: "uint64",
    35: "uint4",
    36: "uint2",
    37: "uint1",
    38: "uint6",
    39: "uint3",
    40: "float8e4m3fn",
    41: "float8e5m2",
}
"""MIL ``DataType`` by number (MIL.proto)."""

OPSETS = {"CoreML5": 15, "CoreML6": 16, "CoreML7": 17, "CoreML8": 18, "CoreML9": 26}
"""iOS release by the opset string of a MIL function (coremltools ``_OPSET``)."""


@cache
def _pool() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool

    files = descriptor_pb2.FileDescriptorSet.FromString((_HERE / "spec.binpb").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


@cache
def message(name: str) -> Any:
    """The message class of that name, without the prefix ``CoreML.Specification.``."""
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(PREFIX + name))


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one MIL operator: tensors and weights, and configuration, in declared order."""

    inputs: tuple[str, ...]
    attrs: frozenset[str]
    dtypes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What an attribute may be stored as."""


@cache
def operators() -> dict[str, Parameters]:
    """Every MIL operator that coremltools 9.0 knows, and the three that only serialized programs hold."""
    table = json.loads((_HERE / "ops.json").read_text())
    known = {
        name: Parameters(
            tuple(entry["inputs"]),
            frozenset(entry["attrs"]),
            {key: tuple(kinds) for key, kinds in entry["dtypes"].items()},
        )
        for name, entry in table.items()
    }
    known["write_state"] = Parameters(("input", "data"), frozenset())
    known["custom_layer"] = Parameters(
        (), frozenset({"class_name", "input_order", "parameters", "weights", "description"})
    )
    known["while_loop"] = Parameters(("loop_vars",), frozenset())
    return known


_HEAVY_FIELDS = {
    PREFIX + "WeightParams": (1, 2, 30, 31),
    PREFIX + "MILSpec.TensorValue": (1, 6, 7),
}
"""Where large values are stored: WeightParams floatValue, float16Value, rawValue, int8RawValue; TensorValue
floats, doubles, bytes.
"""


@cache
def routes() -> dict[str, dict[int, str]]:
    """By message: the fields that hold skippable bytes (``LEAF``) or a message that leads to some (its full
    name).
    """
    children: dict[str, dict[int, str]] = {}
    waiting = [message("Model").DESCRIPTOR]
    while waiting:
        descriptor = waiting.pop()
        if descriptor.full_name in children:
            continue
        own = {
            field.number: field.message_type for field in descriptor.fields if field.message_type is not None
        }
        children[descriptor.full_name] = {number: kind.full_name for number, kind in own.items()}
        waiting.extend(own.values())
    useful = set(_HEAVY_FIELDS)
    grown = True
    while grown:
        more = {
            name
            for name, fields in children.items()
            if name not in useful and useful.intersection(fields.values())
        }
        useful |= more
        grown = bool(more)
    table = {
        name: {number: kind for number, kind in children[name].items() if kind in useful} for name in useful
    }
    for name, numbers in _HEAVY_FIELDS.items():
        table[name].update(dict.fromkeys(numbers, LEAF))
    return table
