"""What the schemas of Microsoft's operators allow: ONNX Runtime checks it when it reads a file, before any
provider gets the graph. What onnx's own schemas do not allow the reader finds (``formats.onnx.faults``).
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from ...analyzer.ir.graph import Graph, Operator
from ..conditions import HOLDS, Context, Outcome
from ..subjects import Reach
from . import holds_if, predicate


@predicate("ort_types_declared", Reach.LOCAL)
def types_declared(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Every input has a dtype that the schema of Microsoft's operator allows, and those of one type parameter
    the same.

    Operators without a schema, and tensors of an unknown dtype, are not judged; nor is an input that a
    provider sees quantized: in the file it is the float result of a DequantizeLinear. Source:
    ``Graph::InferAndVerifyTypeMatch``.
    """
    table = _table()
    parameters = table["operators"].get(op.type.rpartition(":")[2], ())
    bound: dict[str, str] = {}
    for place, name in enumerate(op.inputs):
        parameter, dtypes = _parameter(table, parameters, op, place)
        tensor = graph.find(name) if name else None
        if tensor is None or tensor.dtype == "unknown" or dtypes is None or tensor.quant is not None:
            continue
        if tensor.dtype not in dtypes:
            return holds_if(False, f"input {place} in {tensor.dtype}", ", ".join(dtypes))
        if bound.setdefault(parameter, tensor.dtype) != tensor.dtype:
            return holds_if(False, f"input {place} in {tensor.dtype}", f"{bound[parameter]}, as before it")
    return HOLDS


def _parameter(
    table: dict[str, Any], parameters: list[list[Any]], op: Operator, place: int
) -> tuple[str, list[str] | None]:
    goes_on = op.type.rpartition(":")[2] in table["going on"]
    if place >= len(parameters) and not goes_on:
        return "", None
    parameter, dtypes = parameters[min(place, len(parameters) - 1)]
    if place >= len(parameters) - 1 and goes_on:
        parameter = f"{parameter} {place}"  # variadic inputs may differ from each other
    return parameter, None if dtypes < 0 else table["dtypes"][dtypes]


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(Path(__file__).with_name("ort_types.json").read_text(encoding="utf-8"))
    return table
