"""What ONNX Runtime asks of an operator when it reads the file, before any provider is asked: the operator's own schema."""

from __future__ import annotations

from ...analyzer.graph import Graph, Operator
from ..conditions import HOLDS, Context, Outcome
from . import holds_if, predicate


@predicate("onnx_attributes_declared")
def attributes_declared(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Every attribute is one that the operator has in its operator set, or is marked as internal by two underscores.

    Operators without a schema (vendors' domains) are not judged. Source: onnx, ``OpSchema::Verify``.
    """
    from onnx import defs

    given = {*op.attrs, *op.graphs}
    if not given or not defs.has(op.type, op.version, op.domain):
        return HOLDS
    declared = defs.get_schema(op.type, op.version, op.domain).attributes
    strange = sorted(name for name in given if name not in declared and not name.startswith("__"))
    return holds_if(not strange, f"attribute {', '.join(strange)}", ", ".join(sorted(declared)) or "none")
