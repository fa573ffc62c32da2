"""What the ONNX reader remembers of a file, so that the writer can carry over what no edit touched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .proto import pb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ...ir.graph import Graph, Operator, Tensor
    from ..wire import Span


@dataclass(slots=True)
class GraphRecord:
    """One graph as it was stored: where its protobuf message is, and what the reader made of each part.

    Attributes:
        find: gives the GraphProto or FunctionProto.
        ops: what was made of each node, in the file's order.
    """

    find: Callable[[], Any]
    ops: tuple[Operator, ...] = ()
    tensors: dict[str, Tensor] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    @property
    def proto(self) -> Any:
        """The message."""
        return self.find()

    def op(self, id: str) -> Operator | None:
        """The operator as it was read, None for one that was not: ids end with the node's index."""
        place = id.rpartition("/")[2]
        if not place.isdecimal() or int(place) >= len(self.ops):
            return None
        op = self.ops[int(place)]
        return op if op.id == id else None

    def node(self, op: Operator) -> Any:
        """The NodeProto of an operator of ``ops``."""
        return self.proto.node[int(op.id.rpartition("/")[2])]


class Stored:
    """What the writer carries over: the stripped model, and the records of its graphs by graph name.

    Attributes:
        file: where the spans lie, None for a model in memory.
        spans: what the marked tensors of the stripped model stand for.
        graphs: by graph name.
    """

    def __init__(self, data: bytes, file: Path | None, spans: list[Span], proto: Any = None) -> None:
        self.file = file
        self.spans = spans
        self.graphs: dict[str, GraphRecord] = {}
        self._data = data
        self._proto = proto

    @property
    def proto(self) -> Any:
        """The stripped ModelProto, parsed when it is asked for."""
        if self._proto is None:
            self._proto = pb().ModelProto.FromString(self._data)
        return self._proto

    def release(self) -> None:
        """Let the parsed message go: it takes four times the bytes that it is parsed from, and a check never
        asks for it again.
        """
        self._proto = None

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
        return record.op(op.id) is op and all(self.unchanged(body) for body in op.graphs.values())
