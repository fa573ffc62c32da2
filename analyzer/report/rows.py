"""Rows of a report that are made when they are asked for: a model has as many as operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

BATCH = 2000
"""Rows that are held at once."""


KEPT = 64
"""Encoded batches that are kept for the next target: a megabyte for ten."""
Texts = dict[tuple[int, ...], str]
"""What batches were encoded to, by the identities of their items, which the report holds meanwhile."""


class Rows:
    """A list of rows, each made anew whenever it is gone through.

    ``texts`` is shared by the rows of targets that often have the very same items: operators that nothing was
    found about.
    """

    def __init__(
        self, make: Callable[[Any], dict[str, Any]], items: Sequence[Any], texts: Texts | None = None
    ) -> None:
        self._make = make
        self._items = items
        self._texts = texts

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._make(self._items[index])

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(self._make, self._items)

    def encoded(self, encode: Callable[[list[dict[str, Any]]], str]) -> Iterator[str]:
        """What ``encode`` makes of the rows, some at a time."""
        for start in range(0, len(self._items), BATCH):
            items = self._items[start : start + BATCH]
            key = tuple(map(id, items)) if self._texts is not None else ()
            text = self._texts.get(key) if self._texts is not None else None
            if text is None:
                text = encode(list(map(self._make, items)))
                if self._texts is not None and len(self._texts) < KEPT:
                    self._texts[key] = text
            yield text
