"""One model as its targets need it: what is worked out for one of them is there for the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...rules.pack import signature
from ..policies import Viewing
from .cost import boundary, macs

if TYPE_CHECKING:
    from collections.abc import Hashable

    from ..ir.graph import Graph, Operator
    from ..ir.model import Model
    from ..policies import Grouping, Policy

Options = Mapping[str, Any]
Boundary = tuple[int | None, int | None]
_ABSENT = object()


class _Watched(Options):
    """A policy's options that remember which of them the policy looked at."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.read: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        self.read[key] = self._options.get(key, _ABSENT)
        return self._options[key]

    def __iter__(self) -> Iterator[str]:
        self.read.update(self._options)
        return iter(self._options)

    def __len__(self) -> int:
        self.read.update(self._options)
        return len(self._options)

    def same(self, options: Options) -> bool:
        """Whether other options would have been read alike."""
        return all(options.get(key, _ABSENT) == value for key, value in self.read.items())


@dataclass(eq=False, slots=True)
class Seen:
    """One graph as one policy shows it to the rules.

    Attributes:
        folded: ids of operators that never run.
        graph: the view.
        shown: the operators of the view by id.
        kinds: operator id -> what local conditions see of it, one object for equal ones.
    """

    folded: Set[str]
    graph: Graph
    shown: Mapping[str, Operator]
    _watched: tuple[_Watched, ...]
    kinds: dict[str, Kind] = field(default_factory=dict)
    _known: dict[Hashable, Kind] = field(default_factory=dict)

    def same(self, options: Options) -> bool:
        """Whether the policy shows the same with other options."""
        return all(watched.same(options) for watched in self._watched)

    def kind(self, op: Operator) -> Kind:
        """What local conditions see of an operator of the view."""
        found = self.kinds.get(op.id)
        if found is None:
            found = self.kinds[op.id] = self._kind(signature(self.graph, op))
        return found

    def _kind(self, sign: Hashable) -> Kind:
        try:
            return self._known.setdefault(sign, Kind(sign))
        except TypeError:  # an attribute that cannot be hashed
            return Kind(None)


@dataclass(eq=False, slots=True)
class Kind:
    """Operators that local conditions cannot tell apart; ``signature`` is None for one that equals no
    other.
    """

    signature: Hashable


@dataclass(eq=False, slots=True)
class _Grouped:
    taken: frozenset[str]
    watched: _Watched
    grouping: Grouping
    boundaries: tuple[Boundary, ...]


@dataclass(eq=False)
class Prepared:
    """A model, read once, with what checks of it share. The model must not be edited while this is in use.

    Attributes:
        model: as it was read.
    """

    model: Model
    _seen: dict[tuple[int, str], list[Seen]] = field(default_factory=dict, repr=False)
    _grouped: dict[tuple[int, str], list[_Grouped]] = field(default_factory=dict, repr=False)
    _macs: dict[int, dict[str, int | None]] = field(default_factory=dict, repr=False)

    @cached_property
    def flat(self) -> tuple[Model, Mapping[str, str]]:
        """The model with its local functions in place of their calls, and for each operator the id of the one
        that it comes from.
        """
        from ..formats.onnx.inline import inlined

        flat, origins = inlined(self.model)
        if flat is not self.model:
            flat.graph.facts = replace(flat.graph.facts, inlined=True)
        return flat, origins

    def seen(self, graph: Graph, name: str, policy: Policy, options: Options) -> Seen:
        """A graph as a policy shows it; ``name`` is the policy's."""
        known = self._seen.setdefault((id(graph), name), [])
        for seen in known:
            if seen.same(options):
                return seen
        folding, viewing = _Watched(options), _Watched(options)
        folded = policy.folded(graph, folding)
        view = policy.view(graph, viewing) if isinstance(policy, Viewing) else graph
        known.append(Seen(folded, view, {op.id: op for op in view.ops()}, (folding, viewing)))
        return known[-1]

    def grouping(
        self, graph: Graph, name: str, policy: Policy, options: Options, taken: Set[str]
    ) -> tuple[Grouping, tuple[Boundary, ...]]:
        """The groups that a policy makes of taken operators, and the bytes that cross the boundary of each."""
        known = self._grouped.setdefault((id(graph), name), [])
        for item in known:
            if item.taken == taken and item.watched.same(options):
                return item.grouping, item.boundaries
        watched = _Watched(options)
        grouping = policy.groups(graph, taken, watched)
        boundaries = tuple(boundary(graph, group) for group in grouping.groups)
        known.append(_Grouped(frozenset(taken), watched, grouping, boundaries))
        return grouping, boundaries

    def macs(self, graph: Graph) -> Mapping[str, int | None]:
        """Multiply-accumulates of each operator of a graph."""
        found = self._macs.get(id(graph))
        if found is None:
            found = self._macs[id(graph)] = {op.id: macs(graph, op) for op in graph.ops()}
        return found
