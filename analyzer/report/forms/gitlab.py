"""GitLab's code quality report.

https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ..issues import Issue, fingerprint, issues, unreadable
from ..places import Places

_SEVERITY = {"error": "critical", "warning": "major", "note": "info"}


def chunks(document: dict[str, Any]) -> Iterator[str]:
    """A list with one entry a root cause."""
    places = Places()
    rows = [
        {
            "description": message,
            "check_name": "accelint/unreadable",
            "fingerprint": fingerprint(place.path, message),
            "severity": "blocker",
            "location": {"path": place.path, "lines": {"begin": place.line}},
        }
        for _, place, message in unreadable(document, places)
    ]
    rows += [_row(issue) for issue in issues(document, places)]
    yield json.dumps(rows, ensure_ascii=False)
    yield "\n"


def _row(issue: Issue) -> dict[str, Any]:
    return {
        "description": issue.message,
        "check_name": f"{issue.code}/{issue.rule}",
        "fingerprint": issue.fingerprint,
        "severity": _SEVERITY[issue.severity],
        "location": {"path": issue.place.path, "lines": {"begin": issue.place.line}},
    }
