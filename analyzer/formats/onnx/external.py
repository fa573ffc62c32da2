"""External tensor data: where it lies, and that it lies where it may."""

from __future__ import annotations

import mmap
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from ...errors import ModelError
from .wire import locations

if TYPE_CHECKING:
    from collections.abc import Mapping

LFS = b"version https://git-lfs.github.com/spec/"


def data_files(path: Path) -> set[Path]:
    """The files beside an ONNX model that it names as its data; none for a file that is no ONNX model."""
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return {path.parent / os.fsdecode(name) for name in locations(data, len(data))}
    except (OSError, ValueError):  # what is no protobuf is a ValueError
        return set()


@dataclass(slots=True)
class ExternalFiles:
    """The external data files of one model; each is looked at once and never read.

    A file must lie in the model's folder. Where the model is a symbolic link (the caches of model
    hubs), the folder of the file that it points to counts too.
    """

    model: Path
    sizes: dict[str, tuple[Path, int]] = field(default_factory=dict)

    def locate(self, tensor: str, entries: Mapping[str, str], need: int) -> tuple[Path, int]:
        """File and offset of a tensor of ``need`` bytes. Raises ModelError for every way in which it is not
        there.
        """
        location = entries.get("location", "")
        file, size = self.sizes.get(location) or self._open(tensor, location)
        offset = self._number(tensor, entries, "offset", 0)
        length = self._number(tensor, entries, "length", need)
        if length != need:
            raise self._error(
                f"tensor {tensor!r} needs {need} bytes and its external data has {length}",
                "export the model again",
            )
        if offset + length > size:
            problem = (
                f"tensor {tensor!r} needs bytes {offset} to {offset + length} of "
                f"{location!r}, which has {size}"
            )
            raise self._error(problem, "the file is cut off: copy or download it again")
        return file, offset

    def _number(self, tensor: str, entries: Mapping[str, str], key: str, default: int) -> int:
        text = entries.get(key)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or len(text) > 19:
            raise self._error(
                f"the external data of tensor {tensor!r} has the {key} {text[:40]!r}",
                "export the model again",
            )
        return int(text)

    def _open(self, tensor: str, location: str) -> tuple[Path, int]:
        advice = "external data must lie in the folder of the model: move it there and export again"
        parts = PurePosixPath(location.replace("\\", "/")).parts
        if not location or "\0" in location:
            raise self._error(
                f"the external data of tensor {tensor!r} has no location", "export the model again"
            )
        if PurePosixPath(location).is_absolute() or PureWindowsPath(location).anchor or ".." in parts:
            raise self._error(
                f"the external data of tensor {tensor!r} lies outside the model's folder: {location!r}",
                advice,
            )
        file = self.model.parent / location
        try:
            real = file.resolve(strict=True)
            folders = (self.model.parent.resolve(), self.model.resolve().parent)
            info = real.stat()
        except (OSError, RuntimeError) as error:
            raise self._error(
                f"the external data file {location!r} of tensor {tensor!r} is missing", f"put it at {file}"
            ) from error
        if not any(real.is_relative_to(folder) for folder in folders):
            raise self._error(
                f"the external data of tensor {tensor!r} lies outside the model's folder: "
                f"{location!r} is a link to {real}",
                advice,
            )
        if not stat.S_ISREG(info.st_mode):
            raise self._error(
                f"the external data {location!r} of tensor {tensor!r} is no file", "export the model again"
            )
        if info.st_size < 1024 and self._is_pointer(real):
            raise self._error(
                f"the external data {location!r} is a Git LFS pointer, not the data", "run 'git lfs pull'"
            )
        self.sizes[location] = (file, info.st_size)
        return self.sizes[location]

    def _is_pointer(self, file: Path) -> bool:
        try:
            with file.open("rb") as stream:
                return stream.read(len(LFS)) == LFS
        except OSError as error:
            raise self._error(
                f"the external data {file.name!r} cannot be opened: {error.strerror}", "check its permissions"
            ) from error

    def _error(self, problem: str, advice: str) -> ModelError:
        return ModelError(self.model, problem, advice)
