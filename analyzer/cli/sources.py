"""Options for models in the user's own code, which are exported first."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..check.coverage import Entry, Origin
    from ..source.export import Exporting

Python = Annotated[
    Path | None,
    typer.Option(
        "--python",
        metavar="PATH",
        help="The interpreter in which a model of your own code is imported and exported. Default: the one "
        "that accelint runs in.",
    ),
]
ExportTimeout = Annotated[
    float | None,
    typer.Option(
        "--export-timeout",
        metavar="SECONDS",
        help="Most seconds for building and exporting a model of your own code.",
        show_default="600",
    ),
]
ExportTo = Annotated[
    Path | None, typer.Option("--export-to", help="Keep the model that was exported from your own code here.")
]
ENTRIES = "accelint.entries"
"""Where a command leaves what it found, for one that runs it again."""


def exporting(
    files: Iterable[Path],
    python: Path | None,
    timeout: float | None = None,
    keep: Path | None = None,
) -> "Exporting | None":
    """How models of the user's code are exported; None where the call names none. Raises UsageError."""
    if python is None and timeout is None and keep is None:
        return None
    from ..errors import UsageError
    from ..source.export import SECONDS, Exporting
    from ..source.names import named
    from .limits import time_limit

    sources = [path for path in files if named(str(path)) is not None]
    if not sources:
        raise UsageError(
            "--python, --export-timeout and --export-to are for models of your own code "
            "(package.module:build): name one"
        )
    if keep is not None and len(sources) > 1:
        raise UsageError(
            f"--export-to keeps one model, and {len(sources)} are exported: check them one by one"
        )
    if timeout is not None:
        time_limit(timeout, "--export-timeout")
    return Exporting(_program(python), timeout or SECONDS, keep)


def _program(python: Path | None) -> Path | None:
    """An interpreter by its path, or by its name where it is on PATH. Raises UsageError."""
    if python is None:
        return None
    import shutil

    from ..errors import UsageError

    found = shutil.which(python)
    if found is None:
        raise UsageError(
            f"--python {python}: there is no such program: give the path of a Python interpreter"
        )
    return Path(found).absolute()


def exported(model: Path, how: "Exporting | None") -> "tuple[Path, object]":
    """The file of a model, written now where it is the user's code, and what keeps it until it is read."""
    from ..source.names import named

    name = named(str(model))
    if name is None:
        return model, None
    from ..source.export import Exporting, export

    made = export(name, how or Exporting())
    if made.printed:
        typer.echo(made.printed, err=True)
    return made.path, made.folder


def say(origin: "Origin | None") -> None:
    """What the user's code printed, on standard error."""
    if origin and origin.printed:
        typer.echo(origin.printed, err=True)


def say_printed(entries: "Iterable[Entry]") -> None:
    """What the user's code printed, on standard error: reports have standard output."""
    for entry in entries:
        printed = entry.origin.printed if entry.origin else entry.error.printed if entry.error else ""
        if printed:
            typer.echo(printed, err=True)
