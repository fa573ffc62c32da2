"""What changed since an earlier report: for each model and target, its verdict, coverage and partitions then,
and the findings that are new and gone since.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..words import counted
from .stored import problem

if TYPE_CHECKING:
    from ..check.coverage import Coverage, Entry

MOST = 64 << 20
"""Bytes of an earlier report that are read."""


def compare(entries: Sequence[Entry], file: Path) -> None:
    """Note in each entry what the report in ``file`` said of the same model and target.

    Models are the same by path, or where only one was checked each time. Raises UsageError for a file that is
    no report.
    """
    models = [model for model in read(file)["models"] if "targets" in model]
    checked = [entry for entry in entries if entry.error is None]
    alone = len(models) == len(checked) == 1
    by_path = {model["path"]: model for model in models}
    for entry in checked:
        model = models[0] if alone else by_path.get(str(entry.path), {})
        targets = {row["target"]: row for row in model.get("targets", ())}
        for coverage in entry.coverages:
            if coverage.target in targets:
                change = _change(targets[coverage.target], coverage)
                entry.extra[coverage.target] = {**entry.extra.get(coverage.target, {}), "previous": change}


def read(file: Path) -> dict[str, Any]:
    """A report that accelint wrote as JSON. Raises UsageError for anything else."""
    from .document import SCHEMA

    try:
        if file.stat().st_size > MOST:
            raise UsageError(f"{file} is no earlier report: it has more than {MOST >> 20} MiB")
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise UsageError(f"{file} cannot be read as an earlier report: {words}") from error
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise UsageError(
            f"{file} is no earlier report: write one with accelint check ... --format json --output {file}"
        )
    if why := problem(found):
        raise UsageError(f"{file} is no earlier report, or a damaged one: {why}")
    return found


def _change(old: Mapping[str, Any], coverage: Coverage) -> dict[str, Any]:
    before = {finding["fingerprint"] for finding in old["findings"]}
    now = {finding.fingerprint for finding in coverage.findings}
    return {
        "verdict": old["verdict"],
        "coverage": {key: old["coverage"].get(key) for key in ("operators", "macs")},
        "partitions": len(old["partitions"]),
        "new": sorted(now - before),
        "fixed": len(before - now),
    }


def in_words(target: Mapping[str, Any]) -> str:
    """What changed, on one line; empty where nothing did or nothing earlier is known."""
    old = target.get("previous")
    if not old:
        return ""
    told = [f"was {old['verdict']}"] if old["verdict"] != target["verdict"] else []
    for key, what in (("operators", "of operators"), ("macs", "of MACs")):
        told += points(old["coverage"][key], target["coverage"][key], what)
    parts = len(target["partitions"]) - old["partitions"]
    told += [f"{parts:+d} {'partition' if abs(parts) == 1 else 'partitions'}"] if parts else []
    told += [counted(len(old["new"]), "new finding")] if old["new"] else []
    told += [counted(old["fixed"], "finding") + " fixed"] if old["fixed"] else []
    return ", ".join(told)


def points(old: float | None, new: float | None, what: str) -> list[str]:
    """A change of a share in percentage points; nothing where it is under a hundredth of one."""
    if old is None or new is None or abs(new - old) < 0.0001:
        return []
    return [f"{100 * (new - old):+.4g} percentage points {what}"]
