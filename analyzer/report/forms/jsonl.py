"""One line of JSON for each model, with the schema and the tool."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .json import encoded


def chunks(document: dict[str, Any]) -> Iterator[str]:
    """As many lines as there are models."""
    head = {"schema": document["schema"], "tool": document["tool"]}
    for model in document["models"]:
        yield from encoded({**head, **model})
        yield "\n"
