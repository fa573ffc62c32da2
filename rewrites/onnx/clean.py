"""Clean-ups in ONNX: operators that change nothing are removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ...analyzer.ir.graph import Graph, Operator, Tensor
from ..bypass import Bypass, bypass, bypassable
from ..engine import Miss, Promise, Rewrite

NoOp = Callable[[Graph, Operator], "str | None"]
"""Why the operator does something, None when it changes nothing."""


def _values(graph: Graph, op: Operator, index: int) -> list[Any] | None:
    const = graph.constant(op.inputs[index]) if len(op.inputs) > index else None
    return None if const is None else list(const.read().reshape(-1).tolist())


def _ends(graph: Graph, op: Operator) -> tuple[Tensor | None, Tensor | None]:
    return graph.find(op.inputs[0] or ""), graph.find(op.outputs[0] or "")


def _same_shape(graph: Graph, op: Operator) -> str | None:
    source, result = _ends(graph, op)
    if source is None or result is None or not source.static or source.shape != result.shape:
        return "its input and result are not known to have the same shape"
    return None


def _dropout(graph: Graph, op: Operator) -> str | None:
    if (
        len(op.outputs) > 1
        and op.outputs[1]
        and (graph.consumers(op.outputs[1]) or op.outputs[1] in graph.outputs)
    ):
        return "its mask is read"
    if op.version >= 12 and len(op.inputs) > 2 and op.inputs[2] is not None:
        training = _values(graph, op, 2)
        return None if training == [False] else "it may be in training mode"
    return None


def _cast(graph: Graph, op: Operator) -> str | None:
    source, result = _ends(graph, op)
    if source is None or result is None or source.dtype == "unknown" or source.dtype != result.dtype:
        return "it changes the dtype"
    return None


def _transpose(graph: Graph, op: Operator) -> str | None:
    source, _ = _ends(graph, op)
    if source is None or source.shape is None:
        return "the rank is not known"
    rank = len(source.shape)
    perm = tuple(op.attrs.get("perm", reversed(range(rank))))
    return None if perm == tuple(range(rank)) else "it moves axes"


def _alone(graph: Graph, op: Operator) -> str | None:
    return None if len(op.inputs) == 1 else "it has several inputs"


def _pad(graph: Graph, op: Operator) -> str | None:
    pads = _values(graph, op, 1) if op.version >= 11 else list(op.attrs.get("pads", ()))
    if pads is None:
        return "its widths are computed when the model runs"
    return None if not any(pads) else "it pads"


def _slice(graph: Graph, op: Operator) -> str | None:
    """A slice that keeps every size takes everything, unless it walks backwards."""
    steps = _values(graph, op, 4) if len(op.inputs) > 4 and op.inputs[4] is not None else [1]
    if steps is None or any(step != 1 for step in steps):
        return "its steps are not known to be 1"
    return _same_shape(graph, op)


NO_OPS: Mapping[str, NoOp] = {
    "Identity": lambda graph, op: None,
    "Dropout": _dropout,
    "Cast": _cast,
    "Transpose": _transpose,
    "Concat": _alone,
    "Max": _alone,
    "Min": _alone,
    "Sum": _alone,
    "Mean": _alone,
    "Pad": _pad,
    "Slice": _slice,
    "Reshape": _same_shape,
    "Flatten": _same_shape,
    "Squeeze": _same_shape,
    "Unsqueeze": _same_shape,
    "Expand": _same_shape,
    "Tile": _same_shape,
}


class RemoveNoOp(Rewrite[Bypass]):
    """An operator that gives back its first input is removed, and its readers read that input."""

    id: ClassVar[str] = "remove-idle"
    title: ClassVar[str] = (
        "Identity, inference Dropout, and casts, reshapes, pads or slices that change nothing are removed"
    )
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = tuple(NO_OPS)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    after: ClassVar[tuple[str, ...]] = ("fold-constants",)

    def match(self, graph: Graph, op: Operator) -> Bypass | Miss:
        """The operator is idle and can be walked around."""
        if not op.inputs or op.inputs[0] is None or not op.outputs or op.outputs[0] is None:
            return Miss("it has no data input")
        busy = NO_OPS[op.type](graph, op)
        return Miss(busy) if busy else bypassable(graph, op, op.inputs[0], op.outputs[0])

    def apply(self, graph: Graph, found: Bypass) -> None:
        """Walk around it."""
        bypass(graph, found)


REWRITES = (RemoveNoOp(),)
