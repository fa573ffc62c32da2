"""What a worker answers to a server: for each model and target how well it does, the gates that it misses,
and its findings by root cause, bounded for a model of any size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelint import __version__

from ..check.coverage import Entry
from ..inert import line
from ..report.document import document
from ..report.issues import Issue, issues
from ..report.places import Places
from ..settings import baseline as baselines
from ..settings.decided import Decided
from ..settings.gates import misses

MOST = 200
"""Root causes of a model on a target that are told, the worst first."""
NAMED = 5
"""Operators of a root cause that are named."""


def summary(entries: Sequence[Entry], holds: Decided, root: Path) -> dict[str, Any]:
    """The answer, as JSON, without ignored findings; ``root`` is where lines of code are looked for."""
    places = Places(root)
    rows = document(entries, __version__)["models"]
    return {
        "models": [_model(entry, row, holds, places) for entry, row in zip(entries, rows, strict=True)],
        "unneeded": [line(text) for text in holds.unneeded()],
    }


def _model(entry: Entry, row: Mapping[str, Any], holds: Decided, places: Places) -> dict[str, Any]:
    errors = [] if entry.error is None else [entry.error.message]
    errors += [f"not checked for {target}: {error.message}" for target, error in entry.failures.items()]
    errors += [
        f"not checked for {target}: {why}" for target, why in entry.skipped.items() if not entry.coverages
    ]
    return {
        "path": str(entry.path),
        "errors": [line(text) for text in errors],
        "targets": [_target(entry, row, target, places) for target in row.get("targets", ())],
        "missed": _missed(entry, holds),
    }


def _target(entry: Entry, row: Mapping[str, Any], target: dict[str, Any], places: Places) -> dict[str, Any]:
    target["findings"] = [item for item in target["findings"] if not item.get("ignored")]
    found = issues({"models": [{**row, "targets": [target]}]}, places)
    home = places.model(str(entry.path))
    return {
        **{key: target[key] for key in ("target", "purpose", "runtime", "verdict", "phase", "coverage")},
        "operators": len(target["operators"]),
        "partitions": len(target["partitions"]),
        "issues": [_issue(item, target, home.path, places.root) for item in found[:MOST]],
        "left_out": max(0, len(found) - MOST),
    }


def _issue(issue: Issue, target: Mapping[str, Any], home: str, root: Path) -> dict[str, Any]:
    commands = target.get("commands", {})
    here = issue.place.path == home
    return {
        "code": issue.code,
        "rule": issue.rule,
        "severity": issue.severity,
        "message": issue.message,
        "count": issue.count,
        "operators": [{key: op[key] for key in ("id", "name", "type")} for op in issue.operators[:NAMED]],
        "evidence": issue.evidence,
        "file": None if here else str(root / issue.place.path),
        "line": issue.place.line,
        "command": next((text for text in commands.values() if line(text) == issue.fix), ""),
    }


def _missed(entry: Entry, holds: Decided) -> list[dict[str, str]]:
    found = [
        {"target": item.target, "key": key, "text": text}
        for item in entry.coverages
        for key, text in misses(item, holds.gates(item.target)).items()
    ]
    if holds.baseline is not None:
        found += [
            {"target": item.target, "key": "baseline", "text": text}
            for item in entry.coverages
            for text in baselines.worse(item, entry, holds.baseline)
        ]
    return found
