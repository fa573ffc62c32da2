"""TOML files, parsed once.

The standard library's TOML parser is written in Python and takes longer for a pack than everything else in a
small check, so that what was parsed is kept as JSON in the user's cache folder, under the digest of the
file's content and accelint's version. Nothing is kept beside a file, and what lies beside one is never
believed. A cache folder that somebody else could write to is not used.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

LARGEST = 4 << 20
"""Bytes of a file; the largest shipped one has a twentieth of that."""
MOST_KEPT = 600
"""Files in the cache folder: beyond, the oldest third goes."""
_KEY = rb"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DOTTED = re.compile(rb"(?<![\w\"'-])" + _KEY + rb"(?:[ \t]*+\.[ \t]*+" + _KEY + rb"){16}")
"""A key of more than 16 parts: the parser takes the square of their number in time."""


def read_tables(file: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises OSError, or ValueError for what is no TOML, no UTF-8, too large or
    too deep.
    """
    with file.open("rb") as stream:
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"more than {LARGEST >> 20} MiB")
    home = _home()
    kept = None if home is None else home / f"{_digest(data)}.json"
    if kept is not None:
        with suppress(OSError, ValueError, RecursionError):
            known = json.loads(kept.read_bytes())
            if isinstance(known, dict):
                return known
    tables = _parsed(data)
    if kept is not None:
        with suppress(OSError, TypeError, RecursionError):  # a date has no JSON form: parsed every time
            _keep(kept, json.dumps(tables))
    return tables


def _parsed(data: bytes) -> dict[str, Any]:
    import tomllib

    text = data.decode()
    if _DOTTED.search(data):
        raise ValueError("a key of more than 16 parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _digest(data: bytes) -> str:
    from accelint import __version__

    return hashlib.sha256(__version__.encode() + b"\0" + data).hexdigest()


@cache
def _home() -> Path | None:
    """The folder for what was parsed, made where it is missing; None where it is not ours alone."""
    try:
        home = _cache_folder() / "accelint" / "packs"
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = home.lstat()
    except (OSError, RuntimeError):  # no home folder
        return None
    if not stat.S_ISDIR(state.st_mode):
        return None
    if hasattr(os, "getuid") and (state.st_uid != os.getuid() or state.st_mode & 0o022):
        return None
    return home


def _cache_folder() -> Path:
    """Where platformdirs says, whose import takes a tenth of a small check."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    set_ = os.environ.get("XDG_CACHE_HOME", "")
    return Path(set_) if set_.startswith("/") else Path.home() / ".cache"


def _keep(path: Path, text: str) -> None:
    import tempfile

    handle, draft = tempfile.mkstemp(dir=path.parent)  # readable by this user alone
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(draft).replace(path)
    except OSError:
        Path(draft).unlink(missing_ok=True)
        raise
    _tidy(path.parent)


def _tidy(folder: Path) -> None:
    files = list(folder.iterdir())
    if len(files) <= MOST_KEPT:
        return
    files.sort(key=lambda file: file.stat().st_mtime)
    for file in files[: len(files) // 3]:
        file.unlink(missing_ok=True)
