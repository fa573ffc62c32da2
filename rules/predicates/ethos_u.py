"""Predicates of ``litert/ethos-u``: shapes, paddings and sums that Vela's compiler core computes before it
takes an operator.

Read from ``ethosu/regor/tflite/tflite_supported_operators*.cpp`` of Vela. A dynamic first dimension counts as
1, as Vela sets it.
"""

from __future__ import annotations

from math import prod

from ...analyzer.ir.graph import Graph, Operator, Tensor
from ...analyzer.ir.match import Scope
from ..conditions import HOLDS, Context, Outcome
from ..subjects import UNKNOWN, constant_values
from ..verdict import Answer
from . import holds_if, predicate

_MOST = 1 << 16
_LAST3 = ([1, 0, 2], [0, 2, 1], [2, 0, 1], [1, 2, 0], [2, 1, 0])


def _shape(tensor: Tensor | None, rank: int = 0) -> list[int] | None:
    """Static sizes, padded with 1 at the front to ``rank``; None when one is not known."""
    if tensor is None or tensor.shape is None:
        return None
    sizes = [1 if axis == 0 and not isinstance(size, int) else size for axis, size in enumerate(tensor.shape)]
    known = [size for size in sizes if isinstance(size, int)]
    return [1] * (rank - len(known)) + known if len(known) == len(sizes) else None


def _input(graph: Graph, op: Operator, index: int) -> Tensor | None:
    tensors = graph.input_tensors(op)
    return tensors[index] if index < len(tensors) else None


def _values(graph: Graph, op: Operator, index: int) -> list[int] | None:
    name = op.inputs[index] if index < len(op.inputs) else None
    constant = graph.constant(name) if name is not None else None
    values = constant_values(constant) if constant is not None else [UNKNOWN]
    return None if values == [UNKNOWN] else [int(str(value)) for value in values]


