"""What other distributions add: packs, policies, rewrites, readers, report forms, runtimes, converters.

Each kind has an entry point group of its own (``accelint.packs``, ...); ``docs/extending.md`` says what an
entry names. Built-in modules are found by their folders. Entry points are looked up only when something asks
for what is not built in, or for everything: a look-up reads the metadata of every installed distribution.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from .errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from importlib.metadata import EntryPoint

KINDS = ("packs", "policies", "predicates", "rewrites", "readers", "reports", "runtimes", "converters")
"""The groups, without the prefix ``accelint.``."""


@cache
def added(kind: str) -> Mapping[str, EntryPoint]:
    """The entries of a kind by name, of all distributions; the first of two with one name counts."""
    found: dict[str, EntryPoint] = {}
    if not _some():
        return found
    from importlib.metadata import entry_points

    for entry in entry_points(group=f"accelint.{kind}"):
        found.setdefault(entry.name, entry)
    return found


@cache
def _some() -> bool:
    """Whether any distribution adds anything: importing ``importlib.metadata`` costs more than this."""
    files = (
        Path(folder, name, "entry_points.txt")
        for folder in dict.fromkeys(sys.path)
        for name in _listed(folder or ".")
        if name.endswith((".dist-info", ".egg-info"))
    )
    return any(b"[accelint." in _bytes(file) for file in files)


def _listed(folder: str) -> list[str]:
    with suppress(OSError):
        return os.listdir(folder)  # noqa: PTH208 (names are enough)
    return []


def _bytes(file: Path) -> bytes:
    with suppress(OSError):
        return file.read_bytes()
    return b""


@cache
def load(kind: str, name: str) -> Any:
    """What an entry names, imported. None when no distribution adds one of that name.

    Raises UsageError when its distribution is there and cannot be imported.
    """
    entry = added(kind).get(name)
    if entry is None:
        return None
    try:
        return entry.load()
    except Exception as error:
        owner = entry.dist.name if entry.dist is not None else "an installed distribution"
        what = f"{type(error).__name__}: {error}"
        raise UsageError(
            f"{owner} adds {name!r} to accelint.{kind} and {entry.value} cannot be imported ({what}): "
            f"update or uninstall {owner}"
        ) from error


def modules(paths: Iterable[str]) -> tuple[str, ...]:
    """Names of the modules and packages in folders, in order, those that begin with ``_`` left out."""
    return tuple(sorted(found.name for found in iter_modules(list(paths)) if not found.name.startswith("_")))
