"""``accelint watch``: ``check`` again whenever a file that the models depend on is saved."""

import gc
import os
import sys
import time
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..errors import AccelintError
from . import sources
from .check import Reporting, check

if TYPE_CHECKING:
    from ..check.coverage import Entry


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("watch", cls=Reporting)(_watch())


def _watch() -> Callable[..., None]:
    """The command, with the options of ``check``."""

    @wraps(check)
    def watch(context: typer.Context, **options: Any) -> None:
        changes = _watcher()
        while True:
            _checked(context, options)
            files = _files(context.meta.get(sources.ENTRIES, ()), options)
            typer.echo(f"accelint: {_now()}: watching {_counted(len(files))}; Ctrl+C ends it", err=True)
            changed = changes(files)
            typer.echo(f"accelint: {_now()}: {changed} was saved", err=True)

    watch.__doc__ = (
        "Check again whenever a file that the models depend on is saved; options are those of check."
    )
    return watch


def _checked(context: typer.Context, options: dict[str, Any]) -> None:
    """One check; what fails is told and ends nothing."""
    try:
        check(context, **options)
    except typer.Exit:
        pass
    except AccelintError as error:
        if sources.ENTRIES not in context.meta:
            raise  # the call itself is wrong
        from . import indented

        typer.echo(f"accelint: {indented(error.message)}", err=True)
    sys.stdout.flush()
    gc.collect()  # which a single command does without


def _files(entries: "Iterable[Entry]", options: dict[str, Any]) -> set[Path]:
    """What the models depend on: their files, and the user's own modules that took part in an export."""
    named = [options.get("pack"), options.get("config"), options.get("baseline"), Path("accelint.toml")]
    found = [item for item in named if item is not None]
    for entry in entries:
        found += map(Path, entry.origin.files if entry.origin else entry.error.files if entry.error else ())
        found.append(entry.origin.stored if entry.origin and entry.origin.stored else entry.path)
        module = str(entry.path).rpartition(":")[0]
        if module and entry.error is not None:  # which may not have come so far as to be known
            found += [Path(module), Path(*module.split(".")).with_suffix(".py")]
    kept = options.get("export_to")
    return {path.absolute() for path in found if kept is None or path != kept}


def _watcher() -> Callable[[set[Path]], str]:
    """What waits until one of some files is saved and says which. Raises MissingExtraError."""
    try:
        from watchfiles import watch
    except ImportError:
        from ..errors import MissingExtraError

        raise MissingExtraError("watchfiles", "watch", "watching files") from None

    def wait(files: set[Path]) -> str:
        folders = {path if path.is_dir() else path.parent for path in files}
        for changes in watch(
            *(folder for folder in folders if folder.is_dir()),
            watch_filter=lambda _, path: any(item in files for item in (Path(path), *Path(path).parents)),
            recursive=False,
            raise_interrupt=True,
        ):
            return os.path.relpath(min(path for _, path in changes))
        raise KeyboardInterrupt

    return wait


def _now() -> str:
    return time.strftime("%H:%M:%S")


def _counted(count: int) -> str:
    from ..words import counted

    return counted(count, "file")
