"""Names that rules had before, from ``renamed.toml``: every name that was ever given leads to a rule."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from .tables import read_tables

EVERY = "every"
"""The table of names that do not belong to one pack: of partitions and of what several targets share."""


@cache
def _renamed() -> dict[str, dict[str, str]]:
    tables: dict[str, dict[str, str]] = read_tables(Path(__file__).parent / "renamed.toml")
    return tables


def current_name(target: str, name: str) -> str:
    """What a rule of a target is called now, given any name that it ever had; other words as they are.

    A target may be written with variant and version. Names follow each other: a rule renamed twice is found
    by its first name.
    """
    tables = _renamed()
    own, shared = tables.get(_pack(target), {}), tables.get(EVERY, {})
    while name in own or name in shared:
        name = own.get(name) or shared[name]
    return name


def former_names(target: str, name: str) -> tuple[str, ...]:
    """Every name that a rule had before, the earliest first."""
    return tuple(reversed(_former(_pack(target)).get(name, ())))


def first_name(target: str, name: str) -> str:
    """The first name that a rule had: what its findings' fingerprints are made of."""
    former = former_names(target, name)
    return former[0] if former else name


@cache
def _former(target: str) -> dict[str, list[str]]:
    """Name -> names before it, the latest first."""
    tables = _renamed()
    before: dict[str, list[str]] = {}
    for old, new in {**tables.get(EVERY, {}), **tables.get(target, {})}.items():
        before.setdefault(new, []).append(old)
    return {name: _chain(name, before) for name in before}


def _chain(name: str, before: dict[str, list[str]]) -> list[str]:
    direct = list(reversed(before.get(name, ())))
    return direct + [older for item in direct for older in _chain(item, before)]


def _pack(target: str) -> str:
    return target.partition("@")[0].partition(":")[0]
