"""Which models a call is about: files, folders, globs, and a list on standard input."""

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import UsageError

STDIN = "-"
_FILES = (".onnx", ".tflite", ".keras", ".mlmodel", ".pb", ".mlpackage.zip", ".mlmodelc.zip", ".mlmodel.zip")
"""Endings that are looked for in a folder; a model that is named itself may have any."""
_FOLDERS = ("saved_model.pb", "saved_model.pbtxt", "Manifest.json", "coremldata.bin")
"""A folder with one of these is a model, not a folder of models."""


def paths(arguments: Iterable[str]) -> list[Path]:
    """The models that the arguments name, each once, in order; those of a folder sorted by name.

    Raises UsageError when a glob, a folder or the list names no model. A path that does not exist is a model
    that cannot be read, and told as such when it is.
    """
    return list(dict.fromkeys(path for text in arguments for path in _named(text)))


def _named(text: str) -> Iterator[Path]:
    if text == STDIN:
        for line in _listed():
            yield from _expanded(line)
        return
    yield from _expanded(text)


def _expanded(text: str) -> Iterator[Path]:
    if not text:
        raise UsageError("a path of a model is empty: give a file, a folder or a pattern")
    path = Path(text)
    if any(mark in text for mark in "*?[") and not os.path.lexists(path):
        found = [Path(name) for name in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207 (absolute ones too)
        if not found:
            raise UsageError(f"nothing matches {text!r}: check the pattern, or quote what is no pattern")
        for each in found:
            yield from _inside(each) if _is_folder(each) else [each]
        return
    yield from _inside(path) if _is_folder(path) else [path]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False  # told as a model that cannot be read


def _is_model(folder: Path) -> bool:
    try:
        return folder.suffix in (".mlpackage", ".mlmodelc") or any(
            (folder / name).is_file() for name in _FOLDERS
        )
    except OSError:
        return True  # a closed folder is told as a model that cannot be read


def _inside(folder: Path) -> list[Path]:
    """The folder itself where it is a model, else the models in it."""
    if _is_model(folder):
        return [folder]
    found: list[Path] = []

    def closed(error: OSError) -> None:
        found.append(Path(error.filename))  # told as a model that cannot be read

    for home, folders, files in os.walk(folder, onerror=closed):
        here = Path(home)
        models = [name for name in folders if _is_model(here / name)]
        folders[:] = [name for name in folders if name not in models and not name.startswith(".")]
        found += [here / name for name in (*models, *(name for name in files if name.endswith(_FILES)))]
    if not found:
        raise UsageError(f"{folder} holds no models ({', '.join(_FILES)}, .mlpackage, SavedModel folders)")
    return sorted(found)


def _listed() -> list[str]:
    """The lines of standard input, or what NULs divide (``find -print0``)."""
    text = "" if sys.stdin is None or sys.stdin.closed else os.fsdecode(sys.stdin.buffer.read())
    lines = text.split("\0") if "\0" in text else text.splitlines()
    found = [line.strip("\r\n") for line in lines if line.strip()]
    if not found:
        raise UsageError("standard input names no models: give one path a line")
    return found
