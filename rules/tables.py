"""TOML files, parsed once: what was parsed is kept beside the file like Python keeps what it compiled.

The standard library's TOML parser is written in Python and takes longer for a pack than everything else in a
small check. The kept form is JSON in ``__pycache__``, used while the file's size and time of change are the
same; where the folder cannot be written, the file is parsed every time.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any


def read_tables(file: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises OSError, UnicodeDecodeError or tomllib.TOMLDecodeError."""
    state = file.stat()
    stamp = [state.st_mtime_ns, state.st_size]
    kept = file.parent / "__pycache__" / f"{file.name}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(kept.read_bytes())
        if known["stamp"] == stamp:
            tables: dict[str, Any] = known["tables"]
            return tables
    import tomllib

    with file.open("rb") as stream:
        tables = tomllib.load(stream)
    with suppress(OSError, TypeError):  # a date has no JSON form: then it is parsed every time
        _keep(kept, json.dumps({"stamp": stamp, "tables": tables}))
    return tables


def _keep(path: Path, text: str) -> None:
    import tempfile

    path.parent.mkdir(exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(draft).replace(path)
    except OSError:
        Path(draft).unlink(missing_ok=True)
        raise
