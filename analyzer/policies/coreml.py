"""Core ML: what is computed when a model loads, and how operators become runs on one device.

Espresso's segmenter takes the cheapest path through the devices that support each operator (0.125 ms for a
launch on the Neural Engine, 0.125 ms for a change of device, 0.125 ms when an output of the graph is there).
The times of the operators themselves are not public, so partitions here are the longest ones that support
allows: an upper bound of what runs there.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from ..ir.graph import Graph, Operator
from .alternating import alternating
from .base import Partitioning
from .mil_shapes import at_default
from .tables import Book, WithTables


class CoreML(WithTables):
    """One device of Core ML that does not run control flow: the operators of bodies run on the CPU."""

    bodies = False

    def folded(self, graph: Graph, options: Mapping[str, Any]) -> Set[str]:
        """Stored and compressed weights, and the shape of a tensor whose shape is fixed."""
        return {op.id for op in graph.ops() if _folded(graph, op, self.tables["coreml"])}

    def view(self, graph: Graph, options: Mapping[str, Any]) -> Graph:
        """A flexible model at its default shapes, which is what the Neural Engine is compiled for."""
        return at_default(graph)

    def partition(self, graph: Graph, supported: Set[str], options: Mapping[str, Any]) -> Partitioning:
        """Waves of supported operators."""
        return Partitioning(tuple(alternating(graph, supported)))


class CoreMLHost(CoreML):
    """A device that runs the operators of bodies too."""

    bodies = True


def _folded(graph: Graph, op: Operator, book: Book) -> bool:
    if op.type in book.types("stored") or op.type.startswith("constexpr_"):
        return True
    if op.type not in book.types("measures"):
        return False
    tensor = graph.find(op.inputs[0]) if op.inputs and op.inputs[0] else None
    return tensor is not None and tensor.static


POLICIES = {"": CoreML, "host": CoreMLHost}
