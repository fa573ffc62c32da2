"""What exact TFLite operators compute, on constants: one function for each builtin operator.

Each takes the operator, its input arrays (None where omitted) and the dtype of its first result, and gives
its results. Source: LiteRT, ``tflite/kernels/*.cc`` (reference kernels).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ...analyzer.ir.graph import Operator

if TYPE_CHECKING:
    from numpy.typing import NDArray

Evaluator = Callable[[Operator, Any, str], "list[NDArray[Any]]"]


def _of(function: str) -> Evaluator:
    """A numpy function of the operands, in the operands' own dtype."""

    def evaluate(op: Operator, arrays: Any, dtype: str) -> list[NDArray[Any]]:
        import numpy as np

        return [np.asarray(getattr(np, function)(*arrays))]

    return evaluate


def _reshape(op: Operator, arrays: Any, dtype: str) -> list[NDArray[Any]]:
    shape = (
        arrays[1].reshape(-1).tolist() if len(arrays) > 1 and arrays[1] is not None else op.attrs["new_shape"]
    )
    return [arrays[0].reshape(tuple(shape))]


def _expand_dims(op: Operator, arrays: Any, dtype: str) -> list[NDArray[Any]]:
    import numpy as np

    return [np.expand_dims(arrays[0], int(arrays[1].reshape(-1)[0]))]


def _squeeze(op: Operator, arrays: Any, dtype: str) -> list[NDArray[Any]]:
    import numpy as np

    axes = tuple(op.attrs.get("squeeze_dims") or ())
    return [np.squeeze(arrays[0], axes or None)]


def _pack(op: Operator, arrays: Any, dtype: str) -> list[NDArray[Any]]:
    import numpy as np

    return [np.stack(arrays, op.attrs.get("axis", 0))]


def _unpack(op: Operator, arrays: Any, dtype: str) -> list[NDArray[Any]]:
    import numpy as np

    return list(np.moveaxis(arrays[0], op.attrs.get("axis", 0), 0))


def _concatenate(op: Operator, arrays: Any, dtype: str) -> list[NDArray[Any]]:
    import numpy as np

    return [np.concatenate(arrays, op.attrs.get("axis", 0))]


def _slice(op: Operator, arrays: Any, dtype: str) -> list[NDArray[Any]]:
    data, begin, size = arrays[0], arrays[1].tolist(), arrays[2].tolist()
    return [
        data[
            tuple(
                slice(first, None if count == -1 else first + count)
                for first, count in zip(begin, size, strict=True)
            )
        ]
    ]


def _strided_slice(op: Operator, arrays: Any, dtype: str) -> list[NDArray[Any]]:
    """Masks of ellipsis and new axes, and offsets, raise ValueError: they are rare in shape arithmetic."""
    data, begin, end, strides = arrays[0], *(item.reshape(-1).tolist() for item in arrays[1:4])
    if op.attrs.get("ellipsis_mask") or op.attrs.get("new_axis_mask") or op.attrs.get("offset"):
        raise ValueError("ellipsis, new axis or offset")
    masks = [op.attrs.get(name, 0) for name in ("begin_mask", "end_mask", "shrink_axis_mask")]
    index: list[Any] = []
    for axis, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        from_start, to_end, shrink = (bool(mask >> axis & 1) for mask in masks)
        index.append(
            first if shrink else slice(None if from_start else first, None if to_end else last, step)
        )
    return [data[tuple(index)]]


def _gather(op: Operator, arrays: Any, dtype: str) -> list[NDArray[Any]]:
    import numpy as np

    if op.attrs.get("batch_dims"):
        raise ValueError("batch dimensions")
    if arrays[1].size and (
        arrays[1].min() < 0 or arrays[1].max() >= arrays[0].shape[op.attrs.get("axis", 0)]
    ):
        raise IndexError("an index is outside the data")
    return [np.take(arrays[0], arrays[1], op.attrs.get("axis", 0))]


def _cast(op: Operator, arrays: Any, dtype: str) -> list[NDArray[Any]]:
    import numpy as np

    data = arrays[0]
    if data.dtype.kind == "f" and np.dtype(dtype).kind in "iu":
        info = np.iinfo(dtype)
        if not np.isfinite(data).all() or (
            data.size and not (info.min <= data.min() and data.max() <= info.max)
        ):
            raise ValueError("a value does not fit")
    return [data.astype(dtype)]


