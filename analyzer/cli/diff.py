"""``accelint diff``."""

import json
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from .check import LevelOption, PackFile, level
from .detail import Detail, Quiet, Verbose, detail
from .entries import checked
from .limits import Memory
from .settings import ConfigFile, Isolated, settings, targets_of
from .sources import Python, exporting


class Form(str, Enum):
    """How the difference is printed."""

    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("diff")(diff)


def diff(
    old: Annotated[Path, typer.Argument(help="A model, or a report that was written with --format json.")],
    new: Annotated[Path, typer.Argument(help="The same.")],
    target: Annotated[
        list[str] | None,
        typer.Option("--target", "-t", help="Targets for what is a model; default: the configuration's."),
    ] = None,
    old_target: Annotated[
        list[str] | None,
        typer.Option("--old-target", help="Other targets for OLD, like onnxruntime/cpu@1.24: two releases."),
    ] = None,
    form: Annotated[Form, typer.Option("--format", "-f", help="text or json.")] = Form.TEXT,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Exit code 0 also when it is worse.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    pack: PackFile = None,
    optimize: LevelOption = None,
    config: ConfigFile = None,
    isolated: Isolated = False,
    python: Python = None,
    memory: Memory = None,
) -> None:
    """Compare two models, two reports, or one model at two releases: what is new, what is fixed, what an
    application would notice. Exit code 1 when NEW is worse.
    """
    from ..report.difference import difference, text

    much = detail(quiet, verbose)
    held = settings(config, isolated)
    how = exporting([old, new], python)
    documents = []
    for path, words in ((old, old_target or target), (new, target)):
        document = report(path)
        if document is None:
            entries = checked(
                [str(path)], targets_of(words, held), pack or held.pack, held, [], level(optimize), how
            )
            document = _document(entries)
        documents.append(document)
    found = difference(*documents)
    if form is Form.JSON:
        from ..inert import json_text

        typer.echo(json_text(json.dumps(found, indent=1)))
    else:
        typer.echo(text(found, brief=much is Detail.BRIEF, full=much is Detail.FULL), nl=False)
    raise typer.Exit(int(found["worse"] and not exit_zero))


def _document(entries: list[Any]) -> dict[str, Any]:
    from accelint import __version__

    from ..report.document import document

    for entry in entries:
        entry.raise_errors()
    return document(entries, __version__)


def report(path: Path) -> dict[str, Any] | None:
    """A stored report; None for a file of another kind. Raises UsageError for JSON that is no report."""
    if path.suffix != ".json" or not path.is_file():
        return None
    from ..report.previous import read

    return read(path)
