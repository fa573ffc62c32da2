"""What kernels of ONNX Runtime check when they are made, beyond element types."""

from __future__ import annotations

from itertools import takewhile
from math import prod

from ...analyzer.ir.graph import Graph, Operator
from ..conditions import HOLDS, Context, Outcome
from ..subjects import Reach
from . import holds_if, predicate


@predicate("ort_interpolates")
def interpolates(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Stored scales of an interpolation are 1 on all but the last dimensions; computed ones are not
    checked until the model runs.

    Source: onnxruntime, ``UpsampleBase::ScalesValidation`` (core/providers/cpu/tensor/upsamplebase.h).
    """
    scales = _stored_scales(graph, op)
    if not scales:
        return HOLDS
    seen = f"scales {', '.join(f'{value:g}' for value in scales)}"
    first_two, ends = scales[:2] == (1, 1), scales[0] == 1 == scales[-1]
    if op.attrs.get("mode") == "cubic":
        fits = len(scales) == 2 or (
            len(scales) == 4 and (first_two or (bool(op.attrs.get("antialias", 0)) and ends))
        )
        return holds_if(fits, seen, "two dimensions, or four with the first two of scale 1")
    fits = (
        len(scales) in (2, 3)
        or (len(scales) == 4 and (first_two or ends))
        or (len(scales) == 5 and first_two)
    )
    return holds_if(
        fits, seen, "two or three dimensions, or more where all but the last two or three have scale 1"
    )


def _stored_scales(graph: Graph, op: Operator) -> tuple[float, ...]:
    """The scales in the file; empty when they are computed, or sizes are given in their place."""
    if "scales" in op.attrs:
        return tuple(float(value) for value in op.attrs["scales"])
    index = 2 if op.type == "Resize" and op.version >= 11 else 1
    stored = graph.constant(op.inputs[index]) if len(op.inputs) > index else None
    return () if stored is None else tuple(float(value) for value in stored.numbers())


@predicate("ort_gives_tensors")
def gives_tensors(graph: Graph, op: Operator, context: Context) -> Outcome:
    """No result is a sequence or an optional; one whose type is not known counts as a tensor."""
    types = [tensor.dtype for tensor in graph.output_tensors(op) if tensor is not None]
    strange = [name for name in types if name.startswith(("sequence", "optional"))]
    return holds_if(not strange, ", ".join(strange) or "tensors", "tensors")


@predicate("webgpu_shares_own_dimensions", Reach.LOCAL)
def webgpu_shares_own_dimensions(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The trailing dimensions that the kernel joins are those that both operands have.

    It counts what is equal from the last on, a missing dimension as 1, where the last is no multiple of 4 and
    what it has counted is. Source: ``CountSharedTrailingDimensions`` of binary_elementwise_broadcast_utils.h.
    """
    shapes = [tensor.shape for name in op.inputs[:2] if name and (tensor := graph.find(name)) is not None]
    sizes = [tuple(dim for dim in shape or (None,) if isinstance(dim, int)) for shape in shapes]
    known = len(shapes) == 2 and all(
        len(size) == len(shape or ()) for size, shape in zip(sizes, shapes, strict=True)
    )
    if not known or not all(sizes) or sizes[0] == sizes[1] or any(size[-1] % 4 == 0 for size in sizes):
        return HOLDS
    shorter, longer = sorted(sizes, key=len)
    padded = (1,) * (len(longer) - len(shorter)) + shorter
    shared = tuple(
        takewhile(lambda pair: pair[0] == pair[1], zip(reversed(padded), reversed(longer), strict=True))
    )
    fits = len(shared) <= len(shorter) or prod(first for first, _ in shared) % 4 != 0
    return holds_if(fits, f"{list(shorter)} beside {list(longer)}", "ones in front are supported")
