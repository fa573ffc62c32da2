"""Predicates of ``litert/intel-npu``: what the plug-in looks at in the whole graph.

Read from ``litert/vendors/intel_openvino/compiler/openvino_compiler_plugin.cc`` (google-ai-edge/LiteRT,
commit f67457790c9c).
"""

from __future__ import annotations

from ...analyzer.ir.graph import Graph, Operator
from ..conditions import Context, Outcome
from . import holds_if, predicate


@predicate("graph_input_ranks")
def graph_input_ranks(graph: Graph, op: Operator, context: Context, most: int) -> Outcome:
    """No input of the graph that holds the operator has more than ``most`` dimensions."""
    for name in graph.inputs:
        rank = graph.tensor(name).rank
        if rank is not None and rank > most:
            return holds_if(False, f"graph input {name!r} has {rank} dimensions", str(most))
    return holds_if(True, "", str(most))
