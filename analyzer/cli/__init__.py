"""The command line. Each command's work is imported when it runs, so that ``--help`` imports nothing
heavy.
"""

import gc
import os
import sys

import typer

from ..errors import AccelintError
from . import catalogue, check, conform, fix, verify

app = typer.Typer(
    name="accelint",
    help="Will this model run on the accelerator, what stops it, and what change makes it run?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 fine; 1 findings at or above --fail-on, or a gate missed; 2 wrong usage; "
    "3 a model cannot be read; 4 the runtime disagrees, crashed or is missing; 5 parity failed.",
)
for module in (check, fix, verify, conform, catalogue):
    module.register(app)


def _version(value: bool) -> None:
    if value:
        from accelint import __version__

        typer.echo(f"accelint {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Will this model run on the accelerator, what stops it, and what change makes it run?"""


def main() -> None:
    """The entry point: errors that accelint raises on purpose become one line on standard error and their
    exit code.

    A command builds its graph once and ends: collecting cycles while it grows costs a tenth of the time and
    finds nothing.
    """
    gc.disable()
    try:
        app()
    except AccelintError as error:
        typer.echo(f"accelint: {_printable(error.message)}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() or char == "\n" else f"\\x{ord(char):02x}" for char in text)
