"""Findings grouped by cause: a root cause is shown once, not once for each operator it stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        cause = found.setdefault(
            key, Cause(*key, finding["severity"], source=finding["source"], evidence=finding["evidence"])
        )
        cause.fix = cause.fix or finding["fix"]
        message = finding["message"]
        cause.messages[message] = cause.messages.get(message, 0) + 1
        op = by_id.get(finding["operator"], {"id": finding["operator"], "name": "", "type": ""})
        if not cause.operators or cause.operators[-1]["id"] != op["id"]:
            cause.operators.append(op)
    return sorted(
        found.values(), key=lambda cause: (_RANK[cause.severity], -len(cause.operators), cause.code)
    )


def dynamic_inputs(model: Mapping[str, Any]) -> list[str]:
    """The graph inputs whose shapes are not fixed, as ``name[batch,3,224,224]``: the root of dynamic
    shapes.
    """
    return [
        f"{item['name']}[{','.join('?' if dim is None else str(dim) for dim in item['shape'] or ())}]"
        for item in model["inputs"]
        if item["shape"] is None or any(not isinstance(dim, int) for dim in item["shape"])
    ]


def freeze_hint(model: Mapping[str, Any], target: Mapping[str, Any]) -> str:
    """How to fix every open input dimension: ``accelint fix --freeze`` where the format can be edited, else
    where it is exported.
    """
    named = [(item["name"], item["shape"]) for item in model["inputs"]]
    opened = [
        (name, shape) for name, shape in named if shape and any(not isinstance(dim, int) for dim in shape)
    ]
    if model["dialect"] in ("onnx", "tflite"):
        options = " ".join(f"--freeze {name}={_sizes(shape)}" for name, shape in opened)
        return f"accelint fix {model['path']} --target {target['target']} {options} -o OUT"
    if model["dialect"] == "tf" and all(
        all(isinstance(dim, int) for dim in shape[1:]) for _, shape in opened
    ):
        to = "mlpackage" if target["target"].startswith("coreml/") else "tflite"
        return f"accelint convert {model['path']} --to {to} --batch 1 -o OUT"
    return "export the model with fixed sizes"


def _sizes(shape: Sequence[Any]) -> str:
    """With 1 where the size is a batch."""
    return "x".join(
        str(dim) if isinstance(dim, int) else ("1" if axis == 0 else f"<{dim or axis}>")
        for axis, dim in enumerate(shape)
    )
