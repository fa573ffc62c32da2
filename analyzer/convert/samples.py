"""Calibration data as users have it: one ``.npz`` with all samples, or a folder with one for each."""

from __future__ import annotations

from pathlib import Path

from ..errors import UsageError


def gathered(data: Path, place: Path) -> Path:
    """An ``.npz`` with the samples stacked on a new first axis: ``data`` itself, or what a folder's files
    make, written to ``place``. Raises UsageError for a folder without samples, or with samples that do not
    go together.
    """
    if not data.is_dir():
        return data
    import numpy as np

    files = sorted(data.glob("*.npz"))
    if not files:
        raise UsageError(f"{data} holds no .npz files: give a folder with one for each sample")
    rows: dict[str, list[object]] = {}
    for file in files:
        try:
            with np.load(file, allow_pickle=False) as stored:
                for name in stored.files:
                    rows.setdefault(name, []).append(stored[name])
        except (OSError, ValueError) as error:
            raise UsageError(f"{file} cannot be read: {error}") from error
    if len({len(items) for items in rows.values()}) != 1:
        raise UsageError(f"{data}: its files do not hold the same inputs: {', '.join(rows)}")
    try:
        np.savez(place, allow_pickle=False, **{name: np.stack(items) for name, items in rows.items()})  # type: ignore[arg-type]
    except ValueError as error:
        raise UsageError(f"{data}: its samples have several shapes: {error}") from error
    return place
