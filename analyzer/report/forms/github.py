"""Annotations of GitHub Actions: workflow commands, one a line.

GitHub shows ten errors, ten warnings and ten notices of a step, and drops the rest without a word: the worst
causes come first, and the last line of a level says how many are left out.
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from ...inert import line
from ...words import counted
from ..issues import Issue, issues, unreadable
from ..places import Place, Places

SHOWN = 10
"""Annotations of a level that GitHub shows of a step."""
_LONGEST = 3000
_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def chunks(document: dict[str, Any]) -> Iterator[str]:
    """One workflow command a line."""
    places = Places()
    found: dict[str, list[str]] = {command: [] for command in _COMMANDS.values()}
    for _, place, message in unreadable(document, places):
        found["error"].append(_command("error", place, "cannot be checked", message))
    for issue in issues(document, places):
        command = _COMMANDS[issue.severity]
        found[command].append(_command(command, issue.place, issue.title, _message(issue)))
    for command, rows in found.items():
        yield from (f"{row}\n" for row in _bounded(command, rows))


def _bounded(command: str, rows: list[str]) -> Iterator[str]:
    if len(rows) <= SHOWN:
        yield from rows
        return
    yield from rows[: SHOWN - 1]
    left = counted(len(rows) - SHOWN + 1, "more cause")
    yield f"::{command} title=accelint::{left} of this severity: the report in another format has them"


def _message(issue: Issue) -> str:
    where = ", ".join(op["name"] or op["id"] for op in issue.operators[:3])
    more = ", ..." if issue.count > 3 else ""
    return f"{issue.message}\nat {where}{more} in {line(issue.model)}"


def _command(command: str, place: Place, title: str, message: str) -> str:
    path = os.fsencode(place.path).decode("utf-8", "replace")
    properties = {"file": path, "line": str(place.line), "title": title}
    told = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{command} {told}::{_data(message[:_LONGEST])}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
