"""Waves over what a simplifier leaves: operators that depend on constants and fixed shapes alone are computed
before anything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any

from ..ir.graph import Constant, Graph, Operator
from ..ir.view import edited
from .alternating import Alternating
from .tables import WithTables


class Folding(WithTables, Alternating):
    """``Waves`` of a converter that simplifies the model first: what it computes ahead of time counts as
    supported.
    """

    def view(self, graph: Graph, options: Mapping[str, Any]) -> Graph:
        """The graph without what is computed ahead of time, its results as constants whose values are not
        known here.
        """
        ahead = _ahead(graph, self.tables["folding"].types("random"))
        known = [graph.tensor(name) for op in ahead for name in op.outputs if name]
        return edited(
            graph,
            dict.fromkeys(op.id for op in ahead),
            (replace(tensor, const=Constant("unknown", ())) for tensor in known),
        )


def _ahead(graph: Graph, random: Set[str]) -> list[Operator]:
    """In file order: shapes of tensors with fixed shapes, and what reads nothing but those and constants."""
    known: set[str] = set()
    found = []
    for op in graph.ops():
        constant = bool(op.inputs) and op.type != "Constant" and op.type not in random and not op.graphs
        if constant and (_static_shape(graph, op) or _reads_known(graph, op, known)):
            known.update(name for name in op.outputs if name)
            found.append(op)
    return found


def _static_shape(graph: Graph, op: Operator) -> bool:
    if op.type not in ("Shape", "Size") or not op.inputs or not op.inputs[0]:
        return False
    tensor = graph.find(op.inputs[0])
    return tensor is not None and tensor.shape is not None and tensor.static


def _reads_known(graph: Graph, op: Operator, known: set[str]) -> bool:
    return all(graph.constant(name) is not None or name in known for name in op.inputs if name)


POLICIES = {"": Folding}
