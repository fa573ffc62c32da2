"""``accelint conform``."""

import gc
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InternalError, ModelError, RuntimeFailure, UsageError
from ..report.commands import command
from ..words import counted, percent
from .check import Level, PackFile
from .detail import Detail, Quiet, Verbose
from .detail import detail as detail_of
from .limits import Memory, seconds
from .outputs import keep_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...rules.pack import Chosen

QUICK = 60


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("conform")(conform)


def conform(
    target: Annotated[
        str,
        typer.Argument(help="A target whose runtime is here, or a name that people know for one (qnn)."),
    ],
    corpus: Annotated[
        list[str] | None,
        typer.Option(
            help="generated, backend, a folder of models, or a record of answers (.json, .json.gz)."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most this many models of each corpus, an even sample.")
    ] = None,
    ops: Annotated[
        str | None, typer.Option(help="Only these operator types, with commas, of a generated corpus.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the generated corpus.")] = 0,
    jobs: Annotated[int, typer.Option(min=0, help="Worker processes; 0 for one a core.")] = 0,
    timeout: Annotated[
        float, typer.Option(help="Seconds that the runtime gets for one model.", callback=seconds)
    ] = 60.0,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help=f"A sample of {QUICK} models, and whether the rules are older than the runtime."
        ),
    ] = False,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for the runtime's answers, so that a run can be resumed.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write the figures as JSON.")] = None,
    page: Annotated[Path | None, typer.Option(help="Write the figures as a Markdown page.")] = None,
    optimize: Annotated[
        Level,
        typer.Option(help="ONNX Runtime's graph optimization: off (operators as stored) or default."),
    ] = Level.OFF,
    pack: PackFile = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    memory: Memory = None,
) -> None:
    """Validate a target's rules: compare predictions with the installed runtime over a corpus. -q: one line a
    corpus; -v: every operator that was predicted wrong.
    """
    gc.enable()  # thousands of graphs, one after the other
    from ..conform.corpora import GENERATED
    from ..conform.figures import page as as_page
    from ..files import atomic
    from ..flows import targets
    from ..proof.drift import of_installed, stale_data

    detail = detail_of(quiet, verbose)
    if output is not None and page is not None and output.resolve() == page.resolve():
        raise UsageError(f"--output and --page are both {output}: give each a file of its own")
    chosen = targets.asked(target, targets.chosen([target], pack))
    names = list(dict.fromkeys(corpus or GENERATED.get(chosen.pack.dialect, ())))
    keep_inputs([output, page], [pack, *(Path(name) for name in names if Path(name).exists())])
    live = not all(_is_record(name) for name in names)
    version = _runtime_version(chosen) if live else chosen.pack.version
    chosen = of_installed(chosen, version)
    stale = stale_data(chosen.pack, version)
    asked = optimize.value
    runs: dict[str, Any] = {}
    for name, label in zip(names, _labels(names), strict=True):
        runs[label] = (
            _recorded(chosen, Path(name), jobs)
            if _is_record(name)
            else _run(
                chosen, name, version, QUICK if quick else limit, ops, seed, jobs, timeout, cache, asked
            )
        )
        _print(label, runs[label], detail)
        runs[label]["files"] = Path(name).is_dir()
    facts = _facts(chosen, version, seed, QUICK if quick else limit)
    facts["command"] = _command(chosen.target, corpus or [], limit, ops, seed, quick, pack, asked)
    findings = [] if stale is None else [stale.to_json()]
    if output is not None:
        with atomic(output) as draft:
            document = {"target": chosen.target, **facts, "findings": findings, "corpora": runs}
            draft.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if page is not None:
        with atomic(page) as draft:
            warned = (
                facts
                if stale is None
                else {**facts, "warning": f"{stale.code} {stale.rule}: {stale.message}"}
            )
            draft.write_text(
                as_page(f"{chosen.target}: predicted against actual", runs, warned), encoding="utf-8"
            )
    if stale is not None:
        typer.echo(f"{stale.severity} {stale.code} {stale.rule}: {stale.message}", err=True)
    raise typer.Exit(max(_exit_code(name, run) for name, run in runs.items()))


def _labels(names: "Sequence[str]") -> list[str]:
    """A name for each corpus: the last of its path, and as much before it as tells it from the others."""
    paths = [Path(name).parts or (name,) for name in names]
    found = []
    for path in paths:
        alike = [other for other in paths if other is not path]
        most = max(map(len, paths))
        found.append(
            next(
                (
                    label
                    for count in range(1, most + 1)
                    if (label := path[-count:]) not in [other[-count:] for other in alike]
                ),
                path,
            )
        )
    return [str(Path(*label)) for label in found]


def _command(
    target: str,
    corpus: list[str],
    limit: int | None,
    ops: str | None,
    seed: int,
    quick: bool,
    pack: Path | None,
    optimize: str,
) -> str:
    """What makes the same figures again."""
    options = [word for name in corpus for word in ("--corpus", name)]
    level = None if optimize == "off" else optimize
    given = (
        ("--limit", limit),
        ("--ops", ops),
        ("--seed", seed or None),
        ("--optimize", level),
        ("--pack", pack),
    )
    for name, value in given:
        options += [] if value is None else [name, str(value)]
    return command("accelint", "conform", target, *options, *(["--quick"] if quick else []))


