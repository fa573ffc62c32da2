"""One table over all models and targets: a row each, in the order of the document."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ...inert import line as clean
from ...words import counted, percent, size
from ..decided import CHOICES
from ..purposes import purpose_of
from .text import STYLES, UNWRAPPED

NARROW = 90
"""Columns of a terminal below which a row is told on two lines."""


def render(document: dict[str, Any]) -> str:
    """The table; in a narrow terminal the figures of a target stand below its name."""
    stream = io.StringIO()
    terminal = sys.stdout.isatty()
    width = max(30, shutil.get_terminal_size((110, 24)).columns) if terminal or _told() else UNWRAPPED
    console = Console(
        file=stream, force_terminal=terminal and "NO_COLOR" not in os.environ, width=width, highlight=False
    )
    console.print(_stacked(document) if width < NARROW else _wide(document))
    for model in document["models"]:
        if "error" in model:
            words = f"{clean(model['path'])} cannot be checked: {clean(model['error']['message'])}"
            console.print(Text(words, "bold red"))
    return stream.getvalue()


def _told() -> bool:
    """Whether the user says how wide it is."""
    return os.environ.get("COLUMNS", "").isdigit()


def _rows(document: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], list[Text]]]:
    """Path (of the first row of a model only), target and cells."""
    found = []
    for model in document["models"]:
        for index, target in enumerate(model.get("targets", ())):
            found.append((clean(model["path"]) if not index else "", target, _cells(target)))
    return found


_HEADS = ("verdict", "operators", "MACs", "partitions", "boundary", "errors")
_WORTH = "worth it"


def _cells(target: Mapping[str, Any]) -> list[Text]:
    purpose = purpose_of(target)
    macs, moved = (
        target["coverage"]["macs"],
        [part[side] for part in target["partitions"] for side in ("bytes_in", "bytes_out")],
    )
    errors = sum(item["severity"] == "error" and not item.get("ignored") for item in target["findings"])
    cuts = purpose.partitions
    return [
        Text(purpose.of_model(target["verdict"], target.get("phase")), STYLES[target["verdict"]]),
        Text(percent(target["coverage"]["operators"])),
        Text("" if macs is None or not cuts else percent(macs)),
        Text(str(len(target["partitions"])) if cuts else ""),
        Text("" if not cuts else "unknown" if None in moved else size(sum(moved))),
        Text(str(errors) if errors else ""),
    ]


def _worth(target: Mapping[str, Any]) -> Text:
    found = target.get("worth")
    return Text(CHOICES[found["choice"]] if found else "")


def _wide(document: Mapping[str, Any]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("model", overflow="fold", style="bold")
    table.add_column("target", overflow="fold")
    for head in _HEADS:
        table.add_column(head, justify="left" if head == "verdict" else "right", no_wrap=head != "verdict")
    rows = _rows(document)
    estimated = any("worth" in target for _, target, _ in rows)
    if estimated:
        table.add_column(_WORTH)
    for path, target, cells in rows:
        table.add_row(Text(path), Text(target["target"]), *cells, *([_worth(target)] if estimated else []))
    return table


def _stacked(document: Mapping[str, Any]) -> Group:
    lines: list[Any] = []
    for path, target, cells in _rows(document):
        lines += [Text(path, "bold")] if path else []
        verdict, share, macs, parts, moved, errors = cells
        lines.append(Padding(Text.assemble((target["target"], "bold"), "  ", verdict), (0, 0, 0, 2)))
        told = [f"{share} of operators"]
        told += [f"{macs} of MACs"] if macs.plain else []
        told += [counted(int(parts.plain), "partition")] if parts.plain else []
        told += [f"{moved} moved"] if moved.plain else []
        told += [counted(int(errors.plain), "error")] if errors.plain else []
        told += [worth] if (worth := _worth(target).plain) else []
        lines.append(Padding(Text(", ".join(told)), (0, 0, 0, 4)))
    return Group(*lines)
