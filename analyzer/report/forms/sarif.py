"""SARIF 2.1.0, as GitHub's code scanning, Azure DevOps and editors read it.

One run, since GitHub takes no file with two runs of one tool. A result is a root cause and names the first
operators that it stops, so that a model of any size stays within what GitHub accepts (25,000 results, 1,000
locations each, 10 MB compressed) and shows (5,000 and 100):
https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...inert import line
from ..issues import Issue, issues, unreadable
from ..places import Place, Places
from ..rulebook import Rule, rules

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_PRECISION = {"measured": "very-high", "source": "high", "documented": "medium", "reported": "low"}
_PROBLEM = {"error": "error", "warning": "warning", "note": "recommendation"}
FINGERPRINTS = ("primaryLocationLineHash", "accelint/v1")
"""GitHub's own name for what it compares, and ours."""
_LONGEST = 4000
"""Characters of a rule's help for one target."""


_PLACEHOLDER = re.compile(r"\{(\d+)\}")
_LINK = re.compile(r"\[(?=[^\[\]]*\]\()")


def chunks(document: dict[str, Any]) -> Iterator[str]:
    """The log file, whole."""
    places = Places()
    found = issues(document, places, ignored=True)
    models = [model for model in document["models"] if "error" not in model]
    declared = rules((line(row["target"]) for model in models for row in model["targets"]), found)
    index = {id: place for place, id in enumerate(declared)}
    run = {
        "tool": {
            "driver": {
                "name": document["tool"]["name"],
                "version": document["tool"]["version"],
                "rules": [_rule(rule) for rule in declared.values()],
            }
        },
        "invocations": [_invocation(document, places)],
        "artifacts": [_artifact(model, places) for model in models],
        "results": [_result(issue, places, index) for issue in found],
        "columnKind": "unicodeCodePoints",
    }
    yield json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, ensure_ascii=False)
    yield "\n"


# ---- rules -----------------------------------------------------------------------------------


def _rule(rule: Rule) -> dict[str, Any]:
    title = rule.about.get("title", rule.code)
    row = {
        "id": rule.id,
        "name": "".join(part.capitalize() for part in rule.name.split("-")),
        "shortDescription": {"text": f"{title} ({rule.name.replace('-', ' ')})"},
        "fullDescription": {"text": rule.about.get("why", title)},
        "help": {"text": _help(rule, "{}"), "markdown": _help(rule, "**{}**")},
        "defaultConfiguration": {"level": rule.severity},
        "properties": {
            "tags": ["accelerator", rule.about.get("name", rule.code)],
            "precision": _PRECISION.get(rule.evidence, "medium"),
            "problem.severity": _PROBLEM[rule.severity],
        },
    }
    if rule.former:
        row["deprecatedIds"] = [f"{rule.code}/{name}" for name in rule.former]
    if rule.uri:
        row["helpUri"] = rule.uri
    return row


def _help(rule: Rule, title: str) -> str:
    """Why, what to change, and what each target says, as plain text that is markdown too."""
    about = rule.about
    lines = [about.get("why", ""), about.get("change", "")]
    lines += [f"{title.format(name)}: {about[key]}" for key, name in _WAYS.items() if about.get(key)]
    for target, table in rule.limits.items():
        ops = ", ".join(table["ops"][:20]) + (", ..." if len(table["ops"]) > 20 else "")
        said = [f"{title.format(target)} ({ops}): {table['reason']}", table.get("advice", "")]
        said.append(f"Source: {table['where']} {table['version']} [{table['evidence']}]")
        lines.append(" ".join(filter(None, said))[:_LONGEST])
    return "\n\n".join(filter(None, lines)) or rule.name


_WAYS = {"pytorch": "PyTorch", "keras": "Keras"}


# ---- the run ---------------------------------------------------------------------------------


def _invocation(document: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """Successful when every model was checked for every target that takes it."""
    failed = unreadable(document, places)
    row: dict[str, Any] = {"executionSuccessful": not failed}
    if failed:
        row["toolExecutionNotifications"] = [
            {
                "level": "error",
                "message": {"text": _plain(message)},
                "locations": [{"physicalLocation": _physical(place)}],
            }
            for _, place, message in failed
        ]
    return row


def _artifact(model: Mapping[str, Any], places: Places) -> dict[str, Any]:
    row: dict[str, Any] = {
        "location": {"uri": places.home(model).uri},
        "roles": ["analysisTarget"],
        "properties": {
            "format": model["format"],
            "operators": model["operators"],
            "targets": {
                line(target["target"]): {
                    "verdict": target["verdict"],
                    "coverage": target["coverage"],
                    "partitions": len(target["partitions"]),
                }
                for target in model["targets"]
            },
        },
    }
    if model["sha256"]:
        row["hashes"] = {"sha-256": model["sha256"]}
    return row


def _result(issue: Issue, places: Places, index: Mapping[str, int]) -> dict[str, Any]:
    home = issue.home
    rule = f"{issue.code}/{issue.rule}"
    row: dict[str, Any] = {
        "ruleId": rule,
        "ruleIndex": index[rule],
        "level": issue.severity,
        "message": {"text": _plain(issue.message)},
        "locations": [
            _location(issue.place, op, mark) for op, mark in zip(issue.operators, issue.prints, strict=True)
        ],
        "partialFingerprints": dict.fromkeys(FINGERPRINTS, issue.fingerprint),
        "properties": {"target": issue.target, "operators": issue.count, "evidence": issue.evidence},
    }
    if issue.ignored:
        row["suppressions"] = [{"kind": "external", "justification": _plain(issue.ignored)}]
    if issue.place != home:
        row["relatedLocations"] = [
            {"id": 1, "physicalLocation": _physical(home), "message": {"text": "the model"}}
        ]
    return row


def _plain(text: str) -> str:
    """Text in which no name reads as a placeholder or an embedded link (SARIF 2.1.0, 3.11.5 and 3.11.6)."""
    return _LINK.sub(r"\\[", _PLACEHOLDER.sub(r"{{\1}}", text))


def _location(place: Place, op: Mapping[str, Any], mark: str) -> dict[str, Any]:
    scope, _, name = str(op["name"]).strip("/").rpartition("/")
    logical = {
        "name": name or op["id"],
        "fullyQualifiedName": op["name"] or op["id"],
        "decoratedName": op["id"],
        "kind": op["type"] or "graph",
        "properties": {"scope": scope, "fingerprint": mark},
    }
    return {"physicalLocation": _physical(place), "logicalLocations": [logical]}


def _physical(place: Place) -> dict[str, Any]:
    return {"artifactLocation": {"uri": place.uri}, "region": {"startLine": place.line}}
