"""Comma-separated values: a row for each finding, and one for each operator that has none.

A cell that a spreadsheet would take for a formula starts with an apostrophe.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

COLUMNS = (
    "model", "target", "id", "name", "type", "verdict", "partition", "code", "rule", "severity", "message",
    "fix", "fingerprint", "made_by", "ignored",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@")


def render(document: dict[str, Any]) -> str:
    """The table with its header; a model that cannot be read has one row."""
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(COLUMNS)
    for model in document["models"]:
        if "error" in model:
            table.writerow(_cells({"model": model["path"], "message": model["error"]["message"]}))
        for target in model.get("targets", ()):
            table.writerows(map(_cells, _rows(model, target)))
    return stream.getvalue()


def _rows(model: Mapping[str, Any], target: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    where = {id: index for index, part in enumerate(target["partitions"]) for id in part["operators"]}
    for op in target["operators"]:
        row = {
            "model": model["path"],
            "target": target["target"],
            **{key: op[key] for key in ("id", "name", "type", "verdict")},
            "partition": where.get(op["id"]),
            "made_by": op.get("code"),
        }
        for index in op["findings"] or [None]:
            yield row if index is None else {**row, **target["findings"][index]}


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [_cell(row.get(column)) for column in COLUMNS]


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
