"""What a runtime printed while it worked, for runtimes that give their reasons on standard output or error
only.

The parent lets both streams of a worker end in files of the worker's folder, so native code's output is there
too.
"""

from __future__ import annotations

import sys
from pathlib import Path


class Printed:
    """Everything printed since this was made, standard output first."""

    def __init__(self, folder: Path) -> None:
        self._files = (folder / "stdout", folder / "stderr")
        flush()
        self._starts = [file.stat().st_size for file in self._files]

    def text(self) -> str:
        """What came since, as text."""
        flush()
        parts = []
        for file, start in zip(self._files, self._starts, strict=True):
            with file.open("rb") as stream:
                stream.seek(start)
                parts.append(stream.read().decode("utf-8", "replace"))
        return "".join(parts)


def flush() -> None:
    """Write out what Python and the C library still hold back."""
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform != "win32":
        import ctypes

        ctypes.CDLL(None).fflush(None)
