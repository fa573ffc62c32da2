"""Which rewrites there are. A family is a module that lists its own in ``REWRITES``."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from ..analyzer.errors import UsageError
from ..analyzer.extensions import added, load
from ..rules.folders import nearest
from .engine import LEVELS, AnyRewrite, ordered
from .families import families

if TYPE_CHECKING:
    from ..analyzer.check.coverage import Coverage, Finding
    from ..analyzer.ir.graph import Graph


@cache
def rewrites(dialect: str | None = None) -> tuple[AnyRewrite, ...]:
    """Every rewrite of a dialect, or of all, in their declared order."""
    modules = [module for kind, names in families().items() if dialect in (None, kind) for module in names]
    return ordered([*_listed(modules), *(item for item in _added() if dialect in (None, item.dialect))])


def _added() -> list[AnyRewrite]:
    """Those of installed distributions (``accelint.rewrites``): an entry names a module with ``REWRITES``."""
    return [item for name in added("rewrites") for item in load("rewrites", name).REWRITES]


def _listed(modules: Iterable[str]) -> list[AnyRewrite]:
    found = (import_module(f".{module}", __package__) for module in modules)
    return [rewrite for module in found for rewrite in getattr(module, "REWRITES", ())]


def rewrite(id: str) -> AnyRewrite:
    """The rewrite with that id. Raises UsageError with the nearest ids."""
    for item in rewrites():
        if item.id == id:
            return item
    raise UsageError(f"no rewrite is named {id!r}: {nearest(id, [item.id for item in rewrites()])}")


def allowed(dialect: str, level: str) -> tuple[AnyRewrite, ...]:
    """The rewrites that ``--fix-level`` allows: ``safe`` the bit-exact and rounding ones, ``unsafe`` all."""
    if level not in LEVELS:
        raise UsageError(f"no fix level is named {level!r}: there are {', '.join(LEVELS)}")
    return tuple(item for item in rewrites(dialect) if level == "unsafe" or item.parity.safe)


def answering(finding: Finding, candidates: tuple[AnyRewrite, ...]) -> tuple[AnyRewrite, ...]:
    """The rewrites that say they repair this kind of finding."""
    return tuple(item for item in candidates if finding.code in item.answers or finding.rule in item.answers)


def answers(dialect: str | None = None) -> dict[str, str]:
    """``CODE:TYPE`` and ``rule-name:TYPE`` -> the id of the first rewrite that says it repairs that finding
    at operators of that type.
    """
    found: dict[str, str] = {}
    for item in rewrites(dialect):
        for answer in item.answers:
            for type in item.root:
                found.setdefault(f"{answer}:{type}", item.id)
    return found


def repairs(graph: Graph, coverage: Coverage) -> dict[str, str]:
    """Finding fingerprint -> the id of the first rewrite that matches at its operator: what "fixable"
    means.
    """
    from .engine import Miss

    by_id = {op.id: (owner, op) for owner, op in graph.walk()}
    found: dict[str, str] = {}
    for finding in coverage.findings:
        owner, op = by_id.get(finding.operator, (None, None))
        if owner is None or op is None:
            continue
        for item in answering(finding, rewrites(graph.dialect)):
            if item.speaks_of(op) and not isinstance(item.match(owner, op), Miss):
                found.setdefault(finding.fingerprint, item.id)
                break
    return found
