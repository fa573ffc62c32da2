"""Conditions of ONNX Runtime's CoreML provider that are computed: shapes against values, and the operators
of a Cast.
"""

from __future__ import annotations

from math import prod

from ...analyzer.ir.graph import Graph, Operator
from ..conditions import HOLDS, Context, Outcome
from ..subjects import constant_values
from . import holds_if, predicate


def numbers(graph: Graph, op: Operator, index: int) -> list[float] | None:
    """The values of a constant input; None when it is omitted, computed or empty."""
    name = op.inputs[index] if index < len(op.inputs) else None
    constant = graph.constant(name)
    return None if constant is None or constant.elements == 0 else constant_values(constant)


def dims(graph: Graph, op: Operator, index: int) -> tuple[int | str | None, ...] | None:
    """The shape of an input."""
    tensors = graph.input_tensors(op)
    tensor = tensors[index] if index < len(tensors) else None
    return None if tensor is None else tensor.shape


@predicate("coreml_ep_cast_of_argmax")
def cast_of_argmax(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The producer is a supported ArgMax: of float32, of the first index, read by this Cast only."""
    writer = graph.producer(op.inputs[0])
    if writer is None or writer.type != "ArgMax":
        return holds_if(False, f"producer {writer.type if writer else 'none'}", "ArgMax")
    source = graph.find(writer.inputs[0] or "")
    fits = source is not None and source.dtype == "float32" and not writer.attrs.get("select_last_index", 0)
    return holds_if(
        fits and _one_reader_or_no_cast(graph, writer),
        "an ArgMax that is not supported",
        "ArgMax of float32, read once",
    )


@predicate("coreml_ep_argmax_readers")
def argmax_readers(graph: Graph, op: Operator, context: Context) -> Outcome:
    """A Cast to int32 is the only reader of the result."""
    return holds_if(
        _one_reader_or_no_cast(graph, op),
        "a Cast to int32 and other readers",
        "one reader, or no Cast to int32",
    )


def _one_reader_or_no_cast(graph: Graph, op: Operator) -> bool:
    readers = graph.consumers(op.outputs[0])
    casts = [
        reader
        for reader in readers
        if reader.type == "Cast"
        and (result := graph.find(reader.outputs[0] or ""))
        and result.dtype == "int32"
    ]
    return sum(reader.inputs.count(op.outputs[0]) for reader in readers) <= 1 or not casts


@predicate("coreml_ep_prelu_slope")
def prelu_slope(graph: Graph, op: Operator, context: Context) -> Outcome:
    """One value for a known number of channels over 1, or one value a channel in the shape [C, 1, 1]."""
    slope, data = dims(graph, op, 1), dims(graph, op, 0)
    if slope is None or data is None or len(data) < 3:
        return HOLDS
    channels = data[-3]
    single = prod(dim for dim in slope if isinstance(dim, int)) == 1
    fits = isinstance(channels, int) and (
        channels != 1 if single else len(slope) == 3 and slope[1:] == (1, 1)
    )
    return holds_if(fits, f"slope {list(slope)} for {channels} channels", "[C, 1, 1] or one value")


@predicate("coreml_ep_kernel_shape")
def kernel_shape(graph: Graph, op: Operator, context: Context) -> Outcome:
    """``kernel_shape``, where given, is the weight's."""
    weight, given = dims(graph, op, 1), op.attrs.get("kernel_shape")
    if weight is None or given is None:
        return HOLDS
    return holds_if(tuple(given) == tuple(weight[2:]), f"kernel_shape {list(given)}", f"{list(weight[2:])}")


@predicate("coreml_ep_same_pads")
def same_pads(graph: Graph, op: Operator, context: Context) -> Outcome:
    """With explicit padding, all pads are equal."""
    pads = op.attrs.get("pads", ())
    explicit = op.attrs.get("auto_pad", "NOTSET") in ("NOTSET", b"NOTSET")
    return holds_if(not explicit or len(set(pads)) <= 1, f"pads {list(pads)}", "all the same")


@predicate("coreml_ep_gemm_addend")
def gemm_addend(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The addend has the shape [], [1], [N] or [1, N]."""
    addend, weight = dims(graph, op, 2), dims(graph, op, 1)
    if addend is None or weight is None:
        return HOLDS
    columns = weight[0] if op.attrs.get("transB") else weight[-1]
    return holds_if(
        addend in ((), (1,), (columns,), (1, columns)),
        f"addend {list(addend)}",
        f"[], [1], [{columns}] or [1, {columns}]",
    )


@predicate("coreml_ep_gather_rank")
def gather_rank(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Rank of the data plus rank of the indices less one is at most 5; a single index counts as one
    dimension.
    """
    data, indices = dims(graph, op, 0), dims(graph, op, 1)
    if data is None or indices is None:
        return HOLDS
    rank = len(data) + max(len(indices), 1) - 1
    return holds_if(rank <= 5, f"{rank} dimensions", "at most 5")


@predicate("coreml_ep_pads_last_two")
def pads_last_two(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Only the last two axes are padded, and a reflection is smaller than its axis, whose size is known."""
    pads, data, axes = numbers(graph, op, 1), dims(graph, op, 0), numbers(graph, op, 3)
    if pads is None or data is None:
        return HOLDS
    rank, half = len(data), len(pads) // 2
    places = [int(axis) % rank for axis in axes] if axes else list(range(rank))
    amounts = {axis: (pads[index], pads[index + half]) for index, axis in enumerate(places) if index < half}
    outside = [axis for axis, amount in amounts.items() if any(amount) and axis < rank - 2]
    if outside or op.attrs.get("mode", "constant") not in ("reflect", b"reflect"):
        return holds_if(not outside, f"pads along axes {outside}", "the last two axes")
    large = [
        axis
        for axis, amount in amounts.items()
        if not isinstance(size := data[axis], int) or max(amount) >= size
    ]
    return holds_if(
        not large, f"a reflection along axes {large} of {list(data)}", "less than the size of the axis"
    )


@predicate("coreml_ep_shape_end")
def shape_end(graph: Graph, op: Operator, context: Context) -> Outcome:
    """``start`` and ``end`` lie in [-rank, rank - 1], the range that the provider's axis check allows; a
    scalar has no axis 0.
    """
    data = dims(graph, op, 0)
    if data is None:
        return HOLDS
    rank = len(data)
    given = [int(op.attrs.get("start", 0)), *(int(op.attrs[name]) for name in ("end",) if name in op.attrs)]
    bad = [value for value in given if not -rank <= value < rank]
    return holds_if(
        not bad, f"start or end {bad[0] if bad else ''} for {rank} dimensions", f"{-rank}..{rank - 1}"
    )


@predicate("coreml_ep_shape_of_axes")
def shape_of_axes(graph: Graph, op: Operator, context: Context) -> Outcome:
    """``start`` and ``end`` differ once they count from the front."""
    data = dims(graph, op, 0)
    if not data:
        return HOLDS
    start, end = (int(op.attrs.get(name, default)) for name, default in (("start", 0), ("end", len(data))))
    same = (start + len(data) if start < 0 else start) == (end + len(data) if end < 0 else end)
    return holds_if(not same, f"axes {start} to {end} of {len(data)}", "different ones")


@predicate("coreml_ep_indexed_axes")
def indexed_axes(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The axes of the data that an index tuple addresses have known sizes."""
    data, indices = dims(graph, op, 0), dims(graph, op, 1)
    if data is None or indices is None:
        return HOLDS
    depth = indices[-1] if indices else None
    fits = (
        isinstance(depth, int) and depth <= len(data) and all(isinstance(size, int) for size in data[:depth])
    )
    return holds_if(fits, f"{depth} axes of {list(data)}", "known sizes")


@predicate("coreml_ep_slice_range")
def slice_range(graph: Graph, op: Operator, context: Context) -> Outcome:
    """No axis is sliced to nothing."""
    data, starts, ends = dims(graph, op, 0), numbers(graph, op, 1), numbers(graph, op, 2)
    if data is None or starts is None or ends is None:
        return HOLDS
    axes = numbers(graph, op, 3) or list(range(len(starts)))
    steps = numbers(graph, op, 4) or [1] * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=False):
        size = data[int(axis)] if -len(data) <= axis < len(data) else None
        if isinstance(size, int) and not len(
            range(*slice(int(start), int(end), int(step or 1)).indices(size))
        ):
            return holds_if(False, f"[{start}, {end}) by {step} of {size}", "at least one element")
    return HOLDS


@predicate("coreml_ep_split_even")
def split_even(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The sizes add up to the axis; without sizes the axis is divisible (before operator set 18) or long
    enough, and known.
    """
    data = dims(graph, op, 0)
    axis = int(op.attrs.get("axis", 0))
    size = data[axis] if data and -len(data) <= axis < len(data) else None
    sizes = numbers(graph, op, 1) or op.attrs.get("split")
    parts = len(op.outputs)
    if not isinstance(size, int):
        return holds_if(False, f"axis {axis} of unknown size", "a known size")
    if sizes:
        return holds_if(
            sum(sizes) == size and 0 not in sizes,
            f"parts of {list(sizes)} of {size}",
            "positive parts of the whole",
        )
    if op.version >= 18:
        count = int(op.attrs.get("num_outputs", 0))
        return holds_if(
            count == parts <= size,
            f"num_outputs {count} for {parts} parts of {size}",
            "as many parts, none of them empty",
        )
    return holds_if(size % parts == 0, f"{size} in {parts} parts", "equal parts")


@predicate("coreml_ep_resize_scales")
def resize_scales(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Only the last two axes change; up by whole factors, or (ML Program) down to whole sizes."""
    from .coreml_ep_resize import judged

    data = dims(graph, op, 0)
    if data is None or len(data) < 3:
        return HOLDS
    scales, sizes = numbers(graph, op, 2), numbers(graph, op, 3)
    problem = judged(data, scales, sizes, op, context.parameters.get("format") == "MLProgram")
    return holds_if(problem is None, problem or "", "")
