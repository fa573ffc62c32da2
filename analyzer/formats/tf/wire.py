"""Leave the bytes of large constants in the file: cut ``TensorProto.tensor_content`` out before parsing."""

from __future__ import annotations

from ..wire import KEEP, LEAF, Buffer, Leaf, Piece, Routes, encode, stripped, tag
from .proto import SKIPPED_LENGTH, SKIPPED_OFFSET

_ROUTES: Routes = {
    "SavedModel": {2: "MetaGraphDef"},
    "MetaGraphDef": {2: "GraphDef"},
    "GraphDef": {1: "NodeDef", 2: "FunctionDefLibrary"},
    "FunctionDefLibrary": {1: "FunctionDef"},
    "FunctionDef": {3: "NodeDef"},
    "NodeDef": {5: "AttrEntry"},
    "AttrEntry": {2: "AttrValue"},
    "AttrValue": {8: "TensorProto", 1: "ListValue"},
    "ListValue": {8: "TensorProto"},
    "TensorProto": {4: LEAF},
}
"""Where a TensorProto can stand. Source: tensorflow/core/framework."""


def without_contents(data: Buffer, root: str) -> bytes:
    """The message without its large tensor contents, each replaced by its offset and length in ``data``.

    Raises WireError when the bytes are not protobuf.
    """
    return stripped(data, len(data), root, _ROUTES, _place)


def _place(leaf: Leaf) -> list[Piece] | None:
    if leaf.stop - leaf.start <= KEEP:
        return None
    numbers = ((SKIPPED_OFFSET, leaf.start), (SKIPPED_LENGTH, leaf.stop - leaf.start))
    return [tag(field, 0) + encode(value) for field, value in numbers]
