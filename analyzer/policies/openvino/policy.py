"""ONNX Runtime's OpenVINO provider: the whole graph when it takes every operator, else connected stretches of
the topological order.

Read from ``GetCapability::Execute`` and ``GetPartitionedClusters``, ``GetConnectedClusters``
(``openvino/ov_versions/capability.cc`` and ``utils.cc``), and from ``GraphViewer``'s order of nodes
(``Graph::ReverseDFSFrom``), as of the sources of 2025; what the sources leave open was measured on
onnxruntime-openvino 1.24.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from ...ir.graph import Graph, Operator
from ...ir.match import writers
from ..base import Dropped, Partitioning
from ..onnxruntime.order import topological
from ..onnxruntime.policy import OrtCompile
from ..options import shared
from ..tables import Book
from .stops import in_cycles, reads_stored, stops

_BOOK = "openvino/policy"


class OpenVino(OrtCompile):
    """Stretches of supported operators in topological order, each divided into its connected parts."""

    bodies = True
    bodies_first = True

    def partition(self, graph: Graph, supported: Set[str], options: Mapping[str, Any]) -> Partitioning:
        """What the provider is handed: in a first round, and in a second the parts of the functions that
        nobody took in the first.
        """
        folded = self.folded(graph, options)
        order = [id for id in shared(options, "topological", graph, topological) if id not in folded]
        if not order:
            return Partitioning()
        book = self.tables[_BOOK]
        functions = book.types("unfolds")
        named = {id for id in order if id in supported and _named_axes(graph.op(id))}
        late = {id for id in order if id in supported and _only_unfolded(graph, graph.op(id), functions)}
        first = self._round(graph, order, supported - named - late, folded)
        left = {id for id, why in first.dropped.items() if graph.op(id).type in functions}
        if late | left:
            again = supported - named - {id for partition in first.partitions for id in partition}
            second = self._round(graph, order, again, folded)
            first = _both(first, second, late | left, book.dropped("parts-beside-the-host"))
        rejected = {**first.rejected, **in_cycles(graph, first.partitions, self.tables)}
        axes = dict.fromkeys(named, book.dropped("input-named-axes"))
        return Partitioning(first.partitions, {**first.dropped, **axes}, rejected)

    def _round(
        self, graph: Graph, order: Sequence[str], supported: Set[str], folded: Set[str]
    ) -> Partitioning:
        """One answer of the provider: the whole graph, or the connected parts of the stretches between what
        it does not take.
        """
        book = self.tables[_BOOK]
        if all(id in supported for id in order):
            return self._whole(graph, order, folded)
        splits = book.types("splits")
        segments = _segments(
            order, [id for id in order if id not in supported or graph.op(id).type in splits]
        )
        near = _neighbours(graph, folded)
        partitions = [partition for segment in segments for partition in _connected(segment, near)]
        kept, dropped = _assigned(graph, partitions, near, book)
        rejected = {
            id: why for partition in kept for id, why in stops(graph, partition, folded, self.tables).items()
        }
        alone = {
            id: book.dropped("lone-operator")
            for id in order
            if id in supported and graph.op(id).type in splits
        }
        position = {id: index for index, id in enumerate(op.id for op in graph.ops())}
        return Partitioning(
            tuple(tuple(sorted(partition, key=position.__getitem__)) for partition in kept),
            alone | dropped,
            rejected,
        )

    def _whole(self, graph: Graph, order: Sequence[str], folded: Set[str]) -> Partitioning:
        why = _left_whole(graph, order, self.tables[_BOOK])
        if why is not None:
            return Partitioning((), dict.fromkeys(order, why))
        supported = set(order)
        rejected = stops(graph, order, folded, self.tables)
        return Partitioning((tuple(op.id for op in graph.ops() if op.id in supported),), {}, rejected)


def _both(first: Partitioning, second: Partitioning, unfolded: Set[str], with_host: Dropped) -> Partitioning:
    """What the first round dropped has kernels of the host by then: a partition of the second that holds some
    of it is not made.
    """
    partitions = [partition for partition in second.partitions if all(id in unfolded for id in partition)]
    made = {id for partition in partitions for id in partition}
    dropped = dict.fromkeys(unfolded - made, with_host) | {
        id: why for id, why in first.dropped.items() if id not in made
    }
    return Partitioning(
        (*first.partitions, *partitions),
        dropped,
        dict(first.rejected) | {id: why for id, why in second.rejected.items() if id in made},
    )


def _only_unfolded(graph: Graph, op: Operator, functions: Set[str]) -> bool:
    """A function that is supported as the operators that the standard gives for it, and not as it stands."""
    if op.type not in functions:
        return False
    tensors = [graph.find(name or "") for name in (*op.inputs, *op.outputs)]
    return op.type != "CastLike" or any(
        tensor is not None and tensor.shape == () and graph.constant(tensor.name) is None
        for tensor in tensors
    )


def _named_axes(op: Operator) -> bool:
    """``InputDefs()[i]->Name() == "axes"`` of ``data_ops.cc``."""
    return op.type == "Unsqueeze" and "axes" in op.inputs


def _left_whole(graph: Graph, order: Sequence[str], book: Book) -> Dropped | None:
    """Why a graph of which every operator is supported is not assigned."""
    first = graph.op(order[0])
    fed = [name for name in graph.inputs if graph.constant(name) is None]
    if not fed:
        return book.dropped("graph-without-inputs")
    if any(graph.tensor(name).shape is None for name in fed):
        return book.dropped("input-without-a-shape")
    small = len(order) <= book.limit("small-graph")
    if small and _asked_as(first, book.limit("cast-like-unfolded")) in book.types("opens-small"):
        return book.dropped("small-graph", count=len(order), type=first.type)
    if len(order) == 1 and _lone_type(graph, first, book.kinds("lone")):
        return book.dropped("lone-graph", type=first.type)
    return None


def _asked_as(op: Operator, unfolded: int) -> str:
    """CastLike is decomposed before the provider is offered it from an operator set on, older ones are
    supported as they stand.
    """
    return "Cast" if op.type == "CastLike" and op.version >= unfolded else op.type


def _lone_type(graph: Graph, op: Operator, lone: Mapping[str, str]) -> bool:
    """``SpecialConditionForClusterSizeOne``."""
    kind = lone.get(op.type)
    if kind is None:
        return False
    if kind == "computed":
        return len(op.inputs) > 1 and graph.constant(op.inputs[1]) is None
    tensors = [graph.find(name or "") for name in (*op.inputs[:2], op.outputs[0])]
    return any(
        tensor is None or tensor.dtype != "float16"
        for tensor in (tensors[-1:] if kind == "result" else tensors)
    )


def _neighbours(graph: Graph, folded: Set[str]) -> dict[str, list[str]]:
    """Writers and readers of each operator; a DequantizeLinear of stored values is with its first reader."""
    near: dict[str, list[str]] = {op.id: [] for op in graph.ops()}
    met: set[str] = set()
    for op in graph.ops():
        for id in sorted(writers(graph, op)):
            if id in folded or op.id in folded or (id in met and reads_stored(graph, graph.op(id))):
                continue
            met.add(id)
            near[op.id].append(id)
            near[id].append(op.id)
    return near


def _segments(order: Sequence[str], ends: Sequence[str]) -> list[list[str]]:
    """``GetPartitionedClusters``: what lies between the operators that end a stretch."""
    found: list[list[str]] = [[]]
    last = set(ends)
    for id in order:
        if id in last:
            found.append([])
        else:
            found[-1].append(id)
    return [segment for segment in found if segment]


def _connected(segment: Sequence[str], near: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """``GetConnectedClusters``: the connected parts, in the order of their first operator."""
    left = dict.fromkeys(segment)
    partitions: list[list[str]] = []
    while left:
        todo = [next(iter(left))]
        partition: list[str] = []
        while todo:
            id = todo.pop()
            if id in left:
                del left[id]
                partition.append(id)
                todo += near[id]
        partitions.append(partition)
    return partitions


def _assigned(
    graph: Graph, partitions: list[list[str]], near: Mapping[str, Sequence[str]], book: Book
) -> tuple[list[list[str]], dict[str, Dropped]]:
    """The parts that are assigned, and why the others are not. A lone operator joins a later part that it
    touches.
    """
    kept: list[list[str]] = []
    dropped: dict[str, Dropped] = {}
    for place, partition in enumerate(partitions):
        several = (
            graph.op(partition[0]).type in book.types("unfolds") and graph.op(partition[0]).type != "CastLike"
        )
        why = (None if several else _lone(partition, place, partitions, near, book)) or _no_partition(
            graph, partition, book
        )
        if why is None:
            kept.append(partition)
        elif why is not _JOINED:
            dropped.update((id, why) for id in partition)
    return kept, dropped


_JOINED = Dropped("", "", "")


def _lone(
    partition: list[str],
    place: int,
    partitions: list[list[str]],
    near: Mapping[str, Sequence[str]],
    book: Book,
) -> Dropped | None:
    if len(partition) != 1 or place == len(partitions) - 1:
        return None
    later = next((other for other in partitions[place + 1 :] if set(near[partition[0]]) & set(other)), None)
    if later is None:
        return book.dropped("lone-operator")
    later.append(partition[0])
    return _JOINED


def _no_partition(graph: Graph, partition: Sequence[str], book: Book) -> Dropped | None:
    inside = set(partition)
    for id in partition:
        op = graph.op(id)
        readers = graph.consumers(op.outputs[0] or "") if op.outputs else ()
        outside = op.outputs[0] in graph.outputs or any(reader.id not in inside for reader in readers)
        if op.type in book.types("whole-results") and readers and outside:
            return book.dropped("result-also-used-outside")
    written = {name for id in partition for name in graph.op(id).outputs}
    return (
        None
        if any(name and name not in written for id in partition for name in graph.op(id).inputs)
        else book.dropped("graph-without-inputs")
    )


POLICIES = {"": OpenVino}
