"""Predicates of the QNN provider's pack."""

from __future__ import annotations

from ...analyzer.graph import Graph, Operator
from ..conditions import Context, Outcome
from . import holds_if, predicate


@predicate("qnn_einsum")
def qnn_einsum(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The equation is one of the five matrix products that the builder knows."""
    equation = str(op.attrs.get("equation", "")).replace(" ", "")
    terms, arrow, result = equation.partition("->")
    first, comma, second = terms.partition(",")
    known = bool(arrow and comma and "," not in second and equation.replace("->", "").replace(",", "").isalpha())
    return holds_if(known and _matrix_product(first, second, result), f"equation {equation}", "a matrix product such as bij,bjk->bik")


def _matrix_product(a: str, b: str, y: str) -> bool:
    """``IsEquationMatMul`` and its four siblings."""
    if len(a) == len(b) == len(y) and len(a) >= 2:
        batch = a[:-2] == b[:-2] == y[:-2]
        plain = batch and a[-2] == y[-2] and a[-1] == b[-2] and b[-1] == y[-1]
        right = batch and a[-2] == y[-2] and a[-1] == b[-1] and b[-2] == y[-1]
        both = len(a) == 4 and a[0] == b[0] == y[0] and a[3] == y[3] and a[1] == b[3] and b[1] == y[1]
        return plain or right or both
    if (len(a), len(b), len(y)) != (4, 3, 4) or a[:3] != y[:3] or a[3] != b[2] or b[1] != y[3]:
        return False
    return b[0] in (a[1], a[2])
