"""The options that a policy is asked with, and which of them its answer depends on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import UsageError

if TYPE_CHECKING:
    from ..ir.graph import Graph

_ABSENT = object()
T = TypeVar("T")
Memo = dict[tuple[Hashable, int], tuple["Graph", Any]]
"""What policies worked out about graphs, by name and graph; it holds the graphs, so that none takes the place
of another.
"""


class Watched(Mapping[str, Any]):
    """Options that remember what was asked of them: other options that would have said the same give the
    same answer.
    """

    def __init__(self, options: Mapping[str, Any], memo: Memo | None = None) -> None:
        self._options = options
        self._memo = {} if memo is None else memo
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

    def shared(self, name: Hashable, graph: Graph, make: Callable[[Graph], T]) -> T:
        """What ``make`` gives for a graph, made once."""
        known = self._memo.get((name, id(graph)))
        if known is None:
            known = self._memo[name, id(graph)] = graph, make(graph)
        found: T = known[1]
        return found

    def same(self, options: Mapping[str, Any]) -> bool:
        """Whether other options would have said the same."""
        return all(options.get(key, _ABSENT) == value for key, value in self._read.items()) and all(
            (options.get(key, _ABSENT) == value) is answer for (key, value), answer in self._compared.items()
        )


def shared(options: Mapping[str, Any], name: Hashable, graph: Graph, make: Callable[[Graph], T]) -> T:
    """What ``make`` gives for a graph, made once for all policies that are asked with options of one check;
    it depends on nothing but the graph, and nobody changes it.
    """
    return options.shared(name, graph, make) if isinstance(options, Watched) else make(graph)


def whole(options: Mapping[str, Any], key: str, default: int) -> int:
    """An option that is a whole number. Raises UsageError for a pack that gives this policy anything else."""
    value = options.get(key, default)
    if not isinstance(value, int):
        raise UsageError(f"policy_options: {key} is {value!r}, and this policy takes a whole number")
    return value


def is_set(options: Mapping[str, Any], key: str, value: Any) -> bool:
    """Whether an option has a value: what a policy asks that looks at nothing else of the option."""
    return options.compared(key, value) if isinstance(options, Watched) else bool(options.get(key) == value)
