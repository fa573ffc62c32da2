"""Conversion between formats by the vendors' own converters, each in a process of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from .options import Options

if TYPE_CHECKING:
    from .tf_to_tflite import Converted

__all__ = ["TARGETS", "Converted", "Options", "convert"]

TARGETS = ("tflite", "mlpackage")
"""Formats that models are converted to."""


def convert(path: str | Path, to: str, output: str | Path, options: Options | None = None) -> Converted:
    """Convert the model at ``path`` to the format ``to`` and write it to ``output``, atomically and never
    over the input.

    Nothing is written when the converter refuses; its reasons are in the answer's ``refusals``. Raises
    UsageError, ModelError, MissingExtraError or RuntimeFailure.
    """
    path, output = Path(path), Path(output)
    if to not in TARGETS:
        raise UsageError(f"no conversion to {to!r}: choose one of {', '.join(TARGETS)}")
    from dataclasses import replace

    from ..files import atomic
    from .tf_to_coreml import to_coreml
    from .tf_to_tflite import to_tflite

    converter = to_coreml if to == "mlpackage" else to_tflite
    if path.is_dir() and output.resolve().is_relative_to(path.resolve()):
        raise UsageError(f"{output} is part of the input: give another output path")
    made: Converted | None = None
    try:
        with atomic(output, source=path, folder=to == "mlpackage") as draft:
            made = converter(path, options)
            if made.path is None:
                raise _Refused
            _copy(made.path, draft)
    except _Refused:
        assert made is not None
        return made
    return replace(made, path=output)


def _copy(made: Path, draft: Path) -> None:
    if made.is_dir():
        shutil.copytree(made, draft, dirs_exist_ok=True)
    else:
        shutil.copyfile(made, draft)


class _Refused(Exception):
    """Leaves the atomic block without writing."""
