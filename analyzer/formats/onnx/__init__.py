"""ONNX: protobuf messages walked on the wire, read into the IR and written back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..sniff import Glimpse

FORMATS = WRITABLE = ("onnx",)


def recognize(glimpse: Glimpse) -> str | None:
    """``ir_version`` is field 1 (varint), ``graph`` field 7."""
    fields = glimpse.fields
    return "onnx" if fields.get(7) == 2 and fields.get(1, 0) == 0 else None
