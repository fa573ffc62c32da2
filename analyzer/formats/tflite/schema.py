"""The TFLite schema as tables: what each table's slots hold, each enum's names, each operator's options.

The facts are in ``schema.json``, derived from LiteRT's ``schema.fbs`` by ``tools/derive/tflite_schema.py``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

FORMATS = {
    "bool": "?", "byte": "b", "ubyte": "B", "short": "h", "ushort": "H", "int": "i", "uint": "I",
    "long": "q", "ulong": "Q", "float": "f", "double": "d",
}  # fmt: skip
"""The ``struct`` code of each scalar type of FlatBuffers."""

WIDTHS = {"?": 1, "b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "q": 8, "Q": 8, "f": 4, "d": 8}

DTYPES = {
    "FLOAT32": "float32", "FLOAT16": "float16", "INT32": "int32", "UINT8": "uint8", "INT64": "int64",
    "STRING": "string", "BOOL": "bool", "INT16": "int16", "COMPLEX64": "complex64", "INT8": "int8",
    "FLOAT64": "float64", "COMPLEX128": "complex128", "UINT64": "uint64", "RESOURCE": "resource",
    "VARIANT": "variant", "UINT32": "uint32", "UINT16": "uint16", "INT4": "int4", "BFLOAT16": "bfloat16",
    "INT2": "int2", "UINT4": "uint4", "FLOAT8_E4M3FN": "float8e4m3fn", "FLOAT8_E5M2": "float8e5m2",
}  # fmt: skip
"""The graph's name of each ``TensorType``."""
TENSOR_TYPES = {dtype: name for name, dtype in DTYPES.items()}

CUSTOM_DOMAIN = "custom"
"""The domain of operators with a custom code, whose type is that code."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a table.

    ``kind`` is ``scalar``, ``enum``, ``string``, ``table``, ``union``, ``scalars``, ``enums``, ``strings``,
    ``tables`` or ``bytes``; ``of`` names the struct code, enum, table or union; a union's type is in the slot
    before ``slot``.
    """

    name: str
    slot: int
    kind: str
    of: str
    default: Any
    deprecated: bool


@dataclass(frozen=True)
class Schema:
    """All tables, enums and unions, and the options table of each builtin operator."""

    tables: dict[str, tuple[Field, ...]]
    enums: dict[str, dict[int, str]]
    bases: dict[str, str]
    unions: dict[str, tuple[str, ...]]
    options: dict[str, str | None]
    source: dict[str, str] = field(default_factory=dict)

    @cached_property
    def numbers(self) -> dict[str, dict[str, int]]:
        """The number of each enum member by name."""
        return {enum: {name: number for number, name in names.items()} for enum, names in self.enums.items()}

    @cached_property
    def defaults(self) -> dict[str, dict[str, Any]]:
        """What the absent fields of each table mean; a vector, string, table or union that is absent is
        None.
        """
        return {
            name: {item.name: item.default for item in fields if not item.deprecated}
            for name, fields in self.tables.items()
        }

    def option_defaults(self, type_: str) -> dict[str, Any]:
        """The options of a builtin operator with their defaults; none for an operator without options."""
        table = self.options.get(type_)
        return dict(self.defaults[table]) if table else {}

    def union_of(self, table: str) -> tuple[str, int]:
        """The field of an operator that holds this options table, and the table's number in that union."""
        for name, union in (("builtin_options", "BuiltinOptions"), ("builtin_options_2", "BuiltinOptions2")):
            if table in self.unions[union]:
                return name, self.unions[union].index(table) + 1
        raise KeyError(table)


@lru_cache(maxsize=1)
def schema() -> Schema:
    """The schema, read once."""
    facts = json.loads(Path(__file__).with_name("schema.json").read_text())
    enums = {
        name: {number: member for member, number in enum["values"].items()}
        for name, enum in facts["enums"].items()
    }
    bases = {name: FORMATS[enum["base"]] for name, enum in facts["enums"].items()}
    unions = {name: tuple(members) for name, members in facts["unions"].items()}
    tables = {name: fields_of(rows, bases, unions) for name, rows in facts["tables"].items()}
    return Schema(tables, enums, bases, unions, facts["options"], facts["source"])


def fields_of(
    rows: list[list[Any]], bases: dict[str, str], unions: dict[str, tuple[str, ...]]
) -> tuple[Field, ...]:
    """The fields of a table from name, type and default of each, and ``deprecated`` where one is."""
    fields: list[Field] = []
    slot = 0
    for name, type_, default, *mark in rows:
        kind, of = _kind(type_, bases, unions)
        slot += kind == "union"
        fields.append(Field(name, slot, kind, of, default, bool(mark)))
        slot += 1
    return tuple(fields)


def _kind(type_: str, bases: dict[str, str], unions: dict[str, tuple[str, ...]]) -> tuple[str, str]:
    if type_ == "[ubyte]":
        return "bytes", "B"
    inner = type_.strip("[]")
    plural = "s" if type_ != inner else ""
    if inner in FORMATS:
        return f"scalar{plural}", FORMATS[inner]
    if inner in bases:
        return f"enum{plural}", inner
    if inner in unions:
        return "union", inner
    return (f"string{plural}", "") if inner == "string" else (f"table{plural}", inner)
