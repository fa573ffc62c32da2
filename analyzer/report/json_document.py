"""The document as JSON, or one line of JSON for each model."""

from __future__ import annotations

import json
from typing import Any


def render(document: dict[str, Any], form: str) -> str:
    """``json``: the document on one line (indenting takes longer than checking); ``jsonl``: one line a model,
    with the schema and tool.
    """
    if form == "jsonl":
        head = {"schema": document["schema"], "tool": document["tool"]}
        return "".join(
            json.dumps({**head, **model}, ensure_ascii=False) + "\n" for model in document["models"]
        )
    return json.dumps(document, ensure_ascii=False) + "\n"
