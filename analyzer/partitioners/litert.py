"""How LiteRT splits a graph between a delegate and the CPU, on plain data.

Sources: LiteRT ``tflite/graph_info.cc`` (PartitionGraphIntoIndependentNodeSubsets: greedy, with control edges
between operators with side effects) and ``tflite/delegates/utils.cc`` (GraphPartitionHelper), commit
f67457790c9c. Delegates may take the n largest partitions; the GPU's n is 1
(``ml_drift_delegate/delegate/delegate_webgpu.cc``).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .libcxx_sort import sort

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

Id = TypeVar("Id")
SIDE_EFFECTS = frozenset({"IF", "WHILE", "CALL_ONCE"})
"""Types that run other graphs; what reads or writes a resource has side effects, too
(``OpMightHaveSideEffect`` in ``tflite/core/subgraph.cc``).
"""
_OMITTED = (None, -1)


@dataclass(frozen=True, slots=True)
class Node:
    """One operator as the partitioner needs it; ``tflite_file.Op`` is one, too.

    Attributes:
        index: what the answer calls it.
        inputs: the tensors that it reads, None or -1 where one is omitted.
        outputs: the tensors that it writes.
        effects: it keeps its order among those with side effects.
    """

    index: Any
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    effects: bool = False


class _Node(Protocol):
    @property
    def index(self) -> Any: ...
    @property
    def inputs(self) -> Sequence[Any]: ...
    @property
    def outputs(self) -> Sequence[Any]: ...
    @property
    def effects(self) -> bool: ...


def partitions(plan: Sequence[_Node], supported: Collection[Id]) -> list[list[Id]]:
    """The partitions of supported operators, which become one delegate kernel each, in the order in which
    they can run.

    Epochs of one kind each: the first ready operator in the plan sets the kind, and an epoch takes every
    operator of its kind that is ready or becomes so. Linear in operators and what they read. Raises
    ValueError when the operators form a cycle.
    """
    kinds = [node.index in supported for node in plan]
    waiting = _waiting(plan)
    readers: dict[int, list[int]] = {}
    for place, writers in enumerate(waiting):
        for writer in writers:
            readers.setdefault(writer, []).append(place)
    ready = {place for place, writers in enumerate(waiting) if not writers}
    done, found = 0, []
    while ready:
        kind = kinds[min(ready)]
        epoch = _epoch(kinds, kind, ready, waiting, readers)
        done += len(epoch)
        if kind:
            found.append([plan[place].index for place in epoch])
    if done < len(plan):
        raise ValueError("the operators form a cycle")
    return found


def _waiting(plan: Sequence[_Node]) -> list[set[int]]:
    """Places of the operators that each one waits for: those that write what it reads, and the one with side
    effects before it.
    """
    writer = {item: place for place, node in enumerate(plan) for item in node.outputs if item not in _OMITTED}
    waiting = [
        {writer[item] for item in node.inputs if item in writer} - {at} for at, node in enumerate(plan)
    ]
    for earlier, later in pairwise(place for place, node in enumerate(plan) if node.effects):
        waiting[later].add(earlier)
    return waiting


def _epoch(
    kinds: Sequence[bool],
    kind: bool,
    ready: set[int],
    waiting: Sequence[set[int]],
    readers: Mapping[int, Sequence[int]],
) -> list[int]:
    """Take every operator of a kind that is ready or becomes so; the others stay in ``ready``."""
    members: list[int] = []
    todo = [place for place in ready if kinds[place] is kind]
    while todo:
        place = todo.pop()
        ready.discard(place)
        members.append(place)
        for reader in readers.get(place, ()):
            waiting[reader].discard(place)
            if not waiting[reader]:
                ready.add(reader)
                if kinds[reader] is kind:
                    todo.append(reader)
    return sorted(members)


Partition = TypeVar("Partition", bound="Sequence[Any]")


def ranked(found: Sequence[Partition]) -> list[Partition]:
    """The largest partitions first; equal ones in the order in which LiteRT's ``std::sort`` leaves them."""
    return sort(found, lambda left, right: len(left) > len(right))


def largest(found: Sequence[Partition], most: int, least: int = 1) -> list[Partition]:
    """What a delegate takes: of the ``most`` largest partitions (0: all) those of at least ``least``
    operators.
    """
    chosen = ranked(found)
    return [partition for partition in (chosen[:most] if most else chosen) if len(partition) >= least]
