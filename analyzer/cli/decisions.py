"""Options that ask what to do about an answer."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..decide.wishes import Wishes


class Sort(str, Enum):
    """In which order the targets of a model are told."""

    TARGET = "target"
    VERDICT = "verdict"
    COVERAGE = "coverage"
    MACS = "macs"
    PARTITIONS = "partitions"
    BYTES = "bytes"
    ERRORS = "errors"


Matrix = Annotated[bool, typer.Option("--matrix", help="In text, one table of all models and targets.")]
Order = Annotated[Sort | None, typer.Option(help="Order of the targets of a model.", show_default="as given")]
FixFirst = Annotated[
    bool,
    typer.Option(
        "--fix-first",
        help="Tell what removing each cause would give, the most first: the model is checked again "
        "without it.",
    ),
]
Worth = Annotated[
    bool,
    typer.Option(
        "--worth",
        help="Estimate whether the accelerator is faster than the CPU, by a simple model of time whose "
        "constants the configuration may set ([costs]).",
    ),
]
Assume = Annotated[
    list[str] | None,
    typer.Option(
        help="Check the model as if it were frozen (freeze=batch:1,input:1x3x224x224), fp16 or int8, "
        "without writing a file; may be repeated.",
    ),
]
SaveUnsupported = Annotated[
    Path | None,
    typer.Option(
        help="Write a small model with random weights and the text of an issue for each cause to this "
        "folder, which has to be new or empty."
    ),
]


def wishes(
    fix_first: bool,
    worth: bool,
    costs: Mapping[str, Mapping[str, Any]],
    assume: list[str] | None,
    save: Path | None,
) -> "Wishes | None":
    """What is asked for beside the verdicts; None for nothing. Raises UsageError for an assumption that is
    none, and for a folder that holds something.
    """
    if not (fix_first or worth or assume or save):
        return None
    from ..decide.assumed import parsed
    from ..decide.wishes import Wishes

    if save is not None:
        from ..decide.repro import free

        free(save)
    return Wishes(fix_first, worth, costs, parsed(assume or ()), save)
