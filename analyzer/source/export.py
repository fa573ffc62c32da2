"""Let the user's interpreter export what the user named, under the limits of every other process."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OutputError, RuntimeFailure, SourceError, WorkerKilled
from ..files import atomic
from ..processes.memory import shown
from ..processes.process import Process, tail
from ..processes.scratch import Scratch

if TYPE_CHECKING:
    from .names import Name

SECONDS = 600.0
"""Default limit of wall time, for the user's code and the exporter together."""
_WORKER = Path(__file__).with_name("worker.py")
_PRINTED = 1 << 16
"""Bytes of what the user's code printed that are passed on."""
_STACK = re.compile(r'^  File "([^"\n]+)", line (\d+) in ', re.MULTILINE)
"""What Python's fault handler prints, innermost frame first."""
_LIBRARY = re.compile(
    r"[/\\](?:site|dist)-packages[/\\]|[/\\]lib[/\\]python3|^<|" + re.escape(str(_WORKER.parent))
)
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8:backslashreplace"}


@dataclass(frozen=True)
class Exporting:
    """How to export: the interpreter in which the user's modules import (None: this one), and seconds."""

    python: Path | None = None
    seconds: float = SECONDS
    keep: Path | None = None
    """Where the exported model is to stay."""


@dataclass(frozen=True, eq=False)
class Exported:
    """What came of it.

    Attributes:
        path: the model; in ``folder`` where it was written here.
        by: which exporter wrote it; empty where the user's code did.
        place: ``file.py:line`` where the user wrote what was named.
        files: the user's own files that took part.
        printed: what the user's code printed.
        stored: the model where it stays: where it was to be kept, or where the user's code has it.
    """

    path: Path
    by: str
    place: str | None
    files: tuple[str, ...]
    printed: str
    folder: Scratch
    stored: Path | None = None


def export(name: Name, how: Exporting) -> Exported:
    """Export what is named, from the current folder.

    Raises SourceError, which names the user's own line, for what is wrong with the user's code;
    RuntimeFailure for a limit that was passed, a crash or a missing exporter; WorkerKilled when somebody else
    ended it.
    """
    folder = Scratch("source-")
    (folder.path / "model").mkdir()
    process = _started(how, folder.path)
    try:
        told = _told(process, name, how, folder.path)
    except RuntimeFailure as error:
        error.printed = _printed(folder.path)
        raise
    finally:
        process.close()
    printed = _printed(folder.path)
    if "error" in told:
        failed = _error(name, told, how)
        failed.printed, failed.files = printed, tuple(told["files"])
        raise failed
    path = Path(told["path"])
    stored = None if path.is_relative_to(folder.path) else path
    if how.keep is not None:
        stored = _kept(path, how.keep)
    return Exported(path, told["by"], told["place"], tuple(told["files"]), printed, folder, stored)


def _kept(path: Path, keep: Path) -> Path:
    """Copy a model, with the data beside it, to where it is to stay. Raises OutputError."""
    try:
        if path.is_dir():
            with atomic(keep, folder=True) as draft:
                shutil.copytree(path, draft, dirs_exist_ok=True)
            return keep
        for file in sorted(path.parent.glob(f"{path.name}*")):
            with atomic(keep.with_name(keep.name + file.name.removeprefix(path.name))) as draft:
                shutil.copyfile(file, draft)
    except OSError as error:
        raise OutputError(f"the exported model cannot be written to {keep}: {error.strerror}") from error
    return keep


def _started(how: Exporting, folder: Path) -> Process:
    python = str(how.python or sys.executable)
    environment = {**_QUIET, **os.environ}
    try:
        return Process([python, str(_WORKER)], folder, environment)
    except OSError as error:
        raise RuntimeFailure(
            f"{python} cannot be started: {error.strerror or error} (--python names the interpreter in which "
            "your module imports)"
        ) from None


