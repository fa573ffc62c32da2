"""The document as JSON on one line: indenting takes longer than checking."""

from __future__ import annotations

import json
from typing import Any


def render(document: dict[str, Any]) -> str:
    """One line."""
    return json.dumps(document, ensure_ascii=False) + "\n"
