"""Which rewrites there are. A family is a module that lists its own in ``REWRITES``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from ..analyzer.errors import AccelintError, UsageError
from ..analyzer.extensions import added, load
from ..rules.folders import nearest
from .engine import LEVELS, AnyRewrite, Miss, ordered
from .families import candidates, families

if TYPE_CHECKING:
    from ..analyzer.check.coverage import Coverage, Finding
    from ..analyzer.ir.graph import Graph, Operator
    from ..analyzer.ir.model import Model


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


def shape_inference(dialect: str) -> Callable[[Model], None] | None:
    """What works out shapes after an edit: ``infer_<dialect>`` of the dialect's module ``infer``, where it
    has one.
    """
    if f"{dialect}.infer" not in families().get(dialect, ()):
        return None
    found: Callable[[Model], None] = getattr(
        import_module(f".{dialect}.infer", __package__), f"infer_{dialect}"
    )
    return found


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
    return {key: next(iter(found)) for key, found in claimed(dialect).items()}


def claimed(dialect: str | None = None) -> dict[str, dict[str, str]]:
    """As ``families.candidates`` has it stored, from the rewrites themselves."""
    homes = {
        item.id: module for names in families().values() for module in names for item in _listed([module])
    }
    found: dict[str, dict[str, str]] = {}
    for item in rewrites(dialect):
        for key in (f"{answer}:{kind}" for answer in item.answers for kind in item.root):
            found.setdefault(key, {})[item.id] = homes.get(item.id, "")
    return found


Known = dict[tuple[str, str], bool]
"""Rewrite and operator -> whether it matches there, for several coverages of one model."""


def repairs(graph: Graph, coverage: Coverage, known: Known | None = None) -> dict[int, AnyRewrite]:
    """Position of a finding -> the first rewrite that matches at its operator: what "fixable" means.

    Only modules of rewrites that claim such a finding are imported, and only operators of such findings are
    looked at.
    """
    known = {} if known is None else known
    claims = _claims(graph.dialect, coverage)
    wanted = {coverage.findings[index].operator for index in claims}
    places = {op.id: (owner, op) for owner, op in graph.walk() if op.id in wanted} if wanted else {}
    found: dict[int, AnyRewrite] = {}
    for index, items in claims.items():
        owner, op = places.get(coverage.findings[index].operator, (None, None))
        if owner is None or op is None:
            continue
        for item in items:
            if _matches(item, owner, op, known):
                found[index] = item
                break
    return found


def _claims(dialect: str, coverage: Coverage) -> dict[int, tuple[AnyRewrite, ...]]:
    """The rewrites of a dialect that claim each finding, where there are some."""
    types = {op.id: op.type for op in coverage.operators}
    more = tuple(item for item in _added() if item.dialect == dialect)
    found = {}
    for index, finding in enumerate(coverage.findings):
        ours = _claiming(dialect, finding.rule, finding.code, types.get(finding.operator, ""))
        items = (*ours, *answering(finding, more))
        if items:
            found[index] = items
    return found


@cache
def _claiming(dialect: str, rule: str, code: str, kind: str) -> tuple[AnyRewrite, ...]:
    """Ours, in order."""
    stored = candidates()
    homes = {**stored.get(f"{rule}:{kind}", {}), **stored.get(f"{code}:{kind}", {})}
    listed = [item for home in dict.fromkeys(homes.values()) for item in _listed([home])]
    by_id = {item.id: item for item in listed if item.dialect == dialect}
    return tuple(by_id[id] for id in homes if id in by_id)


def _matches(item: AnyRewrite, owner: Graph, op: Operator, known: Known) -> bool:
    key = (item.id, op.id)
    if key not in known:
        try:
            known[key] = item.speaks_of(op) and not isinstance(item.look(owner, op), Miss)
        except AccelintError:  # a value that cannot be read is told where the model is fixed
            known[key] = False
    return known[key]
