"""Walking around an operator that gives back one of its inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .engine import Miss

if TYPE_CHECKING:
    from ..analyzer.ir.graph import Graph, Operator


@dataclass(frozen=True, slots=True)
class Bypass:
    """``result`` of ``op`` is the same as ``source``."""

    op: Operator
    source: str
    result: str


def bypassable(graph: Graph, op: Operator, source: str, result: str) -> Bypass | Miss:
    """Whether the readers of ``result`` can read ``source``.

    An output of the graph keeps its name, so the writer of ``source`` must be free to write it under that
    name.
    """
    if _captured(graph, result):
        return Miss("a body reads its result")
    if result not in graph.outputs:
        return Bypass(op, source, result)
    writer = graph.producer(source)
    if writer is None:
        return Miss("it connects an input, a constant or an outer tensor to an output of the graph")
    if source in graph.outputs:
        return Miss("its input is an output of the graph, too")
    if _captured(graph, source):
        return Miss("a body reads its input")
    return Bypass(op, source, result)


def _captured(graph: Graph, name: str) -> bool:
    """Whether a body reads a tensor of the graph around it."""
    bodies = (body for reader in graph.consumers(name) for body in reader.graphs.values())
    return any(name in body.captures() for body in bodies if body.outer is not None)


def bypass(graph: Graph, found: Bypass) -> None:
    """Remove the operator; its readers read ``source``, or ``source`` is written under the name of the
    graph's output.
    """
    op, source, result = found.op, found.source, found.result
    _keep_shape(graph, source, result)
    if result not in graph.outputs:
        graph.rewire(result, source)
        graph.remove(op)
        return
    writer = graph.producer(source)
    assert writer is not None
    outputs = tuple(result if name == source else name for name in writer.outputs)
    readers = [reader for reader in graph.consumers(source) if reader is not op]
    moved = [
        replace(reader, inputs=tuple(result if name == source else name for name in reader.inputs))
        for reader in readers
    ]
    graph.replace((writer, *readers, op), (replace(writer, outputs=outputs), *moved))


def _keep_shape(graph: Graph, source: str, result: str) -> None:
    """The surviving tensor keeps the shape that only the other one was known to have."""
    kept, gone = graph.tensors.get(source), graph.tensor(result)
    if kept is not None and not kept.static and gone.static and graph.producer(source) is not None:
        graph.set_tensor(replace(kept, shape=gone.shape))
