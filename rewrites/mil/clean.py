"""Clean-ups in ML Programs: operators that change nothing, and casts that undo each other, are removed."""

from __future__ import annotations

from typing import ClassVar

from ...analyzer.ir.graph import Graph, Operator
from ..bypass import Bypass, bypass, bypassable
from ..engine import Miss, Promise, Rewrite
from .operands import given, numbers, result, whole

EXACT = {"float16": ("float32", "float64"), "float32": ("float64",), "bool": ("int32", "float16", "float32")}
"""dtypes that hold every value of another."""


class RemoveNoOpMil(Rewrite[Bypass]):
    """An operator that gives back its input is removed, and its readers read that input."""

    id: ClassVar[str] = "remove-idle-mil"
    title: ClassVar[str] = "Casts, reshapes, transposes, pads and identities that change nothing are removed"
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = (
        "cast",
        "identity",
        "reshape",
        "transpose",
        "pad",
        "tile",
        "expand_dims",
    )
    parity: ClassVar[Promise] = Promise.BIT_EXACT

    def match(self, graph: Graph, op: Operator) -> Bypass | Miss:
        """Input and result are the same, and the operator can be walked around."""
        name = given(op, "x")
        if name is None or len(op.outputs) != 1:
            return Miss("it has no single operand")
        source, made = graph.tensor(name), graph.tensor(result(op))
        if source.dtype != made.dtype:
            return Miss("it changes the dtype")
        if op.type in ("reshape", "tile", "pad", "expand_dims") and not (
            source.static and source.shape == made.shape
        ):
            return Miss("it changes the shape, or that is not known")
        if op.type == "transpose" and numbers(op, "perm", ()) != list(range(len(source.shape or ()))):
            return Miss("it moves axes")
        if op.type == "pad" and any(whole(graph, op, "pad") or (1,)):
            return Miss("it pads")
        if source.attrs.get("state") or made.attrs.get("state"):
            return Miss("it reads a state")
        return bypassable(graph, op, name, made.name)

    def apply(self, graph: Graph, found: Bypass) -> None:
        """Walk around it."""
        bypass(graph, found)


class CastsUndone(Rewrite[Bypass]):
    """A cast to the dtype that the value had before another cast, to a wider one, is removed."""

    id: ClassVar[str] = "casts-undone-mil"
    title: ClassVar[str] = "A cast back to the narrower dtype that a value had is removed"
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = ("cast",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT

    def match(self, graph: Graph, op: Operator) -> Bypass | Miss:
        """The operand was cast from the dtype of the result to one that holds all of its values."""
        before = graph.producer(given(op, "x"))
        if before is None or before.type != "cast":
            return Miss("no cast comes before it")
        name = given(before, "x") or ""
        kind, between = graph.tensor(name).dtype, graph.tensor(result(before)).dtype
        if graph.tensor(result(op)).dtype != kind:
            return Miss("it casts to another dtype than the value had")
        if between not in EXACT.get(kind, ()):
            return Miss(f"{between} does not hold every {kind}")
        return bypassable(graph, op, name, result(op))

    def apply(self, graph: Graph, found: Bypass) -> None:
        """Walk around it."""
        bypass(graph, found)


REWRITES = (RemoveNoOpMil(), CastsUndone())
