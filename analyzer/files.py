"""Files: digests, and outputs, which are written whole or not at all and never over an input.

The one place that opens a file of the user's for writing.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import OutputError, UsageError
from .processes.scratch import owned, release, sweep, temporary


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
    try:
        return left.samefile(right)
    except (OSError, ValueError):
        return False


# ---- what must not be written over ---------------------------------------------------------------


Companions = Callable[[Path], Iterable[Path]]
"""The files that a model names as parts of it."""


def protect(
    outputs: Iterable[Path], inputs: Iterable[Path], companions: Companions = lambda model: ()
) -> None:
    """Raise UsageError when an output is one of the inputs under whatever name: another spelling, a link, a
    file of an input's folder or of its package, or one of its ``companions`` (an ONNX model's external
    data).
    """
    read = list(inputs)
    for output in outputs:
        for item in read:
            if not _is_part(output, item, companions):
                continue
            what = "holds" if _inside(item, output) else "is part of"
            what = "is the input" if same_file(output, item) else f"{what} the input {item}"
            raise UsageError(f"{output} {what}: give another output path")


def _is_part(output: Path, item: Path, companions: Companions) -> bool:
    try:
        return _same_or_inside(output, item) or _is_companion(output, item, companions)
    except (OSError, ValueError):  # such a path cannot be written: writing tells
        return False


def _same_or_inside(output: Path, item: Path) -> bool:
    if same_file(output, item) or _inside(item, output):
        return True
    roots = [item] if item.is_dir() else _around(item)
    return any(_inside(output, root) or _linked(output, root) for root in roots)


def _is_companion(output: Path, item: Path, companions: Companions) -> bool:
    """Asked only when there is something to write over."""
    return output.is_file() and item.is_file() and any(same_file(output, data) for data in companions(item))


def _inside(path: Path, folder: Path) -> bool:
    """Whether the path is in the folder, or would be when it is made."""
    try:
        return folder.is_dir() and path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        return False


def _around(item: Path) -> list[Path]:
    """The folders that make one model with a file: its Core ML package, a SavedModel's variables and
    assets.
    """
    real = item.resolve()
    packages = [parent for parent in real.parents if (parent / "Manifest.json").is_file()]
    if real.name in ("saved_model.pb", "saved_model.pbtxt"):
        packages += [real.parent / name for name in ("variables", "assets", "assets.extra")]
    return packages


def _linked(output: Path, folder: Path) -> bool:
    """Whether an existing output is a hard link to a file of the folder."""
    try:
        state = output.stat()
    except OSError:
        return False
    if state.st_nlink < 2 or not stat.S_ISREG(state.st_mode):
        return False
    return any(same_file(output, file) for file in folder.rglob("*") if file.is_file())


# ---- writing -------------------------------------------------------------------------------------


@contextmanager
def atomic(target: Path, *, source: Path | None = None, folder: bool = False) -> Iterator[Path]:
    """Give a path to write to; what was written becomes ``target`` only when the block ends well.

    A device, a pipe or an open descriptor (``/dev/stdout``) is written into at the end and never replaced; a
    symbolic link stays one, and the file behind it is replaced.

    Raises UsageError when ``target`` is ``source`` or part of it, or its folder is missing, and OutputError
    for what the system does not let be written: a full disk, a closed folder, a name that is too long.
    """
    if source is not None:
        protect([target], [source])
    with _told(target):
        if is_stream(target):
            if folder:
                raise UsageError(f"{target} is a device or a pipe, and a folder is to be written")
            with temporary("output-") as place:
                draft = place / (target.name or "draft")
                yield draft
                _pour(draft, target)
            return
        yield from _replacing(_real(target), target, folder)


def is_stream(target: Path) -> bool:
    """Whether the path names something that is written into: a device, a pipe, an open descriptor."""
    if _descriptor(target) is not None:
        return True
    try:
        mode = target.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


_OPEN = re.compile(r"/(?:dev/fd|proc/(?:self|thread-self|\d+)/fd)/(\d+)")
_LINKS = 40


def _descriptor(target: Path) -> int | None:
    """The descriptor of this process that a path like ``/dev/stdout`` names; opening the path again would
    begin at the start of a file that is already being written.
    """
    path = os.path.abspath(target)  # noqa: PTH100 (links are followed one by one)
    for _ in range(_LINKS):
        found = _OPEN.fullmatch(path)
        if found is not None:
            return (
                int(found[1])
                if "/proc/" not in path or f"/{os.getpid()}/" in path or "self" in path
                else None
            )
        try:
            path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))  # noqa: PTH115, PTH118, PTH120
        except (OSError, ValueError):
            return None
    return None


def _pour(draft: Path, target: Path) -> None:
    """Write a draft into a device, a pipe or a descriptor; a reader that went away has seen enough."""
    number = _descriptor(target)
    sys.stdout.flush()
    with suppress(BrokenPipeError), draft.open("rb") as stream:
        descriptor = (
            os.open(target, os.O_WRONLY | getattr(os, "O_NOCTTY", 0)) if number is None else os.dup(number)
        )
        with io.FileIO(descriptor, "w") as into:
            while block := stream.read(1 << 20):
                view = memoryview(block)
                while view:
                    view = view[into.write(view) or 0 :]


def _real(target: Path) -> Path:
    """Behind symbolic links. Raises UsageError for links that lead nowhere."""
    try:
        return target.resolve() if target.is_symlink() else target.absolute()
    except RuntimeError as error:
        raise UsageError(f"{target} is a link that leads back to itself: give another output path") from error


def _replacing(place: Path, target: Path, folder: bool) -> Iterator[Path]:
    parent = place.parent
    if not parent.is_dir():
        raise UsageError(f"the folder {parent} does not exist: create it, or give another output path")
    if place.is_dir() and not folder:
        raise UsageError(f"{target} is a folder: give the path of a file")
    if folder and place.exists() and not place.is_dir():
        raise UsageError(f"{target} is a file, and a folder is to be written: give another output path")
    prefix = f".{os.fsdecode(os.fsencode(place.name)[:80])}.accelint-"
    sweep(parent, prefix)
    try:
        scratch = owned(parent, prefix)
    except OSError as error:
        raise OutputError(
            f"the folder {parent} cannot be written to ({error.strerror}): give another output path"
        ) from error
    try:
        draft = scratch / place.name
        if folder:
            draft.mkdir()
        yield draft
        _exchange(draft, place, scratch / "before")
    finally:
        release(scratch)


def _exchange(draft: Path, place: Path, before: Path) -> None:
    """Put a draft in its place; a folder that is there goes only when the new one is in place."""
    if not place.is_dir():
        if place.exists():
            shutil.copymode(place, draft)
        draft.replace(place)
        return
    place.rename(before)
    try:
        draft.rename(place)
    except OSError:
        before.rename(place)
        raise


_ADVICE = {
    errno.ENOSPC: "free some space, or give another output path",
    errno.EDQUOT: "free some space, or give another output path",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or give another output path",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EROFS: "give another output path",
}
"""What to do about errors that only writing brings."""


@contextmanager
def _told(target: Path) -> Iterator[None]:
    """Errors of writing as OutputError; others, of reading, go on upwards."""
    try:
        yield
    except OSError as error:
        named = str(error.filename or "")
        ours = error.errno in _ADVICE or str(target) in named or f".{target.name}" in named
        if not ours and error.filename is not None:
            raise
        advice = _ADVICE.get(error.errno or 0, "give another output path")
        raise OutputError(f"{target} cannot be written: {error.strerror or error} ({advice})") from error
