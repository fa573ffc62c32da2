"""Core ML packages, model files and compiled models, also in zip archives: ML Programs and NeuralNetworks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Set

    from ..sniff import Glimpse

WRITABLE = ("mlpackage", "mlmodel")
FORMATS = (*WRITABLE, "mlmodelc")


def recognize(glimpse: Glimpse) -> str | None:
    """A folder with a manifest or with what the compiler writes, a zip archive with one such folder or with
    an ``.mlmodel``, or a message with ``specificationVersion`` (field 1, varint) and a model type (fields 200
    to 3000).
    """
    if glimpse.folder:
        compiled = "mlmodelc" if glimpse.holds("coremldata.bin") or glimpse.holds("model.mil") else None
        return "mlpackage" if glimpse.holds("Manifest.json") else compiled
    if glimpse.names:
        return _zipped(glimpse.names)
    fields = glimpse.fields
    kind = any(200 <= number <= 3000 and wire == 2 for number, wire in fields.items())
    return "mlmodel" if fields.get(1) == 0 and kind and 7 not in fields else None  # 7 is an ONNX graph


def _zipped(names: Set[str]) -> str | None:
    from .zipped import inside  # imports what few models need

    if {"metadata.json", "config.json"} <= names:  # a Keras file
        return None
    where = inside(names)
    if where is None:
        return None
    home = f"{where}/" if where else ""
    found = ("mlpackage", f"{home}Manifest.json"), ("mlmodelc", f"{home}coremldata.bin")
    return next((form for form, name in found if name in names), "mlmodel")
