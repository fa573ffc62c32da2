"""Shapes that are computed from what is reshaped become constants, and reshapes in a row become one.

Source: onnxruntime/core/optimizer/reshape_fusion.cc (``Fuse_Subgraph``; ``FuseContiguousReshapes``, whose
guards were measured on 1.31.1: a Reshape, behind it Reshape, Squeeze and Unsqueeze that nothing else
reads, every shape known).
"""

from __future__ import annotations

from ...ir.graph import Operator, Tensor
from .. import values
from ..board import Board
from .fold import remove_unread

_BY = "ReshapeFusion"


def fuse_reshapes(board: Board) -> None:
    """One walk over a graph."""
    for op in board.ops():
        current = board.get(op.id)
        if current is None or current.type != "Reshape" or current.domain or current.version < 5:
            continue
        if _keeps_zeros(current):
            continue
        if not _fuse_shape(board, current) and board.has("ReshapeFusion:row"):
            _fuse_row(board, current)


def _keeps_zeros(op: Operator) -> bool:
    """A 0 in the shape is a size of 0 and does not stand for the size at its place: such a Reshape is left
    as it is (measured on 1.24.1 and 1.31.1).
    """
    return bool(op.attrs.get("allowzero", 0))


def _fuse_row(board: Board, first: Operator) -> None:
    row = [first]
    types = board.types("reshapes")
    while (after := board.sole(row[-1])) is not None:
        if after.type not in types or after.inputs[0] != row[-1].outputs[0] or _keeps_zeros(after):
            break
        row.append(after)
    sizes = [board.sizes(op.outputs[0]) for op in row]
    if len(row) < 2 or None in sizes:
        return
    last, wanted = row[-1], sizes[-1]
    assert wanted is not None
    name = board.fresh(f"{last.outputs[0]}_sizes")
    value = values.listed(wanted)
    board.tensors[name] = Tensor(name, "int64", value.shape, value)
    for op in row[1:]:
        board.drop(op, _BY, first.id)
    board.tensors.pop(first.outputs[0] or "", None)
    board.update(first, inputs=(first.inputs[0], name), outputs=last.outputs, attrs={})


# ---- Concat of parts of the shape of what is reshaped -----------------------------------------


def _fuse_shape(board: Board, reshape: Operator) -> bool:
    concat = board.maker(reshape.input(1))
    if concat is None or concat.type != "Concat" or concat.domain or board.sole(concat) is None:
        return False
    sizes: list[int] = []
    for name in concat.inputs:
        stored = board.numbers(name)
        if stored is not None:
            sizes += [int(size) for size in stored]
        elif _own_size(board, reshape, name, len(sizes)):
            sizes.append(0)
        elif _one_element(board, reshape, name):
            sizes.append(-1)
        else:
            return False
    if sizes.count(-1) > 1:
        return False
    makers = [maker for name in concat.inputs if (maker := board.maker(name)) is not None]
    makers = [
        maker for maker in makers if board.edges(maker) == 1
    ]  # one that is read twice here is left behind
    board.remove(concat, _BY)
    board.store(concat.outputs[0] or "", values.listed(sizes))
    for maker in makers:
        remove_unread(board, maker)
    return True


def _written_by(board: Board, name: str | None, kind: str) -> Operator | None:
    op = board.maker(name)
    return op if op is not None and op.type == kind and op.domain == "" else None


def _axes_zero(board: Board, op: Operator) -> bool:
    axes = op.attrs.get("axes")
    found = board.numbers(op.input(1)) if axes is None else list(axes)
    return found == [0]


def _own_size(board: Board, reshape: Operator, name: str | None, place: int) -> bool:
    """Shape, Gather and Unsqueeze of the size at the same place of what is reshaped."""
    wide = _written_by(board, name, "Unsqueeze")
    picked = _written_by(board, wide.input(0), "Gather") if wide is not None else None
    shape = _written_by(board, picked.input(0), "Shape") if picked is not None else None
    if wide is None or picked is None or shape is None or not _axes_zero(board, wide):
        return False
    same = _same_size(board, shape.input(0), reshape.input(0), place)
    return same and board.number(picked.input(1)) == place


def _same_size(board: Board, one: str | None, other: str | None, place: int) -> bool:
    """Whether two tensors are one, or, for the releases that look, known to have the same size at a place."""
    if one == other:
        return True
    if not board.has("ReshapeFusion:elsewhere"):
        return False
    left, right = board.shape(one) or (), board.shape(other) or ()
    return place < min(len(left), len(right)) and left[place] is not None and left[place] == right[place]


def _single(board: Board, name: str | None) -> bool:
    """The inferred shape says that there is one element."""
    sizes = board.sizes(name)
    return sizes is not None and all(size == 1 for size in sizes)


def _one_element(board: Board, reshape: Operator, name: str | None) -> bool:
    if _single(board, name):
        return True
    wide = _written_by(board, name, "Unsqueeze")
    if wide is None or not _axes_zero(board, wide):
        return False
    maker = board.maker(wide.input(0))
    if maker is not None and maker.type in ("Div", "Mul"):
        return all(_single(board, side) or _sliced(board, reshape, side) for side in maker.inputs)
    return _single(board, wide.input(0)) or _sliced(board, reshape, wide.input(0))


def _sliced(board: Board, reshape: Operator, name: str | None) -> bool:
    """Shape, Slice of one size and Squeeze, of what is reshaped."""
    narrow = _written_by(board, name, "Squeeze")
    part = _written_by(board, narrow.input(0), "Slice") if narrow is not None else None
    shape = _written_by(board, part.input(0), "Shape") if part is not None else None
    if part is None or shape is None or shape.input(0) != reshape.input(0):
        return False
    starts = board.numbers(part.input(1)) if part.version >= 10 else list(part.attrs.get("starts", ()))
    ends = board.numbers(part.input(2)) if part.version >= 10 else list(part.attrs.get("ends", ()))
    if not starts or not ends or len(starts) != 1 or len(ends) != 1:
        return False
    return bool(ends[0] >= (1 << 31) - 1 and starts[0] == -1) or abs(int(ends[0] - starts[0])) == 1
