"""ONNX: convolutions and pools over windows, in the forms that accelerators take."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..draft import Draft
from ..engine import Promise
from ..views import sizes
from .operands import array_of, floating, integers, reshape, scalar
from .parts import Parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

RANK = ("ACL401", "conv-rank", "pool-rank")


class WindowsOnTwoAxes(Parts):
    """A window over one axis becomes one over two, of which the first has the size 1."""

    id: ClassVar[str] = "windows-on-two-axes"
    title: ClassVar[str] = "A convolution or pool over one axis becomes one over two, the first of size 1"
    root: ClassVar[tuple[str, ...]] = (
        "Conv",
        "ConvTranspose",
        "MaxPool",
        "AveragePool",
        "GlobalMaxPool",
        "GlobalAveragePool",
    )
    answers: ClassVar[tuple[str, ...]] = (*RANK, "ACL201")
    ADDED: ClassVar[dict[str, int]] = {
        "kernel_shape": 1,
        "strides": 1,
        "dilations": 1,
        "output_padding": 0,
        "output_shape": 1,
    }

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """Three dimensions, of which all sizes are known, and so for a weight."""
        shape = sizes(graph.find(op.inputs[0] or ""))
        if shape is None or sizes(graph.find(op.outputs[0] or "")) is None:
            return "its sizes are not all known"
        if len(shape) != 3:
            return f"it has {len(shape)} dimensions, not 3"
        weights = op.inputs[1:2]
        if any(sizes(graph.find(name or "")) is None for name in weights):
            return "the sizes of its weight are not known"
        return None

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """View, window, view."""
        n, c, length = sizes(draft.find(x)) or (0, 0, 0)
        after = sizes(draft.find(op.outputs[0] or "")) or (0, 0, 0)
        inputs: list[str | None] = [reshape(draft, x, (n, c, 1, length)), *op.inputs[1:]]
        if len(inputs) > 1 and inputs[1] is not None:
            out, into, kernel = sizes(draft.find(inputs[1])) or (0, 0, 0)
            inputs[1] = reshape(draft, inputs[1], (out, into, 1, kernel))
        attrs: dict[str, Any] = dict(op.attrs)
        for key, value in self.ADDED.items():
            if attrs.get(key):
                attrs[key] = (value, *attrs[key])
        if attrs.get("pads"):
            attrs["pads"] = (0, attrs["pads"][0], 0, attrs["pads"][1])
        wide = draft.value(op.type, inputs, dtype, (*after[:2], 1, after[2]), attrs)
        return reshape(draft, wide, after)


class TransposedConvAsConv(Parts):
    """A transposed convolution becomes a convolution that computes each stride of the result as channels."""

    id: ClassVar[str] = "transposed-conv-to-conv"
    title: ClassVar[str] = (
        "ConvTranspose becomes Conv with the turned kernel, DepthToSpace for its stride, and Slice"
    )
    root: ClassVar[tuple[str, ...]] = ("ConvTranspose",)
    answers: ClassVar[tuple[str, ...]] = (
        "ACL201",
        "transposed-conv-auto-pad",
        "transposed-conv-pads-differ",
        "transposed-conv-output-padding",
        "transposed-conv-without-pads",
    )

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """Two spatial axes, a stored weight, no dilation, and a result that its windows reach."""
        shape, after = (sizes(graph.find(name or "")) for name in (op.inputs[0], op.outputs[0]))
        if graph.opsets.get("", 1) < 11:
            return "before operator set 11 DepthToSpace has no mode, and Slice may have no inputs"
        if shape is None or after is None or len(shape) != 4 or 0 in (*shape, *after):
            return "it has not two spatial axes of known sizes"
        weight = array_of(graph, op.inputs[1])
        if weight is None or (_present(op, 2) and array_of(graph, op.inputs[2]) is None):
            return "its weight or bias is computed when the model runs"
        if any(step != 1 for step in op.attrs.get("dilations", ())):
            return "it is dilated"
        if op.attrs.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or op.attrs.get("output_shape"):
            return "its pads follow from the size of its result"
        strides = _pair(op, "strides")
        if strides[0] != strides[1] and (strides[0] != 1 or shape[2] != 1 or weight.shape[2] != 1):
            return f"its strides {list(strides)} differ"
        taps = [ceil(k / s) for k, s in zip(weight.shape[2:], strides, strict=True)]
        begin = _pads(op)[:2]
        for size, tap, stride, first, length in zip(shape[2:], taps, strides, begin, after[2:], strict=True):
            if first + length > (size + tap - 1) * stride:
                return "its output padding is beyond the last window"
        return None

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """The result at stride * q + r is the convolution with every stride-th weight from r on."""
        weight = array_of(draft.graph, op.inputs[1])
        assert weight is not None
        n, _, height, width = sizes(draft.find(x)) or (0, 0, 0, 0)
        strides, lanes = _pair(op, "strides"), int(op.attrs.get("group", 1))
        kernel, taps = _phases(weight, strides, lanes)
        inputs: list[str | None] = [x, draft.constant(kernel, dtype, "kernel")]
        if _present(op, 2):
            bias = array_of(draft.graph, op.inputs[2])
            assert bias is not None
            count = strides[0] * strides[1]
            inputs.append(draft.constant(bias.repeat(count) if lanes > 1 else _tiled(bias, count), dtype))
        made = (n, kernel.shape[0], height + taps[0] - 1, width + taps[1] - 1)
        pads = (taps[0] - 1, taps[1] - 1) * 2
        attrs: dict[str, Any] = {"kernel_shape": taps, "pads": pads, "strides": (1, 1), "group": lanes}
        name = draft.value("Conv", inputs, dtype, made, attrs)
        name = _spread(draft, name, made, strides, "CRD" if lanes > 1 else "DCR")
        begin = _pads(op)[:2]
        after = sizes(draft.find(op.outputs[0] or "")) or ()
        if (begin, after[2:]) == ((0, 0), (sizes(draft.find(name)) or ())[2:]):
            return name
        ends = [first + length for first, length in zip(begin, after[2:], strict=True)]
        bounds = [integers(draft, values, "bound") for values in (begin, ends, (2, 3))]
        return draft.value("Slice", (name, *bounds), dtype, after)


def _phases(
    weight: NDArray[Any], strides: tuple[int, int], lanes: int
) -> tuple[NDArray[Any], tuple[int, int]]:
    """The weights [outputs * strides, inputs, taps, taps] of the convolution, and its taps.

    The phase varies slowest (DCR) without groups, and fastest (CRD) with them, as DepthToSpace reads it.
    """
    import numpy as np

    into, out, kh, kw = weight.shape
    (sh, sw), taps = strides, (ceil(kh / strides[0]), ceil(kw / strides[1]))
    full = np.zeros((into, out, taps[0] * sh, taps[1] * sw), weight.dtype)
    full[:, :, :kh, :kw] = weight
    sides = full.reshape(lanes, into // lanes, out, taps[0], sh, taps[1], sw)[:, :, :, ::-1, :, ::-1]
    # group, input, output, tap, phase, tap, phase
    order = (0, 2, 4, 6, 1, 3, 5) if lanes > 1 else (4, 6, 0, 2, 1, 3, 5)
    turned = sides.transpose(order)
    return np.ascontiguousarray(turned.reshape(lanes * out * sh * sw, into // lanes, *taps)), taps


def _spread(draft: Draft, name: str, made: tuple[int, ...], strides: tuple[int, int], mode: str) -> str:
    """Channels that are phases, in their places."""
    n, channels, height, width = made
    (sh, sw), dtype = strides, draft.find(name).dtype
    out = channels // (sh * sw)
    if sh == sw == 1:
        return name
    if sh == sw:
        attrs = {"blocksize": sh, "mode": mode}
        return draft.value("DepthToSpace", (name,), dtype, (n, out, height * sh, width * sw), attrs)
    view = (n, out, sw, width) if mode == "CRD" else (n, sw, out, width)
    order = (0, 1, 3, 2) if mode == "CRD" else (0, 2, 3, 1)
    flat = reshape(draft, name, view)
    moved = draft.value("Transpose", (flat,), dtype, (n, out, width, sw), {"perm": order})
    return reshape(draft, moved, (n, out, 1, width * sw))


class PoolWithoutCeil(Parts):
    """A pool whose size is rounded up has its last window in explicit padding instead."""

    id: ClassVar[str] = "pool-without-ceil"
    title: ClassVar[str] = "A pool whose result is rounded up gets the padding that its last window reaches"
    root: ClassVar[tuple[str, ...]] = ("MaxPool", "AveragePool")
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("pool-ceil-mode", "ACL501")

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """Explicit pads that do not count, and windows that begin inside of the data."""
        if not op.attrs.get("ceil_mode"):
            return "its size is rounded down already"
        if op.attrs.get("auto_pad", "NOTSET") != "NOTSET" or op.attrs.get("count_include_pad"):
            return "its pads are automatic, or count"
        ends = _ends(graph, op)
        if ends is None:
            return "its sizes are not all known"
        rank = len(ends)
        kernel = op.attrs.get("kernel_shape", ())
        if any(end >= size for end, size in zip(ends, kernel, strict=True)):
            return "its last window lies in the padding"
        return None if rank else "it has no axes"

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """The same windows."""
        ends = _ends(draft.graph, op) or ()
        begins = tuple(op.attrs.get("pads", (0,) * 2 * len(ends)))[: len(ends)]
        attrs = {**op.attrs, "pads": (*begins, *ends)}
        attrs.pop("ceil_mode")
        return draft.value(op.type, op.inputs, dtype, draft.find(op.outputs[0] or "").shape, attrs)


def _ends(graph: Graph, op: Operator) -> tuple[int, ...] | None:
    """Padding behind each axis with which a size that is rounded down is the stated one."""
    before, after = (sizes(graph.find(name or "")) for name in (op.inputs[0], op.outputs[0]))
    kernel = op.attrs.get("kernel_shape", ())
    if before is None or after is None or len(before) != len(kernel) + 2:
        return None
    count = len(kernel)
    steps = op.attrs.get("strides") or (1,) * count
    wide = op.attrs.get("dilations") or (1,) * count
    pads = op.attrs.get("pads") or (0,) * 2 * count
    found = []
    for axis in range(count):
        reach = (after[axis + 2] - 1) * steps[axis] + (kernel[axis] - 1) * wide[axis] + 1
        found.append(max(reach - before[axis + 2] - pads[axis], 0))
    return tuple(int(end) for end in found)


class PoolOnPadded(Parts):
    """An average that counts its padding becomes one of padded data."""

    id: ClassVar[str] = "pool-on-padded"
    title: ClassVar[str] = "AveragePool that counts its padding becomes Pad with zeros and AveragePool"
    root: ClassVar[tuple[str, ...]] = ("AveragePool",)
    answers: ClassVar[tuple[str, ...]] = ("pool-count-include-pad", "ACL501")

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """Explicit pads, known sizes, rounded down."""
        if not op.attrs.get("count_include_pad"):
            return "its padding does not count"
        if op.attrs.get("auto_pad", "NOTSET") != "NOTSET" or op.attrs.get("ceil_mode"):
            return "its pads are automatic, or its size is rounded up"
        if graph.opsets.get("", 1) < 11:
            return "before operator set 11 the widths of Pad are no inputs"
        return None if sizes(graph.find(op.inputs[0] or "")) is not None else "its sizes are not all known"

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """Pad, then average all of it; only the average where there are no pads."""
        shape = sizes(draft.find(x)) or ()
        count = len(shape) - 2
        pads = tuple(op.attrs.get("pads") or (0,) * 2 * count)
        attrs = {key: value for key, value in op.attrs.items() if key not in ("pads", "count_include_pad")}
        if any(pads):
            grown = zip(shape[2:], pads[:count], pads[count:], strict=True)
            wide = (*shape[:2], *(size + first + last for size, first, last in grown))
            widths = integers(draft, (0, 0, *pads[:count], 0, 0, *pads[count:]), "pads")
            x = draft.value("Pad", (x, widths, scalar(draft, 0.0, dtype)), dtype, wide)
        return draft.value("AveragePool", (x,), dtype, draft.find(op.outputs[0] or "").shape, attrs)


class BatchNormAsAffine(Parts):
    """A batch normalization becomes a product and a sum for each channel."""

    id: ClassVar[str] = "batch-norm-to-affine"
    title: ClassVar[str] = "BatchNormalization becomes Mul and Add with one constant for each channel"
    root: ClassVar[tuple[str, ...]] = ("BatchNormalization",)
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL401", "batch-norm-rank")

    def guard(self, graph: Graph, op: Operator) -> str | None:
        """Inference, with stored statistics."""
        if op.attrs.get("training_mode") or op.attrs.get("spatial", 1) != 1 or op.version < 7:
            return "it is in training mode, or not by channels"
        if floating(graph, op) != "float32":
            return "it is not on float32"
        stored = [array_of(graph, name) for name in op.inputs[1:5]]
        return None if all(array is not None for array in stored) else "its statistics are computed"

    def build(self, draft: Draft, x: str, op: Operator, dtype: str) -> str:
        """Scale and offset are worked out in float64."""
        import numpy as np

        rank = len(draft.find(x).shape or ())
        stored = [array_of(draft.graph, name) for name in op.inputs[1:5]]
        scale, bias, mean, variance = (np.asarray(array, np.float64) for array in stored)
        factor = scale / np.sqrt(variance + float(op.attrs.get("epsilon", 1e-5)))
        shape = (len(factor), *(1,) * max(rank - 2, 0))
        known = draft.find(x).shape
        for type, values in (("Mul", factor), ("Add", bias - mean * factor)):
            stem = "scale" if type == "Mul" else "offset"
            constant = draft.constant(values.reshape(shape).astype(dtype), dtype, stem)
            x = draft.value(type, (x, constant), dtype, known)
        return x


def _pair(op: Operator, name: str) -> tuple[int, int]:
    first, second = op.attrs.get(name) or (1, 1)
    return int(first), int(second)


def _pads(op: Operator) -> tuple[int, ...]:
    return tuple(int(pad) for pad in op.attrs.get("pads") or (0, 0, 0, 0))


def _present(op: Operator, index: int) -> bool:
    return len(op.inputs) > index and op.inputs[index] is not None


def _tiled(array: NDArray[Any], times: int) -> NDArray[Any]:
    import numpy as np

    return np.tile(array, times)


REWRITES = (
    WindowsOnTwoAxes(),
    TransposedConvAsConv(),
    PoolWithoutCeil(),
    PoolOnPadded(),
    BatchNormAsAffine(),
)
