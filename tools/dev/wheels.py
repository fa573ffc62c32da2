"""Releases of packages beside the installed ones: each in a folder below .work/releases, for a PYTHONPATH."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).parents[2] / ".work" / "releases"
OLD_NUMPY = "numpy==1.26.4"
"""For packages that were built before numpy 2."""


def packages(*pinned: str) -> list[Path]:
    """The folders that hold pinned packages (``onnxruntime==1.20.0``), installed when they are not there yet.

    Wheels only, and nothing that they depend on: the interpreter's own packages serve. Raises
    CalledProcessError where there is no wheel for this Python.
    """
    return [_package(*item.split("==")) for item in pinned]


def whole(pinned: str) -> Path:
    """The folder that holds a pinned package and all that it depends on. Raises as ``packages`` does."""
    return _package(*pinned.split("=="), depends=True)


def _package(name: str, release: str, *, depends: bool = False) -> Path:
    folder = HOME / name / release
    if folder.is_dir():
        return folder
    unfinished = folder.with_name(f"{release}.part")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-compile", "--only-binary=:all:", "--target", str(unfinished)]
    subprocess.run([*pip, *(() if depends else ("--no-deps",)), f"{name}=={release}"], check=True)
    unfinished.rename(folder)
    return folder
