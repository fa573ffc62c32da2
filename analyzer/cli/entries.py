"""The models of a call, checked: in this process or in several, and what the call's exit code is then."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

import typer

from ..errors import InternalError, ModelError
from . import sources
from .outputs import keep_inputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ...rules.pack import Chosen
    from ..check.coverage import Entry
    from ..flows.check_file import Also
    from ..settings import Settings
    from ..settings.decided import Decided
    from ..source.export import Exporting
    from .outputs import Sink


def checked(
    models: list[str],
    target: tuple[str, ...],
    pack: Path | None,
    held: Settings,
    outputs: Sequence[Path],
    optimize: str | None = None,
    exporting: Exporting | None = None,
) -> list[Entry]:
    """The models checked as ``check`` does it, for commands that say something else of them."""
    from .models import paths

    files = paths(models)
    keep_inputs(outputs, [*files, pack])
    preview = bool(held.values.get("preview"))
    asked = optimize or held.values.get("optimize")
    entries = all_entries(files, target, pack, asked, preview=preview, exporting=exporting)
    sources.say_printed(entries)
    return entries


def all_entries(
    files: Sequence[Path],
    target: tuple[str, ...],
    pack: Path | None,
    optimize: str | None,
    jobs: int = 1,
    *,
    preview: bool = False,
    drawn: bool = False,
    also: Also | None = None,
    exporting: Exporting | None = None,
) -> list[Entry]:
    """Every model's entry. Raises UsageError when none of them fits any target."""
    found = _entries(
        files, target, pack, optimize, jobs, preview=preview, drawn=drawn, also=also, exporting=exporting
    )
    entries = list(found)
    _nothing_fits(entries)
    return entries


def _entries(
    models: Sequence[Path],
    target: tuple[str, ...],
    pack: Path | None,
    optimize: str | None,
    jobs: int,
    *,
    preview: bool = False,
    drawn: bool = False,
    also: Also | None = None,
    exporting: Exporting | None = None,
) -> Iterator[Entry]:
    """The models checked, in order; in processes of their own where there are several and ``jobs`` allows."""
    import os

    work = partial(
        _checked,
        target=target,
        pack=pack,
        optimize=optimize,
        preview=preview,
        drawn=drawn,
        also=also,
        exporting=exporting,
    )
    count = min(jobs or os.cpu_count() or 1, len(models))
    if count < 2:
        yield from map(work, models)
        return
    from ..check.coverage import Entry
    from ..errors import AccelintError, RuntimeFailure, WorkerKilled
    from ..processes.spread import Ended, spread

    for path, answer in zip(models, spread(work, models, count), strict=True):
        if isinstance(answer, Ended):
            kind = WorkerKilled if answer.end.outside else RuntimeFailure
            advice = f": {answer.end.advice}" if answer.end.advice else ""
            answer = Entry(path, error=kind(f"{path}: {answer} while the model was checked{advice}"))
        if isinstance(answer, AccelintError) or not isinstance(answer, Entry):
            raise answer
        yield answer


@cache
def packs_of(target: tuple[str, ...], pack: Path | None, preview: bool) -> list[Chosen]:
    """Chosen once a process: a pack keeps what it found out about equal operators."""
    from ..flows.targets import chosen

    return chosen(target, pack, preview=preview)


def draws(places: Sequence[Sink]) -> bool:
    """Whether a form is asked for that draws how the data flows through the partitions."""
    from ..report import known

    return any(getattr(known(form), "DRAWS", False) for form, _ in places)


def _checked(
    path: Path,
    target: tuple[str, ...],
    pack: Path | None,
    optimize: str | None,
    *,
    preview: bool = False,
    drawn: bool = False,
    also: Also | None = None,
    exporting: Exporting | None = None,
) -> Entry:
    """One model's entry without the model, whose graph is not needed any more."""
    from ..flows.check_file import check_file

    packs = packs_of(target, pack, preview)
    entry = check_file(path, packs, optimize=optimize, flow=drawn, also=also, exporting=exporting)
    entry.model = None
    return entry


def _nothing_fits(entries: list[Entry]) -> None:
    """Raise UsageError when no model could be checked for any target, because of the dialects alone."""
    from ..errors import UsageError

    if any(entry.coverages or entry.failures or entry.error for entry in entries):
        return
    for entry in entries:
        for target, why in entry.skipped.items():
            raise UsageError(f"{target} {why}")


def say_skipped(entries: list[Entry], asked: int) -> None:
    """One line a model for the targets that it was not checked for."""
    for entry in entries:
        for target, error in entry.failures.items():
            typer.echo(f"accelint: {entry.path}: not checked for {target}: {error.message}", err=True)
        if entry.skipped and entry.about is not None:
            names = ", ".join(entry.skipped) if len(entry.skipped) < asked else "any target"
            typer.echo(
                f"accelint: {entry.path}: not checked for {names}: the model is {entry.about.dialect}",
                err=True,
            )


def exit_code(entries: list[Entry], holds: Decided, gate_missed: bool) -> int:
    """70 for an internal error, 3 when a model cannot be read; 1 for findings that count, for a model of
    which nothing is accelerated (unless by design, or nothing is to fail) and for a missed gate; else 0.
    """
    errors = [entry.error for entry in entries if entry.error is not None]
    errors += [error for entry in entries for error in entry.failures.values()]
    if errors:
        return max((error.exit_code for error in errors), key=_weight)
    failed = any(holds.failed(coverage) for entry in entries for coverage in entry.coverages)
    return int(gate_missed or failed)


def _weight(code: int) -> tuple[bool, bool, int]:
    """Which of several errors tells most: a defect of accelint, then a model that cannot be read."""
    return code == InternalError.exit_code, code == ModelError.exit_code, code
