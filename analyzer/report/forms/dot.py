"""Graphviz drawings of the partitions."""

from __future__ import annotations

from typing import Any

from ..drawing import Box, Drawing, drawings

DRAWS = True
"""The form needs to know how the data flows through the partitions."""
_COLOURS = {
    "accelerated": "#81c995",
    "fallback": "#ffe0b2",
    "rejected": "#f4a9a3",
    "unknown": "#e1bee7",
    "more": "#eeeeee",
}


def render(document: dict[str, Any]) -> str:
    """One graph with a cluster for each model and target."""
    lines = ["digraph accelint {", '  node [shape=box, style="filled,rounded", fontname="sans-serif"];']
    for number, drawing in enumerate(drawings(document)):
        lines += _cluster(drawing, f"d{number}")
    return "\n".join([*lines, "}"]) + "\n"


def _cluster(drawing: Drawing, name: str) -> list[str]:
    lines = [f"  subgraph cluster_{name} {{", f"    label={quoted(drawing.title)};"]
    lines += [f"    {_box(box, name)}" for box in drawing.boxes]
    lines += [
        f"    {name}{arrow.start} -> {name}{arrow.end} [label={quoted(arrow.label)}];"
        for arrow in drawing.arrows
    ]
    return [*lines, "  }"]


def _box(box: Box, name: str) -> str:
    colour = _COLOURS.get(box.kind, "#ffffff")
    shape = "ellipse" if box.kind in ("input", "output") else "box"
    label = "\\n".join(quoted(part)[1:-1] for part in box.lines)
    return f'{name}{box.id} [label="{label}", fillcolor="{colour}", shape={shape}];'


def quoted(words: str) -> str:
    """A quoted string: no escape of Graphviz's own, no end before the end, no character reference."""
    escaped = words.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
    return f'"{escaped}"'
