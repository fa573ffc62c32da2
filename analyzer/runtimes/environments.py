"""Environments of their own for runtimes whose packages collide with others: in the user's cache folder,
pinned, removable.
"""

from __future__ import annotations

import json
import shutil
import sys
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RuntimeFailure, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .catalog import Runtime

_STAMP = "accelint.json"
_SECONDS = 3600.0
"""For pip: gigabytes over a slow line."""


def root() -> Path:
    """Where the environments live: ``accelint/runtimes`` in the user's cache folder."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("accelint", appauthor=False)) / "runtimes"


def folder(name: str) -> Path:
    """Of one runtime's environment."""
    return root() / name.replace("/", "-")


def python(name: str) -> Path | None:
    """The environment's interpreter, None when the environment is not there or was not finished."""
    home = folder(name)
    found = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    return found if (home / _STAMP).is_file() and found.exists() else None


def version(name: str, package: str) -> str | None:
    """Of a package in the environment, without starting its Python."""
    if python(name) is None:
        return None
    paths = [str(item) for item in folder(name).glob("lib*/**/site-packages") if item.is_dir()]
    wanted = package.lower().replace("_", "-")
    for item in distributions(path=paths):
        if (item.metadata["Name"] or "").lower().replace("_", "-") == wanted:
            return item.version
    return None


def add(runtime: Runtime, *, say: Callable[[str], None] = lambda _: None) -> Path:
    """Build the environment of an isolated runtime, replacing what was there; returns its folder.

    ``say`` is told each step. Raises UsageError for a runtime that needs none, RuntimeFailure when pip fails.
    """
    if not runtime.isolated:
        raise UsageError(f"{runtime.name} needs no environment of its own: {runtime.install}")
    home = folder(runtime.name)
    remove(runtime.name)
    home.parent.mkdir(parents=True, exist_ok=True)
    try:
        say(f"creating {home}")
        # Copying pip into the environment is the slow part of making one.
        own_pip = find_spec("pip") is not None
        _run(
            [sys.executable, "-m", "venv", *(["--without-pip"] if own_pip else []), str(home)],
            "the environment could not be created",
        )
        interpreter = str(home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
        pip = (
            [sys.executable, "-m", "pip", "--python", interpreter] if own_pip else [interpreter, "-m", "pip"]
        )
        say(f"installing {' '.join(runtime.isolated)}")
        _run([*pip, "install", "--disable-pip-version-check", "--quiet", *runtime.isolated], "pip failed")
        (home / _STAMP).write_text(
            json.dumps({"runtime": runtime.name, "packages": list(runtime.isolated)}), "utf-8"
        )
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    return home


def remove(name: str) -> bool:
    """Delete the environment; False when there was none."""
    home = folder(name)
    if not home.exists():
        return False
    shutil.rmtree(home)
    return True


def _run(command: list[str], problem: str) -> None:
    from ..processes.process import complete

    done = complete(command, _SECONDS)
    if done.end.code:
        words = (done.err or done.out).strip()[-2000:]
        raise RuntimeFailure(f"{problem}: {' '.join(command)} {done.end.text}\n{words}")
