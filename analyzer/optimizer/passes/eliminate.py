"""Operators that change nothing are taken away.

Source: onnxruntime/core/optimizer/{identity,slice,dropout,expand,cast,pre_shape_node,noop}_elimination.cc and
``CanRemoveNode`` of core/graph/graph_utils.cc; each guard was measured on 1.31.1 with models on both sides of
it (``tests/test_optimizer.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...ir.graph import Operator
from ..board import Board

_LARGEST = (1 << 63) - 1


def eliminate(board: Board) -> None:
    """One walk over a graph."""
    for stored in board.ops():
        op = board.get(stored.id)
        if op is None or op.domain != "" or not op.inputs or not op.inputs[0]:
            continue
        name, test = _NO_OPS.get(op.type, _OF_NUMBERS)
        if removable(board, op) and test(board, op):
            bypass(board, op, name)
        elif op.type == "Identity":
            _rename_before_output(board, op)


def removable(board: Board, op: Operator) -> bool:
    """Whether an operator can be walked around: one result is used, none is an output of the graph, and one
    operator at most writes what it reads. Where none does, the operator must have no other input.
    """
    used = [name for name in op.outputs if name and board.readers(name)]
    if len(used) > 1 or (used and used[0] != op.outputs[0]) or board.gives_output(op):
        return False
    edges = sum(1 for name in op.inputs if board.maker(name) is not None)
    return edges == 1 or (edges == 0 and len(op.inputs) == 1)


def bypass(board: Board, op: Operator, by: str, kept: int = 0) -> None:
    """What read the result of an operator reads its input instead."""
    kept = next((place for place, name in enumerate(op.inputs) if board.maker(name) is not None), kept)
    name, result = op.inputs[kept], op.outputs[0]
    assert name and result
    board.redirect(result, name)
    board.drop(op, by)


def _rename_before_output(board: Board, op: Operator) -> None:
    """An Identity that gives an output: what writes its input writes the output instead, where nobody else
    reads that.
    """
    source, result = op.inputs[0], op.outputs[0]
    writer = board.maker(source)
    if writer is None or not source or not result or len(op.outputs) != 1 or board.readers(result):
        return
    if source in board.outputs or len(board.readers(source)) != 1 or board.edges(op):
        return
    if sum(reader.inputs.count(source) for reader in board.readers(source)) != 1:
        return
    board.remove(op, "EliminateIdentity")
    board.rename_result(writer, source, result)


def _always(board: Board, op: Operator) -> bool:
    return True


def _whole_slice(board: Board, op: Operator) -> bool:
    """It starts at 0 with steps of 1 and its ends are as far as can be."""
    if op.version >= 10:
        given = [board.numbers(name) if name else None for name in op.inputs[1:]]
        if len(given) < 2 or given[0] is None or given[1] is None:
            return False
        if any(value is None for value, name in zip(given, op.inputs[1:], strict=True) if name):
            return False
        starts, ends, steps = given[0], given[1], given[3] if len(given) > 3 else None
    else:
        starts, ends = list(op.attrs.get("starts", ())), list(op.attrs.get("ends", ()))
        steps = None
    if steps is not None and any(step != 1 for step in steps):
        return False
    return not any(starts) and all(not 0 < end < _LARGEST for end in ends)


def _inference(board: Board, op: Operator) -> bool:
    if op.version >= 12 and len(op.inputs) > 2 and op.inputs[2]:
        return board.number(op.inputs[2]) in (False, 0)
    return True


def _same_size(board: Board, op: Operator) -> bool:
    """Every size that an Expand asks for is 1 or the one that is there."""
    sizes, shape = board.numbers(op.inputs[1]), board.shape(op.inputs[0])
    if sizes is None or shape is None or len(sizes) > len(shape):
        return False
    return all(size in (1, dim) for size, dim in zip(reversed(sizes), reversed(shape), strict=False))


def _same_type(board: Board, op: Operator) -> bool:
    dtype = board.dtype(op.inputs[0])
    return dtype != "unknown" and dtype == board.dtype(op.outputs[0])


def _shape_alone(board: Board, op: Operator) -> bool:
    """Nothing but Shape reads what a Cast gives."""
    if not board.has("PreShapeNodeElimination"):
        return False
    readers = board.readers(op.outputs[0])
    return bool(readers) and all(reader.type == "Shape" and reader.domain == "" for reader in readers)


def _neutral(board: Board, op: Operator) -> bool:
    """One operand is a single stored number that leaves the other as it is."""
    kind = board.book.kinds("neutral").get(op.type)
    stored = [board.constant(name) for name in op.inputs]
    if kind is None or len(stored) != 2 or (stored[0] is None) == (stored[1] is None):
        return False
    place = 0 if stored[0] is not None else 1
    value, other = stored[place], board.shape(op.inputs[1 - place])
    if value is None or value.elements != 1 or other is None or len(value.shape) > len(other):
        return False
    wanted, places = _NEUTRAL[kind]
    return place in places and board.number(op.inputs[place]) == wanted


_NEUTRAL = {
    "either-zero": (0, (0, 1)),
    "second-zero": (0, (1,)),
    "either-one": (1, (0, 1)),
    "second-one": (1, (1,)),
}
"""The number and the places where it is neutral, by the kinds of the table."""


_NO_OPS: Mapping[str, tuple[str, Callable[[Board, Operator], bool]]] = {
    "Identity": ("EliminateIdentity", _always),
    "Slice": ("EliminateSlice", _whole_slice),
    "Dropout": ("EliminateDropout", _inference),
    "Expand": ("ExpandElimination", _same_size),
    "Cast": ("CastElimination", lambda board, op: _same_type(board, op) or _shape_alone(board, op)),
}
_OF_NUMBERS = ("NoopElimination", _neutral)
