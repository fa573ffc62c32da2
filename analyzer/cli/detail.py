"""How much a command prints: ``-q`` and ``-v``, which every command that prints takes."""

from enum import IntEnum
from typing import Annotated

import typer

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only the outcome, a line each.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Everything that is known about it.")]


class Detail(IntEnum):
    """What is printed as text; JSON has everything in any case."""

    BRIEF = 0
    USUAL = 1
    FULL = 2


def detail(quiet: bool, verbose: bool) -> Detail:
    """Raises UsageError when both are given."""
    from ..errors import UsageError

    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other: give one of them")
    return Detail.BRIEF if quiet else Detail.FULL if verbose else Detail.USUAL
