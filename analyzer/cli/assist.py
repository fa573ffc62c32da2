"""``accelint lsp`` and ``accelint mcp``, and what their workers run."""

import gc
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .check import MaybeTargets, Models, PackFile
from .entries import checked
from .limits import Memory, seconds
from .outputs import write_text
from .settings import ConfigFile, Isolated, decided, models_of, settings, targets_of

if TYPE_CHECKING:
    from ..check.coverage import Entry

Seconds = Annotated[float, typer.Option(help="Seconds that a check or a fix may take.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("lsp")(lsp)
    app.command("mcp")(mcp)
    app.command("summary", hidden=True)(summary)


Stdio = Annotated[
    bool, typer.Option("--stdio", hidden=True, help="What editors say by convention; there is no other way.")
]


def lsp(timeout: Seconds = 300.0, memory: Memory = None, stdio: Stdio = True) -> None:
    """Serve editors by the Language Server Protocol, on standard input and output: what is found in the
    models of accelint.toml stands on the lines of Python that made them, and on accelint.toml.
    """
    gc.enable()  # a server runs for days
    from ..assist.lsp import serve

    serve(seconds(timeout))


def mcp(
    root: Annotated[
        Path, typer.Option(help="The folder whose models may be read; nothing outside it is.")
    ] = Path(),
    timeout: Seconds = 300.0,
    memory: Memory = None,
    stdio: Stdio = True,
) -> None:
    """Serve assistants by the Model Context Protocol, on standard input and output: check, explain,
    recommend, releases, targets and fix as tools.
    """
    gc.enable()
    from ..assist.mcp import serve

    serve(root, seconds(timeout))


def summary(
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the answer goes.")],
    models: Models = None,
    target: MaybeTargets = None,
    pack: PackFile = None,
    root: Annotated[
        Path | None, typer.Option(help="Where lines of code are looked for. Default: the repository.")
    ] = None,
    below: Annotated[
        Path | None, typer.Option(help="Read no model outside this folder, links followed.")
    ] = None,
    config: ConfigFile = None,
    isolated: Isolated = False,
    memory: Memory = None,
) -> None:
    """What servers tell of models, as JSON: verdicts, missed gates and root causes. Its form may change."""
    from ..assist.summary import summary as told
    from ..settings.gates import Gates

    held = settings(config, isolated)
    holds = decided(held, Gates())
    good, outside = _divided(models_of(models, held), below)
    entries = outside
    if good or not outside:
        entries += checked(good, targets_of(target, held), pack or held.pack, held, [output])
    for entry in entries:
        holds.mark(entry)
    home = config.parent if config is not None else entries[0].path.parent
    write_text(output, json.dumps(told(entries, holds, root or _root(home.absolute()))))


def _divided(models: list[str], below: Path | None) -> "tuple[list[str], list[Entry]]":
    """The models that may be read, and an error for each other one."""
    if below is None:
        return models, []
    from ..check.coverage import Entry
    from ..errors import ModelError
    from .models import paths

    home = below.resolve()
    found = {path: path.resolve().is_relative_to(home) for path in paths(models)}
    outside = [
        Entry(path, error=ModelError(path, f"leads out of {below}", "no model outside is read"))
        for path, good in found.items()
        if not good
    ]
    return [str(path) for path, good in found.items() if good], outside


def _root(folder: Path) -> Path:
    return next((path for path in (folder, *folder.parents) if (path / ".git").exists()), folder)
