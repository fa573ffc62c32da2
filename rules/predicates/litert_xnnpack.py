"""Predicates of ``litert/xnnpack``: constants unpacked when the delegate is applied, and ranges of
quantization scales.

Read from ``tflite/delegates/xnnpack/xnnpack_delegate.cc`` (google-ai-edge/LiteRT, commit f67457790c9c).
"""

from __future__ import annotations

from ...analyzer.ir.graph import Graph, Operator, Tensor
from ..conditions import Context, Outcome
from . import holds_if, predicate


@predicate("xnnpack_stored")
def xnnpack_stored(graph: Graph, op: Operator, context: Context, tensor: int) -> Outcome:
    """The input is stored in the file, as it is or behind DEQUANTIZE and DENSIFY, which the delegate computes
    when it is applied.
    """
    name = op.inputs[tensor] if tensor < len(op.inputs) else None
    for _ in range(len(graph) + 1):
        if name is None or graph.constant(name) is not None:
            return holds_if(name is not None, f"input {tensor} is omitted", "a stored tensor")
        writer = graph.producer(name)
        if writer is None or writer.type not in ("DEQUANTIZE", "DENSIFY") or not writer.inputs:
            break
        name = writer.inputs[0]
    return holds_if(False, f"input {tensor} is computed", "a stored tensor")


def _scale(tensor: Tensor | None) -> float | None:
    quant = None if tensor is None else tensor.quant
    return quant.scale[0] if quant is not None and len(quant.scale) == 1 else None


@predicate("xnnpack_scale_ratio")
def xnnpack_scale_ratio(
    graph: Graph,
    op: Operator,
    context: Context,
    least: float,
    most: float = 0.0,
    below: float = 0.0,
    product: bool = False,
) -> Outcome:
    """Scale of each input (or of their product) over the scale of the result, within ``least`` and ``most``
    or just under ``below``.
    """
    inputs = [_scale(tensor) for tensor in graph.input_tensors(op)]
    result = _scale(next(iter(graph.output_tensors(op)), None))
    scales = [scale for scale in inputs if scale is not None]
    if not result or len(scales) != len(inputs) or not scales:
        return holds_if(None, "unknown", f"{least:g} to {most or below:g}")
    ratios = [scales[0] * scales[-1] / result] if product else [scale / result for scale in scales]
    fine = all(least <= ratio and (ratio <= most if most else ratio < below) for ratio in ratios)
    return holds_if(fine, ", ".join(f"{ratio:g}" for ratio in ratios), f"{least:g} to {most or below:g}")


@predicate("xnnpack_leaky_scale")
def xnnpack_leaky_scale(graph: Graph, op: Operator, context: Context) -> Outcome:
    """LEAKY_RELU: the scale ratio within 1/256 to 128, and within as much on the negative side after
    ``alpha``.
    """
    before, after = _scale(graph.input_tensors(op)[0]), _scale(graph.output_tensors(op)[0])
    if not before or not after:
        return holds_if(None, "unknown", "1/256 to 128")
    ratio = before / after
    negative = ratio * float(op.attrs.get("alpha", 0.0))
    fine = 1 / 256 <= ratio <= 128 and -127.99609375 <= negative <= 128 and abs(negative) >= 1 / 256
    return holds_if(fine, f"{ratio:g}, {negative:g}", "1/256 to 128")


@predicate("xnnpack_matrix_axis")
def xnnpack_matrix_axis(graph: Graph, op: Operator, context: Context) -> Outcome:
    """BATCH_MATMUL: the scales of the second matrix, when several, go along the columns of the result."""
    tensor = graph.input_tensors(op)[1] if len(op.inputs) > 1 else None
    if tensor is None or tensor.quant is None or len(tensor.quant.scale) < 2:
        return holds_if(True, "", "")
    if tensor.rank is None:
        return holds_if(None, "unknown rank", "the columns")
    wanted = tensor.rank - (2 if op.attrs.get("adj_y") else 1)
    return holds_if(tensor.quant.axis == wanted, f"scales along axis {tensor.quant.axis}", str(wanted))
