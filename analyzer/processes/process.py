"""One other process under watch: started, spoken to over pipes, limited in time and memory, ended with all
that it started. The one place that starts processes.
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
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import memory as memories
from .ending import at_end

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

_POLL = 0.1
"""Seconds between two looks at the memory of a worker that is being waited for."""
_SEND = 120.0
"""Seconds for a worker to take a request: it may be importing."""
_TAIL = 8000
"""Bytes of what a runtime printed that are kept as its last words."""
_LINE = 1 << 30
"""Bytes of one line beyond which it is no answer."""
OUTSIDE = frozenset({"SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGXCPU", "SIGSTOP"})
"""Signals that a process is sent and does not bring upon itself."""

_spawners: dict[int, ThreadPoolExecutor] = {}
_lock = threading.Lock()
_alive: weakref.WeakSet[Process] = weakref.WeakSet()
_waited: weakref.WeakSet[Process] = weakref.WeakSet()
"""Those that are being waited for: when memory runs out, the largest of them is the one that takes it."""


class Process:
    """A worker: ``send`` a line, ``receive`` a line or learn how it ended.

    The command gets three arguments more: the descriptors to read requests from and to write answers to, and
    this process's id. Its standard output and error go to files in ``folder``, where its temporary files go
    too. It leads a process group of its own, so that its children go with it, and the kernel kills it when
    this process goes.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self._ended_here = False
        self._killed_by_system = memories.killed_by_system()
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        self._buffer = bytearray()
        arguments = [*command, str(to_read), str(to_write), str(os.getpid())]
        try:
            with (folder / "stdout").open("ab") as out, (folder / "stderr").open("ab") as err:
                self._popen = _spawner().submit(
                    subprocess.Popen, arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder,
                    env=_environment(folder, environment), pass_fds=(to_read, to_write),
                    start_new_session=True,
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

    def send(self, line: str, seconds: float = _SEND) -> bool:
        """False when the worker no longer reads, or not within that time."""
        data = memoryview(line.encode() + b"\n")
        deadline = time.monotonic() + seconds
        os.set_blocking(self._write, False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._write, selectors.EVENT_WRITE)
            while data:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return False
                try:
                    data = data[os.write(self._write, data) :]
                except BlockingIOError:
                    continue
                except OSError:
                    return False
        return True

    def receive(self, seconds: float, memory: int | None = None) -> str | None:
        """The next line, or None when the worker ended without one.

        Raises TimeoutError past the time limit, and MemoryError with the bytes used and allowed when it
        passes ``memory`` bytes of resident memory, or makes all processes together pass the limit for
        everything (``memory.limit``); the worker still lives.
        """
        deadline = time.monotonic() + seconds
        _waited.add(self)
        try:
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
                        if b"\n" in block:
                            break
                    self._hold_memory(memory)
        finally:
            _waited.discard(self)
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode("utf-8", "replace")

    def _hold_memory(self, memory: int | None) -> None:
        used = memories.group(self.pid)
        if memory is not None and used > memory:
            used = memories.unshared(self.pid)
            if used > memory:
                raise MemoryError(used, memory)
        limit = memories.limit()
        if len(self._buffer) > min(_LINE, limit // 4):
            raise MemoryError(len(self._buffer), min(_LINE, limit // 4))
        if memories.everything() <= limit or memories.unshared(os.getpid()) <= limit:
            return
        if used >= max((memories.group(other.pid) for other in list(_waited)), default=0):
            raise MemoryError(used, limit)

    def ended(self, patience: float = 5.0) -> End:
        """How it ended, after at most ``patience`` seconds of waiting and then a kill."""
        try:
            code = self._popen.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._popen.wait()
        return End.of(code, here=self._ended_here, killed_before=self._killed_by_system)

    def kill(self) -> None:
        """End it and all that it started now; harmless when it has ended."""
        self._ended_here = self._ended_here or self._popen.poll() is None
        end_all(self.pid, left=self._ended_here)
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

    def printed(self, since: Mapping[str, int] | None = None, limit: int = _TAIL) -> str:
        """The tail of what it printed, standard output first."""
        return "\n".join(
            text
            for name in ("stdout", "stderr")
            if (text := tail(self.folder / name, (since or {}).get(name, 0), limit))
        )


class Forked:
    """A copy of this process at work, spoken to in objects over ``pipe``. Like a ``Process`` it leads a group
    of its own, is tied to this one, leaves no core files and is ended with all that it started.

    It is forked where that is free (Linux; spawned elsewhere): what this process has imported and read, packs
    among it, is shared. A worker by command would read all of it again, in a tenth of a second or more.
    """

    def __init__(self, serve: Callable[..., None], *arguments: Any) -> None:
        import multiprocessing

        context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        self._killed_by_system = memories.killed_by_system()
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_at_work, args=(serve, theirs, os.getpid(), arguments), daemon=True
        )
        self._process.start()
        theirs.close()

    def close(self) -> None:
        """Kill it and what it started, and release the pipe; harmless when it has ended."""
        if self._process.is_alive() and self._process.pid is not None:
            end_all(self._process.pid, left=True)
        self._process.kill()
        self._process.join()
        self.pipe.close()

    def ended(self, patience: float = 0.5) -> End:
        """How it ended, after at most ``patience`` seconds of waiting and then a kill."""
        self._process.join(patience)
        code = self._process.exitcode
        self.close()
        return End.of(code or 0, here=code is None, killed_before=self._killed_by_system)


def _at_work(serve: Callable[..., None], pipe: Any, parent: int, arguments: tuple[Any, ...]) -> None:
    from .worker import prepare

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its processes itself
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # what it starts goes with it
    prepare(parent)
    serve(pipe, *arguments)


@dataclass(frozen=True, slots=True)
class End:
    """How a process ended: its return code (negative: the signal), and whether somebody else ended it."""

    code: int
    signal: str = ""
    outside: bool = False
    """A signal that nobody here sent and that no process brings upon itself."""
    short_of_memory: bool = False
    """The system ended it for want of memory, as far as that can be told."""

    @classmethod
    def of(cls, code: int, *, here: bool, killed_before: int) -> End:
        """What a return code means. ``here``: this program ended it; ``killed_before``: how many processes
        the system had killed for want of memory when it started (``memory.killed_by_system``).
        """
        name = signal_name(-code) if code < 0 else ""
        outside = name in OUTSIDE and not here
        return cls(code, name, outside, outside and memories.killed_by_system() > killed_before)

    @property
    def text(self) -> str:
        """``was ended by SIGKILL from outside (the system ran out of memory)``."""
        if not self.signal:
            return f"ended with exit status {self.code}"
        if not self.outside:
            return f"died of {self.signal}"
        why = "the system ran out of memory" if self.short_of_memory else "by the system or a person"
        return f"was ended by {self.signal} from outside ({why})"

    @property
    def advice(self) -> str:
        """What to do about an end from outside."""
        if not self.outside:
            return ""
        return "free memory, or set a limit with --memory" if self.short_of_memory else "run it again"


def end_all(pid: int, *, left: bool) -> None:
    """Kill the process group of a process now; with those that it started and that left the group, too."""
    started = memories.descendants(pid)[1:] if left else []
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    for other in started:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(other, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Done:
    """A program that ran to its end."""

    end: End
    out: str
    err: str


def complete(
    command: Sequence[str],
    seconds: float,
    *,
    memory: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Done:
    """Run a program that is no worker to its end, limited like one; what it prints is kept whole.

    Raises RuntimeFailure when it takes longer, needs more memory or cannot be started.
    """
    from pathlib import Path

    from ..errors import RuntimeFailure
    from .scratch import temporary

    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("worker.py")), "exec"]
    with temporary("program-") as folder:
        process = Process([*launcher, *command], folder, environment)
        try:
            process.receive(seconds, memory)
        except TimeoutError:
            raise RuntimeFailure(f"{command[0]} did not finish in {seconds:g} s") from None
        except MemoryError as error:
            allowed = memories.shown(error.args[1])
            raise RuntimeFailure(f"{command[0]} needed more than {allowed} of memory") from None
        else:
            end = process.ended()
        finally:
            process.close()
        return Done(end, *(tail(folder / name, 0, 1 << 24) for name in ("stdout", "stderr")))


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


def _environment(folder: Path, given: Mapping[str, str] | None) -> dict[str, str]:
    """With a place of its own for temporary files: a process that is killed cannot remove them itself."""
    place = folder / "tmp"
    place.mkdir(exist_ok=True)
    return {
        **(os.environ if given is None else given),
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(place)),
    }


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


def _forget() -> None:
    """A forked child has no part in its parent's workers."""
    _alive.clear()
    _waited.clear()


at_end(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
