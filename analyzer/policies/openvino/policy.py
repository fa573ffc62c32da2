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
from ..base import Dropped, Grouping
from ..onnxruntime.order import topological, writers
from ..onnxruntime.policy import OrtCompile
from .stops import in_circles, reads_stored, stops

_SMALL = 3
_TRIVIAL = Dropped(
    "ACL601",
    "lone-operator",
    "it is alone between operators that are not taken, and one operator is not handed over",
)
_SPLIT_OUTPUT = Dropped(
    "ACL601",
    "result-also-used-outside",
    "a Conv or Identity of its group is also read outside of it: such a group is not handed over",
)
_NO_INPUT = Dropped(
    "ACL601",
    "graph-without-inputs",
    "a model without inputs, or a group that reads nothing, is not handed over",
)


class OpenVino(OrtCompile):
    """Stretches of taken operators in topological order, each divided into its connected parts.

    Options:
        opens_small: types that a graph of up to three operators, all of them taken, may not begin with: it is
        not handed over.
        lone: types that are not handed over when they are the whole graph.
        moves: types whose result OpenVINO quantizes to four bits in the same group; other types have no
        kernel for it.
        unfolds: functions that ONNX Runtime decomposes when no provider took them, and offers
        again.
        splits: types that end a stretch although they are taken, unless the whole graph is.
    """

    bodies = True
    bodies_first = True

    def groups(self, graph: Graph, taken: Set[str], options: Mapping[str, Any]) -> Grouping:
        """What the provider is handed: in a first round, and in a second the parts of the functions that
        nobody took in the first.
        """
        folded = self.folded(graph, options)
        order = [id for id in topological(graph) if id not in folded]
        if not order:
            return Grouping()
        functions = options.get("unfolds", ())
        named = {id for id in order if id in taken and _named_axes(graph.op(id))}
        late = {id for id in order if id in taken and _only_unfolded(graph, graph.op(id), functions)}
        first = _round(graph, order, taken - named - late, folded, options)
        left = {id for id, why in first.dropped.items() if graph.op(id).type in functions}
        if late | left:
            second = _round(
                graph,
                order,
                (taken - named - {id for group in first.groups for id in group}),
                folded,
                options,
            )
            first = _both(first, second, late | left)
        refused = {**first.refused, **in_circles(graph, first.groups)}
        return Grouping(first.groups, {**first.dropped, **dict.fromkeys(named, _NAMED_AXES)}, refused)


def _round(
    graph: Graph, order: Sequence[str], taken: Set[str], folded: Set[str], options: Mapping[str, Any]
) -> Grouping:
    """One answer of the provider: the whole graph, or the connected parts of the stretches between what it
    does not take.
    """
    if all(id in taken for id in order):
        return _whole(graph, order, folded, options)
    splits = options.get("splits", ())
    stretches = _stretches(order, [id for id in order if id not in taken or graph.op(id).type in splits])
    near = _neighbours(graph, folded)
    parts = [part for stretch in stretches for part in _connected(stretch, near)]
    kept, dropped = _handed(graph, parts, near, options.get("unfolds", ()))
    refused = {id: why for part in kept for id, why in stops(graph, part, folded, options).items()}
    alone = {id: _TRIVIAL for id in order if id in taken and graph.op(id).type in splits}
    position = {id: index for index, id in enumerate(op.id for op in graph.ops())}
    return Grouping(
        tuple(tuple(sorted(part, key=position.__getitem__)) for part in kept), alone | dropped, refused
    )


def _both(first: Grouping, second: Grouping, unfolded: Set[str]) -> Grouping:
    """What the first round dropped has kernels of the host by then: a group of the second that holds some of
    it is not made.
    """
    groups = [group for group in second.groups if all(id in unfolded for id in group)]
    made = {id for group in groups for id in group}
    dropped = dict.fromkeys(unfolded - made, _WITH_HOST) | {
        id: why for id, why in first.dropped.items() if id not in made
    }
    return Grouping(
        (*first.groups, *groups),
        dropped,
        dict(first.refused) | {id: why for id, why in second.refused.items() if id in made},
    )


_WITH_HOST = Dropped(
    "ACL601",
    "parts-beside-the-host",
    "the operators that it is decomposed into are alone, or touch what was already left to the CPU",
)


