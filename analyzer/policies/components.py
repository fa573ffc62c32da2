"""LiteRT's compiler plug-ins: operators that a plug-in selects form one piece where one reads what another writes.

Read from ``DisjointSets`` in ``litert/compiler/plugin/algo.cc`` (google-ai-edge/LiteRT, commit f67457790c9c): a piece is a connected
component, whatever lies between its operators.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from ..graph import Graph
from . import Grouping


class Components:
    """Each connected component of taken operators is one group."""

    bodies = True

    def folded(self, graph: Graph, options: Mapping[str, Any]) -> Set[str]:
        """None: constants are no operators in a TFLite file."""
        return frozenset()

    def groups(self, graph: Graph, taken: Set[str], options: Mapping[str, Any]) -> Grouping:
        """The components in the order of their first operators."""
        parent = {op.id: op.id for op in graph.ops() if op.id in taken}
        for op in graph.ops():
            for name in op.inputs if op.id in parent else ():
                writer = graph.producer(name) if name is not None else None
                if writer is not None and writer.id in parent:
                    parent[_root(parent, op.id)] = _root(parent, writer.id)
        found: dict[str, list[str]] = {}
        for id in parent:
            found.setdefault(_root(parent, id), []).append(id)
        return Grouping(tuple(map(tuple, found.values())))


def _root(parent: dict[str, str], id: str) -> str:
    """The representative of an operator's component; paths are halved on the way."""
    while parent[id] != id:
        parent[id] = parent[parent[id]]
        id = parent[id]
    return id
