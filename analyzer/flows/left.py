"""What a fix leaves: for each finding that is still there, the rewrite that came closest and what held it
back, or that no rewrite answers it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...rewrites.registry import answering, rewrites
from ...rules.verdict import Verdict

if TYPE_CHECKING:
    from ...rewrites.engine import AnyRewrite
    from ...rewrites.planner import Passed, Step
    from ..check.coverage import Coverage, Finding, OperatorVerdict
    from ..ir.graph import Graph

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

    def to_json(self) -> dict[str, str | None]:
        """A row of ``left``."""
        return {
            "operator": self.operator,
            "rule": self.rule,
            "message": self.message,
            "rewrite": self.rewrite or None,
            "reason": self.reason,
        }


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


def fewest_partitions(graph: Graph, after: Coverage) -> int:
    """The fewest partitions that any order of the accelerated operators leaves: the largest number of them
    that a path of the graph alternates into, operators that never run passed over.

    Operators of one level (accelerated stretches before them on a path) could be one partition; those of
    different levels cannot, since an operator that stays lies between them.
    """
    verdicts = {op.id: op.verdict for op in after.operators}
    levels: set[int] = set()
    for scope in {id(owner): owner for owner, _ in graph.walk()}.values():
        levels |= _levels(scope, verdicts)
    return len(levels)


def _levels(graph: Graph, verdicts: Mapping[str, Verdict]) -> set[int]:
    at: dict[str, tuple[int, bool]] = {}
    found: set[int] = set()
    for op in graph.ops():
        ran = [at[name] for name in op.inputs if name in at]
        level, inside = max(ran, default=(0, False))
        verdict = verdicts.get(op.id)
        if verdict is Verdict.ACCELERATED:
            here = max((own if joined else own + 1 for own, joined in ran), default=1)
            found.add(here)
            state = (here, True)
        else:
            state = (level, inside) if verdict is Verdict.FOLDED else (level, False)
        at.update((name, state) for name in op.outputs if name)
    return found
