"""Keras v3 archives, built in a worker process and read as TensorFlow graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..sniff import Glimpse

FORMATS = ("keras",)
MAGIC = True


def recognize(glimpse: Glimpse) -> str | None:
    """A zip archive with the two files that every Keras v3 model has."""
    return "keras" if {"metadata.json", "config.json"} <= glimpse.names else None
