"""``accelint verify`` and ``accelint runtimes``."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...rewrites.promise import Promise
from .check import (
    Formats,
    LevelOption,
    Optimizer,
    OptimizerOption,
    Outputs,
    PackFile,
    Quiet,
    Reporting,
    Verbose,
    level,
    report_places,
)
from .detail import Detail
from .detail import Quiet as Short
from .detail import Verbose as Long
from .detail import detail as detail_of
from .entries import draws, exit_code
from .limits import Memory, seconds
from .outputs import keep_inputs, write_report
from .progress import busy
from .settings import failing_on, settings
from .sources import Python, exporting, say_printed

if TYPE_CHECKING:
    from ..check.coverage import Entry
    from ..decide.calibration import Costs
    from ..flows.verify import Verified
    from ..ir.graph import Graph
    from ..proof.parity import Tolerance


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("verify", cls=Reporting)(verify)
    environments = typer.Typer(
        help="The real runtimes: which are here, what is missing.",
        invoke_without_command=True,
        rich_markup_mode=None,
    )
    environments.callback()(runtimes)
    environments.command("add")(add)
    environments.command("remove")(remove)
    app.add_typer(environments, name="runtimes")


def verify(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="An ONNX or TFLite model, or package.module:NAME.")],
    target: Annotated[
        str, typer.Option("--target", "-t", help="A target whose runtime is here (`accelint runtimes`).")
    ],
    against: Annotated[
        Path | None,
        typer.Option(help="The reference model; without it the model itself on the reference runtime."),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            help="random, boundary, arrays (.npz, or .npy for one input), or a folder of them; "
            "may be repeated. Default: random."
        ),
    ] = None,
    promise: Annotated[
        Promise, typer.Option(help="The promise that sets the tolerance of parity.")
    ] = Promise.ROUNDING,
    tolerance: Annotated[
        str | None, typer.Option(help="Tolerance in place of the promise's: RELATIVE or RELATIVE,ABSOLUTE.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the random inputs.")] = 0,
    size: Annotated[
        list[str] | None,
        typer.Option(
            "--size",
            help="Sizes of dynamic dimensions of inputs: batch=2 or input=1x3x224x224 (names may be short).",
        ),
    ] = None,
    no_parity: Annotated[
        bool, typer.Option("--no-parity", help="Ask where operators run, and do not compare numbers.")
    ] = False,
    latency: Annotated[
        int,
        typer.Option(
            min=0, help="Timed runs; 0 for none. With --against the runs of both models are interleaved."
        ),
    ] = 0,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            help="With --latency: write the constants of the cost model (check --worth) by which it takes "
            "the time that was measured; a configuration may extend the file."
        ),
    ] = None,
    optimize: LevelOption = None,
    optimizer: OptimizerOption = Optimizer.BUILTIN,
    optimized: Annotated[bool, typer.Option("--optimized", hidden=True)] = False,
    timeout: Annotated[float, typer.Option(help="Seconds that the runtime gets.", callback=seconds)] = 300.0,
    form: Formats = None,
    output: Outputs = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    pack: PackFile = None,
    python: Python = None,
    memory: Memory = None,
) -> None:
    """Run the target's real runtime: where did each operator run, and do the numbers agree?"""
    from ..flows.check_file import check_file
    from ..flows.optimized import level_of, leveled
    from ..flows.targets import chosen as chosen_by
    from ..flows.targets import one
    from ..flows.verify import Options
    from ..flows.verify import verify as ask
    from ..proof.drift import installed_release, of_installed

    places = report_places(context, form, output, quiet, verbose)
    arrays = [Path(name) for name in inputs or [] if name not in ("random", "boundary")]
    keep_inputs([*(place for _, place in places), calibrate], [model, against, pack, *arrays])
    before = _known(calibrate, latency)
    how = exporting([model, *([against] if against else [])], python)
    options = Options(
        against,
        tuple(inputs or ()),
        _bounds(tolerance),
        promise=promise.value,
        seed=seed,
        parity=not no_parity,
        latency_runs=latency,
        timeout=timeout,
        exporting=how,
    )
    if no_parity and (against is not None or tolerance is not None):
        from ..errors import UsageError

        raise UsageError("--no-parity compares nothing: leave out --against and --tolerance")
    packs = [of_installed(item, installed_release(item)) for item in chosen_by([target], pack)]
    asked = level(optimize, optimizer, optimized=optimized)
    entry = check_file(model, packs, optimize=asked, flow=draws(places), exporting=how)
    say_printed([entry])
    if entry.error is not None or entry.model is None:
        write_report([entry], places)
        raise typer.Exit(exit_code([entry], failing_on("never"), False))
    chosen = one(target, packs, entry.model.dialect)
    if entry.model.dialect != chosen.pack.dialect:
        from ..errors import UsageError

        raise UsageError(
            f"verify runs the model that it is given: convert {model} to {chosen.pack.dialect} "
            f"first (accelint convert)"
        )
    if asked is not None and not leveled(chosen):
        from ..errors import UsageError

        raise UsageError(
            f"--optimize and --optimizer are ONNX Runtime's: {target} takes {entry.model.dialect} models"
        )
    if leveled(chosen):
        options = replace(options, runtime_options={"optimize": level_of(asked)})
    if words := size or configured_sizes(entry.model.graph):
        from ...rewrites.freeze import chosen_sizes

        options = replace(options, sizes=chosen_sizes(entry.model.graph, words, "--size"))
    with busy(f"asking {chosen.target}"):
        verified = ask(entry.model, chosen, entry.coverages[0], options)
    entry.extra[chosen.target] = {**entry.extra.get(chosen.target, {}), **verified.to_json()}
    write_report([entry], places)
    if calibrate is not None:
        _calibrate(calibrate, before, entry, verified)
    for line in verified.contradictions[:20]:
        typer.echo(f"accelint: {line}", err=True)
    raise typer.Exit(verified.exit_code)


