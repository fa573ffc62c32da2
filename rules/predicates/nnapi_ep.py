"""Conditions of ONNX Runtime's NNAPI provider that are computed from shapes and constants."""

from __future__ import annotations

from ...analyzer.ir.graph import Graph, Operator
from ..conditions import HOLDS, Context, Outcome
from ..versions import version_key
from . import holds_if, predicate
from .coreml_ep import dims, numbers
from .coreml_ep_resize import divides


@predicate("nnapi_clip")
def clip_limits(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Clips to [0, 6] or [-1, 1], the two ranges that NNAPI has operators for."""
    low, high = (_limit(graph, op, index, name) for index, name in ((1, "min"), (2, "max")))
    return holds_if((low, high) in ((0, 6), (-1, 1)), f"[{low}, {high}]", "[0, 6] or [-1, 1]")


def _limit(graph: Graph, op: Operator, index: int, name: str) -> float | None:
    values = numbers(graph, op, index)
    found = values[0] if values else op.attrs.get(name)
    return None if found is None else float(found)


@predicate("nnapi_gemm_addend")
def gemm_addend(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The addend has the shape [N] or [1, ..., 1, N]."""
    addend, weight = dims(graph, op, 2), dims(graph, op, 1)
    if addend is None or weight is None or len(weight) != 2:
        return HOLDS
    columns = weight[0] if op.attrs.get("transB") else weight[1]
    fits = len(addend) > 0 and addend[-1] == columns and all(dim == 1 for dim in addend[:-1])
    return holds_if(fits, f"addend {list(addend)}", f"[{columns}]")


@predicate("nnapi_matmul")
def matmul(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Two matrices, the second constant, or two float32 batches of equal rank over 2 with the same leading
    sizes.
    """
    left, right = dims(graph, op, 0), dims(graph, op, 1)
    if left is None or right is None:
        return HOLDS
    seen = " times ".join(
        f"[{', '.join('?' if dim is None else str(dim) for dim in shape)}]" for shape in (left, right)
    )
    if len(left) == len(right) == 2:
        return holds_if(
            graph.constant(op.inputs[1]) is not None,
            f"{seen}, the second computed",
            "a constant second operand",
        )
    if (source := graph.find(op.inputs[0] or "")) is not None and source.quant is not None:
        return holds_if(False, f"{seen} of integers", "two dimensions")
    return holds_if(
        len(left) == len(right) > 2 and left[:-2] == right[:-2], seen, "batches of the same sizes"
    )


@predicate("nnapi_even_split")
def even_split(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Every part has the same size; from operator set 18 on, ``num_outputs`` says so where no sizes do."""
    data = dims(graph, op, 0)
    axis, parts, sizes = int(op.attrs.get("axis", 0)), len(op.outputs), numbers(graph, op, 1)
    size = data[axis] if data and -len(data) <= axis < len(data) else None
    if sizes:
        return holds_if(
            len(set(sizes)) == 1 and sum(sizes) == size, f"parts of {sizes} of {size}", "equal parts"
        )
    if op.version >= 18 and op.attrs.get("num_outputs") != parts:
        return holds_if(
            False, f"num_outputs {op.attrs.get('num_outputs')} for {parts} parts", "as many parts"
        )
    return (
        HOLDS
        if not isinstance(size, int)
        else holds_if(size % parts == 0 and size >= parts, f"{size} in {parts} parts", "equal parts")
    )


@predicate("nnapi_pads_of_all_axes")
def pads_of_all_axes(graph: Graph, op: Operator, context: Context) -> Outcome:
    """There are two pads for each dimension of the data."""
    data, pads = dims(graph, op, 0), dims(graph, op, 1)
    if data is None or pads is None or len(pads) != 1 or not isinstance(pads[0], int):
        return HOLDS
    return holds_if(
        pads[0] >= 2 * len(data), f"{pads[0]} pads for {len(data)} dimensions", f"{2 * len(data)}"
    )


_SCALED = (
    "QuantizeLinear",
    "QLinearConv",
    "QLinearMatMul",
    "QLinearAdd",
    "QLinearMul",
    "QLinearSigmoid",
    "QLinearAveragePool",
)
_INSIDE = ("Concat", "Resize", "Transpose", "MaxPool")


@predicate("nnapi_scale_known")
def scale_known(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The first input (every one of a Concat) is written by a quantized operator, or by one that hands its
    scale on.
    """
    for name in op.inputs if op.type == "Concat" else op.inputs[:1]:
        writer = graph.producer(name)
        while writer is not None and writer.type in _INSIDE:
            writer = graph.producer(writer.inputs[0])
        if writer is None or writer.type not in _SCALED:
            return holds_if(
                False, f"integers from {writer.type if writer else 'outside'}", "a quantized operator"
            )
    return HOLDS


@predicate("nnapi_reshape_without_product")
def reshape_without_product(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Not every reader of the result is a product, so that the Reshape is not left out."""
    readers = graph.consumers(op.outputs[0])
    products = [reader for reader in readers if reader.type in ("Gemm", "MatMul")]
    left_out = bool(products) and len(products) == len(readers) and op.outputs[0] not in graph.outputs
    return holds_if(not left_out, "read by products alone", "another reader")


@predicate("nnapi_resize")
def resize(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Only the two spatial axes change; a reduction divides the size, which 1.19 is the first to ask."""
    data, scales, sizes = dims(graph, op, 0), numbers(graph, op, 2), numbers(graph, op, 3)
    if (
        data is None
        or len(data) != 4
        or any(values is not None and len(values) != 4 for values in (scales, sizes))
    ):
        return HOLDS
    if scales is None and sizes is None:
        return holds_if(False, "neither scales nor sizes", "one of them")
    if scales is None:
        wanted = [int(size) for size in sizes or ()]
        channel = 1 if wanted[1] == data[1] else 3
        return holds_if(
            wanted[0] == data[0] and wanted[channel] == data[channel],
            f"sizes {wanted}",
            "batch and channels unchanged",
        )
    spatial = (2, 3) if scales[1] == 1 else (1, 2)
    rest = [scales[axis] for axis in range(4) if axis not in spatial]
    fits = (
        version_key(context.version) < (1, 19)
        or all(scales[axis] >= 1 for axis in spatial)
        or all(divides(scales[axis], data[axis]) for axis in spatial)
    )
    return holds_if(
        all(scale == 1 for scale in rest) and fits,
        f"scales {scales}",
        "batch and channels unchanged, whole sizes",
    )
