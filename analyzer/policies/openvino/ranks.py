"""What OpenVINO knows of shapes and values when it compiles a partition.

It infers shapes by itself, from the sizes of what the partition reads, and follows the values of sizes
through operators as its reader does. Measured on onnxruntime-openvino 1.24.1.
"""

from __future__ import annotations

from collections.abc import Set

from ...ir.graph import Graph, Operator, Shape
from ..tables import Book


def unknown_rank(graph: Graph, op: Operator, inside: Set[str], book: Book) -> bool:
    """Whether OpenVINO cannot tell how many dimensions a result has.

    It follows values through the operators of a partition as the reader does ("CPU plug-in doesn't support
    Reshape operation with dynamic rank"); what another partition or the host computes has no value for it.
    """
    if op.type == "Squeeze" and not op.attrs.get("axes") and len(op.inputs) < 2:
        data = graph.find(op.inputs[0] or "")
        return data is None or not _static(data.shape, told_batches(graph, op.inputs[0], inside, book))
    if (
        op.type in ("Squeeze", "Unsqueeze")
        and len(op.inputs) > 1
        and not evaluated(graph, op.inputs[1], inside, book)
    ):
        axes = graph.find(op.inputs[1] or "")
        return op.type == "Unsqueeze" or axes is None or not axes.static
    place = _PLACES.get(book.kinds("sizes").get(op.type, ""))
    sizes = graph.find(op.inputs[place] or "") if place is not None and place < len(op.inputs) else None
    if sizes is None or graph.constant(sizes.name) is not None:
        return False
    _, plain = graph.facts.plain_shapes.get(sizes.name, (None, sizes.shape))
    by_values = not plain or not isinstance(plain[0], int)
    return by_values and not _within(graph, sizes.name, inside)


_PLACES = {"first": 0, "second": 1}
"""The input whose length is the number of dimensions of the result, by the kinds of the table of sizes."""


def _within(graph: Graph, sizes: str, inside: Set[str]) -> bool:
    """Whether everything that a tensor of sizes is computed from is in the partition, back to the shapes of
    its tensors.
    """
    todo, seen = [sizes], {sizes}
    while todo:
        name = todo.pop()
        writer = graph.producer(name)
        if writer is None:
            source = graph.find(name)
            if graph.constant(name) is None and source is not None and not source.static:
                return False
            continue
        if writer.id not in inside:
            return False
        fresh = (
            [] if writer.type == "Shape" else [name for name in writer.inputs if name and name not in seen]
        )
        seen.update(fresh)
        todo += fresh
    return True


def evaluated(graph: Graph, name: str | None, inside: Set[str], book: Book) -> bool:
    """Whether the values follow from constants and the shapes of tensors of the partition."""
    writer = graph.producer(name)
    if writer is None or writer.id not in inside:
        return graph.constant(name) is not None
    if writer.type in book.types("measures"):
        source = graph.find(writer.inputs[0] or "")
        return source is not None and source.static
    return all(evaluated(graph, item, inside, book) for item in writer.inputs if item)


# ---- recurrent operators ---------------------------------------------------------------------


def told_batches(graph: Graph, name: str | None, inside: Set[str], book: Book) -> Set[str]:
    """Names of dimensions that are numbers to OpenVINO: a recurrent operator on the way to a tensor has as
    many items as the state that it begins with. A stored state tells nothing.
    """
    found: set[str] = set()
    todo, seen = [name], {name}
    while todo:
        writer = graph.producer(todo.pop())
        if writer is None or writer.id not in inside:
            continue
        if writer.type in book.types("recurrent"):
            found |= _told_by_state(graph, writer, inside)
        fresh = {item for item in writer.inputs if item and item not in seen}
        seen |= fresh
        todo += fresh
    return found


def _told_by_state(graph: Graph, op: Operator, inside: Set[str]) -> Set[str]:
    batch = _batch(graph, op.inputs[0])
    for name in op.inputs[_STATES]:
        if (
            isinstance(batch, str)
            and isinstance(_batch(graph, name), int)
            and not _fixed(graph, name, inside)
        ):
            return {batch}
    return set()


def state_of_open_batch(graph: Graph, op: Operator, inside: Set[str], book: Book) -> bool:
    """``Can not create StaticMemory object. The memory desc is undefined``: the CPU plug-in stores an initial
    state ahead, whose number of items is not known then.
    """
    if op.type not in book.types("state-ahead") or len(op.inputs) <= _STATE:
        return False
    state, data = op.inputs[_STATE], graph.find(op.inputs[0] or "")
    if not state or data is None or data.shape is None or not _fixed(graph, state, inside):
        return False
    batch = _batch(graph, op.inputs[0])
    return not isinstance(batch, int) and batch not in told_batches(graph, op.inputs[0], inside, book)


_STATE = 5
"""The place of the initial state; behind it is that of the cells."""
_STATES = slice(_STATE, _STATE + 2)


def _batch(graph: Graph, name: str | None) -> int | str | None:
    """The second size of a sequence or a state: how many items there are."""
    tensor = graph.find(name or "")
    return tensor.shape[1] if tensor is not None and tensor.shape and len(tensor.shape) == 3 else None


def _static(shape: Shape, told: Set[str]) -> bool:
    return shape is not None and all(isinstance(dim, int) or dim in told for dim in shape)


def _fixed(graph: Graph, name: str | None, inside: Set[str]) -> bool:
    """Whether a tensor is computed from constants alone, in the partition."""
    if graph.constant(name) is not None:
        return True
    writer = graph.producer(name)
    return (
        writer is not None
        and writer.id in inside
        and all(_fixed(graph, item, inside) for item in writer.inputs if item)
    )
