"""The baseline: findings that were there when a project began to check, and how well each model did then."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...rules.verdict import OF_MODELS
from ..check.coverage import Coverage, Entry
from ..errors import UsageError
from ..words import counted, percent, rounded

SCHEMA = "accelint/baseline/1"
REASON = "in the baseline"
_LARGEST = 1 << 28


@dataclass
class Baseline:
    """What a baseline file holds: by model (a path from the file's folder on) and target."""

    path: Path
    models: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def key(self, model: Path) -> str:
        """How a model is called here."""
        return Path(os.path.relpath(model.absolute(), self.path.absolute().parent)).as_posix()

    def of(self, model: Path, target: str) -> dict[str, Any] | None:
        """What is known of a model on a target."""
        return self.models.get(self.key(model), {}).get(target)


def read(path: Path) -> Baseline:
    """The baseline of a file. Raises UsageError when it is none."""
    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{path} is larger than {_LARGEST >> 20} MB: it is no baseline")
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        advice = "write one with `accelint baseline write`"
        raise UsageError(f"{path} cannot be read: {error.strerror or error} ({advice})") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no baseline: {error}") from error
    if not _fits(document):
        raise UsageError(
            f"{path} is no baseline of this version: write it anew with `accelint baseline write`"
        )
    return Baseline(path, document["models"])


def _fits(document: Any) -> bool:
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        return False
    models = document.get("models")
    return isinstance(models, dict) and all(
        isinstance(targets, dict) and all(map(_row_fits, targets.values())) for targets in models.values()
    )


def _row_fits(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and row.get("verdict") in OF_MODELS
        and isinstance(row.get("coverage"), int | float)
        and isinstance(row.get("partitions"), int)
        and isinstance(row.get("findings"), dict)
    )


def of(path: Path, entries: Iterable[Entry]) -> Baseline:
    """A baseline of what was found."""
    baseline = Baseline(path)
    for entry in entries:
        rows = {coverage.target: _row(coverage) for coverage in entry.coverages}
        baseline.models.setdefault(baseline.key(entry.path), {}).update(rows)
    return baseline


def _row(coverage: Coverage) -> dict[str, Any]:
    return {
        "verdict": coverage.verdict,
        "coverage": rounded(coverage.by_operators),
        "partitions": len(coverage.partitions),
        "findings": {
            item.fingerprint: {"code": item.code, "rule": item.rule, "operator": item.operator}
            for item in coverage.findings
        },
    }


def text(baseline: Baseline) -> str:
    """The file: sorted, a finding a line, so that a review shows what changed."""
    document = {"schema": SCHEMA, "models": baseline.models}
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def marked(coverage: Coverage, entry: Entry, baseline: Baseline) -> Coverage:
    """The coverage, its findings that are in the baseline ignored."""
    row = baseline.of(entry.path, coverage.target)
    if row is None:
        return coverage
    known = row["findings"]
    findings = [
        replace(item, ignored=REASON) if item.fingerprint in known and not item.ignored else item
        for item in coverage.findings
    ]
    return replace(coverage, findings=tuple(findings))


def worse(coverage: Coverage, entry: Entry, baseline: Baseline) -> list[str]:
    """One line for each way in which a model does worse than its baseline."""
    row = baseline.of(entry.path, coverage.target)
    if row is None:
        return []
    told = []
    if OF_MODELS.index(coverage.verdict) > OF_MODELS.index(row["verdict"]):
        told.append(f"the model is {coverage.verdict}, in the baseline {row['verdict']}")
    share = rounded(coverage.by_operators)
    if share < row["coverage"]:
        told.append(f"coverage is {percent(share, 1)}, in the baseline {percent(row['coverage'], 1)}")
    count = len(coverage.partitions)
    if count > row["partitions"] and coverage.verdict not in ("rejected", "none"):
        told.append(f"{counted(count, 'partition')}, in the baseline {row['partitions']}")
    return [f"{coverage.target}: {line}" for line in told]


def stale(entries: Iterable[Entry], baseline: Baseline) -> dict[tuple[str, str], list[str]]:
    """Fingerprints of the baseline that were not found any more, by model and target that were checked."""
    gone = {}
    for entry in entries:
        for coverage in entry.coverages:
            row = baseline.of(entry.path, coverage.target) or {"findings": {}}
            found = {item.fingerprint for item in coverage.findings}
            if left := [mark for mark in row["findings"] if mark not in found]:
                gone[baseline.key(entry.path), coverage.target] = left
    return gone


def pruned(
    baseline: Baseline, gone: Mapping[tuple[str, str], list[str]], entries: Iterable[Entry]
) -> Baseline:
    """The baseline without what is gone; what does better now has to keep that."""
    models = json.loads(json.dumps(baseline.models))
    for (model, target), marks in gone.items():
        for mark in marks:
            del models[model][target]["findings"][mark]
    for entry in entries:
        for coverage in entry.coverages:
            row = models.get(baseline.key(entry.path), {}).get(coverage.target)
            if row is not None and not worse(coverage, entry, baseline):
                row |= {key: value for key, value in _row(coverage).items() if key != "findings"}
    return Baseline(baseline.path, models)
