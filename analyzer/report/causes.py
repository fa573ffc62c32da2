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
    messages: dict[str, int] = field(default_factory=dict)
    fix: str | None = None
    source: str = ""
    evidence: str = ""


def causes(target: Mapping[str, Any]) -> list[Cause]:
    """The causes in a target's findings, the worst first: by severity, then by the number of operators."""
    by_id = {op["id"]: op for op in target["operators"]}
    found: dict[tuple[str, str], Cause] = {}
    for finding in target["findings"]:
        key = (finding["code"], finding["rule"])
        cause = found.setdefault(key, Cause(*key, finding["severity"], source=finding["source"], evidence=finding["evidence"]))
        cause.fix = cause.fix or finding["fix"]
        message = finding["message"]
        cause.messages[message] = cause.messages.get(message, 0) + 1
        op = by_id.get(finding["operator"], {"id": finding["operator"], "name": "", "type": ""})
        if not cause.operators or cause.operators[-1]["id"] != op["id"]:
            cause.operators.append(op)
    return sorted(found.values(), key=lambda cause: (_RANK[cause.severity], -len(cause.operators), cause.code))


def dynamic_inputs(model: Mapping[str, Any]) -> list[str]:
    """The graph inputs whose shapes are not fixed, as ``name[batch,3,224,224]``: the root of dynamic shapes."""
    return [
        f"{item['name']}[{','.join('?' if dim is None else str(dim) for dim in item['shape'] or ())}]"
        for item in model["inputs"]
        if item["shape"] is None or any(not isinstance(dim, int) for dim in item["shape"])
    ]


def freeze_hint(model: Mapping[str, Any]) -> str:
    """The ``--freeze`` options that would fix every open input dimension, with 1 where the size is a batch."""
    options = []
    for item in model["inputs"]:
        shape = item["shape"]
        if shape and any(not isinstance(dim, int) for dim in shape):
            dims = [str(dim) if isinstance(dim, int) else ("1" if axis == 0 else f"<{dim or axis}>") for axis, dim in enumerate(shape)]
            options.append(f"--freeze {item['name']}={'x'.join(dims)}")
    return " ".join(options)
