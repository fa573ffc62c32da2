"""The order in which ONNX Runtime shows the nodes of a graph to its providers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...ir.graph import Graph, Operator
from ...ir.match import writers


def topological(graph: Graph) -> list[str]:
    """Ids in the order of ONNX Runtime's ``GraphViewer``: depth first from the last leaf, the highest index
    first.
    """
    ops = list(graph.ops())
    index = {op.id: place for place, op in enumerate(ops)}
    return depth_first({op.id: _before(graph, op, index) for op in ops})


def depth_first(before: Mapping[str, Sequence[str]]) -> list[str]:
    """The same of operators by id, each with those that it waits for; both in the order of the file."""
    read = {writer for found in before.values() for writer in found}
    stack = [(id, False) for id in before if id not in read]
    seen: set[str] = set()
    order: list[str] = []
    while stack:
        id, leave = stack.pop()
        if leave:
            order.append(id)
            continue
        if id in seen:
            continue
        seen.add(id)
        stack.append((id, True))
        stack += [(writer, False) for writer in before[id] if writer not in seen]
    return order


def _before(graph: Graph, op: Operator, index: Mapping[str, int]) -> list[str]:
    """The operators that an operator waits for, the lowest index first."""
    found = writers(graph, op)
    return sorted(found, key=index.__getitem__) if len(found) > 1 else list(found)
