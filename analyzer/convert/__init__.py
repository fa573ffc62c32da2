"""Conversion between formats by the vendors' own converters, each in a process of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from .options import Options

if TYPE_CHECKING:
    from .tf_to_tflite import Converted

__all__ = ["Converted", "Options", "convert"]


def convert(path: str | Path, to: str, output: str | Path, options: Options | None = None) -> Converted:
    """Convert the model at ``path`` to the format ``to`` and write it to ``output``, atomically and never
    over the input.

    Nothing is written when the model is not convertible; its reasons are in the answer's ``blockers``. Raises
    UsageError, ModelError, MissingExtraError or RuntimeFailure.
    """
    path, output = Path(path), Path(output)
    from dataclasses import replace

    from ..files import atomic
    from ..processes.job import Scratch
    from .roads import formats, roads, to_format
    from .samples import gathered

    if to not in formats():
        raise UsageError(f"no conversion to {to!r}: choose one of {', '.join(formats())}")
    dialect = _dialect(path)
    road = to_format(dialect, to)
    if road is None:
        sources = ", ".join(sorted({item.SOURCE for item in roads() if to == item.FORMAT}))
        raise UsageError(f"{path} is {dialect}: what is converted to {to} is {sources}")
    if path.is_dir() and output.resolve().is_relative_to(path.resolve()):
        raise UsageError(f"{output} is part of the input: give another output path")
    made: Converted | None = None
    folder = Scratch("accelint-samples-")
    if options is not None and options.data is not None:
        options = replace(options, data=gathered(options.data, folder.path / "samples.npz"))
    try:
        with atomic(output, source=path, folder=road.FOLDER) as draft:
            made = road.convert(path, options)
            if made.path is None:
                raise _NotConvertible
            _copy(made.path, draft)
    except _NotConvertible:
        assert made is not None
        return made
    return replace(made, path=output)


def _dialect(path: Path) -> str:
    """What a model is written in."""
    from ..formats import load

    return load(path).dialect


def _copy(made: Path, draft: Path) -> None:
    if made.is_dir():
        shutil.copytree(made, draft, dirs_exist_ok=True)
    else:
        shutil.copyfile(made, draft)


class _NotConvertible(Exception):
    """Leaves the atomic block without writing."""
