"""The commands that the pages print: where they are, and which cannot be run on a machine like this."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cli import ROOT

GENERATED = ("docs/support/", "docs/conformance/")
"""Pages that are made of data; their commands are records of what was measured: the syntax is checked."""
COMMAND = re.compile(r"\baccelint(?: --[\w-]+)* [a-z]+\b")
_BLOCK = re.compile(
    r"^```(?P<kind>\w*)\n(?P<fenced>.*?)^```$|(?P<indented>(?:^ {4,}\S[^\n]*\n)+)", re.MULTILINE | re.DOTALL
)
_NOT_RUN = re.compile(r"<!-- not run: (?P<why>[^>]*\S) -->\s*\Z")
_PRINTS = re.compile(r"\A\s*<!-- prints: (?P<text>[^>]*\S) -->")
_SHELL = ("", "sh", "bash", "console")


@dataclass(frozen=True)
class Line:
    """One command of a page, why it is not run (empty where it is), and what the page says of its output."""

    text: str
    why: str = ""
    prints: str = ""


def pages() -> list[str]:
    """Every page that somebody wrote."""
    found = ["README.md", "CONTRIBUTING.md"]
    found += sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
    return [name for name in found if not name.startswith(GENERATED)]


def every_page() -> list[str]:
    """Those, and the pages that are made of data."""
    made = [path.relative_to(ROOT).as_posix() for name in GENERATED for path in (ROOT / name).rglob("*.md")]
    return pages() + sorted(made)


def lines(name: str) -> list[Line]:
    """The commands in the code blocks of a page, in order."""
    return _lines((ROOT / name).read_text(encoding="utf-8"))


def _lines(text: str) -> list[Line]:
    found: list[Line] = []
    for block in _BLOCK.finditer(text):
        if (block["kind"] or "") not in _SHELL:
            continue
        marked = _NOT_RUN.search(text[: block.start()])
        printed = _PRINTS.match(text[block.end() :])
        body = (block["fenced"] or block["indented"]).replace("\\\n", "")
        here = [
            Line(words.removeprefix("$ "), marked["why"] if marked else "")
            for words in map(str.strip, body.splitlines())
            if COMMAND.search(words)
        ]
        if here and printed:
            here[-1] = Line(here[-1].text, here[-1].why, printed["text"])
        found += here
    return found


def spans(name: str) -> list[str]:
    """The commands within the sentences and tables of a page."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(r"`(accelint [^`\n]+)`", _BLOCK.sub("", text))


def made_by(line: str) -> list[str]:
    """The files that a command leaves."""
    return re.findall(r"(?:-o|--output) (\S+)", line)


def read_by(line: str) -> list[str]:
    """The files that a command reads, as far as their names tell."""
    outputs = set(made_by(line))
    words = re.findall(r"(?<![\w/.*=-])[\w./*-]+\.(?:onnx|tflite|pb|keras|json|mlmodel|mlpackage)\b", line)
    return [word for word in words if word not in outputs and not Path(word).is_absolute()]
