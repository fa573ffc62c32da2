"""LSTM, GRU and RNN."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import NotCoveredError
from ..call import Call

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ACTIVATIONS = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "linear": "Affine",
    "sigmoid_hard": "HardSigmoid",
    "hard_sigmoid": "HardSigmoid",
}


def _activation(call: Call, key: str, default: str) -> str:
    found = call.attr(key, default)
    if found not in _ACTIVATIONS:
        raise NotCoveredError(f"{call.type} with the activation {found!r}")
    return _ACTIVATIONS[found]


def _gates(values: NDArray[Any], order: Sequence[int]) -> NDArray[Any]:
    """Gates in ONNX's order, in float32."""
    parts = np.split(values.astype(np.float32), len(order), axis=0)
    return np.concatenate([parts[index] for index in order], axis=0)


def _weights(call: Call, keys: Sequence[str], order: Sequence[int], stem: str) -> str:
    return call.emit.constant(np.stack([_gates(call.fixed(key), order) for key in keys]), stem)


def _bias(call: Call, keys: Sequence[str], order: Sequence[int], second: Sequence[str] = ()) -> str | None:
    """Input and recurrent bias of each direction; MIL has one, their sum, except where ``second`` is
    given.
    """
    if not any(call.has(key) for key in (*keys, *second)):
        return None
    rows = []
    for index, key in enumerate(keys):
        size = len(order) * call.shape("weight_hh")[1]
        own = _gates(call.fixed(key), order) if call.has(key) else np.zeros(size, np.float32)
        other = second[index] if index < len(second) else ""
        more = _gates(call.fixed(other), order) if other and call.has(other) else np.zeros(size, np.float32)
        rows.append(np.concatenate([more, own] if other else [own, more]))
    return call.emit.constant(np.stack(rows), "bias")


def _state(call: Call, key: str, directions: int) -> str:
    """(batch, directions * hidden) -> (directions, batch, hidden)."""
    name = call.wide(key)
    if directions == 1:
        return call.emit.unsqueeze(name, [0])
    split = call.emit.reshape(name, [0, directions, -1])
    return call.emit.op("Transpose", split, perm=[1, 0, 2])


def _direction(call: Call) -> tuple[str, int]:
    found = str(call.attr("direction", "forward"))
    return found, 2 if found == "bidirectional" else 1


def _give(call: Call, sequence: str, states: Sequence[str], directions: int, dtype: str) -> None:
    """(s, d, b, h) -> (s, b, d * h), or the last states as (1, b, d * h), and each last state as (b, d *
    h).
    """
    emit = call.emit

    def flat(name: str) -> str:
        turned = emit.op("Transpose", name, perm=[1, 0, 2])
        return emit.reshape(turned, [0, -1])

    ends = [flat(name) for name in states]
    if call.attr("output_sequence", False):
        turned = emit.op("Transpose", sequence, perm=[0, 2, 1, 3])
        first = emit.reshape(turned, [0, 0, -1])
    else:
        first = emit.unsqueeze(ends[0], [0])
    for index, name in enumerate((first, *ends)):
        if index >= len(call.op.outputs):
            break
        if dtype == "float16":
            emit.cast(name, dtype, to=call.out(index))
        else:
            call.give(name, index)


def _lstm(call: Call) -> None:
    """MIL's gates are input, forget, output, cell; ONNX's input, output, forget, cell."""
    if call.has("peephole") or call.has("peephole_back"):
        raise NotCoveredError("lstm with peepholes")
    direction, directions = _direction(call)
    back = ["_back"] if directions == 2 else []
    order = (0, 2, 1, 3)
    gate = _activation(call, "recurrent_activation", "sigmoid")
    cell = _activation(call, "cell_activation", "tanh")
    last = _activation(call, "activation", "tanh")
    clip = call.attr("clip")
    names = [call.emit.fresh(stem) for stem in ("lstm", "lstm_h", "lstm_c")]
    call.emit.ops(
        "LSTM",
        (
            call.wide(),
            _weights(call, ["weight_ih", *(f"weight_ih{end}" for end in back)], order, "w"),
            _weights(call, ["weight_hh", *(f"weight_hh{end}" for end in back)], order, "r"),
            _bias(call, ["bias", *(f"bias{end}" for end in back)], order),
            None,
            _state(call, "initial_h", directions),
            _state(call, "initial_c", directions),
        ),
        names,
        hidden_size=call.shape("weight_hh")[1],
        direction=direction,
        activations=[gate, cell, last] * directions,
        clip=None if clip is None or float(clip) > 1e30 else float(clip),
    )
    _give(call, names[0], names[1:], directions, call.dtype())


def _gru(call: Call) -> None:
    """MIL's gates are reset, output, update; ONNX's update, reset, output."""
    direction, _ = _direction(call)
    order = (2, 0, 1)
    gate = _activation(call, "recurrent_activation", "sigmoid")
    last = _activation(call, "activation", "tanh")
    names = [call.emit.fresh(stem) for stem in ("gru", "gru_h")]
    own = ["input_bias"] if call.has("input_bias") else []
    after = bool(call.attr("reset_after", True)) if own else False
    if not own and call.attr("reset_after", False):
        after = True
    call.emit.ops(
        "GRU",
        (
            call.wide(),
            _weights(call, ["weight_ih"], order, "w"),
            _weights(call, ["weight_hh"], order, "r"),
            _bias(call, ["bias"], order, own),
            None,
            _state(call, "initial_h", 1),
        ),
        names,
        hidden_size=call.shape("weight_hh")[1],
        direction=direction,
        activations=[gate, last],
        linear_before_reset=int(after or not own),
    )
    _give(call, names[0], names[1:], 1, call.dtype())


def _rnn(call: Call) -> None:
    direction, _ = _direction(call)
    names = [call.emit.fresh(stem) for stem in ("rnn", "rnn_h")]
    call.emit.ops(
        "RNN",
        (
            call.wide(),
            _weights(call, ["weight_ih"], (0,), "w"),
            _weights(call, ["weight_hh"], (0,), "r"),
            _bias(call, ["bias"], (0,)),
            None,
            _state(call, "initial_h", 1),
        ),
        names,
        hidden_size=call.shape("weight_hh")[1],
        direction=direction,
        activations=[_activation(call, "activation", "tanh")],
    )
    _give(call, names[0], names[1:], 1, call.dtype())


LOWERINGS: Mapping[str, Callable[[Call], None]] = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}
