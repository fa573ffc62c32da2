"""ONNX Runtime's own format: a FlatBuffer, read into the IR as the ONNX model that it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..sniff import Glimpse

FORMATS = ("ort",)
MAGIC = True


def recognize(glimpse: Glimpse) -> str | None:
    """By the file identifier of the schema."""
    return "ort" if glimpse.head[4:8] == b"ORTM" else None
