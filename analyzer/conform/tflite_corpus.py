"""The generated TFLite corpus: every builtin operator, with values on both sides of the limits that runtimes have.

Nothing is stored: a case builds its model when asked, and the same seed gives the same cases everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from . import tflite_arrange, tflite_chains, tflite_elementwise, tflite_spatial, tflite_stateful  # noqa: F401
from .tflite_family import FAMILIES, Case
from .tflite_net import seeded

__all__ = ["Case", "cases", "operators"]


tflite_stateful.complete()


def operators() -> tuple[str, ...]:
    """The operators that the corpus has cases for."""
    return tuple(dict.fromkeys(family.op for family in FAMILIES))


def cases(seed: int = 0, ops: Sequence[str] | None = None, limit: int | None = None) -> Iterator[Case]:
    """The cases of these operators (all, unless told), in a fixed order; with a limit, an even sample of that many."""
    chosen = [family for family in FAMILIES if ops is None or family.op in ops]
    if limit is None:
        for family in chosen:
            yield from family.cases(seed)
        return
    everything = [case for family in chosen for case in family.cases(seed)]
    picks = sorted(seeded(seed, "sample").sample(range(len(everything)), min(limit, len(everything))))
    yield from islice((everything[index] for index in picks), limit)
