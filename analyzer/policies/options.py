"""The options that a policy is asked with, and which of them its answer depends on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_ABSENT = object()


class Watched(Mapping[str, Any]):
    """Options that remember what was asked of them: other options that would have said the same give the
    same answer.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._read: dict[str, Any] = {}
        self._compared: dict[tuple[str, Any], bool] = {}

    def __getitem__(self, key: str) -> Any:
        self._read[key] = self._options.get(key, _ABSENT)
        return self._options[key]

    def __iter__(self) -> Iterator[str]:
        self._read.update(self._options)
        return iter(self._options)

    def __len__(self) -> int:
        self._read.update(self._options)
        return len(self._options)

    def compared(self, key: str, value: Any) -> bool:
        """Whether an option has a value; which other one it has does not matter."""
        found = self._compared[key, value] = bool(self._options.get(key, _ABSENT) == value)
        return found

    def same(self, options: Mapping[str, Any]) -> bool:
        """Whether other options would have said the same."""
        return all(options.get(key, _ABSENT) == value for key, value in self._read.items()) and all(
            (options.get(key, _ABSENT) == value) is answer for (key, value), answer in self._compared.items()
        )


def is_set(options: Mapping[str, Any], key: str, value: Any) -> bool:
    """Whether an option has a value: what a policy asks that looks at nothing else of the option."""
    return options.compared(key, value) if isinstance(options, Watched) else bool(options.get(key) == value)
