"""Trials: whether fixing a model removes a finding, tried before anybody is told to fix it.

A rewrite that matches may still lead nowhere: the target has no better place for what it makes. So the
planner runs on a copy, without proofs; of a larger model first on what lies around the operator, once for
places that look the same, and then on the whole for what is left of the rewrites. What is beyond the bounds
stays as the match alone tells it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ..analyzer.errors import AccelintError
from ..analyzer.ir.graph import Graph
from .planner import Asked, plan
from .registry import allowed, answering

if TYPE_CHECKING:
    from ..analyzer.check.coverage import Coverage, Finding
    from ..analyzer.ir.graph import Operator, Tensor
    from .engine import AnyRewrite

WHOLE = 48
"""Operators of the largest model that is tried as a whole."""
AROUND = 24
"""Operators that are tried around one of a larger model."""
KINDS = 12
"""Different places of a larger model that are tried; it is said of the others that a rewrite matches."""
CONFIRMED = 600
"""Operators of the largest model that is planned as a whole for what its parts promise."""

Check = Callable[[Graph], "Coverage"]


def kept(
    graph: Graph,
    coverage: Coverage,
    found: Mapping[int, AnyRewrite],
    check: Check,
    inferred: Graph | None = None,
) -> dict[int, AnyRewrite]:
    """Those of the findings with a matching rewrite (by position) that fixing removes, or that were not
    tried.

    ``check`` predicts of a graph of the model's dialect; ``graph`` stays as it is. ``inferred``: the model as
    somebody worked out its shapes, where the stored one leaves them out.
    """
    shapes = {} if inferred is None else inferred.tensors
    result: dict[int, AnyRewrite] = {}
    for level in ("safe", "unsafe"):
        some = {index: item for index, item in found.items() if item.parity.safe == (level == "safe")}
        if some:
            left = _left(graph, {index: coverage.findings[index] for index in some}, level, check, shapes)
            result |= {index: item for index, item in some.items() if index not in left}
    return {index: result[index] for index in sorted(result)}


def _left(
    graph: Graph, findings: Mapping[int, Finding], level: str, check: Check, shapes: Mapping[str, Tensor]
) -> set[int]:
    """The positions of findings that fixing at a level does not remove."""
    rewrites = allowed(graph.dialect, level)
    owners = {op.id: (owner, op) for owner, op in graph.walk()}
    if len(owners) <= WHOLE:
        return _staying(graph.copy(), findings, rewrites, check)
    kinds: dict[tuple[object, ...], list[int]] = {}
    for index, finding in findings.items():
        kinds.setdefault(_kind(finding, *owners[finding.operator]), []).append(index)
    order = {id: place for place, id in enumerate(owners)}
    left: set[int] = set()
    for indexes in list(kinds.values())[:KINDS]:
        one = findings[indexes[0]]
        try:
            part = _part_of(*owners[one.operator], order, shapes)
        except AccelintError:  # an operator that cannot be cut out
            continue
        if _staying(part, {indexes[0]: one}, rewrites, check, answering(one, rewrites)):
            left.update(indexes)
    rest = {index: finding for index, finding in findings.items() if index not in left}
    if rest and len(owners) <= CONFIRMED:
        claim = tuple(item for item in rewrites if any(answering(one, (item,)) for one in rest.values()))
        left |= _staying(graph.copy(), rest, rewrites, check, claim, brief=True)
    return left


def _staying(
    graph: Graph,
    findings: Mapping[int, Finding],
    rewrites: tuple[AnyRewrite, ...],
    check: Check,
    first: tuple[AnyRewrite, ...] | None = None,
    *,
    brief: bool = False,
) -> set[int]:
    """Plan on a graph that may be changed; the positions of the findings that are there afterwards."""
    known = {op.id for _, op in graph.walk()}
    ask = Asked(graph, check)
    try:
        done = plan(graph, rewrites, ask, first=first, brief=brief)
        after = ask() if done.kept else None
    except AccelintError:  # it is told where the model is fixed
        return set()
    return set(findings) if after is None else staying(findings, after, known)


def staying(findings: Mapping[int, Finding], after: Coverage, known: Iterable[str]) -> set[int]:
    """The positions of findings that a changed model still has: the operator has it, or one of the new
    operators (none of ``known``) has one of the same rule in its place.
    """
    same = {(item.rule, item.operator) for item in after.findings}
    old = set(known)
    new = Counter(item.rule for item in after.findings if item.operator not in old)
    left = set()
    for index, item in findings.items():
        if (item.rule, item.operator) in same:
            left.add(index)
        elif new[item.rule]:
            new[item.rule] -= 1
            left.add(index)
    return left


# ---- what lies around an operator ------------------------------------------------------------


def _part_of(graph: Graph, op: Operator, order: Mapping[str, int], shapes: Mapping[str, Tensor]) -> Graph:
    """A graph of the operators nearest to one."""
    inside = _near(graph, op)
    part = Graph(graph.name, graph.dialect, graph.opsets)
    part.attrs, part.facts = dict(graph.attrs), graph.facts
    ops = [graph.op(id) for id in sorted(inside, key=lambda id: order[id])]
    names = dict.fromkeys(name for item in ops for name in (*item.inputs, *item.outputs) if name)
    made = dict.fromkeys(name for item in ops for name in item.outputs if name)
    for name in names:
        part.add_tensor(_shaped(graph.tensor(name), shapes))
    for item in ops:
        part.add_op(item)
    fed = [name for name in names if name not in made and graph.constant(name) is None]
    given = set(graph.outputs)
    part.set_interface(fed, [name for name in made if name in given or graph.leaves(name, inside)])
    return part


def _shaped(tensor: Tensor, shapes: Mapping[str, Tensor]) -> Tensor:
    """The tensor in the shape that was inferred, where the stored one does not say it."""
    known = None if tensor.static else shapes.get(tensor.name)
    if known is None or known.shape is None or known.dtype != tensor.dtype:
        return tensor
    return tensor if known.shape == tensor.shape else replace(tensor, shape=known.shape)


def _near(graph: Graph, op: Operator) -> set[str]:
    """Ids of the operators nearest to one; none with bodies but itself."""
    inside, todo = {op.id}, deque([op])
    while todo and len(inside) < AROUND:
        at = todo.popleft()
        writers = [graph.producer(name) for name in at.inputs]
        readers = [reader for name in at.outputs if name for reader in graph.consumers(name)[:AROUND]]
        for item in (*writers, *readers):
            if item is None or item.id in inside or item.graphs or item not in graph:
                continue
            if len(inside) == AROUND:
                break
            inside.add(item.id)
            todo.append(item)
    return inside


def _kind(finding: Finding, graph: Graph, op: Operator) -> tuple[object, ...]:
    """Equal for findings at places that look the same: in what is said, in shapes and in neighbours."""
    shapes = tuple(None if name is None else graph.tensor(name).shape for name in (*op.inputs, *op.outputs))
    writers = (graph.producer(name) for name in op.inputs)
    readers = (item.type for name in op.outputs if name for item in graph.consumers(name)[:AROUND])
    before = tuple(None if item is None else item.type for item in writers)
    return finding.rule, finding.message, op.type, op.version, shapes, before, tuple(readers)
