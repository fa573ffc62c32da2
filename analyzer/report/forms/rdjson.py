"""Reviewdog's diagnostic format.

https://github.com/reviewdog/reviewdog/tree/master/proto/rdf
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ..issues import Issue, issues, unreadable
from ..places import Place, Places

_SEVERITY = {"error": "ERROR", "warning": "WARNING", "note": "INFO"}


def chunks(document: dict[str, Any]) -> Iterator[str]:
    """One diagnostic a root cause."""
    places = Places()
    rows = [
        {"message": message, "location": _location(place), "severity": "ERROR"}
        for _, place, message in unreadable(document, places)
    ]
    rows += [_row(issue) for issue in issues(document, places)]
    source = {"name": document["tool"]["name"]}
    yield json.dumps({"source": source, "diagnostics": rows}, ensure_ascii=False)
    yield "\n"


def _row(issue: Issue) -> dict[str, Any]:
    code = {"value": f"{issue.code}/{issue.rule}"}
    if issue.source.startswith("https://"):
        code["url"] = issue.source
    return {
        "message": issue.message,
        "location": _location(issue.place),
        "severity": _SEVERITY[issue.severity],
        "code": code,
    }


def _location(place: Place) -> dict[str, Any]:
    return {"path": place.path, "range": {"start": {"line": place.line}}}
