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
from ..base import Dropped, Grouping
from ..onnxruntime.order import topological
from ..onnxruntime.policy import OrtCompile
from ..options import shared
from ..tables import Book
from .stops import in_circles, reads_stored, stops

_BOOK = "openvino/policy"


class OpenVino(OrtCompile):
    """Stretches of taken operators in topological order, each divided into its connected parts."""

    bodies = True
    bodies_first = True

    def groups(self, graph: Graph, taken: Set[str], options: Mapping[str, Any]) -> Grouping:
        """What the provider is handed: in a first round, and in a second the parts of the functions that
        nobody took in the first.
        """
        folded = self.folded(graph, options)
        order = [id for id in shared(options, "topological", graph, topological) if id not in folded]
        if not order:
            return Grouping()
        book = self.tables[_BOOK]
        functions = book.types("unfolds")
        named = {id for id in order if id in taken and _named_axes(graph.op(id))}
        late = {id for id in order if id in taken and _only_unfolded(graph, graph.op(id), functions)}
        first = self._round(graph, order, taken - named - late, folded)
        left = {id for id, why in first.dropped.items() if graph.op(id).type in functions}
        if late | left:
            again = taken - named - {id for group in first.groups for id in group}
            second = self._round(graph, order, again, folded)
            first = _both(first, second, late | left, book.dropped("parts-beside-the-host"))
        refused = {**first.refused, **in_circles(graph, first.groups, self.tables)}
        axes = dict.fromkeys(named, book.dropped("input-named-axes"))
        return Grouping(first.groups, {**first.dropped, **axes}, refused)

    def _round(self, graph: Graph, order: Sequence[str], taken: Set[str], folded: Set[str]) -> Grouping:
        """One answer of the provider: the whole graph, or the connected parts of the stretches between what
        it does not take.
        """
        book = self.tables[_BOOK]
        if all(id in taken for id in order):
            return self._whole(graph, order, folded)
        splits = book.types("splits")
        stretches = _stretches(order, [id for id in order if id not in taken or graph.op(id).type in splits])
        near = _neighbours(graph, folded)
        parts = [part for stretch in stretches for part in _connected(stretch, near)]
        kept, dropped = _handed(graph, parts, near, book)
        refused = {id: why for part in kept for id, why in stops(graph, part, folded, self.tables).items()}
        alone = {
            id: book.dropped("lone-operator") for id in order if id in taken and graph.op(id).type in splits
        }
        position = {id: index for index, id in enumerate(op.id for op in graph.ops())}
        return Grouping(
            tuple(tuple(sorted(part, key=position.__getitem__)) for part in kept), alone | dropped, refused
        )

    def _whole(self, graph: Graph, order: Sequence[str], folded: Set[str]) -> Grouping:
        why = _left_whole(graph, order, self.tables[_BOOK])
        if why is not None:
            return Grouping((), dict.fromkeys(order, why))
        taken = set(order)
        refused = stops(graph, order, folded, self.tables)
        return Grouping((tuple(op.id for op in graph.ops() if op.id in taken),), {}, refused)


def _both(first: Grouping, second: Grouping, unfolded: Set[str], with_host: Dropped) -> Grouping:
    """What the first round dropped has kernels of the host by then: a group of the second that holds some of
    it is not made.
    """
    groups = [group for group in second.groups if all(id in unfolded for id in group)]
    made = {id for group in groups for id in group}
    dropped = dict.fromkeys(unfolded - made, with_host) | {
        id: why for id, why in first.dropped.items() if id not in made
    }
    return Grouping(
        (*first.groups, *groups),
        dropped,
        dict(first.refused) | {id: why for id, why in second.refused.items() if id in made},
    )


def _only_unfolded(graph: Graph, op: Operator, functions: Set[str]) -> bool:
    """A function that is taken as the operators that the standard gives for it, and not as it stands."""
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
    """Why a graph of which every operator is taken is not handed over."""
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
    """CastLike is decomposed before the provider takes it from an operator set on, older ones are taken as
    they stand.
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


def _stretches(order: Sequence[str], ends: Sequence[str]) -> list[list[str]]:
    """``GetPartitionedClusters``: what lies between the operators that end a stretch."""
    found: list[list[str]] = [[]]
    last = set(ends)
    for id in order:
        if id in last:
            found.append([])
        else:
            found[-1].append(id)
    return [stretch for stretch in found if stretch]


def _connected(stretch: Sequence[str], near: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """``GetConnectedClusters``: the connected parts, in the order of their first operator."""
    left = dict.fromkeys(stretch)
    parts: list[list[str]] = []
    while left:
        todo = [next(iter(left))]
        part: list[str] = []
        while todo:
            id = todo.pop()
            if id in left:
                del left[id]
                part.append(id)
                todo += near[id]
        parts.append(part)
    return parts


def _handed(
    graph: Graph, parts: list[list[str]], near: Mapping[str, Sequence[str]], book: Book
) -> tuple[list[list[str]], dict[str, Dropped]]:
    """The parts that are handed over, and why the others are not. A lone operator joins a later part that it
    touches.
    """
    kept: list[list[str]] = []
    dropped: dict[str, Dropped] = {}
    for place, part in enumerate(parts):
        several = graph.op(part[0]).type in book.types("unfolds") and graph.op(part[0]).type != "CastLike"
        why = (None if several else _lone(part, place, parts, near, book)) or _refused(graph, part, book)
        if why is None:
            kept.append(part)
        elif why is not _JOINED:
            dropped.update((id, why) for id in part)
    return kept, dropped


_JOINED = Dropped("", "", "")


def _lone(
    part: list[str], place: int, parts: list[list[str]], near: Mapping[str, Sequence[str]], book: Book
) -> Dropped | None:
    if len(part) != 1 or place == len(parts) - 1:
        return None
    later = next((other for other in parts[place + 1 :] if set(near[part[0]]) & set(other)), None)
    if later is None:
        return book.dropped("lone-operator")
    later.append(part[0])
    return _JOINED


def _refused(graph: Graph, part: Sequence[str], book: Book) -> Dropped | None:
    inside = set(part)
    for id in part:
        op = graph.op(id)
        readers = graph.consumers(op.outputs[0] or "") if op.outputs else ()
        outside = op.outputs[0] in graph.outputs or any(reader.id not in inside for reader in readers)
        if op.type in book.types("whole-results") and readers and outside:
            return book.dropped("result-also-used-outside")
    written = {name for id in part for name in graph.op(id).outputs}
    return (
        None
        if any(name and name not in written for id in part for name in graph.op(id).inputs)
        else book.dropped("graph-without-inputs")
    )


POLICIES = {"": OpenVino}
