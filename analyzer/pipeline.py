"""From a file to coverages: load, bring into the target's dialect, check."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..rewrites.registry import answers
from ..rules.pack import Chosen
from .check import check
from .errors import AccelintError, UsageError
from .formats import load
from .model import Model
from .report.document import Entry


def check_file(path: Path, packs: Iterable[Chosen]) -> Entry:
    """Check one file for several targets; an error of the file becomes the entry's error."""
    entry = Entry(path)
    try:
        entry.model = load(path)
        fixes = answers()
        for chosen in packs:
            entry.coverages.append(_check(entry.model, chosen).with_fixes(fixes))
    except AccelintError as error:
        if isinstance(error, UsageError):
            raise
        entry.error = error
    return entry


def _check(model: Model, chosen: Chosen):  # type: ignore[no-untyped-def]
    if model.dialect == chosen.pack.dialect:
        return check(model, chosen)
    raise UsageError(f"{chosen.target} takes {chosen.pack.dialect} models and {model.path} is {model.dialect}: convert it first")
