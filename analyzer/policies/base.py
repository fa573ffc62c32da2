"""What a policy answers, and what ``check`` asks of one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from ..ir.graph import Graph


@dataclass(frozen=True, slots=True)
class Dropped:
    """Why an operator that the rules support is not placed: a finding code, a rule name and a message; and
    the phase in which the runtime rejects the model for it, where that is not the pack's.
    """

    code: str
    rule: str
    message: str
    phase: str = ""


def operators(partition: Collection[object]) -> str:
    """How many operators there are, in words: ``1 operator``."""
    return f"{len(partition)} operator{'' if len(partition) == 1 else 's'}"


def largest(most: int, count: int) -> str:
    """The partitions that a runtime keeps, in words: ``the largest of 2``, ``among the 3 largest of 7``."""
    return f"the largest of {count}" if most == 1 else f"among the {most} largest of {count}"


@dataclass(frozen=True, slots=True)
class Partitioning:
    """Partitions of operator ids, each run by the accelerator as one piece, and the operators left out of
    any.

    ``rejected`` has operators of partitions that make the runtime reject the whole model, ``unneeded`` those
    that never run because nothing that is compiled reads them.
    """

    partitions: tuple[tuple[str, ...], ...] = ()
    dropped: Mapping[str, Dropped] = field(default_factory=dict)
    rejected: Mapping[str, Dropped] = field(default_factory=dict)
    unneeded: Set[str] = frozenset()


class Policy(Protocol):
    """What ``check`` asks of a runtime's way of partitioning."""

    bodies: bool
    """Whether operators inside bodies (If, Loop, While, ...) are placed like those of the main graph."""

    def folded(self, graph: Graph, options: Mapping[str, Any]) -> Set[str]:
        """Ids of operators that the runtime computes ahead of time or drops: they never run."""

    def partition(self, graph: Graph, supported: Set[str], options: Mapping[str, Any]) -> Partitioning:
        """Partition the operators that the rules support (``supported``, none of them folded)."""


@runtime_checkable
class Viewing(Protocol):
    """A policy whose runtime asks its accelerator about a changed graph."""

    def view(self, graph: Graph, options: Mapping[str, Any]) -> Graph:
        """The graph that the rules are asked about: the same operators by id, with the tensors as the runtime
        has them.

        An operator that the view leaves out counts as supported; ``partitions`` drops it when its neighbours
        are not.
        """


@runtime_checkable
class BottomUp(Protocol):
    """A policy whose runtime offers bodies to its accelerator before the graph that holds them; an operator
    supported has its bodies.
    """

    bodies_first: bool


@runtime_checkable
class BranchWise(Protocol):
    """A policy whose accelerator takes an operator with bodies only with all that is in them."""

    branch_wise: bool
