"""A worker module that does what it is told, however bad (used by test_runtime_process)."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from accelint.analyzer.runtimes.answers import Answer, Request

if TYPE_CHECKING:
    from pathlib import Path

HOG = "import time; data = bytearray(%d << 20); data[::4096] = b'x' * len(data[::4096]); time.sleep(60)"


def open(name: str, folder: Path):
    def ask(request: Request) -> Answer:
        return act(dict(request.options), folder)

    return ask


SERVED: list[str] = []


def act(options: dict, folder: Path) -> Answer:
    what = options["do"]
    SERVED.append(what)
    if what == "crash-unless-first" and len(SERVED) > 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "signal":
        print("these are my last words", file=sys.stderr, flush=True)
        signal.signal(options["number"], signal.SIG_DFL) if options["number"] != signal.SIGKILL else None
        os.kill(os.getpid(), options["number"])
        time.sleep(60)
    if what == "hang":
        time.sleep(60)
    if what == "exit":
        os._exit(options["code"])
    if what == "garbage":
        os.write(answer_pipe(), (options["text"] + "\n").encode())
        time.sleep(60)
    if what == "noise":
        for _ in range(2000):
            print('{"status": "crashed"}')
            print('{"status": "crashed"}', file=sys.stderr)
    if what == "hog":
        data = bytearray(options["megabytes"] << 20)
        data[::4096] = b"x" * len(data[::4096])
        time.sleep(60)
    if what == "child-hog":
        subprocess.run([sys.executable, "-c", HOG % options["megabytes"]], check=False)
    if what == "raise":
        raise ZeroDivisionError("on purpose")
    if what == "import":
        importlib.import_module(options["module"])
        return Answer("ok", notes={"warnings": sys.warnoptions})
    child = subprocess.Popen(["sleep", "60"]).pid if what == "child" else 0
    return Answer("ok", notes={"pid": os.getpid(), "child": child, "folder": str(folder)})


def answer_pipe() -> int:
    return int(sys.argv[5])
