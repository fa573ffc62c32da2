"""What was found out for a decision, in words: what to fix first, whether it is worth it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..inert import line as clean
from ..words import counted, percent, size
from .purposes import purpose_of


def decided(target: Mapping[str, Any]) -> Iterator[str]:
    """Lines for people; those that begin with spaces belong to the one before."""
    yield from _fix_first(target)
    yield from _worth(target)
    for saved in target.get("saved", ()):
        where = clean(saved["issue"] or "") or "no small model shows it"
        yield f"saved {saved['code']} {clean(saved['rule'])}: {where}"


CHOICES = {
    "accelerator": "worth it",
    "cpu": "stay on the CPU",
    "close": "no clear gain",
    "unknown": "not estimated",
}
"""What the cost model answers, in words."""


def _worth(target: Mapping[str, Any]) -> Iterator[str]:
    found = target.get("worth")
    if not found:
        return
    times = ""
    if found["cpu_ms"] is not None:
        times = f" ({_span(found['accelerator_ms'])} against {_span(found['cpu_ms'])})"
    yield f"is it worth it: {CHOICES[found['choice']]}: {clean(found['why'])}{times}"
    if times:
        parts = ", ".join(f"{name} {_span(value)}" for name, value in found["parts_ms"].items())
        yield f"  estimated: {parts}"
        yield f"  constants: {clean(found['constants']['basis'])}"


def _span(ms: float) -> str:
    """A time for people: ``0.75 ms``, ``4.4 µs``, ``under 0.1 µs``."""
    if ms == 0 or ms >= 0.1:
        return f"{ms:.3g} ms"
    return f"{ms * 1000:.2g} µs" if ms >= 1e-4 else "under 0.1 µs"


def _fix_first(target: Mapping[str, Any]) -> Iterator[str]:
    found = target.get("fix_first", ())
    if found:
        yield "what to fix first, by a check without each:"
    for number, gain in enumerate(found, 1):
        kind = f" {clean(gain['type'])}" if gain.get("type") else ""
        cause = f"{gain['code']} {clean(gain['rule'])}{kind} ({counted(gain['operators'], 'operator')})"
        if gain["alone"] is None:
            yield f"  {cause}: not a rule of the target that could be left out"
            continue
        alone = "no change by itself" if _same(target, gain["alone"]) else _result(target, gain["alone"])
        more = "" if number == 1 else f"; with those above: {_result(target, gain['together'])}"
        yield f"  {number}. {cause}: {alone}{more}"


def _same(target: Mapping[str, Any], result: Mapping[str, Any]) -> bool:
    now = (target["verdict"], target["accelerated"], target["unknown"], len(target["partitions"]))
    return now == tuple(result[key] for key in ("verdict", "accelerated", "unknown", "partitions"))


def _result(target: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    purpose = purpose_of(target)
    verdict = purpose.of_model(result["verdict"])
    if result["verdict"] == "rejected" or not purpose.partitions:
        return verdict
    share, macs = result["coverage"]["operators"], result["coverage"]["macs"]
    parts = [f"{verdict}, {percent(share)} of operators"]
    parts += [] if macs is None else [f"{percent(macs)} of MACs"]
    parts += [f"{counted(result['unknown'], 'operator')} unknown"] if result["unknown"] else []
    moved = result["boundary_bytes"]
    parts += [counted(result["partitions"], "partition")]
    parts += [] if moved is None else [f"{size(moved)} across the boundary"]
    return ", ".join(parts)
