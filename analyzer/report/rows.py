"""Rows of a report that are made when they are asked for: a model has as many as operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

BATCH = 2000
"""Rows that are held at once."""


class Rows:
    """A list of rows, each made anew whenever it is gone through."""

    def __init__(self, make: Callable[[Any], dict[str, Any]], items: Sequence[Any]) -> None:
        self._make = make
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(self._make, self._items)

    def batches(self) -> Iterator[list[dict[str, Any]]]:
        """The rows, some at a time."""
        rows = iter(self)
        while batch := list(islice(rows, BATCH)):
            yield batch
