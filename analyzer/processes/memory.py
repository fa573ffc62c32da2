"""How much memory accelint may use, with all the processes that it starts: one limit, from the machine's
memory.

The limit is ``SHARE`` of what this process can get (the machine's memory, or less where a control group
allows less), or what ``--memory`` says. Children are watched against it while they are waited for
(``process``); this process is held to it by the kernel where it can be (``bound``), so that a model that
makes it grow ends in a MemoryError, which becomes an error with a message, and never in the system's
out-of-memory killer.
"""

from __future__ import annotations

import os
import re
import sys
import time
from functools import cache
from pathlib import Path

from ..errors import UsageError

SHARE = 0.75
"""Of the machine's memory; the rest is for the system and for files that are read."""
LEAST = 256 << 20
"""Bytes without which Python and numpy do not start."""
UNKNOWN = 8 << 30
"""Where the system does not tell."""
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_THREAD = 16 << 20
"""Address space that a thread's stack and heap take and hardly use: libraries start one a core."""
_FRESH = 0.1
"""Seconds for which the sum over all processes is not taken again."""

_given: int | None = None
_seen: tuple[float, int] = (0.0, 0)


def parse(text: str) -> int:
    """Bytes of ``4G``, ``512M``, ``1.5GiB`` or a plain number. Raises UsageError."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if found is None:
        raise UsageError(f"--memory {text!r} is no size: write 4G or 512M")
    value = int(float(found[1]) * _UNITS[found[2].upper()])
    if value < LEAST:
        raise UsageError(f"--memory {text!r} is less than the {shown(LEAST)} that accelint itself needs")
    return value


def shown(count: int) -> str:
    """Bytes for people, in the units that ``parse`` reads: ``512 MB``, ``11.7 GB``."""
    if count < 1 << 20:
        return f"{count} bytes"
    return f"{count / 2**20:.0f} MB" if count < 1 << 30 else f"{count / 2**30:.1f} GB"


def set_limit(value: int | None) -> None:
    """Use ``value`` bytes at most; None for the default."""
    global _given
    _given = value


def limit() -> int:
    """Bytes that this process and its children may use together."""
    return _given if _given is not None else max(LEAST, int(SHARE * machine()))


@cache
def machine() -> int:
    """Bytes that this process can get: the machine's memory, or its control group's where that is less."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        total = _windows() or UNKNOWN
    return min([total, *_control_groups()])


def _windows() -> int:
    import ctypes

    library = getattr(ctypes, "windll", None)
    if library is None:
        return 0
    state = (ctypes.c_uint64 * 8)()
    ctypes.cast(state, ctypes.POINTER(ctypes.c_uint32))[0] = ctypes.sizeof(state)
    return int(state[1]) if library.kernel32.GlobalMemoryStatusEx(ctypes.byref(state)) else 0


def _control_groups(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> list[int]:
    """The limits of this process's control group and of those around it, version 1 and 2."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found: list[int] = []
    for line in lines:
        _, controllers, path = ([*line.split(":", 2), "", ""])[:3]
        if not controllers:
            found += _limits(root, path, "memory.max")
        elif "memory" in controllers.split(","):
            found += _limits(root / "memory", path, "memory.limit_in_bytes")
    return found


def _limits(root: Path, path: str, name: str) -> list[int]:
    """From the group up to the root; in a container the path of the host may not be there, the root is."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    found = []
    for depth in range(len(parts), -1, -1):
        try:
            text = root.joinpath(*parts[:depth], name).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue
        if text.isdigit() and int(text):
            found.append(int(text))
    return found


def bound() -> None:
    """Let the kernel refuse this process more than the limit (Linux): a failed allocation, not a killed
    process.

    Memory-mapped model files do not count. Only the soft limit is set, and children take it off again
    (``worker``): theirs is watched from here.
    """
    if sys.platform != "linux":
        return
    import resource

    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    wanted = limit() + _THREAD * (os.cpu_count() or 1)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard < 0 else min(wanted, hard), hard))


# ---- what is in use ------------------------------------------------------------------------------


def group(pid: int) -> int:
    """Resident bytes of a process and its descendants; 0 where the system does not tell cheaply.

    Pages that several of them share count for each: an upper bound, see ``unshared``.
    """
    return sum(_resident(item) for item in descendants(pid))


def descendants(pid: int) -> list[int]:
    """The process and all that it started, directly or not."""
    found, todo = [], [pid]
    while todo:
        current = todo.pop()
        found.append(current)
        todo += _children(current)
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 (ten times a second)
    except OSError:
        return []
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children") as stream:  # noqa: PTH123
                children += map(int, stream.read().split())
        except (OSError, ValueError):
            continue
    return children


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as stream:  # noqa: PTH123
            return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def unshared(pid: int) -> int:
    """Bytes that a process and its descendants really hold: shared pages once, and none of mapped files.

    Dearer than ``group``: for the moment when that is over a limit.
    """
    total = 0
    for item in descendants(pid):
        try:
            text = Path(f"/proc/{item}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            total += _resident(item)
            continue
        fields = dict(re.findall(r"^(Pss_Anon|Pss_Shmem|Swap):\s+(\d+) kB", text, re.MULTILINE))
        total += sum(map(int, fields.values())) << 10 if fields else _resident(item)
    return total


def everything() -> int:
    """``group`` of this process, at most a tenth of a second old."""
    global _seen
    now = time.monotonic()
    if now - _seen[0] > _FRESH:
        _seen = (now, group(os.getpid()))
    return _seen[1]


def killed_by_system() -> int:
    """How often the system has ended a process for want of memory; 0 where it does not tell."""
    try:
        found = re.search(r"^oom_kill (\d+)$", Path("/proc/vmstat").read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0
