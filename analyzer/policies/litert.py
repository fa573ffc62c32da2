"""LiteRT's delegates: what they see of a graph, and how the operators that they take become partitions.

Ported from google-ai-edge/LiteRT, commit f67457790c9c: ``PartitionGraphIntoIndependentNodeSubsets`` in
``tflite/graph_info.cc`` (greedy, control edges between operators with side effects), ``GraphPartitionHelper``
and ``FP16GraphPartitionHelper`` in ``tflite/delegates/utils.cc`` (the GPU delegate),
``Delegate::PrepareOpsToDelegate`` in ``tflite/delegates/xnnpack/xnnpack_delegate.cc``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from itertools import pairwise
from typing import Any

from ..ir.graph import Graph, Operator, Tensor
from ..ir.view import edited
from ..partitioners.libcxx_sort import sort
from . import Dropped, Grouping

_SIDE_EFFECTS = frozenset({"IF", "WHILE", "CALL_ONCE"})


class LiteRTDelegate:
    """Partitions of a LiteRT delegate.

    Options: ``max_groups`` (the largest partitions that are handed over, 0 for all), ``min_nodes`` (smaller
    partitions stay on the host, unless the whole graph is taken), ``fp16`` (``remap``: the GPU delegate reads
    float16 constants through their DEQUANTIZE; ``unpack``: XNNPACK unpacks constants when it is applied;
    ``keep``: the delegate does nothing of the kind).
    """

    bodies = True

    def folded(self, graph: Graph, options: Mapping[str, Any]) -> Set[str]:
        """Unpacking of stored constants, which the delegate does once when it is applied."""
        if options.get("fp16") == "unpack":
            return unpacked(graph)
        if options.get("fp16") == "keep":
            return set()
        halves = half_constants(graph)
        return {
            op.id for op in graph.ops() if op.type == "DEQUANTIZE" and op.outputs and op.outputs[0] in halves
        }

    def view(self, graph: Graph, options: Mapping[str, Any]) -> Graph:
        """The graph as the delegate sees it: stored sizes for unknown ones, float16 constants in place of
        their DEQUANTIZE.
        """
        remapped = half_constants(graph) if options.get("fp16") == "remap" else {}
        ops = {op.id: _remapped(op, remapped) for op in graph.ops()} if remapped else {}
        return edited(graph, ops, map(_stored, graph.tensors.values()))

    def groups(self, graph: Graph, taken: Set[str], options: Mapping[str, Any]) -> Grouping:
        """The delegate's partitions, with what it leaves out and why."""
        most = int(options.get("max_groups", 0))
        if options.get("fp16") == "unpack":
            kept, dropped = _with_unpacked(graph, taken)
            return Grouping(tuple(partitions(graph, kept)), dropped)
        if options.get("fp16") == "keep":
            return _kept_largest(partitions(graph, taken), most, int(options.get("min_nodes", 1)))
        return _largest(graph, taken, most, int(options.get("min_nodes", 1)))


def _stored(tensor: Tensor) -> Tensor:
    """The tensor with the sizes that the file stores for unknown ones; an unknown rank is stored as no
    dimensions.
    """
    if tensor.static:
        return tensor
    shape = tuple(tensor.attrs.get("stored_shape", tensor.shape) or ())
    return replace(tensor, shape=tuple(dim if isinstance(dim, int) and dim >= 0 else 1 for dim in shape))


def half_constants(graph: Graph) -> dict[str, str]:
    """Results of DEQUANTIZE of a float16 constant -> the constant."""
    found: dict[str, str] = {}
    for op in graph.ops():
        source = op.inputs[0] if op.type == "DEQUANTIZE" and op.inputs else None
        tensor = None if source is None else graph.find(source)
        if (
            source
            and tensor is not None
            and tensor.dtype == "float16"
            and tensor.const is not None
            and op.outputs[0]
        ):
            found[op.outputs[0]] = source
    return found


def _remapped(op: Operator, constants: Mapping[str, str]) -> Operator:
    if not any(name in constants for name in op.inputs if name):
        return op
    return replace(op, inputs=tuple(constants.get(name, name) if name else name for name in op.inputs))


# ---- partitions ------------------------------------------------------------------------------


def partitions(graph: Graph, taken: Set[str]) -> list[tuple[str, ...]]:
    """Groups of operators that become one delegate kernel each, in execution order.

    Epochs of one kind each: the first ready operator sets the kind, the plan is walked again until an epoch
    grows no more.
    """
    plan = graph.ops()
    writer = {name: op.id for op in plan for name in op.outputs if name}
    waiting = {
        op.id: {writer[name] for name in op.inputs if name and name in writer} - {op.id} for op in plan
    }
    for earlier, later in _side_effect_chain(graph, plan):
        waiting[later].add(earlier)
    readers: dict[str, list[int]] = {}
    for index, op in enumerate(plan):
        for id in waiting[op.id]:
            readers.setdefault(id, []).append(index)
    groups: list[tuple[str, ...]] = []
    ready = {index for index, op in enumerate(plan) if not waiting[op.id]}
    while ready:
        kind = plan[min(ready)].id in taken
        epoch = _epoch(plan, taken, kind, ready, waiting, readers)
        if kind:
            groups.append(tuple(epoch))
    return groups


