"""The report for people, short: one line a model and target."""

from __future__ import annotations

from typing import Any

from . import text


def render(document: dict[str, Any]) -> str:
    """As ``text`` has it, without reasons."""
    return text.render(document, brief=True)
