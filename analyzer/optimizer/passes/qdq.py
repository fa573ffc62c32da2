"""QuantizeLinear and DequantizeLinear are brought into the form of node units.

Source: onnxruntime/core/optimizer/double_qdq_pairs_remover.cc, qdq_transformer/{qdq_propagation,
weight_bias_quantization,where_dummy_dq}.cc; each was measured on 1.31.1 with models on both sides of its
guards (``tests/test_optimizer_qdq.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...formats.onnx.proto import NUMBERS
from ...ir.dtypes import BITS
from ...ir.graph import Constant, Operator, Tensor
from ...ir.payloads import NOTHING
from .. import values
from ..board import Board

Q, DQ = "QuantizeLinear", "DequantizeLinear"


def remove_double_pairs(board: Board) -> None:
    """Q, DQ, Q, DQ in a row: the two in the middle go, the others have new scales."""
    for inner in board.ops():
        if inner.type != DQ or board.get(inner.id) is not inner:
            continue
        first, second = board.maker(inner.inputs[0]), board.sole(inner, Q)
        if first is None or first.type != Q or second is None or board.sole(first) is None:
            continue
        last = board.sole(second, DQ)
        if last is None or not (_pair(board, first, inner) and _pair(board, second, last)):
            continue
        if board.dtype(inner.inputs[0]) not in board.types("paired-dtypes"):
            continue
        board.update(last, inputs=(inner.inputs[0], *last.inputs[1:]))
        board.drop(second, "DoubleQDQPairsRemover", last.id)
        board.drop(inner, "DoubleQDQPairsRemover", first.id)


def _scalar(board: Board, op: Operator) -> bool:
    """Whether scale and zero point, where there is one, are stored and have one element."""
    stored = [board.constant(name) for name in op.inputs[1:3] if name]
    return bool(stored) and all(item is not None and item.elements == 1 for item in stored)


def _pair(board: Board, quantize: Operator, dequantize: Operator) -> bool:
    """Whether both have a zero point and the same numbers."""
    if len(quantize.inputs) != 3 or len(dequantize.inputs) != 3:
        return False
    if not (_scalar(board, quantize) and _scalar(board, dequantize)):
        return False
    return all(board.number(quantize.inputs[at]) == board.number(dequantize.inputs[at]) for at in (1, 2))


# ---- QDQPropagation --------------------------------------------------------------------------


def propagate(board: Board) -> None:
    """Scales are handed on through operators that do not change values: forward from a DequantizeLinear,
    backward from a QuantizeLinear.
    """
    ops = board.ops()
    if not any(op.type in (Q, DQ) for op in ops):
        return
    for op in ops:
        if op.type == DQ and board.get(op.id) is not None:
            _forward(board, board.get(op.id) or op)
    for op in ops:
        if op.type == Q and board.get(op.id) is not None:
            _backward(board, board.get(op.id) or op)


def _forward(board: Board, dequantize: Operator) -> None:
    after = board.sole(dequantize)
    if after is None or not _scalar(board, dequantize) or after.inputs[0] != dequantize.outputs[0]:
        return
    todo = [after]
    while todo:
        op = todo.pop()
        if not _passes(board, op):
            continue
        result = op.outputs[0] or ""
        readers = [item for item in board.readers(result) if item.type != Q]
        if board.gives_output(op) and board.readers(result):
            continue
        if len(readers) > 1 and not board.has("QDQPropagation:readers"):
            continue
        if readers or board.gives_output(op):
            todo += _insert(board, op, readers, dequantize)


def _backward(board: Board, quantize: Operator) -> None:
    source = _before(board, quantize)
    if source is None or not _scalar(board, quantize):
        return
    while source is not None and _passes(board, source):
        name = source.inputs[0]
        maker = board.maker(name)
        if maker is not None and (board.sole(maker) is None or maker.type == DQ):
            return
        if maker is None and board.constant(name) is None and name not in board.graph.inputs:
            return
        _insert_before(board, source, quantize)
        source = maker


def _before(board: Board, op: Operator) -> Operator | None:
    maker = board.maker(op.inputs[0])
    return maker if maker is not None and board.sole(maker) is not None else None


def _passes(board: Board, op: Operator) -> bool:
    return (
        op.domain == ""
        and op.type in board.types("passes-scales")
        and not (op.type == "MaxPool" and op.version < 12)
    )


def _insert(board: Board, op: Operator, readers: list[Operator], like: Operator) -> list[Operator]:
    """Q behind an operator and a DQ in front of each reader; returns the readers as they are now."""
    result = op.outputs[0] or ""
    old = board.tensors[result]
    raw, quantized = board.fresh(f"{result}_pre_q"), board.fresh(f"{result}_q_to_dq")
    board.tensors[raw] = replace(old, name=raw)
    board.tensors[quantized] = Tensor(quantized, _stored_type(board, like), old.shape)
    op = board.update(op, outputs=(raw, *op.outputs[1:]))
    for reader in board.readers(result):
        if reader.type == Q:
            board.update(reader, inputs=(raw, *reader.inputs[1:]))
    stands_for = board.log.made.get(op.id, op.id)
    _put(board, Q, (raw, *like.inputs[1:]), quantized, stands_for, like)
    if not readers:
        _put(board, DQ, (quantized, *like.inputs[1:]), result, stands_for, like)
        return []
    changed = []
    for reader in readers:
        name = board.fresh(f"{result}_post_dq")
        board.tensors[name] = replace(old, name=name)
        _put(board, DQ, (quantized, *like.inputs[1:]), name, stands_for, like)
        inputs = tuple(name if item == result else item for item in reader.inputs)
        changed.append(board.update(board.get(reader.id) or reader, inputs=inputs))
    board.tensors.pop(result, None)
    return [item for item in changed if item.inputs[0] in board.tensors]


def pair_behind(board: Board, op: Operator, like: Operator, attrs: Mapping[str, Any]) -> None:
    """Q and DQ behind an operator, whose result the DQ writes from now on."""
    result = op.outputs[0] or ""
    old = board.tensors[result]
    raw, quantized = board.fresh(f"{result}_pre_q"), board.fresh(f"{result}_q_to_dq")
    board.tensors[raw] = replace(old, name=raw)
    board.tensors[quantized] = Tensor(quantized, _stored_type(board, like), old.shape)
    board.update(op, outputs=(raw, *op.outputs[1:]))
    own = board.log.made.get(op.id, op.id)
    _put(board, Q, (raw, *like.inputs[1:]), quantized, own, like, attrs)
    _put(board, DQ, (quantized, *like.inputs[1:]), result, own, like, attrs)


def _insert_before(board: Board, op: Operator, like: Operator) -> None:
    """Q and DQ in front of an operator's first operand."""
    name = op.inputs[0] or ""
    old = board.find(name) or Tensor(name)
    quantized, after = board.fresh(f"{name}_q_to_dq"), board.fresh(f"{name}_post_dq")
    board.tensors[quantized] = Tensor(quantized, _stored_type(board, like), old.shape)
    board.tensors[after] = replace(old, name=after, const=None)
    stands_for = board.log.made.get(op.id, op.id)
    _put(board, Q, (name, *like.inputs[1:]), quantized, stands_for, like)
    _put(board, DQ, (quantized, *like.inputs[1:]), after, stands_for, like)
    board.update(op, inputs=(after, *op.inputs[1:]))


