"""Two models timed against each other in one run: a ratio survives a busy machine better than two times
do.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import RuntimeFailure
from ..runtimes.answers import Latency, Request

if TYPE_CHECKING:
    from pathlib import Path

    from ..runtimes.session import Session


@dataclass(frozen=True, slots=True)
class Comparison:
    """Latencies of both models, one per round, and the median over rounds of first / second (2.0: the second
    is twice as fast).
    """

    first: tuple[Latency, ...]
    second: tuple[Latency, ...]
    ratio: float
    low: float
    high: float


def compare(
    session: Session,
    first: tuple[Path, Path | None],
    second: tuple[Path, Path | None],
    *,
    rounds: int = 5,
    runs: int = 10,
) -> Comparison:
    """Time two models by turns on one worker.

    Args:
        session: the runtime; both models run on the same threads.
        first, second: a model and its inputs (None: small random ones).
        rounds: turns; the median over them is the result, the lowest and highest tell how far to trust it.
        runs: timed inferences of each turn, after the warm-up.

    Raises RuntimeFailure when one of them does not run.
    """
    times: tuple[list[Latency], list[Latency]] = ([], [])
    for _ in range(rounds):
        for kept, (model, inputs) in zip(times, (first, second), strict=True):
            kept.append(_timed(session, model, inputs, runs))
    ratios = [one.median / other.median for one, other in zip(*times, strict=True)]
    return Comparison(tuple(times[0]), tuple(times[1]), statistics.median(ratios), min(ratios), max(ratios))


def _timed(session: Session, model: Path, inputs: Path | None, runs: int) -> Latency:
    answer = session.ask(Request(model, inputs, placement=False, latency_runs=runs))
    if answer.latency is None:
        raise RuntimeFailure(f"{session.name} could not time {model}: {answer.status}: {answer.reason}")
    return answer.latency
