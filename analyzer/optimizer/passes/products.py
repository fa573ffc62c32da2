"""MatMul and Add become Gemm.

Source: onnxruntime/core/optimizer/matmul_add_fusion.cc. Of products of more than two dimensions, which later
releases fuse with a Reshape on either side, the guards were measured on 1.31.1: every size of the first
operand is known and the bias is a list.
"""

from __future__ import annotations

from math import prod

from ...ir.graph import Dim, Operator, Shape, Tensor
from .. import values
from ..board import Board

_BY = "MatMulAddFusion"


def fuse_products(board: Board) -> None:
    """One walk over a graph."""
    for op in board.ops():
        if op.type == "MatMul" and op.domain == "" and board.get(op.id) is op:
            _fuse(board, op)


def _fuse(board: Board, product: Operator) -> None:
    add = board.sole(product, "Add")
    if add is None or board.dtype(product.inputs[0]) not in board.types("gemm-dtypes"):
        return
    bias = add.inputs[1] if add.inputs[0] == product.outputs[0] else add.inputs[0]
    left, right = board.shape(product.inputs[0]), board.shape(product.inputs[1])
    if left is None or right is None or len(right) != 2 or len(left) < 2 or not bias:
        return
    known = board.shape(bias)
    if known is None or board.dtype(bias) not in ("unknown", board.dtype(product.inputs[0])):
        return
    if len(left) == 2:
        if _fits(known, left[0], right[1]):
            _as_gemm(board, product, add, bias)
    elif (
        board.has("MatMulAddFusion:rank")
        and len(known) == 1
        and known[0] == right[1]
        and board.sizes(product.inputs[0]) is not None
    ):
        _between_reshapes(board, product, add, bias)


def _fits(bias: Shape, rows: Dim, columns: Dim) -> bool:
    """Whether a Gemm broadcasts the bias: (N), (1, N), (M, 1) or (M, N)."""
    if bias is None or columns is None:
        return False
    if len(bias) == 1:
        return bias[0] == columns
    if len(bias) != 2:
        return False
    if bias[0] == 1 and bias[1] == columns:
        return True
    return rows is not None and bias[0] == rows and bias[1] in (1, columns)


def _as_gemm(board: Board, product: Operator, add: Operator, bias: str) -> Operator:
    old = product.outputs[0]
    board.remove(add, _BY, product.id)
    gemm = board.update(
        product, type="Gemm", inputs=(*product.inputs[:2], bias), outputs=add.outputs, attrs={}
    )
    if old and not board.readers(old):
        board.tensors.pop(old, None)
    return gemm


def _between_reshapes(board: Board, product: Operator, add: Operator, bias: str) -> None:
    sizes = board.sizes(product.inputs[0])
    right = board.shape(product.inputs[1])
    assert sizes is not None and right is not None
    rows, columns = prod(sizes[:-1]), right[1]
    dtype, result = board.dtype(product.inputs[0]), add.outputs[0]
    assert result is not None
    gemm = _as_gemm(board, product, add, bias)
    source = gemm.inputs[0]
    flat, out = board.fresh(f"{source}_gemm_input"), board.fresh(f"{result}_gemm_output")
    shapes = {flat: (rows, sizes[-1]), result: (*sizes[:-1], columns)}
    board.tensors[out] = Tensor(out, dtype, (rows, columns))
    gemm = board.update(gemm, inputs=(flat, *gemm.inputs[1:]), outputs=(out,))
    _reshape(board, gemm, source or "", flat, shapes[flat], dtype)
    _reshape(board, gemm, out, result, shapes[result], dtype)


def _reshape(
    board: Board,
    gemm: Operator,
    source: str,
    result: str,
    shape: tuple[Dim, ...],
    dtype: str,
) -> None:
    sizes = board.fresh(f"{result}_sizes")
    value = values.listed([dim if isinstance(dim, int) else -1 for dim in shape])
    board.tensors[sizes] = Tensor(sizes, "int64", value.shape, value)
    board.tensors.setdefault(result, Tensor(result, dtype, shape))
    made = Operator(
        board.fresh_id(), "Reshape", (source, sizes), (result,), name=f"{gemm.name}/reshape",
        version=gemm.version, source=gemm.source,
    )  # fmt: skip
    board.add(made, gemm.id)
