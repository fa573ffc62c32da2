"""What a target does with a model, in words: only an accelerator accelerates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Purpose:
    """The words for one purpose.

    Attributes:
        done: of an operator with the best verdict.
        operators: verdict of an operator -> what is shown, where that is not the verdict itself.
        models: the same of a model.
        undone: of an operator that keeps the model from it, where one is enough.
        partitions: whether the target divides a model.
    """

    done: str
    undone: str = ""
    operators: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    partitions: bool = False

    def of_operator(self, verdict: str) -> str:
        """An operator's verdict."""
        return self.operators.get(verdict, verdict)

    def of_model(self, verdict: str, phase: str | None = None) -> str:
        """A model's verdict; of a rejected one with the phase in which it fails."""
        if not phase or self.models.get(verdict) == "not convertible":
            return self.models.get(verdict, verdict)
        failed = f"fails to {phase}"
        return failed if verdict in self.models else f"{verdict}: {failed}"


PURPOSES = {
    "accelerates": Purpose("accelerated", partitions=True),
    "converts": Purpose(
        "convertible",
        "not convertible",
        {"accelerated": "convertible", "rejected": "not convertible", "fallback": "not convertible"},
        {"full": "convertible", "partial": "not convertible", "none": "not convertible"}
        | {"rejected": "not convertible"},
    ),
    "runs": Purpose(
        "supported",
        "not supported",
        {"accelerated": "runs", "rejected": "does not run", "fallback": "does not run"},
        {"full": "runs", "partial": "runs in part", "none": "does not run", "rejected": "fails to load"},
    ),
}


def purpose_of(target: Mapping[str, Any]) -> Purpose:
    """The words for a target of the report."""
    return PURPOSES[target.get("purpose", "accelerates")]
