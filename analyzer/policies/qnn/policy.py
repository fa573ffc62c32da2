"""ONNX Runtime's QNN provider: two rounds of partitions, and what its compiled graphs cannot read or write.

Read from ``graph_partitioner.cc`` of ONNX Runtime (``PartitionOnnxFormatModel``, ``InlineNodes``) and
``qnn_model.cc``, ``qnn_model_wrapper.cc`` of the provider; held against onnxruntime 1.31.1 with
onnxruntime-qnn 2.7.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from ...formats.onnx.proto import NUMBERS
from ...ir.graph import Constant, Graph, Operator, Tensor
from ...ir.match import reads, writers
from ...ir.view import edited
from ..base import Dropped, Partitioning
from ..onnxruntime.dynamic import quantized_for_others, quantizes_a_constant
from ..onnxruntime.fusions import weight_before_rms
from ..onnxruntime.policy import OrtCompile, with_plain_shapes
from ..onnxruntime.units import units
from ..options import is_set
from ..tables import Book, Tables
from .half import meeting

_BOOK = "qnn/policy"


class Qnn(OrtCompile):
    """``OrtCompile`` with a second round, for the parts of functions that nobody took in the first.

    A function that the provider takes as the parts that the standard gives for it waits until ONNX Runtime
    has put these in its place. CastLike, which the provider also takes as it stands, is one where a size is
    not known.
    """

    bodies_first = True
    branch_wise = True
    captures_wait = False

    def view(self, graph: Graph, options: Mapping[str, Any]) -> Graph:
        """As for every provider that compiles, with CastLike as the Cast that it becomes, and float64 inside
        as float32.
        """
        return super().view(_as_built(graph, self.tables[_BOOK]), options)

    def rounds(self, graph: Graph, supported: Set[str], options: Mapping[str, Any]) -> list[Set[str]]:
        """CPU kernels come between the rounds, so that nothing but the parts of functions is offered in the
        second.

        A model with functions of its own has all functions that nobody claims unfolded beforehand
        (``InlineFunctionsAOT``).
        """
        if graph.facts.inlined:
            return [supported]
        unfolds = self.tables[_BOOK].types("unfolds")
        late = {id for id in supported if graph.op(id).type in unfolds or id in graph.facts.unfolded}
        return [supported - late, late] if late else [supported]

    def partition(self, graph: Graph, supported: Set[str], options: Mapping[str, Any]) -> Partitioning:
        """A CastLike that is unfolded waits for the first of its inputs only; one partition with a cycle
        undoes all.
        """
        book = self.tables[_BOOK]
        first = book.limit("first-operator-set")
        if graph.opsets.get("", first) < first:
            return Partitioning((), dict.fromkeys(supported, book.dropped("operator-set-before-7")))
        built = with_plain_shapes(graph)
        casts = {op.id: cast for op in built.ops() if (cast := _cast_alone(built, op)) is not None}
        if casts:
            built = edited(built, casts)
            built.facts = replace(built.facts, unfolded=frozenset(casts))
        apart = {
            **_captures_from_the_host(built, supported, book),
            **_plain_before(built, supported, self.tables),
        }
        found = super().partition(built, supported - apart.keys(), options)
        if any(op.graphs for op in built.ops()) and any(
            _comes_back(built, partition) for partition in found.partitions
        ):
            cycle = book.dropped("cyclic-partitions")
            inside = dict.fromkeys((id for partition in found.partitions for id in partition), cycle)
            return Partitioning((), {**inside, **found.dropped, **apart})
        return Partitioning(found.partitions, {**found.dropped, **apart}, found.rejected)

    def stops(
        self, graph: Graph, partitions: Sequence[Sequence[str]], options: Mapping[str, Any]
    ) -> dict[str, Dropped]:
        """Partitions that the provider composes and cannot set up; the session is then not created."""
        book = self.tables[_BOOK]
        found: dict[str, Dropped] = {}
        for partition in partitions:
            edge = _Edge(graph, partition, book)
            why = _no_input(edge, book) or _at_the_edge(edge, book)
            if why is None and is_set(options, "htp_arch", book.limit("half-float-arch")):
                why = meeting(graph, partition, self.tables)
            if why is not None:
                found.update(dict.fromkeys(partition, why))
            for rule, matches in _UNBUILT.items():
                found.update(
                    (id, book.dropped(rule)) for id in partition if matches(graph, graph.op(id), self.tables)
                )
        return found


_UNBUILT: Mapping[str, Callable[[Graph, Operator, Tables], bool]] = {
    "dynamic-quantization-of-a-constant": quantizes_a_constant,
    "dynamic-quantization-shared": quantized_for_others,
    "rms-weight-first": lambda graph, op, tables: weight_before_rms(graph, op),
}
"""Patterns that are supported and not built, by the reason's name."""


