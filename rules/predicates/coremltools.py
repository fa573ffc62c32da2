"""Predicates of ``coreml/convertible``: control flow that coremltools 9.0 stumbles over (measured; its
reasons were not read).
"""

from __future__ import annotations

from ...analyzer.ir.graph import Graph, Operator
from ..conditions import Context, Outcome
from . import holds_if, predicate

_COMPARISONS = {"Less", "LessEqual", "Greater", "GreaterEqual", "Equal", "NotEqual"}
_BRANCHES = {"If", "StatelessIf"}


@predicate("coremltools_unbounded_loop")
def coremltools_unbounded_loop(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The loop has no ``maximum_iterations``: no comparison of the counter with a bound beside the loop's own
    condition.
    """
    condition = op.graphs.get("cond")
    if condition is None:
        return holds_if(None, "a loop without a condition", "no maximum_iterations")
    comparisons = [inner for inner in condition.ops() if inner.type in _COMPARISONS]
    bound = set(condition.inputs[:2])
    bounded = len(comparisons) > 1 and any(set(inner.inputs) == bound for inner in comparisons)
    return holds_if(not bounded, f"{len(comparisons)} comparisons in the condition", "no maximum_iterations")


@predicate("coremltools_no_branch_inside")
def coremltools_no_branch_inside(graph: Graph, op: Operator, context: Context) -> Outcome:
    """No branch within the bodies of a branch or loop."""
    inside = sorted(
        {inner.type for body in op.graphs.values() for _, inner in body.walk() if inner.type in _BRANCHES}
    )
    return holds_if(not inside, f"{', '.join(inside) or 'nothing'} inside of {op.type}", "no branch inside")
