"""How this process ends: what it started and what it left in temporary folders goes with it.

``at_end`` names what has to be done. It is done when the interpreter ends, and, once ``watch_signals`` was
called, also for the signals whose default is to end a process on the spot (SIGTERM, SIGHUP, SIGQUIT). A
library has no business with the signals of its host, so only the command line calls that.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK", "SIGXCPU")
    if hasattr(signal, name)
)
_todo: list[Callable[[], None]] = []


def at_end(action: Callable[[], None]) -> None:
    """Let ``action`` be done when this process ends, the last named first; it must be harmless to do
    twice.
    """
    _todo.append(action)
    atexit.register(action)


def watch_signals() -> None:
    """Clean up before a signal ends this process; it still ends by that signal, so that its parent can tell.

    A signal that the parent had ignored (``nohup``) stays ignored.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)


def _end(number: int, frame: object) -> None:
    for action in reversed(_todo):
        with contextlib.suppress(Exception):
            action()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
