"""How the data flows through partitions and the operators between them: what a drawing of a check shows.

Operators of the main graph that fall back, are rejected or unknown are joined where they read each other and
the same changes of device are behind them, so that no cycle appears that the model does not have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

from ...rules.verdict import Verdict

if TYPE_CHECKING:
    from ..ir.graph import Graph, Operator
    from .coverage import Coverage

TYPES = 4
"""Operator types that a region names."""
INPUT, OUTPUT = "input", "output"


@dataclass
class _Region:
    kind: str
    partition: int | None = None
    level: int = 0
    ops: list[Operator] = field(default_factory=list)

    def row(self, number: int) -> dict[str, Any]:
        types = Counter(op.type for op in self.ops)
        row: dict[str, Any] = {"id": number, "kind": self.kind, "operators": len(self.ops)}
        if self.partition is not None:
            row["partition"] = self.partition
        if self.ops:
            row["members"] = [op.id for op in self.ops]
            row["first"] = self.ops[0].id
            row["types"] = dict(types.most_common(TYPES))
        return row


def flow(graph: Graph, coverage: Coverage) -> dict[str, Any]:
    """``regions``: the inputs, partitions and what runs elsewhere in an order of execution, the outputs;
    ``edges``: the bytes that flow from one to another, None where a size is unknown.
    """
    regions = _Regions(graph, coverage)
    numbers = {id(region): number for number, region in enumerate(regions.ordered)}
    edges: dict[tuple[int, int], dict[str, int | None]] = {}
    for name, source, sink in regions.crossings():
        tensor = graph.find(name)
        found = edges.setdefault((numbers[id(source)], numbers[id(sink)]), {})
        found[name] = None if tensor is None else tensor.nbytes
    return {
        "regions": [region.row(number) for number, region in enumerate(regions.ordered)],
        "edges": [
            {"from": start, "to": end, "tensors": len(sizes), "bytes": _total(sizes.values())}
            for (start, end), sizes in sorted(edges.items())
        ],
    }


def _total(sizes: Iterable[int | None]) -> int | None:
    found = list(sizes)
    return None if None in found else sum(size or 0 for size in found)


class _Regions:
    """The regions of one graph, and which operator is in which."""

    def __init__(self, graph: Graph, coverage: Coverage) -> None:
        self.graph = graph
        self.input, self.output = _Region(INPUT), _Region(OUTPUT)
        self.verdicts = {op.id: op for op in coverage.operators}
        self.of: dict[str, _Region] = {}
        for number, part in enumerate(coverage.partitions):
            self.of.update(dict.fromkeys(part.operators, _Region("accelerated", number)))
        ops = [op for op in graph.ops() if not self._folded(op)]
        for op in ops:
            self._absorbed(op)
        given = frozenset(self.of)
        for unit in self._units(ops):
            self._place(unit, given)
        made = list({id(self.of[op.id]): self.of[op.id] for op in ops}.values())
        self.ordered = [self.input, *sorted(made, key=lambda region: region.level), self.output]

    def _folded(self, op: Operator) -> bool:
        found = self.verdicts.get(op.id)
        return found is not None and found.verdict is Verdict.FOLDED and op.id not in self.of

    def _absorbed(self, op: Operator) -> None:
        """What an optimizer fused into an operator of a partition goes with it."""
        found = self.verdicts.get(op.id)
        if found is not None and found.into in self.of:
            self.of.setdefault(op.id, self.of[found.into])

    def _units(self, ops: list[Operator]) -> Iterable[list[Operator]]:
        """Partitions whole and other operators alone, what is read before what reads it. Partitions that
        depend on each other, which no runtime accepts, come last in the order of the graph.
        """
        members: dict[int, list[Operator]] = {}
        for op in ops:
            members.setdefault(id(self.of.get(op.id, op)), []).append(op)
        unit_of = {op.id: key for key, found in members.items() for op in found}
        waits: dict[int, set[int]] = {}
        readers: dict[int, list[int]] = {}
        for key, found in members.items():
            read = (self._origin(name) for op in found for name in _reads(op))
            writers = [self.graph.producer(name) for name in read if name]
            before = {unit_of[op.id] for op in writers if op is not None and op.id in unit_of} - {key}
            waits[key] = before
            for other in before:
                readers.setdefault(other, []).append(key)
        place = {key: index for index, key in enumerate(members)}
        ready = [place[key] for key, before in waits.items() if not before]
        heapify(ready)
        keys = list(members)
        while ready or waits:
            key = keys[heappop(ready)] if ready else next(iter(waits))
            if waits.pop(key, None) is None:
                continue
            yield members[key]
            for other in readers.get(key, ()):
                if other in waits:
                    waits[other].discard(key)
                    if not waits[other]:
                        heappush(ready, place[other])

    def _place(self, unit: list[Operator], given: Set[str]) -> None:
        """Join what the unit reads from, or start a region."""
        before = {id(item): item for op in unit for item in self._before(op)}
        known = self.of.get(unit[0].id) if unit[0].id in given else None
        if known is not None:
            known.level = max((item.level + 1 for item in before.values() if item is not known), default=0)
        else:
            found = self.verdicts.get(unit[0].id)
            kind = (found.verdict if found else Verdict.UNKNOWN).value
            apart = {id for id, item in before.items() if item.partition is not None or item.kind != kind}
            level = max((item.level + (id in apart) for id, item in before.items()), default=0)
            joined = [item for id, item in before.items() if id not in apart and item.level == level]
            known = joined[0] if joined else _Region(kind, level=level)
            for other in joined[1:]:
                known.ops += other.ops
                self.of.update((op.id, known) for op in other.ops)
        known.ops += unit
        self.of.update((op.id, known) for op in unit)

    def _before(self, op: Operator) -> list[_Region]:
        found = [self._source(name) for name in _reads(op)]
        return [item for item in found if item is not None and item is not self.input]

    def _origin(self, name: str) -> str | None:
        """The tensor that is read when the model runs: no-ops that an optimizer removes are looked through;
        None for one that is computed before.
        """
        writer = self.graph.producer(name)
        while writer is not None and self._folded(writer):
            gone, read = self.verdicts[writer.id].gone.lower(), writer.input(0)
            if not gone or "constant" in gone or not read:
                return None
            name, writer = read, self.graph.producer(read)
        return name

    def _source(self, name: str) -> _Region | None:
        """Where a tensor comes from; None for one that is computed before the model runs."""
        origin = self._origin(name)
        writer = self.graph.producer(origin) if origin else None
        if writer is not None:
            return self.of.get(writer.id)
        return self.input if origin in self.graph.inputs else None

    def crossings(self) -> Iterable[tuple[str, _Region, _Region]]:
        """Tensors that leave the region which computes them, with that and the one that reads them."""
        for region in self.ordered:
            for op in region.ops:
                for name in _reads(op):
                    source = self._source(name)
                    if source is not None and source is not region:
                        yield name, source, region
        for name in self.graph.outputs:
            source = self._source(name)
            if source is not None:
                yield name, source, self.output


def _reads(op: Operator) -> list[str]:
    names = [name for name in op.inputs if name]
    for body in op.graphs.values():
        names += body.captures() if body.outer is not None else []
    return names
