"""TFLite flatbuffers, read into the IR and written back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..sniff import Glimpse

FORMATS = WRITABLE = ("tflite",)
MAGIC = True


def recognize(glimpse: Glimpse) -> str | None:
    """By the file identifier of the schema."""
    return "tflite" if glimpse.head[4:8] == b"TFL3" else None
