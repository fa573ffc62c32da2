"""The examples of the tables that passes work by: a graph of a few lines, and the operators that are left of
it (``policies/examples.py``).
"""

from __future__ import annotations

from pathlib import Path

from ..ir.graph import Graph
from ..ir.model import Model
from ..policies.tables import Tables
from .level1 import optimized
from .releases import lacking


def left(graph: Graph, tables: Tables) -> str:
    """The types of the operators that the passes leave, in execution order; by the newest release, of which
    every kernel is there.
    """
    model = Model(Path("example.onnx"), "onnx", graph, {"main": graph}, {})
    found = optimized(model, lambda board, op: True, lambda model: None, lacking(), tables)
    return " ".join(op.type for op in found.model.graph.ops())


WAYS = {"optimized": left}
