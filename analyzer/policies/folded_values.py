"""Values of small tensors that are known before a model runs: the arithmetic that exporters do on shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..ir.dtypes import BITS, STORED_AS
from ..ir.graph import Constant, Operator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..ir.graph import Shape

MOST = 256
"""Elements beyond which a value is not followed: a bound of the cost here, which no runtime has."""
NATIVE = frozenset(BITS) - STORED_AS.keys() - {name for name in BITS if BITS[name] < 8}
"""Element types that numpy has: no value of another is followed."""


def value_of(op: Operator, inputs: Sequence[Constant | None], shape: Shape, dtype: str) -> Constant | None:
    """The single result of an operator whose inputs are constants (None: omitted) or which tells the fixed
    ``shape`` of its input.

    None where the operator is none of those that shapes are computed with, or the value is large.
    """
    if dtype not in NATIVE or op.domain not in ("", "ai.onnx"):
        return None
    work = _operators().get(op.type)
    if work is None:
        return None
    import numpy as np

    from ..ir.arrays import to_bytes

    try:
        arrays = [None if item is None else _small(item) for item in inputs]
        result = np.asarray(work(op, arrays, shape)).astype(np.dtype(dtype))
    except (ArithmeticError, IndexError, KeyError, TypeError, ValueError):
        return None
    return Constant(dtype, result.shape, inline=to_bytes(result, dtype)) if result.size <= MOST else None


def _small(constant: Constant) -> NDArray[Any]:
    if constant.dtype not in NATIVE or constant.elements > MOST:
        raise ValueError("not a value that is followed")
    return constant.read()


def _operators() -> Mapping[str, Callable[[Operator, list[Any], Any], Any]]:
    import numpy as np

    plain: dict[str, Callable[..., Any]] = {
        "Add": np.add,
        "Sub": np.subtract,
        "Mul": np.multiply,
        "Neg": np.negative,
        "Sqrt": np.sqrt,
        "Floor": np.floor,
        "Ceil": np.ceil,
        "Equal": np.equal,
        "Less": np.less,
        "Greater": np.greater,
        "And": np.logical_and,
        "Or": np.logical_or,
        "Not": np.logical_not,
        "Where": np.where,
        "Identity": np.asarray,
        "Cast": np.asarray,
        "Abs": np.abs,
        "Reciprocal": np.reciprocal,
        "Pow": np.power,
        "Mod": np.mod,
        "Expand": lambda x, s: np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(s))),
        "Div": _divide,
        "Range": lambda first, end, step: np.arange(first.item(), end.item(), step.item()),
        "Max": np.maximum,
        "Min": np.minimum,
    }
    others: dict[str, Callable[[Operator, list[Any], Any], Any]] = {
        "Shape": lambda op, ins, shape: np.array(shape, np.int64)[
            op.attrs.get("start", 0) : op.attrs.get("end")
        ],
        "Size": lambda op, ins, shape: np.prod(np.array(shape, np.int64)),
        "Gather": lambda op, ins, shape: np.take(
            ins[0], ins[1].astype(np.int64), axis=op.attrs.get("axis", 0)
        ),
        "Concat": lambda op, ins, shape: np.concatenate(ins, axis=op.attrs["axis"]),
        "Reshape": lambda op, ins, shape: ins[0].reshape(ins[1]),
        "Squeeze": lambda op, ins, shape: np.squeeze(ins[0], _axes(op, ins)),
        "Unsqueeze": lambda op, ins, shape: np.expand_dims(ins[0], _axes(op, ins) or ()),
        "ReduceProd": lambda op, ins, shape: np.prod(
            ins[0], axis=_axes(op, ins), keepdims=bool(op.attrs.get("keepdims", 1))
        ),
        "ConstantOfShape": _filled,
        "Slice": _slice,
    }
    return {**{name: _apply(function) for name, function in plain.items()}, **others}


def _apply(function: Callable[..., Any]) -> Callable[[Operator, list[Any], Any], Any]:
    return lambda op, ins, shape: function(*ins)


def _divide(left: NDArray[Any], right: NDArray[Any]) -> Any:
    import numpy as np

    return left / right if left.dtype.kind == "f" else np.trunc(left / right)


def _axes(op: Operator, inputs: list[Any]) -> tuple[int, ...] | None:
    stored = op.attrs.get("axes", inputs[1].tolist() if len(inputs) > 1 and inputs[1] is not None else None)
    return None if stored is None else tuple(stored)


def _filled(op: Operator, inputs: list[Any], shape: Any) -> Any:
    import numpy as np

    value = op.attrs.get("value")
    return np.full(tuple(inputs[0]), value.read().item() if isinstance(value, Constant) else 0.0)


def _slice(op: Operator, inputs: list[Any], shape: Any) -> Any:
    data = inputs[0]
    starts, ends, axes, steps = (
        op.attrs.get(
            name, inputs[place].tolist() if len(inputs) > place and inputs[place] is not None else None
        )
        for place, name in ((1, "starts"), (2, "ends"), (3, "axes"), (4, "steps"))
    )
    cuts = [slice(None)] * data.ndim
    for place, (start, end) in enumerate(zip(starts, ends, strict=True)):
        step = 1 if steps is None else steps[place]
        cuts[place if axes is None else axes[place]] = slice(
            start, None if step < 0 and end < -data.size else end, step
        )
    return data[tuple(cuts)]
