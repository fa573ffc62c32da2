"""What is left of a provider's layout change when it is asked again: transposes that moved past other
operators.

A provider that wants channels last is asked twice, before and after ONNX Runtime puts its layout-sensitive
operators between transposes and lets its transpose optimizer move these towards the results
(``layout_transformation.cc``, ``transpose_optimization``).
"""

from __future__ import annotations

from collections.abc import Iterator

from ...ir.graph import Graph, Operator
from ...ir.match import Scope, op
from ..tables import STANDARD, Book, Tables

_BOOK = "onnxruntime/layout"


def at_the_edge(graph: Graph, op: Operator, tables: Tables = STANDARD) -> bool:
    """Whether a lone quantize or dequantize operator is at the model's edge, which the QNN provider leaves to
    the host.

    An operator that writes a result of the model does so no more when a transpose moves behind it.
    """
    if op.type == "QuantizeLinear":
        return op.inputs[0] in graph.inputs
    if op.type != "DequantizeLinear" or op.outputs[0] not in graph.outputs or graph.consumers(op.outputs[0]):
        return False
    return not _transposed(graph, op, tables[_BOOK])


def leaves_its_unit(graph: Graph, op: Operator, tables: Tables = STANDARD) -> bool:
    """Whether a transpose moves between a dequantize operator and the operator that it feeds.

    A transpose of the model in three dimensions, which cancels with none that the layout change makes, moves
    past the pair behind it.
    """
    match = UNIT_BEHIND_A_TRANSPOSE.match(graph, op)
    moved = None if match is None else graph.find(match.op("moved").outputs[0] or "")
    book = tables[_BOOK]
    if moved is None or len(moved.shape or ()) != book.limit("moved-rank"):
        return False
    return _changes_layouts(graph, book)


def _feeds_one(scope: Scope, op: Operator) -> bool:
    return len(scope.graph.consumers(op.outputs[0])) == 1


UNIT_BEHIND_A_TRANSPOSE = op(
    "DequantizeLinear", op("QuantizeLinear", op("Transpose", name="moved"), where=_feeds_one)
)
"""A pair that a transpose moves past."""


def _changes_layouts(graph: Graph, book: Book) -> bool:
    """Whether the graph has a layout-sensitive operator."""
    return any(op.type in book.types("sensitive") for op in graph.ops())


def _transposed(graph: Graph, op: Operator, book: Book) -> bool:
    """Whether a transpose moves behind the operator.

    It does when transposes move at all, in a graph with a layout-sensitive operator, and something that the
    operator computes from was made by such an operator or a transpose, past others that let it by.
    """
    todo, seen = list(_writers(graph, op)), {op.id}
    while todo:
        step = todo.pop()
        if step.type in book.types("sensitive") or step.type == "Transpose":
            return _changes_layouts(graph, book)
        if step.id not in seen and step.type in book.types("passed"):
            todo += _writers(graph, step)
        seen.add(step.id)
    return False


def _writers(graph: Graph, op: Operator) -> Iterator[Operator]:
    """What writes the inputs that are computed, constants that are dequantized aside."""
    for name in op.inputs[:1] if op.type in ("QuantizeLinear", "DequantizeLinear") else op.inputs:
        writer = graph.producer(name) if name else None
        if writer is not None and (
            writer.type != "DequantizeLinear" or graph.constant(writer.inputs[0]) is None
        ):
            yield writer
