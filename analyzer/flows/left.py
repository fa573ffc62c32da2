"""What a fix leaves: for each finding that is still there, the rewrite that came closest and what held it
back, or that no rewrite answers it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...rewrites.registry import answering, rewrites

if TYPE_CHECKING:
    from ...rewrites.engine import AnyRewrite
    from ...rewrites.planner import Passed, Step
    from ..check.coverage import Coverage, Finding, OperatorVerdict

NONE = "no exact rewrite exists"
UNSAFE = "it changes the numbers or the interface: --fix-level unsafe applies it"
FOLLOWS = "it follows from the findings of others"


@dataclass(frozen=True, slots=True)
class Left:
    """A finding that a fix did not remove; ``rewrite`` is empty where none answers it."""

    operator: str
    rule: str
    message: str
    rewrite: str
    reason: str


def left(
    after: Coverage, steps: Iterable[Step], passed: Iterable[Passed], dialect: str, level: str
) -> tuple[Left, ...]:
    """One entry for each finding of the result, notes left out.

    A rewrite that was applied and undone came closer than one whose guard did not hold, and that closer than
    one that the level does not allow.
    """
    undone = {(step.rewrite, place): step.reason for step in steps if not step.kept for place in step.places}
    missed = {(item.rewrite, item.operator): item.reason for item in passed}
    by_id = {op.id: op for op in after.operators}
    all_of_them = rewrites(dialect)
    found = []
    for finding in after.findings:
        op = by_id.get(finding.operator)
        if finding.effect == "note" or op is None:
            continue
        items = [item for item in answering(finding, all_of_them) if op.type in item.root]
        id, reason = _closest(finding, op, items, (undone, missed), level)
        found.append(Left(op.name, finding.rule, finding.message, id, reason))
    return tuple(found)


def _closest(
    finding: Finding,
    op: OperatorVerdict,
    items: Sequence[AnyRewrite],
    told: Sequence[dict[tuple[str, str], str]],
    level: str,
) -> tuple[str, str]:
    """The id of a rewrite and what held it back."""
    for reasons in told:
        for item in items:
            if (reason := reasons.get((item.id, op.name))) is not None:
                return item.id, reason
    for item in items:
        if level == "safe" and not item.parity.safe:
            return item.id, UNSAFE
    return "", FOLLOWS if finding.code.startswith("ACL6") else NONE
