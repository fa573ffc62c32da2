"""What a release of ONNX Runtime knows of the operators of its own domain when it reads a file."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from ...analyzer.ir.graph import Graph, Operator
from ..conditions import HOLDS, Context, Outcome
from ..pack import version_key
from ..subjects import Reach, operator_key
from . import holds_if, predicate


@predicate("ort_attributes_of_the_release", Reach.LOCAL)
def attributes_of_the_release(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The release declares every attribute of an operator of ``com.microsoft``, but for those that are marked
    as internal by two underscores; operators that no listed release has are not judged.

    Source: the schemas that the packages register (``tools/derive/ort_declared.py``); onnx,
    ``OpSchema::Verify``.
    """
    table = _table()
    # a provider writes EPContext and checks it by a schema of its own, which grows with the provider
    if op.domain != table["domain"] or op.type.endswith("EPContext") or not (op.attrs or op.graphs):
        return HOLDS
    row = table["operators"].get(op.type.removeprefix(f"{op.domain}:"))
    if row is None:
        return HOLDS
    declared = _declared(row, context.host or context.version)
    strange = sorted(
        name for name in {*op.attrs, *op.graphs} if name not in declared and not name.startswith("__")
    )
    return holds_if(not strange, f"attribute {', '.join(strange)}", ", ".join(sorted(declared)) or "none")


@predicate("ort_float16_cast_between_widened")
def float16_cast_between_widened(graph: Graph, op: Operator, context: Context) -> Outcome:
    """A cast of float16 to float16 is not alone between operators without a float16 kernel.

    Those run in float32 between casts, and so is what stands alone among them, although the attribute of a
    cast says float16. Source: onnxruntime, ``IsIsolatedFp16Node`` in insert_cast_transformer.cc.
    """
    ends = [*graph.input_tensors(op)[:1], *graph.output_tensors(op)[:1]]
    if any(tensor is None or tensor.dtype != "float16" for tensor in ends) or op.outputs[0] in graph.outputs:
        return HOLDS
    before, after = graph.producer(op.inputs[0]), graph.consumers(op.outputs[0])
    release = context.host or context.version
    alone = before is not None and after and all(_widened(graph, item, release) for item in (before, *after))
    return holds_if(
        not alone, "a cast of float16 to float16 between operators in float32", "beside a float16 kernel"
    )


def _widened(graph: Graph, op: Operator, release: str) -> bool:
    """Whether an operator of float16 runs in float32, for want of a kernel."""
    asked, spans = version_key(release), _table()["float16"].get(operator_key(op), ())
    if any(version_key(since) <= asked and not (end and asked >= version_key(end)) for since, end in spans):
        return False
    return any(tensor is not None and tensor.dtype == "float16" for tensor in graph.input_tensors(op))


def _declared(row: dict[str, Any], release: str) -> frozenset[str]:
    asked, gone = version_key(release), row.get("gone", {})
    return frozenset(
        name
        for name, since in row["attributes"].items()
        if asked >= version_key(since) and not (name in gone and asked >= version_key(gone[name]))
    )


@cache
def _table() -> dict[str, Any]:
    path = Path(__file__).with_name("ort_schemas.json")
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return table
