"""A prediction beside what the runtime did: counts, and each contradiction in words."""

from __future__ import annotations

from collections.abc import Iterable

from ...rules.verdict import Verdict
from ..check.coverage import Coverage, OperatorVerdict
from ..runtimes import Answer, Placed
from ..runtimes.answers import MERGED

MOVES = {
    ("accelerator", Verdict.ACCELERATED), ("cpu", Verdict.FALLBACK), ("folded", Verdict.FOLDED),
    ("cpu", Verdict.FOLDED), ("folded", Verdict.FALLBACK),
}  # fmt: skip
"""Device and verdict that agree. A constant operator that the host computes once is folded by either name."""


def compare_placement(coverage: Coverage, answer: Answer) -> tuple[dict[str, int], tuple[str, ...]]:
    """Counts of predicted against actual, and each contradiction in words."""
    if answer.status != "ok":
        return _compare_failure(coverage, answer)
    placed = {item.id: item for item in answer.placement}
    agreement: dict[str, int] = {}
    wrong: list[str] = []
    for op in coverage.operators:
        actual = placed.get(op.id)
        key = f"predicted_{op.verdict}_{_ran(actual)}"
        agreement[key] = agreement.get(key, 0) + 1
        if actual is not None and contradicts(op.verdict, device_of(op.verdict, actual)):
            wrong.append(_contradiction(op, actual))
    predicted = comparable_partitions(coverage, placed)
    if answer.partitions is not None and answer.partitions != predicted:
        agreement["partitions_predicted"], agreement["partitions_actual"] = predicted, answer.partitions
        wrong.append(f"{_partitions(predicted)} predicted and the runtime made {answer.partitions}")
    return agreement, tuple(wrong)


def comparable_partitions(coverage: Coverage, ids: Iterable[str]) -> int:
    """Predicted partitions of the graphs whose placement the runtime told; some runtimes are silent about
    bodies.
    """
    predicted = {id.rpartition("/")[0] for id in ids}
    return sum(
        1
        for partition in coverage.partitions
        if not predicted or partition.operators[0].rpartition("/")[0] in predicted
    )


def _partitions(count: int) -> str:
    return f"{count} partition{' was' if count == 1 else 's were'}"


def device_of(verdict: Verdict, actual: Placed) -> str:
    """Where an operator ran. One that an optimization took away is gone, whether it is called folded or
    merged: the runtime lists no such operator, and where the one runs that stands for it says nothing.
    """
    gone = verdict is Verdict.FOLDED and actual.reason.startswith(MERGED)
    return "folded" if gone else actual.device


def contradicts(verdict: Verdict, device: str) -> bool:
    """Whether what the runtime told rules the prediction out; an unknown prediction or device contradicts
    nothing.
    """
    if verdict is Verdict.UNKNOWN or device in ("unmapped", "unknown"):
        return False
    return (device, verdict) not in MOVES


def _ran(actual: Placed | None) -> str:
    if actual is None or actual.device in ("unmapped", "unknown"):
        return "not_told"
    return "ran_accelerated" if actual.device == "accelerator" else "ran_elsewhere"


def _contradiction(op: OperatorVerdict, actual: Placed) -> str:
    reason = f": {actual.reason}" if actual.reason else ""
    where = {"cpu": "ran on the CPU", "folded": "was computed when the model was loaded"}.get(
        actual.device, f"ran on the {actual.device}"
    )
    return f"{op.id} {op.type} {op.name!r} was predicted {op.verdict} and {where}{reason}"


def _compare_failure(coverage: Coverage, answer: Answer) -> tuple[dict[str, int], tuple[str, ...]]:
    agreement: dict[str, int] = {}
    if answer.status == "killed":  # somebody ended the worker: the runtime has said nothing
        return agreement, ()
    for op in coverage.operators:
        key = f"predicted_{op.verdict}_ran_nowhere"
        agreement[key] = agreement.get(key, 0) + 1
    if coverage.verdict == "rejected":
        return agreement, ()
    return agreement, (
        f"the model was predicted {coverage.verdict} and the runtime {answer.status}: "
        f"{answer.reason or answer.signal or ''}".rstrip(": "),
    )
