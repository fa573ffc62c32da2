"""Sparse TFLite constants as dense values.

Source: the comment of ``SparsityParameters`` in the TFLite schema (a modified TACO format): dimensions are
traversed in ``traversal_order``; each is dense, or compressed sparse rows of ``array_segments`` and
``array_indices``; the last ``len(block_map)`` dimensions are blocks within the original ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import GraphError
from ...ir.graph import Constant

if TYPE_CHECKING:
    from numpy.typing import NDArray


DENSEST = 4096
"""Elements for each stored value that a sparse constant may have."""


def dense_constant(stored: Constant, sparsity: dict[str, Any]) -> Constant:
    """The dense value of a constant whose stored bytes are its non-zero values."""

    def load() -> bytes:
        return densify(stored.raw(), stored.dtype, stored.shape, sparsity)

    return Constant(stored.dtype, stored.shape, loader=load)


def elements(shape: tuple[int, ...]) -> int:
    """Number of elements of a shape. Raises GraphError on a negative dimension."""
    if min(shape, default=0) < 0:
        raise GraphError(f"a constant of shape {shape}")
    count = 1
    for dim in shape:
        count *= dim
    return count


def densify(data: bytes, dtype: str, shape: tuple[int, ...], sparsity: dict[str, Any]) -> bytes:
    """The dense bytes. Raises GraphError when the parameters do not fit the shape or the stored values."""
    import numpy as np

    from ...ir.arrays import to_bytes
    from ...ir.dtypes import STORED_AS

    if dtype not in ("float32", "float16", "int8", "uint8", "int16", "int32", "int64", "bfloat16"):
        raise GraphError(f"a sparse constant of dtype {dtype}")
    values = np.frombuffer(data, np.dtype(STORED_AS.get(dtype, dtype)).newbyteorder("<"))
    if elements(shape) > DENSEST * max(len(values), 1024):
        raise GraphError(
            f"a sparse constant of shape {shape} with {len(values)} values: sparse beyond reason"
        )
    places = _places(shape, sparsity)
    if len(places) != len(values):
        raise GraphError(f"a sparse constant has {len(values)} values for {len(places)} places")
    dense = np.zeros(shape, values.dtype)
    if len(values):
        dense[tuple(places.T)] = values
    return to_bytes(dense, dtype)


def _places(shape: tuple[int, ...], sparsity: dict[str, Any]) -> NDArray[Any]:
    """The index in the original tensor of each stored value, one row each."""
    import numpy as np

    order, block_map = sparsity["traversal_order"] or (), sparsity["block_map"] or ()
    metadata = sparsity["dim_metadata"] or ()
    rank = len(shape)
    if sorted(order) != list(range(rank + len(block_map))) or len(metadata) != len(order):
        raise GraphError("a sparse constant whose traversal order does not fit its rank")
    coordinates = np.zeros((1, len(order)), np.int64)
    rows = np.zeros(1, np.int64)
    sizes = [1] * len(order)
    for level, (dim, item) in enumerate(zip(order, metadata, strict=True)):
        if item["format"] == "DENSE":
            size = item["dense_size"]
            if size < 0 or size * len(rows) > max(1, elements(shape)):
                raise GraphError("a sparse constant with more places than its shape has elements")
            sizes[dim] = size
            picks, column = np.repeat(np.arange(len(rows)), size), np.tile(np.arange(size), len(rows))
            rows = rows[picks] * size + column
        else:
            picks, column, rows = _compressed(item, rows)
        coordinates = coordinates[picks]
        coordinates[:, level] = column
    by_dim = np.zeros_like(coordinates)
    by_dim[:, list(order)] = coordinates
    return _within_shape(_unblocked(by_dim, rank, block_map, sizes), shape)


def _compressed(item: dict[str, Any], rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Which row each stored index belongs to, the index, and its position in the list of indices."""
    import numpy as np

    segments, indices = _index_vector(item["array_segments"]), _index_vector(item["array_indices"])
    fits = (
        len(segments) >= int(rows.max(initial=-1)) + 2
        and segments[:1].min(initial=0) >= 0
        and not np.any(np.diff(segments) < 0)
    )
    if not fits or int(segments[-1]) > len(indices):
        raise GraphError("a sparse constant whose segments do not fit its indices")
    counts = segments[rows + 1] - segments[rows]
    picks = np.repeat(np.arange(len(rows)), counts)
    positions = (
        np.concatenate([np.arange(segments[row], segments[row + 1]) for row in rows])
        if len(rows)
        else np.zeros(0, np.int64)
    )
    return picks, indices[positions], positions


def _index_vector(union: tuple[str, dict[str, Any]] | None) -> NDArray[Any]:
    import numpy as np

    values = None if union is None else union[1]["values"]
    return np.asarray(list(values or ()), dtype=np.int64)


def _unblocked(places: NDArray[Any], rank: int, block_map: tuple[int, ...], sizes: list[int]) -> NDArray[Any]:
    """Block coordinates folded into the dimensions that they divide."""
    if any(not 0 <= dim < rank for dim in block_map):
        raise GraphError("a sparse constant with a block of a dimension that it does not have")
    out = places[:, :rank].copy()
    for block, dim in enumerate(block_map):
        out[:, dim] = out[:, dim] * sizes[rank + block] + places[:, rank + block]
    return out


def _within_shape(places: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if len(places) and (
        places.min(initial=0) < 0 or any(int(places[:, dim].max()) >= size for dim, size in enumerate(shape))
    ):
        raise GraphError("a sparse constant with a value outside its shape")
    return places
