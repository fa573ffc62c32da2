"""Conversion between formats by the vendors' own converters, each in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from .options import Options

if TYPE_CHECKING:
    from .tflite import Converted

__all__ = ["TARGETS", "Converted", "Options", "convert"]

TARGETS = ("tflite",)
"""Formats that models are converted to."""


def convert(path: str | Path, to: str, output: str | Path, options: Options | None = None) -> Converted:
    """Convert the model at ``path`` to the format ``to`` and write it to ``output``, atomically and never over the input.

    Nothing is written when the converter refuses; its reasons are in the answer's ``refusals``. Raises UsageError,
    ModelError, MissingExtraError or RuntimeFailure.
    """
    path, output = Path(path), Path(output)
    if to not in TARGETS:
        raise UsageError(f"no conversion to {to!r}: choose one of {', '.join(TARGETS)}")
    from dataclasses import replace

    from ..files import atomic
    from .tflite import to_tflite

    made = to_tflite(path, options)
    if made.path is None:
        return made
    with atomic(output, source=path) as draft:
        draft.write_bytes(made.path.read_bytes())
    return replace(made, path=output)
