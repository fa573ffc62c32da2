"""Core ML packages and model files: ML Programs and NeuralNetworks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..sniff import Glimpse

FORMATS = WRITABLE = ("mlpackage", "mlmodel")


def recognize(glimpse: Glimpse) -> str | None:
    """A folder with a manifest, or a message with ``specificationVersion`` (field 1, varint) and a model type
    (fields 200 to 3000).
    """
    if glimpse.folder:
        return "mlpackage" if glimpse.holds("Manifest.json") else None
    fields = glimpse.fields
    kind = any(200 <= number <= 3000 and wire == 2 for number, wire in fields.items())
    return "mlmodel" if fields.get(1) == 0 and kind and 7 not in fields else None  # 7 is an ONNX graph
