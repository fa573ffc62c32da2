"""What the packs say, without a model: the lists behind ``targets``, ``rules`` and ``explain``."""

from __future__ import annotations

from typing import Any

from .aliases import also_called
from .folders import pack_folders
from .outline import Outline
from .renamed import former_names
from .verdict import PURPOSES


def target_rows() -> list[dict[str, Any]]:
    """One row a target and variant; reads of each pack the head and the files that name releases."""
    rows: list[dict[str, Any]] = []
    for target in pack_folders():
        pack = Outline(target)
        head = {
            key: str(pack.head.get(key, ""))
            for key in ("title", "dialect", "runtime", "version", "date", "runs_here")
        }
        head["purpose"] = str(pack.head.get("purpose", PURPOSES[0]))
        names = [f"{target}:{variant}" for variant in pack.variants()] or [target]
        releases = pack.releases()
        rows += [{"target": name, **head, "releases": releases, "names": also_called(name)} for name in names]
    return rows


def rule_rows(target: str | None, code: str | None, operator: str | None) -> list[dict[str, Any]]:
    """One row a rule, filtered."""
    return [
        {
            "target": pack.target,
            "code": rule["id"],
            "name": rule["name"],
            "ops": rule["ops"],
            "effect": rule["effect"],
            "severity": rule["severity"],
            "evidence": rule["evidence"],
            "source": rule["where"],
            "version": rule["version"],
            "message": rule["message"],
            "lifecycle": rule.get("lifecycle", "stable"),
            "formerly": list(former_names(pack.target, rule["name"])),
        }
        for pack in _packs(target)
        for rule in pack.rules()
        if (code is None or rule["id"].startswith(code.upper()))
        and (operator is None or operator in rule["ops"] or "*" in rule["ops"])
    ]


def _packs(target: str | None) -> list[Outline]:
    names = [target.partition("@")[0].partition(":")[0]] if target else list(pack_folders())
    return [Outline(name) for name in names]
