"""Several targets of one fix: one file, better for some of them and worse for none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...rewrites.planner import Asked, score
from ..check.prepared import Prepared
from .left import Left, fewest_partitions
from .optimized import check_at

if TYPE_CHECKING:
    from pathlib import Path

    from ...rewrites.planner import Score
    from ...rules.pack import Chosen
    from ..check.coverage import Coverage
    from ..ir.graph import Graph
    from ..ir.model import Model

RANK = {"full": 0, "partial": 1, "unknown": 2, "none": 2, "rejected": 3}
PASSES = 3
"""How often every target is planned for: what helps one may make room for another."""


def fitness(coverage: Coverage) -> tuple[int, Score]:
    """How well a model fits a target, smaller is better: its verdict, then the planner's score."""
    return RANK[coverage.verdict], score(coverage)


class View:
    """A model that is being changed, as one target sees it."""

    def __init__(self, model: Model, chosen: Chosen, optimize: str | None) -> None:
        self.chosen = chosen
        self.optimize = optimize
        self.model = model
        self.asked = Asked(model.graph, self._predict)
        self.before = self.asked()
        self.fewest = fewest_partitions(model.graph, self.before)

    def ask(self, model: Model) -> Coverage:
        """The prediction for the model as it is now, once for each of its states."""
        if self.asked.graph is not model.graph:
            self.asked = Asked(model.graph, self._predict)
        self.model = model
        return self.asked()

    def _predict(self, graph: Graph) -> Coverage:
        return check_at(Prepared(self.model, edited=True), self.chosen, self.optimize)

    def stored(self, model: Model) -> Coverage:
        """The prediction for a model that was read."""
        return check_at(Prepared(model), self.chosen, self.optimize)


def worse(target: str, before: Coverage, after: Coverage) -> str:
    """That a target would run less of the model; empty where it does not."""
    if fitness(after) <= fitness(before):
        return ""
    return (
        f"{target} would be worse: {before.verdict}, {score(before).text} -> {after.verdict}, "
        f"{score(after).text}"
    )


@dataclass(frozen=True)
class Outcome:
    """What a fix for several targets did for one of them.

    Attributes:
        ran: what the target's runtime said of the written file; empty where it is not here.
        differs: whether the numbers of that run differ from those of the original.
    """

    target: str
    before: Coverage
    after: Coverage
    fewest: int
    left: tuple[Left, ...] = ()
    ran: str = ""
    differs: bool = False

    def to_json(self) -> dict[str, Any]:
        """A row of ``targets``."""
        return {
            "target": self.target,
            "verdict": {"before": self.before.verdict, "after": self.after.verdict},
            "before": score(self.before).text,
            "after": score(self.after).text,
            "partitions": {
                "before": len(self.before.partitions),
                "after": len(self.after.partitions),
                "fewest": self.fewest,
            },
            "left": [item.to_json() for item in self.left],
            "runtime": self.ran or None,
        }


def ran(
    file: Path, original: Path, chosen: Chosen, coverage: Coverage, sizes: Sequence[str]
) -> tuple[str, bool]:
    """What the runtime of a target does with the written file beside the original, and whether the numbers
    differ; nothing where it is not here, or was asked about other sizes.
    """
    from ..errors import AccelintError
    from ..formats import load
    from ..runtimes.catalog import every, info
    from .verify import Options, summary, verify

    base = chosen.target.partition(":")[0]
    if not any(item.name == base and info(item).available for item in every()):
        return "", False
    try:
        against = None if sizes else original
        found = verify(load(file), chosen, coverage, Options(against=against))
    except AccelintError as error:
        return f"could not be asked: {error.message}", False
    if not found.answer.ok:
        return f"{found.answer.status}: {found.answer.reason}"[:300], False
    shown = found.shown
    numbers = "" if shown is None or shown.parity is None else f", {summary(shown.parity)}"
    wrong = "; ".join(found.contradictions[:2])
    words = f"{found.answer.runtime}: {wrong or 'as predicted'}{numbers}"
    return words, any(item.differs for item in found.compared)