def _between(begin: int, size: int, stride: int, kernel: int) -> bool:
    """Whether SAME padding of one axis is zero."""
    return max((-(-size // stride) - 1) * stride + kernel - size, 0) == begin


@predicate("vela_pads")
def vela_pads(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The operator's kernel is padded: SAME padding that comes out as more than zero."""
    shape = _shape(_input(graph, op, 0), 4)
    kernel = [op.attrs.get("filter_height", 1), op.attrs.get("filter_width", 1)]
    if op.type == "CONV_2D":
        kernel = (_shape(_input(graph, op, 1), 4) or [0, 0, 0, 0])[1:3]
    if op.attrs.get("padding", "SAME") != "SAME":
        return holds_if(False, "VALID", "padding")
    if shape is None:
        return holds_if(None, "unknown size", "padding")
    dilation = [op.attrs.get("dilation_h_factor", 1), op.attrs.get("dilation_w_factor", 1)]
    stride = [max(int(op.attrs.get(name, 1)), 1) for name in ("stride_h", "stride_w")]
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    fits = all(_between(0, shape[-3 + axis], stride[axis], reach[axis]) for axis in (0, 1))
    return holds_if(not fits, "SAME", "padding")


@predicate("vela_weight_sum")
def vela_weight_sum(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The magnitudes of one output channel's weights, less the zero point, sum to at most 127 * 2^16 (2^24 on
    U85 with 16-bit inputs).
    """
    weights, data = _input(graph, op, 1), _input(graph, op, 2 if op.type == "TRANSPOSE_CONV" else 0)
    constant = None if weights is None else graph.constant(weights.name)
    if weights is None or constant is None:
        return holds_if(True, "", "")
    limit = 127 * (
        (1 << 24)
        if context.parameters.get("core") == "u85" and data is not None and data.dtype == "int16"
        else _MOST
    )
    depthwise = op.type == "DEPTHWISE_CONV_2D"
    channels = constant.shape[-1] if depthwise else constant.shape[0] if constant.shape else 1
    if weights.dtype not in ("int8", "uint8") or 255 * constant.elements // max(channels, 1) < limit:
        return holds_if(True, "", "")
    zero = list(weights.quant.zero_point) if weights.quant is not None and weights.quant.zero_point else [0]
    array = (
        constant.read().astype("int64").reshape(-1, channels)
        if depthwise
        else constant.read().astype("int64").reshape(channels, -1).T
    )
    most = int(abs(array - (zero if len(zero) > 1 else zero[0])).sum(axis=0).max())
    return holds_if(most <= limit, f"sum {most}", str(limit))


@predicate("vela_transposed_size")
def vela_transposed_size(graph: Graph, op: Operator, context: Context) -> Outcome:
    """TRANSPOSE_CONV: the result is as large as the input times the stride, with VALID padding plus what the
    kernel reaches over.
    """
    data, kernel, result = (
        _shape(_input(graph, op, 2), 4),
        _shape(_input(graph, op, 1), 4),
        _shape(graph.output_tensors(op)[0], 4),
    )
    if data is None or kernel is None or result is None:
        return holds_if(None, "unknown size", "input times stride")
    stride = [op.attrs.get("stride_h", 1), op.attrs.get("stride_w", 1)]
    over = [
        max(kernel[1 + axis] - stride[axis], 0) if op.attrs.get("padding", "SAME") != "SAME" else 0
        for axis in (0, 1)
    ]
    wanted = [data[1 + axis] * stride[axis] + over[axis] for axis in (0, 1)]
    return holds_if(result[1:3] == wanted, f"{result[1]}x{result[2]}", f"{wanted[0]}x{wanted[1]}")


@predicate("vela_mean")
def vela_mean(graph: Graph, op: Operator, context: Context) -> Outcome:
    """MEAN: a batch of 1; depth with one of H, W and C of 1; no axis over 4096; no more elements than the
    dtype allows.
    """
    tensor, shape, axes = _input(graph, op, 0), _shape(_input(graph, op, 0), 4), _values(graph, op, 1)
    if tensor is None or tensor.rank is None or shape is None or axes is None:
        return holds_if(None, "unknown size", "a batch of 1")
    reduced = {axis % max(tensor.rank, 1) + len(shape) - tensor.rank for axis in axes}
    words = f"axes {axes} of {'x'.join(map(str, shape))}"
    if len(shape) > 4 or shape[0] > 1:
        return holds_if(False, words, "a batch of 1")
    if 3 in reduced and 1 not in shape[1:]:
        return holds_if(False, words, "depth only where H, W or C is 1")
    most = {"int8": 1 << 24, "uint8": 1 << 23, "int16": 1 << 16}.get(tensor.dtype, 0)
    return holds_if(
        all(shape[axis] <= 4096 for axis in reduced)
        and prod(shape[axis] for axis in reduced) <= (most or 1 << 62),
        words,
        str(most),
    )


def _factor(old: int, new: int, align: bool) -> float:
    if align:
        return 1.0 if new == 1 else (new - 1) / (old - 1) if old > 1 else float("inf")
    return new / old if old else 0.0


def _scales(graph: Graph, op: Operator) -> tuple[list[int], list[int], list[float]] | None:
    """Sizes of the input and of the result (height and width), and the factors between them."""
    data, result = _shape(_input(graph, op, 0), 4), _shape(graph.output_tensors(op)[0], 4)
    if data is None or result is None:
        return None
    align = bool(op.attrs.get("align_corners", False))
    pairs = list(zip(data[1:3], result[1:3], strict=True))
    factors = [_factor(old, new, align) for old, new in pairs]
    return data[1:3], result[1:3], factors


@predicate("vela_resize")
def vela_resize(graph: Graph, op: Operator, context: Context) -> Outcome:
    """U55 and U65: from 1x1, or by 2, 4 or 8 (2 with half pixel centers) on both axes, or on one where the
    other has size 1.
    """
    found = _scales(graph, op)
    if found is None:
        return holds_if(None, "unknown size", "2, 4 or 8")
    old, new, (high, wide) = found
    half = op.type == "RESIZE_BILINEAR" and bool(op.attrs.get("half_pixel_centers", False))
    words = f"{old[0]}x{old[1]} to {new[0]}x{new[1]}"
    if old == [1, 1] or old == new:
        return holds_if(old == [1, 1] or not half, words, "another size with half pixel centers")
    if high != wide and (half or not ((new[0] == 1 and high == 1) or (new[1] == 1 and wide == 1))):
        return holds_if(False, words, "one factor for height and width")
    return holds_if(max(high, wide) in ((2,) if half else (2, 4, 8)), words, "2" if half else "2, 4 or 8")


@predicate("vela_resize_u85")
def vela_resize_u85(graph: Graph, op: Operator, context: Context) -> Outcome:
    """U85: factors up to 1024 (2048 with aligned corners); bilinear ones are powers of two unless the input
    is 1x1.
    """
    data, result = _shape(_input(graph, op, 0), 4), _shape(graph.output_tensors(op)[0], 4)
    if data is None or result is None:
        return holds_if(None, "unknown size", "a power of two")
    align = bool(op.attrs.get("align_corners", False))
    half = bool(op.attrs.get("half_pixel_centers", False)) or (op.type != "RESIZE_BILINEAR" and not align)
    for old, new in zip(data[1:3], result[1:3], strict=True):
        top, bottom = (new - 1, old - 1) if align and old > 1 else (new, old)
        words = f"{top}/{bottom}"
        if not top or not bottom or top // bottom > (1024 if half else 2048):
            return holds_if(False, words, "1024" if half else "2048")
        if (
            op.type == "RESIZE_BILINEAR"
            and data[1:3] != [1, 1]
            and (top % bottom or (top // bottom) & (top // bottom - 1))
        ):
            return holds_if(False, words, "a power of two")
    return holds_if(True, "", "a power of two")


def _last_three(order: list[int]) -> list[int] | None:
    """How height, width and depth are exchanged; None when another axis moves."""
    rank = max(len(order), 4)
    full = [*range(rank - len(order)), *(axis + rank - len(order) for axis in order)]
    return [axis - rank + 3 for axis in full[rank - 3 :]] if full[: rank - 3] == [*range(rank - 3)] else None


@predicate("vela_transpose")
def vela_transpose(graph: Graph, op: Operator, context: Context) -> Outcome:
    """U55 and U65: 8- and 16-bit data of any order within 2^16 along each axis; 32-bit data only with H and W
    or W and C exchanged.
    """
    tensor, order = _input(graph, op, 0), _values(graph, op, 1)
    shape = _shape(tensor)
    if tensor is None or shape is None or order is None or len(order) != len(shape):
        return holds_if(None, "unknown size", "2^16")
    moved, words = order != sorted(order), f"order {order} of {'x'.join(map(str, shape))}"
    last, sizes = _last_three(order), [1] * (4 - len(shape)) + shape
    if tensor.dtype == "int32":
        known = last == [0, 2, 1] or (last == [1, 0, 2] and sizes[0] == 1)
        return holds_if(
            len(shape) <= 4 and (known if moved else sizes[-1] <= 1 << 15),
            words,
            "H and W, or W and C, exchanged",
        )
    if not moved or (prod(shape[:-3]) == 1 and last in _LAST3):
        return holds_if(not moved or max(shape) <= _MOST, words, "2^16 along each axis")
    pairs = [shape[one] * shape[two] for one in range(len(shape)) for two in range(one + 1, len(shape))]
    return holds_if(
        not prod(shape) or prod(shape) // min(pairs) <= _MOST, words, "2^16 elements along any rank - 2 axes"
    )


@predicate("vela_strides")
def vela_strides(graph: Graph, op: Operator, context: Context) -> Outcome:
    """STRIDED_SLICE: strides other than 1 only along height and width, none negative."""
    strides, tensor = _values(graph, op, 3), _input(graph, op, 0)
    if strides is None or tensor is None or tensor.rank is None:
        return holds_if(None, "unknown strides", "height and width")
    ellipsis, axes, axis = int(op.attrs.get("ellipsis_mask", 0)), [1] * tensor.rank, 0
    for index, stride in enumerate(strides):
        if ellipsis >> index & 1:
            axis = tensor.rank - (len(strides) - index - 1)
        elif axis < tensor.rank:
            axes[axis], axis = stride, axis + 1
    outside = [stride for index, stride in enumerate(axes) if index - tensor.rank not in (-3, -2)]
    return holds_if(
        prod(outside) == 1 and min(axes, default=1) >= 0, f"strides {strides}", "height and width"
    )


@predicate("vela_no_boolean_interface")
def vela_no_boolean_interface(graph: Graph, op: Operator, context: Context) -> Outcome:
    """U55 and U65: no boolean input or result of the graph is read or written, which Vela would convert on
    the accelerator.
    """
    outer = {*graph.inputs, *graph.outputs}
    found = [
        item
        for item in (*graph.input_tensors(op), *graph.output_tensors(op))
        if item is not None and item.name in outer
    ]
    named = next(
        (
            item.name
            for item in found
            if item.dtype == "bool" and item.rank != 0 and graph.constant(item.name) is None
        ),
        "",
    )
    return holds_if(not named, f"{named!r} is boolean", "no boolean input or result")


@predicate("vela_kernel_area")
def vela_kernel_area(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Pooling kernels, those of averages without padding, have at most 256 * 256 elements."""
    height, width = int(op.attrs.get("filter_height", 0)), int(op.attrs.get("filter_width", 0))
    return holds_if(height * width <= _MOST, f"{height}x{width}", str(_MOST))


@predicate("vela_joined_sizes")
def vela_joined_sizes(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Joined tensors have the sizes of the result but along the axis; a dynamic dimension is stored as 1 in
    the file, and is compared as that.
    """
    result = _stored_sizes(graph.output_tensors(op)[0])
    axis = int(op.attrs.get("axis", 0))
    for tensor in graph.input_tensors(op):
        sizes = _stored_sizes(tensor)
        if result is None or sizes is None or len(sizes) != len(result):
            continue
        differing = [
            place for place, size in enumerate(sizes) if size != result[place] and place != axis % len(sizes)
        ]
        if differing:
            return holds_if(False, f"sizes {sizes} joined along axis {axis}", f"{result} but for that axis")
    return HOLDS


def _stored_sizes(tensor: Tensor | None) -> list[int] | None:
    if tensor is None or tensor.shape is None:
        return None
    return [size if isinstance(size, int) else 1 for size in tensor.shape]


@predicate("vela_softmax_rows")
def vela_softmax_rows(graph: Graph, op: Operator, context: Context) -> Outcome:
    """SOFTMAX: height times width is at most 2^16."""
    shape = _shape(_input(graph, op, 0), 4)
    if shape is None:
        return holds_if(None, "unknown size", str(_MOST))
    return holds_if(shape[-3] * shape[-2] <= _MOST, f"{shape[-3]}x{shape[-2]}", str(_MOST))


@predicate("vela_fixed_sizes")
def vela_fixed_sizes(graph: Graph, op: Operator, context: Context) -> Outcome:
    """Inputs and results have a known rank and no dynamic dimension but the first."""
    for tensor in (*graph.input_tensors(op), *graph.output_tensors(op)):
        if tensor is None:
            continue
        if tensor.shape is None or any(not isinstance(size, int) for size in tensor.shape[1:]):
            return holds_if(False, f"shape {tensor.shape} of {tensor.name!r}", "the first dimension")
    return holds_if(True, "", "the first dimension")


@predicate("vela_input_slots")
def vela_input_slots(graph: Graph, op: Operator, context: Context, slots: int) -> Outcome:
    """The operator stores this many inputs, omitted ones counted."""
    return holds_if(len(op.inputs) == slots, f"{len(op.inputs)} inputs", f"{slots} inputs")


@predicate("vela_slice_apart")
def vela_slice_apart(graph: Graph, op: Operator, context: Context) -> Outcome:
    """No input is a slice that is read twice, unless a walk back from the results, last first, comes to it
    through this operator.
    """
    limit = "slices for this operator only"
    for name in dict.fromkeys(op.inputs):
        writer = graph.producer(name) if name is not None else None
        if writer is None or writer.type not in ("SLICE", "STRIDED_SLICE"):
            continue
        reads = Scope(graph).uses(name)
        if reads > 1 and (op.inputs.count(name) > 1 or _first_reader(graph, name, context) != op.id):
            return holds_if(False, f"{name!r} is a slice that is read {reads} times", limit)
    return holds_if(True, "", limit)


def _first_reader(graph: Graph, wanted: str | None, context: Context) -> str:
    """The operator through which Vela's walk (from the last result, last input first) comes to a tensor;
    means on the CPU do not count.
    """
    waiting: list[tuple[str | None, str]] = [(name, "") for name in graph.outputs]
    seen: set[str] = set()
    while waiting:
        name, reader = waiting.pop()
        if name == wanted and reader != "MEAN":
            return reader
        writer = graph.producer(name) if name is not None else None
        if writer is not None and writer.id not in seen:
            seen.add(writer.id)
            host = writer.type == "MEAN" and vela_mean(graph, writer, context).answer is Answer.FAILS
            waiting += [(item, writer.type if host else writer.id) for item in writer.inputs]
    return ""