def _only_unfolded(graph: Graph, op: Operator, functions: Sequence[str]) -> bool:
    """A function that is taken as the operators that the standard gives for it, and not as it stands."""
    if op.type not in functions:
        return False
    tensors = [graph.find(name or "") for name in (*op.inputs, *op.outputs)]
    return op.type != "CastLike" or any(
        tensor is not None and tensor.shape == () and graph.constant(tensor.name) is None
        for tensor in tensors
    )


_NAMED_AXES = Dropped(
    "ACL601",
    "input-named-axes",
    "an input of Unsqueeze has the name 'axes', which the provider leaves to the CPU: rename the tensor",
)


def _named_axes(op: Operator) -> bool:
    """``InputDefs()[i]->Name() == "axes"`` of ``data_ops.cc``."""
    return op.type == "Unsqueeze" and "axes" in op.inputs


def _whole(graph: Graph, order: Sequence[str], folded: Set[str], options: Mapping[str, Any]) -> Grouping:
    first = graph.op(order[0])
    fed = [name for name in graph.inputs if graph.constant(name) is None]
    why: Dropped | None = None
    if not fed:
        why = _NO_INPUT
    elif any(graph.tensor(name).shape is None for name in fed):
        why = _NO_SHAPE
    elif len(order) <= _SMALL and _asked_as(first) in options.get("opens_small", ()):
        why = Dropped(
            "ACL601",
            "small-graph",
            f"a graph of {len(order)} that begins with {first.type} is not handed over",
        )
    elif len(order) == 1 and _lone_type(graph, first, options.get("lone", ())):
        why = Dropped("ACL601", "lone-operator", f"a graph of one {first.type} is not handed over")
    if why is not None:
        return Grouping((), dict.fromkeys(order, why))
    taken = set(order)
    refused = stops(graph, order, folded, options)
    return Grouping((tuple(op.id for op in graph.ops() if op.id in taken),), {}, refused)


def _asked_as(op: Operator) -> str:
    """CastLike of operator set 25 is decomposed before the provider takes it (measured), older ones are taken
    as they stand.
    """
    return "Cast" if op.type == "CastLike" and op.version >= 25 else op.type


_NO_SHAPE = Dropped(
    "ACL601",
    "input-without-a-shape",
    "an input of the model has no shape (or is no tensor): the whole graph is not handed over",
)


def _lone_type(graph: Graph, op: Operator, lone: Sequence[str]) -> bool:
    """``SpecialConditionForClusterSizeOne``."""
    if op.type == "Reshape":
        return len(op.inputs) > 1 and graph.constant(op.inputs[1]) is None
    tensors = [graph.find(name or "") for name in (*op.inputs[:2], op.outputs[0])]
    return op.type in lone and any(
        tensor is None or tensor.dtype != "float16"
        for tensor in (tensors[-1:] if op.type == "Expand" else tensors)
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
    graph: Graph, parts: list[list[str]], near: Mapping[str, Sequence[str]], functions: Sequence[str]
) -> tuple[list[list[str]], dict[str, Dropped]]:
    """The parts that are handed over, and why the others are not. A lone operator joins a later part that it
    touches.
    """
    kept: list[list[str]] = []
    dropped: dict[str, Dropped] = {}
    for place, part in enumerate(parts):
        several = graph.op(part[0]).type in functions and graph.op(part[0]).type != "CastLike"
        why = (None if several else _lone(part, place, parts, near)) or _refused(graph, part)
        if why is None:
            kept.append(part)
        elif why is not _JOINED:
            dropped.update((id, why) for id in part)
    return kept, dropped


_JOINED = Dropped("", "", "")


def _lone(
    part: list[str], place: int, parts: list[list[str]], near: Mapping[str, Sequence[str]]
) -> Dropped | None:
    if len(part) != 1 or place == len(parts) - 1:
        return None
    later = next((other for other in parts[place + 1 :] if set(near[part[0]]) & set(other)), None)
    if later is None:
        return _TRIVIAL
    later.append(part[0])
    return _JOINED


def _refused(graph: Graph, part: Sequence[str]) -> Dropped | None:
    inside = set(part)
    for id in part:
        op = graph.op(id)
        readers = graph.consumers(op.outputs[0] or "") if op.outputs else ()
        outside = op.outputs[0] in graph.outputs or any(reader.id not in inside for reader in readers)
        if op.type in ("Conv", "Identity") and readers and outside:
            return _SPLIT_OUTPUT
    written = {name for id in part for name in graph.op(id).outputs}
    return (
        None
        if any(name and name not in written for id in part for name in graph.op(id).inputs)
        else _NO_INPUT
    )


POLICIES = {"": OpenVino}
