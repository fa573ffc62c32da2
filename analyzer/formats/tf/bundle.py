"""Where a checkpoint keeps each variable: the index of a TensorFlow tensor bundle.

``variables.index`` is an uncompressed LevelDB table (tensorflow/core/lib/io/format.cc, table_builder.cc) that
maps a key to a ``BundleEntryProto``; the values stand in ``variables.data-00000-of-00001`` and its like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import ModelError
from ..wire import WireError, varint
from .proto import message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_MAGIC = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
_FOOTER = 48
_TRAILER = 5
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""The key of the object graph (tensorflow/python/checkpoint/trackable_utils.py)."""


class Bundle:
    """The entries of one checkpoint by key.

    Raises ModelError when the index is missing or damaged.
    """

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self.file = prefix.with_name(prefix.name + ".index")
        if not self.file.is_file():
            raise ModelError(
                self.file, "the checkpoint's index is missing", "copy the whole SavedModel folder"
            )
        try:
            entries = dict(_table(self.file.read_bytes()))
        except (WireError, IndexError) as error:
            raise ModelError(
                self.file, f"a damaged checkpoint index: {error}", "copy or export the model again"
            ) from error
        self.shards = 1
        self.entries: Mapping[str, Any] = self._parsed(entries)

    def _parsed(self, entries: Mapping[bytes, bytes]) -> dict[str, Any]:
        from google.protobuf.message import DecodeError

        try:
            self.shards = message("BundleHeaderProto").FromString(entries.get(b"", b"")).num_shards or 1
            entry = message("BundleEntryProto")
            return {
                key.decode("utf-8", "replace"): entry.FromString(value)
                for key, value in entries.items()
                if key
            }
        except DecodeError as error:
            raise ModelError(
                self.file, f"a damaged checkpoint index: {error}", "copy or export the model again"
            ) from error

    def shard(self, entry: Any) -> Path:
        """The file that holds an entry's bytes."""
        return self.prefix.with_name(f"{self.prefix.name}.data-{entry.shard_id:05d}-of-{self.shards:05d}")

    def object_graph(self) -> Any:
        """The TrackableObjectGraph of a TensorFlow 2 checkpoint, None for an older one.

        A string tensor is stored as the varint lengths of its elements, their checksum, then the elements
        (tensorflow/core/util/tensor_bundle/tensor_bundle.cc, WriteStringTensor).
        """
        from google.protobuf.message import DecodeError

        entry = self.entries.get(OBJECT_GRAPH)
        if entry is None:
            return None
        if not self.shard(entry).is_file():
            raise ModelError(
                self.shard(entry), "the checkpoint's data file is missing", "copy the whole SavedModel folder"
            )
        try:
            with self.shard(entry).open("rb") as stream:
                stream.seek(max(entry.offset, 0))
                data = stream.read(max(entry.size, 0))
            length, at = varint(data, 0, len(data))
            return message("TrackableObjectGraph").FromString(data[at + 4 : at + 4 + length])
        except (OSError, WireError, DecodeError) as error:
            raise ModelError(
                self.shard(entry),
                f"the checkpoint's object graph cannot be read: {error}",
                "copy the whole SavedModel folder",
            ) from error


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    if len(data) < _FOOTER or data[-8:] != _MAGIC:
        raise WireError("no table footer")
    at = len(data) - _FOOTER
    for _ in range(2):  # the meta index's handle, which is not used
        _, at = varint(data, at, len(data))
    for _, handle in _block(data, *_handle(data, at)):
        yield from _block(data, *_handle(handle, 0))


def _handle(data: bytes, at: int) -> tuple[int, int]:
    offset, at = varint(data, at, len(data))
    size, _ = varint(data, at, len(data))
    return offset, size


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; a key shares a prefix with the one before it."""
    end = offset + size
    if end + _TRAILER > len(data) or size < 4:
        raise WireError(f"a block of {size} bytes at {offset} is cut off")
    if data[end] != 0:
        raise WireError("a compressed block, which TensorFlow never writes")
    restarts = int.from_bytes(data[end - 4 : end], "little")
    end -= 4 * (restarts + 1)
    at, key = offset, b""
    while at < end:
        shared, at = varint(data, at, end)
        fresh, at = varint(data, at, end)
        length, at = varint(data, at, end)
        if shared > len(key) or at + fresh + length > end:
            raise WireError(f"an entry at {at} is cut off")
        key = key[:shared] + data[at : at + fresh]
        yield key, data[at + fresh : at + fresh + length]
        at += fresh + length
