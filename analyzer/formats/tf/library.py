"""The function library of a TensorFlow graph: who calls whom, and how much that amounts to.

Functions are expanded where they are called, so a small file can stand for endless operators. Sizes are
therefore summed up before anything is expanded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...errors import GraphError
from .ops import OpTable

CALLS = ("PartitionedCall", "StatefulPartitionedCall", "TPUPartitionedCall")

MAX_DEPTH = 64
"""Calls and bodies nest this deep at most; TensorFlow's own control flow stays below 10."""
MAX_NODES = 2_000_000
"""Nodes after expansion; beyond it the library is a bomb."""


class Library(Mapping[str, Any]):
    """FunctionDefs by name. Raises GraphError on a repeated or empty name."""

    def __init__(self, functions: Iterable[Any], ops: OpTable) -> None:
        self.ops = ops
        self._functions: dict[str, Any] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        for function in functions:
            name = function.signature.name
            if not name or name in self._functions:
                raise GraphError(
                    f"the library has two functions named {name!r}"
                    if name
                    else "the library has a function without a name"
                )
            self._functions[name] = function

    def __getitem__(self, name: str) -> Any:
        return self._functions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)

    def callee(self, node: Any) -> str | None:
        """The function that a node does nothing but call, None for every other node."""
        if node.op in self._functions:
            return str(node.op)
        if node.op not in CALLS or "f" not in node.attr:
            return None
        name = node.attr["f"].func.name
        return name if name in self._functions else None

    def bodies(self, node: Any) -> list[tuple[str, str]]:
        """The functions that an operator holds, by attribute name (``branches[1]`` in a list)."""
        if not self._functions:
            return []
        spec = self.ops.get(node.op)
        found: list[tuple[str, str]] = []
        for key in spec.functions if spec else sorted(node.attr):
            if key not in node.attr:
                continue
            value = node.attr[key]
            kind = value.WhichOneof("value")
            if kind == "func":
                found.append((key, value.func.name))
            elif kind == "list":
                found += [(f"{key}[{index}]", func.name) for index, func in enumerate(value.list.func)]
        return [(key, name) for key, name in found if name in self._functions]

    def check(self, nodes: Iterable[Any]) -> None:
        """Raise GraphError when the nodes expand beyond ``MAX_NODES`` or ``MAX_DEPTH``, or into
        themselves.
        """
        total = 0
        for node in nodes:
            total += 1 + sum(self._measure(name)[0] for name in self._called(node))
            if total > MAX_NODES:
                raise GraphError(f"the functions expand to more than {MAX_NODES} nodes")

    def _called(self, node: Any) -> list[str]:
        callee = self.callee(node)
        return [callee] if callee is not None else [name for _, name in self.bodies(node)]

    def _measure(self, root: str) -> tuple[int, int]:
        """Nodes and depth of a function with everything below it."""
        open_: dict[str, list[str]] = {}
        todo = [root]
        while todo:
            name = todo[-1]
            if name in self._sizes:
                todo.pop()
            elif name not in open_:
                open_[name] = [
                    callee for node in self._functions[name].node_def for callee in self._called(node)
                ]
                waiting = [callee for callee in dict.fromkeys(open_[name]) if callee not in self._sizes]
                if any(callee in open_ for callee in waiting):
                    raise GraphError(f"the function {name!r} calls itself, directly or through others")
                todo += waiting
            else:
                self._close(name, open_[name])
                del open_[name]
                todo.pop()
        return self._sizes[root]

    def _close(self, name: str, callees: list[str]) -> None:
        below = [self._sizes[callee] for callee in callees]
        size = len(self._functions[name].node_def) + sum(nodes for nodes, _ in below)
        depth = 1 + max((deep for _, deep in below), default=0)
        if depth > MAX_DEPTH:
            raise GraphError(f"functions nest more than {MAX_DEPTH} deep at {name!r}")
        self._sizes[name] = (size, depth)
