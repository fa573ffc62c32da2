"""``accelint check``."""

import sys
from enum import Enum
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from ..errors import InternalError, ModelError
from . import debug, sources
from .decisions import Assume, FixFirst, Matrix, Order, SaveUnsupported, Worth, wishes
from .detail import detail
from .limits import Memory
from .settings import (
    BaselineFile,
    ConfigFile,
    IgnoreWords,
    Isolated,
    Select,
    decided,
    models_of,
    say,
    settings,
    targets_of,
)
from .sources import ExportTimeout, ExportTo, Python

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ...rules.pack import Chosen
    from ..check.coverage import Entry
    from ..flows.check_file import Also
    from ..settings import Settings
    from ..settings.decided import Decided
    from ..settings.gates import Gates
    from ..source.export import Exporting
    from .outputs import Sink

Models = Annotated[
    list[str] | None,
    typer.Argument(
        help="Models (.onnx, .tflite, SavedModel, .keras, .mlmodel, .mlpackage, .mlmodelc): files, folders "
        "with models in them, globs, or - for a list on standard input, one path a line; or models in your "
        "own code: package.module:build, path/file.py:build. Default: those of the configuration."
    ),
]
MaybeTargets = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        "-t",
        help="Targets as `accelint targets` lists them, with commas or repeated: a name, a family "
        "(onnxruntime/*, all), auto (what is installed), or a name that people know (qnn, "
        "NNAPIExecutionProvider, snapdragon-8-gen-3, iphone-15). Default: those of the configuration.",
    ),
]
Targets = Annotated[
    list[str],
    typer.Option(
        "--target",
        "-t",
        help="Targets as `accelint targets` lists them, with commas or repeated: a name, a family "
        "(onnxruntime/*, all), auto (what is installed), or a name that people know (qnn, "
        "NNAPIExecutionProvider, snapdragon-8-gen-3, iphone-15).",
    ),
]
Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        "-f",
        help="text (the default), json, jsonl, sarif, github, gitlab, junit, rdjson, markdown, csv, "
        "model-explorer, mermaid, dot, html; brief or full (text with -q or -v); may be repeated.",
    ),
]
Outputs = Annotated[
    list[str] | None,
    typer.Option(
        "--output",
        "-o",
        help="Write the report to this file instead of standard output (-); one for each --format.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="In text, one line a model and target.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="In text, every operator, every reason and its source.")
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


class Level(str, Enum):
    """Optimization that ONNX Runtime does before it asks a provider."""

    DEFAULT = "default"
    OFF = "off"


LevelOption = Annotated[
    Level | None,
    typer.Option(
        "--optimize",
        help="ONNX Runtime's graph optimization: default (as applications load a model) or off (operators as "
        "stored).",
        show_default="default",
    ),
]


class Optimizer(str, Enum):
    """Who says what ONNX Runtime's first optimization level makes of a model."""

    BUILTIN = "builtin"
    RUNTIME = "runtime"


OptimizerOption = Annotated[
    Optimizer,
    typer.Option(
        "--optimizer",
        help="Who optimizes the model before it is judged: builtin (accelint's model of ONNX Runtime's "
        "passes) or runtime (the ONNX Runtime that is installed, in a process of its own).",
    ),
]


def level(
    asked: Level | None, optimizer: Optimizer = Optimizer.BUILTIN, *, optimized: bool = False
) -> str | None:
    """The level as flows take it; None where none was asked for. Raises UsageError where an optimizer is to
    be asked for nothing.
    """
    if optimizer is Optimizer.RUNTIME:
        if asked is Level.OFF:
            from ..errors import UsageError

            raise UsageError("--optimize off optimizes nothing: leave out --optimizer runtime")
        return Optimizer.RUNTIME.value
    return "default" if asked is None and optimized else None if asked is None else asked.value


class Reporting(TyperCommand):
    """A command that writes reports: it remembers how --format and --output follow each other."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, after a look at the order of the options."""
        from .outputs import order

        ctx.meta["accelint.order"] = order(args)
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("check", cls=Reporting)(check)


def check(
    context: typer.Context,
    models: Models = None,
    target: MaybeTargets = None,
    form: Formats = None,
    output: Outputs = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    matrix: Matrix = False,
    sort: Order = None,
    fix_first: FixFirst = False,
    worth: Worth = False,
    assume: Assume = None,
    save_unsupported: SaveUnsupported = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=0, help="Models that are checked at a time; 0 for one a core.")
    ] = 1,
    pack: PackFile = None,
    fail_on: Annotated[
        FailOn | None,
        typer.Option(
            help="Severity from which on the exit code is 1; it is 1 too when nothing is accelerated, "
            "unless never.",
            show_default="error",
        ),
    ] = None,
    min_coverage: Annotated[
        str | None, typer.Option(help="Gate: at least this share accelerated: 95, 95% or 0.95.")
    ] = None,
    by: Annotated[By | None, typer.Option(help="What --min-coverage counts.", show_default="ops")] = None,
    max_partitions: Annotated[
        int | None, typer.Option(min=0, help="Gate: at most this many partitions.")
    ] = None,
    max_boundary_bytes: Annotated[
        int | None, typer.Option(min=0, help="Gate: at most this many bytes across partition boundaries.")
    ] = None,
    baseline_report: Annotated[
        Path | None,
        typer.Option(help="An earlier report (--format json): reports tell what changed since then."),
    ] = None,
    require_full: Annotated[
        bool, typer.Option("--require-full", help="Gate: every operator accelerated.")
    ] = False,
    select: Select = None,
    ignore: IgnoreWords = None,
    baseline: BaselineFile = None,
    config: ConfigFile = None,
    isolated: Isolated = False,
    preview: Annotated[bool, typer.Option("--preview", help="Rules in preview count as well.")] = False,
    optimize: LevelOption = None,
    optimizer: OptimizerOption = Optimizer.BUILTIN,
    optimized: Annotated[bool, typer.Option("--optimized", hidden=True)] = False,
    python: Python = None,
    export_timeout: ExportTimeout = None,
    export_to: ExportTo = None,
    memory: Memory = None,
) -> None:
    """Predict what becomes of every operator of a model on a target, and say why."""
    from ..decide.order import arrange
    from .models import paths

    held = settings(config, isolated)
    holds = decided(
        held,
        gates(min_coverage, by, max_partitions, max_boundary_bytes, require_full, fail_on),
        select,
        ignore,
        baseline,
    )
    places = report_places(context, form, output, quiet, verbose, matrix=matrix)
    files = paths(models_of(models, held))
    pack = pack or held.pack
    inputs = [*files, pack, baseline_report, holds.baseline.path if holds.baseline else None]
    exporting = sources.exporting(files, python, export_timeout, export_to)
    keep_inputs([*(place for _, place in places), export_to], inputs)
    words = targets_of(target, held)
    asked_level = level(optimize, optimizer, optimized=optimized) or held.values.get("optimize")
    also = wishes(fix_first, worth, held.costs, assume, save_unsupported)
    preview = preview or bool(held.values.get("preview"))
    entries = _all(
        files, words, pack, asked_level, jobs,
        preview=preview, drawn=draws(places), also=also, exporting=exporting,
    )  # fmt: skip
    context.meta[sources.ENTRIES] = entries
    sources.say_printed(entries)
    for entry in entries:
        holds.mark(entry)
    if baseline_report is not None:
        from ..report.previous import compare

        compare(entries, baseline_report)
    if sort is not None:
        arrange(entries, sort.value)
    write_report(entries, places)
    if not quiet:
        _say_skipped(entries, len(_packs(words, pack, preview)))
    failed = say(holds, entries, quiet=quiet)
    raise typer.Exit(exit_code(entries, holds, failed))


