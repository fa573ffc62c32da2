"""onnx's C++ never runs unbounded here: in this process where it is sure to be short, else in a child under
watch.

The child is started when the first model needs it, serves all that follow, and is replaced when it had to be
ended. A model of which nothing is certain costs the child's start once (0.04 s) and some copying.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from ...errors import LimitError
from .bounds import malformed, sure
from .proto import extension_file, native, pb

if TYPE_CHECKING:
    from ...processes.process import Process
    from ...processes.scratch import Scratch

SECONDS = 5.0
"""For one call, and one more for each megabyte of the model. Half of that after each call that was ended: an
edited model is asked about many times.
"""
LEAST_SECONDS = 0.25
MEMORY = 512 << 20
"""Bytes that the child may use, and ``GROWTH`` times the model's size."""
GROWTH = 40
MOST = 16 << 20
"""Bytes of a result, and ``GROWTH`` times the model's size."""


def infer_shapes(
    data: bytes, *, values: bool, proto: Any = None, strict: bool = False, types: bool = False
) -> bytes:
    """onnx's shape inference. ``proto`` is what ``data`` serializes, where there is one; ``strict`` raises
    what is wrong with any operator's shapes, ``types`` the first dtype that a schema does not allow.

    Raises what onnx raises, ValueError for what it is known not to survive, LimitError when the call would
    take too long or too much memory.
    """
    known = pb().ModelProto.FromString(data) if proto is None else proto
    problem = malformed(known)
    if problem:
        raise ValueError(problem)
    if sure(known):
        inferred: bytes = native().shape_inference.infer_shapes(data, types, strict, values)
        return inferred
    return _child.ask(data, {"do": "infer", "values": values, "strict": strict, "types": types})


def inline(data: bytes) -> bytes:
    """onnx's inliner of local functions. Raises RuntimeError with onnx's words, LimitError."""
    return _child.ask(data, {"do": "inline"})


class _Child:
    """The process, started when something is asked."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: Process | None = None
        self._folder: Scratch | None = None
        self._ended = 0
        self._owner = 0

    def ask(self, data: bytes, request: dict[str, Any]) -> bytes:
        """One result. One thread at a time."""
        with self._lock:
            folder = self._start()
            model, result = folder / "model", folder / "result"
            model.write_bytes(data)
            answer = self._answer({**request, "model": str(model), "result": str(result)}, len(data))
            if "error" in answer:
                raise RuntimeError(answer["error"])
            if answer["size"] > MOST + GROWTH * len(data):
                raise LimitError(f"onnx makes {answer['size']} bytes of a model of {len(data)}")
            return result.read_bytes()

    def _start(self) -> Path:
        from ...processes.process import Process
        from ...processes.scratch import Scratch

        if self._process is None or self._folder is None or self._owner != os.getpid():
            self._owner = os.getpid()  # a forked child leaves its parent's alone
            self._folder = Scratch("onnx-")
            child = Path(__file__).with_name("native_child.py")
            command = [sys.executable, "-I", "-S", str(child), str(extension_file())]
            self._process = Process(command, self._folder.path)
        return self._folder.path

    def _answer(self, request: dict[str, Any], size: int) -> dict[str, Any]:
        assert self._process is not None
        seconds = max(LEAST_SECONDS, (SECONDS + size / 2**20) / 2**self._ended)
        memory = MEMORY + GROWTH * size
        try:
            line = self._process.receive(seconds, memory) if self._process.send(json.dumps(request)) else None
        except TimeoutError:
            self._drop()
            raise LimitError(f"onnx does not finish within {seconds:g} s") from None
        except MemoryError:
            self._drop()
            raise LimitError(f"onnx needs more than {memory >> 20} MB of memory") from None
        if line is None:
            how = self._process.ended().text
            self._drop()
            raise LimitError(f"onnx {how}")
        self._ended = 0
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _drop(self) -> None:
        """End the process; the next question starts another."""
        if self._process is not None and self._folder is not None:
            self._process.close()
            self._folder.close()
        self._process = self._folder = None
        self._ended += 1


_child = _Child()
