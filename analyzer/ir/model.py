"""A model as it was loaded: its file, format and graphs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from .graph import Graph, Operator

OWN = "accelint."
"""How the properties begin that accelint itself keeps in a file; writers carry them."""
HASHED_UP_TO = 64 * 1024 * 1024


@dataclass(eq=False)
class Model:
    """What a reader returns.

    Attributes:
        path: the file or folder that was read.
        format: how it is stored: ``onnx``, ``tflite``, ``savedmodel``, ``keras``, ``mlmodel``, ``mlpackage``,
            or what a reader of another distribution calls it.
        graph: the main graph, whose operators a target runs.
        graphs: every entry graph by name, the main one included (signatures, Core ML functions).
        functions: bodies that operators call by name (ONNX local functions, the TensorFlow function library).
        metadata: what the format stores about the model (producer, properties, signatures).
        stored: the reader's own record of the file, from which its writer carries over what the graph does
            not hold.
    """

    path: Path
    format: str
    graph: Graph
    graphs: Mapping[str, Graph] = field(default_factory=dict)
    functions: Mapping[str, Graph] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    stored: Any = field(default=None, repr=False)

    @property
    def dialect(self) -> str:
        """The dialect of the graphs."""
        return self.graph.dialect

    @cached_property
    def sha256(self) -> str | None:
        """Of the file, or over the names and contents of a folder's files; None above ``HASHED_UP_TO`` bytes.

        Hashing would read every weight, and a check reads none: its cost follows the structure.
        """
        from ..files import sha256, total_size

        return sha256(self.path) if total_size(self.path) <= HASHED_UP_TO else None

    def operators(self) -> Iterator[tuple[Graph, Operator]]:
        """Every operator of every entry graph, bodies included."""
        seen: set[int] = set()
        for graph in self.graphs.values() or (self.graph,):
            for owner, op in graph.walk():
                if id(op) not in seen:
                    seen.add(id(op))
                    yield owner, op
