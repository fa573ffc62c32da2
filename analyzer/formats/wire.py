"""The protobuf wire format, read without parsing: what large weights are skipped with.

Source: protobuf.dev, "Encoding". Wire types: 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Union

Buffer = Union[bytes, "mmap.mmap", memoryview]


MAX_FIELDS = 2_000_000
"""Fields of one message beyond which it is no model: reading it would only take time and memory."""


class WireError(ValueError):
    """The bytes are not protobuf, or end in the middle of a field."""


def encode(value: int) -> bytes:
    """A varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint(data: Buffer, at: int, end: int) -> tuple[int, int]:
    """The varint at ``at`` and the position after it. Raises WireError past ``end`` or past 10 bytes."""
    value = shift = 0
    while True:
        if at >= end or shift > 63:
            raise WireError(f"a number that does not end at byte {at}")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data: Buffer, at: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Each field between ``at`` and ``end``: number, wire type, start of the tag, start and end of the
    value.
    """
    left = MAX_FIELDS
    while at < end:
        left -= 1
        if left < 0:
            raise WireError(f"more than {MAX_FIELDS} fields in one message at byte {at}")
        tag_at = at
        tag = data[at]
        if tag < 0x80:
            at += 1
        else:
            tag, at = varint(data, at, end)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise WireError(f"field number 0 at byte {tag_at}")
        if kind == 2:
            size, at = varint(data, at, end)
        elif kind == 0:
            _, after = varint(data, at, end)
            size = after - at
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise WireError(f"wire type {kind} at byte {tag_at}")
        if at + size > end:
            raise WireError(f"field {number} at byte {tag_at} needs {size} bytes and {end - at} are left")
        yield number, kind, tag_at, at, at + size
        at += size


def outline(path: Path) -> dict[int, int] | None:
    """Top-level field numbers of a file with their wire types, or None when the file is not protobuf."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return {number: kind for number, kind, *_ in fields(data, 0, len(data))}
        except WireError:
            return None