def _stored_type(board: Board, like: Operator) -> str:
    return board.dtype(like.inputs[0] if like.type == DQ else like.outputs[0])


def _put(
    board: Board,
    kind: str,
    inputs: tuple[str | None, ...],
    result: str,
    stands_for: str,
    like: Operator,
    attrs: Mapping[str, Any] = NOTHING,
) -> None:
    made = Operator(
        board.fresh_id(), kind, inputs, (result,), dict(attrs), name=f"{result}/{kind}", version=like.version
    )
    board.add(made, stands_for)


# ---- WhereDummyDq ----------------------------------------------------------------------------


def dequantize_scalars(board: Board) -> None:
    """The stored scalar of a quantized Where gets a DequantizeLinear of its own."""
    for op in board.ops() if board.has("WhereDummyDq") else ():
        if op.type != "Where" or op.domain or board.sole(op, Q) is None:
            continue
        makers = [board.maker(name) for name in op.inputs[1:3]]
        quantized = [maker is not None and maker.type == DQ for maker in makers]
        if quantized.count(True) != 1:
            continue
        dq, place = makers[quantized.index(True)], 1 + quantized.index(False)
        value = board.constant(op.inputs[place])
        if dq is None or value is None or value.shape or value.dtype != "float32" or len(dq.inputs) < 3:
            continue
        if any(board.constant(name) is None for name in dq.inputs[1:3]):
            continue
        after = board.sole(op, Q)
        stored = board.dtype(dq.inputs[0])
        if (
            after is None
            or board.dtype(after.outputs[0]) != stored
            or stored not in board.types("dummy-dtypes")
        ):
            continue
        _dummy(board, op, place, value, stored)


