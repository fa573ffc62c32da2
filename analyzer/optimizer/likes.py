"""Element type and shape of what common operators on constants give, told without computing it.

Shape inference runs once a round of passes; weights that a chain of new constants reshapes would be computed,
and kept, one step after another otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

from ..errors import GraphError
from ..formats.onnx.proto import DTYPES
from ..ir.graph import Constant, Operator

Sizes = tuple[int, ...]
Inputs = Sequence[Constant | None]


def like(op: Operator, inputs: Inputs) -> Constant | None:
    """A constant of the type and shape of the single result; None where this module cannot tell."""
    shape_of = _SHAPES.get(op.type)
    if shape_of is None or len(op.outputs) != 1 or not inputs or inputs[0] is None:
        return None
    shape = shape_of(op, inputs)
    dtype = _dtype(op, inputs)
    return None if shape is None or dtype is None else Constant(dtype, shape)


def _dtype(op: Operator, inputs: Inputs) -> str | None:
    if op.type == "Cast":
        return DTYPES.get(int(op.attrs.get("to", 0)))
    if op.type in _TESTS:
        return "bool"
    told = inputs[1] if op.type == "Where" else inputs[0]
    return None if told is None else told.dtype


def _same(op: Operator, inputs: Inputs) -> Sizes | None:
    return None if inputs[0] is None else inputs[0].shape


def _broadcast(op: Operator, inputs: Inputs) -> Sizes | None:
    shapes = [item.shape for item in inputs if item is not None]
    rank = max(map(len, shapes))
    wide = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    result = []
    for sizes in zip(*wide, strict=True):
        others = {size for size in sizes if size != 1}
        if len(others) > 1:
            return None
        result.append(others.pop() if others else 1)
    return tuple(result)


def _listed(value: Constant | None) -> list[int] | None:
    try:
        found = None if value is None or value.elements > 64 else value.numbers()
    except GraphError:
        return None
    return None if found is None else [int(item) for item in found]


def _reshape(op: Operator, inputs: Inputs) -> Sizes | None:
    data, wanted = inputs[0], _listed(inputs[1]) if len(inputs) > 1 else None
    if data is None or wanted is None or wanted.count(-1) > 1 or op.attrs.get("allowzero"):
        return None
    if any(size == 0 and at >= len(data.shape) for at, size in enumerate(wanted)):
        return None
    sizes = [data.shape[at] if size == 0 else size for at, size in enumerate(wanted)]
    known = prod(size for size in sizes if size != -1)
    if -1 in sizes:
        if not known or data.elements % known:
            return None
        sizes[sizes.index(-1)] = data.elements // known
    return tuple(sizes) if prod(sizes) == data.elements else None


def _transpose(op: Operator, inputs: Inputs) -> Sizes | None:
    shape = _same(op, inputs) or ()
    perm = op.attrs.get("perm", tuple(reversed(range(len(shape)))))
    return tuple(shape[axis] for axis in perm) if sorted(perm) == list(range(len(shape))) else None


def _axes(op: Operator, inputs: Inputs, rank: int) -> list[int] | None:
    told = op.attrs.get("axes")
    axes = list(told) if told is not None else _listed(inputs[1]) if len(inputs) > 1 else None
    if axes is None or any(not -rank <= axis < rank for axis in axes):
        return None
    return [axis % rank for axis in axes] if rank else None


def _unsqueeze(op: Operator, inputs: Inputs) -> Sizes | None:
    shape = _same(op, inputs) or ()
    count = len(op.attrs.get("axes", ())) or (inputs[1].elements if len(inputs) > 1 and inputs[1] else 0)
    axes = _axes(op, inputs, len(shape) + count)
    if axes is None or len(set(axes)) != count:
        return None
    left = iter(shape)
    return tuple(1 if at in axes else next(left) for at in range(len(shape) + count))


def _squeeze(op: Operator, inputs: Inputs) -> Sizes | None:
    shape = _same(op, inputs) or ()
    axes = _axes(op, inputs, len(shape))
    if axes is None or any(shape[axis] != 1 for axis in axes):
        return None
    return tuple(size for at, size in enumerate(shape) if at not in axes)


_TESTS = frozenset(
    ("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or", "Xor", "Not", "IsNaN", "IsInf")
)
_SHAPES: Mapping[str, Callable[[Operator, Inputs], Sizes | None]] = {
    **dict.fromkeys(
        (
            "Cast", "Identity", "Neg", "Abs", "Sqrt", "Reciprocal", "Exp", "Log", "Erf", "Relu", "Sigmoid",
            "Tanh", "Floor", "Ceil", "Round", "Not", "IsNaN", "IsInf", "Clip", "Softmax", "Sign", "Sin",
            "Cos",
        ),
        _same,
    ),
    **dict.fromkeys(
        (
            "Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Mod", "Where", "Equal", "Less", "Greater",
            "LessOrEqual", "GreaterOrEqual", "And", "Or", "Xor",
        ),
        _broadcast,
    ),
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
}  # fmt: skip


__all__ = ["like"]
