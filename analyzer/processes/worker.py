"""The child's side of ``process``, and the process that asks one runtime. Run by path: ``python worker.py
MODULE NAME FOLDER READ_FD WRITE_FD PARENT``, or ``python worker.py exec COMMAND... READ_FD WRITE_FD
PARENT``.

Requests and answers are JSON lines on two pipes of their own; standard output and error belong to the
runtime. It is run by path and sets up the package names itself, so that an environment without accelint can
run it, and so that no package's ``__init__`` is executed: a worker imports its runtime and little else.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
import types
from pathlib import Path
from typing import Any


def die_with_parent(parent: int) -> None:
    """Go when the parent goes, however it goes: the kernel sees to it on Linux, a look every second
    elsewhere.

    Processes that this one starts and abandons stay its own (Linux), so that they are counted and ended with
    it.
    """
    if sys.platform != "linux":
        if sys.platform != "win32":
            threading.Thread(target=_watch, args=(parent,), daemon=True).start()
        return
    import ctypes

    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != parent:
        os._exit(0)


_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def prepare(parent: int) -> None:
    """What every child does first: it is tied to its parent and leaves no core files, a thousand for a
    thousand models; the parent's own bound on memory is taken off, since the parent watches this process's.
    """
    die_with_parent(parent)
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def run_program(command: list[str], parent: int) -> None:
    """Become another program, tied to the parent."""
    prepare(parent)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]} cannot be started: {error.strerror}", file=sys.stderr)
        os._exit(127)


def _packages() -> None:
    """``accelint.analyzer`` and the packages in it as bare ones over their folders."""
    home = Path(__file__).resolve().parent.parent
    folders = {"accelint": [], "accelint.analyzer": [str(home)]}
    for init in home.rglob("__init__.py"):
        if init.parent != home:
            folders[".".join(("accelint.analyzer", *init.parent.relative_to(home).parts))] = [
                str(init.parent)
            ]
    for name, path in folders.items():
        module = types.ModuleType(name)
        module.__path__ = path
        sys.modules[name] = module


def main(module: str, name: str, folder: str, read_fd: int, write_fd: int, parent: int) -> None:
    """Answer requests until the pipe ends. Exceptions of the runtime are answers, never the end."""
    prepare(parent)
    sys.path[0:1] = []  # this file's folder, whose module names would hide others
    _packages()
    from accelint.analyzer.runtimes.answers import Answer, Request  # type: ignore[import-not-found, unused-ignore]

    with os.fdopen(write_fd, "w", buffering=1) as out, os.fdopen(read_fd) as requests:
        try:
            runtime = _module(module).open(name, Path(folder))
        except BaseException as error:
            answer = Answer("missing", reason=_brief(error), log=traceback.format_exc())
            print(json.dumps(answer.to_json()), file=out)
            return
        print(json.dumps({"ready": os.getpid()}), file=out)
        for line in requests:
            try:
                answer = runtime(Request.from_json(json.loads(line)))
            except MemoryError:
                answer = Answer("exhausted", reason="out of memory")
            except Exception as error:
                answer = Answer("failed", reason=_brief(error), log=traceback.format_exc())
            sys.stdout.flush()
            sys.stderr.flush()
            print(json.dumps(answer.to_json(), default=str), file=out)


def _module(name: str) -> Any:
    """A module of this package, or a file of its own by path."""
    from importlib import import_module, util

    if not name.endswith(".py"):
        return import_module(f"accelint.analyzer.runtimes.workers.{name}")
    spec = util.spec_from_file_location("accelint_runtime", name)
    if spec is None or spec.loader is None:
        raise ImportError(f"{name} is no Python file")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _brief(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip()[:2000]


if __name__ == "__main__" and sys.argv[1] == "exec":
    run_program(sys.argv[2:-3], int(sys.argv[-1]))
elif __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), int(sys.argv[6]))
