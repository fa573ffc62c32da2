"""The report as one JSON document, the fixed shape that every format is made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from ..check.coverage import Coverage, Entry, Finding, OperatorVerdict
from ..ir.graph import Graph, Tensor

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
        return {"path": str(entry.path), "error": {"kind": entry.error.kind, "message": entry.error.message}}
    model = entry.model
    assert model is not None
    return {
        "path": str(entry.path),
        "format": model.format,
        "dialect": model.dialect,
        "sha256": model.sha256,
        "operators": sum(1 for _ in model.operators()),
        "inputs": [_interface(model.graph, name) for name in model.graph.inputs],
        "outputs": [_interface(model.graph, name) for name in model.graph.outputs],
        "targets": [
            {**_target(coverage, rows), **entry.extra.get(coverage.target, {})}
            for coverage in entry.coverages
        ],
    }


def _interface(graph: Graph, name: str) -> dict[str, Any]:
    tensor = graph.find(name) or Tensor(name)
    return {
        "name": name,
        "dtype": tensor.dtype,
        "shape": None if tensor.shape is None else list(tensor.shape),
    }


def _target(coverage: Coverage, rows: Listing) -> dict[str, Any]:
    verdicts = [op.verdict.value for op in coverage.operators]
    return {
        "target": coverage.target,
        "runtime": coverage.runtime,
        "verdict": coverage.verdict,
        "coverage": {
            "operators": round(coverage.by_operators, 6),
            "macs": None if coverage.by_macs is None else round(coverage.by_macs, 6),
        },
        **{
            verdict: verdicts.count(verdict)
            for verdict in ("accelerated", "fallback", "folded", "rejected", "unknown")
        },
        "partitions": [
            {
                "operators": list(part.operators),
                "bytes_in": part.bytes_in,
                "bytes_out": part.bytes_out,
                "macs": part.macs,
            }
            for part in coverage.partitions
        ],
        "operators": rows(_operator, coverage.operators),
        "findings": rows(_finding, coverage.findings),
        "notes": list(coverage.notes),
    }


def _operator(op: OperatorVerdict) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": op.id,
        "name": op.name,
        "type": op.type,
        "verdict": op.verdict.value,
        "findings": list(op.findings),
    }
    if op.code:
        row["code"] = op.code
    return row


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "rule": finding.rule,
        "severity": finding.severity,
        "operator": finding.operator,
        "message": finding.message,
        "seen": finding.seen,
        "limit": finding.limit,
        "evidence": finding.evidence,
        "source": finding.source,
        "fix": finding.fix,
        "fingerprint": finding.fingerprint,
    }


def _summary(entries: Sequence[Entry]) -> dict[str, Any]:
    coverages = [coverage for entry in entries if entry.error is None for coverage in entry.coverages]
    verdicts = Counter(coverage.verdict for coverage in coverages)
    severities = Counter(finding.severity for coverage in coverages for finding in coverage.findings)
    return {
        "models": len(entries),
        "unreadable": sum(1 for entry in entries if entry.error is not None),
        "verdicts": {verdict: verdicts[verdict] for verdict in _VERDICTS},
        "findings": {severity: severities[severity] for severity in ("error", "warning", "note")},
    }


_VERDICTS = ("full", "partial", "none", "rejected", "unknown")
