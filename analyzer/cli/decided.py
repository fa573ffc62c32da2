"""``accelint config`` and ``accelint baseline``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..words import counted
from .check import MaybeTargets, Models, PackFile
from .detail import Detail, Quiet, Verbose, detail
from .limits import Memory
from .outputs import write_text
from .settings import ConfigFile, Isolated, decided, models_of, settings, targets_of
from .sources import Python, exporting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..check.coverage import Entry, Finding
    from ..settings import Settings

BASELINE = "accelint-baseline.json"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("config")(config)
    commands = typer.Typer(
        help="Findings that are known: a check with --baseline fails for new ones and for what got worse.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    commands.command("write")(write)
    commands.command("check")(check)
    commands.command("prune")(prune)
    app.add_typer(commands, name="baseline")


def config(
    file: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """Show what is configured here, and which file says it."""
    held = settings(file, isolated=False)
    rows = _rows(held)
    if as_json:
        document = {"schema": "accelint/settings/1", "file": held.path and str(held.path), "values": rows}
        typer.echo(json.dumps(document, indent=1, default=str))
        return
    if held.path is None:
        typer.echo("no configuration: there is no accelint.toml, and no [tool.accelint], here or above")
    for row in rows:
        typer.echo(f"{row['key']} = {_shown(row['value'])}  ({row['origin']})")


def _rows(held: "Settings") -> list[dict[str, Any]]:
    from ..settings.gates import NAMES

    def row(key: str, value: Any) -> dict[str, Any]:
        return {"key": key, "value": value, "origin": str(held.origins.get(key, held.path))}

    rows = [row(key, value) for key, value in held.values.items()]
    tables = {"gates": held.gates} | {f"target.{name}": gates for name, (gates, _) in held.targets.items()}
    for table, gates in tables.items():
        for name in NAMES:
            if (value := getattr(gates, name)) is not None:
                rows.append(row(f"{table}.{name.replace('_', '-')}", value))
    rows += [row(f"target.{name}.select", select) for name, (_, select) in held.targets.items() if select]
    rows += [
        row(f"costs.{name}.{key}", value)
        for name, costs in held.costs.items()
        for key, value in costs.items()
    ]
    for index, item in enumerate(held.ignores):
        said = {name: getattr(item, name) for name in _SAID if getattr(item, name)}
        rows.append({"key": f"ignore[{index}]", "value": said, "origin": item.origin})
    return rows


_SAID = ("code", "rule", "operator", "model", "target", "fingerprint", "reason", "until")


def _shown(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


# ---- the baseline ----------------------------------------------------------------------------


Place = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help=f"The baseline. Default: the configuration's, or {BASELINE}.",
    ),
]


def write(
    models: Models = None,
    target: MaybeTargets = None,
    output: Place = None,
    pack: PackFile = None,
    file: ConfigFile = None,
    isolated: Isolated = False,
    python: Python = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    memory: Memory = None,
) -> None:
    """Write what is found now as known: only what is new or worse fails after that."""
    from ..settings import baseline as baselines

    much = detail(quiet, verbose)
    held = settings(file, isolated)
    place = _place(output, held)
    entries = _checked(models, target, pack, held, place, python)
    made = baselines.of(place, entries)
    write_text(place, baselines.text(made))
    count = sum(len(row["findings"]) for rows in made.models.values() for row in rows.values())
    typer.echo(f"{place}: {counted(count, 'finding')} of {counted(len(made.models), 'model')} known now")
    for model, rows in made.models.items() if much is Detail.FULL else ():
        for name, row in rows.items():
            typer.echo(f"  {model}: {name}: {row['verdict']}, {counted(len(row['findings']), 'finding')}")


def check(
    models: Models = None,
    target: MaybeTargets = None,
    output: Place = None,
    pack: PackFile = None,
    file: ConfigFile = None,
    isolated: Isolated = False,
    python: Python = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    memory: Memory = None,
) -> None:
    """Compare with the baseline: exit code 1 when findings are new, or a model does worse."""
    from ..settings import baseline as baselines
    from ..settings.gates import Gates

    much = detail(quiet, verbose)
    held = settings(file, isolated)
    place = _place(output, held)
    entries = _checked(models, target, pack, held, place, python)
    holds = decided(held, Gates(), baseline=place)
    known = holds.baseline
    assert known is not None
    failed = False
    for entry in entries:
        holds.mark(entry)
        for coverage in entry.coverages:
            worse = baselines.worse(coverage, entry, known)
            fresh = [item for item in coverage.findings if not item.ignored]
            failed = failed or bool(worse or fresh)
            for line in _changes(coverage.target, worse, fresh, much):
                typer.echo(f"{entry.path}: {line}")
    gone = sum(map(len, baselines.stale(entries, known).values()))
    if gone:
        typer.echo(f"{place}: {counted(gone, 'known finding')} gone: accelint baseline prune")
    raise typer.Exit(int(failed))


def _changes(target: str, worse: "list[str]", fresh: "list[Finding]", much: Detail) -> "Iterator[str]":
    """What is worse and what is new on a target: a line a cause, or one in all, or one a finding."""
    yield from (f"worse: {line}" for line in worse)
    if much is Detail.BRIEF:
        if fresh:
            yield f"new: {target}: {counted(len(fresh), 'finding')}"
        return
    causes: dict[tuple[str, str], list[Finding]] = {}
    for item in fresh:
        causes.setdefault((item.code, item.rule), []).append(item)
    for (code, rule), items in causes.items():
        shown = items if much is Detail.FULL else items[:1]
        more = f" (and {len(items) - 1} more)" if len(items) > len(shown) else ""
        yield from (f"new: {target}: {code} {rule}: {item.message}{more}" for item in shown)


def prune(
    models: Models = None,
    target: MaybeTargets = None,
    output: Place = None,
    pack: PackFile = None,
    file: ConfigFile = None,
    isolated: Isolated = False,
    python: Python = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    memory: Memory = None,
) -> None:
    """Remove what is gone from the baseline, and let models that do better keep that. Nothing is added."""
    from ..settings import baseline as baselines

    much = detail(quiet, verbose)
    held = settings(file, isolated)
    place = _place(output, held)
    known = baselines.read(place)
    entries = _checked(models, target, pack, held, place, python)
    gone = baselines.stale(entries, known)
    write_text(place, baselines.text(baselines.pruned(known, gone, entries)))
    count = sum(map(len, gone.values()))
    typer.echo(f"{place}: {counted(count, 'finding')} that {'is' if count == 1 else 'are'} gone removed")
    for (model, name), marks in gone.items() if much is Detail.FULL else ():
        typer.echo(f"  {model}: {name}: {', '.join(marks)}")


def _place(output: Path | None, held: "Settings") -> Path:
    return output or Path(held.values.get("baseline", BASELINE))


def _checked(
    models: list[str] | None,
    target: list[str] | None,
    pack: Path | None,
    held: "Settings",
    place: Path,
    python: Path | None,
) -> "list[Entry]":
    """The models of the call, checked. Raises the error of a model that cannot be."""
    from .entries import checked

    named = models_of(models, held)
    how = exporting(map(Path, named), python)
    entries = checked(named, targets_of(target, held), pack or held.pack, held, [place], exporting=how)
    for entry in entries:
        entry.raise_errors()
    return entries
