"""FlatBuffers, written by the TFLite schema's tables, front to back.

Parents come before their children, so the contents of buffers, the bulk of a model, come last and are copied
from file to file. Rows have the shape that ``tflite_flat`` decodes: dicts by field name, absent fields None
or left out; a ``Constant`` as a byte vector is content that comes last, as an offset it is content outside of
the FlatBuffer.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, BinaryIO

from ...errors import GraphError
from ...ir.graph import Constant
from .schema import WIDTHS, Field, schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .flat import Row

ALIGN = 16
"""Of the contents of buffers, relative to the file's start."""
CHUNK = 1 << 20
LIMIT = (1 << 31) - (1 << 20)
"""Bytes that a FlatBuffer may have (2 GB less what rounding needs)."""


class Emitter:
    """One FlatBuffer in the making: its structure in memory, the contents of buffers as references."""

    def __init__(self) -> None:
        """An empty buffer."""
        self.out = bytearray()
        self._schema = schema()
        self._vtables: dict[bytes, int] = {}
        self._late: list[tuple[int, Constant]] = []
        self._apart: list[tuple[int, Constant]] = []

    def root(self, table: str, row: Row, identifier: bytes) -> None:
        """Write the root table; once."""
        self.out += b"\0\0\0\0" + identifier
        self._patch(0, self.table(table, row))

    def write(self, stream: BinaryIO) -> None:
        """Write the finished buffer. Raises GraphError when it is larger than FlatBuffers allow."""
        ends = self._place()
        stream.write(self.out)
        at = len(self.out)
        for start, constant, counted in ends:
            stream.write(bytes(start - at))
            if counted:
                stream.write(struct.pack("<I", size_of(constant)))
            at = start + 4 * counted
            for block in blocks(constant):
                stream.write(block)
                at += len(block)

    def _place(self) -> list[tuple[int, Constant, bool]]:
        """Give each buffer's content its place, and write the places into the tables."""
        places: list[tuple[int, Constant, bool]] = []
        at = len(self.out)
        for field, constant in self._late:
            at += -(at + 4) % ALIGN
            places.append((at, constant, True))
            if at > LIMIT:
                raise GraphError("the model has more than 2 GB within its FlatBuffer")
            self._patch(field, at)
            at += 4 + size_of(constant)
        for field, constant in self._apart:
            at += -at % ALIGN
            places.append((at, constant, False))
            struct.pack_into("<Q", self.out, field, at)
            at += size_of(constant)
        return places

    def table(self, name: str, row: Row) -> int:
        """Append a table and what it leads to; returns its position."""
        items = self._present(name, row)
        items.sort(key=lambda item: -item[1])
        offset, offsets = 4, {}
        for slot, width, _, _ in items:
            offsets[slot] = offset
            offset += width
        start = self._start(offsets, offset, wide=bool(items) and items[0][1] == 8)
        self.out += bytes(offset - 4)
        for slot, _, field, value in items:
            self._put(name, start + offsets[slot], field, value)
        return start

    def _start(self, offsets: dict[int, int], size: int, *, wide: bool) -> int:
        """The vtable, unless one like it is there, and the table's head; returns the table's position."""
        slots = [offsets.get(slot, 0) for slot in range(max(offsets, default=-1) + 1)]
        vtable = struct.pack(f"<{2 + len(slots)}H", 4 + 2 * len(slots), size, *slots)
        place = self._vtables.get(vtable)
        if place is None:
            self._pad(2)
            place = self._vtables[vtable] = len(self.out)
            self.out += vtable
        self._pad(8 if wide else 4, 4)
        start = len(self.out)
        self.out += struct.pack("<i", start - place)
        return start

    def _pad(self, width: int, extra: int = 0) -> None:
        """Zeros until ``extra`` bytes further on is a multiple of ``width``."""
        self.out += bytes(-(len(self.out) + extra) % width)

    def _patch(self, field: int, target: int) -> None:
        struct.pack_into("<I", self.out, field, target - field)

    def _present(self, name: str, row: Row) -> list[tuple[int, int, Field | None, Any]]:
        """Slot, width, field and value of what is stored; a union's type has no field of its own."""
        items: list[tuple[int, int, Field | None, Any]] = []
        for field in self._schema.tables[name]:
            value = row.get(field.name, field.default)
            if value is None or field.deprecated:
                continue
            if field.kind == "union":
                items.append((field.slot - 1, 1, None, self._schema.unions[field.of].index(value[0]) + 1))
                items.append((field.slot, 4, field, value))
            elif field.kind == "scalar":
                if value != field.default:
                    items.append((field.slot, WIDTHS[field.of], field, value))
            elif field.kind == "enum":
                if value != field.default:
                    items.append((field.slot, WIDTHS[self._schema.bases[field.of]], field, value))
            else:
                items.append((field.slot, 4, field, value))
        return items

    def _put(self, table: str, at: int, field: Field | None, value: Any) -> None:
        """Write one field; what it leads to is appended."""
        if field is None:
            self.out[at] = value
        elif isinstance(value, Constant):
            (self._late if field.kind == "bytes" else self._apart).append((at, value))
        elif field.kind in ("scalar", "enum"):
            code = field.of if field.kind == "scalar" else self._schema.bases[field.of]
            number = value if field.kind == "scalar" else self._number(table, field, value)
            self._pack(table, field, f"<{code}", at, number)
        else:
            self._patch(at, self._child(table, field, value))

    def _pack(self, table: str, field: Field, code: str, at: int, value: Any) -> None:
        try:
            struct.pack_into(code, self.out, at, value)
        except struct.error as error:
            raise GraphError(f"{table}.{field.name} cannot be {value!r}: {error}") from None

    def _number(self, table: str, field: Field, name: Any) -> int:
        number = self._schema.numbers[field.of].get(name)
        if number is None:
            raise GraphError(
                f"{table}.{field.name} cannot be {name!r}: {field.of} has "
                f"{', '.join(self._schema.numbers[field.of])}"
            )
        return number

    def _child(self, table: str, field: Field, value: Any) -> int:
        """Append a string, vector, table or union member; returns its position."""
        if field.kind == "table":
            return self.table(field.of, value)
        if field.kind == "union":
            return self.table(*value)
        if field.kind == "string":
            text = value.encode()
            return self._vector(text + b"\0", len(text), 1)
        if field.kind == "bytes":
            return self._vector(bytes(value), len(value), ALIGN if table == "CustomQuantization" else 4)
        if field.kind == "tables":
            return self._table_vector(field.of, value)
        code = field.of if field.kind == "scalars" else self._schema.bases[field.of]
        numbers = value if field.kind == "scalars" else [self._number(table, field, item) for item in value]
        try:
            content = struct.pack(f"<{len(numbers)}{code}", *numbers)
        except struct.error as error:
            raise GraphError(f"{table}.{field.name} cannot be {value!r}: {error}") from None
        return self._vector(content, len(numbers), WIDTHS[code])

    def _vector(self, content: bytes, count: int, width: int) -> int:
        self._pad(max(width, 4), 4)
        start = len(self.out)
        self.out += struct.pack("<I", count) + content
        return start

    def _table_vector(self, name: str, rows: Any) -> int:
        self._pad(4)
        start = len(self.out)
        self.out += struct.pack("<I", len(rows)) + bytes(4 * len(rows))
        for index, row in enumerate(rows):
            self._patch(start + 4 + 4 * index, self.table(name, row))
        return start


def size_of(constant: Constant) -> int:
    """Bytes of a constant as stored."""
    if constant.inline is not None:
        return len(constant.inline)
    return constant.length if constant.length or constant.loader is None else len(constant.raw())


def blocks(constant: Constant) -> Iterator[bytes]:
    """A constant's bytes, from its file in pieces. Raises GraphError when the file no longer holds them."""
    if constant.inline is not None or constant.loader is not None or constant.file is None:
        yield constant.raw()
        return
    left = constant.length
    with constant.file.open("rb") as stream:
        stream.seek(constant.offset)
        while left:
            block = stream.read(min(CHUNK, left))
            if not block:
                raise GraphError(f"{constant.file}: ended {left} bytes before the end of a constant")
            left -= len(block)
            yield block
