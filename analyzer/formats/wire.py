"""The protobuf wire format, read without parsing: what large weights are skipped with.

``splice`` copies a message with some fields far below replaced, both ways: large values taken out before
protobuf parses what is left, and put back when a model is written.

Source: protobuf.dev, "Encoding". Wire types: 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Union

Buffer = Union[bytes, "mmap.mmap", memoryview]

KEEP = 1024
"""Values up to this many bytes stay in the message, and messages up to it are not looked into."""
WINDOW = 1 << 24
"""Bytes of the file after which the pages behind are given back."""
_DONE_WITH: int = getattr(mmap, "MADV_DONTNEED", -1)
MAX_DEPTH = 100
"""Nested messages beyond which protobuf itself refuses a model."""
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


@dataclass(frozen=True, slots=True)
class Span:
    """``length`` bytes at ``offset`` of ``file`` (None: the model's own): the value of field ``number``."""

    number: int
    offset: int
    length: int
    file: Path | None = None


Piece = bytes | Span
"""Bytes, or the place in a file where they stand."""
LEAF = ""
"""Ends a route: the field may be replaced."""
Routes = Mapping[str, Mapping[int, str]]
"""Which fields of which message lead to the message of that name, or are a ``LEAF``."""


class Leaf(NamedTuple):
    """A field at the end of a route: its message, its number, and where its value starts and stops."""

    kind: str
    number: int
    start: int
    stop: int


def splice(
    data: Buffer,
    size: int,
    root: str,
    routes: Routes,
    replaced: Callable[[Leaf], Sequence[Piece] | None],
    enters: Callable[[int, int], bool] = lambda start, stop: stop - start > KEEP,
) -> list[Piece] | None:
    """The pieces of the message ``root`` in ``data[:size]`` with other fields where routes end.

    Args:
        replaced: what stands in place of such a field, its tag included; None leaves it as it is.
        enters: whether a message between two positions is worth a look, so that the cost follows the
            structure.

    Returns:
        None when nothing is replaced. Raises WireError where the bytes are not protobuf.
    """
    return _Splice(data, routes, replaced, enters, _Pages(data)).message(root, 0, size, 0)


def stripped(
    data: Buffer,
    size: int,
    root: str,
    routes: Routes,
    replaced: Callable[[Leaf], Sequence[Piece] | None],
) -> bytes:
    """The bytes of a message in which every field that is replaced is so by bytes."""
    pieces = splice(data, size, root, routes, replaced)
    if pieces is None:
        return bytes(data[0:size])
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


class _Pages:
    """Gives the pages of a mapped file back behind a walk: those that were looked at would count as memory,
    and with them their neighbours that the kernel mapped.
    """

    def __init__(self, data: Buffer) -> None:
        self.data = data if isinstance(data, mmap.mmap) and _DONE_WITH >= 0 else None
        self.seen = 0

    def passed(self, at: int) -> None:
        """The walk has come to a place: once in a window, let go of what is behind it."""
        if self.data is None or at - self.seen <= WINDOW:
            return
        page = mmap.PAGESIZE
        first, last = self.seen // page * page, at // page * page
        self.data.madvise(_DONE_WITH, first, last - first)
        self.seen = at


@dataclass(frozen=True, slots=True)
class _Splice:
    data: Buffer
    routes: Routes
    replaced: Callable[[Leaf], Sequence[Piece] | None]
    enters: Callable[[int, int], bool]
    pages: _Pages

    def message(self, kind: str, at: int, end: int, depth: int) -> list[Piece] | None:
        if depth > MAX_DEPTH:
            raise WireError(f"messages nested deeper than {MAX_DEPTH} levels at byte {at}")
        below = self.routes[kind]
        pieces: list[Piece] = []
        copied = at
        for number, wire, tag_at, start, stop in fields(self.data, at, end):
            self.pages.passed(start)
            child = below.get(number)
            if child is None or wire != 2:
                continue
            if child == LEAF:
                new = self.replaced(Leaf(kind, number, start, stop))
            else:
                inner = self.message(child, start, stop, depth + 1) if self.enters(start, stop) else None
                new = None if inner is None else tagged(number, inner)
            if new is not None:
                pieces += [bytes(self.data[copied:tag_at]), *new]
                copied = stop
        return [*pieces, bytes(self.data[copied:end])] if pieces else None


def tag(number: int, wire: int) -> bytes:
    """The tag of a field."""
    return encode(number << 3 | wire)


def tagged(number: int, pieces: Sequence[Piece]) -> list[Piece]:
    """A length-delimited field around pieces."""
    return [tag(number, 2) + encode(length(pieces)), *pieces]


def length(pieces: Sequence[Piece]) -> int:
    """Bytes of the pieces together."""
    return sum(piece.length if isinstance(piece, Span) else len(piece) for piece in pieces)


def outline(path: Path) -> dict[int, int] | None:
    """Top-level field numbers of a file with their wire types, or None when the file is not protobuf."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return {number: kind for number, kind, *_ in fields(data, 0, len(data))}
        except WireError:
            return None