def checked(
    models: list[str],
    target: tuple[str, ...],
    pack: Path | None,
    held: "Settings",
    outputs: "Sequence[Path]",
    optimize: str | None = None,
    exporting: "Exporting | None" = None,
) -> "list[Entry]":
    """The models checked as ``check`` does it, for commands that say something else of them."""
    from .models import paths

    files = paths(models)
    keep_inputs(outputs, [*files, pack])
    preview = bool(held.values.get("preview"))
    asked = optimize or held.values.get("optimize")
    entries = _all(files, target, pack, asked, preview=preview, exporting=exporting)
    sources.say_printed(entries)
    return entries


def _all(
    files: "Sequence[Path]",
    target: tuple[str, ...],
    pack: Path | None,
    optimize: str | None,
    jobs: int = 1,
    *,
    preview: bool = False,
    drawn: bool = False,
    also: "Also | None" = None,
    exporting: "Exporting | None" = None,
) -> "list[Entry]":
    found = _entries(
        files, target, pack, optimize, jobs, preview=preview, drawn=drawn, also=also, exporting=exporting
    )
    entries = list(found)
    _nothing_fits(entries)
    return entries


def gates(
    min_coverage: str | None,
    by: By | None,
    max_partitions: int | None,
    max_boundary_bytes: int | None,
    require_full: bool,
    fail_on: FailOn | None,
) -> "Gates":
    """The gates of the command line. Raises UsageError for a share that is none."""
    from ..settings.gates import Gates

    return Gates(
        share(min_coverage),
        by and by.value,
        max_partitions,
        max_boundary_bytes,
        require_full or None,
        fail_on and fail_on.value,
    )


