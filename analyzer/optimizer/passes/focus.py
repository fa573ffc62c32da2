"""Four strided Slices and a Concat, the first layer of YOLO networks, become SpaceToDepth.

Source: onnxruntime/core/optimizer/slice_concat_to_space_to_depth_fusion.cc. 1.31.1 looks at Slices that
stride height and width at once (measured); where each stride is a Slice of its own, nothing is fused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...ir.graph import Operator, Tensor
from .. import values

if TYPE_CHECKING:
    from ...ir.graph import Dim
    from ..board import Board

_BY = "SliceConcatToSpaceToDepthFusion"
_CANONICAL = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Offsets of height and width in the order in which SpaceToDepth joins them."""

_ENDLESS = (1 << 63) - 1


def fuse_focus(board: Board) -> None:
    """One walk over a graph."""
    if not board.has(_BY):
        return
    for op in board.ops():
        if op.type == "Concat" and op.domain == "" and len(op.inputs) == 4 and board.get(op.id) is op:
            _fuse(board, op)


def _fuse(board: Board, concat: Operator) -> None:
    slices = [board.maker(name) for name in concat.inputs]
    found = [item for item in slices if item is not None and item.type == "Slice" and item.domain == ""]
    if len(found) < 4 or len({item.id for item in found}) < 4 or len({item.inputs[0] for item in found}) > 1:
        return
    source = found[0].inputs[0]
    shape = board.shape(source)
    if shape is None or len(shape) != 4 or board.dtype(source) not in board.types("focus-dtypes"):
        return
    if concat.attrs.get("axis") not in (1, -3) or any(board.sole(item) is not concat for item in found):
        return
    phases = [_phase(board, item, shape) for item in found]
    if sorted(phase or () for phase in phases) != sorted(_CANONICAL):
        return
    order = [_CANONICAL.index(phase) for phase in phases if phase is not None]
    if order == [0, 1, 2, 3] or isinstance(shape[1], int):
        _replace(board, concat, found, order, shape)


def _phase(board: Board, op: Operator, shape: tuple[Dim, ...]) -> tuple[int, int] | None:
    """Where a Slice begins in height and width, if it takes every other one of both and all of the rest."""
    lists = [board.numbers(name) if name else None for name in (*op.inputs[1:], None, None)[:4]]
    starts, ends = lists[:2]
    if not starts or not ends or len(starts) != len(ends):
        return None
    axes, steps = lists[2] or list(range(len(starts))), lists[3] or [1] * len(starts)
    if len(axes) != len(starts) or len(steps) != len(starts):
        return None
    found = {axis % 4: row for axis, *row in zip(axes, starts, ends, steps, strict=True)}
    if len(found) < len(axes) or any(not -4 <= axis < 4 for axis in axes):
        return None
    for axis, (start, end, step) in found.items():
        size = shape[axis]
        whole = end == _ENDLESS or (isinstance(size, int) and end >= size)
        if not whole or (axis < 2 and (start, step) != (0, 1)):
            return None
    strided = [found.get(axis, (0, 0, 1)) for axis in (2, 3)]
    if any(step != 2 or start not in (0, 1) for start, _, step in strided):
        return None
    return strided[0][0], strided[1][0]


def _replace(
    board: Board, concat: Operator, slices: list[Operator], order: list[int], shape: tuple[Dim, ...]
) -> None:
    """The Concat becomes SpaceToDepth, with a Gather of its channels behind it in another order."""
    source, result = slices[0].inputs[0], concat.outputs[0] or ""
    for item in slices:
        board.drop(item, _BY, concat.id)
    plain = order == [0, 1, 2, 3]
    first = result if plain else board.fresh("space_to_depth_out")
    if not plain:
        halves = [dim // 2 if isinstance(dim, int) else None for dim in shape[2:]]
        channels = shape[1] if isinstance(shape[1], int) else 0
        board.tensors[first] = Tensor(first, board.dtype(source), (shape[0], channels * 4, *halves))
    block = board.update(
        concat, type="SpaceToDepth", inputs=(source,), outputs=(first,), attrs={"blocksize": 2}
    )
    if plain:
        return
    indices = board.fresh("space_to_depth_gather_indices")
    value = values.listed([part * channels + place for part in order for place in range(channels)])
    board.tensors[indices] = Tensor(indices, "int64", value.shape, value)
    made = Operator(
        board.fresh_id(), "Gather", (first, indices), (result,), {"axis": 1}, name=f"{block.name}/gather",
        version=block.version, source=block.source,
    )  # fmt: skip
    board.add(made, block.id)
