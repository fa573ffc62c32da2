"""Findings that are known and may stay: by configuration, in the model's metadata, on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from ...rules.renamed import current_name
from ..check.coverage import Coverage, Entry, Finding, OperatorVerdict


@dataclass(eq=False)
class Ignore:
    """One reason to let findings stay. What is not given matches everything; texts are patterns.

    ``uses`` counts the findings that it was needed for.
    """

    reason: str = ""
    code: str = ""
    rule: str = ""
    operator: str = ""
    model: str = ""
    target: str = ""
    fingerprint: str = ""
    until: date | None = None
    origin: str = ""
    folder: Path = field(default_factory=Path)
    uses: int = 0

    def expired(self, today: date) -> bool:
        """Whether its last day has passed."""
        return self.until is not None and today > self.until

    def covers(self, path: Path, target: str) -> bool:
        """Whether it can match findings of a model on a target."""
        return self._model(path) and (not self.target or meant(target, self.target))

    def matches(self, finding: Finding, op: OperatorVerdict | None, target: str) -> bool:
        """Whether it names a finding of a model and target that it covers."""
        if self.fingerprint and finding.fingerprint != self.fingerprint:
            return False
        if self.code and not finding.code.startswith(self.code):
            return False
        return _like(finding.rule, self.rule, target) and self._operator(finding, op)

    def _operator(self, finding: Finding, op: OperatorVerdict | None) -> bool:
        if not self.operator:
            return True
        names = [finding.operator] if op is None else [op.id, op.name, op.type]
        return any(fnmatchcase(name, self.operator) for name in names)

    def _model(self, path: Path) -> bool:
        if not self.model:
            return True
        full, folder = path.absolute(), self.folder.absolute()
        short = full.relative_to(folder).as_posix() if full.is_relative_to(folder) else full.as_posix()
        return fnmatchcase(short, self.model) or fnmatchcase(path.as_posix(), self.model)


def _like(rule: str, pattern: str, target: str) -> bool:
    """Whether a pattern, or any name that the rule ever had, names it."""
    return not pattern or fnmatchcase(rule, pattern) or current_name(target, pattern) == rule


def meant(target: str, pattern: str) -> bool:
    """Whether a pattern names a target, with or without its variant."""
    return fnmatchcase(target, pattern) or fnmatchcase(target.partition(":")[0], pattern)


def parsed(text: str, origin: str) -> list[Ignore]:
    """Entries of a model's own property: ``CODE-OR-RULE [operator=PATTERN] [target=PATTERN]
    [until=YYYY-MM-DD] reason`` on each line. What has no reason, or a day that is none, is left out: it may
    come from anybody, and a check does not end for it.
    """
    found = (_line(line, origin) for line in text.splitlines()[:_MOST])
    return [item for item in found if item is not None]


_MOST = 1000


def _line(line: str, origin: str) -> Ignore | None:
    what, _, rest = line.strip().partition(" ")
    given: dict[str, str] = {}
    words = rest.split()
    while words and words[0].partition("=")[0] in ("operator", "target", "until"):
        key, _, value = words.pop(0).partition("=")
        given[key] = value
    until = None
    if "until" in given:
        try:
            until = date.fromisoformat(given["until"])
        except ValueError:
            return None
    if not what or not words:
        return None
    return Ignore(
        " ".join(words),
        *named(what),
        operator=given.get("operator", ""),
        target=given.get("target", ""),
        until=until,
        origin=origin,
    )


def named(word: str) -> tuple[str, str]:
    """A word as the code or the rule that it names; the other is empty."""
    return (word, "") if word.startswith("ACL") else ("", word)


def selects(finding: Finding, select: Sequence[str], target: str) -> bool:
    """Whether a finding is of the codes and rules that count."""
    return not select or any(
        finding.code.startswith(word) or _like(finding.rule, word, target) for word in select
    )


def marked(
    entry: Entry, coverage: Coverage, ignores: Iterable[Ignore], select: Sequence[str], today: date
) -> Coverage:
    """The coverage, its findings saying why they may stay. Verdicts and shares stay what they are."""
    active = [
        item for item in ignores if not item.expired(today) and item.covers(entry.path, coverage.target)
    ]
    if not coverage.findings or not (active or select):
        return coverage
    ops = {op.id: op for op in coverage.operators}
    findings = [
        _marked(finding, ops.get(finding.operator), active, select, coverage.target)
        for finding in coverage.findings
    ]
    return replace(coverage, findings=tuple(findings))


def _marked(
    finding: Finding,
    op: OperatorVerdict | None,
    active: Sequence[Ignore],
    select: Sequence[str],
    target: str,
) -> Finding:
    if not selects(finding, select, target):
        return replace(finding, ignored="not selected")
    for item in active:
        if item.matches(finding, op, target):
            item.uses += 1
            return replace(finding, ignored=item.reason)
    return finding
