"""What a converter leaves of a TensorFlow model: operators that depend on constants and static
shapes alone are computed before anything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from typing import Any

from ..ir.graph import Constant, Graph, Operator, Shape
from ..ir.numbers import numbers
from ..ir.view import edited
from .alternating import Alternating
from .base import Partitioning
from .tables import WithTables

_BOOK = "folding"


class Folding(WithTables, Alternating):
    """``Alternating`` of coremltools, which evaluates everything but random values ahead of time."""

    def folded(self, graph: Graph, options: Mapping[str, Any]) -> Set[str]:
        """Constants, and what is computed ahead of time."""
        return super().folded(graph, options) | {op.id for op in self._ahead(graph)}

    def view(self, graph: Graph, options: Mapping[str, Any]) -> Graph:
        """The graph without what is computed ahead of time, its results as constants whose values are not
        known here.
        """
        ahead = list(self._ahead(graph))
        known = [graph.tensor(name) for op in ahead for name in op.outputs if name]
        return edited(
            graph,
            dict.fromkeys(op.id for op in ahead),
            (replace(tensor, const=Constant("unknown", ())) for tensor in known),
        )

    def partition(self, graph: Graph, supported: Set[str], options: Mapping[str, Any]) -> Partitioning:
        """Partitions of what is converted; what is computed ahead of time parts nothing."""
        ahead = self.folded(graph, options)
        found = super().partition(graph, supported | ahead, options)
        kept = (tuple(id for id in part if id not in ahead) for part in found.partitions)
        return replace(found, partitions=tuple(part for part in kept if part))

    def _ahead(self, graph: Graph) -> Iterator[Operator]:
        """In file order: shapes of tensors with static shapes, and what reads nothing but those and
        constants.
        """
        known: set[str] = set()
        sizes: dict[str, Shape] = {}
        measures = self.tables[_BOOK].kinds("measures")
        for op in graph.ops():
            if not op.inputs or op.type == "Constant" or op.graphs or not self._computable(op):
                continue
            static = _static(graph, op, sizes, measures)
            if static or all(_known(graph, name, known) for name in op.inputs if name):
                known.update(name for name in op.outputs if name)
                yield op

    def _computable(self, op: Operator) -> bool:
        return op.type not in self.tables[_BOOK].types("random")


class TensorFlow(Folding):
    """``Alternating`` of TensorFlow's own converter, which has the CPU's kernels evaluate what they can."""

    def _computable(self, op: Operator) -> bool:
        return op.type in self.tables["tensorflow"].types("kernels")


def _known(graph: Graph, name: str, known: set[str]) -> bool:
    return name in known or graph.constant(name) is not None


def _static(graph: Graph, op: Operator, sizes: dict[str, Shape], measures: Mapping[str, str]) -> bool:
    """Whether an operator tells sizes that are known: of a whole shape, of a slice of one, or a rank.

    ``sizes`` collects shapes that are known in part, by the tensors that hold them.
    """
    tensor = graph.find(op.inputs[0]) if op.inputs[0] else None
    kind = measures.get(op.type)
    if kind is not None and tensor is not None and tensor.shape is not None:
        if op.type == "Shape":
            sizes.update((name, tensor.shape) for name in op.outputs if name)
        return kind == "rank" or all(_whole(graph, name) for name in op.inputs)
    if op.type == "StridedSlice" and op.inputs[0] in sizes:
        return all(isinstance(dim, int) for dim in _sliced(graph, op, sizes[op.inputs[0]]))
    return False


def _whole(graph: Graph, name: str | None) -> bool:
    tensor = graph.find(name) if name else None
    return tensor is not None and tensor.shape is not None and tensor.static


def _sliced(graph: Graph, op: Operator, shape: Shape) -> tuple[int | str | None, ...]:
    """The sizes that a StridedSlice takes of a shape; an unknown one where that is not clear."""
    constants = [graph.constant(name) if name else None for name in op.inputs[1:4]]
    begin, end, step = (numbers(item) if item is not None else None for item in constants)
    if shape is None or not begin or not end or not step or len(begin) != 1:
        return (None,)
    if op.attrs.get("ellipsis_mask") or op.attrs.get("new_axis_mask"):
        return (None,)
    first = None if op.attrs.get("begin_mask") else int(begin[0])
    last = None if op.attrs.get("end_mask") else int(end[0])
    if op.attrs.get("shrink_axis_mask"):
        return shape[first or 0 :][:1] or (None,)
    return shape[first : last : int(step[0]) or 1]


POLICIES = {"": Folding, "tensorflow": TensorFlow}