def _as_built(graph: Graph, book: Book) -> Graph:
    """The graph as the provider's builders see it."""
    shown = edited(graph, {op.id: _as_cast(graph, op) or _by_type(op, book) for op in graph.ops()})
    edge = {*shown.inputs, *shown.outputs}
    kept = {name for op in shown.ops() if op.type in book.types("keeps-float64") for name in op.inputs[1:]}
    inner = {
        tensor.name
        for tensor in shown.tensors.values()
        if tensor.dtype == "float64" and tensor.name not in edge
    }
    if not inner - kept:
        return shown
    singles = (_in_single(shown.tensor(name)) for name in inner - kept)
    return edited(shown, {op.id: _to_single(op, inner) for op in shown.ops()}, singles)


def _in_single(tensor: Tensor) -> Tensor:
    """A tensor of float64 as one of float32."""
    stored = tensor.const
    if stored is None:
        return replace(tensor, dtype="float32")
    return replace(
        tensor, dtype="float32", const=Constant("float32", stored.shape, loader=lambda: _single_bytes(stored))
    )


def _single_bytes(stored: Constant) -> bytes:
    values: bytes = stored.read().astype("<f4").tobytes()
    return values


def _to_single(op: Operator, inner: Set[str]) -> Operator:
    if op.type != "Cast" or op.attrs.get("to") != NUMBERS["float64"] or op.outputs[0] not in inner:
        return op
    return replace(op, attrs={**op.attrs, "to": NUMBERS["float32"]})


def _by_type(op: Operator, book: Book) -> Operator:
    """Builders are found by the type alone, so that Microsoft's older operators get those of their
    successors.
    """
    return (
        replace(op, domain="")
        if op.domain == "com.microsoft" and op.type in book.types("of-both-domains")
        else op
    )


def _as_cast(graph: Graph, op: Operator) -> Operator | None:
    """What CastLike is built as, and what it is unfolded into; None for other operators."""
    if op.type != "CastLike" or len(op.inputs) < 2:
        return None
    like = graph.find(op.inputs[1] or "")
    return replace(
        op, type="Cast", inputs=op.inputs[:1], attrs={"to": NUMBERS.get(like.dtype if like else "", 0)}
    )


def _cast_alone(graph: Graph, op: Operator) -> Operator | None:
    """The Cast that a CastLike becomes before the second round, where the provider rejects it in the first
    ("Cannot get shape"); None for other operators.
    """
    if op.type != "CastLike":
        return None
    tensors = [graph.find(name or "") for name in (*op.inputs, *op.outputs)]
    return None if all(tensor is not None and tensor.static for tensor in tensors) else _as_cast(graph, op)


def _captures_from_the_host(graph: Graph, supported: Set[str], book: Book) -> dict[str, Dropped]:
    """Operators with bodies that read what the provider does not compute ("produced outside the QNN
    partition"), in file order.
    """
    apart: dict[str, Dropped] = {}
    for op in graph.ops():
        if op.id not in supported or not op.graphs:
            continue
        names = [name for body in op.graphs.values() for name in body.captures()]
        sources = [graph.producer(name) for name in names if graph.constant(name) is None]
        if any(graph.constant(name) is not None for name in names):
            apart[op.id] = book.dropped("captured-constant")
        elif any(
            source is not None and (source.id not in supported or source.id in apart) for source in sources
        ):
            apart[op.id] = book.dropped("captured-from-the-host")
    return apart


def _plain_before(graph: Graph, supported: Set[str], tables: Tables) -> dict[str, Dropped]:
    """What dequantizes a tensor that the validation of its writer has added as plain integers: its
    quantization is then not seen.

    One table of tensors is filled in the validation of all operators (``QnnModelWrapper::AddTensorWrapper``),
    and what is in it under a name stays. The writer need not be supported for that.
    """
    found, book = units(graph, tables), tables[_BOOK]
    plain = book.kinds("built-plain")
    apart: dict[str, Dropped] = {}
    for op in graph.ops():
        if op.type != "DequantizeLinear" or op.id not in supported:
            continue
        writer = graph.producer(op.inputs[0] or "")
        if writer is None or writer.type not in plain or writer.id in found or not _known(graph, writer):
            continue
        if plain[writer.type] == "of-several" and len(writer.inputs) == 1:
            continue
        unit = found.get(op.id)
        apart[op.id if unit is None else unit.target.id] = book.dropped("dequantizes-plain-integers")
    return apart


