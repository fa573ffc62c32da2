"""``--debug``: the trace of an internal error, at any place of the command line."""

from collections.abc import Sequence

import typer

from ..errors import AccelintError, InternalError

OPTION = "--debug"
_state = {"on": False}


def without_switch(arguments: Sequence[str]) -> list[str]:
    """The arguments without ``--debug``, which is remembered; what follows ``--`` is left alone."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = [item for item in arguments[:end] if item != OPTION]
    _state["on"] = len(options) < end
    return [*options, *arguments[end:]]


def show(error: AccelintError | None) -> None:
    """Print where an internal error came from, when that was asked for."""
    if _state["on"] and isinstance(error, InternalError):
        typer.echo(error.trace, err=True, nl=False)
