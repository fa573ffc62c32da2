"""``accelint fix`` and ``accelint convert``."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..words import percent
from .check import LevelOption, Optimizer, OptimizerOption, PackFile
from .check import level as asked_level
from .detail import Detail, Quiet, Verbose
from .detail import detail as detail_of
from .limits import Memory
from .outputs import keep_inputs
from .progress import busy
from .sources import Python, exported, exporting, say

if TYPE_CHECKING:
    from ...rewrites.planner import Step
    from ..check.coverage import Coverage
    from ..flows.fix import FixResult


class Level(str, Enum):
    """Which rewrites are applied."""

    SAFE = "safe"
    UNSAFE = "unsafe"


class Optimize(str, Enum):
    """What a conversion does to the weights."""

    NONE = "none"
    FP16 = "fp16"
    DYNAMIC = "dynamic"
    INT8 = "int8"
    INT16X8 = "int16x8"


class Precision(str, Enum):
    """In what a Core ML model computes."""

    FLOAT16 = "float16"
    FLOAT32 = "float32"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("fix")(fix)
    app.command("convert")(convert)


def fix(
    model: Annotated[Path, typer.Argument(help="An ONNX or TFLite model, or package.module:NAME.")],
    target: Annotated[
        list[str],
        typer.Option(
            "--target",
            "-t",
            help="The target that the model is fixed for; several: one file, worse for none.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where the fixed model goes; never over the input.")
    ] = None,
    freeze: Annotated[
        list[str] | None,
        typer.Option(
            help="Make shapes static: input=1x3x224x224 (the name may be short), a symbolic dimension N=1, "
            "or batch=1 for every dynamic first dimension."
        ),
    ] = None,
    fix_level: Annotated[
        Level,
        typer.Option(help="safe: same bits or rounding; unsafe: approximations and interface changes too."),
    ] = Level.SAFE,
    unproved: Annotated[
        bool,
        typer.Option(
            "--unproved",
            help="Keep changes that no reference runtime could compare with the original.",
        ),
    ] = False,
    optimize: LevelOption = None,
    optimizer: OptimizerOption = Optimizer.BUILTIN,
    diff: Annotated[bool, typer.Option("--diff", help="Print the operators that changed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    pack: PackFile = None,
    python: Python = None,
    memory: Memory = None,
) -> None:
    """Change a model so that more of it runs on the target; each change is proved against the original."""
    import json

    from ..errors import UsageError
    from ..flows import targets
    from ..flows.check_file import loaded
    from ..flows.fix import deliver
    from ..flows.fix import fix as apply

    detail = detail_of(quiet, verbose)
    if output is None and not diff and not as_json:
        raise UsageError("fix needs -o OUT for the fixed model, or --diff or --json to show what it would do")
    keep_inputs([output], [model, pack])
    packs = {word: targets.chosen([word], pack) for word in target}
    read, origin = loaded(model, exporting([model], python))
    say(origin)
    chosen, *further = [targets.one(word, packs[word], read.dialect) for word in packs]
    with busy(f"fixing {model.name} for {', '.join(item.target for item in (chosen, *further))}"):
        result = apply(
            read,
            chosen,
            freeze or [],
            fix_level.value,
            unproved=unproved,
            optimize=asked_level(optimize, optimizer),
            further=further,
        )
    if result.not_written:
        output = None
    if output is not None:
        deliver(result, chosen, output)
    if as_json:
        written = {"output": None if output is None else str(output)}
        typer.echo(
            json.dumps(
                {"model": str(model), "target": chosen.target, **written, **result.to_json()}, indent=1
            )
        )
    else:
        _show(result, output, detail, diff=diff)
    if result.not_written:
        typer.echo(f"accelint: nothing was written: {clean_lines(result.not_written)}", err=True)
    elif result.unproved:
        hint = "" if unproved else "; --unproved keeps them"
        typer.echo(f"accelint: changes were not proved: {clean_lines(result.unproved)}{hint}", err=True)
    raise typer.Exit(_exit_code(result))


def _exit_code(result: "FixResult") -> int:
    """5 where something could not be proved, 1 where nothing of the model is accelerated in the end."""
    if result.not_written:
        return 1 if result.worse else 5
    if any(_waits(step) for step in result.steps) or any(item.differs for item in result.targets):
        return 5
    from ...rules.verdict import NOTHING

    return int(result.after.verdict in NOTHING)


def _waits(step: "Step") -> bool:
    """Whether a step was undone for nothing but the lack of a proof."""
    return not step.kept and step.proof is not None and step.proof.status == "not proved"


def _show(result: "FixResult", output: Path | None, detail: Detail, *, diff: bool) -> None:
    if diff and result.diff:
        typer.echo(clean_lines(result.diff))
    if detail is not Detail.BRIEF:
        _show_steps(result, 3 if detail is Detail.USUAL else None)
        _show_left(result, 3 if detail is Detail.USUAL else None)
    for before, after in [(item.before, item.after) for item in result.targets] or [
        (result.before, result.after)
    ]:
        _show_target(before, after)
    for item in result.targets:
        if item.ran:
            typer.echo(f"{item.target} ran: {clean_lines(item.ran)}")
    if output is not None:
        typer.echo(f"written: {output}" + ("" if result.changed else " (nothing was changed)"))


def _show_target(before: "Coverage", after: "Coverage") -> None:
    from ...rewrites.planner import score

    typer.echo(f"{after.target}: {score(before).text} -> {score(after).text}")
    shares = [f"{coverage.verdict} {percent(coverage.by_operators)}" for coverage in (before, after)]
    typer.echo(f"coverage: {' -> '.join(shares)} of operators")


def _show_steps(result: "FixResult", named: int | None) -> None:
    """What was tried, with so many places by name; with all of them, also what did not apply and why."""
    from ..inert import line as clean

    for step in result.steps:
        mark = "kept  " if step.kept else "undone"
        more = ", ..." if named is not None and len(step.places) > named else ""
        places = f" at {clean(', '.join(step.places[:named]))}{more}" if step.rewrite != "freeze" else ""
        whose = f" for {step.target}" if step.target else ""
        typer.echo(f"{mark} {step.rewrite} [{step.parity.value}]{whose}{places}: {clean(step.title)}")
        typer.echo(f"       {clean(step.reason)}")
        if step.proof is not None:
            typer.echo(f"       {clean(step.proof.text)}")
    for item in () if named is not None else result.passed:
        typer.echo(f"not applied {item.rewrite} at {clean(item.operator)}: {clean(item.reason)}")


def _show_left(result: "FixResult", named: int | None) -> None:
    """What is still there, by rule and by what held the rewrite that came closest back."""
    from ..inert import line as clean

    alike: dict[tuple[str, str, str], list[str]] = {}
    for item in result.left:
        alike.setdefault((item.rule, item.rewrite, item.reason), []).append(item.operator)
    for (rule, rewrite, reason), places in alike.items():
        more = ", ..." if named is not None and len(places) > named else ""
        closest = f"{rewrite}: " if rewrite else ""
        typer.echo(f"left   {rule} at {clean(', '.join(places[:named]))}{more}")
        typer.echo(f"       {closest}{clean(reason)}")


def clean_lines(text: str) -> str:
    """Text of several lines without control characters."""
    from ..inert import line

    return "\n".join(line(part) for part in text.split("\n"))


_PRECISIONS = {Precision.FLOAT16: "fp16", Precision.FLOAT32: "none", None: None}
_UNCALIBRATED = (
    "warning: the ranges of integers were measured on random numbers, so that the accuracy means nothing: "
    "give samples of your data with --calibrate FILE.npz"
)


def convert(
    model: Annotated[
        Path,
        typer.Argument(
            help="An ONNX model, a SavedModel folder, a GraphDef, a .keras file, or package.module:NAME."
        ),
    ],
    to: Annotated[str, typer.Option("--to", help="The format: tflite or mlpackage (Core ML).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the converted model goes.")],
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Size of the first dimension of every input where it is dynamic."),
    ] = None,
    select_tf_ops: Annotated[
        bool, typer.Option("--select-tf-ops", help="Let the runtime fall back to TensorFlow kernels.")
    ] = False,
    optimize: Annotated[
        Optimize | None,
        typer.Option(
            help="fp16 or dynamic: smaller weights; int8, int16x8: everything in integers. By default as the "
            "converter does: none for tflite, fp16 for mlpackage."
        ),
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option(help="What a Core ML model computes in: float16 unless float32 is asked for."),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            "--calibrate",
            "--calibration",
            help="For int8 and int16x8: an .npz with samples by input name, stacked on a new first axis, or "
            "a folder of .npz files with a sample each.",
        ),
    ] = None,
    python: Python = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    memory: Memory = None,
) -> None:
    """Convert a model with the vendor's own converter; what is not convertible is reported by node."""
    from ..convert import Options
    from ..convert import convert as run
    from ..convert.roads import roads
    from ..errors import AccelintError, UsageError

    detail = detail_of(quiet, verbose)
    if calibration is not None and not calibration.exists():
        raise UsageError(f"{calibration}: no such file: give an .npz with samples by input name")
    if precision is not None and to != "mlpackage":
        raise UsageError("--precision is of Core ML models: give --optimize for tflite")
    asked = optimize.value if optimize else _PRECISIONS.get(precision)
    usual = next((road.DEFAULTS.optimize for road in roads() if to == road.FORMAT), Options().optimize)
    with busy(f"converting {model.name} to {to}"):
        stored, _folder = exported(model, exporting([model], python))
        wanted = Options(
            batch=batch,
            select_tf_ops=select_tf_ops,
            optimize=asked or usual,  # type: ignore[arg-type]
            data=calibration,
        )
        try:
            made = run(stored, to, output, wanted)
        except AccelintError as error:  # the user knows the name, and not where it was exported to
            error.message = error.message.replace(str(stored), str(model))
            raise
    if made.path is None:
        for blocker in made.blockers:
            typer.echo(f"accelint: {clean_lines(blocker.text)}", err=True)
        raise typer.Exit(1)
    if optimize in (Optimize.INT8, Optimize.INT16X8) and calibration is None:
        typer.echo(f"accelint: {_UNCALIBRATED}", err=True)
    counts = ", ".join(f"{count} {how}" for how, count in made.op_map.counts().items()) if made.op_map else ""
    if detail is Detail.BRIEF:
        return
    typer.echo(f"written: {output}" + (f" ({counts})" if counts else ""))
    if detail is Detail.FULL:
        for name, version in made.versions.items():
            typer.echo(f"converted by {name} {version}")
