"""Corpora: models to hold a pack against its runtime on, made on the spot or found in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from ...errors import UsageError
from .onnx.build import InvalidCase

T = TypeVar("T")

GENERATED = {"onnx": ("generated", "backend"), "tflite": ("generated",), "mil": ("cases",)}
"""Dialect -> the corpora that need no files."""
MIXED = "mixed"
SEEDED = {"onnx": (MIXED,), "tflite": ("generated",)}
"""Dialect -> the corpora that are others for another seed: nobody has looked at them yet."""
_SUFFIXES = {"onnx": ".onnx", "tflite": ".tflite", "mil": ".mlpackage"}


@dataclass(frozen=True)
class Item:
    """One model of a corpus: its bytes, or the path of a user's file."""

    name: str
    data: bytes | None = None
    path: Path | None = None


def corpus(
    dialect: str, name: str, seed: int = 0, limit: int | None = None, ops: frozenset[str] | None = None
) -> Iterator[Item]:
    """The models of a corpus in a stable order. Raises UsageError when there is none of that name for the
    dialect.

    ``limit`` takes an even sample. ``ops`` keeps the cases of those operator types, where the corpus tells.
    """
    if Path(name).is_dir():
        yield from _folder(Path(name), dialect, limit)
        return
    if name not in (*GENERATED.get(dialect, ()), *SEEDED.get(dialect, ())):
        raise UsageError(
            f"{name!r} is neither a folder nor a corpus of {dialect} models: "
            f"{', '.join(GENERATED.get(dialect, ()))}"
        )
    module = import_module(f".{dialect}.{'mixed' if name == MIXED else 'corpus'}", __package__)
    cases = list(module.backend_cases() if name == "backend" else module.cases(seed=seed, ops=ops))
    for case in _sample(cases, limit):
        with suppress(InvalidCase):
            yield Item(case.name, data=case.build())


def _sample(items: list[T], limit: int | None) -> list[T]:
    if not limit or len(items) <= limit:
        return items
    return [items[index * len(items) // limit] for index in range(limit)]


def _folder(folder: Path, dialect: str, limit: int | None) -> Iterator[Item]:
    files = sorted(file for file in folder.rglob(f"*{_SUFFIXES[dialect]}"))
    if not files:
        raise UsageError(f"{folder} holds no {_SUFFIXES[dialect]} files")
    for file in _sample(files, limit):
        yield Item(file.relative_to(folder).as_posix(), path=file)