def _exit_code(name: str, run: dict[str, Any]) -> int:
    """70 for a defect at a model, 4 where nothing could be compared, 3 for files of the user's that cannot be
    read; the models are named on standard error.
    """
    for bad in (*run["unreadable"], *run["internal"]):
        typer.echo(f"accelint: {name}: {bad['model']}: {bad['why']}", err=True)
    if run["internal"]:
        return InternalError.exit_code
    if not run["operators"]:
        typer.echo(f"accelint: {name}: nothing could be compared", err=True)
        return RuntimeFailure.exit_code
    return ModelError.exit_code if run["unreadable"] and run["files"] else 0


def _run(
    chosen: "Chosen",
    name: str,
    version: str,
    limit: int | None,
    ops: str | None,
    seed: int,
    jobs: int,
    timeout: float,
    cache: Path | None,
    optimize: str,
) -> dict[str, Any]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    from .. import inert
    from ..conform.corpora import corpus
    from ..conform.engine import run
    from ..conform.figures import figures

    folder = cache or _cache_folder()
    suffix = "" if optimize == "off" else f"-{optimize}"
    file = folder / f"{chosen.target.replace('/', '_').replace(':', '_')}-{version}{suffix}.jsonl"
    items = list(corpus(chosen.pack.dialect, name, seed, limit, frozenset(ops.split(",")) if ops else None))
    console = Console(file=sys.__stderr__)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(escape(inert.line(f"{chosen.target} on {name}")), total=len(items))
        return figures(
            run(
                chosen,
                items,
                file,
                jobs=jobs,
                timeout=timeout,
                optimize=optimize,
                progress=lambda outcome: bar.advance(task),
            )
        )


def _is_record(name: str) -> bool:
    return name.endswith((".json", ".json.gz"))


def _recorded(chosen: "Chosen", path: Path, jobs: int) -> dict[str, Any]:
    from ..conform.engine import validate
    from ..conform.figures import figures
    from ..conform.recorded import OF_RELEASES, Recorded

    record = Recorded(path)
    asked = chosen.without(OF_RELEASES)
    return {**figures(validate(asked, record.items(), record, jobs)), "recorded": record.meta}


def _cache_folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("accelint") / "conform"


def _runtime_version(chosen: "Chosen") -> str:
    from ..errors import RuntimeFailure
    from ..runtimes import find
    from ..runtimes.catalog import info

    found = info(find(chosen.target)[0])
    if not found.available:
        raise RuntimeFailure(
            f"{chosen.target} is not here: {found.missing}" + (f": {found.command}" if found.command else "")
        )
    return found.version or "unknown"


def _facts(chosen: "Chosen", version: str, seed: int, limit: int | None) -> dict[str, str]:
    from datetime import date

    from accelint import __version__

    return {
        "runtime": f"{chosen.pack.runtime} {version}",
        "rules verified for": chosen.version,
        "accelint": __version__,
        "date": str(date.today()),
        "seed": str(seed),
        "models asked": f"an even sample of at most {limit} of each corpus" if limit else "all",
    }


def _print(name: str, run: dict[str, Any], detail: Detail) -> None:
    models = ", ".join(f"{count} {status}" for status, count in sorted(run["models"].items()))
    typer.echo(
        f"{name}: {counted(sum(run['models'].values()), 'model')} ({models}), "
        f"{counted(run['operators'], 'operator')}: agreement {percent(run['agreement'], 2)}, "
        "false accelerated "
        f"{percent(run['false_accelerated'], 2)}, "
        f"unknown {percent(run['unknown'], 2)}, unmapped {run['unmapped']}; rejections predicted "
        f"{run['refusals']['refused_predicted']} of "
        f"{run['refusals']['refused']}, phase right {run['refusals']['phases_right']} of "
        f"{run['refusals']['phases_told']}, false alarms {run['refusals']['false_alarms']} of "
        f"{run['refusals']['loaded']}; "
        f"partition count right {run['partitions']['right']} of {run['partitions']['told']}"
        + (
            f", partitions exact {run['partitions']['groups_right']} of {run['partitions']['groups_told']}"
            if "groups_told" in run["partitions"]
            else ""
        )
    )
    if detail is Detail.BRIEF:
        return
    for predicted, row in run["confusion"].items():
        typer.echo(
            f"  predicted {predicted:<12}"
            + "".join(f" {actual} {count}" for actual, count in sorted(row.items()))
        )
    worst = sorted(
        run["by_type"].items(), key=lambda entry: (entry[1]["agreement"] - 1) * entry[1]["operators"]
    )
    wrong = [entry for entry in worst if entry[1]["agreement"] < 1]
    for kind, row in wrong if detail is Detail.FULL else wrong[:25]:
        table = "; ".join(
            f"{p}->{a} {c}" for p, actual in row["confusion"].items() for a, c in actual.items() if p != a
        )
        typer.echo(f"  {kind}: {percent(row['agreement'], 1)} of {row['operators']}: {table}")
    for item in run["disagreements"] if detail is Detail.FULL else ():
        typer.echo(
            f"  {item['model']} {item['id']} {item['type']}: predicted {item['predicted']} "
            f"({item['rule'] or 'no rule'}), was {item['actual']}: {item['said']}"
        )
