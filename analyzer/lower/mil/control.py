"""Branches, loops, lists and states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ...errors import NotCoveredError
from ..call import Call
from ..emit import onnx_type

if TYPE_CHECKING:
    from ...ir.graph import Graph


def _cond(call: Call) -> None:
    pred = call.emit.reshape(call["pred"], [])
    branches = {}
    for key, branch in (("true", "then_branch"), ("false", "else_branch")):
        body = call.op.graphs[key]
        branches[branch] = call.writer.body(body, call.names, partial(_outputs, call, body))
    outputs = [call.out(index) for index in range(len(call.op.outputs))]
    call.emit.ops("If", (pred,), outputs, **branches)


def _outputs(call: Call, body: Graph, scope: Mapping[str, str]) -> list[str]:
    """The outputs of a body; each is written in it, and once."""
    return [call.emit.op("Identity", call.writer.name_of(body, name, scope)) for name in body.outputs]


def _while(call: Call) -> None:
    """The condition is written before the loop for the first round, and at the end of the body for the
    next.
    """
    from onnx import helper

    emit = call.emit
    condition, body = call.op.graphs["condition"], call.op.graphs["body"]
    start = call.all("loop_vars")
    first = _condition(call, condition, start, call.names)
    variables = [emit.fresh(f"{name}_in") for name in body.inputs]
    counted, going = emit.fresh("round"), emit.fresh("going")
    inputs = [
        helper.make_tensor_value_info(counted, onnx_type("int64"), []),
        helper.make_tensor_value_info(going, onnx_type("bool"), []),
        *(
            helper.make_tensor_value_info(
                name, onnx_type(_kind(body.tensor(own).dtype, body.tensor(own).attrs)), None
            )
            for name, own in zip(variables, body.inputs, strict=True)
        ),
    ]

    def write(scope: Mapping[str, str]) -> list[str]:
        results = _outputs(call, body, scope)
        return [emit.op("Identity", _condition(call, condition, results, call.names)), *results]

    names = {**call.names, **dict(zip(body.inputs, variables, strict=True))}
    loop = call.writer.body(body, names, write, inputs)
    outputs = [call.out(index) for index in range(len(call.op.outputs))]
    emit.ops("Loop", (None, first, *start), outputs, body=loop)


def _kind(dtype: str, attrs: Mapping[str, object]) -> str:
    return str(attrs.get("element", dtype)) if dtype == "unknown" else dtype


def _condition(call: Call, condition: Graph, values: list[str], names: Mapping[str, str]) -> str:
    """The condition's graph written in place, on these values."""
    scope = call.writer.block(condition, {**names, **dict(zip(condition.inputs, values, strict=True))})
    return call.emit.reshape(call.writer.name_of(condition, condition.outputs[0], scope), [])


# ---- lists: a tensor with one more axis in front ------------------------------------------------


def _make_list(call: Call) -> None:
    length = int(np.reshape(call.fixed("init_length"), -1)[0])
    tensor = call.result()
    shape = tensor.attrs.get("element_shape")
    if shape is None or not all(isinstance(dim, int) for dim in shape):
        raise NotCoveredError("a list of elements of unknown size")
    dtype = str(tensor.attrs.get("element", "float32"))
    zeros = np.zeros((length, *shape), np.dtype(dtype))
    call.give(call.emit.constant(zeros, "list"))


def _at(call: Call, key: str = "index") -> str:
    return call.emit.reshape(call.indices(key), [-1])


def _list_write(call: Call) -> None:
    """A place behind the end makes the list longer."""
    emit, index = call.emit, _at(call)
    ls = call["ls"]
    count = emit.op("Shape", ls, end=1)
    more = emit.op("Max", emit.op("Sub", emit.op("Add", index, emit.ints([1])), count), emit.ints([0]))
    rest = emit.op("Shape", ls, start=1)
    zeros = emit.op("Expand", emit.scalar(0, _element(call)), emit.op("Concat", more, rest, axis=0))
    longer = emit.op("Concat", ls, zeros, axis=0)
    value = emit.unsqueeze(call["value"], [0])
    call.done("ScatterND", longer, emit.unsqueeze(index, [-1]), value)


def _element(call: Call) -> str:
    tensor = call.tensor("ls")
    return str(tensor.attrs.get("element", tensor.dtype))


def _list_read(call: Call) -> None:
    found = call.emit.op("Gather", call["ls"], _at(call), axis=0)
    call.emit.squeeze(found, [0], to=call.out())


def _list_gather(call: Call) -> None:
    call.done("Gather", call["ls"], call.indices("indices"), axis=0)


def _list_scatter(call: Call) -> None:
    indices = call.emit.unsqueeze(call.indices("indices"), [-1])
    call.done("ScatterND", call["ls"], indices, call["value"])


def _list_length(call: Call) -> None:
    count = call.emit.slice(call.emit.op("Shape", call["ls"]), [0], [1], [0])
    call.emit.cast(call.emit.squeeze(count, [0]), call.result().dtype, to=call.out())


# ---- states --------------------------------------------------------------------------------------


def _owner(call: Call, key: str) -> str:
    if call.graph.outer is not None:
        raise NotCoveredError("a state in a body")
    return next(
        name
        for name, given in zip(call.op.inputs, call.op.attrs["input_names"], strict=True)
        if given == key and name
    )


def _read_state(call: Call) -> None:
    call.give(call.writer.states[_owner(call, "input")])


def _update_state(call: Call) -> None:
    value = call["value"]
    call.give(value)
    call.writer.states[_owner(call, "state")] = value


def _write_state(call: Call) -> None:
    call.writer.states[_owner(call, "input")] = call["data"]


LOWERINGS: Mapping[str, Callable[[Call], None]] = {
    "cond": _cond,
    "while_loop": _while,
    "make_list": _make_list,
    "list_write": _list_write,
    "list_read": _list_read,
    "list_gather": _list_gather,
    "list_scatter": _list_scatter,
    "list_length": _list_length,
    "read_state": _read_state,
    "coreml_update_state": _update_state,
    "write_state": _write_state,
}
