"""Findings as places of continuous integration show them: one issue a root cause.

A rule that stops 20,000 operators of a model on a target is one issue, or one for each line of code that made
them, as long as these are few enough to be shown.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...rules.renamed import first_name
from ..inert import line
from ..words import counted
from .causes import dynamic_inputs
from .places import Place, Places

MOST = 5000
"""Issues of a report up to which each line of code has its own: as many as GitHub's code scanning shows."""
LISTED = 100
"""Operators of an issue that are named: as many locations as GitHub's code scanning keeps."""
REASONS = 3
_RANK = {"error": 0, "warning": 1, "note": 2}


@dataclass
class Issue:
    """One cause in one model on one target. Strings are inert, except of paths.

    Attributes:
        model: the model's path as it was given.
        count: operators that it concerns; ``operators`` are the first ``LISTED`` of them.
        messages: what was found, with how often.
        prints: fingerprints of the findings of ``operators``.
        fix: the command that repairs it, or what else to do; empty where nothing is known.
        ignored: why it may stay; empty for one that counts.
        home: the place of the model.
    """

    model: str
    target: str
    code: str
    rule: str
    severity: str
    place: Place
    evidence: str = ""
    source: str = ""
    count: int = 0
    operators: list[Mapping[str, Any]] = field(default_factory=list)
    messages: dict[str, int] = field(default_factory=dict)
    prints: list[str] = field(default_factory=list)
    fix: str = ""
    fingerprint: str = ""
    ignored: str = ""
    home: Place = field(default=Place(""))

    @property
    def message(self) -> str:
        """What was found, how often, and what to do, on one line."""
        ranked = sorted(self.messages.items(), key=lambda item: -item[1])
        reasons = [text if times == 1 else f"{text} (x{times})" for text, times in ranked[:REASONS]]
        if len(ranked) > REASONS:
            reasons.append(f"and {counted(len(ranked) - REASONS, 'more reason')}")
        fix = f" Fix: {self.fix}" if self.fix else ""
        return f"{self.target}: {counted(self.count, 'operator')}: {'; '.join(reasons)}.{fix}"

    @property
    def title(self) -> str:
        """Code, rule and target in few words."""
        return f"{self.code} {self.rule} on {self.target}"


def issues(
    document: Mapping[str, Any], places: Places | None = None, *, ignored: bool = False
) -> list[Issue]:
    """Every issue of a report, the worst first; models that cannot be read are not among them, and those that
    may stay only where ``ignored`` asks for them.
    """
    at = places or Places()
    found: list[Issue] = []
    for by_line in (True, False):
        found = [issue for model in document["models"] for issue in _of_model(model, at, by_line=by_line)]
        found = [issue for issue in found if ignored or not issue.ignored]
        if len(found) <= MOST:
            break
    return sorted(found, key=lambda issue: (_RANK[issue.severity], -issue.count))


def unreadable(document: Mapping[str, Any], places: Places) -> list[tuple[str, Place, str]]:
    """Path, place and message of the models that cannot be read, and of those not checked for a target."""
    found = [(model, model["error"]["message"]) for model in document["models"] if "error" in model]
    found += [
        (model, f"not checked for {item['target']}: {item['reason']}")
        for model in document["models"]
        for item in model.get("skipped", ())
        if "kind" in item
    ]
    return [(model["path"], places.home(model), line(message)) for model, message in found]


def _of_model(model: Mapping[str, Any], places: Places, *, by_line: bool) -> Iterator[Issue]:
    for target in model.get("targets", ()):
        yield from _of_target(model, target, places, by_line=by_line)


def _of_target(
    model: Mapping[str, Any], target: Mapping[str, Any], places: Places, *, by_line: bool
) -> Iterator[Issue]:
    home = places.home(model)
    blamed = {finding["operator"] for finding in target["findings"]}
    ops = {op["id"]: op for op in target["operators"] if op["id"] in blamed}
    found: dict[tuple[str, str, Place, str], Issue] = {}
    for finding in target["findings"]:
        op = ops.get(finding["operator"]) or {"id": finding["operator"], "name": "", "type": ""}
        place = (places.code(op.get("code")) if by_line else None) or home
        key = (finding["code"], finding["rule"], place, finding.get("ignored", ""))
        issue = found.get(key)
        if issue is None:
            issue = found[key] = Issue(
                model["path"],
                line(target["target"]),
                finding["code"],
                line(finding["rule"]),
                finding["severity"],
                place,
                finding["evidence"],
                line(finding["source"]),
                home=home,
            )
            issue.fix = _fix(model, target, finding)
            issue.ignored = line(finding.get("ignored", ""))
        _count(issue, op, finding)
    same: Counter[str] = Counter()
    for issue in sorted(found.values(), key=lambda issue: (issue.ignored != "", issue.place.line)):
        base = _fingerprint(issue, model["path"] if "exported" in model else home.path, places)
        issue.fingerprint = fingerprint(base, str(same[base])) if same[base] else base
        same[base] += 1
        yield issue


def _count(issue: Issue, op: Mapping[str, Any], finding: Mapping[str, Any]) -> None:
    message = line(finding["message"])
    issue.messages[message] = issue.messages.get(message, 0) + 1
    if issue.operators and issue.operators[-1]["id"] == op["id"]:
        return
    issue.count += 1
    if len(issue.operators) < LISTED:
        issue.operators.append(
            {**op, "name": line(op["name"]), "type": line(op["type"]), "id": line(op["id"])}
        )
        issue.prints.append(finding["fingerprint"])


def _fix(model: Mapping[str, Any], target: Mapping[str, Any], finding: Mapping[str, Any]) -> str:
    told = target.get("commands", {})
    if finding["code"] == "ACL101" and dynamic_inputs(model):
        return line(told.get("freeze") or target.get("advice", ""))
    if not finding["fix"]:
        return ""
    return line(told.get("fix" if finding["fix_level"] == "safe" else "fix_unsafe", ""))


def _fingerprint(issue: Issue, model: str, places: Places) -> str:
    """Of what the rule limits in which model on which target; of an issue at a line of code also of what that
    line says. Numbers of lines, operators and counts leave no mark; lines that say the same are counted.
    """
    words = [model, issue.target, first_name(issue.target, issue.rule)]
    if issue.place != issue.home:
        words += [issue.place.path, places.text(issue.place)]
    return fingerprint(*words)


def fingerprint(*words: str) -> str:
    """A name for what the words say."""
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:16]
