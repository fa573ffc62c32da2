"""The pytest plug-in: fixtures that check models, and one report of all that a run checked.

``--accelint-report FILE`` (repeatable; the ending chooses the form) writes what ``assert_accelerated`` and
``accelint_report`` of all tests found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .analyzer.api import Report
    from .analyzer.check.coverage import Entry

_ENTRIES: pytest.StashKey[list[Entry]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    options = parser.getgroup("accelint", "accelerator coverage of models")
    options.addoption(
        "--accelint-report",
        action="append",
        default=[],
        metavar="FILE",
        help="Write what the tests checked: .html, .json, .sarif, .md, .csv, .txt or .xml.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """What a run checks is kept until its end."""
    config.stash[_ENTRIES] = []


@pytest.fixture
def accelint_report(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """``accelint.check``, whose reports are also in the run's own."""

    def checked(*args: Any, **options: Any) -> Report:
        from .analyzer.api import check

        return _kept(request.config, check(*args, **options))

    return checked


@pytest.fixture
def assert_accelerated(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """``accelint.testing.assert_accelerated``, whose reports are also in the run's own."""

    def held(model: Any, target: Any, **limits: Any) -> Report:
        __tracebackhide__ = True
        from .analyzer.api import check
        from .testing import assert_within

        options = {key: limits.pop(key) for key in ("optimize", "pack") if key in limits}
        report = _kept(request.config, check(model, target, **options))
        assert_within(report, **limits)
        return report

    return held


def _kept(config: pytest.Config, report: Report) -> Report:
    for entry in report.entries:
        entry.model = None
        config.stash[_ENTRIES].append(entry)
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Write the reports, and say where they are."""
    files = config.getoption("--accelint-report")
    entries = config.stash[_ENTRIES]
    if not files or not entries:
        return
    from .analyzer.api import Report
    from .analyzer.errors import AccelintError

    for file in files:
        try:
            Report(entries).write(file)
        except AccelintError as error:
            terminalreporter.write_line(f"accelint: {error.message}", red=True)
        else:
            terminalreporter.write_line(f"accelint: {len(entries)} models checked: {file}")
