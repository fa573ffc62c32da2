"""How large the values of a tensor can be, where that is known: what tells whether a product or a mask stays
within float16.

Stored values are read whatever their size, in blocks; of computed ones only what follows from a few operators
(a softmax is at most 1, a cast keeps the values, a product multiplies the bounds).
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from functools import lru_cache
from typing import TYPE_CHECKING

from ..analyzer.errors import GraphError

if TYPE_CHECKING:
    from ..analyzer.ir.graph import Constant, Graph, Operator, Tensor

FLOAT16 = 65504.0
"""The largest number of float16."""
_BLOCK = 1 << 22
_SMALL = 1024
_MOST_BYTES = 1 << 30
"""Bytes of a constant that are read: one that is larger has no known bound."""
_WIDTHS = {"float16": 2, "float32": 4, "float64": 8}
_NEAR = 0x477F
"""The upper half of the float32 numbers from 65280 up, among which is the largest float16."""
_DEEPEST = 6
_UNIT = frozenset(
    (
        "sigmoid", "logistic", "sigmoid_hard", "hardsigmoid", "softmax", "tanh", "softsign", "erf",
        "sin", "cos", "equal", "not_equal", "greater", "greater_equal", "less", "less_equal",
        "greaterorequal", "lessorequal", "logical_and", "logical_or", "logical_not", "logical_xor",
        "and", "or", "not", "xor", "sign",
    )
)  # fmt: skip
"""Operators whose results are between -1 and 1."""
_KEEPING = frozenset(
    (
        "cast", "identity", "reshape", "transpose", "expand_dims", "unsqueeze", "squeeze", "flatten",
        "slice", "slice_by_index", "slice_by_size", "strided_slice", "split", "tile", "expand",
        "broadcast_to", "relu", "abs", "neg", "reverse", "gather", "max_pool", "maxpool", "reduce_max",
        "reduce_min", "trilu",
    )
)  # fmt: skip
"""Operators whose results are values of their first input, as they are or with another sign, or 0."""
_ANY = frozenset(("concat", "concatenation", "stack", "pack", "maximum", "minimum", "max", "min"))
"""Operators whose results are values of any of their inputs."""


def known_magnitude(graph: Graph, tensor: Tensor) -> float | None:
    """A bound of the absolute values of a tensor, infinity included; None where nothing tells one."""
    return _bound(graph, tensor.name, _DEEPEST)


def _bound(graph: Graph, name: str | None, depth: int) -> float | None:
    tensor = None if name is None else graph.find(name)
    if tensor is None:
        return None
    constant = graph.constant(name)
    if constant is not None:
        return largest(constant)
    if tensor.dtype == "bool":
        return 1.0
    writer = graph.producer(name)
    return None if writer is None or depth == 0 else _computed(graph, writer, depth - 1)


def _computed(graph: Graph, op: Operator, depth: int) -> float | None:
    kind = op.type.lower().removesuffix("_v2").removesuffix("v2")
    if kind in _UNIT:
        return 1.0
    if kind == "relu6":
        return 6.0
    if kind in _KEEPING:
        return _bound(graph, op.input(0), depth)
    if kind in ("add", "sub", "mul"):
        bounds = [_bound(graph, op.input(index), depth) for index in (0, 1)]
        return _combined(kind, bounds[0], bounds[1])
    if kind in ("select", "where"):
        return _largest_of(graph, op.inputs[1:3], depth)
    return _largest_of(graph, op.inputs, depth) if kind in _ANY else None


def _combined(kind: str, one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return None
    if kind != "mul":
        return one + other
    return math.inf if math.inf in (one, other) else one * other


def _largest_of(graph: Graph, names: tuple[str | None, ...], depth: int) -> float | None:
    bounds = [_bound(graph, name, depth) for name in names if name]
    known = [bound for bound in bounds if bound is not None]
    return max(known) if known and len(known) == len(bounds) else None


@lru_cache(maxsize=128)
def largest(constant: Constant) -> float | None:
    """The largest absolute value that a constant holds, or up to 7 % more where there are many; not-a-number
    is infinite here. None where it has no plain numbers, cannot be read, or is larger than a gigabyte.
    """
    try:
        if constant.elements <= _SMALL:
            return max((_size(value) for value in constant.numbers()), default=0.0)
        if constant.file is None or constant.dtype not in _WIDTHS:
            return None if constant.file is not None else _of_array(constant.raw(), constant.dtype)
        return _of_file(constant)
    except (GraphError, OSError, TypeError, ValueError):
        return None


def _size(value: float) -> float:
    return math.inf if math.isnan(value) else abs(float(value))


def _of_array(data: bytes, dtype: str) -> float | None:
    """A bound of the absolute values, without numpy, whose import costs more than most constants: the upper
    16 bits of each number tell it, and the lower ones where the largest number is near the limit of float16.
    """
    width = _WIDTHS.get(dtype)
    if width is None:
        return None
    if not data:
        return 0.0
    words = array("H", data)
    if sys.byteorder == "big":
        words.byteswap()
    each = width // 2
    upper = words[each - 1 :: each]
    highest = max(word & 0x7FFF for word in set(upper))
    rest = 0xFFFF
    if dtype == "float32" and highest == _NEAR:
        rest = max(low for high, low in zip(upper, words[0::2], strict=True) if high & 0x7FFF == highest)
    return _number(highest, rest, dtype)


def _number(upper: int, rest: int, dtype: str) -> float:
    """The float whose first 16 bits are ``upper``, those behind them ``rest`` or all set."""
    behind = {"float16": b"", "float32": struct.pack("<H", rest), "float64": b"\xff" * 6}[dtype]
    code = {"float16": "<e", "float32": "<f", "float64": "<d"}[dtype]
    found: float = struct.unpack(code, behind + struct.pack("<H", upper))[0]
    return math.inf if math.isnan(found) else found


def _of_file(constant: Constant) -> float | None:
    if constant.length > _MOST_BYTES or constant.file is None:
        return None
    most, left = 0.0, constant.length
    with constant.file.open("rb") as stream:
        stream.seek(constant.offset)
        while left and most < math.inf:
            block = stream.read(min(left, _BLOCK))
            found = _of_array(block, constant.dtype) if block else None
            if found is None:
                return None
            most, left = max(most, found), left - len(block)
    return most
