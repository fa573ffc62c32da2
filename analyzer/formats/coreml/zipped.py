"""Core ML models in zip archives: unpacked, with bounds, into a folder that goes with the model."""

from __future__ import annotations

import stat
import weakref
import zipfile
from collections.abc import Set
from pathlib import Path, PurePosixPath
from typing import IO

from ...errors import ModelError
from ...ir.model import Model
from ...processes.scratch import Scratch

_MOST_FILES = 10_000
_MOST_BYTES = 16 << 30
_RATIO = 200
"""How much larger than the archive its content may be: weights hardly shrink, a bomb grows a thousandfold."""
_SLACK = 64 << 20
_BLOCK = 1 << 20


def inside(names: Set[str]) -> str | None:
    """The path of the only Core ML model among the names of an archive: its folder (``""`` for the archive
    itself) or its file; None where there is none, or more than one.
    """
    homes = {name.rpartition("/")[0] for name in names if _marks(name)}
    homes = {home for home in homes if not any(_below(home, other) for other in homes)}
    files = {
        name for name in names if name.endswith(".mlmodel") and not any(_below(name, home) for home in homes)
    }
    found = [*homes, *files]
    return found[0] if len(found) == 1 else None


def _marks(name: str) -> bool:
    """Whether a file says that its folder is a package or a compiled model."""
    if name.startswith("__MACOSX/"):
        return False
    return name.rpartition("/")[2] in ("Manifest.json", "coremldata.bin")


def _below(name: str, home: str) -> bool:
    return name != home and (not home or name.startswith(f"{home}/"))


def unpacked(path: Path) -> tuple[Path, Scratch]:
    """The model of an archive as a file or folder, and what holds it. Raises ModelError."""
    try:
        with zipfile.ZipFile(path) as archive:
            where = inside(set(archive.namelist()))
            if where is None:
                raise ModelError(path, "a zip archive without a Core ML model, or with several", "unpack it")
            wanted = [item for item in archive.infolist() if _wanted(item.filename, where)]
            _check(path, wanted)
            scratch = Scratch("coreml-")
            for item in wanted:
                _unpack(path, archive, item, scratch.path)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(path, f"a damaged zip archive: {error}", "pack the model again") from error
    return scratch.path / where, scratch


def _wanted(name: str, where: str) -> bool:
    return not name.endswith("/") and (not where or name == where or name.startswith(f"{where}/"))


def _check(path: Path, items: list[zipfile.ZipInfo]) -> None:
    """Raises ModelError for names that lead out of the folder, links, and archives that are too much."""
    for item in items:
        pure = PurePosixPath(item.filename)
        if pure.is_absolute() or ".." in pure.parts or "\\" in item.filename or "\0" in item.filename:
            raise ModelError(path, f"{item.filename!r} lies outside the archive", "the archive is hostile")
        if stat.S_ISLNK(item.external_attr >> 16):
            raise ModelError(path, f"{item.filename!r} is a link", "pack the model without links")
    size, most = sum(item.file_size for item in items), path.stat().st_size * _RATIO + _SLACK
    if len(items) > _MOST_FILES or size > min(most, _MOST_BYTES):
        problem = f"{len(items)} files of {size} bytes in an archive of {path.stat().st_size}"
        raise ModelError(path, problem, "unpack it, and give the model inside")


def _unpack(path: Path, archive: zipfile.ZipFile, item: zipfile.ZipInfo, folder: Path) -> None:
    target = folder.joinpath(*PurePosixPath(item.filename).parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(item) as source, target.open("xb") as stream:
        if _copied(source, stream, item.file_size) != item.file_size:
            raise ModelError(path, f"{item.filename!r} is not as long as the archive says", "pack it again")


def _copied(source: IO[bytes], target: IO[bytes], most: int) -> int:
    """Copy, and stop where there is more than was said."""
    done = 0
    while done <= most and (block := source.read(_BLOCK)):
        done += len(block)
        target.write(block)
    return done


def held(model: Model, scratch: Scratch) -> Model:
    """The model, whose files go when it does."""
    weakref.finalize(model, scratch.close)
    return model
