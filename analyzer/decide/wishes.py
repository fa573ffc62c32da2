"""What a user wishes to know beside the verdicts, while the model is at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...rules.pack import Chosen
    from ..check.coverage import Coverage, Entry
    from ..check.prepared import Prepared
    from ..ir.model import Model


@dataclass(frozen=True)
class Wishes:
    """Which of them; a value that other processes can be given.

    Attributes:
        fix_first: what removing each cause would give.
        worth: whether the accelerator is faster than the CPU.
        save: a folder for small models that show each cause.
        assume: what is done to the model in memory before it is checked.
        costs: the user's constants of the cost model, by pattern of targets.
    """

    fix_first: bool = False
    worth: bool = False
    costs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    assume: tuple[str, ...] = ()
    save: Path | None = None

    def before(self, model: Model) -> Model:
        """The model that is checked."""
        if not self.assume:
            return model
        from .assumed import assume

        return assume(model, self.assume)

    def after(self, entry: Entry, prepared: Prepared, packs: Sequence[Chosen], optimize: str | None) -> None:
        """Add what was wished for to the coverages of an entry."""
        if self.assume:
            from .assumed import told

            entry.coverages = [told(item, prepared.model, self.assume) for item in entry.coverages]
        if self.fix_first:
            entry.coverages = [
                self._with_gains(coverage, prepared, packs, optimize) for coverage in entry.coverages
            ]

        if self.worth:
            entry.coverages = [self._with_worth(coverage) for coverage in entry.coverages]

        if self.save is not None:
            entry.coverages = [
                self._with_models(coverage, prepared, packs, optimize, self.save)
                for coverage in entry.coverages
            ]

    def _with_models(
        self,
        coverage: Coverage,
        prepared: Prepared,
        packs: Sequence[Chosen],
        optimize: str | None,
        folder: Path,
    ) -> Coverage:
        from accelint import __version__

        from ..check.prepared import Prepared as Again
        from ..flows.check_file import judged
        from .repro import save

        chosen = chosen_for(coverage, prepared.model, packs)
        found = save(
            prepared.model,
            coverage,
            chosen,
            lambda small: judged(Again(small), chosen, optimize),
            folder,
            __version__,
        )
        return replace(coverage, more={**coverage.more, "saved": found})

    def _with_worth(self, coverage: Coverage) -> Coverage:
        from .cost import constants_of, estimate

        if coverage.purpose != "accelerates":
            return coverage
        found = estimate(coverage, constants_of(coverage.target, self.costs))
        return replace(coverage, more={**coverage.more, "worth": found.to_json()})

    def _with_gains(
        self, coverage: Coverage, prepared: Prepared, packs: Sequence[Chosen], optimize: str | None
    ) -> Coverage:
        from ..flows.check_file import judged
        from .gains import gains, to_json

        chosen = chosen_for(coverage, prepared.model, packs)
        found = gains(coverage, chosen, lambda other: judged(prepared, other, optimize))
        return replace(coverage, more={**coverage.more, "fix_first": to_json(found)})


def chosen_for(coverage: Coverage, model: Model, packs: Sequence[Chosen]) -> Chosen:
    """The rules that a coverage comes from: a target's own, or its twin's for the model's dialect."""
    from ...rules.registry import in_dialect

    for item in packs:
        direct = in_dialect(item, model.dialect) or item
        if (direct.target, f"{direct.pack.runtime} {direct.version}") == (coverage.target, coverage.runtime):
            return direct
    raise ValueError(f"{coverage.target} was not asked for")