def _epoch(
    plan: tuple[Operator, ...],
    taken: Set[str],
    kind: bool,
    ready: set[int],
    waiting: Mapping[str, set[str]],
    readers: Mapping[str, list[int]],
) -> list[str]:
    """Take every operator of a kind that is ready or becomes so; the others stay in ``ready``."""
    members: list[int] = []
    todo = [index for index in ready if (plan[index].id in taken) is kind]
    while todo:
        index = todo.pop()
        ready.discard(index)
        members.append(index)
        for reader in readers.get(plan[index].id, ()):
            waits = waiting[plan[reader].id]
            waits.discard(plan[index].id)
            if not waits:
                ready.add(reader)
                if (plan[reader].id in taken) is kind:
                    todo.append(reader)
    return [plan[index].id for index in sorted(members)]


def _side_effect_chain(graph: Graph, plan: Iterable[Operator]) -> list[tuple[str, str]]:
    """Operators with side effects keep their order: control flow, and whatever reads or writes a resource."""
    chained = [op.id for op in plan if op.type in _SIDE_EFFECTS or _touches_resource(graph, op)]
    return list(pairwise(chained))


def _touches_resource(graph: Graph, op: Operator) -> bool:
    tensors = (*graph.input_tensors(op), *graph.output_tensors(op))
    return any(tensor is not None and tensor.dtype == "resource" for tensor in tensors)


def _largest(graph: Graph, taken: Set[str], most: int, least: int) -> Grouping:
    """``FP16GraphPartitionHelper``: the whole graph, or the largest partitions without the DEQUANTIZE of
    float16 constants.
    """
    halves = half_constants(graph)
    constants = {
        op.id for op in graph.ops() if op.type == "DEQUANTIZE" and op.outputs and op.outputs[0] in halves
    }
    if all(op.id in taken or op.id in constants for op in graph.ops()):
        everything = tuple(op.id for op in graph.ops())
        return Grouping((everything,) if everything else ())
    return _kept_largest(partitions(graph, taken - constants), most, least)


def _kept_largest(found: list[tuple[str, ...]], most: int, least: int) -> Grouping:
    """The ``most`` largest partitions (0 for all) of at least ``least`` operators."""
    ranked = sort(found, lambda left, right: len(left) > len(right))
    chosen = ranked[:most] if most else ranked
    kept = [group for group in chosen if len(group) >= least]
    dropped: dict[str, Dropped] = {}
    for group in ranked[len(kept) :]:
        words = f"its partition of {len(group)} operators"
        why = Dropped(
            "ACL602", "too-many-partitions", f"{words} is not among the {most} largest of {len(ranked)}"
        )
        if len(group) < least:
            why = Dropped(
                "ACL601",
                "partition-too-small",
                f"{words} is smaller than {least}, the least that the delegate takes",
            )
        dropped.update((id, why) for id in group)
    inside = {id for group in kept for id in group}
    return Grouping(tuple(group for group in found if inside.issuperset(group)), dropped)


def unpacked(graph: Graph) -> set[str]:
    """Ids of DEQUANTIZE and DENSIFY that XNNPACK computes when it is applied: of a stored constant, or of
    what such an operator gives.
    """
    values: set[str] = set()
    found: set[str] = set()
    for op in graph.ops():
        source, result = _first(graph, op.inputs), _first(graph, op.outputs)
        if (
            source is None
            or result is None
            or not (graph.constant(source.name) is not None or source.name in values)
        ):
            continue
        sparse = bool(source.attrs.get("sparsity"))
        quantized = source.dtype == "int8" and source.quant is not None
        dequantized = (
            op.type == "DEQUANTIZE"
            and not sparse
            and (source.dtype == "float16" or quantized)
            and result.dtype == "float32"
        )
        densified = op.type == "DENSIFY" and sparse and source.dtype in ("float32", "float16", "int8")
        if dequantized or densified:
            found.add(op.id)
            values.add(result.name)
    return found


def _first(graph: Graph, names: tuple[str | None, ...]) -> Tensor | None:
    return graph.find(names[0]) if names and names[0] else None


def _with_unpacked(graph: Graph, taken: Set[str]) -> tuple[Set[str], dict[str, Dropped]]:
    """XNNPACK: constants unpacked for operators that it takes belong to it, a variable's handle only with a
    reader or writer.
    """
    dropped: dict[str, Dropped] = {}
    kept = set(taken)
    for op in graph.ops():
        if (
            op.id in taken
            and op.type == "VAR_HANDLE"
            and not any(reader.id in taken for reader in graph.consumers(op.outputs[0]))
        ):
            dropped[op.id] = Dropped(
                "ACL604",
                "handle-of-a-host-variable",
                "nothing that the delegate takes reads or writes the variable",
            )
            kept.discard(op.id)
    free = unpacked(graph)
    for op in graph.ops():
        if op.id in free and all(
            reader.id in taken or reader.id in free for reader in graph.consumers(op.outputs[0])
        ):
            kept.add(op.id)
    return kept, dropped


POLICIES = {"": LiteRTDelegate}