def _told(process: Process, name: Name, how: Exporting, folder: Path) -> dict[str, Any]:
    request = {
        "text": name.text,
        "module": name.module,
        "file": name.file,
        "attribute": name.attribute,
        "seconds": how.seconds,
        "folder": str(Path.cwd()),
        "output": str(folder / "model"),
        "name": "model" if how.keep is None else how.keep.name,
    }
    process.send(json.dumps(request))
    try:
        line = process.receive(how.seconds)
        end = None if line is not None else process.ended()
    except TimeoutError:
        raise RuntimeFailure(
            f"{name.text}: building and exporting took longer than {how.seconds:g} s (raise it with "
            f"--export-timeout){_last_words(folder)}"
        ) from None
    except MemoryError as error:
        raise RuntimeFailure(
            f"{name.text}: building and exporting needed more than {shown(error.args[1])} of memory (raise "
            "it with --memory)"
        ) from None
    if end is None:
        told = _parsed(line)
        if told is not None:
            return told
        raise RuntimeFailure(f"{name.text}: the exporting process answered nothing that can be read")
    if end.outside:
        raise WorkerKilled(f"{name.text}: the exporting process {end.text}: {end.advice}")
    raise RuntimeFailure(f"{name.text}: the exporting process {end.text}{_last_words(folder)}")


def _parsed(line: str | None) -> dict[str, Any] | None:
    try:
        told = json.loads(line or "")
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _last_words(folder: Path) -> str:
    """Where it was, as far as Python could tell, and else what it said last."""
    text = tail(folder / "stderr", 0, 1 << 16)
    if own := [place for place in _STACK.findall(text) if not _LIBRARY.search(place[0])]:
        return f" (it was at {_short(':'.join(own[0]))})"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return ": " + " | ".join(lines[-6:]) if lines else ""


def _printed(folder: Path) -> str:
    """What the user's code printed."""
    return tail(folder / "stdout", 0, _PRINTED)


# ---- errors in words -----------------------------------------------------------------------------


def _error(name: Name, told: dict[str, Any], how: Exporting) -> SourceError | RuntimeFailure:
    error = told["error"]
    place = error.get("place")
    raised = f"{error.get('type', '')}: {error['message']}".removesuffix(": ")
    at = f" ({_short(place)})" if place else ""
    python = how.python or sys.executable
    missing = error.get("missing")
    if error["stage"] == "import" and missing and name.module.split(".")[0] == str(missing).split(".")[0]:
        return SourceError(
            name.text,
            f"there is no module {missing!r} for {python} in {Path.cwd()}",
            "run it where `import` finds the module, give path/to/file.py:NAME, or choose the interpreter "
            "with --python",
            place,
        )
    if missing and error["stage"] == "export":
        return RuntimeFailure(
            f"{name.text}: the exporter needs the package {missing!r}: {python} -m pip install {missing}"
        )
    problem, advice = _WORDS[error["stage"]](name, error)
    return SourceError(name.text, problem.format(raised=raised) + at, advice, place or told.get("place"))


def _short(place: str) -> str:
    """A place as seen from here, where that is shorter."""
    file, _, line = place.rpartition(":")
    try:
        return f"{Path(file).relative_to(Path.cwd())}:{line}"
    except ValueError:
        return place


_KINDS = (
    "supported: a torch.nn.Module or ExportedProgram, a Keras model, a tf.function or tf.Module, a JAX or "
    "Flax function or module, an ONNX ModelProto, the path of a model; with example inputs as (model, inputs)"
)


def _missing_file(name: Name, error: dict[str, Any]) -> tuple[str, str]:
    return _plain(error["message"]), f"paths are those from {Path.cwd()}"


def _attribute(name: Name, error: dict[str, Any]) -> tuple[str, str]:
    near = error.get("near") or []
    return _plain(error["message"]), f"it has {', '.join(near)}" if near else ""


def _kind(name: Name, error: dict[str, Any]) -> tuple[str, str]:
    return _plain(f"{error['message']} is no model"), _KINDS


def _inputs(name: Name, error: dict[str, Any]) -> tuple[str, str]:
    return (
        _plain(f"example inputs are needed to export a {error['message']}"),
        "return (model, example_inputs), or give the module a variable example_inputs",
    )


def _import(name: Name, error: dict[str, Any]) -> tuple[str, str]:
    return f"importing {name.file or name.module} raised {{raised}}", ""


def _build(name: Name, error: dict[str, Any]) -> tuple[str, str]:
    return f"{name.attribute}() raised {{raised}}", ""


def _export(name: Name, error: dict[str, Any]) -> tuple[str, str]:
    return "it cannot be exported: {raised}", ""


def _plain(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


_WORDS = {
    "missing": _missing_file,
    "attribute": _attribute,
    "kind": _kind,
    "inputs": _inputs,
    "import": _import,
    "build": _build,
    "export": _export,
}
