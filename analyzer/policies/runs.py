"""LiteRT's compiler plug-ins: operators that a plug-in selects form one piece where they follow each other in
the file.

Read from ``GetPartitionsFromFlatListV2`` in ``litert/compiler/plugin/algo.cc``, the default strategy
(google-ai-edge/LiteRT, commit f67457790c9c).
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from itertools import groupby
from typing import Any

from ..ir.graph import Graph
from .base import Grouping


class Runs:
    """Each run of taken operators in the file's order is one group, connected or not."""

    bodies = True

    def folded(self, graph: Graph, options: Mapping[str, Any]) -> Set[str]:
        """None: constants are no operators in a TFLite file."""
        return frozenset()

    def groups(self, graph: Graph, taken: Set[str], options: Mapping[str, Any]) -> Grouping:
        """The runs in order."""
        runs = groupby((op.id for op in graph.ops()), key=taken.__contains__)
        return Grouping(tuple(tuple(ids) for selected, ids in runs if selected))


POLICIES = {"": Runs}
