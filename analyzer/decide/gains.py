"""What removing a cause would give: the model is checked again without it, and partitioned anew.

A cause is a rule of the target, or a type of operators that the target does not have. What a partition policy
or the target's host decides is no rule that could be left out: nothing is said of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...rules.verdict import Verdict
from ..words import rounded

if TYPE_CHECKING:
    from ...rules.pack import Chosen
    from ..check.coverage import Coverage

Again = Callable[["Chosen"], "Coverage"]
"""Checks the same model for a target with other rules."""

MOST, MOST_OF_LARGE, LARGE = 20, 8, 5_000
"""Causes that are asked about, of a model of up to so many operators and of a larger one: each costs two
checks, and the answer must not depend on how fast the machine is.
"""
UNLISTED = ("operator-unsupported", "custom-operator")
"""Rules of operators that a target does not have; each type of them is a cause of its own."""


@dataclass(frozen=True, slots=True)
class Key:
    """A cause: a rule, and the operators' type where the target lacks that type."""

    code: str
    rule: str
    type: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What a check says in short."""

    verdict: str
    accelerated: int
    unknown: int
    operators: float
    macs: float | None
    partitions: int
    boundary: int | None
    accelerated_macs: int | None

    @classmethod
    def of(cls, coverage: Coverage) -> Result:
        """From a coverage."""
        macs = [part.macs for part in coverage.partitions]
        return cls(
            coverage.verdict,
            coverage.accelerated,
            coverage.count(Verdict.UNKNOWN),
            coverage.by_operators,
            coverage.by_macs,
            len(coverage.partitions),
            coverage.boundary_bytes,
            None if None in macs else sum(count or 0 for count in macs),
        )

    def to_json(self) -> dict[str, Any]:
        """For a report."""
        return {
            "verdict": self.verdict,
            "accelerated": self.accelerated,
            "unknown": self.unknown,
            "coverage": {
                "operators": rounded(self.operators),
                "macs": None if self.macs is None else rounded(self.macs),
            },
            "partitions": self.partitions,
            "boundary_bytes": self.boundary,
            "macs": self.accelerated_macs,
        }


@dataclass(frozen=True, slots=True)
class Gain:
    """One cause.

    Attributes:
        alone: the answer without this cause; None where it is no rule of the target.
        together: the answer without this cause and those ranked before it.
    """

    key: Key
    operators: int
    alone: Result | None
    together: Result | None

    def to_json(self) -> dict[str, Any]:
        """For a report."""
        return {
            "code": self.key.code,
            "rule": self.key.rule,
            **({"type": self.key.type} if self.key.type else {}),
            "operators": self.operators,
            "alone": self.alone and self.alone.to_json(),
            "together": self.together and self.together.to_json(),
        }


def gains(coverage: Coverage, chosen: Chosen, again: Again) -> list[Gain]:
    """The causes of a coverage, what brings most first; those that nothing can be said of come last."""
    counts = _causes(coverage)
    own = {rule.name for rule in chosen.rules}
    known = [key for key in counts if key.type or key.rule in own]
    others = [key for key in counts if key not in known]
    most = MOST if len(coverage.operators) <= LARGE else MOST_OF_LARGE
    before = Result.of(coverage)
    alone = {key: Result.of(again(_without(chosen, [key]))) for key in known[:most]}
    ranked = sorted(alone, key=lambda key: (_rank(alone[key], before), -counts[key]))
    found: list[Gain] = []
    for place, key in enumerate(ranked, 1):
        together = alone[key] if place == 1 else Result.of(again(_without(chosen, ranked[:place])))
        found.append(Gain(key, counts[key], alone[key], together))
    return found + [Gain(key, counts[key], None, None) for key in others]


def _causes(coverage: Coverage) -> dict[Key, int]:
    """Causes that cost coverage, with their operators, what concerns most of them first."""
    types = {op.id: op.type for op in coverage.operators}
    places: dict[Key, set[str]] = {}
    for item in coverage.findings:
        if item.effect == "note" or item.severity == "note":
            continue
        lacked = types.get(item.operator, "") if item.rule in UNLISTED else ""
        places.setdefault(Key(item.code, item.rule, lacked), set()).add(item.operator)
    counts = {key: len(ids) for key, ids in places.items()}
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _without(chosen: Chosen, keys: list[Key]) -> Chosen:
    rules = {key.rule for key in keys if not key.type}
    return chosen.without(rules, frozenset(key.type for key in keys if key.type))


def _rank(after: Result, before: Result) -> tuple[Any, ...]:
    """Smaller is better: whether the model runs at all, then MACs, operators, partitions and bytes."""
    macs = _more(after.macs, before.macs)
    return (
        after.verdict == "rejected",
        -macs,
        -_more(after.operators, before.operators),
        after.partitions,
        float("inf") if after.boundary is None else after.boundary,
    )


def _more(after: float | None, before: float | None) -> float:
    return 0.0 if after is None or before is None else after - before


def to_json(found: list[Gain]) -> list[Mapping[str, Any]]:
    """For a report."""
    return [item.to_json() for item in found]
