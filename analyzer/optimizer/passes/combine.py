"""Two neighbours that are computed as one operator.

Source: onnxruntime/core/optimizer/{conv_add,conv_mul,conv_bn,matmul_bn,pad,relu_clip,div_mul,not_where,
gemm_sum,gemm_transpose}_fusion.cc; each guard was measured on 1.31.1 (``tests/test_optimizer.py``). Weights
keep their names: only their values change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ...ir.dtypes import BITS
from ...ir.graph import Constant, Operator, Tensor
from ..board import Board


def combine(board: Board) -> None:
    """One walk over a graph."""
    for op in board.ops():
        for fuse in _FUSIONS.get(op.type, ()) if op.domain == "" else ():
            if board.get(op.id) is not op:
                break
            fuse(board, op)


def _take_over(board: Board, op: Operator, gone: Operator, by: str, **changes: object) -> Operator:
    """An operator writes what its reader wrote, which is gone."""
    old, new = op.outputs[0], gone.outputs[0]
    assert old and new
    board.remove(gone, by, op.id)
    op = board.update(op, outputs=(new, *op.outputs[1:]), **changes)
    if old not in board.outputs and not board.readers(old):
        board.tensors.pop(old, None)
    return op


def _bias_constant(board: Board, name: str, count: int) -> str:
    """A stored bias of ``count`` elements that has the bytes of another constant."""
    value = board.constant(name)
    assert value is not None
    if value.shape == (count,):
        return name
    made = board.fresh(f"{name}_bias")
    stored = replace(value, shape=(count,))
    board.tensors[made] = Tensor(made, stored.dtype, stored.shape, stored)
    return made


# ---- Conv ------------------------------------------------------------------------------------


def _conv_weights(board: Board, op: Operator) -> Constant | None:
    """The weights, where they and the bias are stored."""
    weights = board.constant(op.input(1))
    if weights is None or (op.input(2) and board.constant(op.input(2)) is None):
        return None
    return weights


def _per_channel(value: Constant, weights: Constant) -> bool:
    """Whether a stored operand has one element for each output channel, along the channels."""
    axis = {len(weights.shape): 1, len(weights.shape) - 1: 0}.get(len(value.shape))
    if axis is None or value.shape[axis] != weights.shape[0]:
        return False
    return all(size == 1 for place, size in enumerate(value.shape) if place != axis)


def _conv_add(board: Board, conv: Operator) -> None:
    add, weights = board.sole(conv, "Add"), _conv_weights(board, conv)
    if add is None or weights is None or add.inputs[0] != conv.outputs[0]:
        return
    value = board.constant(add.inputs[1])
    if value is None or value.dtype != weights.dtype or value.dtype not in board.types("combined-dtypes"):
        return
    if not _per_channel(value, weights):
        return
    bias = conv.input(2) or _bias_constant(board, add.inputs[1] or "", weights.shape[0])
    _take_over(board, conv, add, "ConvAddFusion", inputs=(*conv.inputs[:2], bias))


def _conv_mul(board: Board, conv: Operator) -> None:
    mul, weights = board.sole(conv, "Mul"), _conv_weights(board, conv)
    if mul is None or weights is None or mul.inputs[0] != conv.outputs[0]:
        return
    value = board.constant(mul.inputs[1])
    if value is None or value.dtype != weights.dtype or value.dtype not in board.types("combined-dtypes"):
        return
    if value.shape and not _per_channel(value, weights):
        return
    _take_over(board, conv, mul, "ConvMulFusion")


def _conv_bn(board: Board, conv: Operator) -> None:
    norm, weights = board.sole(conv, "BatchNormalization"), _conv_weights(board, conv)
    if norm is None or weights is None or not _at_inference(norm) or norm.inputs[0] != conv.outputs[0]:
        return
    stored = [board.constant(name) for name in norm.inputs[1:5]]
    if len(stored) != 4 or any(value is None or value.dtype != weights.dtype for value in stored):
        return
    bias = conv.input(2) or norm.inputs[2]
    _take_over(board, conv, norm, "ConvBNFusion", inputs=(*conv.inputs[:2], bias))


def _at_inference(norm: Operator) -> bool:
    return not norm.attrs.get("training_mode") and not any(norm.outputs[1:])


# ---- MatMul and Gemm -------------------------------------------------------------------------


def _matmul_bn(board: Board, product: Operator) -> None:
    """Of matrices, whose BatchNormalization works on the last axis: Gemm."""
    norm, weights = board.sole(product, "BatchNormalization"), board.constant(product.input(1))
    shape = board.shape(product.outputs[0])
    if norm is None or weights is None or shape is None or len(shape) != 2 or not _at_inference(norm):
        return
    if len(weights.shape) != 2 or any(board.constant(name) is None for name in norm.inputs[1:5]):
        return
    inputs = (*product.inputs[:2], norm.inputs[2])
    _take_over(board, product, norm, "MatmulBNFusion", type="Gemm", inputs=inputs, attrs={})


def _gemm_sum(board: Board, gemm: Operator) -> None:
    """The other operand of a Sum becomes the bias of a Gemm that has none."""
    total = board.sole(gemm, "Sum")
    if total is None or gemm.input(2) or len(total.inputs) != 2 or gemm.attrs.get("beta", 1.0) != 1.0:
        return
    other = next((name for name in total.inputs if name != gemm.outputs[0]), None)
    shape, result = board.shape(other), board.shape(gemm.outputs[0])
    if other is None or shape is None or result is None or board.dtype(other) != board.dtype(gemm.inputs[0]):
        return
    if len(shape) > 2 or any(
        size not in (1, full) for size, full in zip(reversed(shape), reversed(result), strict=False)
    ):
        return
    _take_over(board, gemm, total, "GemmSumFusion", inputs=(*gemm.inputs[:2], other))


def _gemm_transpose(board: Board, gemm: Operator) -> None:
    """A transposed operand or result becomes transA, transB or swapped operands."""
    for place, flag in ((0, "transA"), (1, "transB")):
        turned = board.maker(gemm.inputs[place])
        if turned is None or turned.type != "Transpose" or turned.attrs.get("perm", (1, 0)) != (1, 0):
            continue
        if board.gives_output(turned) or any(
            item.type != "Gemm" for item in board.readers(turned.outputs[0])
        ):
            continue
        flipped = {**gemm.attrs, flag: 1 - int(gemm.attrs.get(flag, 0))}
        inputs = tuple(turned.inputs[0] if at == place else name for at, name in enumerate(gemm.inputs))
        gemm = board.update(gemm, inputs=inputs, attrs=flipped)
        if not board.edges(turned):
            board.drop(turned, "GemmTransposeFusion", gemm.id)
    after = board.sole(gemm, "Transpose")
    if after is not None and after.attrs.get("perm", (1, 0)) == (1, 0) and not gemm.input(2):
        flipped = {
            **gemm.attrs,
            "transA": 1 - int(gemm.attrs.get("transB", 0)),
            "transB": 1 - int(gemm.attrs.get("transA", 0)),
        }
        inputs = (gemm.inputs[1], gemm.inputs[0])
        _take_over(board, gemm, after, "GemmTransposeFusion", inputs=inputs, attrs=flipped)


# ---- others ----------------------------------------------------------------------------------


def _pad(board: Board, pad: Operator) -> None:
    """Zeros around the spatial axes become ``pads`` of a Conv or of a pooling."""
    child = board.sole(pad)
    if (
        child is None
        or child.type not in board.types("takes-pads")
        or len(pad.inputs) > 3
        or pad.attrs.get("mode", "constant") != "constant"
    ):
        return
    pads = board.numbers(pad.inputs[1]) if pad.version >= 11 else list(pad.attrs.get("pads", ()))
    value = board.number(pad.input(2)) if pad.input(2) else pad.attrs.get("value", 0)
    if pads is None or value is None or value != 0 or any(size < 0 for size in pads):
        return
    rank = len(pads) // 2
    if rank < 3 or any(pads[place] for place in (0, 1, rank, rank + 1)) or len(child.outputs) > 1:
        return
    if child.attrs.get("auto_pad", "NOTSET") != "NOTSET" or child.inputs[0] != pad.outputs[0]:
        return
    own = list(child.attrs.get("pads", (0,) * (2 * rank - 4)))
    extra = [*pads[2:rank], *pads[rank + 2 :]]
    attrs = {**child.attrs, "pads": tuple(a + int(b) for a, b in zip(own, extra, strict=True))}
    if child.type == "AveragePool":
        attrs["count_include_pad"] = 1
    board.drop(pad, "PadFusion", child.id)
    board.update(child, inputs=(pad.inputs[0], *child.inputs[1:]), attrs=attrs)


def _relu_clip(board: Board, relu: Operator) -> None:
    """The lower bound of the Clip becomes 0 where it was less."""
    clip = board.sole(relu, "Clip")
    if clip is None or clip.inputs[0] != relu.outputs[0]:
        return
    if clip.version < 11:
        low = clip.attrs.get("min")
        board.update(clip, inputs=relu.inputs, attrs={**clip.attrs, "min": max(0.0, low or 0.0)})
        board.drop(relu, "FuseReluClip", clip.id)
        return
    stored = board.constant(clip.input(1)) if clip.input(1) else None
    if clip.input(1) and (stored is None or stored.dtype not in board.types("clip-dtypes")):
        return
    low = board.number(clip.input(1)) if clip.input(1) else None
    lower = clip.input(1) if low is not None and low >= 0 else _zero(board, board.dtype(relu.inputs[0]))
    board.update(clip, inputs=(relu.inputs[0], lower, *clip.inputs[2:]))
    board.drop(relu, "FuseReluClip", clip.id)


def _zero(board: Board, dtype: str) -> str:
    name = board.fresh("FuseReluClip_min_zero")
    width = BITS[dtype] // 8
    board.tensors[name] = Tensor(name, dtype, (), Constant(dtype, (), length=width, inline=bytes(width)))
    return name


def _div_mul(board: Board, div: Operator) -> None:
    """1 / x * y becomes y / x."""
    mul = board.sole(div, "Mul")
    if mul is None or board.number(div.inputs[0]) != 1 or len(mul.inputs) != 2:
        return
    other = next((name for name in mul.inputs if name != div.outputs[0]), None)
    if other is None:
        return
    _take_over(board, div, mul, "DivMulFusion", inputs=(other, div.inputs[1]))


def _not_where(board: Board, no: Operator) -> None:
    """Where(Not(c), a, b) becomes Where(c, b, a)."""
    readers = board.readers(no.outputs[0])
    if not readers or board.gives_output(no) or not board.has("NotWhereFusion"):
        return
    if any(item.type != "Where" or item.inputs[0] != no.outputs[0] or item.graphs for item in readers):
        return
    for item in readers:
        board.update(item, inputs=(no.inputs[0], item.inputs[2], item.inputs[1]))
    board.drop(no, "NotWhereFusion", readers[0].id)


_FUSIONS: Mapping[str, tuple[Callable[[Board, Operator], None], ...]] = {
    "Conv": (_conv_add, _conv_mul, _conv_bn),
    "ConvTranspose": (_conv_bn,),
    "MatMul": (_matmul_bn,),
    "Gemm": (_gemm_sum, _gemm_transpose),
    "Pad": (_pad,),
    "Relu": (_relu_clip,),
    "Div": (_div_mul,),
    "Not": (_not_where,),
}
