"""Packs as tables, for questions about packs and not about models.

Nothing is compiled and nothing of the graph is imported. The strict reading is the loader's, and the tests
hold every shipped pack to it.
"""

from __future__ import annotations

import re
from collections.abc import Set
from functools import cache
from pathlib import Path
from typing import Any

from ..analyzer.errors import UsageError
from .folders import PACKS, nearest, pack_folder, pack_folders
from .tables import read_tables
from .versions import version_key

_EFFECTS = {"rejected": "error", "note": "note"}
_TIMED = re.compile(rb"\b(?:since|until)\b")
Table = dict[str, Any]


@cache
def read_codes() -> dict[str, dict[str, str]]:
    """The finding codes with their names, titles, reasons and remedies."""
    codes: dict[str, dict[str, str]] = read_tables(PACKS.parent / "codes.toml")
    return codes


class Outline:
    """One shipped pack, its tables read when they are asked for."""

    def __init__(self, target: str) -> None:
        folder = pack_folder(target)
        if folder is None:
            raise UsageError(f"no target is named {target!r}: {nearest(target, list(pack_folders()))}")
        self.target = target
        self._folder = folder
        self._main = read_tables(folder / "pack.toml")
        own = self._main["pack"]
        self.base = (
            Outline(own["extends"].replace("_", "/", 1).replace("_", "-")) if "extends" in own else None
        )
        self.head: Table = {**(self.base.head if self.base else {}), **own}

    def variants(self) -> list[str]:
        """Names of the variants, the default one first."""
        return list(self.variant_tables())

    def variant_tables(self) -> dict[str, Table]:
        """The variants with their parameters, the default one first."""
        own: dict[str, Table] = self._main.get("variant", {})
        return own or (self.base.variant_tables() if self.base else {})

    def sources(self) -> dict[str, Table]:
        """The pack's sources by name."""
        found = self.base.sources() if self.base else {}
        for tables in self._tables(()):
            found = {**found, **tables.get("source", {})}
        return found

    def rules(self, *words: str) -> list[Table]:
        """Rules with one of the words as code, name or operator type, or all; each with its source and its
        defaults filled in.
        """
        dropped = {item["rule"] for item in self.head.get("drop", ())}
        inherited = (
            [rule for rule in self.base.rules(*words) if rule["name"] not in dropped] if self.base else []
        )
        own = self._listed("rule", words)
        sources = self._main.get("source", {})
        if any(rule["source"] not in sources for rule in own):
            sources = self.sources()
        return inherited + [_filled(rule, sources) for rule in own]

    def supports(self, *words: str) -> list[Table]:
        """Support entries with one of the operator types, or all."""
        return (self.base.supports(*words) if self.base else []) + self._listed("support", words)

    def releases(self) -> list[str]:
        """The runtime versions that the pack tells apart, newest first; reads the files that name any."""
        listed = {self.head["version"], *self.head.get("releases", ()), *self._edges(frozenset())}
        return sorted(listed - {""}, key=version_key, reverse=True)

    def _edges(self, dropped: Set[str]) -> set[str]:
        """Where rules and support entries begin and end, without those of dropped rules."""
        found = self.base._edges(dropped | self._dropped()) if self.base else set()
        for file in self._folder.glob("*.toml"):
            if not _TIMED.search(file.read_bytes()):
                continue
            tables = read_tables(file)
            items = [*tables.get("rule", ()), *tables.get("support", ())]
            found |= {
                item.get(edge, "")
                for item in items
                if item.get("name") not in dropped
                for edge in ("since", "until")
            }
        return found

    def _dropped(self) -> set[str]:
        return {item["rule"] for item in self._main["pack"].get("drop", ())}

    def _tables(self, words: tuple[str, ...]) -> list[Table]:
        files = sorted(
            file
            for file in self._folder.glob("*.toml")
            if file.name != "pack.toml" and _mentions(file, words)
        )
        return [self._main, *(read_tables(file) for file in files)]

    def _listed(self, kind: str, words: tuple[str, ...]) -> list[Table]:
        found = [table for tables in self._tables(words) for table in tables.get(kind, ())]
        return [
            table
            for table in found
            if not words or not set(words).isdisjoint([*table["ops"], table.get("id"), table.get("name")])
        ]


def _mentions(file: Path, words: tuple[str, ...]) -> bool:
    """Whether a file's text has one of the words in quotes; a file that has not holds no rule about them."""
    text = file.read_bytes()
    return not words or any(f'"{word}"'.encode() in text for word in words)


def _filled(rule: Table, sources: dict[str, Table]) -> Table:
    source = sources.get(rule["source"], {})
    effect = rule.get("effect", "fallback")
    defaults = {
        "effect": effect,
        "severity": _EFFECTS.get(effect, "warning"),
        "evidence": source.get("evidence", "source"),
    }
    where = {"where": source.get("url") or source.get("package", ""), "version": source.get("version", "")}
    return {**defaults, **where, "reason": rule.get("quote", ""), **rule}
