"""Outputs whose stored number of dimensions is not the one that their operator gives.

ONNX Runtime keeps neither: it warns ("Falling back to lenient merge") and goes on without a shape
(``Graph::MergeShapeInfo`` in core/graph/graph.cc, ``UnionShapeInfo`` of onnx). Exporters that do not know an
output's shape store an empty one, which reads as that of a scalar.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...ir.graph import Graph, Operator

_OF_FIRST = frozenset((
    "Abs", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Celu", "Clip", "Conv", "ConvTranspose",
    "DequantizeLinear", "Dropout", "Elu", "Erf", "Exp", "Floor", "Gelu", "GlobalAveragePool",
    "GlobalMaxPool", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization",
    "LayerNormalization", "LeakyRelu", "Log", "LogSoftmax", "Mish", "Neg", "QuantizeLinear",
    "Reciprocal", "Relu", "Resize", "Round", "Selu", "Sigmoid", "Sign", "Slice", "Softmax", "Softplus",
    "Softsign", "Sqrt", "Tanh", "Transpose",
))  # fmt: skip
"""Types whose result has as many dimensions as the first operand."""
_OF_ALL = frozenset(("Add", "Div", "Max", "Min", "Mul", "Pow", "Sub", "Where"))
"""Types whose result has as many as the operand that has most."""


def forget_stale(graph: Graph) -> None:
    """Take the shape from outputs of the graph that cannot have it."""
    for name in graph.outputs:
        tensor, op = graph.find(name), graph.producer(name)
        if tensor is None or tensor.rank is None or op is None or op.domain or op.outputs[0] != name:
            continue
        rank = _rank(graph, op)
        if rank is not None and rank != tensor.rank:
            graph.set_tensor(replace(tensor, shape=None))
            plain = {key: pair for key, pair in graph.facts.plain_shapes.items() if key != name}
            graph.facts = replace(graph.facts, plain_shapes=plain)


def _rank(graph: Graph, op: Operator) -> int | None:
    if op.type in _OF_FIRST:
        return _known(graph, op.input(0))
    if op.type not in _OF_ALL:
        return None
    ranks = [_known(graph, name) for name in op.inputs]
    return max((rank for rank in ranks if rank is not None), default=None) if None not in ranks else None


def _known(graph: Graph, name: str | None) -> int | None:
    tensor = graph.find(name) if name else None
    return None if tensor is None else tensor.rank
