"""``accelint recommend``."""

import json
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from . import debug
from .check import LevelOption, level
from .limits import Memory
from .settings import ConfigFile, Isolated, settings
from .sources import Python, exporting, say_printed


class Form(str, Enum):
    """How the ranking is printed."""

    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("recommend")(recommend)


def recommend(
    model: Annotated[Path, typer.Argument(help="One model.")],
    devices: Annotated[
        list[str] | None,
        typer.Option(
            "--devices",
            "-d",
            help="Devices, chips, runtimes or targets, with commas or repeated: iphone-15,pixel-9, "
            "snapdragon-8-gen-3, qnn. Default: all targets that accelerate.",
        ),
    ] = None,
    form: Annotated[Form, typer.Option("--format", "-f", help="text or json.")] = Form.TEXT,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="The answer alone.")] = False,
    config: ConfigFile = None,
    isolated: Isolated = False,
    optimize: LevelOption = None,
    python: Python = None,
    memory: Memory = None,
) -> None:
    """Rank targets and their releases for a model, with reasons; the answer may be to stay on the CPU."""
    from accelint import __version__

    from ..decide.ranking import recommend as rank
    from ..inert import json_text, tree
    from ..report.ranking import document, text

    held = settings(config, isolated)
    asked = level(optimize) or held.values.get("optimize")
    found = rank(model, devices or ["all"], held.costs, asked, exporting([model], python))
    say_printed([found.entry])
    if found.entry.error is not None:
        debug.show(found.entry.error)
        raise found.entry.error
    about = found.entry.about
    table = document(
        {
            "path": str(found.entry.path),
            "format": about and about.format,
            "dialect": about and about.dialect,
            "operators": about and about.operators,
        },
        found.choice,
        found.why,
        [item.to_json() for item in found.targets],
        [
            *({"target": name, "reason": why} for name, why in found.entry.skipped.items()),
            *({"target": name, "reason": error.message} for name, error in found.entry.failures.items()),
        ],
        __version__,
    )
    if form is Form.JSON:
        typer.echo(json_text(json.dumps(table, indent=1)))
    else:
        typer.echo(text(tree(table), brief=quiet), nl=False)
    raise typer.Exit(int(found.choice is None))
