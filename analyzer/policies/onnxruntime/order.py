"""The order in which ONNX Runtime shows the nodes of a graph to its providers."""

from __future__ import annotations

from collections.abc import Mapping

from ...ir.graph import Graph, Operator
from ...ir.match import writers


def topological(graph: Graph) -> list[str]:
    """Ids in the order of ONNX Runtime's ``GraphViewer``: depth first from the last leaf, the highest index
    first.
    """
    ops = list(graph.ops())
    index = {op.id: place for place, op in enumerate(ops)}
    before = {op.id: _before(graph, op, index) for op in ops}
    read = {writer for found in before.values() for writer in found}
    stack = [(op.id, False) for op in ops if op.id not in read]
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
