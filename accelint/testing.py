"""For tests of models: an assertion that says why."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .analyzer.api import Report
    from .analyzer.ir.model import Model


def assert_accelerated(
    model: str | os.PathLike[str] | Model,
    target: str | Sequence[str],
    *,
    max_partitions: int | None = None,
    min_coverage: float | str | None = None,
    max_boundary_bytes: int | None = None,
    require_full: bool | None = None,
    **options: Any,
) -> Report:
    """Assert that a model is accelerated on every one of the targets.

    Args:
        model: its path, or what ``accelint.load`` returned.
        target: as ``--target`` takes it.
        max_partitions: at most this many.
        min_coverage: share of the operators: 0.95, 95 or ``"95%"``.
        max_boundary_bytes: at most this many across boundaries.
        require_full: every operator; the default where no other limit is given.
        options: as ``accelint.check`` takes them (``optimize``, ``pack``).

    Returns the report. Raises AssertionError that names each miss and its causes; errors of reading the model
    and of the target's name are raised as they are.
    """
    __tracebackhide__ = True
    from .analyzer.api import check

    report = check(model, target, **options)
    assert_within(report, max_partitions, min_coverage, max_boundary_bytes, require_full)
    return report


def assert_within(
    report: Report,
    max_partitions: int | None = None,
    min_coverage: float | str | None = None,
    max_boundary_bytes: int | None = None,
    require_full: bool | None = None,
) -> None:
    """The same of a report that is there already."""
    __tracebackhide__ = True
    from .analyzer.settings.fields import SHARE
    from .analyzer.settings.gates import Gates, missed
    from .rules.verdict import NOTHING

    if (max_partitions, min_coverage, max_boundary_bytes, require_full) == (None,) * 4:
        require_full = True
    least = None if min_coverage is None else SHARE.check(min_coverage)
    gates = Gates(least, None, max_partitions, max_boundary_bytes, require_full)
    lines = [line for row in report for line in missed(row.coverage, gates)]
    lines += [
        f"{row.target}: nothing is accelerated (the model is {row.verdict})"
        for row in report
        if row.verdict in NOTHING and not row.coverage.elsewhere_by_design
    ]
    if lines:
        raise AssertionError("\n".join([*dict.fromkeys(lines), "", report.render("text")]))
