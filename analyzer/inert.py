"""Strings from a model, a pack, a path or a runtime, made inert before somebody sees them.

A name may hold what drives a terminal (ESC and other control characters), turns the text around
(bidirectional marks), starts a line of its own or is no character at all (a lone surrogate). Escaped here, in
one place: the report's strings before any form is made of them (``tree``), JSON as JSON escapes it
(``json_text``), and whatever is printed otherwise at the streams (``Writer``).
"""

from __future__ import annotations

import io
import re
from typing import Any

_STYLES = re.compile(r"(\x1b\[[0-9;]*m)")
_STRANGE = re.compile(r"[^ -~]+")
_STRANGE_IN_LINES = re.compile(r"[^ -~\n]+")
_STRANGE_IN_JSON = re.compile(r"[^ -~\n]+")
"""Where to look closer: a report of megabytes is plain ASCII but for a few names."""


def line(text: str) -> str:
    """Text on one line, each character that is not printable as ``\\x1b``, ``\\u202e`` or ``\\n``."""
    return text if text.isprintable() else _STRANGE.sub(_escaped_all, text)


def lines(text: str) -> str:
    """Text that may have several lines: ``line`` for each of them, tabs too (a report has none)."""
    return text if text.isprintable() else _STRANGE_IN_LINES.sub(_escaped_all, text)


def json_text(text: str) -> str:
    """JSON whose strings hold no character that is not printable: valid UTF-8 and the same document."""
    return text if text.isprintable() else _STRANGE_IN_JSON.sub(_json_escaped, text)


def tree(value: Any) -> Any:
    """A document with every string in it, keys included, on one line and inert."""
    if isinstance(value, str):
        return line(value)
    if isinstance(value, dict):
        return {line(key) if isinstance(key, str) else key: tree(item) for key, item in value.items()}
    return [tree(item) for item in value] if isinstance(value, list | tuple) else value


class Writer(io.TextIOWrapper):
    """A stream of this process that passes nothing but text, and the styles of a report where it is
    ``styled`` (a terminal). What moves the cursor writes to ``sys.__stderr__``.
    """

    def __init__(self, buffer: Any, encoding: str, *, styled: bool, line_buffering: bool) -> None:
        plain = encoding.lower().replace("-", "") in ("ascii", "usascii", "ansi_x3.41968")
        super().__init__(  # what a locale cannot show is escaped too; click wraps ASCII streams by itself
            buffer,
            encoding="utf-8" if plain else encoding,
            errors="backslashreplace",
            line_buffering=line_buffering,
        )
        self._styled = styled

    def write(self, text: str, /) -> int:
        """Write the text, escaped."""
        if text.isprintable():
            return super().write(text)
        parts = _STYLES.split(text) if self._styled else [text]
        super().write("".join(part if index % 2 else lines(part) for index, part in enumerate(parts)))
        return len(text)

    def write_form(self, text: str, /) -> None:
        """Write a report form, whose names are inert already: tabs are the form's own."""
        for index, part in enumerate(text.split("\t")):
            super().write("\t" if index else "")
            self.write(part)


def _escaped_all(found: re.Match[str]) -> str:
    return "".join(map(_escaped, found[0]))


def _json_escaped(found: re.Match[str]) -> str:
    return "".join(char if char.isprintable() else _json_escape(char) for char in found[0])


def _escaped(char: str) -> str:
    if char.isprintable():
        return char
    if char in _SHORT:
        return _SHORT[char]
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _json_escape(char: str) -> str:
    code = ord(char)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
