"""Models to ONNX files.

What no edit touched is written from the stored protobuf messages, so a model that was only loaded
is written as it was. Large values are copied from file to file in blocks and never held.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ...errors import ModelError, UsageError
from ...files import atomic, is_stream
from ..wire import KEEP, Piece, Span, length
from .build import Builder, set_external
from .external import ExternalFiles
from .surgeon import through_surgeon
from .wire import MARK, RAW_DATA, inflate, span_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...ir.model import Model

LIMIT = (1 << 31) - 1
"""protobuf refuses messages of more bytes; what is larger goes to external data."""
BLOCK = 1 << 20
ALIGN = 4096


def write(model: Model, path: Path) -> None:
    """Write a model and, where it has some, its external data files beside it, under the names they had.

    The model appears only when all of it is written. Raises UsageError when ``path`` or one of the
    data files is in the way of the input or of a different file.
    """
    builder = Builder(model)
    proto = builder.model() if builder.unchanged else through_surgeon(builder.model())
    locations = {entry["location"] for _, entry in external_tensors(proto)}
    _check_target(model, path, locations)
    with ExitStack() as drafts:
        draft = drafts.enter_context(atomic(path, source=model.path))
        for location in sorted(locations):
            _carry(model.path.parent / location, path.parent / location, drafts)
        pieces = inflate(proto.SerializeToString(), builder.spans)
        if length(pieces) > LIMIT:
            name = _free_name(path, locations)
            _spill(proto, builder, name, drafts.enter_context(atomic(path.parent / name)), model.path)
            pieces = inflate(proto.SerializeToString(), builder.spans)
        with draft.open("wb") as stream:
            _copy(pieces, stream, model.path)


def to_bytes(model: Model) -> bytes:
    """The model as one message with all of its values inside. Raises UsageError when that is over 2 GB."""
    builder = Builder(model)
    proto = builder.model()
    external = ExternalFiles(model.path)
    for tensor, entries in external_tensors(proto):
        size = builder.size(tensor)
        file, offset = external.locate(tensor.name, entries, size)
        builder.refer(tensor, Span(RAW_DATA, offset, size, file))
    pieces = inflate(proto.SerializeToString(), builder.spans)
    if length(pieces) > LIMIT:
        raise UsageError(
            f"{model.path} is larger than 2 GB and cannot be held in one message: write it to a file"
        )
    return b"".join(_blocks(pieces, model.path))


def tensors(proto: Any) -> Iterator[Any]:
    """Every TensorProto of a ModelProto."""
    todo: list[Any] = [proto.graph, *proto.functions]
    for training in proto.training_info:
        todo += [training.initialization, training.algorithm]
    while todo:
        message = todo.pop()
        if hasattr(message, "initializer"):
            yield from message.initializer
            for sparse in message.sparse_initializer:
                yield from (sparse.values, sparse.indices)
        attributes = [attribute for node in message.node for attribute in node.attribute]
        attributes += getattr(message, "attribute_proto", ())
        for attribute in attributes:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("g"):
                todo.append(attribute.g)
            yield from attribute.tensors
            todo += attribute.graphs
            for sparse in (
                *attribute.sparse_tensors,
                *((attribute.sparse_tensor,) if attribute.HasField("sparse_tensor") else ()),
            ):
                yield from (sparse.values, sparse.indices)


def external_tensors(proto: Any) -> list[tuple[Any, dict[str, str]]]:
    """The tensors whose values lie in external files, with their entries."""
    found = [
        (tensor, {entry.key: entry.value for entry in tensor.external_data})
        for tensor in tensors(proto)
        if tensor.data_location == 1
    ]
    return [(tensor, entries) for tensor, entries in found if MARK not in entries]


# ---- external files --------------------------------------------------------------------------


def _check_target(model: Model, path: Path, locations: set[str]) -> None:
    if locations and is_stream(path):
        raise UsageError(
            f"{path} is a device or a pipe, and the model keeps its weights in files beside it: give a file"
        )
    for location in locations:
        if (
            path.exists()
            and (model.path.parent / location).exists()
            and path.samefile(model.path.parent / location)
        ):
            raise UsageError(f"{path} holds the weights of the input: give another output path")
        if Path(location) == Path(path.name):
            raise UsageError(
                f"{path} has the name of the model's external data {location!r}: give another output path"
            )


def _carry(source: Path, target: Path, drafts: ExitStack) -> None:
    """Copy an external data file to where the new model expects it; one that is there already is left
    alone.
    """
    if target.exists():
        if not source.samefile(target) and not _equal(source, target):
            raise UsageError(
                f"{target} exists and differs from the model's external data: remove it, or "
                f"write to another folder"
            )
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, drafts.enter_context(atomic(target)))


def _equal(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as left, other.open("rb") as right:
        while block := left.read(BLOCK):
            if block != right.read(BLOCK):
                return False
    return True


def _free_name(path: Path, locations: set[str]) -> str:
    name, count = f"{path.name}.data", 0
    while name in locations:
        count += 1
        name = f"{path.name}.{count}.data"
    return name


def _spill(proto: Any, builder: Builder, location: str, target: Path, source: Path) -> None:
    """Move every large value that is plain bytes to one external file."""
    with target.open("wb") as stream:
        for tensor in tensors(proto):
            piece = _plain(tensor, builder)
            if piece is None:
                continue
            stream.seek(-(-stream.tell() // ALIGN) * ALIGN)
            offset = stream.tell()
            _copy([piece], stream, source)
            tensor.ClearField("raw_data")
            set_external(tensor, location, offset, length([piece]))


def _plain(tensor: Any, builder: Builder) -> Piece | None:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if MARK in entries:
        span = span_of(entries[MARK], builder.spans)
        return span if span.number == RAW_DATA else None
    return tensor.raw_data if tensor.data_location == 0 and len(tensor.raw_data) > KEEP else None


# ---- bytes -----------------------------------------------------------------------------------


def _copy(pieces: list[Piece], stream: BinaryIO, model: Path) -> None:
    for block in _blocks(pieces, model):
        stream.write(block)


def _blocks(pieces: list[Piece], model: Path) -> Iterator[bytes]:
    with ExitStack() as stack:
        streams: dict[Path, BinaryIO] = {}
        for piece in pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            file = piece.file or model
            if file not in streams:
                streams[file] = stack.enter_context(file.open("rb"))
            yield from _read(streams[file], piece, file)


def _read(stream: BinaryIO, span: Span, file: Path) -> Iterator[bytes]:
    stream.seek(span.offset)
    left = span.length
    while left:
        block = stream.read(min(left, BLOCK))
        if not block:
            raise ModelError(
                file,
                f"{span.length} bytes expected at offset {span.offset}, the file ends before",
                "it changed since it was read",
            )
        left -= len(block)
        yield block
