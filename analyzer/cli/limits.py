"""``--memory``, which every command that reads a model has: the one limit for this process and all that it
starts.
"""

from typing import Annotated

import typer


def seconds(value: float) -> float:
    """``--timeout``: a callback, which is handed the context too if it has a second parameter."""
    return time_limit(value, "--timeout")


def time_limit(value: float, option: str) -> float:
    """A time limit: more than nothing, and a number. Raises UsageError."""
    from ..errors import UsageError

    if not 0 < value < float("inf"):
        raise UsageError(f"{option} {value:g} is no time limit: give seconds, more than 0")
    return value


def _hold(value: str | None) -> str | None:
    from ..processes import memory

    memory.set_limit(None if value is None else memory.parse(value))
    memory.bound()
    return value


Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        callback=_hold,
        help="Most memory that accelint and the processes that it starts may use together: 4G, 512M. "
        "Default: three quarters of the machine's.",
    ),
]
