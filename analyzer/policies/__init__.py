"""Partition policies: how each runtime groups the operators that its accelerator takes.

A policy is one class in a module here. ``check`` asks it three things of a graph: which operators
never run because the runtime folds them, whether the operators of bodies are placed at all, and which
groups the accelerator runs as one piece. It is told which operators the rules take and answers with
groups and with the operators that it takes but does not place, each with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from ..errors import PackError
from ..extensions import added, load, modules
from ..ir.graph import Graph

if TYPE_CHECKING:
    from .tables import Tables


@dataclass(frozen=True, slots=True)
class Dropped:
    """Why an operator that the rules take is not placed: a finding code, a rule name and a message."""

    code: str
    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Grouping:
    """Groups of operator ids, each run by the accelerator as one piece, and the operators left out of any.

    ``refused`` has operators of groups that make the runtime refuse the whole model.
    """

    groups: tuple[tuple[str, ...], ...] = ()
    dropped: Mapping[str, Dropped] = field(default_factory=dict)
    refused: Mapping[str, Dropped] = field(default_factory=dict)


class Policy(Protocol):
    """What ``check`` asks of a runtime's way of partitioning."""

    bodies: bool
    """Whether operators inside bodies (If, Loop, While, ...) are placed like those of the main graph."""

    def folded(self, graph: Graph, options: Mapping[str, Any]) -> Set[str]:
        """Ids of operators that the runtime computes ahead of time or drops: they never run."""

    def groups(self, graph: Graph, taken: Set[str], options: Mapping[str, Any]) -> Grouping:
        """Group the operators that the rules take (``taken``, none of them folded)."""


@runtime_checkable
class Viewing(Protocol):
    """A policy whose runtime asks its accelerator about a changed graph."""

    def view(self, graph: Graph, options: Mapping[str, Any]) -> Graph:
        """The graph that the rules are asked about: the same operators by id, with the tensors as the runtime
        has them.

        An operator that the view leaves out counts as taken; ``groups`` drops it when its neighbours are not.
        """


@runtime_checkable
class BottomUp(Protocol):
    """A policy whose runtime offers bodies to its accelerator before the graph that holds them; an operator
    taken has its bodies.
    """

    bodies_first: bool


@runtime_checkable
class BranchWise(Protocol):
    """A policy whose accelerator takes an operator with bodies only with all that is in them."""

    branch_wise: bool


def names() -> tuple[str, ...]:
    """The modules here that hold policies, and what other distributions add."""
    homes = {name: _home(name) for name in modules(__path__)}
    here = [
        name for name, home in homes.items() if home and hasattr(import_module(home, __name__), "POLICIES")
    ]
    return (*here, *added("policies"))


def policy_of(name: str, tables: Tables | None = None) -> Policy:
    """The policy that a pack names: a module here, and behind a slash the kind where it has several.

    ``onnxruntime/compile`` is ``POLICIES["compile"]`` of ``onnxruntime/policy.py``. It gets the tables of a
    version of its runtime, the latest when none are given. Raises PackError when there is none.
    """
    base, _, kind = name.partition("/")
    home = _home(base)
    kinds: Mapping[str, Any] = {}
    if home is not None:
        kinds = getattr(import_module(home, __name__), "POLICIES", {})
    elif base in added("policies"):
        kinds = load("policies", base).POLICIES
    if not kinds:
        raise PackError(f"no partition policy is named {name!r}: there are {', '.join(names())}")
    if kind not in kinds:
        known = ", ".join(f"{base}/{item}" if item else base for item in kinds)
        raise PackError(f"no partition policy is named {name!r}: there are {known}")
    from .tables import STANDARD, WithTables

    made = kinds[kind]
    return cast("Policy", made(tables or STANDARD) if issubclass(made, WithTables) else made())


def _home(base: str) -> str | None:
    """The module of a policy, relative to this package."""
    if not base.isidentifier():
        return None
    spec = find_spec(f"{__name__}.{base}")
    if spec is None:
        return None
    if not spec.submodule_search_locations:
        return f".{base}"
    return f".{base}.policy" if find_spec(f"{__name__}.{base}.policy") is not None else None
