"""All packs at once: they load, their rules' cases get their verdicts, and every requirement is decisive."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from accelint.analyzer.errors import PackError, UsageError
from accelint.analyzer.ir.graph import Graph, Operator
from accelint.analyzer.policies import policy_of
from accelint.rewrites.families import candidates, stored_answers
from accelint.rewrites.registry import answers, claimed
from accelint.rules.cases import build
from accelint.rules.conditions import Condition
from accelint.rules.folders import shipped
from accelint.rules.loader import read_codes, read_pack
from accelint.rules.pack import Chosen, Pack, Rule
from accelint.rules.registry import choose, load_pack, pack_folders
from accelint.rules.verdict import Answer

RULES = [(pack, rule) for target in pack_folders() for pack in [load_pack(target)] for rule in pack.rules]
IDS = [f"{pack.target}-{rule.name}" for pack, rule in RULES]


def chosen_for(pack: Pack, rule: Rule) -> Chosen:
    return pack.chosen(rule.variants[0] if rule.variants else "")


def example(pack: Pack, rule: Rule, case: object) -> tuple[Graph, Operator]:
    default = next((name for name in rule.ops if name != "*"), sorted(pack.known)[0])
    assert isinstance(case, dict)
    return build(case, default, pack.dialect)


def answer(conditions: tuple[Condition, ...], graph: Graph, op: Operator, chosen: Chosen) -> Answer:
    answers = {condition.check(graph, op, chosen.context).answer for condition in conditions}
    return next((item for item in (Answer.FAILS, Answer.UNKNOWN) if item in answers), Answer.HOLDS)


@pytest.mark.parametrize("target", shipped())
def test_shipped_packs_are_well_formed(target: str) -> None:
    """What a check reads without looking for problems has none, and is what the strict reading gives."""
    strict, quick = read_pack(shipped()[target]), load_pack(target)
    assert strict.known == quick.known and strict.variants == quick.variants
    assert strict.policy_options == quick.policy_options and strict.sources == quick.sources
    for one, other in zip(strict.rules, quick.rules, strict=True):
        assert [item.table for item in (*one.when, *one.require)] == [
            item.table for item in (*other.when, *other.require)
        ]
        plain = [
            {**{name: getattr(rule, name) for name in rule.__slots__}, "when": len(rule.when), "require": 0}
            for rule in (one, other)
        ]
        assert plain[0] == plain[1]


@pytest.mark.parametrize(("pack", "rule"), RULES, ids=IDS)
def test_every_case_gets_its_answer(pack: Pack, rule: Rule) -> None:
    chosen = chosen_for(pack, rule)
    for expected, cases in rule.cases.items():
        for case in cases:
            graph, op = example(pack, rule, case)
            answers = {failure.answer.value for failure in rule.failures(graph, op, chosen.context)}
            got = "fails" if "fails" in answers else "unknown" if answers else "holds"
            assert got == expected, case


@pytest.mark.parametrize(("pack", "rule"), RULES, ids=IDS)
def test_each_requirement_is_decisive(pack: Pack, rule: Rule) -> None:
    """Dropping one requirement must change the answer of some failing case."""
    chosen = chosen_for(pack, rule)
    failing = [example(pack, rule, case) for case in rule.cases["fails"]]
    for dropped in rule.require:
        rest = tuple(item for item in rule.require if item is not dropped)
        assert any(answer(rest, graph, op, chosen) is not Answer.FAILS for graph, op in failing), (
            dropped.table
        )


@pytest.mark.parametrize(("pack", "rule"), RULES, ids=IDS)
def test_each_guard_is_decisive(pack: Pack, rule: Rule) -> None:
    """A ``when`` that no case needs is not shown to matter: some holding case must fail without it."""
    chosen = chosen_for(pack, rule)
    holding = [example(pack, rule, case) for case in rule.cases.get("holds", ())]
    for dropped in rule.when:
        rest = tuple(item for item in rule.when if item is not dropped)
        spoken = [(graph, op) for graph, op in holding if answer(rest, graph, op, chosen) is Answer.HOLDS]
        assert any(
            rule.refuse or answer(rule.require, graph, op, chosen) is not Answer.HOLDS for graph, op in spoken
        ), dropped.table


@pytest.mark.parametrize("target", list(pack_folders()))
def test_a_pack_is_whole(target: str) -> None:
    pack = load_pack(target)
    assert pack.target == target
    assert pack.known
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", pack.date)
    policy_of(pack.policy)
    for rule in pack.rules:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name), rule.name
        assert "{seen}" in rule.message or rule.refuse or "{" in rule.message, (
            f"{rule.name} does not say what was seen"
        )


@pytest.mark.parametrize("target", list(pack_folders()))
def test_at_most_a_fifth_of_a_pack_is_code(target: str) -> None:
    pack = load_pack(target)
    called = [
        rule for rule in pack.rules if any("call" in str(item.table) for item in (*rule.when, *rule.require))
    ]
    assert len(called) * 5 <= max(len(pack.rules), 5), [rule.name for rule in called]


def test_codes_say_all_they_must() -> None:
    for code, entry in read_codes().items():
        assert re.fullmatch(r"ACL[1-9]\d\d", code)
        assert set(entry) - {"pytorch", "keras"} == {"name", "title", "why", "change"}, code
        assert all(isinstance(text, str) and text for text in entry.values()), code


def test_all_problems_of_a_pack_come_in_one_message(tmp_path: Path) -> None:
    pack = tmp_path / "bad.toml"
    pack.write_text(
        """
[pack]
target = "x/y"
dialect = "tflite"
runtime = "r"
version = "1"
default = "fallback"
policy = "alternating"
colour = "red"
[source.s]
url = "u"
[[support]]
ops = ["ADD"]
source = "s"
[[rule]]
id = "ACL503"
name = "first"
ops = ["ADD"]
mesage = "typo"
message = "m"
source = "s"
reason = "r"
require = [{ attr = "a", between = [1] }, { input = 0, eq = 1 }]
examples.fails = [{ attrs = { a = 1 } }]
[[rule]]
id = "XYZ"
name = "second"
ops = ["SUB"]
message = "m"
source = "nowhere"
require = [{ attr = "a", eq = 1, one_of = [1] }]
"""
    )
    with pytest.raises(PackError) as raised:
        read_pack(pack)
    for part in (
        "colour: unknown key",
        "source.s: needs url or package, and version",
        "mesage: unknown key",
        "between is a list, and has to be two numbers",
        "input needs of",
        "no case that holds",
        "XYZ is no code",
        "source 'nowhere'",
        "exactly one test",
        "quote of its source or a reason",
        "SUB not in any [[support]]",
        "no case that fails",
    ):
        assert part in raised.value.message, part


def test_the_stored_answers_are_the_rewrites_own() -> None:
    """``accelint explain`` reads them from a file: `python tools/docs/support_pages.py` writes it anew."""
    assert stored_answers() == answers()
    assert candidates() == claimed()


def test_an_unknown_target_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean"):
        choose("litert/gpuu")
