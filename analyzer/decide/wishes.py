"""What a user wishes to know beside the verdicts, while the model is at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

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
    """

    fix_first: bool = False

    def before(self, model: Model) -> Model:
        """The model that is checked."""
        return model

    def after(self, entry: Entry, prepared: Prepared, packs: Sequence[Chosen], optimize: str | None) -> None:
        """Add what was wished for to the coverages of an entry."""
        if self.fix_first:
            entry.coverages = [
                self._with_gains(coverage, prepared, packs, optimize) for coverage in entry.coverages
            ]

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
