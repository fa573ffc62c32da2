"""Packs as tables, for questions about packs and not about models.

Nothing is compiled and nothing of the graph is imported. The strict reading is the loader's, and the tests hold every
shipped pack to it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from ..analyzer.errors import UsageError
from .folders import PACKS, nearest, pack_folders
from .tables import read_tables

_EFFECTS = {"rejected": "error", "note": "note"}
Table = dict[str, Any]


@cache
def read_codes() -> dict[str, dict[str, str]]:
    """The finding codes with their names, titles, reasons and remedies."""
    codes: dict[str, dict[str, str]] = read_tables(PACKS.parent / "codes.toml")
    return codes


class Outline:
    """One shipped pack, its tables read when they are asked for."""

    def __init__(self, target: str) -> None:
        folder = pack_folders().get(target)
        if folder is None:
            raise UsageError(f"no target is named {target!r}: {nearest(target, list(pack_folders()))}")
        self.target = target
        files = sorted(folder.glob("*.toml"), key=lambda path: (path.name != "pack.toml", path.name))
        self._files = [read_tables(file) for file in files]
        own = self._files[0]["pack"]
        self.base = Outline(own["extends"].replace("_", "/", 1).replace("_", "-")) if "extends" in own else None
        self.head: Table = {**(self.base.head if self.base else {}), **own}

    def variants(self) -> list[str]:
        """Names of the variants, the default one first."""
        names = [name for tables in self._files for name in tables.get("variant", ())]
        return names or (self.base.variants() if self.base else [])

    def sources(self) -> dict[str, Table]:
        """The pack's sources by name."""
        found = self.base.sources() if self.base else {}
        for tables in self._files:
            found = {**found, **tables.get("source", {})}
        return found

    def rules(self, *words: str) -> list[Table]:
        """Rules with one of the words as code, name or operator type, or all; each with its source and its defaults filled in."""
        dropped = {item["rule"] for item in self.head.get("drop", ())}
        inherited = [rule for rule in self.base.rules(*words) if rule["name"] not in dropped] if self.base else []
        sources = self.sources()
        return inherited + [_filled(rule, sources) for rule in self._listed("rule", words)]

    def supports(self, *words: str) -> list[Table]:
        """Support entries with one of the operator types, or all."""
        return (self.base.supports(*words) if self.base else []) + self._listed("support", words)

    def _listed(self, kind: str, words: tuple[str, ...]) -> list[Table]:
        found = [table for tables in self._files for table in tables.get(kind, ())]
        return [table for table in found if not words or not set(words).isdisjoint([*table["ops"], table.get("id"), table.get("name")])]


def _filled(rule: Table, sources: dict[str, Table]) -> Table:
    source = sources.get(rule["source"], {})
    effect = rule.get("effect", "fallback")
    defaults = {"effect": effect, "severity": _EFFECTS.get(effect, "warning"), "evidence": source.get("evidence", "source")}
    where = {"where": source.get("url") or source.get("package", ""), "version": source.get("version", "")}
    return {**defaults, **where, "reason": rule.get("quote", ""), **rule}
