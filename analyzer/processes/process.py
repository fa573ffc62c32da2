"""One worker process under watch: started, spoken to over pipes, limited in time and memory, and killed as a
group.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_POLL = 0.1
"""Seconds between two looks at the memory of a worker that is being waited for."""
_TAIL = 8000
"""Bytes of what a runtime printed that are kept as its last words."""

_spawners: dict[int, ThreadPoolExecutor] = {}
_lock = threading.Lock()
_alive: weakref.WeakSet[Process] = weakref.WeakSet()


class Process:
    """A worker: ``send`` a line, ``receive`` a line or learn how it ended.

    Its standard output and error go to files in ``folder``. It leads a process group of its own, so that its
    children go with it, and the kernel kills it when this process goes.
    """

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        self._buffer = b""
        arguments = [*command, str(to_read), str(to_write), str(os.getpid())]
        try:
            with (folder / "stdout").open("ab") as out, (folder / "stderr").open("ab") as err:
                self._popen = _spawner().submit(
                    subprocess.Popen, arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder,
                    env=dict(environment), pass_fds=(to_read, to_write), start_new_session=True,
                ).result()  # fmt: skip
        except BaseException:
            os.close(self._write)
            os.close(self._read)
            raise
        finally:
            os.close(to_read)
            os.close(to_write)
        _alive.add(self)

    @property
    def pid(self) -> int:
        """Process id, also of its group."""
        return self._popen.pid

    def send(self, line: str) -> bool:
        """False when the worker no longer reads."""
        data = line.encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._write, data) :]
        except OSError:
            return False
        return True

    def receive(self, seconds: float, memory: int) -> str | None:
        """The next line, or None when the worker ended without one.

        Raises TimeoutError past the time limit and MemoryError past ``memory`` bytes of resident memory; the
        worker still lives.
        """
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._read, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                if selector.select(min(_POLL, left)):
                    block = os.read(self._read, 1 << 20)
                    if not block:
                        return None
                    self._buffer += block
                resident = group_memory(self.pid)
                if resident > memory:
                    raise MemoryError(resident)
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode("utf-8", "replace")

    def ended(self, patience: float = 5.0) -> int:
        """Its return code (negative: the signal), after at most ``patience`` seconds of waiting and then a
        kill.
        """
        try:
            return self._popen.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._popen.wait()

    def kill(self) -> None:
        """End the whole group now; harmless when it has ended."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()

    def close(self) -> None:
        """Kill it and release the pipes."""
        self.kill()
        for fd in (self._read, self._write):
            with contextlib.suppress(OSError):
                os.close(fd)
        self._read = self._write = -1
        _alive.discard(self)

    def mark(self) -> dict[str, int]:
        """Where its output ends now; ``printed`` gives what came after."""
        return {name: (self.folder / name).stat().st_size for name in ("stdout", "stderr")}

    def printed(self, since: Mapping[str, int]) -> str:
        """The tail of what it printed, standard output first."""
        return "\n".join(
            text for name in ("stdout", "stderr") if (text := tail(self.folder / name, since[name]))
        )


def tail(path: Path, start: int = 0, limit: int = _TAIL) -> str:
    """The last ``limit`` bytes of a file after ``start``, as text."""
    with path.open("rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        stream.seek(max(start, end - limit))
        return stream.read().decode("utf-8", "replace").strip()


def signal_name(number: int) -> str:
    """``SIGSEGV`` for 11."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def group_memory(pid: int) -> int:
    """Resident bytes of a process and its descendants; 0 where the system does not tell cheaply."""
    total, todo = 0, [pid]
    while todo:
        current = todo.pop()
        try:
            with open(f"/proc/{current}/statm") as stream:  # noqa: PTH123 (ten times a second)
                total += int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            with open(f"/proc/{current}/task/{current}/children") as stream:  # noqa: PTH123
                todo += map(int, stream.read().split())
        except (OSError, ValueError, IndexError):
            continue
    return total


def _spawner() -> ThreadPoolExecutor:
    """The thread that starts workers: the kernel ties a worker to the thread that started it, so it must be
    one that stays.
    """
    with _lock:
        found = _spawners.get(os.getpid())
        if found is None:
            found = _spawners[os.getpid()] = ThreadPoolExecutor(1, thread_name_prefix="accelint-spawner")
        return found


def close_all() -> None:
    """Kill every worker of this process (used at exit and by tests)."""
    for process in list(_alive):
        process.close()


if sys.platform != "win32":
    import atexit

    atexit.register(close_all)
