"""The report for people, whole: every operator, every reason and its source."""

from __future__ import annotations

from typing import Any

from . import text


def render(document: dict[str, Any]) -> str:
    """As ``text`` has it, nothing left out."""
    return text.render(document, full=True)
