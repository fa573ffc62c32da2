"""``accelint check``."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from . import sources
from .decisions import Assume, FixFirst, Matrix, Order, SaveUnsupported, Worth, wishes
from .detail import detail
from .entries import all_entries, draws, exit_code, packs_of, say_skipped
from .limits import Memory
from .outputs import keep_inputs, write_report
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
    from ..settings.gates import Gates
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
    entries = all_entries(
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
        say_skipped(entries, len(packs_of(words, pack, preview)))
    failed = say(holds, entries, quiet=quiet)
    raise typer.Exit(exit_code(entries, holds, failed))


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
