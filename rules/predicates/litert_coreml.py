"""How the LiteRT Core ML delegate broadcasts.

Read from ``IsBroadcastable`` in ``tflite/delegates/coreml/builders/util.cc`` (google-ai-edge/LiteRT, commit
f67457790c9c).
"""

from __future__ import annotations

from ...analyzer.ir.graph import Graph, Operator
from ..conditions import Context, Outcome
from ..verdict import Answer
from . import holds_if, predicate

_LIMIT = (
    "of two shapes B,H,W,C the batches are equal, one H,W is 1,1 where they differ, and "
    "one C is 1 where they differ"
)


@predicate("coreml_delegate_broadcast")
def coreml_delegate_broadcast(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The two operands, as B,H,W,C aligned to the right, differ only where one of them repeats one value or
    one vector.
    """
    shapes, scalars = [], []
    for name in op.inputs[:2]:
        tensor = graph.find(name) if name else None
        if tensor is None or tensor.shape is None:
            return Outcome(Answer.UNKNOWN, "an operand of unknown rank", _LIMIT)
        shapes.append((1,) * (4 - len(tensor.shape)) + tensor.shape)
        scalars.append(tensor.elements == 1 and graph.constant(tensor.name) is not None)
    seen = " and ".join(str(list(shape)) for shape in shapes)
    (left, right) = shapes
    if len(left) > 4 or len(right) > 4:
        return Outcome(Answer.FAILS, seen, "at most 4 dimensions")
    batch = left[0] == right[0] or any(scalars)
    plane = left[1:3] == right[1:3] or (1, 1) in (left[1:3], right[1:3])
    return holds_if(batch and plane and (left[3] == right[3] or 1 in (left[3], right[3])), seen, _LIMIT)
