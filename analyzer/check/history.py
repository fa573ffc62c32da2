"""One model on one target over the releases of the target's runtime, and what changed between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...rules.pack import Chosen, Pack
from ..policies.tablefiles import table_files
from ..policies.tables import tables_for
from .coverage import Coverage, OperatorVerdict


@dataclass(frozen=True, slots=True)
class Reason:
    """A rule that speaks of operators at one release and not at its neighbour, in the words of one."""

    code: str
    rule: str
    effect: str
    message: str
    operators: tuple[OperatorVerdict, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """An operator whose verdict is another one than at the release before."""

    operator: OperatorVerdict
    before: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What is different at a release from the next older one that there is data for."""

    since: str
    new: tuple[Reason, ...]
    gone: tuple[Reason, ...]
    moved: tuple[Moved, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """The answer for one release.

    Attributes:
        rules_of: the release whose rules answer; another one where nothing that the pack knows begins or ends
            between the two.
        changes: None at the oldest release.
    """

    version: str
    coverage: Coverage
    rules_of: str
    changes: Changes | None


@dataclass(frozen=True, slots=True)
class History:
    """A target's releases, newest first."""

    pack: Pack
    target: str
    releases: tuple[Release, ...]


def history(pack: Pack, variant: str, coverages: Sequence[tuple[str, Coverage]]) -> History:
    """The history of a target from its coverages by release, which are of one model and newest first."""
    rules_of = _answering(pack, variant, [version for version, _ in coverages])
    older: list[tuple[str, Coverage] | None] = [*coverages[1:], None]
    releases = tuple(
        Release(version, coverage, rules_of[version], None if before is None else _changes(coverage, *before))
        for (version, coverage), before in zip(coverages, older, strict=True)
    )
    return History(pack, coverages[0][1].target, releases)


def _answering(pack: Pack, variant: str, versions: Iterable[str]) -> dict[str, str]:
    """By version: the release whose rules answer for it; the pack's own stands for its equals."""
    found: dict[str, str] = {}
    known: list[tuple[str, Chosen]] = []
    for version in (pack.version, *versions):
        if version in found:
            continue
        chosen = pack.chosen(variant, version)
        same = next((name for name, other in known if _same_rules(chosen, other)), None)
        if same is None:
            known.append((version, chosen))
        found[version] = same or version
    return found


def _same_rules(one: Chosen, other: Chosen) -> bool:
    return one.rules == other.rules and one.known == other.known and _same_tables(one, other)


def _same_tables(one: Chosen, other: Chosen) -> bool:
    mine, others = (tables_for(item.pack.runtime, item.version) for item in (one, other))
    return all(
        mine[name].tables == others[name].tables and mine[name].reasons == others[name].reasons
        for name in table_files()
    )


def _changes(coverage: Coverage, since: str, before: Coverage) -> Changes:
    old = {op.id: op.verdict for op in before.operators}
    moved = tuple(
        Moved(op, old[op.id].value)
        for op in coverage.operators
        if op.id in old and old[op.id] is not op.verdict
    )
    return Changes(since, _only(coverage, before), _only(before, coverage), moved)


def _only(coverage: Coverage, other: Coverage) -> tuple[Reason, ...]:
    """What one coverage has findings about and the other has not, by rule; a rule with another effect is
    another.
    """
    known = {(item.code, item.rule, item.effect, item.operator) for item in other.findings}
    operators = {op.id: op for op in coverage.operators}
    found: dict[tuple[str, str, str], tuple[str, dict[str, OperatorVerdict]]] = {}
    for item in coverage.findings:
        key = (item.code, item.rule, item.effect)
        if (*key, item.operator) not in known and item.operator in operators:
            found.setdefault(key, (item.message, {}))[1][item.operator] = operators[item.operator]
    return tuple(Reason(*key, message, tuple(ops.values())) for key, (message, ops) in found.items())
