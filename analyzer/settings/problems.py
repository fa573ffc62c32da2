"""What is wrong with a configuration, and where, so that an editor can show it at its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import UsageError


@dataclass(frozen=True)
class Problem:
    """One problem of one file.

    Attributes:
        keys: the way to the value from the configuration's top: names of tables and keys, places in lists.
        text: what is wrong, as it follows the place.
    """

    file: Path
    keys: tuple[str | int, ...] = ()
    text: str = ""

    def at(self, key: str | int) -> Problem:
        """The same one step further."""
        return replace(self, keys=(*self.keys, key))

    def saying(self, text: str) -> Problem:
        """The same with words."""
        return replace(self, text=text)

    @property
    def place(self) -> str:
        """``target.onnxruntime/qnn.max-partitions``, ``ignore[0].until``; empty for the whole file."""
        told = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.keys)
        return told.removeprefix(".")

    def __str__(self) -> str:
        return f"{self.file}: {self.place}{self.text}" if self.keys else f"{self.file}{self.text}"


class SettingsError(UsageError):
    """A configuration that cannot be used; ``problems`` are its parts, each with its place."""

    def __init__(self, message: str, problems: Sequence[Problem]) -> None:
        super().__init__(message)
        self.problems = tuple(problems)