def _entries(
    models: "Sequence[Path]",
    target: tuple[str, ...],
    pack: Path | None,
    optimize: str | None,
    jobs: int,
    *,
    preview: bool = False,
    drawn: bool = False,
    also: "Also | None" = None,
    exporting: "Exporting | None" = None,
) -> "Iterator[Entry]":
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
def _packs(target: tuple[str, ...], pack: Path | None, preview: bool) -> "list[Chosen]":
    """Chosen once a process: a pack keeps what it found out about equal operators."""
    from ..flows.targets import chosen

    return chosen(target, pack, preview=preview)


def draws(places: "Sequence[Sink]") -> bool:
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
    also: "Also | None" = None,
    exporting: "Exporting | None" = None,
) -> "Entry":
    """One model's entry without the model, whose graph is not needed any more."""
    from ..flows.check_file import check_file

    packs = _packs(target, pack, preview)
    entry = check_file(path, packs, optimize=optimize, flow=drawn, also=also, exporting=exporting)
    entry.model = None
    return entry


def _nothing_fits(entries: "list[Entry]") -> None:
    """Raise UsageError when no model could be checked for any target, because of the dialects alone."""
    from ..errors import UsageError

    if any(entry.coverages or entry.failures or entry.error for entry in entries):
        return
    for entry in entries:
        for target, why in entry.skipped.items():
            raise UsageError(f"{target} {why}")


def _say_skipped(entries: "list[Entry]", asked: int) -> None:
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


def share(text: str | None) -> float | None:
    """``95%``, ``95`` or ``0.95`` as 0.95: above 1 it counts in percent. Raises UsageError on others."""
    from ..errors import UsageError
    from ..settings.fields import share as parsed

    try:
        return None if text is None else parsed(text)
    except ValueError:
        raise UsageError(f"--min-coverage {text!r} is not a share: write 95%, 95 or 0.95") from None


def report_places(
    context: typer.Context,
    forms: list[str] | None,
    files: list[str] | None,
    quiet: bool,
    verbose: bool,
    *,
    matrix: bool = False,
) -> "list[Sink]":
    """Which form of the report goes where. Raises UsageError for options that contradict each other."""
    from .outputs import sinks

    text = "matrix" if matrix else ("brief", "text", "full")[detail(quiet, verbose)]
    named = [text if form == "text" else form for form in forms or ["text"]]
    return sinks(named, files or [], context.meta.get("accelint.order", ""))


def keep_inputs(outputs: "Iterable[Path | None]", inputs: "Iterable[Path | None]") -> None:
    """Raise UsageError before any work is done when an output is one of the inputs."""
    from ..files import protect
    from ..formats.onnx.external import data_files

    protect([path for path in outputs if path], [path for path in inputs if path], data_files)


def write_text(output: Path, text: str) -> None:
    """Write a file atomically."""
    from ..files import atomic

    with atomic(output) as draft:
        draft.write_text(text, encoding="utf-8")


def write_report(entries: "list[Entry]", places: "Sequence[Sink]") -> None:
    """Render each report and print it, or write it to its file atomically."""
    from accelint import __version__

    from ..files import atomic
    from ..report import render

    for entry in entries:
        debug.show(entry.error)
    for form, output in places:
        chunks = render(entries, __version__, form)
        if output is None:
            write = getattr(sys.stdout, "write_form", sys.stdout.write)
            for chunk in chunks:
                write(chunk)
            continue
        with atomic(output) as draft, draft.open("w", encoding="utf-8") as stream:
            stream.writelines(chunks)


def exit_code(entries: "list[Entry]", holds: "Decided", gate_missed: bool) -> int:
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
