"""In which order targets are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...rules.verdict import OF_MODELS

if TYPE_CHECKING:
    from ..check.coverage import Coverage, Entry

_NEVER = float("inf")


def errors(coverage: Coverage) -> int:
    """Findings that are errors and may not stay."""
    return sum(1 for item in coverage.findings if item.severity == "error" and not item.ignored)


KEYS: dict[str, Callable[[Coverage], Any]] = {
    "target": lambda item: (),
    "verdict": lambda item: (OF_MODELS.index(item.verdict), -item.by_operators),
    "coverage": lambda item: -item.by_operators,
    "macs": lambda item: _NEVER if item.by_macs is None else -item.by_macs,
    "partitions": lambda item: len(item.partitions) or _NEVER,
    "bytes": lambda item: (
        _NEVER if item.boundary_bytes is None or not item.partitions else item.boundary_bytes
    ),
    "errors": errors,
}
"""What targets can be sorted by, the best first; what is unknown, and what has no partition, comes last."""


def arrange(entries: list[Entry], key: str) -> None:
    """Sort the targets of each model; those that are equal by name."""
    best = KEYS[key]
    for entry in entries:
        entry.coverages.sort(key=lambda item: (best(item), item.target, item.runtime))
