"""Figures of targets that a converter answers for, in the JSON files that ``conform.py`` makes its summary
from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

OUT = Path(__file__).parents[2] / "docs" / "conformance"


def figures(
    confusion: Mapping[str, Mapping[str, int]], invalid: int = 0, unmapped: int = 0, **parts: Any
) -> dict[str, Any]:
    """Rates from counts of predicted verdicts by what the converter did (``accelerated`` or ``rejected``);
    each call is a model.

    ``parts`` replace what is counted otherwise, of whole models.
    """
    total = sum(sum(did.values()) for did in confusion.values())
    did = {
        kind: sum(counts.get(kind, 0) for counts in confusion.values())
        for kind in ("accelerated", "rejected")
    }
    right = sum(confusion.get(kind, {}).get(kind, 0) for kind in did)
    rejected = confusion.get("rejected", {})
    return {
        "models": {"ok": did["accelerated"], "refused": did["rejected"], "invalid": invalid},
        "operators": total,
        "unmapped": unmapped,
        "agreement": right / total,
        "false_accelerated": confusion.get("accelerated", {}).get("rejected", 0) / total,
        "unknown": sum(confusion.get("unknown", {}).values()) / total,
        "confusion": {verdict: dict(counts) for verdict, counts in confusion.items()},
        "refusals": {
            "refused": did["rejected"],
            "refused_predicted": rejected.get("rejected", 0),
            "loaded": did["accelerated"],
            "false_alarms": rejected.get("accelerated", 0),
        },
        "partitions": {"told": 0, "right": 0},
        **parts,
    }


def save(target: str, corpus: str, run: dict[str, Any], command: str, package: str = "tensorflow") -> None:
    """Put one corpus's figures into the target's file, beside those of the others."""
    file = OUT / (target.partition(":")[0].replace("/", "_").replace("-", "_") + ".json")
    told = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    corpora = {**told.get("corpora", {}), corpus: {"command": command, **run}}
    date = datetime.now(UTC).date().isoformat()
    told = {
        "target": target,
        "runtime": f"{package} {version(package)}",
        "date": date,
        "corpora": dict(sorted(corpora.items())),
    }
    file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
