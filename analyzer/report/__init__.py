"""Reports: one document, several ways to write it.

``document`` builds the versioned JSON document (``accelint schema``); every other format is a view of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..errors import UsageError

FORMATS = {
    "text": "text",
    "json": "json_document",
    "jsonl": "json_document",
}
"""Format name -> module here with ``render(document, format) -> str``."""


def render(document: dict[str, Any], form: str) -> str:
    """The report in one format. Raises UsageError on an unknown format."""
    if form not in FORMATS:
        raise UsageError(f"no report format is named {form!r}: there are {', '.join(FORMATS)}")
    text: str = import_module(f".{FORMATS[form]}", __name__).render(document, form)
    return text
