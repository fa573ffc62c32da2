"""Which nodes of a TensorFlow model become Select TF ops: those that the builtin operators do not have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ...rules.pack import Chosen
from ...rules.verdict import Verdict
from ..words import counted
from .coverage import Finding, OperatorVerdict

_KNOWN_NOT = (Verdict.REJECTED, Verdict.FALLBACK)


def notes(
    operators: Iterable[OperatorVerdict],
    builtins: Mapping[str, OperatorVerdict],
    reasons: Iterable[Finding],
    chosen: Chosen,
) -> Iterator[Finding]:
    """A note for every node that is convertible only as a Select TF op.

    ``builtins``: what becomes of the operators with builtins alone, each by itself; ``reasons``: the findings
    that say why.
    """
    why = {finding.operator: finding for finding in reasons if finding.severity != "note"}
    for op in operators:
        alone = builtins.get(op.id)
        if op.verdict is Verdict.ACCELERATED and alone is not None and alone.verdict in _KNOWN_NOT:
            yield _note(op, why.get(op.id), chosen)


def summary(count: int) -> str:
    """What it means for an application."""
    becomes = counted(count, "node becomes a Select TF op", "nodes become Select TF ops")
    return f"{becomes} (Flex): an application that runs the model links the Flex delegate"


def _note(op: OperatorVerdict, why: Finding | None, chosen: Chosen) -> Finding:
    return Finding(
        code="ACL802",
        rule="select-tf-op",
        severity="note",
        operator=op.id,
        message=f"{op.type} becomes Flex{op.type}" + (f": {why.message}" if why else ""),
        evidence=why.evidence if why else "source",
        source=why.source if why else chosen.pack.title,
        effect="note",
    )
