"""ONNX Runtime: compiling providers take convex partitions of node units, kernel providers take operators one
by one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from functools import partial
from typing import Any

from ...ir.graph import Graph, Operator, Quantization, Tensor
from ...ir.match import reads
from ...ir.view import edited
from ..base import Dropped, Partitioning, operators
from ..options import shared, whole
from ..tables import STANDARD, Tables, WithTables
from .dynamic import seen_dynamic
from .fusions import seen_fused, seen_in_rank_5, seen_regrouped
from .layout import at_the_edge, leaves_its_unit
from .order import topological
from .units import Unit, units

_BOOK = "onnxruntime/policy"
_FOLDED = ("Constant",)
_FUSIONS: Mapping[str, Callable[[Graph, Tables], Graph]] = {
    "gelu": lambda graph, tables: seen_fused(graph),
    "rank-6": lambda graph, tables: seen_in_rank_5(graph),
    "regroup": seen_regrouped,
    "dynamic": lambda graph, tables: seen_dynamic(graph, tables),
}


class OrtCompile(WithTables):
    """A provider that compiles partitions: QNN, Core ML, NNAPI, OpenVINO, XNNPACK.

    Options:
        units: ``"qdq"`` when the provider sees quantize and dequantize operators as part of the operator
        between them.
        fusions: patterns that the provider takes as one operator (``["gelu", "rank-6",
        "regroup", "dynamic"]``).
        edges: ``"host"`` when lone quantize operators that read an input of the
        model, and dequantize operators that write
            an output, are left to the host.
        lone: types that are not assigned when they are a partition of their own: a list, or the name of a
        table.
        trivial: types that do not make a partition: one that has only these is not handed
        over.
        min_nodes: smaller partitions are not assigned.
        constants: ``"host"`` when a partition that reads nothing but constants is not assigned.
        results: ``"known-rank"`` when a partition fails to compile that gives a tensor of unknown rank.
    """

    bodies = False
    captures_wait = True
    """Whether the walk waits for what an operator's bodies read from outside, as it does for the operator's
    own inputs.
    """

    def folded(self, graph: Graph, options: Mapping[str, Any]) -> Set[str]:
        """Constant operators: they become initializers before any provider is asked."""
        return {op.id for op in graph.ops() if op.type in _FOLDED and op.domain in ("", "ai.onnx")}

    def view(self, graph: Graph, options: Mapping[str, Any]) -> Graph:
        """Shapes as ONNX Runtime infers them, and units as the provider sees them.

        The target of a unit reads and writes quantized tensors, its members are left out.
        """
        plain = with_plain_shapes(graph)
        for name, fused in _FUSIONS.items():
            if name in options.get("fusions", ()):
                plain = fused(plain, self.tables)
        return (
            seen_in_units(plain, self.tables, shared=options.get("selectors") == "shared")
            if options.get("units") == "qdq"
            else plain
        )

    def partition(self, graph: Graph, supported: Set[str], options: Mapping[str, Any]) -> Partitioning:
        """``CreateSupportedPartitions``: a topological walk that closes a partition when only rejected units
        are left to process.
        """
        found = (
            units(graph, self.tables, shared=options.get("selectors") == "shared")
            if options.get("units") == "qdq"
            else {}
        )
        edge = (
            {id for id in supported if id not in found and at_the_edge(graph, graph.op(id), self.tables)}
            if options.get("edges") == "host"
            else set()
        )
        supported, book = supported - edge, self.tables[_BOOK]
        dropped: dict[str, Dropped] = {}
        for unit in {id(unit): unit for unit in found.values() if unit.target.id not in supported}.values():
            left = {
                member.id
                for member in unit.before
                if options.get("edges") == "host" and leaves_its_unit(graph, member, self.tables)
            }
            target = {"type": unit.target.type, "name": repr(unit.target.label)}
            dropped.update(
                (member.id, book.dropped("node-unit-not-supported", **target))
                for member in unit.members
                if member.id in supported - left
            )
        dropped.update((id, book.dropped("quantization-at-the-edge")) for id in edge)
        folded = self.folded(graph, options)
        kept: list[tuple[str, ...]] = []
        for offered in self.rounds(graph, supported, options):
            for partition in _Walk(
                graph, offered, found, folded, options, tuple(kept), captures_wait=self.captures_wait
            ).run():
                why = self._too_little([graph.op(id) for id in partition], options)
                if why is None and options.get("constants") == "host" and _only_constants(graph, partition):
                    why = book.dropped("constant-partition")
                if why is None:
                    kept.append(partition)
                else:
                    dropped.update((id, why) for id in partition)
        return Partitioning(_in_order(graph, kept), dropped, self.stops(graph, kept, options))

    def _too_little(self, partition: Sequence[Operator], options: Mapping[str, Any]) -> Dropped | None:
        """Why a partition is not worth handing over."""
        book, types = self.tables[_BOOK], [op.type for op in partition]
        if len(partition) == 1 and types[0] in self._listed(options.get("lone", ())):
            return book.dropped("lone-operator", type=types[0])
        if set(types) <= self._listed(options.get("trivial", ())):
            return book.dropped("trivial-partition", types=", ".join(sorted(set(types))))
        least = whole(options, "min_nodes", 1)
        if len(partition) < least:
            return book.dropped("partition-too-small", operators=operators(partition), least=least)
        return None

    def _listed(self, option: str | Sequence[str]) -> Set[str]:
        """The types of an option: a list, or the name of a table. Raises PackError when there is none."""
        if not isinstance(option, str):
            return frozenset(option)
        return self.tables[_BOOK].types(self.tables[_BOOK].named(option).name)

    def rounds(self, graph: Graph, supported: Set[str], options: Mapping[str, Any]) -> list[Set[str]]:
        """What the provider is offered, at once or in rounds; the partitions of a round are one operator each
        in the next.
        """
        return [supported]

    def stops(
        self, graph: Graph, partitions: Sequence[Sequence[str]], options: Mapping[str, Any]
    ) -> dict[str, Dropped]:
        """The operators of partitions that the provider takes and cannot compile; partitions are in the order
        in which it meets them.
        """
        if options.get("results") != "known-rank":
            return {}
        why = self.tables[_BOOK].dropped("result-of-unknown-rank")
        return {id: why for partition in partitions for id in _of_unknown_rank(graph, partition)}


def _of_unknown_rank(graph: Graph, partition: Sequence[str]) -> list[str]:
    """The operators of a partition that write a tensor of unknown rank for somebody outside."""
    inside, plain = set(partition), graph.facts.plain_shapes
    shapes = {
        name: plain.get(name, (None, tensor.shape))[1]
        for id in partition
        for name in graph.op(id).outputs
        if name and (tensor := graph.find(name)) is not None
    }
    leaving = {
        name
        for name, shape in shapes.items()
        if shape is None and (name in graph.outputs or graph.leaves(name, inside))
    }
    return [id for id in partition if leaving & set(graph.op(id).outputs)]


def _only_constants(graph: Graph, partition: Sequence[str]) -> bool:
    """Whether no operator of the partition reads anything that changes from run to run."""
    written = {name for id in partition for name in graph.op(id).outputs if name}
    read = {name for id in partition for name in graph.op(id).inputs if name}
    return all(name in written or graph.constant(name) is not None for name in read)


class OrtKernel:
    """A provider that registers kernels (CPU, WebGPU, CUDA): each operator is placed on its own, in bodies
    too.
    """

    bodies = True

    def folded(self, graph: Graph, options: Mapping[str, Any]) -> Set[str]:
        """Constant operators: they become initializers when the model is loaded."""
        return {op.id for op in graph.ops() if op.type in _FOLDED and op.domain in ("", "ai.onnx")}

    def partition(self, graph: Graph, supported: Set[str], options: Mapping[str, Any]) -> Partitioning:
        """Runs of placed operators between which nothing crosses to another provider."""
        walk = _Walk(graph, supported, {}, self.folded(graph, options), options)
        return Partitioning(_in_order(graph, walk.run()))


def _in_order(graph: Graph, partitions: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    position = {op.id: index for index, op in enumerate(graph.ops())}
    return tuple(tuple(sorted(partition, key=position.__getitem__)) for partition in partitions)


Edges = tuple[list[str], dict[str, list[str]], dict[str, int]]
"""Operators in the order in which they are met, who reads each, and for how many results each waits."""


def _plain_edges(graph: Graph, *, order: Sequence[str], gone: Set[str], captures_wait: bool) -> Edges:
    """The edges where every operator is its own unit."""
    heads = [id for id in order if id not in gone]
    readers: dict[str, list[str]] = {id: [] for id in heads}
    waiting = dict.fromkeys(heads, 0)
    for op in graph.ops():
        if op.id not in readers:
            continue
        waits = captures_wait or not op.graphs
        for name in reads(op):
            writer = graph.producer(name)
            if writer is not None and writer is not op and writer.id not in gone:
                readers[writer.id].append(op.id)
                waiting[op.id] += waits or name in op.inputs
    return heads, readers, waiting


class _Walk:
    """``CreateSupportedPartitionNodeGroups`` over units: breadth first, rejected units on the border wait for
    the next partition.
    """

    def __init__(
        self,
        graph: Graph,
        supported: Set[str],
        found: Mapping[str, Unit],
        gone: Set[str],
        options: Mapping[str, Any],
        made: Sequence[Sequence[str]] = (),
        *,
        captures_wait: bool = True,
    ) -> None:
        self.supported = supported
        self.found = found
        self.home = {id: partition[0] for partition in made for id in partition}
        """The partitions of earlier rounds: each is one operator by now."""
        self.captures_wait = captures_wait
        order = shared(options, "topological", graph, topological)
        if not found and not self.home:
            plain = partial(_plain_edges, order=order, gone=gone, captures_wait=captures_wait)
            name = ("edges", frozenset(gone), captures_wait)
            self.heads, self.readers, waiting = shared(options, name, graph, plain)
            self.waiting = dict(waiting)
            return
        self.heads = [id for id in order if id not in gone and self._head(id) == id]
        self.readers = {id: [] for id in self.heads}
        self.waiting = dict.fromkeys(self.heads, 0)
        for op in graph.ops():
            if op.id in self.readers or op.id in self.home:
                self._edges(graph, op, gone)

    def _head(self, id: str) -> str:
        unit = self.found.get(id)
        return self.home.get(id, id if unit is None else unit.target.id)

    def _edges(self, graph: Graph, op: Operator, gone: Set[str]) -> None:
        head = self._head(op.id)
        for name in self._reads(graph, op):
            for writer in self._writers(graph, name, gone):
                if writer != head:
                    self.readers[writer].append(head)
                    self.waiting[head] += (
                        self.captures_wait or not op.graphs or op.id in self.home or name in op.inputs
                    )

    def _reads(self, graph: Graph, op: Operator) -> list[str]:
        """What a head reads from outside of its unit: past its own dequantize operators, that every unit has
        for itself.
        """
        unit = self.found.get(op.id)
        own = {} if unit is None else {member.outputs[0]: member.inputs[0] for member in unit.before}
        return [found for name in reads(op) if (found := own.get(name, name))]

    def _writers(self, graph: Graph, name: str, gone: Set[str]) -> list[str]:
        """The head that writes a tensor; none for inputs and constants."""
        writer = graph.producer(name)
        if writer is None or writer.id in gone:
            return []
        unit = self.found.get(writer.id)
        if unit is not None and writer in unit.before:
            return self._writers(graph, writer.inputs[0] or "", gone)
        return [self._head(writer.id)]

    def run(self) -> list[tuple[str, ...]]:
        """The partitions, each in the order in which the provider meets its operators."""
        ready = deque(id for id in self.heads if not self.waiting[id])
        later: deque[str] = deque()
        partitions: list[tuple[str, ...]] = []
        partition: list[str] = []
        border: set[str] = set()
        while ready or later:
            if not ready:
                if partition:
                    partitions.append(tuple(partition))
                partition, border = [], set()
                ready, later = later, deque()
                continue
            id = ready.popleft()
            takes = id in self.supported
            if not takes and id in border:
                later.append(id)
                continue
            if takes:
                partition += self._members(id)
                border.discard(id)
            for reader in self.readers[id]:
                if takes:
                    border.add(reader)
                self.waiting[reader] -= 1
                if not self.waiting[reader]:
                    ready.append(reader)
        if partition:
            partitions.append(tuple(partition))
        return partitions

    def _members(self, id: str) -> list[str]:
        unit = self.found.get(id)
        if unit is None:
            return [id]
        own = [op.id for op in unit.before if self._head(op.id) == id]
        return [
            *own,
            id,
            *(op.id for op in unit.members if op not in unit.before and self._head(op.id) == id),
        ]


def with_plain_shapes(graph: Graph) -> Graph:
    """The graph with the shapes that follow without carrying values through operators (Shape, Gather, Concat,
    ...).
    """
    return edited(
        graph,
        tensors=[
            replace(tensor, shape=without)
            for name, (with_values, without) in graph.facts.plain_shapes.items()
            if (tensor := graph.tensors.get(name)) and tensor.shape == with_values
        ],
    )


def seen_in_units(graph: Graph, tables: Tables = STANDARD, *, shared: bool = False) -> Graph:
    """The graph with every node unit as one operator on quantized tensors; other operators are the same."""
    found = units(graph, tables, shared=shared)
    if not found:
        return graph
    changed: dict[str, Tensor] = {}
    shown: dict[str, Operator | None] = dict.fromkeys(found)
    for unit in {id(unit): unit for unit in found.values()}.values():
        shown[unit.target.id] = _quantized(graph, unit, changed)
    return edited(graph, shown, changed.values())


def _quantized(graph: Graph, unit: Unit, changed: dict[str, Tensor]) -> Operator:
    """The target reading what its DequantizeLinears read, and writing what its QuantizeLinears write."""
    op = unit.target
    inputs: list[str | None] = []
    for name in op.inputs:
        writer = graph.producer(name)
        if writer in unit.before and writer is not None:
            inputs.append(_stored(graph, writer, writer.inputs[0], changed))
        else:
            inputs.append(name)
    for reader in unit.after:
        source = _result(unit, reader)
        old, new = graph.find(source or ""), graph.find(reader.outputs[0] or "")
        if old is not None and new is not None:
            changed[old.name] = replace(
                old, dtype=new.dtype, shape=new.shape, quant=quantization(graph, reader)
            )
    return replace(op, inputs=tuple(inputs))


def _result(unit: Unit, reader: Operator) -> str | None:
    """The result of the target that a QuantizeLinear stands for, past a redundant clip."""
    if unit.clip is not None and reader.inputs[0] in unit.clip.outputs:
        return unit.target.outputs[0]
    return reader.inputs[0]


def _stored(graph: Graph, op: Operator, name: str | None, changed: dict[str, Tensor]) -> str | None:
    tensor = graph.find(name or "")
    if tensor is None:
        return name
    known = changed.get(tensor.name)
    quant = quantization(graph, op)
    if known is None or known.quant == quant:
        changed[tensor.name] = replace(known or tensor, quant=quant)
        return tensor.name
    fresh = f"{tensor.name}::{op.id}"
    changed[fresh] = replace(tensor, name=fresh, const=graph.constant(tensor.name), quant=quant)
    return fresh


def quantization(graph: Graph, op: Operator) -> Quantization | None:
    """What a QuantizeLinear or DequantizeLinear says about the integers on its other side; None when it is
    computed.
    """
    scale = graph.constant(op.inputs[1]) if len(op.inputs) > 1 else None
    if scale is None:
        return None
    scales = tuple(float(value) for value in scale.numbers())
    zero = graph.constant(op.inputs[2]) if len(op.inputs) > 2 else None
    zeros = tuple(int(value) for value in zero.numbers()) if zero is not None else (0,) * len(scales)
    block = int(op.attrs.get("block_size", 0)) or None
    axis = int(op.attrs.get("axis", 1)) if scale.shape and len(scales) > 1 else None
    return Quantization(scales, zeros, axis, block)


POLICIES = {"compile": OrtCompile, "kernel": OrtKernel}
