"""Whether an operator has the inputs and outputs that its schema asks for.

A file can be well formed and an operator in it not: no runtime of the dialect loads such a model. It is found
here, before rules, policies, costs and rewrites look at operands. The counts are in ``arity.json`` beside the
readers (``tools/derive/arity.py``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from ..ir.graph import Graph, Operator
from ..words import counted


@cache
def _table(dialect: str) -> dict[str, Any]:
    if dialect not in ("onnx", "tflite"):
        return {}
    file = Path(__file__).parents[1] / "formats" / dialect / "arity.json"
    operators: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["operators"]
    return operators


def misfit(dialect: str, op: Operator) -> str:
    """What is wrong with an operator's number of inputs or outputs, or nothing: ``PAD has 1 input, and needs
    at least 2``. Operators without a schema are not judged.
    """
    if dialect == "onnx":
        return _onnx(op)
    least = _table(dialect).get(op.type) if op.domain == "" else None
    if least is None:
        return ""
    return _count(op, "input", op.inputs, least[0], None) or _count(op, "output", op.outputs, least[1], None)


def misfits(operators: Iterable[tuple[Graph, Operator]]) -> dict[str, str]:
    """What is wrong, by the id of each operator where something is."""
    found: dict[str, str] = {}
    fine: set[tuple[object, ...]] = set()
    for graph, op in operators:
        kind = (graph.dialect, op.type, op.domain, op.version, len(op.inputs), len(op.outputs))
        whole = None not in op.inputs
        if whole and kind in fine:
            continue
        words = misfit(graph.dialect, op)
        if words:
            found[op.id] = words
        elif whole:
            fine.add(kind)
    return found


def _onnx(op: Operator) -> str:
    rows = _table("onnx").get(f"{'' if op.domain == 'ai.onnx' else op.domain}:{op.type}", ())
    if not rows:
        return ""
    row = next((row for row in reversed(rows) if row[0] <= op.version), None)
    if row is None:
        return f"{op.type} is in operator set {rows[0][0]} and later, not in {op.version}"
    _, fewest, most, fewest_out, most_out, single = row
    for index, (name, needed) in enumerate(zip(op.inputs, single, strict=False)):
        if name is None and needed == "1":
            return f"{op.type} has no input {index}, which it needs"
    return _count(op, "input", op.inputs, fewest, most) or _count(
        op, "output", op.outputs, fewest_out, most_out
    )


def _count(op: Operator, what: str, names: tuple[str | None, ...], least: int, most: int | None) -> str:
    if len(names) < least:
        return f"{op.type} has {counted(len(names), what)}, and needs at least {least}"
    if most is not None and len(names) > most:
        return f"{op.type} has {counted(len(names), what)}, and takes at most {most}"
    return ""
