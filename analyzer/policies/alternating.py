"""The plain policy: walk the graph front by front, taking all that is ready on one side before changing
sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from ..ir.graph import Graph
from ..ir.match import writers
from .base import Dropped, Partitioning, largest, operators
from .options import whole


class Alternating:
    """Alternates between accelerator and host; what it runs between two changes is one partition.

    Options: ``min_nodes`` (smaller partitions go to the host), ``max_partitions`` (the largest ones are
    kept).
    """

    bodies = True

    def folded(self, graph: Graph, options: Mapping[str, Any]) -> Set[str]:
        """Constant operators only."""
        return {op.id for op in graph.ops() if op.type in ("Constant", "Const", "const")}

    def partition(self, graph: Graph, supported: Set[str], options: Mapping[str, Any]) -> Partitioning:
        """The partitions of supported operators, filtered by the options."""
        return keep_largest(
            alternating(graph, supported), whole(options, "min_nodes", 1), whole(options, "max_partitions", 0)
        )


def alternating(graph: Graph, supported: Set[str]) -> list[tuple[str, ...]]:
    """Partitions of supported operators in the order in which they can run, each convex."""
    waiting = {op.id: writers(graph, op) for op in graph.ops()}
    readers: dict[str, list[str]] = {}
    for id, before in waiting.items():
        for writer in before:
            readers.setdefault(writer, []).append(id)
    ready: dict[bool, list[str]] = {True: [], False: []}
    for id, before in waiting.items():
        if not before:
            ready[id in supported].append(id)
    partitions: list[tuple[str, ...]] = []
    side = bool(ready[True])
    while ready[True] or ready[False]:
        partition: list[str] = []
        while ready[side]:
            id = ready[side].pop(0) if len(ready[side]) < 64 else ready[side].pop()
            partition.append(id)
            for reader in readers.get(id, ()):
                waiting[reader].discard(id)
                if not waiting[reader]:
                    ready[reader in supported].append(reader)
        if side and partition:
            partitions.append(_in_order(graph, partition))
        side = not side
    return partitions


def keep_largest(partitions: list[tuple[str, ...]], least: int, most: int) -> Partitioning:
    """Drop partitions under ``least`` operators, and all but the ``most`` largest ones (0: no limit)."""
    dropped: dict[str, Dropped] = {}
    kept = [partition for partition in partitions if len(partition) >= least]
    for partition in partitions:
        if len(partition) < least:
            why = Dropped(
                "ACL601",
                "partition-too-small",
                f"its partition has {operators(partition)}; the runtime needs at least {least}",
            )
            dropped.update((id, why) for id in partition)
    if most and len(kept) > most:
        ranked = sorted(kept, key=len, reverse=True)
        for partition in ranked[most:]:
            why = Dropped(
                "ACL602",
                "too-many-partitions",
                f"its partition of {operators(partition)} is not {largest(most, len(ranked))}",
            )
            dropped.update((id, why) for id in partition)
        chosen = {id(partition) for partition in ranked[:most]}
        kept = [partition for partition in kept if id(partition) in chosen]
    return Partitioning(tuple(kept), dropped)


def _in_order(graph: Graph, ids: list[str]) -> tuple[str, ...]:
    position = {op.id: index for index, op in enumerate(graph.ops())}
    return tuple(sorted(ids, key=position.__getitem__))


POLICIES = {"": Alternating}
