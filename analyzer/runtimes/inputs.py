"""Inputs to run a model with: random from a seed, boundary values, or the user's own; always within what the
graph allows.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError
from ..processes import memory
from .meaning import is_mask, meant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ..ir.graph import Dim, Graph, Operator

_INTEGER_HIGH = 4
"""Integers whose meaning is unknown stay below this: small enough for most axes, indices, lengths and class
numbers.
"""
_FLOAT = 1.0
"""Floats lie in [-1, 1): the range of normalized images, embeddings and audio."""


@dataclass(frozen=True, slots=True)
class Range:
    """Lowest and highest value, both included, that an input may take, and why."""

    low: float
    high: float
    reason: str = ""


def draw(
    name: str, dtype: str, shape: Sequence[int], seed: int = 0, limits: Range | None = None
) -> NDArray[Any]:
    """Random values of one input: the same for the same name, dtype, shape and seed, whatever the other
    inputs are.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode("utf-8", "surrogatepass"))])
    kind = np.dtype(_NUMPY.get(dtype, dtype)) if dtype not in ("string", "str") else None
    if kind is None:
        return np.array(
            [f"item {value}" for value in rng.integers(0, 10, prod(shape))], dtype=np.str_
        ).reshape(tuple(shape))
    if kind.kind == "b":
        return _filled(shape, kind, lambda count: rng.integers(0, 2, count))
    if kind.kind in "iu":
        ends = _integers(dtype, limits)
        return _filled(shape, kind, lambda count: rng.integers(*ends, count, endpoint=True))
    low, high = (-_FLOAT, _FLOAT) if limits is None else (limits.low, limits.high)
    if kind.kind == "c":
        values = rng.uniform(low, high, tuple(shape))
        return (values + 1j * rng.uniform(low, high, tuple(shape))).astype(kind)
    return _filled(shape, kind, lambda count: rng.uniform(low, high, count))


def _filled(shape: Sequence[int], kind: np.dtype[Any], make: Callable[[int], NDArray[Any]]) -> NDArray[Any]:
    """Drawn block by block: a draw takes eight bytes an element, whatever the type asked for."""
    found = np.empty(prod(shape), kind)
    for start in range(0, found.size, _BLOCK):
        part = found[start : start + _BLOCK]
        part[...] = make(part.size).astype(kind)
    return found.reshape(tuple(shape))


_BLOCK = 1 << 20
MOST = 512 << 20
"""Bytes of inputs that are made up for one run, and less where the limit of memory is low: a scan of 512
cubed in float32. Whoever has larger inputs has real ones, and gives them.
"""
_RANK = 32
"""Dimensions that an array can have in every NumPy that is supported."""
_NUMPY = {"bfloat16": "float32", "int4": "int8", "uint4": "uint8", "int2": "int8", "uint2": "uint8"}


_NARROW = {
    "int8": (-128, 127), "uint8": (0, 255), "int4": (-8, 7), "uint4": (0, 15),
    "int2": (-2, 1), "uint2": (0, 3),
}  # fmt: skip
"""Lowest and highest value of the types that hold quantized data."""


def _integers(dtype: str, limits: Range | None) -> tuple[int, int]:
    if limits is not None:
        return int(limits.low), int(limits.high)
    if dtype in _NARROW:  # quantized data and pixels use their whole range
        return _NARROW[dtype]
    return 0, _INTEGER_HIGH - 1


