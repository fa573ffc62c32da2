"""The rules of a report's targets, for forms that declare every rule and not only those that were met."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...rules.outline import Outline, Table, read_codes
from ...rules.renamed import former_names
from ..errors import UsageError

if TYPE_CHECKING:
    from .issues import Issue

_RANK = ("note", "warning", "error")


@dataclass
class Rule:
    """One name of a rule, whichever targets have it.

    Attributes:
        severity: the worst that it has on any of them.
        limits: target -> what the pack says.
    """

    code: str
    name: str
    severity: str
    evidence: str
    uri: str = ""
    former: tuple[str, ...] = ()
    limits: dict[str, Table] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """``ACL301/dtype-without-counterpart``."""
        return f"{self.code}/{self.name}"

    @property
    def about(self) -> Mapping[str, str]:
        """What is known of the code."""
        return read_codes().get(self.code, {})


def rules(targets: Iterable[str], met: Iterable[Issue]) -> dict[str, Rule]:
    """Every rule of the targets by id, in order, and those met that no pack lists (of partition policies, and
    of packs of the user's).
    """
    found: dict[str, Rule] = {}
    for target in dict.fromkeys(name.partition("@")[0] for name in targets):
        for table in _tables(target):
            _add(found, target, table)
    for issue in met:
        rule = Rule(issue.code, issue.rule, issue.severity, issue.evidence, _uri(issue.source))
        known = found.setdefault(rule.id, rule)
        known.severity = max(known.severity, issue.severity, key=_RANK.index)
    return dict(sorted(found.items()))


def _tables(target: str) -> list[Table]:
    base, _, variant = target.partition(":")
    try:
        listed = Outline(base).rules()
    except UsageError:
        return []
    return [table for table in listed if not table.get("variants") or variant in ("", *table["variants"])]


def _add(found: dict[str, Rule], target: str, table: Mapping[str, Any]) -> None:
    rule = Rule(
        table["id"],
        table["name"],
        table["severity"],
        table["evidence"],
        _uri(table["where"]),
        former_names(target, table["name"]),
    )
    known = found.setdefault(rule.id, rule)
    known.severity = max(known.severity, rule.severity, key=_RANK.index)
    known.limits[target] = dict(table)


def _uri(source: str) -> str:
    return source if source.startswith(("https://", "http://")) and " " not in source else ""
