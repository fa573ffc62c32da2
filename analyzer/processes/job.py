"""One job in a child process: a request goes in, an answer or the way it ended comes out.

For work that needs a heavy package once (building a Keras model, a vendor's converter), or other people's
native code that may not end (``native``). Starting, limits, last words and ending are ``process``'s.

Run as ``python -P -m accelint.analyzer.processes.job MODULE READ_FD WRITE_FD PARENT``; MODULE has
``run(request) -> answer``.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from ..errors import JobFailed, RuntimeFailure, WorkerKilled
from .memory import shown
from .process import Process
from .scratch import Scratch, temporary

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Scratch", "run"]

SECONDS = 600.0
"""Default limit of wall time; that of memory is the one for everything (``memory.limit``)."""
_TAIL = 4000
_QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
    "PYTHONUNBUFFERED": "1",
}


def run(
    module: str, request: dict[str, Any], *, seconds: float = SECONDS, memory: int | None = None
) -> dict[str, Any]:
    """Let ``module.run(request)`` answer in a child process.

    Raises JobFailed when the module raised, WorkerKilled when somebody else ended the child, RuntimeFailure
    when it crashed, hung, grew past ``memory`` bytes (or everything past the limit for everything) or left
    without an answer; they carry its last words.
    """
    with temporary("job-") as folder:
        answer = _asked(module, request, folder, seconds, memory)
    if "error" in answer:
        raise JobFailed(str(answer["error"].get("message", "no reason given")), answer["error"])
    return answer


def _asked(
    module: str, request: dict[str, Any], folder: Path, seconds: float, memory: int | None
) -> dict[str, Any]:
    environment = {**os.environ, **_QUIET, "KERAS_HOME": str(folder / "keras")}
    process = Process([sys.executable, "-P", "-m", __name__, module], folder, environment)
    try:
        process.send(json.dumps(request))
        line = process.receive(seconds, memory)
        end = None if line is not None else process.ended()
    except TimeoutError:
        raise RuntimeFailure(
            f"the worker {module} did not finish in {seconds:g} s{_last_words(process)}"
        ) from None
    except MemoryError as error:
        allowed = shown(error.args[1])
        raise RuntimeFailure(
            f"the worker {module} needed more than {allowed} of memory (raise it with "
            f"--memory){_last_words(process)}"
        ) from None
    finally:
        process.close()
    if end is not None and end.outside:
        raise WorkerKilled(f"the worker {module} {end.text}: {end.advice}")
    answer = _parsed(line)
    if answer is None:
        how = "answered nothing that can be read" if end is None else f"{end.text} without an answer"
        raise RuntimeFailure(f"the worker {module} {how}{_last_words(process)}")
    return answer


def _parsed(line: str | None) -> dict[str, Any] | None:
    try:
        answer = json.loads(line or "")
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _last_words(process: Process) -> str:
    lines = [line for line in process.printed(limit=_TAIL).splitlines() if line.strip()][-6:]
    return ": " + " | ".join(lines) if lines else ""


# ---- in the child ------------------------------------------------------------------------


def main(module: str, read_fd: int, write_fd: int, parent: int) -> None:
    """Answer the one request; an exception is an answer too."""
    from .worker import prepare

    prepare(parent)
    from importlib import import_module

    with os.fdopen(read_fd, encoding="utf-8") as requests, os.fdopen(write_fd, "w", encoding="utf-8") as out:
        request = json.loads(requests.readline())
        try:
            answer = import_module(module).run(request)
        except Exception as error:
            told = {"type": type(error).__name__, "message": _brief(error)}
            answer = {"error": {**told, **getattr(error, "details", {})}}
        out.write(json.dumps(answer) + "\n")
        out.flush()
        sys.stdout.flush()
        os._exit(0)  # heavy packages take seconds to tear down


def _brief(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text if len(text) <= 4 * _TAIL else text[: 4 * _TAIL] + " ..."


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