def for_graph(
    graph: Graph,
    *,
    seed: int = 0,
    boundary: bool = False,
    sizes: Mapping[str, int] | None = None,
    milder: int = 0,
) -> dict[str, NDArray[Any]]:
    """One array per input of the graph.

    Args:
        graph: whose ``inputs`` are fed; constants among them (ONNX initializers listed as inputs) are left to
        the file.
        seed: of the random values.
        boundary: the ends of each range instead of random values: lowest, highest, zero, and for floats tiny
        and large ones, in turn.
        milder: how far the values are chosen so that more models compute numbers of them, up to ``MILDEST``:
            1 masks of ones, 2 also floats above zero, 3 masks and other integers of zeros.
        sizes: of symbolic dimensions by name, of unnamed ones as ``input[axis]`` or all together as ``""``;
        others are 1.

    Raises UsageError when an input's rank is unknown, nothing can be made of its type, or the inputs would be
    larger than ``MOST`` or an eighth of the limit of memory (the runtimes hold copies, and results).
    """
    make = _boundary if boundary else draw
    shapes = _shapes(graph, sizes or {})
    found = {}
    for name, shape in shapes.items():
        dtype = graph.tensor(name).dtype
        if is_mask(graph, name):
            found[name] = _mask(
                name, dtype, shape, seed, ones=boundary or milder in (1, 2), zeros=milder == 3
            )
        else:
            found[name] = make(name, dtype, shape, seed, _mild(dtype, limit(graph, name), milder))
    return found


MILDEST = 3


def _mild(dtype: str, limits: Range | None, milder: int) -> Range | None:
    if limits is not None or milder < 2 or dtype in _NARROW or dtype in ("bool", "string", "str"):
        return limits
    if dtype.startswith(("float", "bfloat")):
        return Range(0.125, _FLOAT, "above zero")
    return Range(0, 0, "zero") if milder == MILDEST and "int" in dtype else None


def _mask(name: str, dtype: str, shape: Sequence[int], seed: int, *, ones: bool, zeros: bool) -> NDArray[Any]:
    """As of padded sequences: along the last axis ones and then zeros, one at least; boundaries and milder
    inputs have ones, or zeros, alone.
    """
    found = np.full(tuple(shape), 0 if zeros else 1, np.dtype(_NUMPY.get(dtype, dtype)))
    if ones or zeros or not shape or shape[-1] < 2:
        return found
    rows = found.reshape(-1, shape[-1])
    rng = np.random.default_rng([seed, zlib.crc32(name.encode("utf-8", "surrogatepass"))])
    for row, length in zip(rows, rng.integers(1, shape[-1], len(rows), endpoint=True), strict=True):
        row[length:] = 0
    return found


