"""What operators on constants compute. A result is worked out when somebody asks for it: most of them are
weights that nobody looks at, and the graph is to stay small.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import GraphError
from ..formats.onnx.proto import DTYPES
from ..ir.dtypes import BITS
from ..ir.graph import Constant, Operator
from ..policies.folded_values import NATIVE, value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MOST = 1 << 22
"""Elements of inputs and results beyond which nothing is computed here."""
HELD = 1 << 10
"""Bytes of a result that is kept once it is computed: others ask for it again, since shapes are computed from
shapes.
"""
_DEEPEST = 50
"""Results that may stand on each other before one is computed: Python calls are not to be nested deeper."""


def known(dtype: str, shape: tuple[int, ...]) -> bool:
    """Whether a constant can be of the type."""
    return dtype in BITS or dtype == "string"


class _Later:
    """What computes a result when its bytes are asked for; raises GraphError where it cannot.

    Attributes:
        depth: how many such results stand on each other below it.
    """

    def __init__(self, op: Operator, inputs: Sequence[Constant | None], place: int) -> None:
        self._op, self._inputs, self._place = op, inputs, place
        self._held: bytes | None = None
        below = (item.loader for item in inputs if item is not None)
        self.depth: int = 1 + max((item.depth for item in below if isinstance(item, _Later)), default=0)

    def __call__(self) -> bytes:
        if self._held is not None:
            return self._held
        if self.depth > _DEEPEST:
            raise GraphError(f"{self._op.type} stands on more than {_DEEPEST} operators on constants")
        data = now(self._op, self._inputs)[self._place].raw()
        if len(data) <= HELD:
            self.hold(data)
        return data

    def hold(self, data: bytes) -> None:
        """Keep the result; what it was computed from is not needed any more."""
        self._held, self._inputs, self.depth = data, (), 0


def later(op: Operator, inputs: Sequence[Constant | None], place: int, like: Constant) -> Constant:
    """The result at a place, of a known type and shape, computed when its bytes are asked for.

    Small results in long rows are computed on the way, so that none asks for hundreds of others.
    """
    size = (like.elements * BITS.get(like.dtype, 8) + 7) // 8
    loader = _Later(op, inputs, place)
    if loader.depth >= _DEEPEST and size <= HELD:
        with suppress(GraphError):
            loader()
    return Constant(like.dtype, like.shape, length=size, loader=loader)


def now(op: Operator, inputs: Sequence[Constant | None]) -> list[Constant]:
    """All results. Raises GraphError where they cannot be computed here."""
    if sum(0 if item is None else item.elements for item in inputs) > MOST:
        raise GraphError(f"{op.type} reads more than {MOST} elements")
    if len(op.outputs) == 1 and (quick := _quick(op, inputs)) is not None:
        return [quick]
    if op.type in ("ConstantOfShape", "Expand", "Tile", "Range") and _promised(op, inputs) > MOST:
        raise GraphError(f"{op.type} gives more than {MOST} elements")
    if any(item is not None and item.dtype not in NATIVE for item in inputs):
        raise GraphError(f"{op.type} on elements that numpy has not")
    if op.type == "GatherElements":
        return [_constant(_gathered(op, *(item.read() for item in inputs if item is not None)))]
    return [_constant(array) for array in _reference(op, inputs)]


def _gathered(op: Operator, data: NDArray[Any], indices: NDArray[Any]) -> NDArray[Any]:
    """GatherElements; onnx's evaluator reshapes a row of several to one (1.23.2)."""
    import numpy as np

    axis = int(op.attrs.get("axis", 0))
    if data.ndim != indices.ndim or not -data.ndim <= axis < data.ndim:
        raise GraphError(f"GatherElements along axis {axis} of {data.shape} by {indices.shape}")
    inside = tuple(
        slice(None) if place == axis % data.ndim else slice(size) for place, size in enumerate(indices.shape)
    )
    try:
        return np.take_along_axis(data[inside], indices, axis)
    except (IndexError, ValueError) as error:
        raise GraphError(f"GatherElements cannot be evaluated: {error}") from error


def _quick(op: Operator, inputs: Sequence[Constant | None]) -> Constant | None:
    """By the arithmetic of shapes, without onnx's evaluator."""
    dtype = next((item.dtype for item in inputs if item is not None), "unknown")
    if op.type == "Cast":
        dtype = DTYPES.get(int(op.attrs.get("to", 0)), "unknown")
    elif op.type in ("Equal", "Not", "Less", "Greater"):
        dtype = "bool"
    elif op.type == "Where":
        dtype = inputs[1].dtype if inputs[1] is not None else "unknown"
    elif op.type in ("ConstantOfShape", "Shape", "Size"):
        return None
    return value_of(op, inputs, None, dtype)


def _promised(op: Operator, inputs: Sequence[Constant | None]) -> int:
    from math import prod

    sizes = [item.numbers() for item in inputs if item is not None and item.elements <= 64]
    if op.type == "Range":
        start, limit, step = (item[0] for item in sizes)
        return int(abs((limit - start) / step)) if step else 0
    wanted = sizes[-1] if sizes else []
    own = inputs[0].elements if op.type == "Tile" and inputs[0] is not None else 1
    return own * prod(max(int(size), 1) for size in wanted)


def _constant(array: Any) -> Constant:
    import numpy as np

    from ..ir.arrays import to_bytes

    array = np.asarray(array)
    dtype = str(array.dtype)
    if dtype not in BITS:
        raise GraphError(f"a result of {dtype}")
    return Constant(dtype, array.shape, length=array.nbytes, inline=to_bytes(array, dtype))


def _reference(op: Operator, inputs: Sequence[Constant | None]) -> list[NDArray[Any]]:
    import numpy as np
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    feeds = {
        f"i{place}": item.read().astype(item.dtype, copy=False)
        for place, item in enumerate(inputs)
        if item is not None
    }
    names = [f"i{place}" if item is not None else "" for place, item in enumerate(inputs)]
    outputs = [f"o{place}" if name else "" for place, name in enumerate(op.outputs)]
    attrs = {key: _attribute(value) for key, value in op.attrs.items()}
    node = helper.make_node(op.type, names, outputs, **attrs)
    told = helper.make_empty_tensor_value_info
    body = helper.make_graph([node], "fold", list(map(told, feeds)), [told(name) for name in outputs if name])
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", op.version)])
    try:
        with np.errstate(all="ignore"):
            results: list[Any] = ReferenceEvaluator(model).run(None, feeds)
    except Exception as error:  # the reference implementation raises whatever numpy does
        raise GraphError(f"{op.type} cannot be evaluated: {type(error).__name__}: {error}") from error
    return results


def _attribute(value: Any) -> Any:
    if not isinstance(value, Constant):
        return value
    from onnx import numpy_helper

    return numpy_helper.from_array(value.read().astype(value.dtype))


def listed(values: Sequence[int]) -> Constant:
    """A list of int64."""
    import struct

    data = struct.pack(f"<{len(values)}q", *values)
    return Constant("int64", (len(values),), length=len(data), inline=data)


def reshaped(value: Constant, shape: tuple[int, ...]) -> Constant:
    """The same elements in another shape."""
    return replace(value, shape=shape)
