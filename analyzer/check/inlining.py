"""Checking ONNX models with local functions: the runtime inlines them first, the report speaks of the
calls.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from ...rules.verdict import Verdict
from ..ir.payloads import NOTHING
from .fingerprints import marked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...rules.pack import Chosen
    from ..ir.graph import Operator
    from ..ir.model import Model
    from .coverage import Coverage, Finding, OperatorVerdict

WORST_FIRST = (Verdict.REJECTED, Verdict.UNKNOWN, Verdict.FALLBACK, Verdict.ACCELERATED, Verdict.FOLDED)
"""A call is accelerated when all of its operators are, folded ones aside."""


def lifted(
    coverage: Coverage,
    model: Model,
    origins: Mapping[str, str],
    chosen: Chosen,
    gone: Mapping[str, Sequence[tuple[str, str]]] = NOTHING,
) -> Coverage:
    """The coverage of the inlined model as one of ``model``: ``origins`` gives the operator that each inlined
    one comes from.

    An operator of a body that only inlining made is counted with the call, and so is a call that vanished.
    One that is still there has its own verdict, whatever became of those that an optimizer put beside it; the
    first operator of a body has the id of its call, and is not it.
    ``gone`` names, by operator of ``model``, passes of an optimizer that took it away, and the operators of
    the coverage that compute its results now: it goes as they do.
    """
    by_id = {item.id: item for item in coverage.operators}
    shares: dict[str, list[OperatorVerdict]] = {}
    for item in coverage.operators:
        shares.setdefault(origins.get(item.id, item.id), []).append(item)
    bodies = {"::".join(key.split("::")[:2]) for key in model.functions}
    operators = tuple(
        _of_call(
            op,
            shares.get(op.id, []),
            gone.get(op.id, ()),
            by_id,
            origins,
            call=f"{op.domain}::{op.type}" in bodies,
        )
        for _, op in model.operators()
    )
    findings = _of_calls(coverage, model, origins, chosen)
    partitions = tuple(
        replace(item, operators=tuple(dict.fromkeys(origins.get(id, id) for id in item.operators)))
        for item in coverage.partitions
    )
    return replace(coverage, operators=operators, findings=findings, partitions=partitions)


def _of_calls(
    coverage: Coverage, model: Model, origins: Mapping[str, str], chosen: Chosen
) -> tuple[Finding, ...]:
    """The findings told of the calls: an inliner's names count what was inlined before, so the fingerprints
    are of the call and of the type in it.
    """
    stored = {op.id: (graph, op) for graph, op in model.operators()}
    types = {item.id: item.type for item in coverage.operators}
    inner = [
        types.get(item.operator, "") if model.functions or item.operator in origins else ""
        for item in coverage.findings
    ]
    findings = [
        replace(item, operator=origins.get(item.operator, item.operator)) for item in coverage.findings
    ]
    places = [stored.get(item.operator) for item in findings]
    return marked(findings, places, chosen.target, chosen.pack, inner)


def _of_call(
    op: Operator,
    shares: list[OperatorVerdict],
    gone: Sequence[tuple[str, str]],
    by_id: Mapping[str, OperatorVerdict],
    origins: Mapping[str, str],
    *,
    call: bool = False,
) -> OperatorVerdict:
    from ...rules.subjects import operator_key
    from .coverage import OperatorVerdict

    own = [] if call else [share for share in shares if share.id == op.id]
    hosts = [] if own else [by_id[into] for _, into in gone if into in by_id]
    verdicts = {share.verdict for share in own or (*shares, *hosts)} or {Verdict.FOLDED}
    macs = [share.macs for share in shares]
    findings = Counter(index for share in shares for index in share.findings)
    return OperatorVerdict(
        op.id,
        op.label,
        operator_key(op),
        next(verdict for verdict in WORST_FIRST if verdict in verdicts),
        tuple(findings),
        None if None in macs else sum(count or 0 for count in macs),
        op.source.code,
        gone[0][0] if gone and not shares else "",
        origins.get(hosts[0].id, hosts[0].id) if hosts and not shares else "",
        op.source.named and bool(op.name),
    )