def _known(path: Path | None, latency: int) -> "Costs":
    """What a calibration adds to. Raises UsageError before anything runs."""
    from ..errors import UsageError

    if path is None:
        return {}
    if not latency:
        raise UsageError("--calibrate needs a time: give --latency too")
    from ..decide.calibration import known

    return known(path)


def _calibrate(path: Path, before: "Costs", entry: "Entry", verified: "Verified") -> None:
    from datetime import UTC, datetime

    from ..decide.calibration import measured, write
    from ..words import counted

    time = verified.answer.latency
    elsewhere = verified.contradictions and entry.coverages[0].purpose == "accelerates"
    if time is None or elsewhere:
        why = "the runtime told no time" if time is None else "operators did not run where it was predicted"
        typer.echo(f"accelint: {path} was not written: {why}", err=True)
        return
    told = (
        f"measured {datetime.now(UTC).date()}: {time.median:.4g} ms, median of {time.runs} runs on "
        f"{counted(time.threads, 'thread')}, {entry.path.name} on {entry.coverages[0].runtime}"
    )
    write(path, measured(entry.coverages[0], time.median / 1000, told, before))


def configured_sizes(graph: "Graph") -> list[str]:
    """The configuration's sizes of the dimensions that the model's inputs leave open."""
    sizes = settings(None, isolated=False).values.get("sizes", {})
    shapes = [tensor.shape or () for name in graph.inputs if (tensor := graph.find(name)) is not None]
    opened = {dim for shape in shapes for dim in shape if isinstance(dim, str)}
    return [f"{name}={size}" for name, size in sizes.items() if name in opened]


def _bounds(tolerance: str | None) -> "Tolerance | None":
    """RELATIVE or RELATIVE,ABSOLUTE."""
    if tolerance is None:
        return None
    from ..errors import UsageError
    from ..proof.parity import Tolerance

    try:
        parts = [float(part) for part in tolerance.split(",")]
    except ValueError as error:
        raise UsageError(f"--tolerance is RELATIVE or RELATIVE,ABSOLUTE: {error}") from error
    if len(parts) > 2 or not all(0 <= part < float("inf") for part in parts):
        raise UsageError(f"--tolerance {tolerance!r}: give one or two numbers of at least 0")
    return Tolerance(parts[0], parts[1] if len(parts) > 1 else parts[0])


def runtimes(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    quiet: Short = False,
    verbose: Long = False,
) -> None:
    """List the runtimes: version, availability, what is missing and the command that brings it. -q: the names
    of those that are ready; -v: dialect and variants too.
    """
    if context.invoked_subcommand is not None:
        return
    import json
    from dataclasses import asdict

    from ..runtimes import runtimes as every

    detail = detail_of(quiet, verbose)
    rows = every()
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=1))
        return
    if detail is Detail.BRIEF:
        typer.echo("".join(f"{row.name}\n" for row in rows if row.available), nl=False)
        return
    width = max(len(row.name) for row in rows)
    for row in rows:
        state = (
            f"ready {row.version}"
            if row.available
            else f"missing {row.missing}" + (f": {row.command}" if row.command else "")
        )
        typer.echo(f"{row.name:<{width}}  {state}  ({row.about})")
        if detail is Detail.FULL:
            variants = f"; variants: {', '.join(row.variants)}" if row.variants else ""
            own = "; in an environment of its own" if row.isolated else ""
            typer.echo(f"{'':<{width}}  runs {row.dialect} models{variants}{own}")


def add(
    name: Annotated[str, typer.Argument(help="Like onnxruntime/openvino.")], quiet: Short = False
) -> None:
    """Build the isolated environment of a runtime whose packages collide with others."""
    from ..runtimes import environments
    from ..runtimes.catalog import find

    with busy(name) as say:
        home = environments.add(find(name)[0], say=say)
    if not quiet:
        typer.echo(f"{name}: {home}")


def remove(
    name: Annotated[str, typer.Argument(help="Like onnxruntime/openvino.")], quiet: Short = False
) -> None:
    """Remove the isolated environment of a runtime."""
    from ..runtimes import environments
    from ..runtimes.catalog import find

    there = environments.remove(find(name)[0].name)
    if not quiet:
        typer.echo(f"{name}: {'removed' if there else 'has no environment here'}")
