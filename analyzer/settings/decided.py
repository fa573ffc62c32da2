"""What the models of one call have to keep: the configuration, the command line over it, and the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from ...rules.verdict import NOTHING
from ..check.coverage import IGNORES, Coverage, Entry
from . import baseline as baselines
from .baseline import Baseline
from .gates import Gates, missed
from .ignored import Ignore, marked, named, parsed
from .sources import Settings

_RANKS = {"note": 0, "warning": 1, "error": 2, "never": 3}


@dataclass
class Decided:
    """What holds for the models of a call.

    ``own`` and ``select`` are the command line's, over those of the settings; ``ignores`` come beside them.
    """

    settings: Settings = field(default_factory=Settings)
    own: Gates = field(default_factory=Gates)
    select: Sequence[str] = ()
    ignores: Sequence[Ignore] = ()
    baseline: Baseline | None = None
    today: date = field(default_factory=date.today)
    _seen: list[Ignore] = field(default_factory=list)

    def gates(self, target: str) -> Gates:
        """The gates of a target."""
        return self.own.over(self.settings.gates_of(target))

    def mark(self, entry: Entry) -> None:
        """Say on the entry's findings which are ignored, and why."""
        ignores = [*self.ignores, *self.settings.ignores, *_carried(entry)]
        fresh = [item for item in ignores if item not in self._seen]
        self._seen += [
            item for item in fresh if any(item.covers(entry.path, c.target) for c in entry.coverages)
        ]
        entry.coverages = [self._marked(entry, coverage, ignores) for coverage in entry.coverages]

    def _marked(self, entry: Entry, coverage: Coverage, ignores: Sequence[Ignore]) -> Coverage:
        select = tuple(self.select) or self.settings.selected(coverage.target)
        found = marked(entry, coverage, ignores, select, self.today)
        return found if self.baseline is None else baselines.marked(found, entry, self.baseline)

    def missed(self, entry: Entry) -> list[str]:
        """One line a gate that the entry misses; a model that does worse than its baseline misses one."""
        lines = [line for item in entry.coverages for line in missed(item, self.gates(item.target))]
        if self.baseline is not None:
            lines += [
                line for item in entry.coverages for line in baselines.worse(item, entry, self.baseline)
            ]
        return lines

    def failed(self, coverage: Coverage) -> bool:
        """Whether findings that count, or a model of which nothing is accelerated, fail the check."""
        limit = self.gates(coverage.target).fail_on or "error"
        useless = coverage.verdict in NOTHING and not coverage.elsewhere_by_design
        worst = max((_RANKS[item.severity] for item in coverage.findings if not item.ignored), default=-1)
        return worst >= _RANKS[limit] or (useless and limit != "never")

    def unneeded(self) -> list[str]:
        """One line for each entry that was not needed by any finding that it could have named, or that is
        over.
        """
        told = []
        for item in self._seen:
            if item.expired(self.today):
                told.append(f"{item.origin}: over since {item.until}; remove it, or what it names")
            elif not item.uses:
                told.append(f"{item.origin}: no finding needs it any more; remove it")
        return told


def _carried(entry: Entry) -> list[Ignore]:
    """What the model says of itself."""
    words = "" if entry.about is None else entry.about.ignores
    return parsed(words, f"{entry.path}, {IGNORES}") if words else []


def ignore_option(word: str) -> Ignore:
    """An entry of the command line: a code, or a rule."""
    return Ignore("--ignore", *named(word), origin=f"--ignore {word}", folder=Path())
