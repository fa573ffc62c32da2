"""Mermaid flowcharts of the partitions, as GitHub and GitLab draw them in a fenced block of Markdown."""

from __future__ import annotations

from typing import Any

from ..drawing import Box, Drawing, drawings

DRAWS = True
"""The form needs to know how the data flows through the partitions."""
_STYLES = {
    "accelerated": "fill:#81c995,stroke:#137333,color:#000",
    "fallback": "fill:#ffe0b2,stroke:#e65100,color:#000",
    "rejected": "fill:#f4a9a3,stroke:#b3261e,color:#000",
    "unknown": "fill:#e1bee7,stroke:#7b1fa2,color:#000",
    "more": "fill:#eeeeee,stroke:#757575,color:#000,stroke-dasharray:4",
}


def render(document: dict[str, Any]) -> str:
    """One flowchart; models and targets are subgraphs where there are several."""
    found = drawings(document)
    lines = ["flowchart TD"]
    for number, drawing in enumerate(found):
        lines += _chart(drawing, f"d{number}")
    lines += [f"  classDef {kind} {style}" for kind, style in _STYLES.items()]
    return "\n".join(lines) + "\n"


def _chart(drawing: Drawing, name: str) -> list[str]:
    lines = [f'  subgraph {name}["{text(drawing.title)}"]']
    lines += [f"    {_box(box, name)}" for box in drawing.boxes]
    for arrow in drawing.arrows:
        label = f'|"{text(arrow.label)}"|' if arrow.label else ""
        lines.append(f"    {name}{arrow.start} -->{label} {name}{arrow.end}")
    return [*lines, "  end"]


def _box(box: Box, name: str) -> str:
    label = "<br/>".join(map(text, box.lines))
    shape = f'(["{label}"])' if box.kind in ("input", "output") else f'["{label}"]'
    style = f":::{box.kind}" if box.kind in _STYLES else ""
    return f"{name}{box.id}{shape}{style}"


def text(words: str) -> str:
    """Words in a quoted label: what Mermaid, its Markdown or a browser could mistake for markup as character
    references.
    """
    return "".join(char if char.isalnum() or char in " .,:_" else f"#{ord(char)};" for char in words)
