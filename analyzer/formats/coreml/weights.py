"""Writing weight files: new large values go where the stored ones are, and what nothing reads any more goes.

Source: coremltools ``mlmodel/src/MILBlob/Blob/StorageFormat.hpp``: a header of 64 bytes with the number of
values, then for each value 64 bytes of metadata and its bytes, both at multiples of 64.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...ir.dtypes import BITS
from .package import BLOB_DTYPES, inside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ...ir.graph import Constant

LEAST = 1024
"""Bytes from which on a new constant is stored in the weight file."""
FILE = "@model_path/weights/weight.bin"
_KINDS = {name: number for number, name in BLOB_DTYPES.items()}
_SENTINEL = 0xDEADBEEF
_ALIGNED = 64
_METADATA = struct.Struct("<IIQQQ32x")


@dataclass
class NewWeights:
    """Values that the weight file has to get. An offset that ``add`` gives stands for the value until
    ``write`` has put it in its place.
    """

    values: list[Constant] = field(default_factory=list)

    def takes(self, constant: Constant) -> bool:
        """Whether the value is large and of a dtype that weight files have."""
        size = (constant.elements * BITS.get(constant.dtype, 0) + 7) // 8
        return size >= LEAST and constant.dtype in _KINDS and constant.dtype in BITS

    def add(self, constant: Constant) -> int:
        """The number under which ``write`` knows the value."""
        self.values.append(constant)
        return len(self.values) - 1

    def write(self, spec: Any, root: Path, owner: Path) -> None:
        """Put the values behind those that the specification still reads, and tell it where they are.
        ``root`` is the folder of the specification, whose weight file is written anew.
        """
        if not self.values:
            return
        references = list(_references(spec))
        old = {item.fileName for item in references if item.fileName != NEW} - {FILE}
        name = FILE if not old else f"@model_path/weights/{_free(root)}"
        place = inside(root, name.removeprefix("@model_path/"), owner, "a weight file's path")
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(f"{place.name}.new")
        kept = place.read_bytes() if place.is_file() and name == FILE else b""
        with draft.open("wb") as stream:
            count = self._write_all(stream, references, kept, name)
            stream.seek(0)
            stream.write(struct.pack("<II56x", count, 2))
        draft.replace(place)

    def _write_all(self, stream: Any, references: list[Any], kept: bytes, name: str) -> int:
        stream.write(b"\0" * _ALIGNED)
        placed: dict[tuple[str, int], int] = {}
        for item in references:
            if item.fileName not in (NEW, name):
                continue
            key = (item.fileName, item.offset)
            if key not in placed:
                placed[key] = stream.tell()
                kind, data, padding = self._value(item, kept)
                start = placed[key] + _ALIGNED
                stream.write(_METADATA.pack(_SENTINEL, kind, len(data), start, padding))
                stream.write(data)
                stream.write(b"\0" * (-len(data) % _ALIGNED))
            item.fileName, item.offset = name, placed[key]
        return len(placed)

    def _value(self, item: Any, kept: bytes) -> tuple[int, bytes, int]:
        if item.fileName == NEW:
            constant = self.values[item.offset]
            data = constant.raw()
            return _KINDS[constant.dtype], data, len(data) * 8 - constant.elements * BITS[constant.dtype]
        _, kind, length, start, padding = _METADATA.unpack_from(kept, item.offset)
        return kind, kept[start : start + length], padding


NEW = "@accelint/new"
"""The file name of values that have no place yet."""


def _free(root: Path) -> str:
    count = 0
    while (root / "weights" / f"weight_{count}.bin").exists():
        count += 1
    return f"weight_{count}.bin"


def _references(message: Any) -> Iterator[Any]:
    """Every ``BlobFileValue`` in a message."""
    waiting = [message]
    while waiting:
        current = waiting.pop()
        for descriptor, value in current.ListFields():
            if descriptor.message_type is None:
                continue
            if descriptor.message_type.GetOptions().map_entry:
                if descriptor.message_type.fields_by_name["value"].message_type is not None:
                    waiting.extend(value[key] for key in sorted(value))
            elif descriptor.message_type.name == "BlobFileValue":
                yield value
            elif hasattr(value, "add"):
                waiting.extend(value)
            else:
                waiting.append(value)
