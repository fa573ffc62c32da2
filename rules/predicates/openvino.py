"""Predicates of the OpenVINO provider's pack."""

from __future__ import annotations

from math import prod

from ...analyzer.ir.graph import Graph, Operator, Shape
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


@predicate("openvino_control_rank")
def openvino_control_rank(graph: Graph, op: Operator, context: Context) -> Outcome:
    """What decides about a body has one dimension at most, as OpenVINO's own inference sees it: that also
    knows shapes that ONNX Runtime does not (``plain_shapes``: GreaterOrEqual before operator set 16).
    """
    for place, name in enumerate(op.inputs[: _CONTROLS.get(op.type, 0)]):
        shape = _inferred(graph, name)
        if shape is not None and len(shape) > 1:
            return holds_if(False, f"rank {len(shape)} of input {place}", "rank 0 or 1")
    return holds_if(True, "", "rank 0 or 1")


def _inferred(graph: Graph, name: str | None) -> Shape:
    """The shape as onnx infers it, of a tensor of this graph or of an outer one."""
    scope: Graph | None = graph
    while scope is not None and name:
        if name in scope.tensors:
            shape = scope.tensors[name].shape
            inferred, plain = scope.facts.plain_shapes.get(name, (shape, shape))
            return inferred if shape == plain else shape
        scope = scope.outer
    return None


_CONTROLS = {"If": 1, "Loop": 2}
"""How many inputs decide about the bodies: the condition; the trip count and the condition."""


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
