"""Gates: what a model has to keep on a target, and how each miss is said."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ...rules.verdict import NOTHING
from ..check.coverage import Coverage
from ..words import counted, percent


@dataclass(frozen=True)
class Gates:
    """Limits; None where there is none. ``min_coverage`` is a share from 0 to 1, bytes cross boundaries."""

    min_coverage: float | None = None
    by: str | None = None
    max_partitions: int | None = None
    max_boundary_bytes: int | None = None
    require_full: bool | None = None
    fail_on: str | None = None

    def over(self, other: Gates) -> Gates:
        """These, and the other's where these say nothing."""
        return Gates(**{name: _first(getattr(self, name), getattr(other, name)) for name in NAMES})


NAMES = tuple(item.name for item in fields(Gates))


def _first(own: Any, other: Any) -> Any:
    return other if own is None else own


def missed(coverage: Coverage, gates: Gates) -> list[str]:
    """One line a gate that the coverage misses."""
    return [f"{coverage.target}: {line}" for line in misses(coverage, gates).values()]


def misses(coverage: Coverage, gates: Gates) -> dict[str, str]:
    """The keys of the gates that the coverage misses, and what is said of each."""
    found = {key: gate(coverage, gates) for key, gate in _GATES.items()}
    return {key: line for key, line in found.items() if line}


def _share(coverage: Coverage, gates: Gates) -> str:
    least, by = gates.min_coverage, gates.by or "ops"
    share = coverage.by_macs if by == "macs" else coverage.by_operators
    if least is None or (share is not None and share >= least):
        return ""
    told = "unknown" if share is None else percent(share, 1)
    return f"coverage by {by} is {told}, required: {percent(least, 1)}"


def _partitions(coverage: Coverage, gates: Gates) -> str:
    most = gates.max_partitions
    if most is None:
        return ""
    if coverage.verdict in NOTHING:
        asked = f"at most {counted(most, 'partition')} asked for"
        return f"nothing is accelerated (the model is {coverage.verdict}), {asked}"
    count = len(coverage.partitions)
    return f"{counted(count, 'partition')}, at most {most} allowed" if count > most else ""


def _bytes(coverage: Coverage, gates: Gates) -> str:
    most = gates.max_boundary_bytes
    if most is None:
        return ""
    moved = coverage.boundary_bytes
    if moved is None:
        return f"the bytes across boundaries are unknown, at most {most} allowed"
    return f"{moved} bytes cross boundaries, at most {most} allowed" if moved > most else ""


def _full(coverage: Coverage, gates: Gates) -> str:
    if not gates.require_full or coverage.verdict == "full":
        return ""
    return f"the model is {coverage.verdict}, required: full"


_GATES = {
    "min-coverage": _share,
    "max-partitions": _partitions,
    "max-boundary-bytes": _bytes,
    "require-full": _full,
}
