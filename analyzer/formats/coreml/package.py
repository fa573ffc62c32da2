"""The files of a Core ML model: the package's manifest and the weight files.

Sources: coremltools ``modelpackage`` (Manifest.json) and ``mlmodel/src/MILBlob/Blob/StorageFormat.hpp``
(weights).
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path, PurePosixPath
from typing import Any

from ...errors import ModelError
from ...ir.dtypes import BITS
from ...ir.graph import Constant

_MANIFEST_LIMIT = 16 << 20
_HEADER = struct.Struct("<II56x")
_METADATA = struct.Struct("<IIQQQ32x")
_SENTINEL = 0xDEADBEEF
BLOB_DTYPES = {
    1: "float16",
    2: "float32",
    3: "uint8",
    4: "int8",
    5: "bfloat16",
    6: "int16",
    7: "uint16",
    8: "int4",
    9: "uint1",
    10: "uint2",
    11: "uint4",
    12: "uint3",
    13: "uint6",
    14: "int32",
    15: "uint32",
    16: "float8e4m3fn",
    17: "float8e5m2",
}
"""``BlobDataType`` of the blob storage format."""
ODD_BITS = {"uint1": 1, "uint3": 3, "uint6": 6}
"""Widths that only compressed weights have."""


def inside(root: Path, relative: str, owner: Path, what: str) -> Path:
    """The file of that relative POSIX path under ``root``; raises ModelError when it leads out of it."""
    pure = PurePosixPath(relative)
    if not relative or "\0" in relative or pure.is_absolute() or ".." in pure.parts:
        raise ModelError(
            owner, f"{what} {relative!r} lies outside the model's folder", "the package is damaged or hostile"
        )
    found = root.joinpath(*pure.parts)
    if not found.resolve().is_relative_to(root.resolve()):
        raise ModelError(
            owner,
            f"{what} {relative!r} is a link out of the model's folder",
            "the package is damaged or hostile",
        )
    return found


def root_model(package: Path) -> Path:
    """The specification file that an ``.mlpackage`` names as its root model. Raises ModelError."""
    manifest = _manifest(package)
    entries, root = manifest.get("itemInfoEntries"), manifest.get("rootModelIdentifier")
    if not isinstance(entries, dict) or not isinstance(root, str):
        raise ModelError(
            package,
            "Manifest.json has no itemInfoEntries or no rootModelIdentifier",
            "save the package again",
        )
    entry = entries.get(root)
    path = entry.get("path") if isinstance(entry, dict) else None
    if not isinstance(path, str):
        raise ModelError(
            package,
            f"Manifest.json has no entry with a path for its root model {root!r}",
            "save the package again",
        )
    found = inside(package / "Data", path, package, "the root model's path")
    if found.is_dir():
        raise ModelError(
            package, f"its root model {path!r} is a folder", "give a package that was not compiled"
        )
    if not found.is_file():
        raise ModelError(package, f"its root model Data/{path} is missing", "copy the whole package")
    return found


def _manifest(package: Path) -> dict[str, Any]:
    file = package / "Manifest.json"
    try:
        if file.stat().st_size > _MANIFEST_LIMIT:
            raise ModelError(package, "Manifest.json is larger than 16 MiB", "the package is damaged")
        manifest = json.loads(file.read_bytes())
    except OSError as error:
        raise ModelError(
            package, f"Manifest.json cannot be read: {error.strerror}", "copy the whole package"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(package, f"Manifest.json is not JSON: {error}", "save the package again") from error
    if not isinstance(manifest, dict):
        raise ModelError(package, "Manifest.json holds no object", "save the package again")
    return manifest


class Blobs:
    """The weight files of one model; opened when a value in them is met, and read no further than its
    metadata.
    """

    def __init__(self, model: Path, owner: Path) -> None:
        """``@model_path`` in a value's file name is the folder of the specification ``model``; errors name
        ``owner``.
        """
        self._root = model.parent
        self._owner = owner
        self._sizes: dict[str, tuple[Path, int]] = {}

    def constant(self, name: str, offset: int, dtype: str, shape: tuple[int, ...]) -> Constant:
        """The value whose metadata stand at ``offset``. Raises ModelError when file, metadata and type do not
        agree.
        """
        file, size = self._open(name)
        if offset % 64 or offset < _HEADER.size or offset + _METADATA.size > size:
            raise self._error(name, f"a value's metadata at byte {offset} of {size}")
        with file.open("rb") as stream:
            data = os.pread(stream.fileno(), _METADATA.size, offset)
        sentinel, kind, length, start, padding = _METADATA.unpack(data)
        if sentinel != _SENTINEL:
            raise self._error(name, f"no value at byte {offset}")
        if start + length > size or start < offset:
            raise self._error(name, f"the value at byte {offset} ends at {start + length} of {size}")
        stored = BLOB_DTYPES.get(kind, f"type {kind}")
        if stored != dtype and dtype != "bool":
            raise self._error(name, f"the value at byte {offset} is {stored} and the model says {dtype}")
        _check_length(self._owner, name, offset, dtype, shape, length, padding)
        return Constant(dtype, shape, file=file, offset=start, length=length)

    def _open(self, name: str) -> tuple[Path, int]:
        if name not in self._sizes:
            self._sizes[name] = self._inspect(name)
        return self._sizes[name]

    def _inspect(self, name: str) -> tuple[Path, int]:
        relative = name.removeprefix("@model_path/")
        file = inside(self._root, relative, self._owner, "a weight file's path")
        if not file.is_file():
            raise ModelError(self._owner, f"the weight file {relative} is missing", "copy the whole package")
        with file.open("rb") as stream:
            head = stream.read(_HEADER.size)
        if head.startswith(b"version https://git-lfs"):
            raise ModelError(
                self._owner, f"the weight file {relative} is a Git LFS pointer", "run 'git lfs pull'"
            )
        if len(head) < _HEADER.size:
            raise self._error(name, "a file shorter than its header")
        _, version = _HEADER.unpack(head)
        if version != 2:
            raise self._error(name, f"storage version {version}")
        return file, file.stat().st_size

    def _error(self, name: str, found: str) -> ModelError:
        return ModelError(
            self._owner,
            f"the weight file {name} is damaged: {found}",
            "copy the whole package, or export it again",
        )


def _check_length(
    owner: Path, name: str, offset: int, dtype: str, shape: tuple[int, ...], length: int, padding: int
) -> None:
    bits = ODD_BITS.get(dtype) or BITS.get(dtype)
    if bits is None:
        raise ModelError(owner, f"the weight file {name} holds a value of type {dtype}", "export it again")
    count = 1
    for dim in shape:
        count *= dim
    needed = count * bits
    if not needed <= length * 8 <= needed + max(padding, 7):
        problem = (
            f"the value at byte {offset} of {name} has {length} bytes, and {dtype} of "
            f"shape {shape} needs {(needed + 7) // 8}"
        )
        raise ModelError(owner, problem, "the package is damaged: export it again")
