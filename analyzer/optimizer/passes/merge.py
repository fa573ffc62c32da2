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
    """One walk over a graph: a later operator goes, its readers read the results of the first."""
    known: dict[Hashable, Operator] = {}
    same: dict[str, str] = {}
    own = board.types("own")
    for op in board.ops():
        if op.domain not in ("", "com.microsoft") or op.type in own or op.graphs:
            continue
        op = board.get(op.id) or op
        key = _key(board, op, same)
        first = known.setdefault(key, op)
        if first is op or board.gives_output(op) or (board.gives_output(first) and not board.edges(first)):
            continue  # a result that nothing but the graph's caller reads stays by itself
        board.remove(op, "CommonSubexpressionElimination", first.id)
        for old, new in zip(op.outputs, first.outputs, strict=True):
            if old and new:
                board.redirect(old, new)
                board.tensors.pop(old, None)
                same[old] = new


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
