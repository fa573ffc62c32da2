"""JUnit XML: a suite for each model and target, a case for the model's verdict and one a root cause.

Cases fail as ``check`` does by default: errors, and a model of which nothing is accelerated. What falls back
passes, and its output says why. What ``verify`` found out has cases of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from ....rules.verdict import NOTHING
from ...words import counted, percent
from ..issues import Issue, issues, unreadable
from ..places import Places
from ..proofs import proofs
from ..purposes import purpose_of


def render(document: dict[str, Any]) -> str:
    """The XML document."""
    root = Element("testsuites", name="accelint")
    places = Places()
    for path, _, message in unreadable(document, places):
        suite = _suite(root, path)
        case = SubElement(suite, "testcase", name="the model is read", classname=path, time="0")
        SubElement(case, "error", message=message, type="unreadable").text = message
    by_place: dict[tuple[str, str], list[Issue]] = {}
    for issue in issues(document, places):
        by_place.setdefault((issue.model, issue.target), []).append(issue)
    for model in document["models"]:
        for target in model.get("targets", ()):
            _target(root, model, target, by_place.get((model["path"], target["target"]), []))
    for suite in root:
        _count(suite)
    _count(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _suite(root: Element, name: str) -> Element:
    return SubElement(root, "testsuite", name=name, time="0")


def _target(root: Element, model: Mapping[str, Any], target: Mapping[str, Any], found: list[Issue]) -> None:
    name = f"{model['path']} on {target['target']}"
    suite = _suite(root, name)
    purpose = purpose_of(target)
    running = sum(target[key] for key in ("accelerated", "fallback", "rejected", "unknown"))
    said = (
        f"{purpose.of_model(target['verdict'], target.get('phase'))}: {target['accelerated']} of "
        f"{counted(running, 'operator')} {purpose.done} "
        f"({percent(target['coverage']['operators'])}), {counted(len(target['partitions']), 'partition')}"
    )
    case = SubElement(suite, "testcase", name="verdict", classname=name, time="0")
    by_design = bool(found) and all(issue.severity == "note" for issue in found)
    if target["verdict"] in NOTHING and not (target["verdict"] == "none" and by_design):
        SubElement(case, "failure", message=said, type=target["verdict"]).text = said
    else:
        SubElement(case, "system-out").text = said
    for proof in proofs(target):
        case = SubElement(suite, "testcase", name=proof.name, classname=name, time="0")
        if proof.holds:
            SubElement(case, "system-out").text = proof.text
        else:
            SubElement(case, "failure", message=proof.text, type=proof.name).text = proof.text
    cases: dict[tuple[str, str], Element] = {}
    for issue in found:
        _cause(suite, name, issue, cases)


def _cause(suite: Element, name: str, issue: Issue, cases: dict[tuple[str, str], Element]) -> None:
    """One case a rule, also where several lines of code are concerned: names of cases are kept over time."""
    text = f"{issue.place.path}:{issue.place.line}: {issue.message}\nat " + "\nat ".join(
        f"{op['id']} {op['name']} ({op['type']})" for op in issue.operators
    )
    key = (issue.code, issue.rule)
    known = cases.get(key)
    if known is not None:
        known.text = f"{known.text}\n{text}"
        return
    case = SubElement(suite, "testcase", name=f"{issue.code} {issue.rule}", classname=name, time="0")
    if issue.severity == "error":
        made = SubElement(case, "failure", message=issue.message, type=issue.code)
    else:
        made = SubElement(case, "system-out")
    made.text = text
    cases[key] = made


def _count(suite: Element) -> None:
    suite.set("tests", str(len(list(suite.iter("testcase")))))
    suite.set("failures", str(len(list(suite.iter("failure")))))
    suite.set("errors", str(len(list(suite.iter("error")))))
