"""Reductions, arg-reductions, sorting and running sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..call import Call
from ..emit import LAST

_PLAIN = {
    "reduce_max": "ReduceMax", "reduce_min": "ReduceMin", "reduce_mean": "ReduceMean",
    "reduce_prod": "ReduceProd", "reduce_sum": "ReduceSum", "reduce_l1_norm": "ReduceL1",
    "reduce_l2_norm": "ReduceL2", "reduce_log_sum": "ReduceLogSum",
    "reduce_log_sum_exp": "ReduceLogSumExp", "reduce_sum_square": "ReduceSumSquare",
}  # fmt: skip


def _reduce(call: Call) -> None:
    axes = call.attr("axes")
    given = None if axes is None else call.emit.ints(call.numbers("axes"))
    keep = int(bool(call.attr("keep_dims", False)))
    call.narrow(call.emit.op(_PLAIN[call.type], call.wide(), given, keepdims=keep), call.dtype())


def _arg(call: Call) -> None:
    kind = "ArgMax" if call.type == "reduce_argmax" else "ArgMin"
    keep = int(bool(call.attr("keep_dims", True)))
    made = call.emit.op(kind, call.wide(), axis=int(call.attr("axis", -1)), keepdims=keep)
    call.emit.cast(made, call.result().dtype, to=call.out())


def _topk(call: Call) -> None:
    """The largest, or with ``ascending`` the smallest."""
    emit, axis = call.emit, int(call.attr("axis", -1))
    count = call.value("k")
    k = emit.ints([int(count.reshape(-1)[0])]) if count is not None else emit.reshape(call.indices("k"), [1])
    if call.value("k") is not None and int(call.whole("k")[0]) == -1:
        size = emit.op("Gather", emit.op("Shape", call["x"]), emit.ints([axis]), axis=0)
        k = emit.reshape(size, [1])
    largest = 0 if call.attr("ascending", False) else 1
    values, places = emit.fresh("topk"), emit.fresh("topk_indices")
    sort = int(bool(call.attr("sort", True)))
    emit.ops("TopK", (call.wide(), k), (values, places), axis=axis, largest=largest, sorted=sort)
    call.narrow(values, call.dtype())
    if len(call.op.outputs) > 1:
        emit.cast(places, call.result(1).dtype, to=call.out(1))


def _argsort(call: Call) -> None:
    """Descending unless ``ascending``; the whole axis sorted."""
    emit, axis = call.emit, int(call.attr("axis", -1))
    size = emit.reshape(emit.op("Gather", emit.op("Shape", call["x"]), emit.ints([axis]), axis=0), [1])
    values, places = emit.fresh("sorted"), emit.fresh("order")
    largest = 0 if call.attr("ascending", False) else 1
    emit.ops("TopK", (call.wide(), size), (values, places), axis=axis, largest=largest)
    emit.cast(places, call.result().dtype, to=call.out())


def _cumsum(call: Call) -> None:
    made = call.emit.op(
        "CumSum", call.wide(), call.emit.scalar(int(call.attr("axis", 0)), "int64"),
        exclusive=int(bool(call.attr("exclusive", False))), reverse=int(bool(call.attr("reverse", False))),
    )  # fmt: skip
    call.narrow(made, call.dtype())


def _reverse(call: Call) -> None:
    rank = call.rank()
    axes = [axis % rank for axis in call.numbers("axes", list(range(rank)))]
    count = len(axes)
    call.give(call.emit.slice(call["x"], [-1] * count, [-LAST] * count, axes, [-1] * count))


def _reverse_sequence(call: Call) -> None:
    emit, rank = call.emit, call.rank()
    batch, time = int(call.attr("batch_axis", 0)) % rank, int(call.attr("seq_axis", 0)) % rank
    # ONNX has the two axes first
    order = [time, batch, *(axis for axis in range(rank) if axis not in (time, batch))]
    turned = emit.op("Transpose", call["x"], perm=order)
    made = emit.op("ReverseSequence", turned, call.indices("lengths"), time_axis=0, batch_axis=1)
    call.done("Transpose", made, perm=[order.index(axis) for axis in range(rank)])


LOWERINGS: Mapping[str, Callable[[Call], None]] = {
    **dict.fromkeys(_PLAIN, _reduce),
    "reduce_argmax": _arg,
    "reduce_argmin": _arg,
    "topk": _topk,
    "argsort": _argsort,
    "cumsum": _cumsum,
    "reverse": _reverse,
    "reverse_sequence": _reverse_sequence,
}
