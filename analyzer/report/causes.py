"""Findings grouped by cause: a root cause is shown once, not once for each operator it stops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_RANK = {"error": 0, "warning": 1, "note": 2}
SHOWN = 3


@dataclass
class Cause:
    """One rule that findings of a model share."""

    code: str
    rule: str
    severity: str
    operators: list[Mapping[str, Any]] = field(default_factory=list)
    """Each once, in the order of their findings."""
    prints: list[str] = field(default_factory=list)
    """The fingerprint of each operator's first finding."""
    messages: dict[str, int] = field(default_factory=dict)
    fix: str | None = None
    safe: bool = False
    """Whether the rewrite is applied without being asked for."""
    source: str = ""
    evidence: str = ""


def causes(target: Mapping[str, Any]) -> list[Cause]:
    """The causes in a target's findings, the worst first: by severity, then by the number of operators."""
    by_id = {op["id"]: op for op in target["operators"]}
    found: dict[tuple[str, str], Cause] = {}
    met: set[tuple[str, str, str]] = set()
    for finding in target["findings"]:
        if finding.get("ignored"):
            continue
        key = (finding["code"], finding["rule"])
        cause = found.setdefault(
            key, Cause(*key, finding["severity"], source=finding["source"], evidence=finding["evidence"])
        )
        if finding["fix"] and (cause.fix is None or (not cause.safe and finding["fix_level"] == "safe")):
            cause.fix, cause.safe = finding["fix"], finding["fix_level"] == "safe"
        message = finding["message"]
        cause.messages[message] = cause.messages.get(message, 0) + 1
        op = by_id.get(finding["operator"], {"id": finding["operator"], "name": "", "type": ""})
        if (*key, op["id"]) not in met:
            met.add((*key, op["id"]))
            cause.operators.append(op)
            cause.prints.append(finding["fingerprint"])
    return sorted(
        found.values(), key=lambda cause: (_RANK[cause.severity], -len(cause.operators), cause.code)
    )


def ignored(target: Mapping[str, Any]) -> dict[str, int]:
    """How many findings may stay, by the reason."""
    found: dict[str, int] = {}
    for finding in target["findings"]:
        if why := finding.get("ignored"):
            found[why] = found.get(why, 0) + 1
    return found


def remedy(target: Mapping[str, Any], cause: Cause, *, rooted: bool) -> tuple[str, str]:
    """The command that follows a cause, or the advice where none can be printed; ``rooted``: dynamic inputs
    are behind it.
    """
    told = target.get("commands", {})
    if rooted:
        command = told.get("freeze", "")
        return command, "" if command else target.get("advice", "")
    if cause.fix is None:
        return "", ""
    return told.get("fix" if cause.safe else "fix_unsafe", ""), ""


def dynamic_inputs(model: Mapping[str, Any]) -> list[str]:
    """The graph inputs whose shapes are dynamic, as ``name[batch,3,224,224]``: the root of dynamic
    shapes.
    """
    return [
        f"{item['name']}[{','.join('?' if dim is None else str(dim) for dim in item['shape'] or ())}]"
        for item in model["inputs"]
        if item["shape"] is None or any(not isinstance(dim, int) for dim in item["shape"])
    ]
