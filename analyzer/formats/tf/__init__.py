"""TensorFlow SavedModel and GraphDef, read without TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..sniff import Glimpse

FORMATS = ("savedmodel",)


def recognize(glimpse: Glimpse) -> str | None:
    """A folder with ``saved_model.pb``, a SavedModel message (``meta_graphs`` is field 2) or a GraphDef
    (``node`` is field 1).
    """
    if glimpse.folder:
        return "savedmodel" if glimpse.holds("saved_model.pb") or glimpse.holds("saved_model.pbtxt") else None
    fields = glimpse.fields
    graph = fields.get(1) == 2 and set(fields) <= {1, 2, 3, 4}
    saved = fields.get(2) == 2 and set(fields) <= {1, 2}
    return "savedmodel" if graph or saved else None
