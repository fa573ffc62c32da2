"""Operators that compute the same thing are computed once.

Source: onnxruntime/core/optimizer/{constant_sharing,common_subexpression_elimination}.cc. Small constants of
equal value count as one (ConstantSharing: up to 8 elements); operators of Microsoft's domain are merged where
ONNX Runtime lists them as deterministic, those of other domains never are.
Values are compared once, before anything is folded (``ShouldOnlyApplyOnce``): constants that passes
make later are equal to themselves only.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from ...ir.graph import Constant, Operator
from ..board import Board

RANDOM = frozenset(
    ("RandomUniform", "RandomNormal", "RandomUniformLike", "RandomNormalLike", "Multinomial", "Bernoulli")
)
"""Operators whose results are drawn anew, which are neither folded nor merged."""
_OWN = RANDOM | {"Constant", "DequantizeLinear"}
"""Operators of which each is its own: node units share no DequantizeLinear."""
_SHARED = 8
"""Elements up to which constants are compared by value."""
_TYPES = frozenset(("float32", "float16", "float64", "int32", "int64"))
"""Types of which ConstantSharing looks at values."""


def share(board: Board) -> None:
    """Note which small constants of a graph are equal."""
    values: dict[Hashable, str] = {}
    for op in board.ops():
        for name in op.inputs:
            if name and name in board.tensors and name not in board.shared:
                board.shared[name] = _value(board, name, values)


def merge(board: Board) -> None:
    """One walk over a graph: a later operator goes, its readers read the results of the first."""
    known: dict[Hashable, Operator] = {}
    same: dict[str, str] = {}
    for op in board.ops():
        if op.domain not in ("", "com.microsoft") or op.type in _OWN or op.graphs:
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


def _value(board: Board, name: str, values: dict[Hashable, str]) -> str:
    """The first name under which a small constant was met."""
    constant = board.constant(name)
    if constant is None or constant.elements > _SHARED or constant.dtype not in _TYPES:
        return name
    return values.setdefault((constant.dtype, constant.shape, constant.raw()), name)


def _plain(value: Any) -> Any:
    """An attribute that can be compared; a tensor is equal to itself only."""
    if isinstance(value, Constant):
        return f"constant {id(value)}"
    return repr(value)
