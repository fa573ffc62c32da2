"""Element-wise operators of one and two operands, comparisons, logic, casts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..call import Call
from ..emit import NARROW

_SAME = {
    "abs": "Abs", "acos": "Acos", "asin": "Asin", "atan": "Atan", "atanh": "Atanh", "ceil": "Ceil",
    "cos": "Cos", "cosh": "Cosh", "erf": "Erf", "exp": "Exp", "floor": "Floor", "identity": "Identity",
    "logical_not": "Not", "round": "Round", "sign": "Sign", "sin": "Sin", "sinh": "Sinh", "sqrt": "Sqrt",
    "tan": "Tan", "tanh": "Tanh",
}  # fmt: skip
_BINARY = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "maximum": "Max", "minimum": "Min", "pow": "Pow",
    "logical_and": "And", "logical_or": "Or", "logical_xor": "Xor",
}  # fmt: skip
_COMPARED = {
    "equal": "Equal", "greater": "Greater", "greater_equal": "GreaterOrEqual", "less": "Less",
    "less_equal": "LessOrEqual",
}  # fmt: skip
_INTEGERS = ("int32", "int64", *NARROW)
EPSILONS = {"log": 1e-45, "rsqrt": 1e-12, "inverse": 1e-4}
"""Defaults of the operators that add an epsilon to their operand."""


def _same(call: Call) -> None:
    if call.type in ("ceil", "floor", "round") and call.dtype() in _INTEGERS:
        return call.give(call["x"])
    call.narrow(call.emit.op(_SAME[call.type], call.widen(call["x"], call.dtype())), call.dtype())
    return None


def _identity(call: Call) -> None:
    call.give(call["x"])


def _pair(call: Call) -> tuple[str, str, str]:
    """Both operands in a dtype that kernels have, and the result's dtype. Integers meet floats as floats."""
    left, right = call.dtype("x"), call.dtype("y")
    dtype = left if left not in _INTEGERS or right in _INTEGERS else right
    x = call["x"] if left == dtype else call.emit.cast(call["x"], dtype)
    y = call["y"] if right == dtype else call.emit.cast(call["y"], dtype)
    if dtype in NARROW:
        x, y = call.emit.cast(x, "int32"), call.emit.cast(y, "int32")
    return x, y, dtype


def _binary(call: Call) -> None:
    x, y, dtype = _pair(call)
    made = call.emit.op(_BINARY[call.type], x, y)
    if dtype in NARROW:
        call.emit.cast(made, dtype, to=call.out())
    else:
        call.give(made)


def _compare(call: Call) -> None:
    x, y, dtype = _pair(call)
    if dtype == "bool" and call.type not in ("equal", "not_equal"):
        x, y = call.emit.cast(x, "int32"), call.emit.cast(y, "int32")
    if call.type == "not_equal":
        call.done("Not", call.emit.op("Equal", x, y))
    else:
        call.done(_COMPARED[call.type], x, y)


def _divide(call: Call) -> None:
    x, y, dtype = _pair(call)
    call.narrow(call.emit.op("Div", x, y), dtype if dtype in NARROW else "")


def floor_quotient(call: Call, x: str, y: str, dtype: str) -> str:
    """x / y rounded to minus infinity; ONNX's integer Div rounds to zero."""
    emit = call.emit
    if dtype not in _INTEGERS:
        return emit.op("Floor", emit.op("Div", x, y))
    quotient = emit.op("Div", x, y)
    rest = emit.op("Sub", x, emit.op("Mul", quotient, y))
    zero = emit.scalar(0, "int32" if dtype in NARROW else dtype)
    signs = emit.op("Xor", emit.op("Less", rest, zero), emit.op("Less", y, zero))
    uneven = emit.op("And", signs, emit.op("Not", emit.op("Equal", rest, zero)))
    return emit.op("Sub", quotient, emit.cast(uneven, "int32" if dtype in NARROW else dtype))


def _floor_div(call: Call) -> None:
    x, y, dtype = _pair(call)
    call.narrow(floor_quotient(call, x, y, dtype), dtype if dtype in NARROW else "")


def _mod(call: Call) -> None:
    """The sign is that of the divisor."""
    x, y, dtype = _pair(call)
    whole = call.emit.op("Mul", floor_quotient(call, x, y, dtype), y)
    call.narrow(call.emit.op("Sub", x, whole), dtype if dtype in NARROW else "")


def _square(call: Call) -> None:
    call.done("Mul", call["x"], call["x"])


def _exp2(call: Call) -> None:
    call.done("Pow", call.number(2.0), call["x"])


def _epsilon(call: Call) -> str:
    """The operand plus epsilon, in float32: a float16 epsilon would often be nothing."""
    x = call.wide()
    value = float(call.attr("epsilon", EPSILONS[call.type]))
    return call.emit.op("Add", x, call.emit.scalar(value, "float32")) if call.dtype() != "float64" else x


def _log(call: Call) -> None:
    call.narrow(call.emit.op("Log", _epsilon(call)), call.dtype())


def _rsqrt(call: Call) -> None:
    call.narrow(call.emit.op("Reciprocal", call.emit.op("Sqrt", _epsilon(call))), call.dtype())


def _inverse(call: Call) -> None:
    call.narrow(call.emit.op("Reciprocal", _epsilon(call)), call.dtype())


def _clip(call: Call) -> None:
    dtype = call.dtype()
    x = call.wide()
    wide = "float32" if dtype == "float16" else "int32" if dtype in NARROW else dtype
    low = call.emit.scalar(call.attr("alpha"), wide)
    high = call.emit.scalar(call.attr("beta"), wide)
    call.narrow(call.emit.op("Min", call.emit.op("Max", x, low), high), dtype)


_DTYPES = {"fp16": "float16", "fp32": "float32", "fp64": "float64"}


def _cast(call: Call) -> None:
    """Floats become integers by cutting off, as in ONNX."""
    dtype = str(call.attr("dtype"))
    call.emit.cast(call["x"], _DTYPES.get(dtype, dtype), to=call.out())


def _select(call: Call) -> None:
    condition = call["cond"]
    if call.dtype("cond") != "bool":
        condition = call.emit.cast(condition, "bool")
    call.done("Where", condition, call["a"], call["b"])


LOWERINGS: Mapping[str, Callable[[Call], None]] = {
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(_BINARY, _binary),
    **dict.fromkeys((*_COMPARED, "not_equal"), _compare),
    "identity": _identity,
    "real_div": _divide,
    "floor_div": _floor_div,
    "mod": _mod,
    "square": _square,
    "exp2": _exp2,
    "log": _log,
    "rsqrt": _rsqrt,
    "inverse": _inverse,
    "clip": _clip,
    "cast": _cast,
    "select": _select,
}
