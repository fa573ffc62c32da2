"""Whether an accelerator is worth it: a simple model of time, and the answer that the CPU is as good.

A partition costs a fixed overhead, its MACs over the accelerator's rate and the bytes across its boundary
over a bandwidth; what falls back costs its MACs over the CPU's rate. Operators without MACs cost nothing on
either side, so that a model without any is not estimated. The constants are assumptions of ``costs.toml``,
the user's own, or calibrated by a measurement; they are named wherever a time is.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...rules.verdict import Verdict

if TYPE_CHECKING:
    from ..check.coverage import Coverage

CLOSE = 1.2
"""Times that differ by less than this factor are not told apart: the model is that rough."""
NAMES = ("rate", "bandwidth", "overhead", "cpu_rate")
KEYS = {name: name.replace("_", "-") for name in NAMES}
"""How a configuration calls them, in ``[costs."TARGET"]``."""
GIGA, MICRO = 1e9, 1e-6

ACCELERATOR, CPU, EQUAL, UNKNOWN = "accelerator", "cpu", "close", "unknown"
"""The answers."""


@dataclass(frozen=True, slots=True)
class Constants:
    """What a target's time is made of.

    Attributes:
        rate, cpu_rate: 10^9 MACs a second on the accelerator and on the CPU.
        bandwidth: 10^9 bytes a second across the boundary of a partition.
        overhead: microseconds that one run of a partition costs before it computes.
        basis: where they come from.
    """

    rate: float
    bandwidth: float
    overhead: float
    cpu_rate: float
    basis: str

    def to_json(self) -> dict[str, Any]:
        """For a report."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The answer for one target.

    Attributes:
        choice: ``accelerator``, ``cpu``, ``close`` or ``unknown``.
        why: in words.
        accelerated, cpu: milliseconds with the accelerator and on the CPU alone; None where not known.
        parts: milliseconds by what takes them.
        constants: what it was worked out with.
    """

    choice: str
    why: str
    accelerated: float | None
    cpu: float | None
    parts: Mapping[str, float]
    constants: Constants

    def to_json(self) -> dict[str, Any]:
        """For a report."""
        return {
            "choice": self.choice,
            "why": self.why,
            "accelerator_ms": self.accelerated,
            "cpu_ms": self.cpu,
            "parts_ms": dict(self.parts),
            "constants": self.constants.to_json(),
        }


@cache
def _table() -> tuple[tuple[tuple[str, ...], Constants], ...]:
    table = tomllib.loads(Path(__file__).with_name("costs.toml").read_text(encoding="utf-8"))
    return tuple(
        (
            tuple(entry["targets"]),
            Constants(
                float(entry["rate"]),
                float(entry["bandwidth"]),
                float(entry["overhead"]),
                float(entry["cpu_rate"]),
                entry["basis"],
            ),
        )
        for entry in table["cost"]
    )


def constants_of(target: str, own: Mapping[str, Mapping[str, Any]] | None = None) -> Constants:
    """The constants of a target; ``own`` are the user's by pattern, the later over the earlier, and need not
    name all.
    """
    found = next(item for patterns, item in _table() if any(_means(target, name) for name in patterns))
    for pattern, values in (own or {}).items():
        if not _means(target, pattern):
            continue
        numbers = {name: float(values[key]) for name, key in KEYS.items() if key in values}
        rest = "" if len(numbers) == len(NAMES) else f"; the others: {found.basis}"
        told = f"{', '.join(numbers)}: {values.get('basis', 'the configuration')}{rest}"
        found = replace(found, **numbers, basis=told)
    return found


def _means(target: str, pattern: str) -> bool:
    return fnmatchcase(target, pattern) or fnmatchcase(target.partition(":")[0], pattern)


def estimate(coverage: Coverage, constants: Constants) -> Estimate:
    """Whether to use the accelerator for a model; ``unknown`` where a size is not known, or nothing that is
    counted is computed.
    """

    def answer(choice: str, why: str) -> Estimate:
        return Estimate(choice, why, None, None, {}, constants)

    if coverage.purpose != "accelerates":
        return answer(UNKNOWN, f"{coverage.target} is no accelerator")
    if coverage.verdict == "rejected":
        return answer(CPU, "the model is rejected")
    if not coverage.partitions:
        unknown = coverage.count(Verdict.UNKNOWN)
        if unknown:
            return answer(UNKNOWN, f"nothing is known of {unknown} operators, and no other is accelerated")
        return answer(CPU, "nothing is accelerated")
    macs = [op.macs for op in coverage.operators]
    inside = [part.macs for part in coverage.partitions]
    if None in macs or None in inside or coverage.boundary_bytes is None:
        return answer(UNKNOWN, "a size is not known: freeze dynamic shapes, or assume them (--assume)")
    total = sum(count or 0 for count in macs)
    fast = min(total, sum(count or 0 for count in inside))
    if not total:
        return answer(
            UNKNOWN, "no operator of the model has multiply-accumulates, which is all that is counted"
        )
    times = time_of(total, fast, len(coverage.partitions), coverage.boundary_bytes, constants)
    return _compared(times, total / (constants.cpu_rate * GIGA), constants)


def time_of(total: int, fast: int, partitions: int, moved: int, by: Constants) -> dict[str, float]:
    """Seconds by what takes them: MACs in all and in partitions, partitions, bytes across boundaries."""
    return {
        "partitions": fast / (by.rate * GIGA),
        "boundary": moved / (by.bandwidth * GIGA),
        "overhead": partitions * by.overhead * MICRO,
        "fallback": (total - fast) / (by.cpu_rate * GIGA),
    }


def _compared(times: Mapping[str, float], alone: float, constants: Constants) -> Estimate:
    whole = sum(times.values())
    ratio = alone / whole if whole else float("inf")
    most = max(times, key=lambda name: times[name])
    if ratio >= CLOSE:
        choice, why = ACCELERATOR, f"about {_times(ratio)} times as fast as the CPU alone"
    elif ratio > 1 / CLOSE:
        choice, why = EQUAL, "about as fast as the CPU alone: measure both (accelint verify --latency)"
    else:
        choice = CPU
        why = f"about {_times(1 / ratio)} times as slow as the CPU alone, most of it {_TAKES[most]}"
    parts = {name: value * 1000 for name, value in times.items()}
    return Estimate(choice, why, whole * 1000, alone * 1000, parts, constants)


def _times(ratio: float) -> str:
    """A ratio with the two digits that a model of assumptions can have: ``1.3``, ``30``, ``170,000``."""
    if ratio < 9.95:
        return f"{ratio:.1f}"
    if math.isinf(ratio):
        return "infinitely many"
    digits = math.floor(math.log10(ratio)) - 1
    return f"{round(ratio / 10**digits) * 10**digits:,.0f}"


_TAKES = {
    "partitions": "computing in partitions",
    "boundary": "moving tensors across boundaries",
    "overhead": "starting partitions",
    "fallback": "operators that fall back",
}


def calibrated(coverage: Coverage, constants: Constants, measured: float) -> dict[str, float] | None:
    """The constants, as a configuration calls them, by which the model takes the seconds that were measured
    on a target; None where it has no estimate.

    One time tells one factor: the accelerator's constants stay as far from each other as before. What falls
    back takes what the CPU's rate says, and where that is more than all that was measured, the CPU is scaled
    with the rest. A target that runs everything on the CPU tells the CPU's rate.
    """
    macs = [op.macs for op in coverage.operators]
    total = None if None in macs else sum(count or 0 for count in macs)
    if measured <= 0 or not total:
        return None
    if coverage.purpose == "runs":
        return {KEYS["cpu_rate"]: total / measured / GIGA}
    found = estimate(coverage, constants)
    if not found.parts:
        return None
    times = {name: value / 1000 for name, value in found.parts.items()}
    rest = measured - times["fallback"]
    whole = rest <= 0
    factor = measured / sum(times.values()) if whole else rest / (sum(times.values()) - times["fallback"])
    made = {
        KEYS["rate"]: constants.rate / factor,
        KEYS["bandwidth"]: constants.bandwidth / factor,
        KEYS["overhead"]: constants.overhead * factor,
    }
    return {**made, KEYS["cpu_rate"]: constants.cpu_rate / factor} if whole else made