def _dummy(board: Board, op: Operator, place: int, value: Constant, stored: str) -> None:
    names = []
    width = BITS[stored] // 8
    for part, dtype, size in (("xq", stored, width), ("scale", "float32", 4), ("zp", stored, width)):
        name = board.fresh(f"{op.name}_dummy_{part}")
        made = Constant(dtype, (), length=size, inline=bytes(size))
        board.tensors[name] = Tensor(name, dtype, (), made)
        names.append(name)
    result = board.fresh(f"{op.name}_dummy_dq")
    board.tensors[result] = Tensor(result, value.dtype, ())
    dq = Operator(board.fresh_id(), DQ, tuple(names), (result,), name=result, version=op.version)
    board.add(dq, board.log.made.get(op.id, op.id))
    inputs = list(op.inputs)
    inputs[place] = result
    board.update(op, inputs=tuple(inputs))


# ---- WeightBiasQuantization ------------------------------------------------------------------


def quantize_weights(board: Board) -> None:
    """Stored weights and bias of a Conv or Gemm whose input and result are quantized are quantized too."""
    types = board.types("quantized-weights")
    for op in board.ops() if types else ():
        if op.type in types and not op.domain and _leads_to_q(board, op):
            _quantize(board, op)


def _leads_to_q(board: Board, op: Operator) -> bool:
    """At once, or behind what limits values."""
    if board.has("WeightBiasQuantization:anywhere"):
        return True
    through = board.types("quantized-through")
    current: Operator | None = op
    while current is not None and len(current.outputs) == 1:
        after = board.readers(current.outputs[0])
        if len(after) != 1:
            return False
        if after[0].type == Q:
            return True
        current = after[0] if after[0].type in through else None
    return False


def _quantize(board: Board, op: Operator) -> None:
    data, weight = board.maker(op.inputs[0]), board.maker(op.inputs[1])
    scale = None if data is None or data.type != DQ else board.sizes(data.inputs[1])
    if scale is None or scale not in ((), (1,)) or data is None:
        return
    stored = weight is not None and weight.type == DQ
    weights = board.constant(op.inputs[1])
    if not stored and (weights is None or weights.dtype != "float32"):
        return
    bias = board.constant(op.input(2)) if op.input(2) else None
    if op.input(2) and (bias is None or len(bias.shape) != 1):
        return
    if stored and bias is None:
        return
    per_tensor = True
    if stored and weight is not None and board.sizes(weight.inputs[1]) not in ((), (1,)):
        per_tensor = False
        if not _along_results(board, op, weight, bias):
            return
    own = board.log.made.get(op.id, op.id)
    if weights is not None and not stored:
        name = _quantized_constant(board, op, "weight", "int8", weights, own)
        op = board.update(op, inputs=(op.inputs[0], name, *op.inputs[2:]))
    if bias is not None:
        name = _quantized_constant(board, op, "bias", "int32", bias, own, axis=None if per_tensor else 0)
        board.update(op, inputs=(*op.inputs[:2], name))


def _along_results(board: Board, op: Operator, weight: Operator, bias: Constant | None) -> bool:
    scale = board.sizes(weight.inputs[1])
    if scale is None or bias is None or scale != bias.shape or weight.attrs.get("block_size"):
        return False
    axis = weight.attrs.get("axis", 1)
    rank = len(board.shape(weight.inputs[0]) or ()) or 1
    wanted = (0 if op.attrs.get("transB") else 1) if op.type == "Gemm" else 0
    return bool(axis % rank == wanted)


def _quantized_constant(
    board: Board, op: Operator, what: str, dtype: str, value: Constant, own: str, axis: int | None = None
) -> str:
    """What is stored in integers from now on, by the operator that computes it anew; its numbers do not
    matter to anybody here.
    """
    integers, result = board.fresh(f"{op.name}_{what}_q"), board.fresh(f"{op.name}_{what}_dq")
    scale = board.fresh(f"{op.name}_{what}_scale")
    cast = Operator("", "Cast", ("x",), ("y",), {"to": NUMBERS[dtype]}, version=13)
    made = values.later(cast, [value], 0, Constant(dtype, value.shape))
    count = value.shape if axis is not None else ()
    size = 4 * (count[0] if count else 1)
    board.tensors[integers] = Tensor(integers, dtype, value.shape, made)
    one = Constant("float32", count, length=size, inline=b"\0\0\x80?" * (size // 4))
    board.tensors[scale] = Tensor(scale, "float32", count, one)
    board.tensors[result] = Tensor(result, "float32", value.shape)
    attrs = {} if axis is None else {"axis": axis}
    dq = Operator(board.fresh_id(), DQ, (integers, scale), (result,), attrs, name=result, version=op.version)
    board.add(dq, own)
    return result
