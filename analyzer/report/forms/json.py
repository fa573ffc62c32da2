"""The document as JSON on one line: indenting takes longer than checking."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ..rows import Rows


def chunks(document: dict[str, Any]) -> Iterator[str]:
    """One line, in pieces: what has a row for each operator is never whole in memory."""
    yield from encoded(document)
    yield "\n"


def encoded(value: Any) -> Iterator[str]:
    """The pieces of ``json.dumps(value, ensure_ascii=False)``."""
    if isinstance(value, dict):
        opening = "{"
        for key, item in value.items():
            yield f"{opening}{json.dumps(key, ensure_ascii=False)}: "
            yield from encoded(item)
            opening = ", "
        yield "{}" if opening == "{" else "}"
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        opening = "["
        for item in value:
            yield opening
            yield from encoded(item)
            opening = ", "
        yield "]"
    elif isinstance(value, Rows):
        opening = "["
        for text in value.encoded(_rows):
            yield opening + text
            opening = ", "
        yield "[]" if opening == "[" else "]"
    else:
        yield json.dumps(value, ensure_ascii=False)


def _rows(rows: list[dict[str, Any]]) -> str:
    return json.dumps(rows, ensure_ascii=False)[1:-1]
