"""Leave the bytes of large constants in the file: cut ``TensorProto.tensor_content`` out before parsing."""

from __future__ import annotations

from ..wire import Buffer, encode, fields
from .proto import SKIPPED_LENGTH, SKIPPED_OFFSET

KEEP = 1024
"""Contents up to this many bytes stay in the message."""

_CUT = "cut"
# Where a TensorProto can stand: message, field number, message below. The chain has no loop, so the walk is
# bounded.
_BELOW: dict[str, dict[int, str]] = {
    "SavedModel": {2: "MetaGraphDef"},
    "MetaGraphDef": {2: "GraphDef"},
    "GraphDef": {1: "NodeDef", 2: "FunctionDefLibrary"},
    "FunctionDefLibrary": {1: "FunctionDef"},
    "FunctionDef": {3: "NodeDef"},
    "NodeDef": {5: "AttrEntry"},
    "AttrEntry": {2: "AttrValue"},
    "AttrValue": {8: "TensorProto", 1: "ListValue"},
    "ListValue": {8: "TensorProto"},
    "TensorProto": {4: _CUT},
}


def without_contents(data: Buffer, root: str) -> bytes:
    """The message without its large tensor contents, each replaced by its offset and length in ``data``.

    Raises WireError when the bytes are not protobuf.
    """
    slim = _slim(data, 0, len(data), root)
    return bytes(data[0 : len(data)]) if slim is None else slim


def _slim(data: Buffer, start: int, end: int, kind: str) -> bytes | None:
    """The message between ``start`` and ``end`` with its cuts, or None when there is nothing to cut."""
    below = _BELOW[kind]
    parts: list[bytes] = []
    kept = start
    for number, wire, tag_at, at, stop in fields(data, start, end):
        child = below.get(number)
        if child is None or wire != 2 or stop - at <= KEEP:
            continue
        if child is _CUT:
            new: bytes | None = _number(SKIPPED_OFFSET, at) + _number(SKIPPED_LENGTH, stop - at)
        else:
            inner = _slim(data, at, stop, child)
            new = None if inner is None else encode(number << 3 | 2) + encode(len(inner)) + inner
        if new is not None:
            parts += (bytes(data[kept:tag_at]), new)
            kept = stop
    if not parts:
        return None
    parts.append(bytes(data[kept:end]))
    return b"".join(parts)


def _number(field: int, value: int) -> bytes:
    return encode(field << 3) + encode(value)
