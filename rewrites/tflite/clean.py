"""Clean-ups in TFLite: operators that change nothing are removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from ...analyzer.ir.graph import Graph, Operator, Tensor
from ..bypass import Bypass, bypass, bypassable
from ..engine import Miss, Promise, Rewrite
from .operands import told

NoOp = Callable[[Graph, Operator], "str | None"]


def _ends(graph: Graph, op: Operator) -> tuple[Tensor, Tensor]:
    return graph.tensor(op.inputs[0] or ""), graph.tensor(op.outputs[0] or "")


def _same_shape(graph: Graph, op: Operator) -> str | None:
    if not told(graph, op):
        return "its shape is computed when the model runs"
    source, result = _ends(graph, op)
    return (
        None
        if source.static and source.shape == result.shape
        else "its input and result are not known to have the same shape"
    )


def _transpose(graph: Graph, op: Operator) -> str | None:
    perm = graph.constant(op.inputs[1])
    if perm is None:
        return "its permutation is computed when the model runs"
    axes = perm.read().reshape(-1).tolist()
    return None if axes == list(range(len(axes))) else "it moves axes"


def _pad(graph: Graph, op: Operator) -> str | None:
    widths = graph.constant(op.inputs[1])
    return "it pads" if widths is None or widths.read().any() else None


def _cast(graph: Graph, op: Operator) -> str | None:
    source, result = _ends(graph, op)
    return None if source.dtype == result.dtype and source.dtype != "unknown" else "it changes the dtype"


def _alone(graph: Graph, op: Operator) -> str | None:
    if op.attrs.get("fused_activation_function", "NONE") != "NONE":
        return "it has a fused activation"
    return None if len(op.inputs) == 1 else "it has several inputs"


def _strided(graph: Graph, op: Operator) -> str | None:
    strides = graph.constant(op.inputs[3])
    if strides is None or (strides.read() != 1).any():
        return "its strides are not known to be 1"
    return _same_shape(graph, op)


NO_OPS: Mapping[str, NoOp] = {
    "RESHAPE": _same_shape,
    "EXPAND_DIMS": _same_shape,
    "SQUEEZE": _same_shape,
    "SLICE": _same_shape,
    "STRIDED_SLICE": _strided,
    "BROADCAST_TO": _same_shape,
    "TILE": _same_shape,
    "TRANSPOSE": _transpose,
    "PAD": _pad,
    "PADV2": _pad,
    "CAST": _cast,
    "CONCATENATION": _alone,
}


class RemoveNoOpTflite(Rewrite[Bypass]):
    """An operator that gives back its first input is removed, and its readers read that input."""

    id: ClassVar[str] = "remove-idle-tflite"
    title: ClassVar[str] = "Reshapes, slices, casts, pads and transposes that change nothing are removed"
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = tuple(NO_OPS)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    after: ClassVar[tuple[str, ...]] = ("fold-constants-tflite",)

    def match(self, graph: Graph, op: Operator) -> Bypass | Miss:
        """The operator is idle, keeps the quantization, and can be walked around."""
        busy = NO_OPS[op.type](graph, op)
        if busy:
            return Miss(busy)
        source, result = _ends(graph, op)
        if source.attrs.get("is_variable") or result.attrs.get("is_variable"):
            return Miss("it reads or writes a variable")
        if _quant(source) != _quant(result):
            return Miss("it changes the quantization")
        return bypassable(graph, op, source.name, result.name)

    def apply(self, graph: Graph, found: Bypass) -> None:
        """Walk around it."""
        bypass(graph, found)


def _quant(tensor: Tensor) -> object:
    quant = tensor.quant
    return None if quant is None else (quant.scale, quant.zero_point, quant.axis, quant.block)


REWRITES = (RemoveNoOpTflite(),)
