"""Temporary folders that do not outlive their owner.

All of a process's temporary folders lie in one, and a file in that is locked as long as the process lives.
They go when they are closed, when the process ends, and, when it was killed, with the next process that
makes one: a lock that can be had belongs to nobody who is alive. Locks tell that across containers too,
process ids would not.
"""

from __future__ import annotations

import os
import shutil
import time
import weakref
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OutputError
from .ending import at_end

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "accelint-"
OWNER = ".owner"
"""The locked file of an owned folder."""
_YOUNG = 60.0
"""Seconds before a folder without a lock counts as left behind: its owner may be about to lock it."""
_owned: dict[Path, tuple[int, int]] = {}
"""Folders of this process: who made it (a forked child is another process), and the locked file."""


class Scratch:
    """A folder that lives as long as this object, or this process."""

    def __init__(self, prefix: str = "work-") -> None:
        self.path = make(prefix)
        self._end = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def close(self) -> None:
        """Remove it now."""
        self._end()


@contextmanager
def temporary(prefix: str = "work-") -> Iterator[Path]:
    """A folder for the length of a ``with`` block."""
    path = make(prefix)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def make(prefix: str = "work-") -> Path:
    """A new folder; the caller removes it, or it goes with this process. Raises OutputError."""
    import tempfile  # with random and hashes behind it: for what writes

    try:
        return Path(tempfile.mkdtemp(prefix=prefix, dir=home()))
    except OSError as error:
        raise OutputError(
            f"no temporary folder can be made in {tempfile.gettempdir()}: {error.strerror} "
            "(free some space there, or name another place with TMPDIR)"
        ) from error


def home() -> Path:
    """The folder that holds all others of this process. A forked child uses that of its parent, which
    removes it however the child ends.
    """
    for path in _owned:
        if path.name.startswith(PREFIX) and path.is_dir():
            return path
    import tempfile

    place = Path(tempfile.gettempdir())
    sweep(place, PREFIX)
    return owned(place, PREFIX)


def owned(place: Path, prefix: str) -> Path:
    """A new folder in ``place`` that goes with this process, however that ends. Raises OSError."""
    import tempfile

    path = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    descriptor = os.open(path / OWNER, os.O_CREAT | os.O_RDWR, 0o600)
    _lock(descriptor)
    _owned[path] = (os.getpid(), descriptor)
    return path


def release(path: Path) -> None:
    """Remove an owned folder."""
    shutil.rmtree(path, ignore_errors=True)
    _, descriptor = _owned.pop(path, (0, -1))
    with suppress(OSError):
        os.close(descriptor)


def sweep(place: Path, prefix: str) -> None:
    """Remove the owned folders of processes that are gone; those of other users stay."""
    with suppress(OSError):
        for entry in list(os.scandir(place)):
            if entry.name.startswith(prefix) and entry.is_dir(follow_symlinks=False):
                _sweep(Path(entry.path))


def _sweep(path: Path) -> None:
    with suppress(OSError):
        if hasattr(os, "getuid") and path.stat().st_uid != os.getuid():
            return
        owner = path / OWNER
        if path in _owned or not owner.is_file():
            return
        if time.time() - owner.stat().st_mtime < _YOUNG and not owner.stat().st_size:
            return
        descriptor = os.open(owner, os.O_RDWR)
        try:
            if _lock(descriptor):
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock a file and leave a mark that it was; False where another process holds it."""
    try:
        import fcntl
    except ImportError:  # Windows keeps open files from being removed, which serves as well
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    with suppress(OSError):
        os.pwrite(descriptor, b"locked\n", 0)
    return True


def remove_all() -> None:
    """Remove every folder of this process (a forked child leaves its parent's alone)."""
    for path in [path for path, (pid, _) in _owned.items() if pid == os.getpid()]:
        release(path)


at_end(remove_all)
