"""What Core ML refuses to load: outputs that are inputs, and values without dimensions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...analyzer.formats.coreml.schema import operators
from ...analyzer.ir.graph import Graph, Operator
from ..engine import Miss, Promise, Rewrite
from .operands import MilDraft, given, result, scalar, shape_of

REDUCED = tuple(
    f"reduce_{kind}"
    for kind in (
        "sum", "mean", "max", "min", "prod", "l1_norm", "l2_norm", "log_sum", "log_sum_exp", "sum_square",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kept:
    """A reduction to no dimensions and what makes dimensions of it again."""

    op: Operator
    reader: Operator


class KeepDimension(Rewrite[Kept]):
    """A reduction to a scalar that gets dimensions back keeps them, so that no value without dimensions is
    made.
    """

    id: ClassVar[str] = "scalars-keep-a-dimension"
    title: ClassVar[str] = "A reduction to no dimensions whose result gets some keeps them from the start"
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = ("expand_dims",)
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    answers: ClassVar[tuple[str, ...]] = ("dimension-added-to-a-scalar",)

    def match(self, graph: Graph, op: Operator) -> Kept | Miss:
        """A reduction comes before it, and nothing else reads that."""
        name = given(op, "x")
        before = graph.producer(name)
        if name is None or before is None or before.type not in REDUCED or shape_of(graph, name) != ():
            return Miss("no reduction to a value without dimensions comes before it")
        if len(graph.consumers(name)) != 1 or name in graph.outputs:
            return Miss("something else reads the value without dimensions")
        after = shape_of(graph, result(op))
        if after is None or len(after) > 5:
            return Miss("its sizes are not all known")
        return Kept(before, op)

    def apply(self, graph: Graph, found: Kept) -> None:
        """The reduction keeps its dimensions of 1, and a reshape makes as many as are wanted."""
        import numpy as np

        before, op = found.op, found.reader
        draft = MilDraft(graph, op)
        rank = len(shape_of(graph, given(before, "x")) or ())
        after = shape_of(graph, result(op)) or ()
        kind = graph.tensor(result(before)).dtype
        same = rank == len(after)
        name = result(op) if same else draft.tensor(kind, (1,) * rank, stem="kept")
        attrs = {**before.attrs, "keep_dims": True}
        draft.ops.append(replace(before, id=graph.fresh_id(), outputs=(name,), attrs=attrs))
        if not same:
            shape = draft.constant(np.array(after, np.int32), stem="shape")
            draft.make("reshape", {"x": name, "shape": shape}, after, to=result(op))
        draft.commit((before, op))


class NamedOutput(Rewrite[Operator]):
    """An output that is an input gets an operator of its own."""

    id: ClassVar[str] = "output-of-its-own"
    title: ClassVar[str] = (
        "An output that is an input of the function becomes that input plus 0, under a name of its own"
    )
    dialect: ClassVar[str] = "mil"
    root: ClassVar[tuple[str, ...]] = tuple(operators())
    parity: ClassVar[Promise] = Promise.CONTRACT
    answers: ClassVar[tuple[str, ...]] = ("output-that-is-an-input",)

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        """An output of the function is an input, of floats."""
        name = next((name for name in graph.outputs if name in graph.inputs), None)
        if name is None or graph.outer is not None:
            return Miss("no output is an input")
        if not graph.tensor(name).dtype.startswith("float") or shape_of(graph, name) is None:
            return Miss("the output is of integers, or its size is not known")
        return op

    def apply(self, graph: Graph, found: Operator) -> None:
        """A sum with 0 for each."""
        for name in [name for name in dict.fromkeys(graph.outputs) if name in graph.inputs]:
            tensor = graph.tensor(name)
            draft = MilDraft(graph, found)
            zero = scalar(draft, 0.0, tensor.dtype)
            made = draft.tensor(tensor.dtype, tensor.shape, stem=f"{name}_out")
            draft.make("add", {"x": name, "y": zero}, tensor.shape or (), to=made)
            for item in draft.tensors.values():
                graph.add_tensor(item)
            for op in draft.ops:
                graph.add_op(op)
            graph.set_interface(graph.inputs, [made if item == name else item for item in graph.outputs])


REWRITES = (KeepDimension(), NamedOutput())
