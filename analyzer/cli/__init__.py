"""The command line. Each command's work is imported when it runs, so that ``--help`` imports nothing
heavy.
"""

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import typer

from ..errors import EXIT_CODES, AccelintError
from ..processes.ending import watch_signals
from ..unexpected import unexpected
from . import debug, streams

COMMANDS = {
    "check": "check",
    "watch": "watch",
    "fix": "fix",
    "convert": "fix",
    "verify": "verify",
    "runtimes": "verify",
    "releases": "releases",
    "recommend": "recommend",
    "diff": "diff",
    "contract": "contract",
    "baseline": "decided",
    "config": "decided",
    "conform": "conform",
    "targets": "catalogue",
    "rules": "catalogue",
    "explain": "catalogue",
    "schema": "catalogue",
    "lsp": "assist",
    "mcp": "assist",
    "summary": "assist",
}
"""Command -> the module here that registers it."""

_app = typer.Typer(
    name="accelint",
    help="Will this model run on the accelerator, what stops it, and what change makes it run?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Exit codes: {'; '.join(f'{code} {words}' for code, words in EXIT_CODES.items())}.",
)


def application(words: Sequence[str] = ()) -> typer.Typer:
    """The application with all commands; with those of one module where the words begin with a command of
    it, since whoever runs one command should not wait for the options of the others.
    """
    asked = None if "_ACCELINT_COMPLETE" in os.environ else COMMANDS.get(words[0] if words else "")
    for module in dict.fromkeys(COMMANDS.values()) if asked is None else [asked]:
        import_module(f".{module}", __name__).register(_app)
    return _app


def _version(value: bool) -> None:
    if value:
        from accelint import __version__

        typer.echo(f"accelint {__version__}")
        raise typer.Exit


@_app.callback()
def _main(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
    _: bool = typer.Option(False, debug.OPTION, help="Show the trace of an internal error."),
) -> None:
    """Will this model run on the accelerator, what stops it, and what change makes it run?"""


def main() -> None:
    """The entry point: every error becomes one line on standard error and its exit code.

    A command builds its graph once and ends: collecting cycles while it grows costs a tenth of the time and
    finds nothing.
    """
    gc.disable()
    watch_signals()
    streams.prepare()
    sys.argv[1:] = debug.without_switch(sys.argv[1:])
    try:
        try:
            application(sys.argv[1:])()
        finally:
            streams.finish()
    except AccelintError as error:
        _end(error)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        _end(unexpected(error))


def _end(error: AccelintError) -> None:
    typer.echo(f"accelint: {indented(error.message)}", err=True)
    debug.show(error)
    sys.exit(error.exit_code)


def indented(text: str) -> str:
    """A message whose further lines cannot pass for messages of their own."""
    first, *rest = text.split("\n")
    return "\n".join([first, *(line if line.startswith(" ") else f"  {line}" for line in rest)])
