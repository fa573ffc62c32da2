"""One configuration as the server holds it: its text, what its models were found to be, and what changed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import AccelintError
from ..settings.sources import Settings, read
from . import shown
from .outline import Outline
from .shown import Mark
from .workers import summary


@dataclass(eq=False)
class Project:
    """A configuration with its models.

    Attributes:
        text: what the editor has not saved yet; None where the file holds.
        answer: the last one of a worker; empty before the first.
        failed: why the last check gave none.
        wanted: somebody asked for a check since the last one began.
    """

    path: Path
    text: str | None = None
    answer: dict[str, Any] = field(default_factory=dict)
    failed: AccelintError | None = None
    wanted: bool = False
    task: asyncio.Task[None] | None = None
    stamps: dict[Path, int] = field(default_factory=dict)

    def said(self) -> str:
        """The configuration's text, as the editor shows it."""
        if self.text is not None:
            return self.text
        try:
            return self.path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def settings(self) -> Settings | AccelintError:
        """What the text configures, or what is wrong with it."""
        try:
            return read(self.path, self.text)
        except AccelintError as error:
            return error

    def check(self, seconds: float) -> None:
        """Ask a worker about the models; called in a thread. What is saved counts."""
        self.failed = None
        try:
            held = read(self.path)
            if held.values.get("models") and held.values.get("targets"):
                self.answer = summary(["--config", self.path], seconds)
            else:
                self.answer = {}
        except AccelintError as error:
            self.failed = error
            self.answer = {}
        self.stamps = self.look()

    def marks(self) -> dict[Path, list[Mark]]:
        """Every diagnostic, by file: on the text as it is now."""
        text = self.said()
        found: dict[Path, list[Mark]] = {self.path: []}
        if self.answer:
            found = shown.marks(self.path, text, self.answer)
        held = self.settings()
        error = held if isinstance(held, AccelintError) else self.failed
        if error is not None:
            found[self.path] += shown.problems(self.path, error, Outline.of(text, self.path), text)
        return found

    def look(self) -> dict[Path, int]:
        """When the files that a check depends on were changed, the folders of models among them."""
        models = [Path(model["path"]) for model in self.answer.get("models", ())]
        files = {self.path, *models, *(model.parent for model in models)}
        return {path: stamp for path in files if (stamp := _changed(path)) is not None}

    def concerns(self, path: Path) -> bool:
        """Whether a check may come out otherwise when a file changes."""
        return path == self.path or path in self.stamps or path.parent in self.stamps


def _changed(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
