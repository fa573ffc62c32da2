"""Convolutions with kernels and strides that the Neural Engine does not have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..engine import Miss, Promise, Rewrite
from .operands import (
    MilDraft,
    binary,
    given,
    numbers,
    pad,
    reshape,
    result,
    setting,
    shape_of,
    take,
    transpose,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDE, HIGH = 13, 31
"""Columns that every chip's kernels have, and rows."""
PARTS = 40
"""As many convolutions one may become."""


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution whose sizes are known; one of one dimension has rows of 1."""

    op: Operator
    x: str
    weight: str
    bias: str | None
    input: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    split: int
    output: tuple[int, ...]


def conv_of(graph: Graph, op: Operator) -> Conv | Miss:
    """The convolution, or why it is left alone."""
    x, weight = given(op, "x"), given(op, "weight")
    before, kernel, after = shape_of(graph, x), shape_of(graph, weight), shape_of(graph, result(op))
    if x is None or weight is None or before is None or kernel is None or after is None:
        return Miss("its sizes are not all known")
    if graph.constant(weight) is None:
        return Miss("its weights are computed")
    count = len(kernel) - 2
    if count not in (1, 2):
        return Miss(f"it has {count} spatial dimensions")
    ones = [1] * count
    strides, dilations = numbers(op, "strides", ones), numbers(op, "dilations", ones)
    pads = _pads(op, before[2:], kernel[2:], strides, dilations)
    if pads is None:
        return Miss(f"its padding is {setting(op, 'pad_type', 'valid')}")
    return Conv(
        op, x, weight, given(op, "bias"), before, kernel, tuple(strides), tuple(dilations), tuple(pads),
        int(setting(op, "groups", 1)), after,
    )  # fmt: skip


def _pads(
    op: Operator, size: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> list[tuple[int, int]] | None:
    kind = setting(op, "pad_type", "valid")
    if kind == "valid":
        return [(0, 0)] * len(kernel)
    if kind == "custom":
        flat = numbers(op, "pad", [0] * (2 * len(kernel)))
        return list(zip(flat[::2], flat[1::2], strict=True))
    if kind not in ("same", "same_lower"):
        return None
    found = []
    for have, width, stride, dilation in zip(size, kernel, strides, dilations, strict=True):
        total = max((-(-have // stride) - 1) * stride + (width - 1) * dilation + 1 - have, 0)
        half = total // 2
        found.append((total - half, half) if kind == "same_lower" else (half, total - half))
    return found


class SplitKernel(Rewrite[Conv]):
    """A convolution with a large kernel becomes several over parts of it, whose results are added."""

    id: ClassVar[str] = "split-large-kernels"
    title: ClassVar[str] = (
        "A convolution with a large kernel is turned or becomes several with parts of it, which are added"
    )
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = ("conv",)
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = (
        "kernel-wider-than-15",
        "kernel-wider-than-13",
        "kernel-higher-than-31",
    )
    after: ClassVar[tuple[str, ...]] = ("fold-large-strides", "float32-to-float16")

    def match(self, graph: Graph, op: Operator) -> Conv | Miss:
        """A kernel beyond the limits that few enough parts cover."""
        found = conv_of(graph, op)
        if isinstance(found, Miss):
            return found
        high, wide = (1, *found.kernel[2:])[-2:]
        if wide <= WIDE and high <= HIGH:
            return Miss("its kernel is small enough")
        parts = min(_count(high, wide), _count(wide, high))
        if parts > PARTS:
            return Miss(f"it would become {parts} convolutions")
        return found

    def apply(self, graph: Graph, found: Conv) -> None:
        """Pad first, then a slice and a convolution for each part."""
        draft = MilDraft(graph, found.op)
        high, wide = (1, *found.kernel[2:])[-2:]
        turned = _count(wide, high) < _count(high, wide)
        single = len(found.kernel) == 3
        x = pad(draft, found.x, found.pads)
        weight = graph.constant(found.weight)
        assert weight is not None
        values = weight.read()
        strides, dilations, size = found.strides, found.dilations, found.output[2:]
        if single:
            known = shape_of_draft(draft, x)
            x = reshape(draft, x, (*known[:2], 1, known[2]))
            values = values[:, :, None]
            strides, dilations, size = (1, *strides), (1, *dilations), (1, *size)
        if turned:
            x = transpose(draft, x, (0, 1, 3, 2))
            values = values.swapaxes(2, 3)
            strides, dilations, size = strides[::-1], dilations[::-1], size[::-1]
        total = self._sum(draft, found, x, values, strides, dilations, size)
        if turned:
            total = transpose(draft, total, (0, 1, 3, 2))
        if single:
            total = reshape(draft, total, found.output)
        draft.finish(total, result(found.op))
        draft.commit((found.op,))

    def _sum(
        self, draft: MilDraft, found: Conv, x: str, values: NDArray[Any], strides: Sequence[int],
        dilations: Sequence[int], size: Sequence[int],
    ) -> str:  # fmt: skip
        total = ""
        for row in _parts(values.shape[2], HIGH):
            for column in _parts(values.shape[3], WIDE):
                box = x
                for axis, part, stride, dilation, count in zip(
                    (2, 3), (row, column), strides, dilations, size, strict=True
                ):
                    start = part.start * dilation
                    stop = start + (count - 1) * stride + (len(part) - 1) * dilation + 1
                    box = take(draft, box, axis, start, stop)
                weight = values[:, :, row.start : row.stop, column.start : column.stop]
                made = _convolve(draft, found, box, weight, strides, dilations, size, bias=not total)
                total = binary(draft, "add", total, made) if total else made
        return total


def shape_of_draft(draft: MilDraft, name: str) -> tuple[int, ...]:
    """The sizes of a value that is known to have some."""
    return tuple(dim for dim in draft.find(name).shape or () if isinstance(dim, int))


def _convolve(
    draft: MilDraft, found: Conv, x: str, values: NDArray[Any], strides: Sequence[int],
    dilations: Sequence[int], size: Sequence[int], *, bias: bool,
) -> str:  # fmt: skip
    import numpy as np

    weight = draft.constant(np.ascontiguousarray(values), str(values.dtype), "weight")
    inputs = {"x": x, "weight": weight}
    if bias and found.bias is not None:
        inputs["bias"] = found.bias
    return draft.make(
        "conv", inputs, (found.output[0], values.shape[0], *size), strides=tuple(strides), pad_type="valid",
        pad=(0,) * (2 * len(strides)), dilations=tuple(dilations), groups=found.split,
    )  # fmt: skip


def _count(high: int, wide: int) -> int:
    return -(-high // HIGH) * -(-wide // WIDE)


def _parts(size: int, most: int) -> list[range]:
    """Even parts of at most that size."""
    count = -(-size // most)
    ends = [size * index // count for index in range(count + 1)]
    return [range(start, stop) for start, stop in pairwise(ends)]


class FoldStride(Rewrite[Conv]):
    """A convolution with a large stride along an axis becomes one without, over channels that hold the
    positions of a step.
    """

    id: ClassVar[str] = "fold-large-strides"
    title: ClassVar[str] = (
        "A large stride is folded into the channels: as many positions as a step has become channels"
    )
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = ("conv",)
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = ("stride-over-18",)
    after: ClassVar[tuple[str, ...]] = ("float32-to-float16",)
    LEAST = 18

    def match(self, graph: Graph, op: Operator) -> Conv | Miss:
        """One group, no dilation on that axis, and channels within the engine's limit."""
        found = conv_of(graph, op)
        if isinstance(found, Miss):
            return found
        axis = self._axis(found)
        if axis is None:
            return Miss("no stride is large")
        if found.split != 1 or found.dilations[axis] != 1:
            return Miss("it has groups or a dilation")
        if found.kernel[1] * found.strides[axis] > 16384:
            return Miss("the channels would become too many")
        return found

    def _axis(self, found: Conv) -> int | None:
        return next((axis for axis, stride in enumerate(found.strides) if stride > self.LEAST), None)

    def apply(self, graph: Graph, found: Conv) -> None:
        """Pad to whole steps, fold, and convolve with the folded kernel."""
        import numpy as np

        axis = self._axis(found) or 0
        step, count = found.strides[axis], found.output[2 + axis]
        steps = -(-found.kernel[2 + axis] // step)
        draft = MilDraft(graph, found.op)
        x = pad(draft, found.x, found.pads)
        known = shape_of_draft(draft, x)
        need = (count + steps - 1) * step
        at = 2 + axis
        x = take(draft, x, at, 0, min(known[at], need))
        short = need - min(known[at], need)
        x = pad(draft, x, [(0, short if index == at else 0) for index in range(2, len(known))])
        x = _folded(draft, x, at, step)
        weight = graph.constant(found.weight)
        assert weight is not None
        values = np.pad(
            weight.read(),
            [(0, steps * step - found.kernel[at] if index == at else 0) for index in range(len(known))],
        )
        shape = values.shape
        split = values.reshape(*shape[:at], steps, step, *shape[at + 1 :])
        # (output, channels, ..., steps, step, ...) becomes (output, channels * step, ..., steps, ...)
        turned = np.moveaxis(split, at + 1, 2).reshape(
            shape[0], shape[1] * step, *shape[2:at], steps, *shape[at + 1 :]
        )
        strides = [1 if index == axis else stride for index, stride in enumerate(found.strides)]
        made = _convolve(draft, found, x, turned, strides, found.dilations, found.output[2:], bias=True)
        draft.finish(made, result(found.op))
        draft.commit((found.op,))


def _folded(draft: MilDraft, x: str, at: int, step: int) -> str:
    known = shape_of_draft(draft, x)
    split = reshape(draft, x, (*known[:at], known[at] // step, step, *known[at + 1 :]))
    rank = len(known) + 1
    perm = [0, 1, at + 1, *(axis for axis in range(2, rank) if axis != at + 1)]
    turned = transpose(draft, split, perm)
    return reshape(
        draft, turned, (known[0], known[1] * step, *known[2:at], known[at] // step, *known[at + 1 :])
    )


REWRITES = (SplitKernel(), FoldStride())
