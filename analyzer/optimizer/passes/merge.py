"""Operators that compute the same thing are computed once.

Source: onnxruntime/core/optimizer/{constant_sharing,common_subexpression_elimination}.cc. Small constants of
equal value count as one (ConstantSharing); operators of Microsoft's domain are merged where
ONNX Runtime lists them as deterministic, those of other domains never are.
Values are compared once, before anything is folded (``ShouldOnlyApplyOnce``): constants that passes
make later are equal to themselves only.
"""

from __future__ import annotations

from collections.abc import Hashable, Set
from typing import Any

from ...ir.graph import Constant, Operator
from ...policies.onnxruntime.order import depth_first
from ..board import Board


def share(board: Board) -> None:
    """Note which small constants of a graph are equal."""
    values: dict[Hashable, str] = {}
    most, types = board.book.limit("shared-elements"), board.types("shared-dtypes")
    for op in board.ops():
        for name in op.inputs:
            if name and name in board.tensors and name not in board.shared:
                board.shared[name] = _value(board, name, values, most, types)


def merge(board: Board) -> None:
    """One walk over a graph: of operators that compute the same one stays, the first in the order in which
    ONNX Runtime goes through a graph, and the readers of the others read its results. An operator that gives
    an output of the graph stays as well.
    """
    for alike in _equal(board):
        if any(board.gives_output(op) for op in alike):
            place = {id: index for index, id in enumerate(_order(board))}
            alike.sort(key=lambda op: place[op.id])
        first = alike[0]
        for op in alike[1:]:
            for old, new in zip(op.outputs, first.outputs, strict=True):
                if old and new and old not in board.outputs:
                    board.redirect(old, new)
            op = board.get(op.id) or op
            if not board.gives_output(op):
                board.drop(op, "CommonSubexpressionElimination", first.id)


def _equal(board: Board) -> list[list[Operator]]:
    """Operators that compute the same, those of which there are several."""
    found: dict[Hashable, list[Operator]] = {}
    same: dict[str, str] = {}
    own = board.types("own")
    for op in board.ops():
        if op.domain not in ("", "com.microsoft") or op.type in own or op.graphs:
            continue
        alike = found.setdefault(_key(board, op, same), [])
        alike.append(op)
        first = alike[0]
        if first is not op:
            same.update((old, new) for old, new in zip(op.outputs, first.outputs, strict=True) if old and new)
    return [alike for alike in found.values() if len(alike) > 1]


def _order(board: Board) -> list[str]:
    """Ids in the order of ONNX Runtime's ``GraphViewer``."""
    ops = [op for op in board.ops() if op.type != "Constant"]
    ops.sort(key=lambda op: board.ages.get(op.id, 0))
    index = {op.id: place for place, op in enumerate(ops)}
    return depth_first({op.id: sorted(board.waits_for(op), key=index.__getitem__) for op in ops})


def _key(board: Board, op: Operator, same: dict[str, str]) -> Hashable:
    names = (same.get(name, name) if name else None for name in op.inputs)
    inputs = tuple(board.shared.get(name, name) if name else None for name in names)
    attrs = tuple(sorted((name, _plain(value)) for name, value in op.attrs.items()))
    return op.type, op.domain, inputs, attrs, tuple(bool(name) for name in op.outputs)


def _value(board: Board, name: str, values: dict[Hashable, str], most: int, types: Set[str]) -> str:
    """The first name under which a small constant was met."""
    constant = board.constant(name)
    if constant is None or constant.elements > most or constant.dtype not in types:
        return name
    return values.setdefault((constant.dtype, constant.shape, constant.raw()), name)


def _plain(value: Any) -> Any:
    """An attribute that can be compared; a tensor is equal to itself only."""
    if isinstance(value, Constant):
        return f"constant {id(value)}"
    return repr(value)
