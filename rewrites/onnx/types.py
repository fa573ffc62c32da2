"""ONNX: operators on other operands or in another order, because of what they hold: bools as integers,
weights behind what they scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ...analyzer.policies.onnxruntime.fusions import weight_before_rms
from ..draft import Draft
from ..engine import Miss, Promise, Rewrite
from ..views import sizes
from .operands import array_of, reshape

BOOL, INT32 = 9, 6
"""``TensorProto.DataType``."""
DATA = {
    "Concat": None,
    "Expand": (0,),
    "Flatten": (0,),
    "Gather": (0,),
    "GatherElements": (0,),
    "GatherND": (0,),
    "Reshape": (0,),
    "ScatterND": (0, 2),
    "Slice": (0,),
    "Squeeze": (0,),
    "Tile": (0,),
    "Transpose": (0,),
    "Unsqueeze": (0,),
}
"""Operators that only move values, and the inputs that hold them; None: all."""


@dataclass(frozen=True, slots=True)
class Moved:
    """An operator that moves bools, and the inputs that hold them."""

    op: Operator
    places: tuple[int, ...]


class BoolsAsIntegers(Rewrite[Moved]):
    """What moves bools moves int32 between casts: attention masks, that few accelerators gather or join as
    bools.
    """

    id: ClassVar[str] = "bools-as-integers"
    title: ClassVar[str] = "an operator that moves bools moves int32, with Cast before and after it"
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = tuple(DATA)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("ACL301",)

    def match(self, graph: Graph, op: Operator) -> Moved | Miss:
        """Every operand that is moved is of bools."""
        places = DATA[op.type] or tuple(range(len(op.inputs)))
        held = [graph.find(op.inputs[place] or "") for place in places if place < len(op.inputs)]
        if (
            op.domain not in ("", "ai.onnx")
            or any(tensor is None or tensor.dtype != "bool" for tensor in held)
            or len(held) < len(places)
        ):
            return Miss("it does not move bools")
        return Moved(op, places)

    def apply(self, graph: Graph, found: Moved) -> None:
        """Cast, the operator, Cast."""
        draft, op = Draft(graph, found.op), found.op
        inputs = list(op.inputs)
        for place in found.places:
            inputs[place] = _as_integers(draft, op.inputs[place] or "")
        result = graph.find(op.outputs[0] or "")
        shape = None if result is None else result.shape
        rows = _rows(draft, op) if op.type == "GatherND" else None
        if rows is not None:
            inputs[1], shape = rows
        moved = draft.tensor("int32", shape, stem="integers")
        draft.keep(op, inputs=tuple(inputs), outputs=(moved,))
        name = draft.value("Cast", (moved,), "bool", shape, {"to": BOOL})
        if rows is not None and result is not None:
            name = reshape(draft, name, sizes(result) or ())
        draft.finish(name, op.outputs[0] or "")
        draft.commit((op,))


def _rows(draft: Draft, op: Operator) -> tuple[str, tuple[int, ...]] | None:
    """Stored indices of many dimensions as rows, which is the same lookup, and the shape of its result; None
    where they are few.
    """
    indices = array_of(draft.graph, op.inputs[1])
    result = sizes(draft.graph.find(op.outputs[0] or ""))
    if indices is None or result is None or indices.ndim <= 2 or op.attrs.get("batch_dims", 0):
        return None
    rows = indices.reshape(-1, indices.shape[-1])
    return draft.constant(rows, "int64", "rows"), (len(rows), *result[indices.ndim - 1 :])


def _as_integers(draft: Draft, name: str) -> str:
    stored = array_of(draft.graph, name)
    if stored is not None:
        return draft.constant(stored.astype("int32"), "int32", "integers")
    return draft.value("Cast", (name,), "int32", draft.find(name).shape, {"to": INT32})


class WeightAfterNorm(Rewrite[Operator]):
    """The weight of a root-mean-square normalization becomes the second factor."""

    id: ClassVar[str] = "weight-after-norm"
    title: ClassVar[str] = (
        "the weight of an RMS normalization that is written out becomes the second factor of its product"
    )
    dialect: ClassVar[str] = "onnx"
    root: ClassVar[tuple[str, ...]] = ("Mul",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("rms-weight-first",)

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """The pattern that a compiler stops at."""
        return (
            op
            if weight_before_rms(graph, op)
            else Miss("its first factor is not the weight of an RMS normalization")
        )

    def apply(self, graph: Graph, found: Operator) -> None:
        """Exchange the factors."""
        draft = Draft(graph, found)
        draft.keep(found, inputs=(found.inputs[1], found.inputs[0]))
        draft.commit((found,))


REWRITES = (WeightAfterNorm(), BoolsAsIntegers())
