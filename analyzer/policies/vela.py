"""Vela: what of a model it compiles, in which order, and what becomes one ``ethos-u`` operator.

Read from ``ethosu/regor/compiler`` of Vela 5.2.0: ``Graph::TraverseGraphFromEnd``,
``SchedulerPacking::ReorderOperations`` and ``GraphPacking::Process``. Operators that no result of the graph
needs are not compiled; the NPU takes the shape of a RESHAPE from its result, so that the operators which
compute that shape may be among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import groupby
from typing import Any

from ..ir.graph import Graph, Operator
from .alternating import alternating
from .base import Partitioning
from .tables import WithTables

_BOOK = "vela"


class Vela(WithTables):
    """Runs of operators that the NPU supports, in the order in which Vela schedules them."""

    bodies = True

    def folded(self, graph: Graph, options: Mapping[str, Any]) -> Set[str]:
        """None: what is not needed depends on what the NPU supports."""
        return frozenset()

    def partition(self, graph: Graph, supported: Set[str], options: Mapping[str, Any]) -> Partitioning:
        """The runs, without those that Vela computes while compiling, and what it does not compile at all."""
        book = self.tables[_BOOK]
        unread = {op.id for op in graph.ops() if op.id in supported and op.type in book.types("unread")}
        if any(not op.outputs for op in graph.ops()):  # variables: every operator is kept
            return Partitioning(tuple(alternating(graph, supported)))
        order = _depth_first(graph, unread)
        needed = {op.id for op in order}
        constant = self._computed(graph, order, supported)
        runs = groupby(_regrouped(graph, order, supported, unread), key=lambda op: op.id in supported)
        found = [{op.id for op in run} for npu, run in runs if npu]
        empty = {id for run in found if run <= constant for id in run}
        place = {op.id: index for index, op in enumerate(graph.ops())}
        partitions = [tuple(sorted(run, key=place.__getitem__)) for run in found if not run <= constant]
        return Partitioning(tuple(partitions), unneeded=frozenset(empty | place.keys() - needed))

    def _computed(self, graph: Graph, order: Iterable[Operator], supported: Set[str]) -> set[str]:
        """Ids of operators on constants alone that are computed while compiling."""
        types, known, found = self.tables[_BOOK].types("computed"), set[str](), set[str]()
        for op in order:
            inputs = [name for name in op.inputs if name]
            ahead = op.id in supported and op.type in types and not set(op.outputs) & set(graph.outputs)
            if ahead and all(name in known or graph.constant(name) is not None for name in inputs):
                known.update(name for name in op.outputs if name)
                found.add(op.id)
        return found


def _read(op: Operator, unread: Set[str]) -> Iterator[str]:
    """The tensors that an operator reads."""
    return (name for name in (op.inputs[:1] if op.id in unread else op.inputs) if name)


def _depth_first(graph: Graph, unread: Set[str]) -> list[Operator]:
    """What the results need, each after what it reads: from the last result and the last operand on."""
    found: list[Operator] = []
    visited: set[str] = set()
    stack = [(False, op) for name in graph.outputs if (op := graph.producer(name)) is not None]
    while stack:
        done, op = stack.pop()
        if done:
            found.append(op)
        elif op.id not in visited:
            visited.add(op.id)
            stack.append((True, op))
            before = (graph.producer(name) for name in _read(op, unread))
            stack += [(False, item) for item in before if item is not None and item.id not in visited]
    return found


def _regrouped(
    graph: Graph, order: Sequence[Operator], supported: Set[str], unread: Set[str]
) -> Iterator[Operator]:
    """The schedule: operators of the CPU that wait for none of the NPU first, those whose results nothing
    reads last, the others as late as the NPU's next reader allows.
    """
    early: dict[str, Operator] = {}
    late, others = [], []
    for op in order:
        before = {item.id for name in _read(op, unread) if (item := graph.producer(name)) is not None}
        if op.id not in supported and before <= early.keys():
            early[op.id] = op
        elif op.id not in supported and not any(_readers(graph, op)):
            late.append(op)
        else:
            others.append(op)
    _postponed(others, supported, unread)
    yield from early.values()
    yield from others
    yield from late


def _readers(graph: Graph, op: Operator) -> Iterator[bool]:
    """Whether each result is read, or is no result of the graph."""
    return (bool(graph.consumers(name)) or name not in graph.outputs for name in op.outputs if name)


def _postponed(order: list[Operator], supported: Set[str], unread: Set[str]) -> None:
    """Move each operator of the CPU, the last one first, behind operators of the NPU that do not read it."""
    for start in range(len(order) - 1, -1, -1):
        place = start
        while place + 1 < len(order) and order[place].id not in supported:
            here, after = order[place], order[place + 1]
            if after.id not in supported or set(here.outputs) & set(_read(after, unread)):
                break
            order[place : place + 2] = [after, here]
            place += 1


POLICIES = {"": Vela}
