"""Whether a stored report has the shape that comparing it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...rules.verdict import OF_MODELS

_FINDING = {"code": str, "rule": str, "severity": str, "message": str, "fingerprint": str}
_TARGET = {
    "target": str,
    "runtime": str,
    "verdict": str,
    "coverage": dict,
    "partitions": list,
    "operators": list,
    "findings": list,
}


def problem(document: Mapping[str, Any]) -> str:
    """The first thing that is not as a report has it; empty for a good one."""
    models = document.get("models")
    tool = document.get("tool")
    if not isinstance(models, list) or not isinstance(tool, dict) or not isinstance(tool.get("version"), str):
        return "it has no list of models, or no tool"
    for index, model in enumerate(models):
        if why := _model(model):
            return f"models[{index}]: {why}"
    return ""


def _model(model: Any) -> str:
    if not isinstance(model, dict) or not isinstance(model.get("path"), str):
        return "it has no path"
    if "error" in model:
        return ""
    for side in ("inputs", "outputs"):
        rows = model.get(side)
        if not isinstance(rows, list) or not all(_has(row, {"name": str, "dtype": str}) for row in rows):
            return f"its {side} are no list of names and dtypes"
        if not all("shape" in row for row in rows):
            return f"one of its {side} has no shape"
    targets = model.get("targets")
    if not isinstance(targets, list):
        return "it has no list of targets"
    return next((why for target in targets if (why := _target(target))), "")


def _target(target: Any) -> str:
    if not _has(target, _TARGET):
        return "a target lacks one of " + ", ".join(_TARGET)
    shares = target["coverage"]
    macs = shares.get("macs")
    if target["verdict"] not in OF_MODELS or not _is_share(shares.get("operators")):
        return f"{target['target']}: its verdict or coverage is none"
    if "macs" not in shares or not (macs is None or _is_share(macs)):
        return f"{target['target']}: its coverage by MACs is none"
    if not all(_has(row, _FINDING) for row in target["findings"]):
        return f"{target['target']}: a finding lacks one of {', '.join(_FINDING)}"
    if not all(map(_partition, target["partitions"])):
        return f"{target['target']}: a partition has no bytes"
    return ""


def _is_share(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and 0 <= value <= 1


def _partition(row: Any) -> bool:
    return isinstance(row, dict) and all(
        key in row and (row[key] is None or type(row[key]) is int) for key in ("bytes_in", "bytes_out")
    )


def _has(row: Any, keys: Mapping[str, type]) -> bool:
    return isinstance(row, dict) and all(isinstance(row.get(key), kind) for key, kind in keys.items())
