"""Where reports go: several forms in one run, each to a file or one of them to standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from . import debug

if TYPE_CHECKING:
    from ..check.coverage import Entry

STDOUT = "-"
Sink = tuple[str, Path | None]
"""A report's form and its file; None is standard output."""


def sinks(forms: Sequence[str], files: Sequence[str], order: str = "") -> list[Sink]:
    """Which form goes where.

    With as many files as forms, they pair in their order. With fewer files, ``order`` (``F`` for a form and
    ``O`` for a file, as they were written) pairs a file with the nearest form before it that has none, and
    what is left goes to standard output. A file alone takes text.

    Raises UsageError for an unknown form, for a file without a form, and for two reports to one place.
    """
    from ..report import known

    forms = list(forms) or ["text"]
    for form in forms:
        known(form)
    if len(files) > len(forms):
        raise UsageError(
            f"{len(files)} of --output and {len(forms)} of --format: give one --format for each --output"
        )
    given: list[Path | None] = [None if name == STDOUT else Path(name) for name in files]
    places = _paired(len(forms), given, order)
    for place in places:
        if places.count(place) > 1:
            where = "standard output" if place is None else str(place)
            raise UsageError(f"two reports go to {where}: give each --format an --output of its own")
    return list(zip(forms, places, strict=True))


def _paired(count: int, files: Sequence[Path | None], order: str) -> list[Path | None]:
    if len(files) == count:
        return list(files)
    if (order.count("F"), order.count("O")) != (count, len(files)):
        order = "FO" * len(files) + "F" * (count - len(files))
    places: list[Path | None] = [None] * count
    free: list[int] = []
    seen = 0
    early: list[Path | None] = []
    rest = iter(files)
    for mark in order:
        if mark == "F":
            free.append(seen)
            seen += 1
            if early:
                places[free.pop()] = early.pop(0)
        elif free:
            places[free.pop()] = next(rest)
        else:
            early.append(next(rest))
    return places


def order(arguments: Sequence[str]) -> str:
    """How ``--format`` and ``--output`` follow each other in a command line, as ``FOF``."""
    marks = {"--format": "F", "-f": "F", "--output": "O", "-o": "O"}
    found = ""
    for argument in arguments:
        if argument == "--":
            break
        name = argument.partition("=")[0] if argument.startswith("--") else argument[:2]
        found += marks.get(name, "")
    return found


def keep_inputs(outputs: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Raise UsageError before any work is done when an output is one of the inputs."""
    from ..files import protect
    from ..formats.onnx.external import data_files

    protect([path for path in outputs if path], [path for path in inputs if path], data_files)


def write_text(output: Path, text: str) -> None:
    """Write a file atomically."""
    from ..files import atomic

    with atomic(output) as draft:
        draft.write_text(text, encoding="utf-8")


def write_report(entries: list[Entry], places: Sequence[Sink]) -> None:
    """Render each report and print it, or write it to its file atomically."""
    from accelint import __version__

    from ..files import atomic
    from ..report import render

    for entry in entries:
        debug.show(entry.error)
    for form, output in places:
        chunks = render(entries, __version__, form)
        if output is None:
            write = getattr(sys.stdout, "write_form", sys.stdout.write)
            for chunk in chunks:
                write(chunk)
            continue
        with atomic(output) as draft, draft.open("w", encoding="utf-8") as stream:
            stream.writelines(chunks)
