"""What the LiteRT NNAPI delegate computes from several values of an operator.

Read from ``NNAPIDelegateKernel::Validate`` in ``tflite/delegates/nnapi/nnapi_delegate.cc``
(google-ai-edge/LiteRT, commit f67457790c9c).
"""

from __future__ import annotations

from typing import Any

from ...analyzer.ir.graph import Graph, Operator
from ..conditions import Context, Outcome
from ..verdict import Answer
from . import holds_if, predicate


@predicate("nnapi_window")
def nnapi_window(graph: Graph, op: Operator, context: Context, *, most: int) -> Outcome:
    """The pooling window has at most ``most`` elements."""
    width, height = op.attrs["filter_width"], op.attrs["filter_height"]
    return holds_if(width * height <= most, f"a window of {height}x{width}", f"{most} elements")


@predicate("nnapi_restricted_scales")
def nnapi_restricted_scales(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Scale of the input times scale of the weights is below the scale of the result; a missing scale is
    0.
    """
    source, weights, result = (_scale(graph, name) for name in (op.inputs[0], op.inputs[1], op.outputs[0]))
    if source is None or weights is None or result is None:
        return Outcome(Answer.UNKNOWN, "several scales", "one scale for each tensor")
    return holds_if(source * weights < result, f"{source:g} x {weights:g}", f"less than {result:g}")


def _scale(graph: Graph, name: str | None) -> Any:
    tensor = graph.find(name) if name else None
    if tensor is None or tensor.quant is None:
        return 0.0
    return tensor.quant.scale[0] if len(tensor.quant.scale) == 1 else None
