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
from .base import Partitioning


class Consecutive:
    """Each run of supported operators in the file's order is one partition, connected or not."""

    bodies = True

    def folded(self, graph: Graph, options: Mapping[str, Any]) -> Set[str]:
        """None: constants are no operators in a TFLite file."""
        return frozenset()

    def partition(self, graph: Graph, supported: Set[str], options: Mapping[str, Any]) -> Partitioning:
        """The runs in order."""
        runs = groupby((op.id for op in graph.ops()), key=supported.__contains__)
        return Partitioning(tuple(tuple(ids) for selected, ids in runs if selected))


POLICIES = {"": Consecutive}
