"""A file on targets over all releases that there is data for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...rules.folders import pack_folders
from ...rules.pack import Chosen, Pack
from ...rules.registry import load_pack
from ...rules.versions import version_key
from ..check.coverage import Coverage, Entry
from ..check.history import History, history
from ..errors import UsageError
from .check_file import check_file
from .targets import chosen

if TYPE_CHECKING:
    from ..source.export import Exporting


def of_words(words: Sequence[str]) -> list[Chosen]:
    """The targets that a user's words mean. Raises UsageError for a word that names a release."""
    named = next((part for word in words for part in word.split(",") if "@" in part), None)
    if named is not None:
        raise UsageError(
            f"releases answers for every release: give {named.partition('@')[0].strip()} without @version, "
            f"or ask for that one alone: accelint check --target {named.strip()}"
        )
    return chosen(words)


def over_releases(
    path: Path,
    packs: Iterable[Chosen],
    optimize: str | None = None,
    exporting: Exporting | None = None,
) -> tuple[Entry, list[History]]:
    """Check a file, read once, at every release that the packs tell apart; ``optimize`` and
    ``exporting`` as ``check_file`` has them.
    """
    wanted = [item.pack.chosen(item.variant, version) for item in packs for version in _asked(item.pack)]
    entry = check_file(path, wanted, optimize=optimize, exporting=exporting)
    found: dict[str, list[tuple[str, Coverage]]] = {}
    for coverage in entry.coverages:
        pack = _pack(coverage.target)
        version = coverage.runtime.removeprefix(f"{pack.runtime} ")
        if version in pack.versions:  # a twin for another dialect has releases of its own
            found.setdefault(coverage.target, []).append((version, coverage))
    histories = [
        history(_pack(target), target.partition(":")[2], _newest_first(rows))
        for target, rows in found.items()
    ]
    entry.coverages = [release.coverage for item in histories for release in item.releases]
    return entry, histories


def _pack(target: str) -> Pack:
    return load_pack(target.partition(":")[0])


def _newest_first(rows: list[tuple[str, Coverage]]) -> list[tuple[str, Coverage]]:
    return sorted(rows, key=lambda row: version_key(row[0]), reverse=True)


def _asked(pack: Pack) -> list[str]:
    """The releases of a pack and of its twins for other dialects; which of them a model needs is known once
    it is read.
    """
    twins = [load_pack(name) for name in pack_folders() if name.startswith(f"{pack.target}-")]
    found = [version for item in (pack, *twins) for version in item.versions if item.runtime == pack.runtime]
    return list(dict.fromkeys(found))
