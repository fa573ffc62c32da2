"""``accelint releases``: one model over the releases of a runtime."""

import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import debug
from .check import FailOn, LevelOption, Targets, level
from .detail import Detail, Verbose
from .detail import detail as detail_of
from .entries import exit_code
from .limits import Memory
from .settings import failing_on
from .sources import Python, exporting, say_printed

if TYPE_CHECKING:
    from ..check.coverage import Entry


class Form(str, Enum):
    """How the table is printed."""

    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("releases")(releases)


def releases(
    model: Annotated[Path, typer.Argument(help="One model.")],
    target: Targets,
    form: Annotated[Form, typer.Option("--format", "-f", help="text or json.")] = Form.TEXT,
    fail_on: Annotated[
        FailOn,
        typer.Option(
            help="Severity from which on a finding at any release makes the exit code 1; it is 1 too when "
            "nothing is accelerated at one, unless never."
        ),
    ] = FailOn.ERROR,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", help="The table alone: no changes, no line for targets that take no such model."
        ),
    ] = False,
    verbose: Verbose = False,
    optimize: LevelOption = None,
    python: Python = None,
    memory: Memory = None,
) -> None:
    """Predict a model's verdict at every release that a target has data for, newest first, and what changed
    between them.
    """
    from accelint import __version__

    from ..errors import UsageError
    from ..flows.releases import of_words, over_releases
    from ..inert import json_text, tree
    from ..report.releases import NAMED, document, text

    detail = detail_of(quiet, verbose)
    entry, histories = over_releases(model, of_words(target), level(optimize), exporting([model], python))
    say_printed([entry])
    if entry.error is not None:
        debug.show(entry.error)
        raise entry.error
    if not histories and not entry.failures:
        raise UsageError("; ".join(f"{name} {why}" for name, why in entry.skipped.items()))
    table = document(entry, histories, __version__)
    if form is Form.JSON:
        typer.echo(json_text(json.dumps(table, indent=1)))
    else:
        typer.echo(
            text(tree(table), changes=detail is not Detail.BRIEF, named=None if verbose else NAMED), nl=False
        )
    _say_skipped(entry, quiet=quiet)
    raise typer.Exit(exit_code([entry], failing_on(fail_on.value), gate_missed=False))


def _say_skipped(entry: "Entry", *, quiet: bool) -> None:
    """One line for each target that the table lacks; what failed is said in any case."""
    told = {name: error.message for name, error in entry.failures.items()}
    told |= {} if quiet else {name: f"it {why}" for name, why in entry.skipped.items()}
    for name, why in told.items():
        typer.echo(f"accelint: not checked for {name}: {why}", err=True)
