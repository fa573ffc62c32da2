"""A drawing of a target's partitions, of a bounded size, for forms that only differ in how they write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..inert import line
from ..words import counted, size
from .purposes import purpose_of

MOST = 60
"""Boxes of a drawing: beyond, nobody reads one, and Mermaid draws no more than 500 edges."""
_LONGEST = 60
_ENDS = {"input": "inputs", "output": "outputs"}


@dataclass(frozen=True)
class Box:
    """A region of the graph; ``kind`` is a verdict, ``input``, ``output`` or ``more``."""

    id: str
    kind: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Arrow:
    """What flows from one box to another."""

    start: str
    end: str
    label: str


@dataclass(frozen=True)
class Drawing:
    """Boxes and arrows of one model on one target."""

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def drawings(document: Mapping[str, Any]) -> list[Drawing]:
    """One for each model and target whose flow is known."""
    return [
        _drawing(model, target)
        for model in document["models"]
        for target in model.get("targets", ())
        if "flow" in target
    ]


def _drawing(model: Mapping[str, Any], target: Mapping[str, Any]) -> Drawing:
    regions, edges = target["flow"]["regions"], target["flow"]["edges"]
    kept = {region["id"] for region in (regions if len(regions) <= MOST else _largest(regions))}
    boxes = [_box(region, target) for region in regions if region["id"] in kept]
    left = [region for region in regions if region["id"] not in kept]
    if left:
        parts = sum("partition" in region for region in left)
        ops = sum(region["operators"] for region in left)
        boxes.append(
            Box(
                "more",
                "more",
                (
                    f"{counted(parts, 'more partition')}, {counted(len(left) - parts, 'more region')}",
                    counted(ops, "operator"),
                ),
            )
        )
    purpose = purpose_of(target)
    verdict = purpose.of_model(target["verdict"], target.get("phase"))
    title = f"{line(model['path'])} on {line(target['target'])}: {verdict}"
    return Drawing(title, tuple(boxes), tuple(_arrows(edges, kept)))


def _largest(regions: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The ends and the regions with the most operators."""
    inner = sorted(regions[1:-1], key=lambda region: -region["operators"])
    return [regions[0], *inner[: MOST - 2], regions[-1]]


def _box(region: Mapping[str, Any], target: Mapping[str, Any]) -> Box:
    kind = region["kind"]
    if kind in _ENDS:
        return Box(f"r{region['id']}", kind, (_ENDS[kind],))
    types = [f"{line(name)[:_LONGEST]} x{count}" for name, count in region["types"].items()]
    if sum(region["types"].values()) < region["operators"]:
        types.append("...")
    if "partition" in region and purpose_of(target).partitions:
        name = f"partition {region['partition'] + 1}"
    else:
        name = purpose_of(target).of_operator(kind)
    return Box(
        f"r{region['id']}", kind, (f"{name}: {counted(region['operators'], 'operator')}", ", ".join(types))
    )


def _arrows(edges: list[Mapping[str, Any]], kept: set[int]) -> list[Arrow]:
    sums: dict[tuple[str, str], int | None] = {}
    for edge in edges:
        ends = [f"r{edge[end]}" if edge[end] in kept else "more" for end in ("from", "to")]
        if ends == ["more", "more"]:
            continue
        known = sums.get((ends[0], ends[1]), 0)
        more = edge["bytes"]
        sums[ends[0], ends[1]] = None if known is None or more is None else known + more
    return [Arrow(start, end, "" if total is None else size(total)) for (start, end), total in sums.items()]
