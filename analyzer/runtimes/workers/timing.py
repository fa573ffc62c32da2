"""Latency of one inference, measured the same way for every runtime."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from ..answers import Latency

if TYPE_CHECKING:
    from collections.abc import Callable

WARMUP = 3
"""Unmeasured runs first: caches, lazy compilation, clock ramp-up."""


def measure(run: Callable[[], object], runs: int, threads: int) -> Latency | None:
    """Median, lowest and highest wall time in milliseconds; None when ``runs`` is 0."""
    if runs <= 0:
        return None
    for _ in range(WARMUP):
        run()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1000)
    return Latency(statistics.median(times), min(times), max(times), runs, WARMUP, threads)
