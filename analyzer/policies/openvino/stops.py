"""What in a partition keeps OpenVINO from compiling it, where that depends on the partition and not on the
operator alone.

The provider has accepted the partition by then, so that session creation fails. Read from OpenVINO 2025.4:
``shuffle_channels_fusion.cpp``, ``pad_shape_inference.hpp``, ``low_precision_transformations/src/pad.cpp``,
``intel_cpu/src/node.cpp``; held against onnxruntime-openvino 1.24.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter

from ...ir.graph import Graph, Operator
from ...ir.match import Pattern, Scope, alone, constant, op, value
from ..base import Dropped
from ..tables import Book, Tables
from .ranks import evaluated, state_of_open_batch, unknown_rank

_BOOK = "openvino/stops"


def stops(graph: Graph, partition: Sequence[str], folded: Set[str], tables: Tables) -> dict[str, Dropped]:
    """The operators of a partition that OpenVINO cannot compile for what is, or is not, in the partition with
    them.
    """
    inside, book = {*partition, *folded}, tables[_BOOK]
    found: dict[str, Dropped] = {}
    for rule, met in _MET.items():
        found |= {id: book.dropped(rule) for id in partition if met(graph, graph.op(id), inside, book)}
    return found


def _dynamic_input(graph: Graph, op: Operator, inside: Set[str], book: Book) -> bool:
    """``CPU plug-in doesn't support Parameter operation with dynamic rank``."""
    for name in op.inputs:
        tensor, writer = graph.find(name or ""), graph.producer(name)
        if (
            tensor is None
            or graph.constant(tensor.name) is not None
            or (writer is not None and writer.id in inside)
        ):
            continue
        _, plain = graph.facts.plain_shapes.get(tensor.name, (None, tensor.shape))
        if plain is None:
            return True
    return False


def _pads_some_axes(graph: Graph, op: Operator, inside: Set[str], book: Book) -> bool:
    """Computed pads are compared with the rank where OpenVINO can evaluate them."""
    if op.type != "Pad" or len(op.inputs) < 4:
        return False
    data, pads = graph.find(op.inputs[0] or ""), graph.find(op.inputs[1] or "")
    if data is None or pads is None or graph.constant(pads.name) is not None or data.shape is None:
        return False
    return pads.shape != (2 * len(data.shape),) and evaluated(graph, pads.name, inside, book)


def reads_stored(graph: Graph, op: Operator) -> bool:
    """A DequantizeLinear of stored values: ONNX Runtime gives each reader one of its own before it asks, so
    that none are joined by it.
    """
    return op.type == "DequantizeLinear" and graph.constant(op.inputs[0]) is not None


def in_cycles(graph: Graph, partitions: Sequence[Sequence[str]], tables: Tables) -> dict[str, Dropped]:
    """The operators of partitions that depend on themselves through operators outside ("the graph is not
    acyclic").
    """
    home = {id: f"partition {number}" for number, partition in enumerate(partitions) for id in partition}
    reads: dict[str, set[str]] = {}
    for reader in graph.ops():
        writers = {
            writer.id
            for name in reader.inputs
            if (writer := graph.producer(name)) is not None and not reads_stored(graph, writer)
        }
        here = home.get(reader.id, reader.id)
        reads.setdefault(here, set()).update(home.get(id, id) for id in writers if home.get(id, id) != here)
    try:
        TopologicalSorter(reads).prepare()
    except CycleError as error:
        cycle = tables[_BOOK].dropped("cyclic-partitions")
        return {id: cycle for id, node in home.items() if node in error.args[1]}
    return {}


def _to_four_bits(graph: Graph, op: Operator, inside: Set[str], book: Book) -> bool:
    """A result in 4 bits that is computed from 4 bits read from outside by more than moving and scaling
    ("unsupported src_prc: i4").
    """
    result = graph.find(op.outputs[0] or "")
    if op.type != "QuantizeLinear" or not _four_bits(graph, op.outputs[0], book):
        return False
    if result is not None and result.shape is not None and not result.static:
        return False  # kernels of dynamic shapes are made when the model runs
    todo: list[tuple[str | None, bool]] = [(op.inputs[0], False)]
    seen = set(todo)
    while todo:
        name, computed = todo.pop()
        writer = _writer(graph, name, inside)
        if writer is None or writer.type in book.types("products"):
            continue
        if writer.type == "DequantizeLinear":
            source = writer.inputs[0]
            if (
                computed
                and _four_bits(graph, source, book)
                and not _stored(graph, source)
                and _writer(graph, source, inside) is None
            ):
                return True
            continue
        computed = computed or not _scales_or_moves(graph, writer, book)
        fresh = {(item, computed) for item in writer.inputs if item} - seen
        seen |= fresh
        todo += fresh
    return False


