"""A Core ML specification with its large weights left in the file, and back.

``strip`` copies the wire bytes of a model without the values of large weights; where some were, the message
holds ``Stored`` (field, offset, length). ``restore`` puts them back when the model is written.
"""

from __future__ import annotations

import mmap
from itertools import islice
from typing import TYPE_CHECKING

from ...errors import ModelError
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
)
from .schema import PREFIX, STORED, message, routes

if TYPE_CHECKING:
    from pathlib import Path

_MODEL = PREFIX + "Model"
_MARK = tag(STORED, 2)


def strip(path: Path) -> bytes:
    """The model's wire bytes without its large values. Raises ModelError when they are not protobuf."""
    if path.stat().st_size == 0:
        raise ModelError(path, "the file is empty", "export it again")
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        replaced = 0

        def reference(leaf: Leaf) -> list[Piece] | None:
            nonlocal replaced
            pieces = _reference(data, leaf)
            replaced += pieces is not None
            return pieces

        try:
            left = stripped(data, len(data), _MODEL, routes(), reference)
        except WireError as error:
            raise ModelError(
                path, f"no Core ML specification: {error}", "the file is damaged or cut off: export it again"
            ) from error
    if left.count(_MARK) != replaced:  # a reference of the file's own would be followed when it is written
        raise ModelError(path, f"it has a field that Core ML does not know ({STORED})", "export it again")
    return left


def _reference(data: Buffer, leaf: Leaf) -> list[Piece] | None:
    """A ``Stored`` field for the value, None where it is not one plain run of bytes."""
    start, stop = leaf.start, leaf.stop
    if stop - start <= KEEP:
        return None
    if _is_message(leaf.kind):
        inner = list(islice(fields(data, start, stop), 2))
        if len(inner) != 1 or inner[0][0] != 1 or inner[0][1] != 2:
            return None
        start, stop = inner[0][3], inner[0][4]
    stored = ((1, leaf.number), (2, start), (3, stop - start))
    return tagged(STORED, [tag(field, 0) + encode(value) for field, value in stored])


def _is_message(kind: str) -> bool:
    """Whether its floats, doubles and bytes are messages around one repeated or bytes field."""
    return kind.endswith("TensorValue")


def restore(data: bytes) -> list[Piece]:
    """A serialized model with every ``Stored`` field replaced by its value's place in the source file."""

    def marked(start: int, stop: int) -> bool:
        return data.find(_MARK, start, stop) >= 0

    return splice(data, len(data), _MODEL, _ways_back(), lambda leaf: _value(data, leaf), marked) or [data]


def _ways_back() -> Routes:
    """The routes to ``Stored`` fields, which stand in the messages whose values are skipped."""
    back: dict[str, dict[int, str]] = {}
    for kind, below in routes().items():
        back[kind] = {field: child for field, child in below.items() if child != LEAF}
        if LEAF in below.values():
            back[kind][STORED] = LEAF
    return back


def _value(data: bytes, leaf: Leaf) -> list[Piece]:
    stored = message("Stored").FromString(data[leaf.start : leaf.stop])
    value: list[Piece] = [Span(stored.field, stored.offset, stored.length)]
    return tagged(stored.field, tagged(1, value) if _is_message(leaf.kind) else value)
