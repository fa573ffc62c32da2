"""Nodes of a file behind the nodes that ONNX Runtime made of them before it asked its providers.

Providers are asked after the first level of optimization (``ORT_ENABLE_BASIC``: constant folding, Conv +
BatchNormalization, MatMul + Add, Identity elimination, ...). Each node of that graph stands for the nodes of
the file on the way from the tensors that it writes back to those that it reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .onnx_names import Node


def ahead(nodes: Iterable[Node], constants: Iterable[str]) -> set[str]:
    """Places of the nodes that compute with shapes and constants alone: no other node stands for one of them,
    it is computed when the model is loaded or merged with its like.
    """
    known, found = set(constants), set()
    for node in nodes:
        if node.type in ("Shape", "Size", "Constant") or all(name in known for name in node.inputs if name):
            known.update(node.outputs)
            found.add(node.place)
    return found


def behind(nodes: Iterable[Node], optimized: Any, constants: Iterable[str] = ()) -> dict[str, list[str]]:
    """Names of the optimized graph's nodes by the place of the file's node that they stand for; main graph
    only.

    ``optimized`` is a ``GraphProto``. A node of the file that two of its nodes need appears under both.
    """
    nodes = [node for node in nodes if node.graph == "main"]
    makers = {name: node for node in nodes for name in node.outputs if name}
    told = ahead(nodes, constants)
    found: dict[str, list[str]] = {}
    for made in optimized.node:
        reads = set(made.input)
        todo, seen = [name for name in made.output if name], set()
        while todo:
            node = makers.get(todo.pop())
            if node is None or node.place in seen or node.place in told:
                continue
            seen.add(node.place)
            todo += [name for name in node.inputs if name not in reads]
        for place in seen:
            found.setdefault(place, []).append(made.name)
    return found


def names_in(graph: Any) -> list[str]:
    """Names of the nodes of a ``GraphProto`` and of the bodies in it."""
    found = [node.name for node in graph.node]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found += names_in(attribute.g)
    return found
