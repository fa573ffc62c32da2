"""One model as its targets need it: what is worked out for one of them is there for the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..ir.graph import Graph
from ..ir.model import Model
from ..policies.base import Viewing
from ..policies.options import Memo, Watched
from ..policies.tables import Tables, WithTables
from .arity import misfits
from .cost import boundary, counted
from .judge import Judge
from .kinds import Kinds

if TYPE_CHECKING:
    from ...rules.pack import Chosen
    from ..convert import Converted
    from ..ir.graph import Operator
    from ..policies.base import Partitioning, Policy
    from .coverage import OperatorVerdict

Options = Mapping[str, Any]
Boundary = tuple[int | None, int | None]


@dataclass(eq=False, slots=True)
class Seen:
    """One graph as one policy shows it to the rules.

    Attributes:
        folded: ids of operators that never run.
        graph: the view.
        shown: the operators of the view by id.
    """

    folded: Set[str]
    graph: Graph
    shown: Mapping[str, Operator]
    _watched: tuple[Watched, ...]
    _tables: Tables | None

    def same(self, policy: Policy, options: Options) -> bool:
        """Whether the policy shows the same with other options, and tables of another version."""
        return _same_tables(self._tables, policy) and all(watched.same(options) for watched in self._watched)


def _tables(policy: Policy) -> Tables | None:
    return policy.tables if isinstance(policy, WithTables) else None


def _same_tables(tables: Tables | None, policy: Policy) -> bool:
    other = _tables(policy)
    return tables is None or other is None or tables.same(other)


@dataclass(frozen=True, eq=False, slots=True)
class Optimized:
    """What ONNX Runtime's default optimization makes of a model.

    Attributes:
        prepared: the optimized model; the very one that was given where nothing changed.
        origins: operator of the optimized model -> the stored one that it stands for, where the ids differ.
        gone: by stored operator, the passes that took it (or operators of its function) away, each with the
            operator of the optimized model that computes the result now, if one does.
        held: what keeps the files of the optimized model, if it has some.
    """

    prepared: Prepared
    origins: Mapping[str, str]
    gone: Mapping[str, Sequence[tuple[str, str]]]
    held: object = None


@dataclass(frozen=True, eq=False, slots=True)
class Conversion:
    """What a converter answered, and the model that it made, prepared; None where it rejects."""

    made: Converted
    prepared: Prepared | None


@dataclass(eq=False, slots=True)
class _Partitioned:
    supported: frozenset[str]
    watched: Watched
    tables: Tables | None
    partitioning: Partitioning
    boundaries: tuple[Boundary, ...]


@dataclass(eq=False)
class Prepared:
    """A model, read once, with what checks of it share. The model must not be edited while this is in use.

    Attributes:
        model: as it was read.
        edited: whether its graph may be another than the one in its file.
        optimized: the same as ONNX Runtime optimizes it before it divides it, once that was asked for, by the
            passes that a release lacks.
        by_runtime: the same by ONNX Runtime's own optimizer, by environment, and which release that is.
        converted: by dialect, what a vendor's converter made of it.
        repairs: by rewrite and operator, whether the one matches at the other.
        verdicts: by operator, the last one that no finding is about: targets that agree share it.
    """

    model: Model
    edited: bool = False
    optimized: dict[frozenset[str], Optimized] = field(default_factory=dict)
    by_runtime: dict[str, tuple[Optimized, str]] = field(default_factory=dict)
    converted: dict[str, Conversion] = field(default_factory=dict)
    repairs: dict[tuple[str, str], bool] = field(default_factory=dict, repr=False)
    verdicts: dict[str, OperatorVerdict] = field(default_factory=dict, repr=False)
    _seen: dict[tuple[int, str], list[Seen]] = field(default_factory=dict, repr=False)
    _partitioned: dict[tuple[int, str], list[_Partitioned]] = field(default_factory=dict, repr=False)
    _boundaries: dict[int, dict[tuple[str, ...], Boundary]] = field(default_factory=dict, repr=False)
    _memo: Memo = field(default_factory=dict, repr=False)
    _kinds: dict[int, Kinds] = field(default_factory=dict, repr=False)
    _macs: dict[int, Mapping[str, int | None]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, model: Model | Graph | Prepared) -> Prepared:
        """A model or a graph alone, prepared; what is so already stays as it is."""
        if isinstance(model, Prepared):
            return model
        return cls(Model(Path(), "", model) if isinstance(model, Graph) else model)

    @property
    def graphs(self) -> tuple[Graph, ...]:
        """The graphs that a target takes, local functions in place of their calls."""
        flat = self.flat[0]
        return tuple(flat.graphs.values()) or (flat.graph,)

    @cached_property
    def flat(self) -> tuple[Model, Mapping[str, str]]:
        """The model with its local functions in place of their calls, and by operator the id of the stored
        one that it comes from.
        """
        if self.model.dialect != "onnx" or not self.model.functions:
            return self.model, {}
        from ..formats.onnx.inline import inlined

        flat, origins = inlined(self.model)
        flat.graph.facts = replace(flat.graph.facts, inlined=True)
        return flat, origins

    @cached_property
    def misfits(self) -> Mapping[str, str]:
        """What is wrong with operators, by their ids: with the number of their operands (``arity``), or what
        the reader found.
        """
        return {**self.model.graph.facts.faults, **misfits(self.model.operators())}

    @cached_property
    def flat_misfits(self) -> Mapping[str, str]:
        """The same where local functions are in place of their calls."""
        flat = self.flat[0]
        return {} if flat is self.model else misfits(flat.operators())

    def seen(self, graph: Graph, name: str, policy: Policy, options: Options) -> Seen:
        """A graph as a policy shows it; ``name`` is the policy's."""
        known = self._seen.setdefault((id(graph), name), [])
        for seen in known:
            if seen.same(policy, options):
                return seen
        folding, viewing = Watched(options, self._memo), Watched(options, self._memo)
        folded = policy.folded(graph, folding)
        view = policy.view(graph, viewing) if isinstance(policy, Viewing) else graph
        known.append(
            Seen(folded, view, {op.id: op for op in view.ops()}, (folding, viewing), _tables(policy))
        )
        return known[-1]

    def partitioning(
        self, graph: Graph, name: str, policy: Policy, options: Options, supported: Set[str]
    ) -> tuple[Partitioning, tuple[Boundary, ...]]:
        """The partitions that a policy makes of supported operators, and the bytes crossing each boundary."""
        known = self._partitioned.setdefault((id(graph), name), [])
        for item in known:
            if (
                item.supported == supported
                and item.watched.same(options)
                and _same_tables(item.tables, policy)
            ):
                return item.partitioning, item.boundaries
        watched = Watched(options, self._memo)
        partitioning = policy.partition(graph, supported, watched)
        boundaries = tuple(self._boundary(graph, partition) for partition in partitioning.partitions)
        known.append(_Partitioned(frozenset(supported), watched, _tables(policy), partitioning, boundaries))
        return partitioning, boundaries

    def _boundary(self, graph: Graph, partition: tuple[str, ...]) -> Boundary:
        known = self._boundaries.setdefault(id(graph), {})
        found = known.get(partition)
        if found is None:
            found = known[partition] = boundary(graph, partition)
        return found

    def judge(self, graph: Graph, chosen: Chosen) -> Judge:
        """The rules of a target, to be asked about the operators of a graph or of a view."""
        kinds = self._kinds.get(id(graph))
        if kinds is None:
            kinds = self._kinds[id(graph)] = Kinds(graph)
        return Judge(kinds, chosen)

    def macs(self, graph: Graph, view: Graph) -> Mapping[str, int | None]:
        """Multiply-accumulates of the operators of a graph, in the shapes that a view of it has.

        Those of types that count none are left out.
        """
        found = self._macs.get(id(view))
        if found is None:
            found = self._macs[id(view)] = counted(graph, view)
        return found
