"""What ``accelint recommend`` says: one document, and the same in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..inert import line as clean
from .decided import CHOICES

SCHEMA = "accelint/recommend/1"


def document(
    model: Mapping[str, Any],
    choice: str | None,
    why: str,
    targets: Sequence[Mapping[str, Any]],
    skipped: Sequence[Mapping[str, str]],
    version: str,
) -> dict[str, Any]:
    """The ranking as JSON."""
    return {
        "schema": SCHEMA,
        "tool": {"name": "accelint", "version": version},
        **model,
        "recommended": choice,
        "why": why,
        "targets": list(targets),
        "skipped": list(skipped),
    }


def text(table: Mapping[str, Any], *, brief: bool = False) -> str:
    """The ranking in words; ``brief``: the answer alone."""
    return "".join(f"{line}\n" for line in _lines(table, brief))


def _lines(table: Mapping[str, Any], brief: bool) -> Iterator[str]:
    choice = table["recommended"]
    answer = clean(table["why"]) if choice is None else f"{choice}: {clean(table['why'])}"
    yield f"{clean(table['path'])}: {answer}"
    for number, item in enumerate([] if brief else table["targets"], 1):
        devices = f" for {clean(', '.join(item['devices']))}" if _named(item) else ""
        worth = CHOICES[item["worth"]["choice"]]
        yield f"{number}. {item['target']}{devices}  {item['result']['verdict']}, {worth}"
        yield f"   {item['runtime']} {_span(item)}"
        yield from (f"   {clean(reason)}" for reason in item["reasons"])
    if not brief and table["targets"]:
        bases = dict.fromkeys(item["worth"]["constants"]["basis"] for item in table["targets"])
        yield "times are estimates; their constants:"
        yield from (f"   {clean(basis)}" for basis in bases)


def _named(item: Mapping[str, Any]) -> bool:
    return bool(set(item["devices"]) - {item["target"], "all"})


def _span(item: Mapping[str, Any]) -> str:
    same = item["since"] == item["release"]
    return str(item["release"]) if same else f"{item['since']} to {item['release']}"
