"""One job in a child process: a request goes in, an answer or the way it ended comes out.

For work that needs a heavy package once (building a Keras model, a vendor's converter). Request and answer
are JSON files in a folder of the job's own; what the packages print goes to other files there. The child
leads a process group that dies with the job and with this process.

Run as ``python -P -m accelint.analyzer.processes.job MODULE FOLDER PARENT``; MODULE has ``run(request) ->
answer``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import JobRefused, RuntimeFailure

SECONDS = 600.0
MEMORY = 12 << 30
"""Default limits: wall time, and resident bytes of the child and its children."""
_POLL = 0.05
_TAIL = 4000
_QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
    "PYTHONUNBUFFERED": "1",
}


class Scratch:
    """A folder that lives as long as this object, or this process."""

    def __init__(self, prefix: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        self._end = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def run(
    module: str, request: dict[str, Any], *, seconds: float = SECONDS, memory: int = MEMORY
) -> dict[str, Any]:
    """Let ``module.run(request)`` answer in a child process.

    Raises JobRefused when the module raised, RuntimeFailure when the child crashed, hung, grew past
    ``memory`` bytes or left without an answer; both carry its last words.
    """
    with tempfile.TemporaryDirectory(prefix="accelint-job-") as name:
        folder = Path(name)
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        code = _watched(module, folder, seconds, memory)
        answer = _answer(folder)
        if answer is None:
            raise RuntimeFailure(
                f"the worker {module} {_ending(code)} without an answer{_last_words(folder)}"
            )
    if "error" in answer:
        raise JobRefused(str(answer["error"].get("message", "no reason given")), answer["error"])
    return answer


def _watched(module: str, folder: Path, seconds: float, memory: int) -> int:
    """Run the child to its end; returns its return code."""
    environment = {**os.environ, **_QUIET, "KERAS_HOME": str(folder / "keras")}
    command = [sys.executable, "-P", "-m", __name__, module, str(folder), str(os.getpid())]
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
    deadline = time.monotonic() + seconds
    try:
        while True:
            try:
                return child.wait(_POLL)
            except subprocess.TimeoutExpired:
                pass
            if time.monotonic() > deadline:
                raise RuntimeFailure(
                    f"the worker {module} did not finish in {seconds:g} s{_last_words(folder)}"
                )
            if resident(child.pid) > memory:
                raise RuntimeFailure(
                    f"the worker {module} needed more than {memory / 1e9:.1f} GB of "
                    f"memory{_last_words(folder)}"
                )
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    child.kill()
    child.wait()


def resident(pid: int) -> int:
    """Resident bytes of a process; 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _answer(folder: Path) -> dict[str, Any] | None:
    try:
        answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _last_words(folder: Path) -> str:
    text = ""
    for name in ("stdout", "stderr"):
        data = (folder / name).read_bytes()[-_TAIL:] if (folder / name).is_file() else b""
        text += data.decode("utf-8", "replace")
    lines = [line for line in text.splitlines() if line.strip()][-6:]
    return ": " + " | ".join(lines) if lines else ""


# ---- in the child ------------------------------------------------------------------------


def main(module: str, folder: Path, parent: int) -> None:
    """Answer the request in ``folder``; an exception is an answer too."""
    _die_with(parent)
    from importlib import import_module

    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    try:
        answer = import_module(module).run(request)
    except Exception as error:
        answer = {
            "error": {"type": type(error).__name__, "message": _brief(error), **getattr(error, "details", {})}
        }
    draft = folder / "answer.part"
    draft.write_text(json.dumps(answer), encoding="utf-8")
    draft.replace(folder / "answer.json")
    sys.stdout.flush()
    os._exit(0)  # heavy packages take seconds to tear down


def _brief(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text if len(text) <= 4 * _TAIL else text[: 4 * _TAIL] + " ..."


def _die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent goes (Linux)."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
