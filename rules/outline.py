"""Packs read as text, for questions about packs and not about models.

A pack's file is cut at its tables, and only the tables that can hold the answer are parsed: nothing is compiled,
and nothing of the graph is imported. The strict reading is the loader's, and the tests hold every shipped pack to it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from ..analyzer.errors import UsageError
from .folders import PACKS, nearest, pack_folders

_TABLE = re.compile(r"^\[\[?(pack|source|variant|support|rule)\b", re.MULTILINE)
_EFFECTS = {"rejected": "error", "note": "note"}
Table = dict[str, Any]


@cache
def read_codes() -> dict[str, dict[str, str]]:
    """The finding codes with their names, titles, reasons and remedies."""
    with (PACKS.parent / "codes.toml").open("rb") as stream:
        return tomllib.load(stream)


class Outline:
    """One shipped pack, its tables read when they are asked for."""

    def __init__(self, target: str) -> None:
        folder = pack_folders().get(target)
        if folder is None:
            raise UsageError(f"no target is named {target!r}: {nearest(target, list(pack_folders()))}")
        self.target = target
        self._chunks = _chunks(folder)
        own = self._parsed("pack")[0]
        self.base = Outline(own["extends"].replace("_", "/", 1).replace("_", "-")) if "extends" in own else None
        self.head: Table = {**(self.base.head if self.base else {}), **own}

    def variants(self) -> list[str]:
        """Names of the variants, the default one first."""
        names = [name for table in self._raw("variant") for name in table]
        return names or (self.base.variants() if self.base else [])

    def sources(self) -> dict[str, Table]:
        """The pack's sources by name."""
        found = self.base.sources() if self.base else {}
        for table in self._raw("source"):
            found.update(table)
        return found

    def rules(self, *words: str) -> list[Table]:
        """Rules whose text has one of the words, or all; each with its source and its defaults filled in."""
        dropped = {item["rule"] for item in self.head.get("drop", ())}
        inherited = [rule for rule in self.base.rules(*words) if rule["name"] not in dropped] if self.base else []
        sources = self.sources()
        return inherited + [_filled(rule, sources) for rule in self._parsed("rule", words)]

    def supports(self, *words: str) -> list[Table]:
        """Support entries whose text has one of the words, or all."""
        return (self.base.supports(*words) if self.base else []) + self._parsed("support", words)

    def _parsed(self, kind: str, words: Iterable[str] = ()) -> list[Table]:
        found: list[Table] = []
        for table in self._raw(kind, words):
            found += table if isinstance(table, list) else [table]
        return found

    def _raw(self, kind: str, words: Iterable[str] = ()) -> list[Any]:
        wanted = tuple(words)
        texts = [text for name, text in self._chunks if name == kind and (not wanted or any(word in text for word in wanted))]
        return [tomllib.loads(text)[kind] for text in texts]


def _chunks(folder: Path) -> list[tuple[str, str]]:
    """The tables of a pack's files as (kind, text), ``pack.toml`` first."""
    found: list[tuple[str, str]] = []
    for file in sorted(folder.glob("*.toml"), key=lambda path: (path.name != "pack.toml", path.name)):
        text = file.read_text(encoding="utf-8")
        starts = [*_TABLE.finditer(text)]
        ends = [match.start() for match in starts[1:]] + [len(text)]
        found += [(match[1], text[match.start() : end]) for match, end in zip(starts, ends, strict=True)]
    return found


def _filled(rule: Table, sources: dict[str, Table]) -> Table:
    source = sources.get(rule["source"], {})
    effect = rule.get("effect", "fallback")
    defaults = {"effect": effect, "severity": _EFFECTS.get(effect, "warning"), "evidence": source.get("evidence", "source")}
    where = {"where": source.get("url") or source.get("package", ""), "version": source.get("version", "")}
    return {**defaults, **where, "reason": rule.get("quote", ""), **rule}
