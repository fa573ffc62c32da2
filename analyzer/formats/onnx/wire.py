"""Taking large tensor data out of a serialized ONNX model, and putting it back, on the wire format.

``strip`` copies a model without the bytes of its large tensors. A stripped tensor is turned into
an external one that names, under the key ``MARK``, the index of the span it had: onnx's own
tools treat it as a tensor whose value is elsewhere. ``inflate`` is the way back.
Only messages longer than ``KEEP`` bytes are looked into, so the cost follows the number of
operators and not the number of weights.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..wire import Buffer, WireError, encode, fields, varint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEEP = 1024
"""Tensor data up to this many bytes stays in the stripped model."""
MARK = "accelint.span"
_MARK = MARK.encode()
_LOCATION = 14
MAX_DEPTH = 100
"""Nested messages beyond which protobuf itself refuses a model."""
MAX_PARTS = 4096
"""A tensor of more fields than this holds unpacked numbers or strings; it is left to protobuf."""

_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Which fields of which message lead to tensors. Source: onnx-ml.proto."""

WINDOW = 1 << 24
"""Bytes of the file after which the pages behind are given back."""
_LONG = ("model", "graph", "function")
_DONE_WITH: int | None = getattr(mmap, "MADV_DONTNEED", None)

RAW_DATA = 9
PACKED_DATA = frozenset({4, 5, 7, 10, 11})
"""float_data, int32_data, int64_data, double_data, uint64_data."""


@dataclass(frozen=True, slots=True)
class Span:
    """``length`` bytes at ``offset`` of ``file`` (None: the model's own): the value of field ``number`` of a
    TensorProto.
    """

    number: int
    offset: int
    length: int
    file: Path | None = None


@dataclass(slots=True)
class Stripped:
    """A model without its large tensor data, and where that data is."""

    data: bytes
    spans: list[Span] = field(default_factory=list)


def strip(data: Buffer, size: int) -> Stripped:
    """The model in ``data[:size]`` without the large data of its tensors. Raises WireError."""
    spans: list[Span] = []
    parts = _strip(data, 0, size, "model", spans, 0)
    return Stripped(bytes(data[0:size]) if parts is None else b"".join(parts), spans)


def _strip(data: Buffer, at: int, end: int, kind: str, spans: list[Span], depth: int) -> list[bytes] | None:
    """The pieces of one message, or None when nothing had to be taken out."""
    if depth > MAX_DEPTH:
        raise WireError(f"messages nested deeper than {MAX_DEPTH} levels at byte {at}")
    if kind == "tensor":
        return _strip_tensor(data, at, end, spans)
    inside = _INSIDE[kind]
    parts: list[bytes] = []
    copied = at
    let_go = data.madvise if isinstance(data, mmap.mmap) and kind in _LONG else None
    seen = at
    for number, wire, tag_at, start, stop in fields(data, at, end):
        if let_go is not None and start - seen > WINDOW:
            seen = _let_go(let_go, seen, start)
        if stop - start <= KEEP or wire != 2 or number not in inside:
            continue
        inner = _strip(data, start, stop, inside[number], spans, depth + 1)
        if inner is None:
            continue
        parts.append(bytes(data[copied:tag_at]))
        parts.append(tag(number, 2) + encode(sum(map(len, inner))))
        parts += inner
        copied = stop
    if copied == at:
        return None
    parts.append(bytes(data[copied:end]))
    return parts


def _let_go(advise: Callable[[int, int, int], None], start: int, end: int) -> int:
    """Give the whole pages between two places back: those that were looked at would count as memory, and with
    them their neighbours that the kernel mapped. Returns where the next ones begin.
    """
    page = mmap.PAGESIZE
    first, last = start // page * page, end // page * page
    if _DONE_WITH is not None and last > first:
        advise(_DONE_WITH, first, last - first)
    return end