def _range(op: Operator, arrays: Any, dtype: str) -> list[NDArray[Any]]:
    import numpy as np

    start, limit, delta = (item.reshape(-1)[0] for item in arrays)
    if np.dtype(dtype).kind == "f":
        raise ValueError("a range of floats accumulates roundings")
    return [np.arange(start, limit, delta, dtype=dtype)]


def _fill(op: Operator, arrays: Any, dtype: str) -> list[NDArray[Any]]:
    import numpy as np

    return [np.full(tuple(arrays[0].reshape(-1).tolist()), arrays[1].reshape(-1)[0], dtype=dtype)]


def _broadcast_to(op: Operator, arrays: Any, dtype: str) -> list[NDArray[Any]]:
    import numpy as np

    return [np.broadcast_to(arrays[0], tuple(arrays[1].reshape(-1).tolist()))]


def _broadcast_args(op: Operator, arrays: Any, dtype: str) -> list[NDArray[Any]]:
    import numpy as np

    return [np.array(np.broadcast_shapes(*(tuple(item.reshape(-1).tolist()) for item in arrays)), dtype)]


def _reduce(function: str) -> Evaluator:
    def evaluate(op: Operator, arrays: Any, dtype: str) -> list[NDArray[Any]]:
        import numpy as np

        axes = tuple(arrays[1].reshape(-1).tolist())
        data = arrays[0] if function in ("max", "min", "any", "all") else arrays[0].astype(dtype)
        return [
            np.asarray(
                getattr(np, function)(data, axis=axes, keepdims=bool(op.attrs.get("keep_dims")))
            ).astype(dtype)
        ]

    return evaluate


def _tile(op: Operator, arrays: Any, dtype: str) -> list[NDArray[Any]]:
    import numpy as np

    return [np.tile(arrays[0], tuple(arrays[1].reshape(-1).tolist()))]


def _reverse(op: Operator, arrays: Any, dtype: str) -> list[NDArray[Any]]:
    import numpy as np

    return [np.flip(arrays[0], tuple(arrays[1].reshape(-1).tolist()))]


EVALUATORS: Mapping[str, Evaluator] = {
    "RESHAPE": _reshape,
    "EXPAND_DIMS": _expand_dims,
    "SQUEEZE": _squeeze,
    "PACK": _pack,
    "UNPACK": _unpack,
    "CONCATENATION": _concatenate,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "GATHER": _gather,
    "TRANSPOSE": _of("transpose"),
    "BROADCAST_TO": _broadcast_to,
    "BROADCAST_ARGS": _broadcast_args,
    "TILE": _tile,
    "FILL": _fill,
    "RANGE": _range,
    "CAST": _cast,
    "ZEROS_LIKE": _of("zeros_like"),
    "SELECT_V2": _of("where"),
    "REVERSE_V2": _reverse,
    "ADD": _of("add"),
    "SUB": _of("subtract"),
    "MUL": _of("multiply"),
    "MAXIMUM": _of("maximum"),
    "MINIMUM": _of("minimum"),
    "FLOOR_DIV": _of("floor_divide"),
    "FLOOR_MOD": _of("mod"),
    "NEG": _of("negative"),
    "ABS": _of("abs"),
    "EQUAL": _of("equal"),
    "NOT_EQUAL": _of("not_equal"),
    "GREATER": _of("greater"),
    "GREATER_EQUAL": _of("greater_equal"),
    "LESS": _of("less"),
    "LESS_EQUAL": _of("less_equal"),
    "LOGICAL_AND": _of("logical_and"),
    "LOGICAL_OR": _of("logical_or"),
    "LOGICAL_NOT": _of("logical_not"),
    "REDUCE_PROD": _reduce("prod"),
    "SUM": _reduce("sum"),
    "REDUCE_MAX": _reduce("max"),
    "REDUCE_MIN": _reduce("min"),
    "REDUCE_ANY": _reduce("any"),
    "REDUCE_ALL": _reduce("all"),
}
