"""How many inputs an operator of a TFLite file lists, which LiteRT's delegates count with the omitted
ones.
"""

from __future__ import annotations

from ...analyzer.ir.graph import Graph, Operator
from ..conditions import Context, Outcome
from . import holds_if, predicate


@predicate("litert_inputs")
def litert_inputs(graph: Graph, op: Operator, context: Context, *, one_of: list[int]) -> Outcome:
    """The operator lists that many inputs, omitted optional ones included (``node->inputs->size``)."""
    return holds_if(len(op.inputs) in one_of, f"{len(op.inputs)} inputs", " or ".join(map(str, one_of)))
