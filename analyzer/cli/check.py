"""``accelint check``."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InternalError, ModelError
from . import debug
from .limits import Memory

if TYPE_CHECKING:
    from ..check.coverage import Entry

Models = Annotated[
    list[Path],
    typer.Argument(help="Model files or folders (.onnx, .tflite, SavedModel, .keras, .mlmodel, .mlpackage)."),
]
Targets = Annotated[
    list[str],
    typer.Option("--target", "-t", help="A target, as `accelint targets` lists them; may be repeated."),
]
Format = Annotated[str, typer.Option("--format", "-f", help="text, json or jsonl.")]
Output = Annotated[
    Path | None, typer.Option("--output", help="Write the report to this file instead of standard output.")
]
PackFile = Annotated[Path | None, typer.Option("--pack", help="A pack of your own (TOML) for the target.")]


class FailOn(str, Enum):
    """From which severity on findings make the exit code 1."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    NEVER = "never"


class By(str, Enum):
    """What --min-coverage counts."""

    OPS = "ops"
    MACS = "macs"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("check")(check)


def check(
    models: Models,
    target: Targets,
    form: Format = "text",
    output: Output = None,
    pack: PackFile = None,
    fail_on: Annotated[
        FailOn,
        typer.Option(
            help="Severity from which on the exit code is 1; it is 1 too when nothing is accelerated, "
            "unless never."
        ),
    ] = FailOn.ERROR,
    min_coverage: Annotated[
        str | None, typer.Option(help="Gate: at least this share accelerated, like 95%.")
    ] = None,
    by: Annotated[By, typer.Option(help="What --min-coverage counts.")] = By.OPS,
    max_partitions: Annotated[int | None, typer.Option(help="Gate: at most this many partitions.")] = None,
    require_full: Annotated[
        bool, typer.Option("--require-full", help="Gate: every operator accelerated.")
    ] = False,
    optimized: Annotated[
        bool, typer.Option("--optimized", help="The graph as ONNX Runtime's default optimization leaves it.")
    ] = False,
    memory: Memory = None,
) -> None:
    """Predict what becomes of every operator of a model on a target, and say why."""
    from ...rules.registry import choose
    from ..flows.check_file import check_file

    least = share(min_coverage)
    chosen = [choose(name, pack) for name in target]
    entries = [check_file(path, chosen, optimized=optimized) for path in models]
    write_report(entries, form, output)
    failed = any(not _gates(entry, least, by, max_partitions, require_full) for entry in entries)
    raise typer.Exit(exit_code(entries, fail_on, failed))


def share(text: str | None) -> float | None:
    """``95%`` or ``0.95`` as 0.95. Raises UsageError for what is neither."""
    from ..errors import UsageError

    if text is None:
        return None
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"--min-coverage {text!r} is no share: write 95% or 0.95")
    return value


def write_report(entries: "list[Entry]", form: str, output: Path | None) -> None:
    """Render the report and print it, or write it to a file atomically."""
    from accelint import __version__

    from ..files import atomic
    from ..report import render

    for entry in entries:
        debug.show(entry.error)
    pieces = render(entries, __version__, form)
    if output is None:
        for piece in pieces:
            typer.echo(piece, nl=False)
        return
    with atomic(output) as draft, draft.open("w", encoding="utf-8") as stream:
        stream.writelines(pieces)


NOTHING = ("none", "unknown", "rejected")
"""Verdicts of a model of which nothing is known to be accelerated."""


def exit_code(entries: "list[Entry]", fail_on: FailOn, gate_missed: bool) -> int:
    """70 for an internal error, 3 when a model cannot be read; 1 for findings at or above ``fail_on``, for a
    model of which nothing is accelerated (unless ``fail_on`` is never) and for a missed gate; else 0.
    """
    errors = [entry.error for entry in entries if entry.error is not None]
    if errors:
        return max((error.exit_code for error in errors), key=_weight)
    useless = any(cov.verdict in NOTHING for entry in entries for cov in entry.coverages)
    ranks: dict[Any, int] = {"note": 0, "warning": 1, "error": 2, "never": 3}
    worst = max(
        (ranks[item.severity] for entry in entries for cov in entry.coverages for item in cov.findings),
        default=-1,
    )
    failed = worst >= ranks[fail_on.value] or (useless and fail_on is not FailOn.NEVER)
    return int(gate_missed or failed)


def _weight(code: int) -> tuple[bool, bool, int]:
    """Which of several errors tells most: a defect of accelint, then a model that cannot be read."""
    return code == InternalError.exit_code, code == ModelError.exit_code, code


def _gates(entry: "Entry", least: float | None, by: By, most: int | None, full: bool) -> bool:
    """Whether every gate holds; each miss is said on standard error."""
    missed = []
    for coverage in entry.coverages:
        share = coverage.by_macs if by is By.MACS else coverage.by_operators
        if least is not None and (share is None or share < least):
            missed.append(
                f"{coverage.target}: coverage by {by.value} is "
                f"{'unknown' if share is None else f'{share:.1%}'}, asked for {least:.1%}"
            )
        if most is not None and len(coverage.partitions) > most:
            missed.append(
                f"{coverage.target}: {len(coverage.partitions)} partitions, at most {most} asked for"
            )
        if most is not None and coverage.verdict in NOTHING:
            missed.append(
                f"{coverage.target}: nothing is accelerated (the model is {coverage.verdict}), "
                f"at most {most} partition{'' if most == 1 else 's'} asked for"
            )
        if full and coverage.verdict != "full":
            missed.append(f"{coverage.target}: the model is {coverage.verdict}, full asked for")
    for line in missed:
        typer.echo(f"accelint: gate missed: {entry.path}: {line}", err=True)
    return not missed
