"""Predicates of the OpenVINO provider's pack."""

from __future__ import annotations

from math import prod

from ...analyzer.ir.graph import Graph, Operator
from ...analyzer.ir.match import sole_reader, writer
from ..conditions import Context, Outcome
from . import holds_if, predicate


@predicate("openvino_attention")
def openvino_attention(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The product is not that of an attention of several heads with stored keys or values."""
    weights = writer(graph, op.inputs[0], "Softmax")
    if weights is None or sole_reader(graph, weights) is None:
        return holds_if(True, "", "")
    scores = _scores(graph, weights)
    heads = (
        [] if scores is None else [count for count in (_heads(graph, scores), _heads(graph, op)) if count > 1]
    )
    return holds_if(not heads, f"{heads[0]} heads" if heads else "", "one head")


def _scores(graph: Graph, weights: Operator) -> Operator | None:
    """The product of queries and keys behind a softmax, through a scale and a mask."""
    found = writer(graph, weights.inputs[0], "MatMul", "Mul", "Div", "Add")
    for _ in range(2):
        if found is None or found.type == "MatMul":
            return found
        made = (writer(graph, name, "MatMul", "Mul", "Div") for name in found.inputs)
        found = next((item for item in made if item is not None), None)
    return found if found is not None and found.type == "MatMul" else None


def _heads(graph: Graph, product: Operator) -> int:
    """How many matrices the stored second operand of a product has, of three or four dimensions."""
    found = graph.constant(product.inputs[1]) if len(product.inputs) > 1 else None
    shape = () if found is None else found.shape
    return prod(shape[:-2]) if len(shape) in (3, 4) else 0
