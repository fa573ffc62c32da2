"""What an editor offers at a finding: fix the model, or say in the configuration why the finding may stay."""

from __future__ import annotations

import json
import shlex
import tomllib
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls import uris

from ..settings.sources import SHARED
from .shown import Mark
from .workers import command, said

FIX = "accelint.fix"
CHECK = "accelint.check"


def fixing(mark: Mark) -> types.Command | None:
    """The command that fixes the model of a finding; None where no rewrite repairs it."""
    words = fix_words(mark)
    if words is None:
        return None
    level = (
        " with approximations" if "unsafe" in words else " with a batch of 1" if "--freeze" in words else ""
    )
    title = f"accelint: fix {Path(mark.model).name} for {mark.target}{level}: writes {Path(words[-1]).name}"
    return types.Command(title, FIX, arguments=[{"model": mark.model, "target": mark.target, "words": words}])


def fix_words(mark: Mark) -> list[str] | None:
    """The words of the command that the report prints, its output beside the model."""
    line = str(mark.issue.get("command", ""))
    if "$'" in line:
        return None  # names that no editor should show
    words = shlex.split(line)
    if words[:2] != ["accelint", "fix"] or "&&" in words or words[-2:-1] != ["-o"]:
        return None
    return [*words[1:-1], str(Path(mark.model).with_name(Path(words[-1]).name))]


def fix(words: list[str], seconds: float) -> tuple[bool, str]:
    """Whether a file was written, and what to say. The worker never writes over its input."""
    done = command([*words, "-q"], seconds)
    written = done.end.code in (0, 1) and "written: " in done.out
    told = "; ".join(
        line.strip() for line in (*done.out.splitlines(), *said(done).splitlines()) if line.strip()
    )
    return written, told or f"the fix {done.end.text}"


def ignoring(mark: Mark, config: Path, text: str, end: types.Position) -> types.WorkspaceEdit | None:
    """An edit that adds an entry to the end of the configuration; None where that would break it."""
    head = "[[tool.accelint.ignore]]" if config.name == SHARED else "[[ignore]]"
    rows = {
        "code": mark.code,
        "rule": mark.issue["rule"],
        "model": _below(config, mark.model),
        "target": mark.target,
        "reason": "TODO: why it may stay",
    }
    lines = [head, *(f"{key} = {_quoted(value)}" for key, value in rows.items())]
    start = "" if text.endswith("\n") or not text else "\n"
    added = start + "\n" + "\n".join(lines) + "\n"
    if not _parses(text + added):
        return None
    edit = types.TextEdit(types.Range(end, end), added)
    return types.WorkspaceEdit(changes={str(uris.from_fs_path(str(config))): [edit]})


def _below(config: Path, model: str) -> str:
    path = Path(model)
    name = path.relative_to(config.parent).as_posix() if path.is_relative_to(config.parent) else model
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)


def _quoted(text: Any) -> str:
    """A TOML string: JSON's escapes are TOML's, but for the character that JSON leaves as it is."""
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def _parses(text: str) -> bool:
    try:
        tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return False
    return True
