"""Commands that a report prints: each stands on one line, is quoted for a shell, and can be run as it is."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..check.coverage import About, Coverage, Entry, Interface

SUFFIXES = {"onnx": ".onnx", "tflite": ".tflite"}
"""Dialects whose models are fixed, and how the results end."""
_LONGEST = 100
"""Bytes of a name that an output takes over."""


def command(*words: str) -> str:
    """The words as a shell takes them apart again."""
    return " ".join(map(quoted, words))


def quoted(word: str) -> str:
    """One word; what is not printable as ``$'\\x1b'``, which shells but the plainest understand."""
    if word.isprintable():
        return shlex.quote(word)
    parts = [_escaped(char) for char in word]
    return f"$'{''.join(parts)}'"


def _escaped(char: str) -> str:
    if char in "\\'":
        return f"\\{char}"
    if char.isprintable():
        return char
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(char))


def commands(entry: Entry, coverage: Coverage) -> dict[str, str]:
    """What can be done about a target's findings: ``fix`` where safe rewrites match, ``fix_unsafe`` where
    others do, ``freeze`` where shapes are dynamic and only a batch is to be chosen.
    """
    about = entry.about
    path = entry.path if entry.origin is None else entry.origin.stored
    if about is None or about.format == "ort" or path is None:  # which is read and not written
        return {}
    found = {}
    repaired = [item.safe for item in coverage.findings if item.fix is not None]
    if any(repaired):
        found["fix"] = _fix(path, about, coverage)
    if not all(repaired):
        found["fix_unsafe"] = _fix(path, about, coverage, "--fix-level", "unsafe")
    if freezing := _freeze(path, about, coverage):
        found["freeze"] = freezing
    return found


def advice(entry: Entry, coverage: Coverage) -> str:
    """What to do about dynamic shapes where no command can say it; empty where there is none."""
    about = entry.about
    opened = () if about is None else _opened(about, coverage)
    if about is None or not opened or _freeze(entry.path, about, coverage):
        return ""
    if about.dialect not in SUFFIXES:
        return "export the model with static shapes"
    words = ", ".join(dict.fromkeys(word for item in opened for word in _unsaid(item)))
    return f"freeze the sizes that your application uses ({words}) with accelint fix --freeze NAME=SIZES"


def _opened(about: About, coverage: Coverage) -> tuple[Interface, ...]:
    """The inputs of dynamic shapes, where findings speak of such."""
    spoken = any(item.code == "ACL101" for item in coverage.findings)
    return tuple(item for item in about.inputs if not _static(item)) if spoken else ()


def _static(item: Interface) -> bool:
    return item[2] is not None and all(isinstance(dim, int) for dim in item[2])


def _fix(path: Path, about: About, coverage: Coverage, *more: str) -> str:
    """A model of another dialect is converted first: what was checked is what the converter makes of it."""
    if about.dialect in SUFFIXES:
        return _fixing(path, about.dialect, coverage, *more)
    made = Path(_output(path, "", SUFFIXES["tflite"]))
    converting = command("accelint", "convert", _argument(path), "--to", "tflite", "-o", str(made))
    return f"{converting} && {_fixing(made, 'tflite', coverage, *more)}"


def _fixing(path: Path, dialect: str, coverage: Coverage, *more: str) -> str:
    options = [*coverage.options, *more, "-o", _output(path, ".fixed", SUFFIXES[dialect])]
    return command("accelint", "fix", _argument(path), *options)


def _freeze(path: Path, about: About, coverage: Coverage) -> str:
    """Only a batch has a size that suits every model; other sizes are the user's to say: empty then."""
    opened = _opened(about, coverage)
    if not opened or any(_unsaid(item) for item in opened):
        return ""
    if about.dialect in SUFFIXES:
        return _fixing(path, about.dialect, coverage, *(word for item in opened for word in _frozen(item)))
    if about.dialect != "tf":
        return ""
    to = "mlpackage" if coverage.target.startswith("coreml/") else "tflite"
    options = ["--to", to, "--batch", "1", "-o", _output(path, ".fixed", f".{to}")]
    return command("accelint", "convert", _argument(path), *options)


def _frozen(item: Interface) -> list[str]:
    name, _, shape = item
    value = f"{name}={'x'.join(str(dim) if isinstance(dim, int) else '1' for dim in shape or ())}"
    return [f"--freeze={value}"] if value.startswith("-") else ["--freeze", value]


def _unsaid(item: Interface) -> list[str]:
    """The dimensions of an input that no command can give a size, by what they are called."""
    name, _, shape = item
    if shape is None or name.strip() != name or not name:
        return [f"the shape of {name!r}"]
    return [
        dim if isinstance(dim, str) else f"axis {axis} of {name!r}"
        for axis, dim in enumerate(shape)
        if axis and not isinstance(dim, int)
    ]


def _argument(path: Path) -> str:
    """A path that no command takes for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def _output(path: Path, tag: str, suffix: str) -> str:
    """A file in the current folder, named after the model."""
    stem = Path(os.path.abspath(path)).stem  # noqa: PTH100 (no link is to be followed)
    short = os.fsdecode(os.fsencode(stem)[:_LONGEST])
    return f"./{short}{tag}{suffix}" if short.startswith("-") else f"{short}{tag}{suffix}"