def _four_bits(graph: Graph, name: str | None, book: Book) -> bool:
    tensor = graph.find(name or "")
    return tensor is not None and tensor.dtype in book.types("four-bits")


def _stored(graph: Graph, name: str | None) -> bool:
    """Whether a tensor is a constant, or one that is dequantized."""
    writer = graph.producer(name)
    return graph.constant(name) is not None or (
        writer is not None
        and writer.type == "DequantizeLinear"
        and graph.constant(writer.inputs[0]) is not None
    )


def _scales_or_moves(graph: Graph, op: Operator, book: Book) -> bool:
    """What is merged into the quantization behind it, or keeps values: by one factor or one for each
    channel.
    """
    if op.type == "Resize":
        mode = op.attrs.get("coordinate_transformation_mode", "half_pixel")
        return bool(op.attrs.get("mode", "nearest") == "nearest" and mode != "align_corners")
    if op.type == "BatchNormalization":
        return all(_stored(graph, name) for name in op.inputs[1:])
    if len(op.inputs) == 1 and op.type in book.types("moves-one"):
        return True
    if op.type == "MaxPool" and any(step != 1 for step in op.attrs.get("dilations", ())):
        return False
    if op.type == "Pad" and _pads_with_more_than_zero(graph, op):
        return False
    if op.type not in book.types("scales"):
        return op.type in book.types("moves")
    data, result = graph.find(op.inputs[0] or ""), graph.find(op.outputs[0] or "")
    if len(op.inputs) == 1:
        return True
    factor = graph.find(op.inputs[1] or "")
    if (
        len(op.inputs) > 2
        or not _stored(graph, op.inputs[1])
        or factor is None
        or factor.shape is None
        or data is None
        or data.shape is None
    ):
        return False
    large = {
        len(data.shape) - len(factor.shape) + place for place, dim in enumerate(factor.shape) if dim != 1
    }
    return result is not None and result.shape == data.shape and (len(data.shape) <= 2 or large <= {1})


def _pads_with_more_than_zero(graph: Graph, op: Operator) -> bool:
    value = graph.constant(op.inputs[2]) if len(op.inputs) > 2 else None
    return bool(op.attrs.get("value", 0.0)) or (value is not None and any(value.numbers()))


def _dynamic_boxes(graph: Graph, op: Operator, inside: Set[str], book: Book) -> bool:
    """``Check 'boxes_dims[2] == m_coord_num'`` of ``non_max_suppression.cpp``."""
    boxes = graph.find(op.inputs[0] or "") if op.type == "NonMaxSuppression" else None
    return bool(
        boxes is not None and boxes.shape is not None and len(boxes.shape) == 3 and boxes.shape[2] != 4
    )


def _quantized_twice(graph: Graph, op: Operator, inside: Set[str], book: Book) -> bool:
    """Measured, also with operators that OpenVINO optimizes away between any two of them."""
    if op.type != "QuantizeLinear":
        return False
    return _twice(book).match(_Simplified(graph, inside, book), op) is not None


@cache
def _twice(book: Book) -> Pattern:
    """What is quantized, dequantized and quantized again."""
    joined = op(tuple(book.types("quantized-twice")))
    return op("QuantizeLinear", op("DequantizeLinear", op("QuantizeLinear", joined)))


