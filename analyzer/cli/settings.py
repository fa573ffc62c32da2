"""Options that say what a project has decided: a configuration, and the command line over it."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..check.coverage import Entry
    from ..settings import Settings
    from ..settings.decided import Decided
    from ..settings.gates import Gates

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="The configuration. Default: the nearest accelint.toml, or [tool.accelint] of a pyproject.toml, "
        "of this folder or one above it.",
    ),
]
Isolated = Annotated[bool, typer.Option("--isolated", help="Without any configuration.")]
Select = Annotated[
    list[str] | None,
    typer.Option(help="Only findings of these codes (or their beginnings) and rules count; may be repeated."),
]
IgnoreWords = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore", help="Findings of this code (or its beginning) or rule may stay; may be repeated."
    ),
]
BaselineFile = Annotated[
    Path | None,
    typer.Option(help="Findings that this file holds may stay, and no model may do worse than it says."),
]


def settings(path: Path | None, isolated: bool) -> "Settings":
    """The configuration that holds here. Raises UsageError for a bad one, or one that is not there."""
    from ..errors import UsageError
    from ..settings.sources import Settings, find, read

    if isolated:
        if path is not None:
            raise UsageError("--config and --isolated contradict each other: give one of them")
        return Settings()
    found = path or find(Path())
    return Settings() if found is None else read(found)


def decided(
    held: "Settings",
    own: "Gates",
    select: list[str] | None = None,
    ignore: list[str] | None = None,
    baseline: Path | None = None,
) -> "Decided":
    """What the models of this call have to keep."""
    from ..settings import baseline as baselines
    from ..settings.decided import Decided, ignore_option

    file = baseline or (Path(held.values["baseline"]) if "baseline" in held.values else None)
    return Decided(
        held,
        own,
        tuple(select or ()),
        [ignore_option(word) for word in ignore or ()],
        None if file is None else baselines.read(file),
    )


def failing_on(severity: str) -> "Decided":
    """Nothing but a severity from which on findings fail."""
    from ..settings.decided import Decided
    from ..settings.gates import Gates

    return Decided(own=Gates(fail_on=severity))


def models_of(given: list[str] | None, held: "Settings") -> list[str]:
    """The models of the call, or those of the configuration. Raises UsageError where neither names any."""
    return _given(given, held, "models", "a model")


def targets_of(given: list[str] | None, held: "Settings") -> tuple[str, ...]:
    """The targets of the call, or those of the configuration. Raises UsageError where neither names any."""
    return tuple(_given(given, held, "targets", "--target"))


def _given(given: list[str] | None, held: "Settings", key: str, what: str) -> list[str]:
    from ..errors import UsageError

    found = given or list(held.values.get(key, ()))
    if not found:
        raise UsageError(f"{what} is missing: give one, or name some under {key!r} in accelint.toml")
    return found


def say(holds: "Decided", entries: "Iterable[Entry]", *, quiet: bool) -> bool:
    """Each missed gate on standard error, and what the configuration says for nothing; whether one was
    missed.
    """
    missed = [(entry.path, line) for entry in entries for line in holds.missed(entry)]
    for path, line in missed:
        typer.echo(f"accelint: gate missed: {path}: {line}", err=True)
    for line in () if quiet else holds.unneeded():
        typer.echo(f"accelint: not needed: {line}", err=True)
    return bool(missed)
