"""Activations and softmax."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import pi, sqrt

import numpy as np

from ..call import Call


def _relu(call: Call) -> None:
    call.done("Relu", call["x"])


def _bounded(low: float | None, high: float) -> Callable[[Call], None]:
    def write(call: Call) -> None:
        x = call["x"] if low is None else call.emit.op("Max", call["x"], call.number(low))
        call.done("Min", x, call.number(high))

    return write


def _sigmoid(call: Call) -> None:
    call.done("Sigmoid", call["x"])


def _softsign(call: Call) -> None:
    call.done("Softsign", call["x"])


def _softplus(call: Call) -> None:
    call.narrow(call.emit.op("Softplus", call.wide()), call.dtype())


def _elu(call: Call) -> None:
    call.done("Elu", call["x"], alpha=float(call.attr("alpha", 1.0)))


def _leaky(call: Call) -> None:
    call.done("LeakyRelu", call["x"], alpha=float(call.attr("alpha", 0.01)))


def _gelu(call: Call) -> None:
    emit, x = call.emit, call.wide()

    def scaled(value: float, name: str) -> str:
        return emit.op("Mul", name, emit.scalar(value, "float32"))

    mode = call.attr("mode", "EXACT")
    if mode == "SIGMOID_APPROXIMATION":
        return call.narrow(emit.op("Mul", x, emit.op("Sigmoid", scaled(1.702, x))), call.dtype())
    if mode == "TANH_APPROXIMATION":
        cube = emit.op("Mul", emit.op("Mul", x, x), x)
        inner = emit.op("Tanh", scaled(sqrt(2 / pi), emit.op("Add", x, scaled(0.044715, cube))))
    else:
        inner = emit.op("Erf", scaled(1 / sqrt(2), x))
    half = scaled(0.5, emit.op("Add", inner, emit.scalar(1.0, "float32")))
    return call.narrow(emit.op("Mul", x, half), call.dtype())


def _linear(call: Call) -> None:
    scaled = call.emit.op("Mul", call["x"], call.number(float(call.attr("alpha", 1.0))))
    call.done("Add", scaled, call.number(float(call.attr("beta", 0.0))))


def _per_channel(call: Call, key: str) -> str:
    """A vector over the channels (axis 1), so that it broadcasts."""
    rank = call.rank()
    shape = [-1, *[1] * (rank - 2)]
    return call.emit.constant(call.fixed(key).astype(np.dtype(call.dtype())).reshape(shape), key)


def _prelu(call: Call) -> None:
    call.done("PRelu", call["x"], _per_channel(call, "alpha"))


def _scaled_tanh(call: Call) -> None:
    inner = call.emit.op("Tanh", call.emit.op("Mul", call["x"], call.number(float(call.attr("beta", 1.0)))))
    call.done("Mul", inner, call.number(float(call.attr("alpha", 1.0))))


def _sigmoid_hard(call: Call) -> None:
    call.done(
        "HardSigmoid", call["x"], alpha=float(call.attr("alpha", 0.2)), beta=float(call.attr("beta", 0.5))
    )


def _silu(call: Call) -> None:
    call.done("Mul", call["x"], call.emit.op("Sigmoid", call["x"]))


def _softplus_parametric(call: Call) -> None:
    inner = call.emit.op("Softplus", call.emit.op("Mul", call["x"], _per_channel(call, "beta")))
    call.done("Mul", inner, _per_channel(call, "alpha"))


def _threshold(call: Call) -> None:
    call.done("Max", call["x"], call.number(float(call.attr("alpha"))))


def _thresholded(call: Call) -> None:
    """Values of at least alpha pass."""
    small = call.emit.op("Less", call["x"], call.number(float(call.attr("alpha", 1.0))))
    call.done("Where", small, call.number(0.0), call["x"])


def _clamped(call: Call) -> None:
    leaky = call.emit.op("LeakyRelu", call["x"], alpha=float(call.attr("alpha")))
    call.done("Min", leaky, call.number(float(call.attr("beta"))))


def _softmax(call: Call) -> None:
    call.narrow(call.emit.op("Softmax", call.wide(), axis=int(call.attr("axis", -1))), call.dtype())


def _classify(call: Call) -> None:
    """The position of the best class stands for its label; the probabilities are what it was given."""
    probabilities = call["probabilities"]
    flat = call.emit.reshape(probabilities, [-1])
    call.emit.op("ArgMax", flat, axis=0, keepdims=1, to=call.out())
    if len(call.op.outputs) > 1:
        call.give(probabilities, 1)


LOWERINGS: Mapping[str, Callable[[Call], None]] = {
    "relu": _relu,
    "relu6": _bounded(0.0, 6.0),
    "sigmoid": _sigmoid,
    "softsign": _softsign,
    "softplus": _softplus,
    "elu": _elu,
    "leaky_relu": _leaky,
    "gelu": _gelu,
    "linear_activation": _linear,
    "prelu": _prelu,
    "scaled_tanh": _scaled_tanh,
    "sigmoid_hard": _sigmoid_hard,
    "silu": _silu,
    "softplus_parametric": _softplus_parametric,
    "threshold": _threshold,
    "thresholded_relu": _thresholded,
    "clamped_relu": _clamped,
    "softmax": _softmax,
    "classify": _classify,
}
