"""Named arrays in one ``.npz``: the tensors that travel between processes.

Unlike ``numpy.savez`` this keeps the order, allows any name (``file``, names with slashes, repeated names)
and never pickles. Files that ``numpy.savez`` wrote are read too, so a user's golden set needs no conversion.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_NAMES = "__names__"


def write(path: Path, tensors: Mapping[str, NDArray[Any]] | Iterable[tuple[str, NDArray[Any]]]) -> Path:
    """Write named arrays in order. A repeated name gets ``#1``, ``#2``, ... appended. Returns ``path``."""
    pairs = list(tensors.items() if isinstance(tensors, Mapping) else tensors)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        _add(archive, _NAMES, np.array(_unique([name for name, _ in pairs]), dtype=np.str_))
        for index, (_, array) in enumerate(pairs):
            _add(archive, str(index), _plain(np.asarray(array)))
    return path


def read(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays by name, in the stored order. Raises ValueError or OSError for a file that is none or holds
    pickles.
    """
    with path.open("rb") as stream:
        try:
            stored = np.load(stream, allow_pickle=False)
        except (zipfile.BadZipFile, EOFError) as error:
            raise ValueError(str(error)) from error
        if not isinstance(stored, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array without a name")
        if _NAMES not in stored.files:
            return {name: stored[name] for name in stored.files}
        return {str(name): stored[str(index)] for index, name in enumerate(stored[_NAMES])}


def _add(archive: zipfile.ZipFile, name: str, array: NDArray[Any]) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
        np.lib.format.write_array(stream, array, allow_pickle=False)


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """Strings as fixed-width text, dtypes that numpy cannot store (bfloat16, float8) as their bits."""
    if array.dtype.kind == "O":
        return np.array(
            [
                item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
                for item in array.reshape(-1)
            ],
            dtype=np.str_,
        ).reshape(array.shape)
    if array.dtype.kind == "V" or array.dtype.num > 256:
        return array.view({1: np.uint8, 2: np.uint16, 4: np.uint32}[array.dtype.itemsize])
    return array


def _unique(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    result = []
    for name in names:
        count = seen.get(name, 0)
        seen[name] = count + 1
        result.append(name if not count else f"{name}#{count}")
    return result
