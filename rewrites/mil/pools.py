"""Pools with windows that the Neural Engine does not have, windows that slide, and pads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..engine import Miss, Promise, Rewrite
from .operands import (
    MilDraft,
    concat,
    given,
    numbers,
    pad,
    reshape,
    result,
    setting,
    shape_of,
    take,
    transpose,
    value_of,
    whole,
)  # fmt: skip

MOST = 8
"""Rows and columns of a max pool's window."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool whose sizes and padding are known."""

    op: Operator
    x: str
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    input: tuple[int, ...]
    output: tuple[int, ...]


def pool_of(graph: Graph, op: Operator) -> Pool | Miss:
    """The pool, or why it is left alone."""
    x = given(op, "x")
    before, after = shape_of(graph, x), shape_of(graph, result(op))
    if x is None or before is None or after is None:
        return Miss("its sizes are not all known")
    kernel = numbers(op, "kernel_sizes", ())
    strides = numbers(op, "strides", [1] * len(kernel))
    if len(kernel) not in (1, 2) or setting(op, "ceil_mode", False):
        return Miss("it has other spatial dimensions than one or two, or rounds its size up")
    kind = setting(op, "pad_type", "valid")
    if kind == "valid":
        pads = [(0, 0)] * len(kernel)
    elif kind == "custom":
        flat = numbers(op, "pad", [0] * (2 * len(kernel)))
        pads = list(zip(flat[::2], flat[1::2], strict=True))
    elif kind == "same":
        pads = []
        for have, width, stride in zip(before[2:], kernel, strides, strict=True):
            total = max((-(-have // stride) - 1) * stride + width - have, 0)
            pads.append((total // 2, total - total // 2))
    else:
        return Miss(f"its padding is {kind}")
    return Pool(op, x, tuple(kernel), tuple(strides), tuple(pads), before, after)


class SplitMaxPool(Rewrite[Pool]):
    """A max pool with a large window becomes a row of smaller ones, the last with the stride."""

    id: ClassVar[str] = "split-large-max-pools"
    title: ClassVar[str] = (
        "A max pool with a large window becomes several with windows of at most 8, one after the other"
    )
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = ("max_pool",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("max-pool-wider-than-8", "max-pool-higher-than-9")
    after: ClassVar[tuple[str, ...]] = ("float32-to-float16",)

    def match(self, graph: Graph, op: Operator) -> Pool | Miss:
        """A window beyond the limits."""
        found = pool_of(graph, op)
        if isinstance(found, Miss):
            return found
        if max(found.kernel) <= MOST:
            return Miss("its window is small enough")
        if any(
            before >= width or after >= width
            for (before, after), width in zip(found.pads, found.kernel, strict=True)
        ):
            return Miss("a window would lie in its padding alone")
        return found

    def apply(self, graph: Graph, found: Pool) -> None:
        """Windows of a and b in turn are one of a + b - 1; padding, of which no maximum is, comes with the
        first.
        """
        draft = MilDraft(graph, found.op)
        name = found.x
        size = list(found.input[2:])
        left = list(found.kernel)
        pads = list(found.pads)
        while any(width > 1 for width in left) or pads:
            kernel = [min(width, MOST) for width in left]
            left = [width - own + 1 for width, own in zip(left, kernel, strict=True)]
            last = all(width == 1 for width in left)
            strides = found.strides if last else (1,) * len(kernel)
            # what the later windows need of the padding is added to the first
            flat = tuple(item for pair in (pads or [(0, 0)] * len(kernel)) for item in pair)
            size = [
                (have + sum(pair) - width) // stride + 1
                for have, pair, width, stride in zip(
                    size, pads or [(0, 0)] * len(kernel), kernel, strides, strict=True
                )
            ]
            shape = found.output if last else (*found.input[:2], *size)
            padded = any(flat)
            name = draft.make(
                "max_pool", {"x": name}, shape, kernel_sizes=tuple(kernel), strides=tuple(strides),
                pad_type="custom" if padded else "valid", pad=flat, ceil_mode=False,
            )  # fmt: skip
            pads = []
            if last:
                break
        draft.finish(name, result(found.op))
        draft.commit((found.op,))


class MeanForPool(Rewrite[Pool]):
    """An average pool over everything is a mean."""

    id: ClassVar[str] = "global-pool-to-mean"
    title: ClassVar[str] = "An average pool whose window covers the whole image becomes reduce_mean"
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = ("avg_pool",)
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = ("average-pool-larger-than-31", "average-pool-larger-than-29")
    after: ClassVar[tuple[str, ...]] = ("float32-to-float16",)

    def match(self, graph: Graph, op: Operator) -> Pool | Miss:
        """The window is the image, and nothing is padded."""
        found = pool_of(graph, op)
        if isinstance(found, Miss):
            return found
        if found.kernel != found.input[2:] or any(map(any, found.pads)):
            return Miss("its window is not the whole image")
        return found

    def apply(self, graph: Graph, found: Pool) -> None:
        """The mean keeps the dimensions."""
        draft = MilDraft(graph, found.op)
        axes = tuple(range(2, len(found.input)))
        draft.make(
            "reduce_mean", {"x": found.x}, found.output, to=result(found.op), axes=axes, keep_dims=True
        )
        draft.commit((found.op,))


@dataclass(frozen=True, slots=True)
class Padding:
    """A pad, its pairs from the first axis on."""

    op: Operator
    x: str
    pairs: tuple[tuple[int, int], ...]
    value: float


def padding_of(graph: Graph, op: Operator) -> Padding | Miss:
    """The pad, or why it is left alone."""
    x, flat = given(op, "x"), whole(graph, op, "pad")
    before = shape_of(graph, x)
    if x is None or flat is None or before is None:
        return Miss("its sizes are not all known")
    pairs = list(zip(flat[::2], flat[1::2], strict=True))
    value = value_of(graph, op, "constant_val")
    number = 0.0 if value is None else float(value.reshape(-1)[0])
    return Padding(op, x, tuple([(0, 0)] * (len(before) - len(pairs)) + pairs), number)


class PadOuterAxes(Rewrite[Padding]):
    """Padding by reflection or replication outside the last two axes, one axis at a time, moved to the
    end.
    """

    id: ClassVar[str] = "pad-outer-axes"
    title: ClassVar[str] = (
        "Reflection and replication outside the last two axes pad one axis at a time, moved to the end"
    )
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = ("pad",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("pad-outside-the-last-two-axes",)

    def match(self, graph: Graph, op: Operator) -> Padding | Miss:
        """Another mode than constant, and an axis before the last two."""
        found = padding_of(graph, op)
        if isinstance(found, Miss):
            return found
        if setting(op, "mode", "constant") == "constant":
            return Miss("it pads with a number")
        if not any(map(any, found.pairs[:-2])):
            return Miss("it pads the last two axes only")
        return found

    def apply(self, graph: Graph, found: Padding) -> None:
        """Each outer axis by itself, the inner two together."""
        draft, name, rank = MilDraft(graph, found.op), found.x, len(found.pairs)
        mode = str(setting(found.op, "mode", "reflect"))
        for axis, pair in enumerate(found.pairs[:-2]):
            if not any(pair):
                continue
            perm = [*(at for at in range(rank) if at != axis), axis]
            turned = pad(draft, transpose(draft, name, perm), [(0, 0), pair], mode)
            name = transpose(draft, turned, [perm.index(at) for at in range(rank)])
        name = pad(draft, name, found.pairs[-2:], mode)
        draft.finish(name, result(found.op))
        draft.commit((found.op,))


class PadWithValue(Rewrite[Padding]):
    """Padding with a number other than zero becomes parts of that number beside the values."""

    id: ClassVar[str] = "pad-with-a-value"
    title: ClassVar[str] = (
        "Padding with a number other than 0 becomes parts of that number put beside the values"
    )
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = ("pad",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("pad-with-a-value",)
    after: ClassVar[tuple[str, ...]] = ("float32-to-float16",)
    LARGEST = 1 << 18

    def match(self, graph: Graph, op: Operator) -> Padding | Miss:
        """A constant mode, a number that is not 0, and parts that the file can carry."""
        found = padding_of(graph, op)
        if isinstance(found, Miss):
            return found
        if setting(op, "mode", "constant") != "constant" or not found.value:
            return Miss("it does not pad with a number other than 0")
        if any(size < 0 for pair in found.pairs for size in pair):
            return Miss("it cuts off")
        return found if graph.tensor(found.x).dtype.startswith("float") else Miss("it pads integers")

    def apply(self, graph: Graph, found: Padding) -> None:
        """A concat for each axis that is padded."""
        import numpy as np

        draft, name = MilDraft(graph, found.op), found.x
        dtype = graph.tensor(found.x).dtype
        for axis, pair in enumerate(found.pairs):
            known = [dim for dim in draft.find(name).shape or () if isinstance(dim, int)]
            parts = []
            for size in pair:
                shape = [size if at == axis else dim for at, dim in enumerate(known)]
                parts.append(
                    draft.constant(np.full(shape, found.value, np.dtype(dtype)), dtype) if size else ""
                )
            if any(parts):
                name = concat(draft, [item for item in (parts[0], name, parts[1]) if item], axis)
        draft.finish(name, result(found.op))
        draft.commit((found.op,))


class ReflectBySlices(Rewrite[Padding]):
    """Padding by reflection becomes the rows beside the edges in reverse, joined."""

    id: ClassVar[str] = "reflect-by-slices"
    title: ClassVar[str] = (
        "Padding by reflection becomes single rows in reverse order, joined with the values"
    )
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = ("pad",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("reflect-pad-before-a15",)
    MOST = 32

    def match(self, graph: Graph, op: Operator) -> Padding | Miss:
        """Reflection or replication, by few enough rows."""
        found = padding_of(graph, op)
        if isinstance(found, Miss):
            return found
        if setting(op, "mode", "constant") not in ("reflect", "replicate"):
            return Miss("it pads with a number")
        if sum(map(sum, found.pairs)) > self.MOST or any(size < 0 for pair in found.pairs for size in pair):
            return Miss("it pads by too many rows")
        return found

    def apply(self, graph: Graph, found: Padding) -> None:
        """Rows of one axis after those of the other."""
        draft, name = MilDraft(graph, found.op), found.x
        reflects = setting(found.op, "mode", "") == "reflect"
        for axis, (before, after) in enumerate(found.pairs):
            if not before and not after:
                continue
            size = [dim for dim in draft.find(name).shape or () if isinstance(dim, int)][axis]
            first = [index if reflects else 0 for index in range(before, 0, -1)]
            last = [size - 1 - index if reflects else size - 1 for index in range(1, after + 1)]
            rows = [take(draft, name, axis, at, at + 1) for at in first]
            rows += [name, *(take(draft, name, axis, at, at + 1) for at in last)]
            name = concat(draft, rows, axis)
        draft.finish(name, result(found.op))
        draft.commit((found.op,))


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows along an axis."""

    op: Operator
    x: str
    axis: int
    size: int
    stride: int
    output: tuple[int, ...]


class SlidingBySlices(Rewrite[Windows]):
    """sliding_windows becomes strided slices, one a position in the window, joined."""

    id: ClassVar[str] = "sliding-windows-to-slices"
    title: ClassVar[str] = (
        "sliding_windows becomes strided slices, one for each position in the window, which are joined"
    )
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = ("sliding_windows",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("scatter-or-index-operator",)
    MOST = 256

    def match(self, graph: Graph, op: Operator) -> Windows | Miss:
        """Known sizes, few enough slices, and no more than five dimensions."""
        x, axis, size = given(op, "x"), op.attrs.get("axis"), op.attrs.get("size")
        before, after = shape_of(graph, x), shape_of(graph, result(op))
        if (
            x is None
            or before is None
            or after is None
            or not isinstance(axis, int)
            or not isinstance(size, int)
        ):
            return Miss("its sizes are not all known")
        stride = int(setting(op, "stride", 1))
        if min(size, after[axis % len(before)]) > self.MOST or len(after) > 5:
            return Miss("it has too many windows, or too many dimensions")
        return Windows(op, x, axis % len(before), size, stride, after)

    def apply(self, graph: Graph, found: Windows) -> None:
        """By windows or by positions, whichever are fewer."""
        draft = MilDraft(graph, found.op)
        count, axis = found.output[found.axis], found.axis
        by_window = count < found.size
        parts = []
        for index in range(count if by_window else found.size):
            if by_window:
                start = index * found.stride
                part = take(draft, found.x, axis, start, start + found.size)
            else:
                part = take(draft, found.x, axis, index, index + (count - 1) * found.stride + 1, found.stride)
            known = [dim for dim in draft.find(part).shape or () if isinstance(dim, int)]
            known.insert(axis if by_window else axis + 1, 1)
            parts.append(reshape(draft, part, known))
        made = concat(draft, parts, axis if by_window else axis + 1)
        draft.finish(made, result(found.op))
        draft.commit((found.op,))


REWRITES = (
    SplitMaxPool(),
    MeanForPool(),
    PadOuterAxes(),
    PadWithValue(),
    ReflectBySlices(),
    SlidingBySlices(),
)
