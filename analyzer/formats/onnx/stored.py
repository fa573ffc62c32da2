"""What the ONNX reader remembers of a file, so that the writer can carry over what no edit touched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from ...ir.graph import Graph, Operator, Tensor
    from .wire import Span


@dataclass(slots=True)
class GraphRecord:
    """One graph as it was stored: its protobuf message, and what the reader made of each part."""

    proto: Any
    ops: dict[str, tuple[Operator, Any]] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(slots=True)
class Stored:
    """What the writer carries over: the stripped model, and the records of its graphs by graph name."""

    proto: Any
    file: Path | None
    spans: list[Span]
    graphs: dict[str, GraphRecord] = field(default_factory=dict)

    def unchanged(self, graph: Graph) -> bool:
        """True when the graph and the bodies in it are as they were read."""
        record = self.graphs.get(graph.name)
        if record is None or (graph.inputs, graph.outputs) != (record.inputs, record.outputs):
            return False
        ops = graph.ops()
        if len(ops) != len(record.ops) or len(graph.tensors) != len(record.tensors):
            return False
        if any(record.tensors.get(name) is not tensor for name, tensor in graph.tensors.items()):
            return False
        return all(self.same(record, op) for op in ops)

    def same(self, record: GraphRecord, op: Operator) -> bool:
        """True when the operator and its bodies are as they were read."""
        stored = record.ops.get(op.id)
        return (
            stored is not None
            and stored[0] is op
            and all(self.unchanged(body) for body in op.graphs.values())
        )
