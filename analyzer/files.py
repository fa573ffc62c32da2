"""Files: digests and atomic writes."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UsageError


def sha256(path: Path) -> str:
    """Digest of a file, or of a folder's relative names and contents in sorted order."""
    digest = hashlib.sha256()
    if path.is_file():
        _feed(digest, path)
        return digest.hexdigest()
    for file in sorted(item for item in path.rglob("*") if item.is_file()):
        digest.update(file.relative_to(path).as_posix().encode() + b"\0")
        _feed(digest, file)
    return digest.hexdigest()


def total_size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(item.stat().st_size for item in path.rglob("*") if item.is_file())


def _feed(digest: hashlib._Hash, path: Path) -> None:
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)


def same_file(left: Path, right: Path) -> bool:
    """Whether two paths name one existing file or folder."""
    return left.exists() and right.exists() and left.samefile(right)


@contextmanager
def atomic(target: Path, *, source: Path | None = None, folder: bool = False) -> Iterator[Path]:
    """Give a path beside ``target`` to write to; it becomes ``target`` only when the block ends well.

    Raises UsageError when ``target`` is ``source`` (outputs are never written over the input) or its folder
    is missing or closed.
    """
    if source is not None and same_file(source, target):
        raise UsageError(f"{target} is the input: give another output path")
    parent = target.absolute().parent
    if not parent.is_dir():
        raise UsageError(f"the folder {parent} does not exist: create it, or give another output path")
    if target.is_dir() and not folder:
        raise UsageError(f"{target} is a folder: give the path of a file")
    import tempfile  # with random and hashes behind it: for what writes

    try:
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name[:100]}.", dir=parent))
    except OSError as error:
        raise UsageError(
            f"the folder {parent} cannot be written to ({error.strerror}): give another output path"
        ) from error
    try:
        draft = scratch / target.name
        if folder:
            draft.mkdir()
        yield draft
        if folder and target.is_dir():
            shutil.rmtree(target)
        draft.replace(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
