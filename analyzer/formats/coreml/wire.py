"""A Core ML specification with its large weights left in the file, and back.

``strip`` copies the wire bytes of a model without the values of large weights; where some were, the message
holds ``Stored`` (field, offset, length). ``restore`` puts them back when the model is written.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

from ...errors import ModelError
from ..wire import Buffer, WireError, encode, fields
from .schema import HEAVY, PREFIX, STORED, routes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SMALL = 1024
"""Messages and values below this size are parsed as they are."""
_DEPTH = 100
"""protobuf's own limit on nested messages."""

Piece = bytes | tuple[int, int]
"""Bytes, or offset and length in the source file."""


def strip(path: Path) -> bytes:
    """The model's wire bytes without its large values. Raises ModelError when they are not protobuf."""
    if path.stat().st_size == 0:
        raise ModelError(path, "the file is empty", "export it again")
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            stripped = _strip(data, PREFIX + "Model", 0, len(data), 0)
            return data[:] if stripped is None else stripped
        except WireError as error:
            raise ModelError(
                path, f"no Core ML specification: {error}", "the file is damaged or cut off: export it again"
            ) from error


def _strip(data: Buffer, kind: str, at: int, end: int, depth: int) -> bytes | None:
    """The bytes of one message with its large values replaced, or None when it has none."""
    if depth > _DEPTH:
        raise WireError(f"messages nested deeper than {_DEPTH}")
    table = routes()[kind]
    out: list[bytes] = []
    kept = at
    for field, wire, tag_at, start, stop in fields(data, at, end):
        child = table.get(field)
        if child is None or wire != 2 or stop - start < _SMALL:
            continue
        if child == HEAVY:
            new = _reference(data, kind, field, start, stop)
        else:
            inner = _strip(data, child, start, stop, depth + 1)
            new = None if inner is None else _tagged(field, inner)
        if new is None:
            continue
        out += (bytes(data[kept:tag_at]), new)
        kept = stop
    if not out:
        return None
    out.append(bytes(data[kept:end]))
    return b"".join(out)


def _reference(data: Buffer, kind: str, field: int, start: int, stop: int) -> bytes | None:
    """A ``Stored`` field for the value, None where it is not one plain run of bytes."""
    if kind.endswith("TensorValue"):  # floats, doubles, bytes are messages around one repeated or bytes field
        inner = list(_first_two(data, start, stop))
        if len(inner) != 1 or inner[0][0] != 1 or inner[0][1] != 2:
            return None
        start, stop = inner[0][3], inner[0][4]
    stored = b"\x08" + encode(field) + b"\x10" + encode(start) + b"\x18" + encode(stop - start)
    return _tagged(STORED, stored)


def _first_two(data: Buffer, start: int, stop: int) -> Iterator[tuple[int, int, int, int, int]]:
    for count, item in enumerate(fields(data, start, stop)):
        yield item
        if count:
            return


def _tagged(field: int, payload: bytes) -> bytes:
    return encode(field << 3 | 2) + encode(len(payload)) + payload


def restore(data: bytes) -> list[Piece]:
    """A serialized model with every ``Stored`` field replaced by its value's place in the source file."""
    pieces, _ = _restore(data, PREFIX + "Model", 0, len(data))
    return pieces


_MARK = encode(STORED << 3 | 2)


def _restore(data: bytes, kind: str, at: int, end: int) -> tuple[list[Piece], int]:
    table = routes()[kind]
    out: list[Piece] = []
    size = 0
    kept = at
    for field, wire, tag_at, start, stop in fields(data, at, end):
        if field == STORED and HEAVY in table.values():
            pieces, length = _value(data, kind, start, stop)
        elif wire == 2 and table.get(field, HEAVY) != HEAVY and data.find(_MARK, start, stop) >= 0:
            inner, inner_size = _restore(data, table[field], start, stop)
            head = encode(field << 3 | 2) + encode(inner_size)
            pieces, length = [head, *inner], len(head) + inner_size
        else:
            continue
        out += (data[kept:tag_at], *pieces)
        size += tag_at - kept + length
        kept = stop
    out.append(data[kept:end])
    return out, size + end - kept


def _value(data: bytes, kind: str, start: int, stop: int) -> tuple[list[Piece], int]:
    from .schema import message

    stored = message("Stored").FromString(data[start:stop])
    head = encode(stored.field << 3 | 2)
    if kind.endswith("TensorValue"):
        inner = b"\x0a" + encode(stored.length)
        head += encode(len(inner) + stored.length) + inner
    else:
        head += encode(stored.length)
    return [head, (stored.offset, stored.length)], len(head) + stored.length