def _strip_tensor(data: Buffer, at: int, end: int, spans: list[Span]) -> list[bytes] | None:
    found: list[tuple[Span, int]] = []
    location: int | None = None
    for count, (number, wire, tag_at, start, stop) in enumerate(fields(data, at, end)):
        if count > MAX_PARTS:
            return None
        if wire == 2 and (number == RAW_DATA or number in PACKED_DATA) and stop > start:
            found.append((Span(number, start, stop - start), tag_at))
        elif number == _LOCATION:
            location = varint(data, start, stop)[0] if wire == 0 else -1
    if len(found) != 1 or found[0][0].length <= KEEP or location not in (None, 0):
        return None
    span, tag_at = found[0]
    spans.append(span)
    return [
        bytes(data[at:tag_at]),
        bytes(data[span.offset + span.length : end]),
        _mark(len(spans) - 1, explicit=location == 0),
    ]


def _mark(index: int, *, explicit: bool) -> bytes:
    """``external_data { key: MARK value: index }  data_location: EXTERNAL``; ``explicit`` when the field
    stood there as DEFAULT.
    """
    value = f"{index}:default".encode() if explicit else str(index).encode()
    entry = _KEY + encode(len(value)) + value
    return _ENTRY + encode(len(entry)) + entry + _EXTERNAL


def span_of(value: str, spans: list[Span]) -> Span:
    """The span that the value of a ``MARK`` entry names. Raises WireError when there is none."""
    digits = value.removesuffix(":default")
    if not digits.isascii() or not digits.isdigit() or int(digits[:12]) >= len(spans):
        raise WireError(f"external_data with the reserved key {MARK!r}")
    return spans[int(digits)]


def tag(number: int, wire: int) -> bytes:
    """The tag of a field."""
    return encode(number << 3 | wire)


_KEY = tag(1, 2) + encode(len(_MARK)) + _MARK + tag(2, 2)
_ENTRY = tag(13, 2)
_EXTERNAL = tag(_LOCATION, 0) + encode(1)

Piece = bytes | Span


def inflate(data: bytes, spans: list[Span]) -> list[Piece]:
    """The pieces of the full model, in order; a Span stands for the bytes of the file that it names. Raises
    WireError.
    """
    return _inflate(data, 0, len(data), "model", spans, 0) or [data]


def length(pieces: list[Piece]) -> int:
    """Bytes of the pieces together."""
    return sum(piece.length if isinstance(piece, Span) else len(piece) for piece in pieces)


def _inflate(data: bytes, at: int, end: int, kind: str, spans: list[Span], depth: int) -> list[Piece] | None:
    if depth > MAX_DEPTH:
        raise WireError(f"messages nested deeper than {MAX_DEPTH} levels")
    if data.find(_MARK, at, end) < 0:
        return None
    if kind == "tensor":
        return _inflate_tensor(data, at, end, spans)
    inside = _INSIDE[kind]
    pieces: list[Piece] = []
    copied = at
    for number, wire, tag_at, start, stop in fields(data, at, end):
        if wire != 2 or number not in inside:
            continue
        inner = _inflate(data, start, stop, inside[number], spans, depth + 1)
        if inner is None:
            continue
        pieces += [data[copied:tag_at], tag(number, 2) + encode(length(inner)), *inner]
        copied = stop
    if copied == at:
        return None
    return [*pieces, data[copied:end]]


def _inflate_tensor(data: bytes, at: int, end: int, spans: list[Span]) -> list[Piece] | None:
    pieces: list[Piece] = []
    value = ""
    for number, wire, tag_at, start, stop in fields(data, at, end):
        if number == 13 and wire == 2:
            entry = _entry(data, start, stop)
            if entry[0] == MARK:
                value = entry[1]
                continue
        elif number == _LOCATION and value:
            continue
        pieces.append(data[tag_at:stop])
    if not value:
        return None
    if value.endswith(":default"):
        pieces.append(tag(_LOCATION, 0) + encode(0))
    span = span_of(value, spans)
    return [*pieces, tag(span.number, 2) + encode(span.length), span]


def _entry(data: bytes, at: int, end: int) -> tuple[str, str]:
    found = {number: data[start:stop] for number, _, _, start, stop in fields(data, at, end)}
    return found.get(1, b"").decode("utf-8", "replace"), found.get(2, b"").decode("utf-8", "replace")
