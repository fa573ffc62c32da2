"""Which target to take: every one that takes a model, at its best release, ranked, with reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..check.coverage import Coverage, Entry
from ..flows.releases import of_words, over_releases
from ..words import counted, percent, size
from .cost import ACCELERATOR, CPU, EQUAL, UNKNOWN, Estimate, constants_of, estimate
from .gains import Result

if TYPE_CHECKING:
    from ..check.history import History, Release
    from ..source.export import Exporting

_CHOICES = (ACCELERATOR, EQUAL, UNKNOWN, CPU)
"""The best first: what is not estimated comes before what is known to be slower."""
Costs = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Ranked:
    """One target.

    Attributes:
        target, runtime: what it is.
        devices: the user's words that mean it.
        release: the newest release at which it does best; ``default`` is the one that a check takes.
        since: the oldest release from which on, up to ``release``, it does as well.
        coverage: of that release.
        worth: the cost model's answer.
        reasons: in words.
        releases: every release with what a check says, newest first.
    """

    target: str
    runtime: str
    devices: tuple[str, ...]
    release: str
    default: str
    since: str
    coverage: Coverage
    worth: Estimate
    reasons: tuple[str, ...]
    releases: tuple[tuple[str, Coverage], ...]

    def to_json(self) -> dict[str, Any]:
        """For a report."""
        return {
            "target": self.target,
            "runtime": self.runtime,
            "devices": list(self.devices),
            "release": self.release,
            "default": self.default,
            "since": self.since,
            "result": Result.of(self.coverage).to_json(),
            "worth": self.worth.to_json(),
            "reasons": list(self.reasons),
            "releases": [
                {"release": version, "result": Result.of(coverage).to_json()}
                for version, coverage in self.releases
            ],
        }


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The answer for one model.

    Attributes:
        choice: the target to take; None: stay on the CPU.
        why: in words.
        targets: the best first.
    """

    entry: Entry
    choice: str | None
    why: str
    targets: tuple[Ranked, ...]


def recommend(
    path: Path,
    words: Sequence[str],
    costs: Costs | None = None,
    optimize: str | None = None,
    exporting: Exporting | None = None,
) -> Recommendation:
    """Rank the accelerating targets that a user's words mean, over all releases that there is data for.

    Raises UsageError for a word that means nothing, or names a release.
    """
    packs = of_words(words)
    devices: dict[str, list[str]] = {}
    for word in dict.fromkeys(part.strip() for given in words for part in given.split(",") if part.strip()):
        for item in of_words([word]):
            devices.setdefault(item.target, []).append(word)
    accelerating = [item for item in packs if item.pack.purpose == "accelerates"]
    entry, histories = over_releases(path, accelerating, optimize, exporting)
    found = [_ranked(item, _words_of(item.target, devices), costs or {}) for item in histories]
    targets = tuple(sorted(found, key=_rank))
    choice, why = _choice(targets)
    return Recommendation(entry, choice, why, targets)


def _words_of(target: str, devices: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The words that mean a target, or the one that it is the twin of for another dialect."""
    base, colon, variant = target.partition(":")
    twin = f"{base.rpartition('-')[0]}{colon}{variant}"
    return tuple(devices.get(target) or devices.get(twin) or ())


def _ranked(history: History, devices: tuple[str, ...], costs: Costs) -> Ranked:
    constants = constants_of(history.target, costs)

    def rank(release: Release) -> tuple[Any, ...]:
        return _value(estimate(release.coverage, constants), release.coverage)

    best = min(history.releases, key=rank)  # the newest of equals: it comes first
    since = best.version
    for release in history.releases[history.releases.index(best) :]:
        if rank(release) != rank(best):
            break
        since = release.version
    worth = estimate(best.coverage, constants)
    return Ranked(
        history.target,
        history.pack.runtime,
        devices,
        best.version,
        history.pack.version,
        since,
        best.coverage,
        worth,
        tuple(_reasons(history, best, since, worth)),
        tuple((item.version, item.coverage) for item in history.releases),
    )


def _rank(item: Ranked) -> tuple[Any, ...]:
    return (*_value(item.worth, item.coverage), item.target)


def _value(worth: Estimate, coverage: Coverage) -> tuple[Any, ...]:
    """Smaller is better: the cost model's answer and time, then coverage, partitions and bytes."""
    speed = worth.cpu / worth.accelerated if worth.cpu and worth.accelerated else 0.0
    moved = coverage.boundary_bytes
    return (
        coverage.verdict in ("none", "rejected"),
        _CHOICES.index(worth.choice),
        -speed,
        -(coverage.by_macs or 0.0),
        -coverage.by_operators,
        len(coverage.partitions),
        float("inf") if moved is None else moved,
    )


def _reasons(history: History, best: Release, since: str, worth: Estimate) -> Iterable[str]:
    coverage = best.coverage
    share = f"{percent(coverage.by_operators)} of operators"
    share += "" if coverage.by_macs is None else f" and {percent(coverage.by_macs)} of MACs"
    moved = coverage.boundary_bytes
    across = "" if moved is None else f", {size(moved)} across the boundary"
    yield f"{share} in {counted(len(coverage.partitions), 'partition')}{across}"
    yield worth.why
    blocking = _worst(coverage)
    if blocking:
        yield blocking
    older = history.releases[-1].version
    if since != older:
        yield f"releases before {since} do worse"
    newest = history.releases[0].version
    if best.version != newest:
        yield f"{best.version} does better than {newest}, the newest with data"


def _worst(coverage: Coverage) -> str:
    """The cause of most operators, with one of its messages."""
    found: dict[tuple[str, str], set[str]] = {}
    told: dict[tuple[str, str], str] = {}
    for item in coverage.findings:
        if item.severity != "note":
            found.setdefault((item.code, item.rule), set()).add(item.operator)
            told.setdefault((item.code, item.rule), item.message)
    if not found:
        return ""
    key = max(found, key=lambda name: len(found[name]))
    return f"{counted(len(found[key]), 'operator')}: {key[0]} {key[1]}: {told[key]}"


def _choice(targets: Sequence[Ranked]) -> tuple[str | None, str]:
    """The first that is worth it; where none is estimated, the first that runs all or some."""
    if not targets:
        return None, "no accelerating target takes the model"
    best = targets[0]
    runs = best.coverage.verdict in ("full", "partial")
    if best.worth.choice == ACCELERATOR:
        return best.target, best.worth.why
    if best.worth.choice == EQUAL:
        return None, f"stay on the CPU, or measure: {best.target} is {best.worth.why}"
    if best.worth.choice == UNKNOWN and runs:
        return best.target, f"by coverage alone, since no time is estimated: {best.worth.why}"
    return None, f"stay on the CPU: with the best target, {best.target}, {best.worth.why}"
