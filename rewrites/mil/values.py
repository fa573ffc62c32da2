"""Operators of ML Programs on constants, by numpy: those that shapes, indices and counters are computed
with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .operands import listed, numbers, setting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...analyzer.ir.graph import Operator

    Values = Mapping[str, Any]
    Evaluator = Callable[[Operator, Values], NDArray[Any]]


def _of_two(name: str) -> Evaluator:
    def evaluate(op: Operator, given: Values) -> NDArray[Any]:
        import numpy as np

        found: NDArray[Any] = getattr(np, name)(given["x"], given["y"])
        return found

    return evaluate


def _cast(op: Operator, given: Values) -> NDArray[Any]:
    import numpy as np

    word = str(op.attrs.get("dtype"))
    found: NDArray[Any] = given["x"].astype(np.dtype({"fp16": "float16", "fp32": "float32"}.get(word, word)))
    return found


def _concat(op: Operator, given: Values) -> NDArray[Any]:
    import numpy as np

    if setting(op, "interleave", False):
        raise ValueError("interleaved")
    return np.concatenate(given["values"], int(setting(op, "axis", 0)))


def _stack(op: Operator, given: Values) -> NDArray[Any]:
    import numpy as np

    return np.stack(given["values"], int(setting(op, "axis", 0)))


def _expand_dims(op: Operator, given: Values) -> NDArray[Any]:
    import numpy as np

    return np.expand_dims(given["x"], tuple(numbers(op, "axes", ())))


def _squeeze(op: Operator, given: Values) -> NDArray[Any]:
    axes = op.attrs.get("axes")
    found: NDArray[Any] = given["x"].squeeze(None if axes is None else tuple(numbers(op, "axes", ())))
    return found


def _reshape(op: Operator, given: Values) -> NDArray[Any]:
    found: NDArray[Any] = given["x"].reshape([int(item) for item in given["shape"]])
    return found


def _transpose(op: Operator, given: Values) -> NDArray[Any]:
    found: NDArray[Any] = given["x"].transpose(numbers(op, "perm", ()))
    return found


def _gather(op: Operator, given: Values) -> NDArray[Any]:
    import numpy as np

    if setting(op, "batch_dims", 0):
        raise ValueError("batched")
    found: NDArray[Any] = np.take(given["x"], given["indices"].astype(np.int64), int(setting(op, "axis", 0)))
    return found


def _slice(op: Operator, given: Values) -> NDArray[Any]:
    x = given["x"]
    begin, end = (given[key].reshape(-1).tolist() for key in ("begin", "end"))
    stride = numbers(op, "stride", [1] * x.ndim)
    masks = {key: numbers(op, key, [0] * x.ndim) for key in ("begin_mask", "end_mask", "squeeze_mask")}
    index: list[Any] = []
    for axis in range(x.ndim):
        if masks["squeeze_mask"][axis]:
            index.append(int(begin[axis]))
            continue
        first = None if masks["begin_mask"][axis] else int(begin[axis])
        last = None if masks["end_mask"][axis] else int(end[axis])
        index.append(slice(first, last, stride[axis]))
    found: NDArray[Any] = x[tuple(index)]
    return found


def _range(op: Operator, given: Values) -> NDArray[Any]:
    import numpy as np

    ends = [given[key].reshape(()) for key in ("start", "end", "step")]
    return np.arange(*[item[()] for item in ends]).astype(ends[1].dtype)


def _select(op: Operator, given: Values) -> NDArray[Any]:
    import numpy as np

    return np.asarray(np.where(given["cond"], given["a"], given["b"]))


def _fill(op: Operator, given: Values) -> NDArray[Any]:
    import numpy as np

    value = op.attrs.get("value", 0.0)
    kind = np.float32 if isinstance(value, float) else np.int32
    return np.full([int(item) for item in given["shape"]], value, kind)


def _reduce(name: str) -> Evaluator:
    def evaluate(op: Operator, given: Values) -> NDArray[Any]:
        import numpy as np

        axes = op.attrs.get("axes")
        chosen = None if axes is None else tuple(numbers(op, "axes", ()))
        x = given["x"]
        found = getattr(np, name)(x, axis=chosen, keepdims=bool(setting(op, "keep_dims", False)))
        return np.asarray(found).astype(x.dtype)

    return evaluate


def _not(op: Operator, given: Values) -> NDArray[Any]:
    import numpy as np

    found: NDArray[Any] = np.logical_not(given["x"])
    return found


EVALUATORS: Mapping[str, Evaluator] = {
    **{
        own: _of_two(name)
        for own, name in {
            "add": "add", "sub": "subtract", "mul": "multiply", "floor_div": "floor_divide", "mod": "mod",
            "maximum": "maximum", "minimum": "minimum", "equal": "equal", "not_equal": "not_equal",

                       "less": "less",
            "less_equal": "less_equal", "greater": "greater", "greater_equal": "greater_equal",
            "logical_and": "logical_and", "logical_or": "logical_or",
        }.items()
    },
    "logical_not": _not,
    "cast": _cast,
    "concat": _concat,
    "stack": _stack,
    "expand_dims": _expand_dims,
    "squeeze": _squeeze,
    "reshape": _reshape,
    "transpose": _transpose,
    "gather": _gather,
    "slice_by_index": _slice,
    "range_1d": _range,
    "select": _select,
    "fill": _fill,
    "reduce_sum": _reduce("sum"),
    "reduce_prod": _reduce("prod"),
    "reduce_max": _reduce("max"),
    "reduce_min": _reduce("min"),
}  # fmt: skip
MISSES = (ArithmeticError, IndexError, KeyError, TypeError, ValueError)


def evaluate(op: Operator, value: Callable[[str], NDArray[Any] | None]) -> NDArray[Any] | None:
    """The result where every input is known and numpy computes what MIL does; None otherwise."""
    import numpy as np

    function = EVALUATORS.get(op.type)
    if function is None or len(op.outputs) != 1 or op.graphs:
        return None
    given: dict[str, Any] = {}
    for key in dict.fromkeys(op.attrs.get("input_names", ())):
        found = [value(name) for name in listed(op, key)]
        if any(item is None for item in found):
            return None
        given[key] = found if key == "values" else found[0]
    try:
        with np.errstate(all="ignore"):
            return np.asarray(function(op, given))
    except MISSES:
        return None
