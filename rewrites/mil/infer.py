"""Shapes of an ML Program after its inputs were frozen: ONNX's inference on what each operator computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...analyzer.errors import AccelintError
from ..freeze import learn

if TYPE_CHECKING:
    from ...analyzer.ir.model import Model

ROUNDS = 8
"""Sizes that one round finds let the next write operators that need them."""


def infer_mil(model: Model) -> None:
    """Write every dtype and shape that follows from the inputs into the model's tensors."""
    for _ in range(ROUNDS):
        if not _round(model):
            return


def _round(model: Model) -> bool:
    from ...analyzer.formats.onnx.guard import infer_shapes
    from ...analyzer.lower.program import partial

    proto = partial(model)
    try:
        known = type(proto).FromString(infer_shapes(proto.SerializeToString(), values=True, proto=proto))
    except AccelintError:
        return False
    graph, changed = model.graph, False
    for info in (*known.graph.value_info, *known.graph.output):
        if info.name not in graph.tensors or not info.type.tensor_type.HasField("shape"):
            continue
        shape = tuple(dim.dim_value or None for dim in info.type.tensor_type.shape.dim)
        if graph.tensor(info.name).const is None:
            changed = learn(graph, info.name, graph.tensor(info.name).dtype, shape) or changed
    return changed
