"""FlatBuffers, read by the tables of a schema (TFLite's unless told), every offset checked.

Layout (source: flatbuffers.dev, "Internals"): a table starts with a signed offset back to its vtable; the
vtable holds its own size, the table's size and one 16-bit field offset per slot; strings, vectors and tables
are unsigned 32-bit offsets forward; a vector starts with its 32-bit length.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Union

from .schema import WIDTHS, Field, Schema, schema

if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable

    Decode = Callable[[int, Any], Any]
    Plan = tuple[int, list[tuple[int, str, Decode, Any]]]

Buffer = Union[bytes, "mmap.mmap"]
Row = dict[str, Any]

_U16, _U32, _I32 = Struct("<H").unpack_from, Struct("<I").unpack_from, Struct("<i").unpack_from
_SCALAR = {code: Struct(f"<{code}").unpack_from for code in WIDTHS}
LAZY = {("Buffer", "data"), ("Operator", "custom_options"), ("Tensor", "raw_data")}
"""Byte vectors that are given as (offset, length), never read."""


class Broken(ValueError):
    """The bytes are no valid FlatBuffer of this schema; the message says what is wrong and where."""


class Flat:
    """A reader of one buffer.

    Tables become dicts by field name, absent fields with their defaults; enums their names; unions (table
    name, dict) or None; scalar vectors tuples. ``work`` bounds what is decoded in total, so that many offsets
    to one large vector cannot blow up.
    """

    def __init__(self, data: Buffer, by: Schema | None = None) -> None:
        """Of bytes or a memory map; ``by`` is the schema of another format."""
        self.data = data
        self.size = len(data)
        self.work = 4 * self.size + (1 << 20)
        self._schema = by or schema()
        self._plans: dict[tuple[str, int], Plan] = {}
        self._vectors: dict[tuple[str, int], Callable[..., tuple[Any, ...]]] = {}
        self._methods: dict[str, Decode] = {
            "string": self._string,
            "strings": self._strings,
            "table": self._table_at,
            "tables": self._tables,
            "union": self._union,
            "scalars": self._scalars,
            "enums": self._enums,
            "bytes": self._bytes,
            "span": self._span,
        }

    def root(self, table: str, identifier: bytes) -> Row:
        """The root table of a buffer with that file identifier."""
        if self.size < 8:
            raise Broken(f"only {self.size} bytes")
        if bytes(self.data[4:8]) != identifier:
            raise Broken(f"the identifier {identifier.decode()!r} is missing at byte 4")
        return self.table(_U32(self.data, 0)[0], table)

    def table(self, at: int, name: str) -> Row:
        """The table at a position."""
        if not 0 <= at <= self.size - 4:
            raise Broken(f"a {name} table at byte {at} of {self.size}")
        vtable = at - _I32(self.data, at)[0]
        plan = self._plans.get((name, vtable))
        if plan is None:
            plan = self._plans[name, vtable] = self._plan(name, vtable)
        size, rows = plan
        self._spend(size, at)
        out = self._schema.defaults[name].copy()
        for offset, field, read, arg in rows:
            out[field] = read(at + offset, arg)
        return out

    def _plan(self, name: str, vtable: int) -> Plan:
        """What each present slot of this vtable needs; checked once per vtable."""
        if not 0 <= vtable <= self.size - 4:
            raise Broken(f"the vtable of a {name} table at byte {vtable} of {self.size}")
        length, size = _U16(self.data, vtable)[0], _U16(self.data, vtable + 2)[0]
        if length < 4 or length % 2 or vtable + length > self.size or size < 4:
            raise Broken(
                f"the vtable of a {name} table at byte {vtable} has length {length} for a "
                f"table of {size} bytes"
            )
        slots = [_U16(self.data, vtable + 4 + 2 * slot)[0] for slot in range((length - 4) // 2)]
        rows: list[tuple[int, str, Decode, Any]] = []
        for field in self._schema.tables[name]:
            offset = slots[field.slot] if field.slot < len(slots) else 0
            if not offset or field.deprecated:
                continue
            if field.kind == "union":
                type_at = slots[field.slot - 1]
                if not type_at:
                    continue
                self._fits(name, field.name, type_at, 1, size)
                rows.append((offset, field.name, self._union, (type_at - offset, field.of)))
                width = 4
            else:
                read, arg, width = self._decoder(name, field)
                rows.append((offset, field.name, read, arg))
            self._fits(name, field.name, offset, width, size)
        return size, rows

    def _fits(self, table: str, field: str, offset: int, width: int, size: int) -> None:
        if not 4 <= offset <= size - width:
            raise Broken(f"{table}.{field} at offset {offset} of a table of {size} bytes")

    def _decoder(self, table: str, field: Field) -> tuple[Decode, Any, int]:
        if field.kind == "scalar":
            if field.of == "?":
                return self._bool, None, 1
            return self._scalar, _SCALAR[field.of], WIDTHS[field.of]
        if field.kind == "enum":
            base = self._schema.bases[field.of]
            return self._enum, (_SCALAR[base], self._schema.enums[field.of], field.of), WIDTHS[base]
        kind = "span" if (table, field.name) in LAZY else field.kind
        return self._methods[kind], field.of, 4

    def _spend(self, amount: int, at: int) -> None:
        self.work -= amount
        if self.work < 0 or at + amount > self.size:
            raise Broken(
                f"{amount} bytes at byte {at} of {self.size}"
                if self.work >= 0
                else "more content than the file has bytes"
            )

    def _bool(self, at: int, _: None) -> bool:
        return self.data[at] != 0

    def _scalar(self, at: int, unpack: Callable[[Buffer, int], tuple[Any]]) -> Any:
        return unpack(self.data, at)[0]

    def _enum(self, at: int, arg: tuple[Callable[[Buffer, int], tuple[int]], dict[int, str], str]) -> str:
        unpack, names, enum = arg
        number = unpack(self.data, at)[0]
        name = names.get(number)
        if name is None:
            raise Broken(
                f"the value {number} of {enum}, which the schema of "
                f"{self._schema.source['date']} does not have"
            )
        return name

    def _vector(self, at: int, width: int) -> tuple[int, int]:
        """Start of the elements and their number for the vector that the offset at ``at`` leads to."""
        start: int = at + _U32(self.data, at)[0]
        if start > self.size - 4:
            raise Broken(f"a vector at byte {start} of {self.size}")
        count: int = _U32(self.data, start)[0]
        if start + 4 + count * width > self.size:
            raise Broken(f"a vector of {count} elements at byte {start} of {self.size}")
        return start + 4, count

    def _string(self, at: int, _: str) -> str:
        start, count = self._vector(at, 1)
        self._spend(count, start)
        try:
            return bytes(self.data[start : start + count]).decode()
        except UnicodeDecodeError:
            raise Broken(f"a string at byte {start} that is not UTF-8") from None

    def _strings(self, at: int, _: str) -> tuple[str, ...]:
        start, count = self._vector(at, 4)
        self._spend(4 * count, start)
        return tuple(self._string(place, "") for place in range(start, start + 4 * count, 4))

    def _span(self, at: int, _: str) -> tuple[int, int]:
        return self._vector(at, 1)

    def take(self, span: tuple[int, int]) -> bytes:
        """The bytes of a lazy vector."""
        start, count = span
        self._spend(count, start)
        return bytes(self.data[start : start + count])

    def _bytes(self, at: int, _: str) -> bytes:
        return self.take(self._vector(at, 1))

    def _scalars(self, at: int, code: str) -> tuple[Any, ...]:
        width = WIDTHS[code]
        start, count = self._vector(at, width)
        self._spend(count * width, start)
        key = code, count
        unpack = self._vectors.get(key)
        if unpack is None:
            unpack = self._vectors[key] = Struct(f"<{count}{code}").unpack_from
        return unpack(self.data, start)

    def _enums(self, at: int, enum: str) -> tuple[str, ...]:
        base = self._schema.bases[enum]
        start, count = self._vector(at, WIDTHS[base])
        self._spend(count * WIDTHS[base], start)
        arg = _SCALAR[base], self._schema.enums[enum], enum
        return tuple(self._enum(start + index * WIDTHS[base], arg) for index in range(count))

    def _table_at(self, at: int, name: str) -> Row:
        return self.table(at + _U32(self.data, at)[0], name)

    def _tables(self, at: int, name: str) -> tuple[Row, ...]:
        start, count = self._vector(at, 4)
        self._spend(4 * count, start)
        table, data = self.table, self.data
        return tuple(
            [table(place + _U32(data, place)[0], name) for place in range(start, start + 4 * count, 4)]
        )

    def _union(self, at: int, arg: tuple[int, str]) -> tuple[str, Row] | None:
        offset, union = arg
        number = self.data[at + offset]
        if number == 0:
            return None
        members = self._schema.unions[union]
        if number > len(members):
            raise Broken(
                f"the member {number} of {union}, which the schema of "
                f"{self._schema.source['date']} does not have"
            )
        name = members[number - 1]
        return name, self._table_at(at, name)
