"""One line of JSON for each model, with the schema and the tool."""

from __future__ import annotations

import json
from typing import Any


def render(document: dict[str, Any]) -> str:
    """As many lines as there are models."""
    head = {"schema": document["schema"], "tool": document["tool"]}
    lines = (json.dumps({**head, **model}, ensure_ascii=False) for model in document["models"])
    return "".join(f"{line}\n" for line in lines)
