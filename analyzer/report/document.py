"""The report as one JSON document, the fixed shape that every format is made from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..check.coverage import Coverage, Entry, Finding, OperatorVerdict
from ..ir.graph import Graph, Tensor

SCHEMA = "accelint/report/1"


def document(entries: Iterable[Entry], version: str) -> dict[str, Any]:
    """The whole report."""
    models = [_entry(entry) for entry in entries]
    return {
        "schema": SCHEMA,
        "tool": {"name": "accelint", "version": version},
        "models": models,
        "summary": _summary(models),
    }


def _entry(entry: Entry) -> dict[str, Any]:
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
            {**_target(coverage), **entry.extra.get(coverage.target, {})} for coverage in entry.coverages
        ],
    }


def _interface(graph: Graph, name: str) -> dict[str, Any]:
    tensor = graph.find(name) or Tensor(name)
    return {
        "name": name,
        "dtype": tensor.dtype,
        "shape": None if tensor.shape is None else list(tensor.shape),
    }


def _target(coverage: Coverage) -> dict[str, Any]:
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
        "operators": [_operator(op) for op in coverage.operators],
        "findings": [_finding(finding) for finding in coverage.findings],
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


def _summary(models: list[dict[str, Any]]) -> dict[str, Any]:
    targets = [target for model in models for target in model.get("targets", ())]
    severities = [finding["severity"] for target in targets for finding in target["findings"]]
    return {
        "models": len(models),
        "unreadable": sum(1 for model in models if "error" in model),
        "verdicts": {
            verdict: sum(1 for target in targets if target["verdict"] == verdict) for verdict in _VERDICTS
        },
        "findings": {severity: severities.count(severity) for severity in ("error", "warning", "note")},
    }


_VERDICTS = ("full", "partial", "none", "rejected", "unknown")
