"""TFLite: convolutions over three axes by those over two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..draft import Draft
from ..engine import Miss, Promise, Rewrite
from ..views import sizes
from .operands import integers, reshape

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST = 1 << 26
"""Elements of weights that are stored in another order."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A convolution over depth, height and width: the sizes of its input and result, and its weights."""

    op: Operator
    before: tuple[int, ...]
    after: tuple[int, ...]
    weights: NDArray[Any]


class Conv3dAsConv2d(Rewrite[Volume]):
    """CONV_3D becomes a CONV_2D whose channels are those of the slices that a window reaches."""

    id: ClassVar[str] = "conv-3d-to-2d"
    title: ClassVar[str] = "CONV_3D of one volume becomes CONV_2D of its slices, joined along the channels"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("CONV_3D",)
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = ("ACL201", "ACL401")

    def match(self, graph: Graph, op: Operator) -> Volume | Miss:
        """One volume of known sizes in float32, and stored weights."""
        before, after = (sizes(graph.find(name or "")) for name in (op.inputs[0], op.outputs[0]))
        const = graph.constant(op.inputs[1])
        if before is None or after is None or len(before) != 5:
            return Miss("its sizes are not all known")
        if const is None or const.dtype != "float32" or const.elements > LARGEST:
            return Miss("its weights are computed when the model runs, are not float32, or too large")
        if before[0] != 1:
            return Miss(f"it has {before[0]} volumes")
        if graph.tensor(op.inputs[0] or "").dtype != "float32":
            return Miss("it is not on float32")
        if const.shape[3] != before[4]:
            return Miss("its channels are convolved in parts")
        return Volume(op, before, after, const.read())

    def apply(self, graph: Graph, found: Volume) -> None:
        """Slices of depth as batch."""
        draft, op = Draft(graph, found.op), found.op
        _, depth, height, width, channels = found.before
        taps, kh, kw, _, out = found.weights.shape
        step, apart = int(op.attrs.get("stride_d", 1)), int(op.attrs.get("dilation_d_factor", 1))
        count = found.after[1]
        name = reshape(draft, op.inputs[0] or "", (depth, height, width, channels))
        name = _filled(draft, name, op, (count - 1) * step + (taps - 1) * apart + 1)
        frames = [_frames(draft, name, tap * apart, count, step) for tap in range(taps)]
        wide = (count, height, width, taps * channels)
        name = frames[0]
        if taps > 1:
            name = draft.value("CONCATENATION", frames, "float32", wide, {"axis": 3})
        kernel = found.weights.transpose(4, 1, 2, 0, 3).reshape(out, kh, kw, taps * channels)
        inputs = (name, draft.constant(kernel.copy(), "float32", "weights"), _bias(draft, op, out))
        kept = ("padding", "stride_h", "stride_w", "dilation_h_factor", "dilation_w_factor")
        attrs = {key: op.attrs[key] for key in (*kept, "fused_activation_function") if key in op.attrs}
        name = draft.value("CONV_2D", inputs, "float32", found.after[1:], attrs)
        reshape(draft, name, found.after, to=op.outputs[0])
        draft.commit((op,))


def _bias(draft: Draft, op: Operator, out: int) -> str:
    import numpy as np

    if len(op.inputs) > 2 and op.inputs[2] is not None:
        return op.inputs[2]
    return draft.constant(np.zeros(out, np.float32), "float32", "bias")


def _filled(draft: Draft, name: str, op: Operator, reach: int) -> str:
    """Zeros before and behind the slices, as the padding has them.

    Source: LiteRT, tflite/kernels/padding.h: half of what is missing in front, rounded down.
    """
    source = draft.find(name)
    depth, *rest = sizes(source) or (0,)
    missing = max(reach - depth, 0) if op.attrs.get("padding") == "SAME" else 0
    if not missing:
        return name
    import numpy as np

    first = missing // 2
    widths = draft.constant(np.array([[first, missing - first], [0, 0], [0, 0], [0, 0]], np.int32), "int32")
    return draft.value("PAD", (name, widths), source.dtype, (depth + missing, *rest))


def _frames(draft: Draft, name: str, first: int, count: int, step: int) -> str:
    """Every ``step``-th slice from the first on."""
    source = draft.find(name)
    depth, *rest = sizes(source) or (0,)
    if (first, count, step) == (0, depth, 1):
        return name
    last = first + (count - 1) * step + 1
    zeros = [0] * len(rest)
    bounds = [
        integers(draft, values, "bound")
        for values in ([first, *zeros], [last, *rest], [step, *(1 for _ in rest)])
    ]
    return draft.value("STRIDED_SLICE", (name, *bounds), source.dtype, (count, *rest))


REWRITES = (Conv3dAsConv2d(),)
