"""TFLite: activations with a slope below zero, from a product and an extremum."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ...analyzer.ir.graph import Graph, Operator, Quantization, Tensor
from ..draft import Draft
from ..engine import Miss, Promise, Rewrite
from .operands import same_quantization

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VERSIONS = {"float32": 1, "uint8": 1, "int8": 2}
"""Of MUL, MAXIMUM and MINIMUM. Source: LiteRT, tflite/converter/tools/versioning/op_version.cc."""
SLOPES = 1 << 16
"""Stored slopes that are looked at, at most."""


@dataclass(frozen=True, slots=True)
class Sloped:
    """An activation: the larger, or the smaller, of its input and its input times ``slope``.

    ``slope`` is the name of what is stored, or a number.
    """

    op: Operator
    extremum: str
    slope: str | float


class LeakyToExtremum(Rewrite[Sloped]):
    """LEAKY_RELU, and PRELU with stored slopes, become an extremum of the input and a multiple of it."""

    id: ClassVar[str] = "leaky-relu-to-maximum"
    title: ClassVar[str] = (
        "LEAKY_RELU, and PRELU with stored slopes, become MAXIMUM(x, slope * x); MINIMUM for slopes over 1"
    )
    dialect: ClassVar[str] = "tflite"
    root: ClassVar[tuple[str, ...]] = ("LEAKY_RELU", "PRELU")
    parity: ClassVar[Promise] = Promise.ROUNDING
    answers: ClassVar[tuple[str, ...]] = ("ACL201",)

    def match(self, graph: Graph, op: Operator) -> Sloped | Miss:
        """Of float32 or 8 bits with one scale; slopes that are all at most 1, or all at least 1."""
        source, result = graph.find(op.inputs[0] or ""), graph.find(op.outputs[0] or "")
        if source is None or result is None or not _plain(source) or not _plain(result):
            return Miss("it is neither of float32 nor of 8 bits with one scale")
        if op.type == "PRELU":
            stored = graph.find(op.inputs[1] or "")
            values = None if stored is None else _slopes(stored)
            if values is None or not values.size:
                return Miss("its slopes are computed when the model runs, or stored in another way")
            slope: str | float = op.inputs[1] or ""
            least, most = float(values.min()), float(values.max())
        else:
            slope = least = most = float(op.attrs.get("alpha", 0.0))
            if source.quant is not None and slope <= 0:
                return Miss("its slope is not positive, and no scale stores that")
        if most <= 1.0:
            return Sloped(op, "MAXIMUM", slope)
        return Sloped(op, "MINIMUM", slope) if least >= 1.0 else Miss("it has slopes below and above 1")

    def apply(self, graph: Graph, found: Sloped) -> None:
        """Both operands of the extremum are stored as the result is."""
        draft, op = Draft(graph, found.op), found.op
        source, result = graph.tensor(op.inputs[0] or ""), graph.tensor(op.outputs[0] or "")
        slope = found.slope if isinstance(found.slope, str) else _stored(draft, found.slope, source)
        below = _product(draft, source, slope, result)
        above = source.name
        if not same_quantization(source.quant, result.quant):
            above = _product(draft, source, _stored(draft, 1.0, source), result)
        draft.value(
            found.extremum,
            (above, below),
            result.dtype,
            result.shape,
            version=VERSIONS[result.dtype],
            to=result.name,
        )
        draft.commit((op,))


def _plain(tensor: Tensor) -> bool:
    """Float32, or 8 bits with one scale."""
    quant = tensor.quant
    if tensor.dtype == "float32":
        return quant is None
    return tensor.dtype in ("int8", "uint8") and quant is not None and len(quant.scale) == 1


def _slopes(tensor: Tensor) -> NDArray[np.float64] | None:
    """The stored slopes as numbers."""
    const = tensor.const
    if const is None or not _plain(tensor) or const.elements > SLOPES:
        return None
    values = const.read().astype("float64")
    quant = tensor.quant
    return values if quant is None else (values - quant.zero_point[0]) * quant.scale[0]


def _stored(draft: Draft, value: float, like: Tensor) -> str:
    """One number in the way of ``like``: 8 bits hold a 1 whose scale is the number, which is exact."""
    import numpy as np

    if like.quant is None:
        return draft.constant(np.array([value], np.float32), "float32", "slope")
    name = draft.constant(np.array([1], like.dtype), like.dtype, "slope")
    draft.tensors[name] = replace(draft.tensors[name], quant=Quantization((value,), (0,)))
    return name


def _product(draft: Draft, source: Tensor, factor: str, result: Tensor) -> str:
    return draft.value(
        "MUL",
        (source.name, factor),
        result.dtype,
        result.shape,
        quant=result.quant,
        version=VERSIONS[result.dtype],
    )


REWRITES = (LeakyToExtremum(),)
