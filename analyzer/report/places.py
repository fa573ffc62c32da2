"""Where a finding is shown: the line of the user's code that made the operator, or the model's file.

Places of continuous integration take paths relative to the repository's root, with ``/`` on every system.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

_LARGEST = 4 << 20
"""Bytes of a file whose lines are looked at."""
_LIBRARY = re.compile(r"[/\\](?:site|dist)-packages[/\\]|<frozen ")
"""Code that is installed: no file of the repository, whatever it is called."""
_DEEPEST = 30
"""Parts of a recorded path that are looked for."""
_WINDOWS = re.compile(r"^[A-Za-z]:[/\\]|\\")


@dataclass(frozen=True)
class Place:
    """A file, as seen from the repository's root where it is in there, and a line; 1 in a model's file."""

    path: str
    line: int = 1

    @property
    def uri(self) -> str:
        """The path as a URI reference: relative to the root, or ``file:`` for one outside."""
        escaped = quote(os.fsencode(self.path))
        if self.path.startswith("/"):
            return f"file://{escaped}"
        return f"./{escaped}" if ":" in escaped.partition("/")[0] else escaped


class Places:
    """Looks up places below one root.

    Args:
        root: the repository's; by default the nearest folder above the current one that has ``.git``, else
            the current one.
    """

    def __init__(self, root: Path | None = None) -> None:
        here = Path.cwd()
        self.root = root or next((path for path in (here, *here.parents) if (path / ".git").exists()), here)
        self._found: dict[str, str | None] = {}
        self._lines: dict[str, list[str]] = {}

    def model(self, path: str) -> Place:
        """The place of a model."""
        whole = os.path.abspath(path)  # noqa: PTH100 (a link is a place too)
        return Place(self._below(whole) or Path(whole).as_posix())

    def home(self, row: Mapping[str, Any]) -> Place:
        """The place of a model's row in a report: where the user's code has it, for one that was exported for
        the check, else its file.
        """
        recorded = row.get("exported", row.get("error", {})).get("code")
        if not recorded:
            return self.model(row["path"])
        file, _, line = recorded.rpartition(":")
        return self.code(recorded) or Place(Path(file).as_posix(), int(line))

    def code(self, recorded: str | None) -> Place | None:
        """The place of ``file.py:line`` as an exporter recorded it; None where the repository has no such
        file.

        A model may have been exported elsewhere: then the longest end of the path that the repository has
        counts.
        """
        file, _, line = (recorded or "").rpartition(":")
        if not file or not line.isdecimal():
            return None
        if file not in self._found:
            self._found[file] = self._file(file)
        found = self._found[file]
        return None if found is None else Place(found, max(int(line), 1))

    def text(self, place: Place) -> str:
        """What the line says, without the spaces around it; empty where the file has no such line."""
        if place.path not in self._lines:
            self._lines[place.path] = _lines(self.root / place.path)
        lines = self._lines[place.path]
        return lines[place.line - 1].strip() if place.line <= len(lines) else ""

    def _file(self, recorded: str) -> str | None:
        if _LIBRARY.search(recorded):
            return None
        path = recorded.replace("\\", "/") if _WINDOWS.search(recorded) else recorded
        if path.startswith("/") and _is_file(path) and (below := self._below(path)):
            return below
        parts = [part for part in path.split("/") if part not in ("", ".", "..") and not part.endswith(":")]
        ends = ("/".join(parts[start:]) for start in range(max(len(parts) - _DEEPEST, 0), len(parts)))
        return next((end for end in ends if _is_file(self.root / end)), None)

    def _below(self, path: str) -> str | None:
        try:
            return Path(path).relative_to(self.root).as_posix()
        except ValueError:
            return None


def _lines(path: Path) -> list[str]:
    """The lines of a file of code; none of one that is too large for it."""
    try:
        if path.stat().st_size > _LARGEST:
            return []
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _is_file(path: str | Path) -> bool:
    """Whether there is such a file; no name that an exporter may have recorded is an error."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False
