"""LiteRT's delegates: what they see of a graph, and how the operators that they take become partitions.

Read from google-ai-edge/LiteRT, commit f67457790c9c: ``FP16GraphPartitionHelper`` in
``tflite/delegates/utils.cc`` (the GPU delegate), ``Delegate::PrepareOpsToDelegate`` in
``tflite/delegates/xnnpack/xnnpack_delegate.cc``. How partitions are made of what is supported is in
``partitioners.litert``.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any

from ..ir.graph import Graph, Operator, Tensor
from ..ir.view import edited
from ..partitioners import litert
from .base import Dropped, Partitioning, largest, operators
from .tables import STANDARD, Tables, WithTables

_BOOK = "litert"


class LiteRTDelegate(WithTables):
    """Partitions of a LiteRT delegate.

    Options, the numbers also as names of tables:
        max_partitions: the largest partitions that are assigned, 0 for all.
        min_nodes: smaller partitions stay on the host, unless the whole graph is supported.
        fp16: ``remap`` where the GPU delegate reads float16 constants through their DEQUANTIZE, ``unpack``
            where XNNPACK unpacks constants when it is applied, ``keep`` where the delegate does neither.
    """

    bodies = True

    def folded(self, graph: Graph, options: Mapping[str, Any]) -> Set[str]:
        """Unpacking of stored constants, which the delegate does once when it is applied."""
        if options.get("fp16") == "unpack":
            return unpacked(graph, self.tables)
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

    def partition(self, graph: Graph, supported: Set[str], options: Mapping[str, Any]) -> Partitioning:
        """The delegate's partitions, with what it leaves out and why."""
        if options.get("fp16") == "unpack":
            kept, dropped = _with_unpacked(graph, supported, self.tables)
            return Partitioning(tuple(partitions(graph, kept)), dropped)
        most, least = self._limit(options.get("max_partitions", 0)), self._limit(options.get("min_nodes", 1))
        if options.get("fp16") == "keep":
            return self._kept_largest(partitions(graph, supported), most, least)
        return self._largest(graph, supported, most, least)

    def _limit(self, option: int | str) -> int:
        """The number of an option, or of the table that it names. Raises PackError when there is none."""
        return self.tables[_BOOK].named(option).limit or 0 if isinstance(option, str) else option

    def _largest(self, graph: Graph, supported: Set[str], most: int, least: int) -> Partitioning:
        """``FP16GraphPartitionHelper``: the whole graph, or the largest partitions without the DEQUANTIZE of
        float16 constants.
        """
        halves = half_constants(graph)
        constants = {
            op.id for op in graph.ops() if op.type == "DEQUANTIZE" and op.outputs and op.outputs[0] in halves
        }
        if all(op.id in supported or op.id in constants for op in graph.ops()):
            everything = tuple(op.id for op in graph.ops())
            return Partitioning((everything,) if everything else ())
        return self._kept_largest(partitions(graph, supported - constants), most, least)

    def _kept_largest(self, found: list[tuple[str, ...]], most: int, least: int) -> Partitioning:
        """The ``most`` largest partitions (0 for all) of at least ``least`` operators."""
        book, kept = self.tables[_BOOK], litert.largest(found, most, least)
        dropped: dict[str, Dropped] = {}
        for partition in litert.ranked(found)[len(kept) :]:
            if len(partition) < least:
                why = book.dropped("partition-too-small", operators=operators(partition), least=least)
            else:
                words = {"operators": operators(partition), "largest": largest(most, len(found))}
                why = book.dropped("too-many-partitions", **words)
            dropped.update((id, why) for id in partition)
        inside = {id for partition in kept for id in partition}
        return Partitioning(tuple(partition for partition in found if inside.issuperset(partition)), dropped)


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


def partitions(graph: Graph, supported: Set[str]) -> list[tuple[str, ...]]:
    """Partitions of operators that become one delegate kernel each, in execution order."""
    plan = [
        litert.Node(
            op.id, op.inputs, op.outputs, op.type in litert.SIDE_EFFECTS or _touches_resource(graph, op)
        )
        for op in graph.ops()
    ]
    return [tuple(ids) for ids in litert.partitions(plan, supported)]


def _touches_resource(graph: Graph, op: Operator) -> bool:
    tensors = (*graph.input_tensors(op), *graph.output_tensors(op))
    return any(tensor is not None and tensor.dtype == "resource" for tensor in tensors)


def unpacked(graph: Graph, tables: Tables = STANDARD) -> set[str]:
    """Ids of DEQUANTIZE and DENSIFY that XNNPACK computes when it is applied: of a stored constant, or of
    what such an operator gives.
    """
    book = tables[_BOOK]
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
        kind = book.kinds("dequantized").get(source.dtype)
        plain = kind == "stored" or (kind == "quantized" and source.quant is not None)
        dequantized = op.type == "DEQUANTIZE" and not sparse and plain and result.dtype == "float32"
        densified = op.type == "DENSIFY" and sparse and source.dtype in book.types("densified")
        if dequantized or densified:
            found.add(op.id)
            values.add(result.name)
    return found


def _first(graph: Graph, names: tuple[str | None, ...]) -> Tensor | None:
    return graph.find(names[0]) if names and names[0] else None


def _with_unpacked(graph: Graph, supported: Set[str], tables: Tables) -> tuple[Set[str], dict[str, Dropped]]:
    """XNNPACK: constants unpacked for operators that it takes belong to it, a variable's handle only with a
    reader or writer.
    """
    dropped: dict[str, Dropped] = {}
    kept = set(supported)
    for op in graph.ops():
        if (
            op.id in supported
            and op.type == "VAR_HANDLE"
            and not any(reader.id in supported for reader in graph.consumers(op.outputs[0]))
        ):
            dropped[op.id] = tables[_BOOK].dropped("handle-of-a-host-variable")
            kept.discard(op.id)
    free = unpacked(graph, tables)
    for op in graph.ops():
        if op.id in free and all(
            reader.id in supported or reader.id in free for reader in graph.consumers(op.outputs[0])
        ):
            kept.add(op.id)
    return kept, dropped


POLICIES = {"": LiteRTDelegate}
