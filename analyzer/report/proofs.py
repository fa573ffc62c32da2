"""What ``verify`` found out about a target, as statements that hold or fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHOWN = 5


@dataclass(frozen=True)
class Proof:
    """One statement of ``verify``: ``text`` says what was seen."""

    name: str
    holds: bool
    text: str


def proofs(target: Mapping[str, Any]) -> list[Proof]:
    """Whether the prediction was right, the numbers agree, and the runtime answered at all; nothing of a
    target that was only checked.
    """
    if "agreement" not in target:
        return []
    wrong = list(target.get("contradictions", ()))
    told = "; ".join(wrong[:SHOWN]) + (f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else "")
    found = [Proof("prediction", not wrong, told or "the runtime did nothing else than was predicted")]
    parity = target.get("parity")
    if parity:
        found.append(Proof("parity", parity["ok"] is True, parity["summary"]))
    elif target.get("parity_skipped"):
        found.append(Proof("parity", False, f"not compared: {target['parity_skipped']}"))
    crash = target.get("crash")
    if crash or target.get("runtime_status") == "killed":
        why = f"crashed: {crash.get('signal')}" if crash else str(target.get("runtime_reason"))
        found.append(Proof("runtime", False, f"the runtime gave no answer: {why}"))
    return found
