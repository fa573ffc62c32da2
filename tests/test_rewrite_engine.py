"""The engine and the planner: settling, order, undo, proofs, and what is said about each step."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from accelint.analyzer.check.run import check
from accelint.analyzer.errors import GraphError, UsageError
from accelint.analyzer.ir.graph import Graph, Operator
from accelint.rewrites.engine import Miss, Promise, Rewrite, ordered, run
from accelint.rewrites.families import families
from accelint.rewrites.planner import Proof, Score, objection_to, plan, score, weakest
from accelint.rewrites.registry import allowed, answers, repairs, rewrite, rewrites
from accelint.rules.registry import choose
from rewrite_cases_tflite import APPLIES
from rewrite_models import Net


class Rename(Rewrite[Operator]):
    """Changes an operator's type; made for these tests."""

    dialect: ClassVar[str] = "tflite"
    parity: ClassVar[Promise] = Promise.BIT_EXACT
    before: ClassVar[str]
    to: ClassVar[str]

    def match(self, graph: Graph, op: Operator) -> Operator | Miss:
        return op

    def apply(self, graph: Graph, found: Operator) -> None:
        graph.update(found, type=self.to)


def renaming(id: str, before: str, to: str, *answers: str, after: tuple[str, ...] = ()) -> Rename:
    body = {
        "id": id,
        "title": id,
        "root": (before,),
        "before": before,
        "to": to,
        "answers": answers,
        "after": after,
    }
    made = type(id, (Rename,), body)()
    assert isinstance(made, Rename)
    return made


def model(*names: str) -> Any:
    net = Net()
    last = net.input("x", (1, 2, 3, 4))
    for name in names:
        last = net.op(name, [last], (1, 2, 3, 4))
    return net.model(last)


def types(graph: Graph) -> list[str]:
    return [op.type for op in graph.ops()]


def test_rewrites_that_undo_each_other_are_told_apart_from_those_that_settle() -> None:
    graph = model("NEG", "ABS").graph
    with pytest.raises(GraphError, match="do not settle"):
        run(graph, [renaming("forth", "NEG", "ABS"), renaming("back", "ABS", "NEG")])
    assert run(model("NEG", "ABS").graph, [renaming("forth", "NEG", "ABS")]) == {"forth": 1}


def test_order_is_declared_and_checked() -> None:
    a, b, c = (
        renaming("a", "A", "B", after=("c",)),
        renaming("b", "A", "B"),
        renaming("c", "A", "B", after=("b",)),
    )
    assert [item.id for item in ordered([a, b, c])] == ["b", "c", "a"]
    with pytest.raises(GraphError, match="a circle"):
        ordered([renaming("a", "A", "B", after=("b",)), renaming("b", "A", "B", after=("a",))])
    with pytest.raises(GraphError, match="nobody"):
        ordered([renaming("a", "A", "B", after=("nobody",))])


def test_every_rewrite_declares_itself() -> None:
    found = rewrites()
    assert len({item.id for item in found}) == len(found)
    for item in found:
        assert item.id == item.id.lower().replace("_", "-") and len(item.title) > 20 and item.root
        assert (
            item.dialect in ("mil", "onnx", "tflite")
            and item.__doc__
            and item.match.__doc__
            and item.apply.__doc__
        )


def test_levels_and_names() -> None:
    safe, unsafe = allowed("onnx", "safe"), allowed("onnx", "unsafe")
    assert {item.id for item in unsafe} - {item.id for item in safe} == {
        item.id for item in rewrites("onnx") if not item.parity.safe
    }
    assert "erf-to-tanh" in {item.id for item in unsafe} - {item.id for item in safe}
    with pytest.raises(UsageError, match="safe, unsafe"):
        allowed("onnx", "reckless")
    with pytest.raises(UsageError, match="einsum-to-matmul"):
        rewrite("einsum-to-matmull")


def test_fixable_is_derived_from_what_matches() -> None:
    chosen = choose("litert/gpu")
    net = Net()
    made = net.model(APPLIES["gather-nd-to-gather"]["rows"](net))
    coverage = check(made, chosen)
    fixable = repairs(made.graph, coverage)
    assert {item.id for item in fixable.values()} == {"gather-nd-to-gather"}
    assert answers()["ACL201:GATHER_ND"] == "gather-nd-to-gather"
    told = coverage.with_fixes({at: (item.id, item.parity.safe) for at, item in fixable.items()})
    assert {item.fix for item in told.findings} == {"gather-nd-to-gather"}
    other = model("LOCAL_RESPONSE_NORMALIZATION")
    assert repairs(other.graph, check(other, chosen)) == {}


def planned(made: Any, rewrites_: Any, prove: Any = None) -> Any:
    chosen = choose("litert/gpu")
    return plan(made.graph, rewrites_, lambda: check(made, chosen), *([] if prove is None else [prove]))


def test_a_step_that_helps_is_kept_with_its_proof_and_scores() -> None:
    made = model("NEG", "ZEROS_LIKE", "ABS")
    asked: list[Promise] = []

    def prove(promise: Promise) -> Proof:
        asked.append(promise)
        return Proof("proved", "looked at it")

    done = planned(made, [renaming("zeros", "ZEROS_LIKE", "COS", "ACL201")], prove)
    (step,) = done.steps
    assert step.kept and step.places == ("t1",) and step.proof == Proof("proved", "looked at it")
    assert step.after < step.before and " -> " in step.reason
    assert asked == [Promise.BIT_EXACT]
    assert types(made.graph) == ["NEG", "COS", "ABS"]


