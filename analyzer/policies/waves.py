"""The plain policy: walk the graph in waves, taking all that is ready on one side before changing sides."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from ..ir.graph import Graph
from ..ir.match import writers
from .base import Dropped, Grouping, operators
from .options import whole


class Waves:
    """Alternates between accelerator and host; each wave of the accelerator is one group.

    Options: ``min_nodes`` (smaller groups go to the host), ``max_groups`` (the largest ones are kept).
    """

    bodies = True

    def folded(self, graph: Graph, options: Mapping[str, Any]) -> Set[str]:
        """Constant operators only."""
        return {op.id for op in graph.ops() if op.type in ("Constant", "Const", "const")}

    def groups(self, graph: Graph, taken: Set[str], options: Mapping[str, Any]) -> Grouping:
        """The waves that hold taken operators, filtered by the options."""
        return keep_largest(
            waves(graph, taken), whole(options, "min_nodes", 1), whole(options, "max_groups", 0)
        )


def waves(graph: Graph, taken: Set[str]) -> list[tuple[str, ...]]:
    """Groups of taken operators in the order in which they can run, each convex."""
    waiting = {op.id: writers(graph, op) for op in graph.ops()}
    readers: dict[str, list[str]] = {}
    for id, before in waiting.items():
        for writer in before:
            readers.setdefault(writer, []).append(id)
    ready: dict[bool, list[str]] = {True: [], False: []}
    for id, before in waiting.items():
        if not before:
            ready[id in taken].append(id)
    groups: list[tuple[str, ...]] = []
    side = bool(ready[True])
    while ready[True] or ready[False]:
        group: list[str] = []
        while ready[side]:
            id = ready[side].pop(0) if len(ready[side]) < 64 else ready[side].pop()
            group.append(id)
            for reader in readers.get(id, ()):
                waiting[reader].discard(id)
                if not waiting[reader]:
                    ready[reader in taken].append(reader)
        if side and group:
            groups.append(_in_order(graph, group))
        side = not side
    return groups


def keep_largest(groups: list[tuple[str, ...]], least: int, most: int) -> Grouping:
    """Drop groups under ``least`` operators, and all but the ``most`` largest ones (0: no limit)."""
    dropped: dict[str, Dropped] = {}
    kept = [group for group in groups if len(group) >= least]
    for group in groups:
        if len(group) < least:
            why = Dropped(
                "ACL601",
                "partition-too-small",
                f"its partition has {operators(group)}; the runtime needs at least {least}",
            )
            dropped.update((id, why) for id in group)
    if most and len(kept) > most:
        ranked = sorted(kept, key=len, reverse=True)
        for group in ranked[most:]:
            why = Dropped(
                "ACL602",
                "too-many-partitions",
                f"its partition of {operators(group)} is not among the {most} largest of {len(ranked)}",
            )
            dropped.update((id, why) for id in group)
        chosen = {id(group) for group in ranked[:most]}
        kept = [group for group in kept if id(group) in chosen]
    return Grouping(tuple(kept), dropped)


def _in_order(graph: Graph, ids: list[str]) -> tuple[str, ...]:
    position = {op.id: index for index, op in enumerate(graph.ops())}
    return tuple(sorted(ids, key=position.__getitem__))


POLICIES = {"": Waves}
