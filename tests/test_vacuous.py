"""A quantifier over nothing is not true: what no operand is there for is not said of an operator."""

from __future__ import annotations

import pytest
from accelint.analyzer.ir.graph import Graph, Operator
from accelint.rules.pack import Pack, Rule
from accelint.rules.registry import load_pack, pack_folders
from accelint.rules.verdict import Answer

RULES = [
    (pack, rule)
    for target in pack_folders()
    for pack in [load_pack(target)]
    for rule in pack.rules
    if any(key in condition.table for condition in rule.when for key in ("input", "output"))
]
IDS = [f"{pack.target}-{rule.name}" for pack, rule in RULES]


def _bare(pack: Pack, kind: str) -> tuple[Graph, Operator]:
    """An operator of the type without operands, results and attributes."""
    graph = Graph("main", pack.dialect)
    op = Operator("main/0", kind, (), (), version=13, domain=kind.rpartition(":")[0])
    graph.add_op(op)
    return graph, op


@pytest.mark.parametrize(("pack", "rule"), RULES, ids=IDS)
def test_a_guard_about_operands_does_not_speak_of_an_operator_without_any(pack: Pack, rule: Rule) -> None:
    guards = [item.table for item in rule.when if "input" in item.table or "output" in item.table]
    if any("absent" in table or "present" in table or table.get("of") == "present" for table in guards):
        return  # the guard says itself what it makes of an omitted operand
    chosen = pack.chosen(rule.variants[0] if rule.variants else "")
    for kind in rule.ops:
        graph, op = _bare(pack, kind if kind != "*" else sorted(pack.known)[0])
        answers = {failure.answer for failure in rule.failures(graph, op, chosen.context)}
        assert Answer.FAILS not in answers, kind
