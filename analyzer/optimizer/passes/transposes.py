"""Transposes are pushed towards each other, and those that meet cancel.

Source: core/optimizer/transpose_optimization/onnx_transpose_optimization.cc of ONNX Runtime, whose cost
estimate decides: a transpose is pushed through an operator when the dimensions that are transposed above it
become fewer, those below counted too unless the result leads to another transpose (from 1.31.0 on, to one
that undoes it, or by a way that nothing else takes). Not modelled: pads and repeats that are computed, and
what a provider allows for Resize and MaxPool.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field

from ...ir.graph import Operator
from ..board import Board
from .pushes import (
    BY,
    Handler,
    Perm,
    Push,
    axis_of,
    handler_of,
    inverted,
    perm_of,
    stored_behind,
    transpose_input,
)
from .qdq import pair_behind


def push_transposes(board: Board) -> None:
    """One walk over a graph."""
    ops = board.ops()
    if not any(op.type == "Transpose" for op in ops):
        return
    if board.graph.opsets.get("", 0) < board.book.limit("oldest-pushed"):
        return
    leading = _leading(board, ops)
    for op in ops:
        current = board.get(op.id)
        for place in range(len(current.inputs) if current is not None else 0):
            if current is not None and _process(board, current, place, leading):
                break
    for op in board.ops():
        if op.type == "Transpose" and board.get(op.id) is op:
            _above_dequantize(board, op)


@dataclass(slots=True)
class _Ahead:
    """Where tensors lead through operators that transposes can be pushed through.

    Attributes:
        towards: names of tensors that lead to a transpose; from 1.31.0 on those that nothing else reads.
        perms: by name, the axes of the transposes that a tensor leads to.
    """

    towards: set[str] = field(default_factory=set)
    perms: dict[str, set[Perm]] = field(default_factory=dict)

    def waits(self, op: Operator, perm: Perm) -> bool:
        """Whether a transpose of the results of an operator is likely to go."""
        names = [name for name in op.outputs if name]
        back = inverted(perm)
        return any(name in self.towards or back in self.perms.get(name, ()) for name in names)


def _leading(board: Board, ops: Sequence[Operator]) -> _Ahead:
    """Tensors from which operators that can be pushed through lead to a transpose."""
    found, shared = _Ahead(), not board.has("TransposeOptimizer:shared")

    def note(name: str, perms: Set[Perm], *, leads: bool) -> None:
        found.perms.setdefault(name, set()).update(perms)
        if leads and (shared or (len(board.readers(name)) == 1 and name not in board.outputs)):
            found.towards.add(name)

    for op in reversed(ops):
        if op.type == "Transpose" and not op.domain:
            perm = perm_of(op)
            note(op.inputs[0] or "", set() if perm is None or shared else {perm}, leads=True)
            continue
        perms = {perm for name in op.outputs for perm in found.perms.get(name or "", ())}
        leads = any(name in found.towards for name in op.outputs)
        handler = handler_of(board, op) if leads or perms else None
        if handler is None or not handler.outputs:
            continue
        for place in handler.places(board, op):
            note(op.inputs[place] or "", perms, leads=leads)
    return found


def _process(board: Board, op: Operator, place: int, leading: _Ahead) -> bool:
    transpose = board.maker(op.inputs[place])
    perm, handler = perm_of(transpose), handler_of(board, op)
    if transpose is None or perm is None or handler is None:
        return False
    places = handler.places(board, op)
    if place not in places:
        return False
    if op.type != "Transpose" and _cost(board, op, perm, places, handler, leading) >= 0:
        return False
    return handler.push(Push(board, transpose, op, perm, places))


# ---- costs -----------------------------------------------------------------------------------


def _cost(
    board: Board, op: Operator, perm: Perm, places: Sequence[int], handler: Handler, leading: _Ahead
) -> int:
    cost = sum(_input_cost(board, op.inputs[place], perm) for place in places)
    if cost < 0 and handler.outputs and not leading.waits(op, perm):
        cost += max(_rank(board, name) for name in op.outputs)
    return cost


def _input_cost(board: Board, name: str | None, perm: Perm) -> int:
    if board.constant(name) is not None or stored_behind(board, name) is not None:
        return 0
    maker = board.maker(name)
    found = perm_of(maker)
    if maker is not None and found is not None:
        return -_rank(board, name) if found == perm and _removable(board, maker) else 0
    return _rank(board, name)


def _rank(board: Board, name: str | None) -> int:
    """How many sizes are not 1."""
    shape = board.shape(name)
    return board.book.limit("unknown-rank") if shape is None else sum(1 for dim in shape if dim != 1)


def _removable(board: Board, transpose: Operator) -> bool:
    if board.gives_output(transpose):
        return False
    return all(handler_of(board, item) is not None for item in board.readers(transpose.outputs[0]))


def _above_dequantize(board: Board, transpose: Operator) -> None:
    """A Transpose behind a DequantizeLinear of weights goes in front of it, unless a QuantizeLinear follows;
    behind one of something else it gets a pair of its own, so that it is a node unit.
    """
    perm, before = perm_of(transpose), board.maker(transpose.inputs[0])
    if perm is None or before is None or before.type != "DequantizeLinear" or board.sole(before) is None:
        return
    if any(item.type == "QuantizeLinear" for item in board.readers(transpose.outputs[0])):
        return
    attrs, scale = dict(before.attrs), board.shape(before.input(1))
    if scale != () and before.version >= 13:
        axis = axis_of(before, len(perm), 1)
        if axis is None:
            return
        attrs["axis"] = inverted(perm)[axis]
    if board.constant(before.inputs[0]) is None and board.has("TransposeOptimizer:units"):
        pair_behind(board, transpose, before, attrs)
        return
    result = transpose.outputs[0] or ""
    push = Push(board, transpose, before, perm, (0,))
    board.remove(transpose, BY)
    old = before.outputs[0] or ""
    board.tensors.pop(old, None)
    before = board.update(before, outputs=(result,), attrs=attrs)
    transpose_input(push, before, 0, perm)
