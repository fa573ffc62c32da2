"""Predicates about windows of pools and axes of a softmax, which runtimes read in different ways."""

from __future__ import annotations

from math import prod

from ...analyzer.ir.graph import Graph, Operator
from ..conditions import Context, Outcome
from . import holds_if, predicate
from .coreml_ep import dims

Window = tuple[int, int, int, int, int]
"""Size of the input, kernel, stride, pad before and after it, along one axis."""


def _windows(graph: Graph, op: Operator) -> list[Window] | None:
    """Of each axis; None where a size is not known."""
    before = dims(graph, op, 0)
    kernel = [int(size) for size in op.attrs.get("kernel_shape", ())]
    strides = list(op.attrs.get("strides", ())) or [1] * len(kernel)
    pads = list(op.attrs.get("pads", ())) or [0] * (2 * len(kernel))
    if before is None:
        return None
    sizes = [size for size in before[2:] if isinstance(size, int)]
    if len(sizes) != len(before) - 2:
        return None
    return list(zip(sizes, kernel, strides, pads, pads[len(kernel) :], strict=False))


@predicate("window_within")
def window_within(graph: Graph, op: Operator, context: Context) -> Outcome:
    """No window of a pool that rounds up goes beyond the padded input."""
    windows = _windows(graph, op)
    if windows is None:
        return holds_if(None, "", "windows within it")
    beyond = any((size + begin + end - kernel) % stride for size, kernel, stride, begin, end in windows)
    return holds_if(not beyond, "a window goes beyond the padded input", "windows within it")


@predicate("window_starts_within")
def window_starts_within(graph: Graph, op: Operator, context: Context) -> Outcome:
    """No window of a pool that rounds up starts in the pad behind the input."""
    windows = _windows(graph, op)
    if windows is None:
        return holds_if(None, "", "windows that start before it")
    late = any(
        -(-(size + begin + end - kernel) // stride) * stride >= size + begin
        for size, kernel, stride, begin, end in windows
    )
    return holds_if(not late, "a window starts in the pad behind the input", "windows that start before it")


@predicate("softmax_of_one_axis")
def softmax_of_one_axis(graph: Graph, op: Operator, context: Context) -> Outcome:
    """What stands behind the axis has one value, so that it is the same whether the axes from it on are one
    or not.
    """
    shape = dims(graph, op, 0)
    if shape is None:
        return holds_if(None, "", "")
    axis = int(op.attrs.get("axis", 1))
    behind = shape[axis % len(shape) + 1 :] if shape else ()
    if not all(isinstance(size, int) for size in behind):
        return holds_if(None, "", "")
    count = prod(size for size in behind if isinstance(size, int))
    return holds_if(count == 1, f"{count} values behind axis {axis}", "one value behind it")
