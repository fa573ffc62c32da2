"""Local functions: their names, and the check that calling them ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import ModelError
from .proto import text

if TYPE_CHECKING:
    from pathlib import Path

MAX_EXPANDED = 1_000_000
"""Operators after inlining beyond which nothing that inlines is started."""


def function_key(proto: Any) -> str:
    """``domain::name`` of a FunctionProto, with ``::overload`` where it has one."""
    return "::".join(filter(None, map(text, (proto.domain, proto.name, proto.overload))))


def _call_key(node: Any) -> str:
    return "::".join(filter(None, map(text, (node.domain, node.op_type, node.overload))))


def calls(nodes: Any) -> list[str]:
    """Keys of the operators in a list of nodes and in their bodies."""
    found: list[str] = []
    todo = [nodes]
    while todo:
        for node in todo.pop():
            found.append(_call_key(node))
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    todo.append(attribute.g.node)
                todo += [graph.node for graph in attribute.graphs]
    return found


def expanded(proto: Any) -> dict[str, int]:
    """Operators that a call of each function stands for, calls in it expanded. Raises RecursionError on a
    cycle.
    """
    called = {function_key(function): calls(function.node) for function in proto.functions}
    sizes: dict[str, int] = {}
    for root in called:
        stack, open_keys = [root], set[str]()
        while stack:
            key = stack[-1]
            missing = [
                callee for callee in dict.fromkeys(called[key]) if callee in called and callee not in sizes
            ]
            if key not in sizes and missing:
                open_keys.add(key)
                if open_keys & set(missing):
                    raise RecursionError(key)
                stack += missing
                continue
            sizes[stack.pop()] = sum(sizes.get(callee, 1) for callee in called[key])
            open_keys.discard(key)
    return sizes


def check_functions(proto: Any, path: Path) -> None:
    """Raise ModelError when two functions share a name or functions call each other in a cycle."""
    keys: set[str] = set()
    for key in map(function_key, proto.functions):
        if key in keys:
            raise ModelError(path, f"two functions named {key!r}", "export it again")
        keys.add(key)
    try:
        expanded(proto)
    except RecursionError as error:
        raise ModelError(
            path, f"the function {error} calls itself", "ONNX has no recursion: export it again"
        ) from error
