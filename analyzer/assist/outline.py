"""Where the keys and values of a configuration stand in its text, also while that is being written.

Columns count characters; the server turns them into what its client counts.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import tree_sitter
import tree_sitter_toml

from ..settings.ignored import meant
from ..settings.sources import SHARED

Keys = tuple[str | int, ...]
"""The way to a value from the configuration's top: names of tables and keys, places in lists."""


@dataclass(frozen=True)
class Span:
    """A stretch of the text: line and column of its first character, and after its last one."""

    line: int
    column: int
    end_line: int
    end_column: int

    def holds(self, line: int, column: int) -> bool:
        """Whether a position is in it."""
        return (self.line, self.column) <= (line, column) <= (self.end_line, self.end_column)


TOP = Span(0, 0, 0, 0)


@dataclass
class Outline:
    """The places of a text's keys and values.

    ``heads`` has the keys (of tables, their headers), ``values`` what stands for them; ``texts`` the strings
    among the values.
    """

    heads: dict[Keys, Span] = field(default_factory=dict)
    values: dict[Keys, Span] = field(default_factory=dict)
    texts: dict[Keys, str] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str, path: Path) -> Outline:
        """From a text; of a pyproject what stands in ``[tool.accelint]``."""
        outline = cls()
        reader = _Reader(text, ("tool", "accelint") if path.name == SHARED else ())
        for keys, head, value in reader.places():
            if head is not None:
                outline.heads[keys] = reader.span(head)
            if value is not None:
                outline.values[keys] = reader.span(value)
                if value.type == "string" and (said := reader.value(value)) is not None:
                    outline.texts[keys] = said
        return outline

    def place(self, keys: Keys) -> Span:
        """Where the value of the keys stands, or the nearest thing around it that the text has."""
        for end in range(len(keys), 0, -1):
            found = self.heads.get(keys[:end]) or self.values.get(keys[:end])
            if found is not None:
                return found
        return TOP

    def at(self, line: int, column: int) -> Keys:
        """The innermost key or value at a position; empty where there is none."""
        found = [keys for spans in (self.heads, self.values) for keys, span in spans.items()
                 if span.holds(line, column)]  # fmt: skip
        return max(found, key=len, default=())

    def gate(self, target: str, key: str) -> Span:
        """Where the gate of a target is said: the last table that names the target, else ``[gates]``, else
        what this file extends.
        """
        said = [
            keys
            for keys in self.heads
            if len(keys) == 3 and keys[0] == "target" and keys[2] == key and meant(target, str(keys[1]))
        ]
        own = [*reversed(said), ("gates", key)]
        return self.place(next((keys for keys in own if keys in self.heads), ("extends",)))

    def quoted(self, message: str, *tops: str) -> Span:
        """The place of the text under one of the keys that a message speaks of, else of the first key."""
        found = [
            (repr(text) in message, len(text), keys)
            for keys, text in self.texts.items()
            if keys[0] in tops and text.rstrip("/") in message
        ]
        return self.values[max(found)[2]] if found else self.place((tops[0],))


@cache
def _parser() -> tree_sitter.Parser:
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language()))


class _Reader:
    """One text and its syntax tree."""

    def __init__(self, text: str, prefix: Keys) -> None:
        self._bytes = text.encode("utf-8", "surrogatepass")
        self._lines = self._bytes.split(b"\n")
        self._prefix = prefix
        self._counts: dict[Keys, int] = {}

    def places(self) -> Iterator[tuple[Keys, tree_sitter.Node | None, tree_sitter.Node | None]]:
        """Keys below the prefix, the node of the key and that of the value."""
        for keys, head, value in self._top(_parser().parse(self._bytes).root_node):
            if keys[: len(self._prefix)] == self._prefix and len(keys) > len(self._prefix):
                yield keys[len(self._prefix) :], head, value

    def _top(self, root: tree_sitter.Node) -> Iterator[tuple[Keys, Any, Any]]:
        for node in root.children:
            if node.type == "pair":
                yield from self._pair(node, ())
            elif node.type in ("table", "table_array_element"):
                yield from self._table(node)

    def _table(self, node: tree_sitter.Node) -> Iterator[tuple[Keys, Any, Any]]:
        header = next((child for child in node.named_children if child.type.endswith("_key")), None)
        keys = self._keys(header)
        if not keys:
            return
        if node.type == "table_array_element":
            count = self._counts.get(keys, 0)
            self._counts[keys] = count + 1
            keys = (*keys, count)
        yield keys, header, None
        for child in node.named_children:
            if child.type == "pair":
                yield from self._pair(child, keys)

    def _pair(self, node: tree_sitter.Node, above: Keys) -> Iterator[tuple[Keys, Any, Any]]:
        named = node.named_children
        keys = self._keys(named[0]) if len(named) > 1 else ()
        if not keys:
            return
        yield (*above, *keys), named[0], named[1]
        yield from self._inside(named[1], (*above, *keys))

    def _inside(self, value: tree_sitter.Node, above: Keys) -> Iterator[tuple[Keys, Any, Any]]:
        if value.type == "array":
            items = [child for child in value.named_children if child.type != "comment"]
            for index, item in enumerate(items):
                yield (*above, index), None, item
                yield from self._inside(item, (*above, index))
        elif value.type == "inline_table":
            for child in value.named_children:
                if child.type == "pair":
                    yield from self._pair(child, above)

    def _keys(self, node: tree_sitter.Node | None) -> Keys:
        if node is None:
            return ()
        table: Any = self._toml(f"{self._text(node)} = 0")
        keys: list[str] = []
        while isinstance(table, dict) and table:
            keys.append(next(iter(table)))
            table = table[keys[-1]]
        return tuple(keys)

    def value(self, node: tree_sitter.Node) -> str | None:
        """What a string says."""
        said = (self._toml(f"x = {self._text(node)}") or {}).get("x")
        return said if isinstance(said, str) else None

    def _toml(self, text: str) -> dict[str, Any] | None:
        try:
            return tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError):
            return None

    def _text(self, node: tree_sitter.Node) -> str:
        return self._bytes[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def span(self, node: tree_sitter.Node) -> Span:
        """The node's place in characters."""
        (line, column), (end_line, end_column) = node.start_point, node.end_point
        return Span(line, self._column(line, column), end_line, self._column(end_line, end_column))

    def _column(self, line: int, column: int) -> int:
        return len(self._lines[line][:column].decode("utf-8", "replace")) if line < len(self._lines) else 0