def test_a_step_that_does_not_help_is_undone_in_whole() -> None:
    made = model("NEG", "ZEROS_LIKE", "ABS")
    before = list(made.graph.ops())
    done = planned(made, [renaming("useless", "ZEROS_LIKE", "SHAPE", "ACL201")])
    assert [step.kept for step in done.steps] == [False] and done.kept == ()
    assert done.steps[0].reason == "it does not improve the placement" and done.steps[0].proof is None
    assert list(made.graph.ops()) == before


def test_a_step_whose_proof_fails_is_undone_and_not_tried_again() -> None:
    made = model("ZEROS_LIKE", "ZEROS_LIKE")
    calls: list[Promise] = []

    def prove(promise: Promise) -> Proof:
        calls.append(promise)
        return Proof("failed", "3 of 24 elements are off")

    done = planned(made, [renaming("wrong", "ZEROS_LIKE", "COS", "ACL201")], prove)
    assert not done.kept and all("3 of 24 elements are off" in step.reason for step in done.steps)
    assert types(made.graph) == ["ZEROS_LIKE", "ZEROS_LIKE"]
    assert len(calls) <= 3


def test_where_a_batch_fails_single_places_are_tried() -> None:
    made = model("ZEROS_LIKE", "ABS", "ZEROS_LIKE")

    def prove(promise: Promise) -> Proof:
        return Proof("failed" if types(made.graph)[0] == "COS" else "proved", "the first must stay")

    done = planned(made, [renaming("partly", "ZEROS_LIKE", "COS", "ACL201")], prove)
    assert types(made.graph) == ["ZEROS_LIKE", "ABS", "COS"]
    assert [step.kept for step in done.steps].count(True) == 1


def test_what_a_rewrite_makes_is_repaired_before_it_is_judged() -> None:
    made = model("ZEROS_LIKE")
    first, second = (
        renaming("first", "ZEROS_LIKE", "RANK", "ACL201"),
        renaming("second", "RANK", "COS", "ACL201"),
    )
    done = planned(made, [first, second])
    assert types(made.graph) in (["COS"], ["ZEROS_LIKE"])
    assert any(step.rewrite == "first" for step in done.steps)


def test_a_rejected_edit_is_a_miss_with_the_reason() -> None:
    class Breaks(Rename):
        id: ClassVar[str] = "breaks"
        title: ClassVar[str] = "breaks"
        root: ClassVar[tuple[str, ...]] = ("ZEROS_LIKE",)
        answers: ClassVar[tuple[str, ...]] = ("ACL201",)
        atomic: ClassVar[bool] = False

        def apply(self, graph: Graph, found: Operator) -> None:
            graph.update(found, type="COS")
            graph.remove(graph.ops()[0])

    made = model("ZEROS_LIKE", "ABS")
    done = planned(made, [Breaks()])
    assert types(made.graph) == ["ZEROS_LIKE", "ABS"]
    assert not done.steps and "would break the graph" in done.passed[0].reason


def test_scores_are_compared_in_order() -> None:
    base = Score(0, 0, 5, 2, 0, 3, 100.0, -50)
    assert replace(base, findings=4, partitions=9) < base < replace(base, rejected=1, findings=0)
    assert objection_to(base, base) == "it does not improve the placement"
    assert "fewer MACs" in objection_to(
        base, replace(base, findings=4, accelerated_macs=-40), guard_macs=True
    )
    assert objection_to(base, replace(base, findings=4, accelerated_macs=-40)) == ""
    assert objection_to(base, replace(base, findings=4)) == ""
    assert objection_to(replace(base, rejected=1), replace(base, accelerated_macs=0), guard_macs=True) == ""
    assert objection_to(replace(base, wrong=1), replace(base, partitions=9)) == ""
    assert weakest(Promise.ROUNDING, Promise.BIT_EXACT) is Promise.ROUNDING


def test_notes_do_not_count_and_dropped_operators_count_last() -> None:
    chosen = choose("litert/gpu")
    coverage = check(model("NEG", "ZEROS_LIKE", "ABS"), chosen)
    found = score(coverage)
    assert found.findings == 1 and found.dropped == sum(
        1 for item in coverage.findings if item.code.startswith("ACL6")
    )
    quiet = replace(coverage, findings=tuple(replace(item, effect="note") for item in coverage.findings))
    assert score(quiet).findings == 0


def test_rewrites_are_found_by_their_folders_and_ordered_by_what_they_declare() -> None:
    """Every class of a rewrite that can be made is listed, and no order comes from names of modules."""
    found = rewrites()
    listed = {type(item) for item in found}
    waiting, made = list(Rewrite.__subclasses__()), set()
    while waiting:
        item = waiting.pop()
        waiting += item.__subclasses__()
        if item.__module__.startswith("accelint.rewrites.") and not inspect.isabstract(item):
            made.add(item)
    assert {item for item in made if hasattr(item, "id")} == listed
    assert set(families()) == {item.dialect for item in found} == {"mil", "onnx", "tflite"}
    assert ordered(reversed(found)) == found
