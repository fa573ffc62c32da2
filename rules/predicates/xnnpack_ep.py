"""Conditions of ONNX Runtime's XNNPACK provider that are computed from shapes, constants and neighbours."""

from __future__ import annotations

from ...analyzer.ir.graph import Graph, Operator
from ..conditions import HOLDS, Context, Outcome
from . import holds_if, predicate
from .coreml_ep import dims, numbers

_HOLDERS = ("Conv", "MaxPool", "AveragePool")


@predicate("xnnpack_ep_fused")
def fused(graph: Graph, op: Operator, context: Context) -> Outcome:
    """It follows a float Conv, MaxPool or AveragePool of two spatial dimensions."""
    writer = graph.producer(op.inputs[0])
    tensor = graph.find(op.inputs[0] or "")
    fits = (
        writer is not None
        and writer.type in _HOLDERS
        and tensor is not None
        and tensor.dtype == "float32"
        and tensor.rank == 4
    )
    return holds_if(
        fits,
        f"it follows {writer.type if writer else 'no operator'}",
        "a float Conv, MaxPool or AveragePool before it",
    )


@predicate("xnnpack_ep_resize_sizes")
def resize_sizes(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Scales or sizes are stored, keep the channels, and a smaller result divides the input."""
    scales, sizes = numbers(graph, op, 1 if op.version < 11 else 2), numbers(graph, op, 3)
    data = dims(graph, op, 0)
    if not scales and not sizes:
        return holds_if(False, "scales or sizes are computed", "they must be stored in the file")
    if data is None or len(data) != 4:
        return HOLDS
    if sizes:
        return holds_if(
            sizes[1] == data[1], f"{sizes[1]:g} channels", f"the number of channels must stay {data[1]}"
        )
    assert scales is not None
    factors = [
        size
        for size, scale in zip(data[2:], scales[2:], strict=False)
        if scale < 1 and not _divides(size, scale)
    ]
    words = f"scales {', '.join(f'{scale:g}' for scale in scales)}"
    return holds_if(
        scales[1] == 1 and not factors,
        words,
        "the number of channels stays, and a smaller result divides the input",
    )


def _divides(size: int | str | None, scale: float) -> bool:
    """``ReciprocalIsAFactorOfN``."""
    if not isinstance(size, int) or scale <= 0:
        return False
    factor = 1 / scale
    return factor == int(factor) and size % int(factor) == 0


@predicate("xnnpack_ep_gemm_addend")
def gemm_addend(graph: Graph, op: Operator, context: Context) -> Outcome:
    """There is an addend, whose first size is one of the second operand's."""
    addend, weight = dims(graph, op, 2), dims(graph, op, 1)
    if addend is None:
        return holds_if(False, "nothing is added", "an addend is read")
    if weight is None or len(weight) != 2 or len(addend) > 2:
        return HOLDS
    return holds_if(
        len(addend) > 0 and addend[0] in weight,
        f"addend {list(addend)}",
        f"one for each column of {list(weight)}",
    )


@predicate("xnnpack_ep_last_axis")
def last_axis(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The axis is the last one."""
    data, axis = dims(graph, op, 0), int(op.attrs.get("axis", -1))
    if data is None:
        return HOLDS
    return holds_if(axis in (-1, len(data) - 1), str(axis), "the last axis")
