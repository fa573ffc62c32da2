"""A conversation with one runtime: requests go in, typed answers come out, whatever happens to the worker."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..processes import scratch
from ..processes.memory import shown
from ..processes.process import Process
from . import catalog
from .answers import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

START_SECONDS = 120.0
"""How long a runtime may take to import."""
TIMEOUT = 300.0
"""Default seconds for one request."""


class Session:
    """Keeps one worker alive from request to request and replaces it after a crash, hang or kill. One thread
    at a time.

    Args:
        name: a runtime with or without a variant, ``onnxruntime/qnn:sm8650``.
        timeout: seconds for one request.
        memory: bytes of resident memory of the worker and its children, where that is to be less than the
            limit for everything (``processes.memory``).
        module: a Python file to run as the worker in place of the runtime's own module.
        packages: folders of packages (``pip install --target``) that the worker finds before its own: another
            release than the installed one.

    Raises UsageError for an unknown name. A missing package is an answer (``missing``), not an error.

        with Session("litert/gpu") as session:
            answer = session.ask(Request(Path("model.tflite")))
    """

    def __init__(
        self,
        name: str,
        *,
        timeout: float = TIMEOUT,
        memory: int | None = None,
        module: str | None = None,
        packages: Sequence[Path] = (),
    ) -> None:
        self.runtime, self.variant = catalog.find(name)
        self.name = name
        self.timeout = timeout
        self.memory = memory
        self.starts = 0
        self._module = module or self.runtime.module
        self._packages = packages
        self._process: Process | None = None
        self._folder: Path | None = None
        self._identity = ""
        self._known: dict[str, bool] = {}
        self._served = 0

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, request: Request) -> Answer:
        """One answer, always. Interrupting (Ctrl-C) kills the worker and goes on upwards."""
        try:
            answer = self._ask(request)
            if self._tainted(answer):
                self._drop()
                answer = self._ask(request)
            return self._probed(request, answer) if "probe" in answer.notes else answer
        except BaseException:
            self._drop()
            raise

    def close(self) -> None:
        """End the worker and remove its files, outputs included."""
        self._drop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    @property
    def pid(self) -> int | None:
        """Of the worker, while there is one."""
        return None if self._process is None else self._process.pid

    def _tainted(self, answer: Answer) -> bool:
        """Whether earlier requests to the same worker may have had a part in the answer, so that a fresh one
        must be asked.

        Memory that a runtime leaks adds up, a crash may be the late end of an earlier mistake, and some
        reasons for a refusal are printed once per process.
        """
        return self._served > 1 and (
            answer.status in ("crashed", "killed", "exhausted") or bool(answer.notes.get("unexplained"))
        )

    def _probed(self, request: Request, answer: Answer) -> Answer:
        """Ask about the small models that the worker cut out of this one, then about this one again with what
        they told.
        """
        from .workers.litert_gpu import accepted

        for key, path in answer.notes["probe"].items():
            self._known[key] = accepted(self._ask(Request(Path(path), options={"alone": True})))
        return self._ask(replace(request, options={**request.options, "known": self._known, "alone": True}))

    @property
    def _full_name(self) -> str:
        return f"{self.runtime.name}:{self.variant}" if self.variant else self.runtime.name

    def _ask(self, request: Request) -> Answer:
        _hold_name(request.model)
        absent = self._absent()
        if absent is not None:
            return absent
        process = self._process
        if process is None:
            process, problem = self._start()
            if problem is not None:
                return problem
        self._served += 1
        since = process.mark()
        answer = self._answer(process, json.dumps(request.to_json()), since)
        if answer.status in ("crashed", "killed", "hung", "exhausted", "garbage"):
            self._drop()
        return replace(answer, runtime=answer.runtime or self._identity)

    def _absent(self) -> Answer | None:
        if self._process is not None or self._module != self.runtime.module or self._packages:
            return None
        info = catalog.info(self.runtime)
        if info.available:
            self._identity = catalog.identity(self.runtime)
            return None
        return Answer("missing", reason=f"{self.name} needs {info.missing}", advice=info.command)

    def _start(self) -> tuple[Process, None] | tuple[Process, Answer]:
        if self._folder is None:
            self._folder = scratch.make("session-")
        worker = Path(__file__).parent.parent / "processes" / "worker.py"
        python = sys.executable if self._packages else catalog.python_of(self.runtime)
        command = [str(python), str(worker), self._module, self._full_name, str(self._folder)]
        process = self._process = Process(command, self._folder, self._environment())
        self._served = 0
        self.starts += 1
        since = {"stdout": 0, "stderr": 0} if self.starts == 1 else process.mark()
        hello = self._line(process, START_SECONDS, since)
        if isinstance(hello, str) and hello.startswith('{"ready"'):
            return process, None
        self._drop()
        return process, hello if isinstance(hello, Answer) else _parsed(hello)

    def _environment(self) -> dict[str, str]:
        """The user's; an environment of its own must not see the packages of this one."""
        hidden = ("PYTHONPATH", "PYTHONHOME") if self.runtime.isolated or self._packages else ()
        kept = {
            key: value
            for key, value in os.environ.items()
            if key not in (*hidden, "PYTHONSTARTUP", "PYTHONWARNINGS")
        }
        own = {"PYTHONPATH": os.pathsep.join(map(str, self._packages))} if self._packages else {}
        return {**kept, **own, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8:backslashreplace"}

    def _answer(self, process: Process, line: str, since: dict[str, int]) -> Answer:
        if not process.send(line):
            return self._dead(process, since)
        received = self._line(process, self.timeout, since)
        if isinstance(received, Answer):
            return received
        answer = _parsed(received)
        return replace(answer, log="\n".join(part for part in (answer.log, process.printed(since)) if part))

    def _line(self, process: Process, seconds: float, since: dict[str, int]) -> str | Answer:
        try:
            line = process.receive(seconds, self.memory)
        except TimeoutError:
            process.kill()
            return Answer(
                "hung",
                reason=f"no answer within {seconds:g} s",
                advice="raise the time limit",
                log=process.printed(since),
            )
        except MemoryError as error:
            process.kill()
            used, allowed = map(shown, error.args)
            return Answer(
                "exhausted",
                reason=f"{used} used, {allowed} allowed",
                advice="raise the memory limit with --memory",
                log=process.printed(since),
            )
        return self._dead(process, since) if line is None else line

    def _dead(self, process: Process, since: dict[str, int]) -> Answer:
        end = process.ended()
        log = process.printed(since)
        if end.outside:
            reason = f"the worker {end.text}"
            return Answer("killed", reason=reason, advice=end.advice, signal=end.signal, log=log)
        if end.signal:
            return Answer("crashed", reason=end.text, signal=end.signal, log=log)
        return Answer(
            "crashed", reason=f"ended without an answer, exit status {end.code}", exit_code=end.code, log=log
        )

    def _drop(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None


def _hold_name(path: Path) -> None:
    """Raise UsageError for a name that the runtimes' bindings cannot take: they want text."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{path}: its name is not UTF-8 and no runtime can open it: rename it") from error


def _parsed(line: str) -> Answer:
    try:
        return Answer.from_json(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Answer("garbage", reason=f"no answer but {line[:200]!r}")
