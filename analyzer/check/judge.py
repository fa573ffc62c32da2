"""One operator against the rules of a target: its verdict, and every reason that bears on it."""

from __future__ import annotations

import hashlib
from typing import Any

from ...rules.pack import Chosen, Failure, Rule
from ...rules.subjects import operator_key
from ...rules.verdict import Answer, Verdict
from ..ir.graph import Graph, Operator
from .coverage import Finding


def judge(graph: Graph, op: Operator, chosen: Chosen) -> tuple[Verdict, list[Finding]]:
    """The verdict of one operator by the rules alone, with every reason that bears on it."""
    failures = chosen.failures(graph, op)
    refused = any(
        rule.scope == "model" and rule.effect == "rejected" and failure.answer is Answer.FAILS
        for rule, failure in failures
    )
    if operator_key(op) not in chosen.known and not refused:
        known = [
            _finding(op, rule, failure, chosen)
            for rule, failure in failures
            if failure.answer is Answer.FAILS
        ]
        return Verdict(chosen.pack.default), known or [_unlisted(op, chosen)]
    verdict = Verdict.REJECTED if refused else _weigh(failures)
    return verdict, [
        _finding(op, rule, failure, chosen) for rule, failure in failures if _bears(rule, failure, verdict)
    ]


def _bears(rule: Rule, failure: Failure, verdict: Verdict) -> bool:
    """Whether a failure says something about the verdict.

    What is unknown explains nothing once something is known; an operator that stays on the host cannot make
    the accelerator refuse.
    """
    if verdict is Verdict.FALLBACK:
        return failure.answer is Answer.FAILS and (rule.effect != "rejected" or rule.scope == "model")
    return verdict is Verdict.UNKNOWN or failure.answer is Answer.FAILS


_UNDECIDED = {
    ("fallback", Answer.UNKNOWN),
    ("rejected", Answer.UNKNOWN),
    ("unknown", Answer.UNKNOWN),
    ("unknown", Answer.FAILS),
}


def _weigh(failures: list[tuple[Rule, Failure]]) -> Verdict:
    """Fallback comes before rejection: an operator that is never handed over cannot make the accelerator
    refuse.
    """
    effects = {(rule.effect, failure.answer) for rule, failure in failures if rule.scope != "model"}
    if ("fallback", Answer.FAILS) in effects:
        return Verdict.FALLBACK
    if ("fallback", Answer.UNKNOWN) not in effects and ("rejected", Answer.FAILS) in effects:
        return Verdict.REJECTED
    if effects & _UNDECIDED:
        return Verdict.UNKNOWN
    if any(
        rule.scope == "model" and failure.answer is Answer.UNKNOWN and rule.effect != "note"
        for rule, failure in failures
    ):
        return Verdict.UNKNOWN
    return Verdict.ACCELERATED


def _finding(op: Operator, rule: Rule, failure: Failure, chosen: Chosen) -> Finding:
    message = (
        failure.message
        if failure.answer is Answer.FAILS
        else f"not known whether it holds: {failure.message}"
    )
    return Finding(
        code=rule.code,
        rule=rule.name,
        severity=rule.severity,
        operator=op.id,
        message=message,
        seen=failure.seen,
        limit=failure.limit,
        evidence=rule.evidence,
        source=rule.source.url or f"{rule.source.package} {rule.source.version}",
        effect=rule.effect,
        fingerprint=fingerprint(chosen.target, rule.name, op),
    )


def _unlisted(op: Operator, chosen: Chosen) -> Finding:
    custom = op.domain not in ("", "ai.onnx")
    code, rule = ("ACL204", "custom-operator") if custom else ("ACL201", "operator-unsupported")
    return Finding(
        code, rule, "error" if chosen.pack.default == "rejected" else "warning", op.id,
        f"{chosen.pack.title} has no {operator_key(op)}", evidence="source", source=chosen.pack.title,
        effect=chosen.pack.default, fingerprint=fingerprint(chosen.target, rule, op),
    )  # fmt: skip


def fingerprint(target: str, rule: str, op: Operator) -> str:
    """Names a finding across edits of the model: by target, rule and the operator's own words, never by its
    index.
    """
    words: tuple[Any, ...] = (target, rule, op.type, op.label)
    return hashlib.sha256("\0".join(map(str, words)).encode()).hexdigest()[:16]
