"""What an editor shows of a configuration and its models: each finding at its place, the table of targets,
and explanations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from lsprotocol import types

from ..errors import AccelintError, UsageError
from ..settings.fields import COSTS, GATES, IGNORED, TARGET, Field
from ..settings.fields import TOP as FIELDS
from ..settings.problems import SettingsError
from ..words import percent
from .outline import TOP, Outline, Span

SOURCE = "accelint"
MOST = 1000
"""Diagnostics of a file."""
_LEVELS = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "note": types.DiagnosticSeverity.Information,
}
_AT_LINE = re.compile(r"\(at line (\d+), column (\d+)\)")


@dataclass
class Mark:
    """One diagnostic of a file, and what it is about: an issue of a model on a target, where it is one."""

    span: Span
    severity: types.DiagnosticSeverity
    message: str
    code: str = ""
    issue: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    target: str = ""


def problems(path: Path, error: AccelintError, outline: Outline, text: str) -> list[Mark]:
    """Marks for a configuration that cannot be used."""
    if not isinstance(error, SettingsError):
        return [_error(outline.quoted(error.message, "models", "targets"), error.message)]
    found = []
    for problem in error.problems:
        own = problem.file == path
        span = outline.place(problem.keys if own else ("extends",))
        if own and (at := _AT_LINE.search(problem.text)):
            span = _whole(text, int(at[1]) - 1)
        told = f"{problem.place}{problem.text}".strip() if own else str(problem)
        found.append(_error(span, told))
    return found


def _error(span: Span, message: str) -> Mark:
    return Mark(span, types.DiagnosticSeverity.Error, message)


def _whole(text: str, line: int) -> Span:
    """A line without its indentation."""
    lines = text.splitlines()
    words = lines[line] if 0 <= line < len(lines) else ""
    return Span(line, len(words) - len(words.lstrip()), line, len(words))


def marks(path: Path, text: str, answer: Mapping[str, Any]) -> dict[Path, list[Mark]]:
    """Every mark of a configuration's models, by file: findings on the lines of code that made the operators,
    all else on the configuration.
    """
    outline = Outline.of(text, path)
    found: dict[Path, list[Mark]] = {path: []}
    texts: dict[Path, str] = {}
    for model in answer["models"]:
        entry = models_entry(outline, path, model["path"])
        name = Path(model["path"]).name
        found[path] += [_error(entry, message) for message in model["errors"]]
        found[path] += [
            _error(outline.gate(miss["target"], miss["key"]) if miss["key"] != "baseline"
                   else outline.place(("baseline",)), f"{name}: {miss['target']}: {miss['text']}")
            for miss in model["missed"]
        ]  # fmt: skip
        for target, issue in issues(model):
            file = Path(issue["file"]) if issue["file"] else path
            span = entry
            if issue["file"]:
                span = _whole(texts.setdefault(file, _read(file)), issue["line"] - 1)
            about = issue["message"] if issue["file"] else f"{name}: {issue['message']}"
            found.setdefault(file, []).append(
                Mark(span, _LEVELS[issue["severity"]], about, issue["code"], issue, model["path"], target)
            )
    found[path] += [
        Mark(outline.place(_unneeded(line)), types.DiagnosticSeverity.Hint, line)
        for line in answer["unneeded"]
    ]
    return {file: rows[:MOST] for file, rows in found.items()}


def _unneeded(line: str) -> tuple[str | int, ...]:
    at = re.search(r", ignore\[(\d+)\]:", line)
    return ("ignore", int(at[1])) if at else ("ignore",)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace") if path.stat().st_size < 4 << 20 else ""
    except OSError:
        return ""


def issues(model: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every root cause of a model with its target."""
    for target in model["targets"]:
        for issue in target["issues"]:
            yield target["target"], issue


def models_entry(outline: Outline, config: Path, model: str) -> Span:
    """The entry of ``models`` that names a model, else the key."""
    found = [
        (config.parent / text == Path(model), keys)
        for keys, text in outline.texts.items()
        if keys[0] == "models" and names(config, text, model)
    ]
    if found:
        return outline.values[max(found, key=lambda item: item[0])[1]]
    return outline.place(("models",)) if ("models",) in outline.heads else outline.place(("extends",))


def names(config: Path, text: str, model: str) -> bool:
    """Whether an entry of ``models`` names a model: a file, a folder above it or a pattern."""
    said = config.parent / text
    return said == Path(model) or said in Path(model).parents or fnmatchcase(model, str(said))


# ---- hover -----------------------------------------------------------------------------------


def about_key(keys: Sequence[str | int]) -> str:
    """What a key of the configuration means; empty for one that is none."""
    fields: Sequence[Field] = FIELDS if len(keys) == 1 else ()
    if len(keys) == 2 and keys[0] == "gates":
        fields = GATES
    if len(keys) == 3:
        fields = {"target": TARGET, "costs": COSTS, "ignore": IGNORED}.get(str(keys[0]), ())
    return next((f"`{item.name}`: {item.about}" for item in fields if item.name == keys[-1]), "")


def table(answer: Mapping[str, Any], model: str = "", target: str = "") -> str:
    """How models do on targets, as Markdown: of one model, of one target's name or pattern, or all."""
    from ..settings.ignored import meant

    rows = [
        _row(item["path"], row)
        for item in answer["models"]
        if model in ("", item["path"])
        for row in item["targets"]
        if not target or meant(row["target"], target) or row["target"].startswith(target)
    ]
    if not rows:
        return ""
    head = "| model | target | verdict | coverage | partitions | root causes |\n|---|---|---|---|---|---|"
    return "\n".join([head, *rows[:_ROWS], *([f"\n{len(rows) - _ROWS} more"] if len(rows) > _ROWS else [])])


_ROWS = 50


def _row(path: str, row: Mapping[str, Any]) -> str:
    count = len(row["issues"]) + row["left_out"]
    cells = [
        Path(path).name, row["target"], row["verdict"], percent(row["coverage"]["operators"]),
        str(row["partitions"]), str(count),
    ]  # fmt: skip
    return f"| {' | '.join(cell.replace('|', chr(92) + '|').replace('<', '&lt;') for cell in cells)} |"


def explained(code: str, rule: str, target: str) -> str:
    """What the rule limits and why, as Markdown; of the code where the pack names no such rule."""
    from ...rewrites.families import stored_answers
    from ...rules.explain import explanation

    for what in (rule, code):
        try:
            text = explanation(what, target.partition("@")[0] or None, stored_answers())
        except UsageError:
            continue
        return f"```text\n{text[:_LONGEST].strip()}\n```"
    return ""


_LONGEST = 4000
__all__ = ["MOST", "SOURCE", "TOP", "Mark", "about_key", "explained", "marks", "problems", "table"]