def _shapes(graph: Graph, sizes: Mapping[str, int]) -> dict[str, list[int]]:
    """The sizes of every input; nothing is made before all of them are known to fit."""
    found: dict[str, list[int]] = {}
    allowed, total = min(MOST, memory.limit() // 8), 0
    for name in graph.inputs:
        tensor = graph.tensor(name)
        if tensor.const is not None:
            continue
        if tensor.shape is None:
            raise UsageError(f"input {name!r} has no known rank: give --inputs with an array for it")
        shape = [_size(name, axis, dim, sizes) for axis, dim in enumerate(tensor.shape)]
        if len(shape) > _RANK or min(shape, default=0) < 0:
            raise UsageError(f"input {name!r} has the shape {_spelled(shape)}, which no array can have")
        total += prod(shape) * _width(name, tensor.dtype)
        if total > allowed:
            raise UsageError(
                f"the inputs up to {name!r} ({tensor.dtype} {_spelled(shape)}) take {memory.shown(total)}, "
                f"and at most {memory.shown(allowed)} are made up: give --inputs, smaller sizes with --size, "
                "or more --memory"
            )
        found[name] = shape
    return found


def _size(name: str, axis: int, dim: Dim, sizes: Mapping[str, int]) -> int:
    if isinstance(dim, int):
        return dim
    return sizes.get(f"{name}[{axis}]", sizes.get("", 1)) if dim is None else sizes.get(dim, 1)


def _width(name: str, dtype: str) -> int:
    """Bytes of an element as it is made here."""
    if dtype in ("string", "str"):
        return _TEXT
    try:
        return np.dtype(_NUMPY.get(dtype, dtype)).itemsize
    except TypeError:
        raise UsageError(f"no values can be made for input {name!r} of type {dtype}: give --inputs") from None


_TEXT = 96
"""Bytes of a short text, and of the number that it is made from."""


def _spelled(shape: Sequence[int]) -> str:
    text = "x".join(map(str, shape[:8])) or "scalar"
    return text + ("x..." if len(shape) > 8 else "")


def _boundary(name: str, dtype: str, shape: Sequence[int], seed: int, limits: Range | None) -> NDArray[Any]:
    count = prod(shape)
    random = draw(name, dtype, shape, seed, limits)
    ends: list[float]
    if random.dtype.kind in "iu":
        first, last = _integers(dtype, limits)
        ends = [first, last, min(max(0, first), last)]
    elif random.dtype.kind == "f":
        low, high = (-_FLOAT, _FLOAT) if limits is None else (limits.low, limits.high)
        ends = [
            low,
            high,
            min(max(0.0, low), high),
            6e-5 * high,
            -6e-5 * abs(low) if low < 0 else low,
            0.5 * high,
        ]
    else:
        return random
    found = np.empty(count, random.dtype)
    for place, value in enumerate(np.array(ends).astype(random.dtype)):
        found[place :: len(ends)] = value
    return found.reshape(tuple(shape))


def limit(graph: Graph, name: str) -> Range | None:
    """The range that the graph allows an integer input, from the tables that it indexes, or the one value
    that it stands for (``meaning``); None when nothing bounds it.

    Follows the value through operators that only move or convert it.
    """
    if graph.tensor(name).dtype not in (
        "int32",
        "int64",
        "int16",
        "int8",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
    ):
        return None
    value = meant(graph, name)
    if value is not None:
        return Range(value[0], value[0], value[1])
    found: Range | None = None
    todo, seen = [name], {name}
    while todo:
        current = todo.pop()
        for op in graph.consumers(current):
            bound = _index_bound(graph, op, current)
            if bound is not None and (found is None or bound < found.high):
                found = Range(0, bound, f"indexes {op.type} {op.label!r}")
            if op.type.upper().replace("_", "") in _MOVES and op.inputs and op.inputs[0] == current:
                fresh = [item for item in op.outputs if item and item not in seen]
                seen.update(fresh)
                todo += fresh
    return found


_MOVES = {
    "CAST",
    "IDENTITY",
    "RESHAPE",
    "SQUEEZE",
    "UNSQUEEZE",
    "EXPANDDIMS",
    "TRANSPOSE",
    "FLATTEN",
    "SLICE",
    "STRIDEDSLICE",
}
_TABLES = {
    # type: (position of the table, position of the indices, default axis)
    "Gather": (0, 1, 0), "GatherElements": (0, 1, 0), "GATHER": (0, 1, 0), "EMBEDDING_LOOKUP": (1, 0, 0),
    "GatherV2": (0, 1, 0), "gather": (0, 1, 0),
}  # fmt: skip


def _index_bound(graph: Graph, op: Operator, name: str) -> int | None:
    """Highest index that ``op`` accepts in ``name``, None when it does not index with it."""
    if (
        op.type in ("OneHot", "ONE_HOT")
        and op.inputs
        and op.inputs[0] == name
        and len(op.inputs) > 1
        and op.inputs[1]
    ):
        depth = graph.tensor(op.inputs[1]).const
        return None if depth is None else max(0, int(np.asarray(depth.read()).reshape(-1)[0]) - 1)
    places = _TABLES.get(op.type)
    if places is None or len(op.inputs) <= max(places[:2]) or op.inputs[places[1]] != name:
        return None
    table = op.inputs[places[0]]
    shape = None if table is None else graph.tensor(table).shape
    axis = op.attrs.get("axis", places[2])
    if shape is None or not isinstance(axis, int) or not -len(shape) <= axis < len(shape):
        return None
    size = shape[axis]
    return max(0, size - 1) if isinstance(size, int) else None


def load(path: Path, graph: Graph) -> dict[str, NDArray[Any]]:
    """The user's own inputs: an ``.npz`` with one array per input, or an ``.npy`` for a model with one input.

    Raises UsageError when the file cannot be read, an input has no array, or an array is not of the input's
    type and sizes.
    """
    return load_set([path], graph)[0]


def load_set(paths: Sequence[Path], graph: Graph) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """The user's own inputs of one run, and the outputs that are stored with them.

    Args:
        paths: ``.npz`` with an array a tensor, ``.npy`` of the tensor that they are named after; a single
            ``.npy`` may have any name where the model has one input.

    Raises UsageError when a file cannot be read, an input has no array, an array is not of the input's type
    and sizes, or an array is neither an input's nor an output's.
    """
    names = [name for name in graph.inputs if graph.tensor(name).const is None]
    found: dict[str, NDArray[Any]] = {}
    for path in paths:
        found.update(_read(path, names, alone=len(paths) == 1))
    told = str(paths[0])
    absent = [name for name in names if name not in found]
    if absent:
        raise UsageError(
            f"{told} has no array for {', '.join(absent)}: it holds {', '.join(found) or 'nothing'}"
        )
    for name in names:
        _hold(paths[0], graph, name, found[name])
    golden = {name: found[name] for name in graph.outputs if name in found and name not in names}
    strange = [name for name in found if name not in {*names, *golden, *graph.inputs}]
    if strange:
        raise UsageError(
            f"{told}: {', '.join(strange)} is neither an input nor an output of the model: inputs are "
            f"{', '.join(names)}, outputs {', '.join(graph.outputs)}"
        )
    return {name: found[name] for name in names}, golden


def _read(path: Path, names: Sequence[str], *, alone: bool) -> Mapping[str, NDArray[Any]]:
    from .tensors import read

    if not path.is_file():
        raise UsageError(f"{path}: no such file: give an .npz with one array for each of {', '.join(names)}")
    try:
        if path.suffix != ".npy":
            return read(path)
        if not alone:
            return {path.stem: np.load(path, allow_pickle=False)}
        if len(names) != 1:
            raise UsageError(
                f"{path} holds one array, the model has {len(names)} inputs "
                f"({', '.join(names)}): give an .npz"
            )
        return {names[0]: np.load(path, allow_pickle=False)}
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(
            f"{path}: no NumPy archive that can be read ({error}): write it with numpy.savez"
        ) from error


def _hold(path: Path, graph: Graph, name: str, array: NDArray[Any]) -> None:
    """Raise UsageError when ``array`` is not what the input takes; types without a NumPy name are left to the
    runtime.
    """
    tensor = graph.tensor(name)
    if tensor.dtype in _PLAIN and array.dtype.name != tensor.dtype:
        raise UsageError(
            f"{path}: the array for {name} is {array.dtype.name} and the model takes "
            f"{tensor.dtype}: convert it with astype"
        )
    if tensor.dtype in _NARROW and array.size:
        low, high = _NARROW[tensor.dtype]
        if array.dtype.kind not in "iu" or array.min() < low or array.max() > high:
            raise UsageError(
                f"{path}: the array for {name} has values outside of {tensor.dtype}: give integers from "
                f"{low} to {high}"
            )
    if tensor.shape is None:
        return
    fits = len(tensor.shape) == array.ndim and all(
        not isinstance(dim, int) or dim == size for dim, size in zip(tensor.shape, array.shape, strict=True)
    )
    if not fits:
        wanted = "x".join("?" if dim is None else str(dim) for dim in tensor.shape) or "a scalar"
        given = "x".join(map(str, array.shape)) or "a scalar"
        raise UsageError(f"{path}: the array for {name} is {given} and the model takes {wanted}")


_PLAIN = {
    "float64",
    "float32",
    "float16",
    "bool",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}
"""Types that NumPy has under the same name."""