def _pads_shared(graph: Graph, op: Operator, inside: Set[str], book: Book) -> bool:
    """``PadTransformation``: a pad of one dimension, not of 1, behind a dequantization that subtracts.

    A pad that only convolutions read is merged into them before.
    """
    source = (
        _writer(graph, op.inputs[0], inside)
        if op.type == "Pad" and op.attrs.get("mode", "constant") == "constant"
        else None
    )
    pads = graph.constant(op.inputs[1]) if len(op.inputs) > 1 else None
    if (
        source is None
        or source.type != "DequantizeLinear"
        or pads is None
        or pads.dtype not in book.types("pad-dtypes")
    ):
        return False
    readers = graph.consumers(op.outputs[0])
    if (
        readers and all(reader.type in book.types("takes-pads") for reader in readers)
    ) or not _read_elsewhere(graph, source, op):
        return False
    data, sizes = graph.find(op.inputs[0] or ""), [int(size) for size in pads.numbers()]
    padded = {at % (len(sizes) // 2) for at, size in enumerate(sizes) if size}
    one = len(padded) == 1 and min(sizes) >= 0 and data is not None and data.rank == len(sizes) // 2
    wide = one and data is not None and data.shape is not None and data.shape[min(padded)] != 1
    return wide and len(source.inputs) > 2 and _is_other(graph, source.inputs[2])


def _read_elsewhere(graph: Graph, source: Operator, op: Operator) -> bool:
    """Whether a dequantized tensor, or another dequantization of the same, has another reader."""
    same = [
        item
        for item in graph.consumers(source.inputs[0])
        if item.type == source.type and item.inputs == source.inputs
    ]
    names = [item.outputs[0] for item in same]
    return any(
        name in graph.outputs or any(reader is not op for reader in graph.consumers(name)) for name in names
    )


def _is_other(graph: Graph, name: str | None) -> bool:
    """Whether a single stored number is not 0."""
    stored = graph.constant(name)
    return stored is not None and stored.elements == 1 and any(stored.numbers())


def _writer(graph: Graph, name: str | None, inside: Set[str]) -> Operator | None:
    writer = graph.producer(name)
    return writer if writer is not None and writer.id in inside else None


def _unchanged(graph: Graph, op: Operator, book: Book) -> str | None:
    """The input that an operator gives as its result, None when it computes something."""
    kind = book.kinds("neutral").get(op.type)
    if kind == "always" or (op.type == "Concat" and len(op.inputs) == 1):
        return op.inputs[0]
    if not op.inputs:
        return None
    before, after = graph.find(op.inputs[0] or ""), graph.find(op.outputs[0] or "")
    same = before is not None and after is not None and before.static and before.shape == after.shape
    if not same:
        return None
    if kind == "same-shape":
        return op.inputs[0]
    value = _VALUES.get(kind or "")
    if value is None or len(op.inputs) < 2:
        return None
    return op.inputs[0] if _all_are(graph, op.inputs[1], value, book.limit("compared-elements")) else None


_VALUES = {"zero": 0, "one": 1}
"""What leaves the other operand as it is, by the kinds of the table of neutral operators."""


def _all_are(graph: Graph, name: str | None, value: int, most: int) -> bool:
    """Whether a stored tensor has one value throughout; one that is dequantized is not simplified in time."""
    stored = graph.constant(name)
    return (
        stored is not None and stored.elements <= most and all(number == value for number in stored.numbers())
    )


def _gathers_part(graph: Graph, op: Operator, inside: Set[str], book: Book) -> bool:
    """``gather_elements_shape_inference.hpp``; sizes of the indices that only values tell are taken to be
    those of the data.
    """
    if op.type != "GatherElements":
        return False
    read, whole, indices = (
        graph.find(name or "")
        for name in (op.inputs[0], _unsliced(graph, op.inputs[0], inside), op.inputs[1])
    )
    if read is None or whole is None or indices is None or whole.shape is None or indices.shape is None:
        return False
    axis = int(op.attrs.get("axis", 0)) % max(len(whole.shape), 1)
    counts = [
        found if found is not None else most
        for found, most in zip(indices.shape, read.shape or (), strict=False)
    ]
    pairs = [pair for place, pair in enumerate(zip(whole.shape, counts, strict=False)) if place != axis]
    return any(isinstance(data, int) and isinstance(count, int) and data != count for data, count in pairs)


def _unsliced(graph: Graph, name: str | None, inside: Set[str]) -> str | None:
    """``EliminateSliceBeforeGatherElements`` (``nop_elimination.cpp``) leaves out a Slice that begins at
    zero.
    """
    writer = graph.producer(name)
    if writer is None or writer.type != "Slice" or writer.id not in inside or len(writer.inputs) < 3:
        return name
    starts = graph.constant(writer.inputs[1])
    return writer.inputs[0] if starts is not None and not any(starts.numbers()) else name


@dataclass(frozen=True)
class _Inside(Scope):
    """A graph of which the compiler sees a partition."""

    inside: Set[str]

    def producer(self, name: str | None) -> Operator | None:
        """The operator of the partition that computes a value."""
        return _writer(self.graph, name, self.inside)


@dataclass(frozen=True)
class _Simplified(_Inside):
    """The same without operators that give what they read."""

    book: Book

    def real(self, name: str | None) -> str | None:
        """The value behind those operators."""
        while (writer := self.producer(name)) is not None:
            kept = _unchanged(self.graph, writer, self.book)
            if kept is None:
                return name
            name = kept
        return name


_SPLIT = alone("Reshape", value("data"), constant(), name="split")
SHUFFLE = op("Reshape", alone("Transpose", _SPLIT), constant())
"""Channels that change places: split, turned and joined again."""


def _shuffles(graph: Graph, op: Operator, inside: Set[str], book: Book) -> bool:
    """``ShuffleChannelsFusion`` asks for the size of a dimension that is open ("Cannot get length of dynamic
    dimension").
    """
    match = SHUFFLE.match(_Inside(graph, inside), op)
    if match is None:
        return False
    data, partitions = graph.find(match.value("data")), graph.find(match.op("split").outputs[0] or "")
    if data is None or partitions is None or data.shape is None or partitions.shape is None:
        return False
    known = len(data.shape) == 4 and all(isinstance(dim, int) for dim in data.shape[1:])
    return known and len(partitions.shape) in (4, 5) and not isinstance(partitions.shape[1], int)


def _branches_of_other_ranks(graph: Graph, op: Operator, inside: Set[str], book: Book) -> bool:
    """``CPU plug-in doesn't support If operation with dynamic rank``: the branches give tensors of different
    ranks.
    """
    if op.type != "If" or graph.constant(op.inputs[0]) is not None or len(op.graphs) != 2:
        return False
    first, second = (
        [_rank(body, name) for name in body.outputs] for body in (op.graphs[key] for key in sorted(op.graphs))
    )
    return any(
        left is not None and right is not None and left != right
        for left, right in zip(first, second, strict=False)
    )


def _rank(graph: Graph, name: str | None) -> int | None:
    """The rank of a body's result; inference may not have followed what the body reads from outside."""
    tensor = graph.find(name or "")
    if tensor is not None and tensor.shape is not None:
        return len(tensor.shape)
    writer = graph.producer(name)
    data = None if writer is None or not writer.inputs else _rank(graph, writer.inputs[0])
    if writer is None or data is None:
        return None
    if writer.type == "Identity":
        return data
    counts = {"Squeeze": -_axes(graph, writer), "Unsqueeze": _axes(graph, writer)}
    return data + counts[writer.type] if counts.get(writer.type) else None


def _axes(graph: Graph, op: Operator) -> int:
    """How many axes an operator is given."""
    given = graph.constant(op.inputs[1]) if len(op.inputs) > 1 else None
    return len(tuple(given.numbers())) if given is not None else len(op.attrs.get("axes") or ())


def _blocks_of_a_factor(graph: Graph, op: Operator, inside: Set[str], book: Book) -> bool:
    """``Incompatible MatMul matrix dimension``: blocks along axis 1 are joined to rows before the product."""
    writer = _writer(graph, op.inputs[1], inside) if op.type == "MatMul" and len(op.inputs) > 1 else None
    if writer is None or writer.type != "DequantizeLinear" or not writer.attrs.get("block_size"):
        return False
    stored = graph.find(writer.inputs[0] or "")
    small = stored is not None and stored.dtype in book.types("unpacked-in-blocks")
    return small and writer.attrs.get("axis", 1) == 1


_MET: Mapping[str, Callable[[Graph, Operator, Set[str], Book], bool]] = {
    "quantize-to-four-bits": _to_four_bits,
    "pad-of-some-axes": _pads_some_axes,
    "partition-input-of-unknown-rank": _dynamic_input,
    "boxes-without-corners": _dynamic_boxes,
    "concat-quantized-twice": _quantized_twice,
    "pad-of-a-dequantized-tensor-with-other-readers": _pads_shared,
    "gather-elements-part": _gathers_part,
    "reshape-transpose-reshape": _shuffles,
    "unknown-rank-of-the-result": unknown_rank,
    "stored-state-of-a-dynamic-batch": state_of_open_batch,
    "if-of-unknown-rank": _branches_of_other_ranks,
    "product-with-blocks-along-the-second-axis": _blocks_of_a_factor,
}
"""What an operator of a partition meets, by the reason's name; the last that is met is told."""
