"""The commands as a server calls them: each in a process of its own, limited in time and memory."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import RuntimeFailure, UsageError
from ..processes.process import Done, complete
from ..processes.scratch import temporary

SECONDS = 300.0
"""Time for a check or a fix."""
_LARGEST = 64 << 20


def command(words: Sequence[str | os.PathLike[str]], seconds: float = SECONDS) -> Done:
    """Run ``accelint WORDS`` to its end. Paths have to be absolute: it runs in a folder of its own.

    Raises UsageError for words that no process can be given, RuntimeFailure when it takes too long, needs
    too much memory or was ended by something else.
    """
    given = [os.fspath(word) for word in words]
    if any("\0" in word for word in given):
        raise UsageError("a name has a NUL in it")
    done = complete([sys.executable, "-m", "accelint", *given], seconds)
    if done.end.code < 0:
        raise RuntimeFailure(f"the check {done.end.text}")
    return done


def summary(words: Sequence[str | os.PathLike[str]], seconds: float = SECONDS) -> dict[str, Any]:
    """The answer of ``summary`` for models or a configuration.

    Raises UsageError with the command's own words where it could not answer, RuntimeFailure as ``command``.
    """
    with temporary("answer-") as folder:
        place = Path(folder) / "answer.json"
        done = command(["summary", *words, "--output", str(place)], seconds)
        if not place.is_file():
            raise UsageError(said(done) or f"the check {done.end.text}")
        if place.stat().st_size > _LARGEST:
            raise RuntimeFailure(f"the answer is larger than {_LARGEST >> 20} MB")
        answer: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
        return answer


def said(done: Done) -> str:
    """What the command said on standard error, without its own name."""
    return done.err.removeprefix("accelint: ").strip()