def _known(graph: Graph, op: Operator) -> bool:
    """Whether all that it reads and writes has a known size."""
    return all(
        (tensor := graph.find(name)) is not None and tensor.static
        for name in (*op.inputs, *op.outputs)
        if name
    )


def _comes_back(graph: Graph, partition: Sequence[str]) -> bool:
    """Whether an operator outside of a partition reads from it and is, at last, read by it."""
    inside = set(partition)
    readers: dict[str, list[str]] = {op.id: [] for op in graph.ops()}
    for op in graph.ops():
        for writer in writers(graph, op):
            readers[writer].append(op.id)
    todo = [id for member in partition for id in readers[member] if id not in inside]
    seen = set(todo)
    while todo:
        for id in readers[todo.pop()]:
            if id in inside:
                return True
            if id not in seen:
                seen.add(id)
                todo.append(id)
    return False


class _Edge:
    """What a partition reads from outside of it (``entering``), and what becomes an input of a compiled
    operator in it.
    """

    def __init__(self, graph: Graph, partition: Sequence[str], book: Book) -> None:
        self.graph = graph
        self.ops = [graph.op(id) for id in partition]
        self.inside = set(partition)
        self.entering = entering(graph, partition)
        self.used = {name for op in self.ops for name in _used(graph, op, book)}


def _no_input(edge: _Edge, book: Book) -> Dropped | None:
    """``GetGraphInputOutputTensorWrapper`` goes through the inputs of the partition and stops at the first
    that no builder has added.
    """
    names = edge.entering
    if not names:
        return book.dropped("partition-without-inputs")
    if names[0] in edge.used:
        return None
    return book.dropped("first-input-unused", name=repr(names[0]))


def entering(graph: Graph, partition: Sequence[str]) -> list[str]:
    """What a partition reads from outside of it, constants left out, in the order of
    ``ResolveGraphInputOutputOrder``.

    That is the order of the model's inputs where the partition reads all of these, else the order in which
    its operators read.
    """
    written: set[str] = set()
    found: dict[str, None] = {}
    for id in partition:
        op = graph.op(id)
        for name in reads(op):
            if name not in written and name not in found and graph.constant(name) is None:
                found[name] = None
        written.update(name for name in op.outputs if name)
    fed = [name for name in graph.inputs if graph.constant(name) is None]
    if not all(name in found for name in fed):
        return list(found)
    return [*fed, *(name for name in found if name not in fed)]


def _used(graph: Graph, op: Operator, book: Book) -> Sequence[str]:
    """What becomes an input of the compiled operator: of those that take a dtype or sizes from a second
    input, the first.

    A Concat leaves out what has a size of 0 (``concat_op_builder.cc``).
    """
    if op.type == "Concat":
        return [
            name
            for name in reads(op)
            if name and ((tensor := graph.find(name)) is None or 0 not in (tensor.shape or ()))
        ]
    return [name for name in (op.inputs[:1] if op.type in book.types("data-only") else reads(op)) if name]


def _at_the_edge(edge: _Edge, book: Book) -> Dropped | None:
    """What is wrong with a tensor that the compiled graph reads or writes."""
    graph, inside = edge.graph, edge.inside
    crossing = [name for name in edge.entering if name in edge.used]
    crossing += [
        name
        for op in edge.ops
        for name in op.outputs
        if name and (name in graph.outputs or graph.leaves(name, inside))
    ]
    tensors = [graph.tensor(name) for name in crossing]
    kinds = book.kinds("edge-dtypes")
    if any(kinds.get(tensor.dtype) == "none" for tensor in tensors):
        return book.dropped("float64-between-partitions")
    most = book.limit("cast-rank")
    wide = any(kinds.get(tensor.dtype) == "cast" and len(tensor.shape or ()) > most for tensor in tensors)
    return book.dropped("int64-of-five-dimensions") if wide else None


POLICIES = {"": Qnn}
