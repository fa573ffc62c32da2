"""Taking large tensor data out of a serialized ONNX model, and putting it back, on the wire format.

``strip`` copies a model without the bytes of its large tensors. A stripped tensor is turned into
an external one that names, under the key ``MARK``, the index of the span it had: onnx's own
tools treat it as a tensor whose value is elsewhere. ``inflate`` is the way back.
Only messages longer than ``KEEP`` bytes are looked into, so the cost follows the number of
operators and not the number of weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..wire import (
    KEEP,
    LEAF,
    Buffer,
    Leaf,
    Piece,
    Routes,
    Span,
    WireError,
    encode,
    fields,
    splice,
    stripped,
    tag,
    tagged,
    varint,
)

MARK = "accelint.span"
_MARK = MARK.encode()
_LOCATION = 14
_EXTERNAL_DATA = 13
MAX_PARTS = 4096
"""A tensor of more fields than this holds unpacked numbers or strings; it is left to protobuf."""

_ROUTES: Routes = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: LEAF, 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: LEAF, 6: "graph", 10: LEAF, 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: LEAF, 2: LEAF},
}
"""Which fields of which message lead to tensors. Source: onnx-ml.proto."""

RAW_DATA = 9
PACKED_DATA = frozenset({4, 5, 7, 10, 11})
"""float_data, int32_data, int64_data, double_data, uint64_data."""


def locations(data: Buffer, size: int) -> set[str]:
    """The files that the tensors of the model in ``data[:size]`` name as their external data; what is inside
    of the tensors is not read. Raises WireError.
    """
    found: set[str] = set()

    def note(leaf: Leaf) -> None:
        for number, wire, _, start, stop in fields(data, leaf.start, leaf.stop):
            if number == _EXTERNAL_DATA and wire == 2:
                key, value = _entry(bytes(data[start:stop]), 0, stop - start)
                found.update([value] if key == "location" else [])

    def worth_it(start: int, stop: int) -> bool:
        return stop - start > KEEP or b"location" in bytes(data[start:stop])

    splice(data, size, "model", _ROUTES, note, worth_it)
    return found


@dataclass(slots=True)
class Stripped:
    """A model without its large tensor data, and where that data is."""

    data: bytes
    spans: list[Span] = field(default_factory=list)


def strip(data: Buffer, size: int) -> Stripped:
    """The model in ``data[:size]`` without the large data of its tensors. Raises WireError."""
    spans: list[Span] = []

    def without(leaf: Leaf) -> list[Piece] | None:
        large = leaf.stop - leaf.start > KEEP
        inner = _strip_tensor(data, leaf.start, leaf.stop, spans) if large else None
        return None if inner is None else tagged(leaf.number, inner)

    left = stripped(data, size, "model", _ROUTES, without)
    if left.count(_MARK) != len(spans):  # a mark of the file's own would be followed when it is written
        raise WireError(f"external_data with the reserved key {MARK!r}")
    return Stripped(left, spans)


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


_KEY = tag(1, 2) + encode(len(_MARK)) + _MARK + tag(2, 2)
_ENTRY = tag(13, 2)
_EXTERNAL = tag(_LOCATION, 0) + encode(1)


def inflate(data: bytes, spans: list[Span]) -> list[Piece]:
    """The pieces of the full model, in order; a Span stands for the bytes of the file that it names. Raises
    WireError.
    """

    def marked(start: int, stop: int) -> bool:
        return data.find(_MARK, start, stop) >= 0

    def whole(leaf: Leaf) -> list[Piece] | None:
        found = marked(leaf.start, leaf.stop)
        inner = _inflate_tensor(data, leaf.start, leaf.stop, spans) if found else None
        return None if inner is None else tagged(leaf.number, inner)

    return splice(data, len(data), "model", _ROUTES, whole, marked) or [data]


def _inflate_tensor(data: bytes, at: int, end: int, spans: list[Span]) -> list[Piece] | None:
    pieces: list[Piece] = []
    value = ""
    for number, wire, tag_at, start, stop in fields(data, at, end):
        if number == _EXTERNAL_DATA and wire == 2:
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
