"""The report as one JSON document, the fixed shape that every format is made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from ...rules.verdict import Verdict
from ..check.coverage import Coverage, Entry, Finding, OperatorVerdict, Origin, Partition
from ..errors import AccelintError, SourceError
from ..ir.graph import Dim
from ..words import rounded
from .commands import advice, commands

SCHEMA = "accelint/report/1"


Listing = Callable[[Callable[[Any], dict[str, Any]], Sequence[Any]], Any]
"""How the rows of operators and findings are held: ``listed`` or ``Rows``."""


def listed(make: Callable[[Any], dict[str, Any]], items: Sequence[Any]) -> list[dict[str, Any]]:
    """Every row, as a list."""
    return list(map(make, items))


def document(entries: Sequence[Entry], version: str, rows: Listing = listed) -> dict[str, Any]:
    """The whole report; with ``Rows``, operators and findings are made as a form goes through them."""
    return {
        "schema": SCHEMA,
        "tool": {"name": "accelint", "version": version},
        "models": [_entry(entry, rows) for entry in entries],
        "summary": _summary(entries),
    }


def _entry(entry: Entry, rows: Listing) -> dict[str, Any]:
    if entry.error is not None:
        return {"path": str(entry.path), "error": _error(entry.error)}
    about = entry.about
    assert about is not None
    row = {
        "path": str(entry.path),
        **({} if entry.origin is None else {"exported": _exported(entry.origin)}),
        "format": about.format,
        "dialect": about.dialect,
        "sha256": about.sha256,
        "operators": about.operators,
        "inputs": [_shown(*item) for item in about.inputs],
        "outputs": [_shown(*item) for item in about.outputs],
        "graphs": [{"id": id, "name": name} for id, name in about.graphs],
        "targets": [
            {
                **_target(coverage, rows),
                **_commands(entry, coverage),
                **coverage.more,
                **entry.extra.get(coverage.target, {}),
            }
            for coverage in entry.coverages
        ],
    }
    skipped = [{"target": target, "reason": why} for target, why in entry.skipped.items()]
    skipped += [
        {"target": target, "reason": error.message, "kind": error.kind}
        for target, error in entry.failures.items()
    ]
    return {**row, "skipped": skipped} if skipped else row


def _error(error: AccelintError) -> dict[str, Any]:
    code = error.place if isinstance(error, SourceError) else None
    return {"kind": error.kind, "message": error.message, **({"code": code} if code else {})}


def _exported(origin: Origin) -> dict[str, Any]:
    """How the user's code became the model: the exporter, the user's line, and where the model is."""
    row = {"by": origin.by, "code": origin.place, "file": origin.stored and str(origin.stored)}
    return {key: value for key, value in row.items() if value}


def _commands(entry: Entry, coverage: Coverage) -> dict[str, Any]:
    found: dict[str, Any] = {"commands": commands(entry, coverage), "advice": advice(entry, coverage)}
    return {key: value for key, value in found.items() if value}


def _shown(name: str, dtype: str, shape: tuple[Dim, ...] | None) -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "shape": None if shape is None else list(shape)}


def _target(coverage: Coverage, rows: Listing) -> dict[str, Any]:
    return {
        "target": coverage.target,
        "purpose": coverage.purpose,
        "runtime": coverage.runtime,
        **({} if coverage.optimize is None else {"optimize": coverage.optimize}),
        "verdict": coverage.verdict,
        "phase": coverage.phase or None,
        "coverage": {
            "operators": rounded(coverage.by_operators),
            "macs": None if coverage.by_macs is None else rounded(coverage.by_macs),
        },
        **{
            verdict: coverage.count(Verdict(verdict))
            for verdict in ("accelerated", "fallback", "folded", "rejected", "unknown")
        },
        "partitions": rows(_partition, coverage.partitions),
        "operators": rows(_operator, coverage.operators),
        "findings": rows(_finding, coverage.findings),
        "notes": list(coverage.notes),
    }


def _partition(part: Partition) -> dict[str, Any]:
    return {
        "operators": list(part.operators),
        "bytes_in": part.bytes_in,
        "bytes_out": part.bytes_out,
        "macs": part.macs,
    }


def _operator(op: OperatorVerdict) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": op.id,
        "name": op.name,
        "type": op.type,
        "verdict": op.verdict.value,
        "findings": list(op.findings),
    }
    if not op.named:
        row["unnamed"] = True
    if op.code:
        row["code"] = op.code
    if op.gone:
        row["removed_by"] = op.gone
    if op.into:
        row["into"] = op.into
    return row


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "rule": finding.rule,
        "severity": finding.severity,
        "phase": finding.phase or None,
        "operator": finding.operator,
        "message": finding.message,
        "seen": finding.seen,
        "limit": finding.limit,
        "evidence": finding.evidence,
        "source": finding.source,
        "fix": finding.fix,
        "fix_level": None if finding.fix is None else "safe" if finding.safe else "unsafe",
        "fingerprint": finding.fingerprint,
        **({"ignored": finding.ignored} if finding.ignored else {}),
    }


def _summary(entries: Sequence[Entry]) -> dict[str, Any]:
    coverages = [coverage for entry in entries if entry.error is None for coverage in entry.coverages]
    verdicts = Counter(coverage.verdict for coverage in coverages)
    ignored = sum(1 for coverage in coverages for finding in coverage.findings if finding.ignored)
    severities = Counter(finding.severity for coverage in coverages for finding in coverage.findings)
    return {
        "models": len(entries),
        "unreadable": sum(1 for entry in entries if entry.error is not None),
        "verdicts": {verdict: verdicts[verdict] for verdict in _VERDICTS},
        "findings": {severity: severities[severity] for severity in ("error", "warning", "note")},
        **({"ignored": ignored} if ignored else {}),
    }


_VERDICTS = ("full", "partial", "none", "rejected", "unknown")
