"""All tables of the policies: their examples get their outcomes from the policies themselves, and every
member and limit is decisive.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import onnx.defs
import pytest
from accelint.analyzer import policies
from accelint.analyzer.errors import PackError
from accelint.analyzer.ir.dtypes import BITS
from accelint.analyzer.ir.graph import Graph
from accelint.analyzer.optimizer.examples import WAYS
from accelint.analyzer.policies import policy_of
from accelint.analyzer.policies.examples import Example, examples_of
from accelint.analyzer.policies.tablefiles import (
    Fact,
    Reason,
    Table,
    in_force,
    read_file,
    table_file,
    table_files,
)
from accelint.analyzer.policies.tables import STANDARD, Tables
from accelint.rules.registry import load_pack, pack_folders


def from_line(line: str) -> Graph:
    return Example({}, {"graph": [line]}, "", "").graph()


FACTS = [
    (name, fact) for name in table_files() for fact in (*table_file(name).tables, *table_file(name).reasons)
]
TABLES = [(name, fact) for name, fact in FACTS if isinstance(fact, Table)]


def ids(facts: list[tuple[str, Fact]] | list[tuple[str, Table]]) -> list[str]:
    return [f"{name}:{fact.name}" for name, fact in facts]


def examples(name: str, fact: Fact) -> list[Example]:
    return list(examples_of(table_file(name), fact))


def changed(name: str, table: Table) -> Tables:
    return Tables(changed={name: STANDARD[name].changed(table)})


def deciding(name: str, table: Table, new: Table) -> bool:
    """Whether some example of a table comes to something else with another table in its place."""
    tables = changed(name, new)
    return any(example.outcome(tables, WAYS) != example.gives for example in examples(name, table))


@pytest.mark.parametrize(("name", "fact"), FACTS, ids=ids(FACTS))
def test_every_example_gets_its_outcome(name: str, fact: Fact) -> None:
    for example in examples(name, fact):
        assert example.outcome(STANDARD, WAYS) == example.gives, (example.name, example.table["graph"])


@pytest.mark.parametrize(("name", "table"), TABLES, ids=ids(TABLES))
def test_each_member_is_decisive(name: str, table: Table) -> None:
    """Dropping a member must change the outcome of some example."""
    no_op = [member for member, _ in table.members() if not deciding(name, table, table.without(member))]
    assert not no_op


@pytest.mark.parametrize(("name", "table"), TABLES, ids=ids(TABLES))
def test_each_limit_is_decisive(name: str, table: Table) -> None:
    """Moving a limit by one, either way, must change the outcome of some example."""
    if table.limit is not None:
        for limit in (table.limit - 1, table.limit + 1):
            assert deciding(name, table, table.at(limit)), limit


@pytest.mark.parametrize(("name", "table"), TABLES, ids=ids(TABLES))
def test_each_table_has_a_name_outside_of_it(name: str, table: Table) -> None:
    """Adding a name that an example shows outside must change an outcome: the table says where it ends."""
    members = {member for member, _ in table.members()}
    others = sorted({example.name for example in examples(name, table)} - members - {""})
    if members:
        kinds = sorted({kind for _, kind in table.members()})
        assert any(deciding(name, table, table.having(other, kind)) for other in others for kind in kinds), (
            "no example of a name that is no member"
        )


@pytest.mark.parametrize("name", table_files())
def test_every_reason_is_given_by_some_example(name: str) -> None:
    said = {
        rule
        for fact in (*table_file(name).tables, *table_file(name).reasons)
        for example in examples(name, fact)
        for rule in re.findall(r": ([a-z0-9-]+)", example.gives)
    }
    assert {reason.rule for reason in table_file(name).reasons} <= said


def test_names_and_ranges_are_well_written() -> None:
    for _, fact in FACTS:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", fact.name), fact.name
        assert re.fullmatch(r"\d+(\.\d+)*", fact.since), fact.name
        if isinstance(fact, Reason):
            assert not fact.message.endswith(".")


BAD = """
[head]
runtime = "r"
policy = "qnn"
colour = "red"
[source.s]
url = "u"
[[table]]
name = "first"
source = "nowhere"
members = ["A", "B", "A"]
limit = "3"
[[table]]
name = "second"
source = "s"
since = "1"
members = { one = ["A"], two = ["A"] }
until = "2"
examples = [{ grph = ["a = A(x)"], gives = "partition a", of = "nothing" }]
[[reason]]
name = "third"
id = "XYZ"
source = "s"
since = "1"
"""


def test_all_problems_of_a_file_come_in_one_message(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(BAD)
    with pytest.raises(PackError) as raised:
        read_file(path, "bad")
    for part in (
        str(path),
        "head.colour: unknown key",
        "source.s: needs url or package, and version",
        "source.s: evidence is one of",
        "table[0] (first): since missing",
        "table[0] (first): source 'nowhere' is not one of s",
        "table[0] (first).limit: str is not supported here",
        "table[0] (first): a table has members, or a limit",
        "table[1] (second).members.two: A listed twice",
        "table[1] (second).examples[0].grph: unknown key",
        "table[1] (second).examples[0]: graph missing",
        "table[1] (second).examples[0]: of is one of partitions, view",
        "second: from 1 on it ends at '2', the next begins at ''",
        "reason[0] (third): message missing",
        "reason[0] (third): 'XYZ' is no code of codes.toml",
    ):
        assert part in raised.value.message, part


def test_a_version_gets_the_table_of_its_range(tmp_path: Path) -> None:
    """The last that has begun; before the first, the first; without a version the latest."""
    text = """
[head]
runtime = "r"
policy = "qnn"
[source.s]
package = "p"
version = "1"
evidence = "measured"
"""
    for since, until, limit in (("1.2", "1.10", 1), ("1.10", "", 2)):
        text += f"""
[[table]]
name = "most"
source = "s"
since = "{since}"
until = "{until}"
limit = {limit}
examples = [{{ graph = ["a = A(x)"], gives = "partition a" }}]
"""
    path = tmp_path / "ranges.toml"
    path.write_text(text)
    tables = read_file(path, "ranges").tables
    limits = {
        version: in_force(tables, version)["most"].limit for version in ("1.1", "1.2", "1.9.9", "1.10", "")
    }
    assert limits == {"1.1": 1, "1.2": 1, "1.9.9": 1, "1.10": 2, "": 2}


NAMED = [
    (target, key, value)
    for target in pack_folders()
    for key, value in load_pack(target).policy_options.items()
    if key in ("lone", "trivial", "max_partitions", "min_nodes")
]


@pytest.mark.parametrize(("target", "key", "name"), NAMED)
def test_lists_and_limits_that_packs_name_are_tables(target: str, key: str, name: object) -> None:
    """They have examples, under the option for which the pack names them; 0 and 1 are no limits."""
    pack = load_pack(target)
    if name in (0, 1):
        return
    book = "litert" if pack.policy == "litert" else "onnxruntime/policy"
    (table,) = (table for table in table_file(book).tables if table.name == name)
    assert all(example.table["options"].get(key) == name for example in examples(book, table))


def test_a_list_that_is_no_table_is_wrong() -> None:
    with pytest.raises(PackError, match="no table is named 'alone-nnap': did you mean alone-nnapi"):
        policy_of("onnxruntime/compile").partition(from_line("a = Relu(x)"), {"a"}, {"lone": "alone-nnap"})


# ---- what is left in code --------------------------------------------------------------------

OPERATORS = {schema.name for schema in onnx.defs.get_all_schemas()}
DTYPES = set(BITS) - {"bool"}
KEPT = {
    "optimizer/level1.py": 1,  # whose sizes no shape tells: whether shapes are worth inferring again
    "optimizer/likes.py": 3,  # the shapes that ONNX defines: tests/test_folded_values.py
    "optimizer/passes/norms.py": 1,  # types of a pattern, looked for before it is matched
    "optimizer/passes/qdq.py": 1,  # the names of the pair
    "optimizer/passes/reshapes.py": 1,  # an expression: sizes of one element that are divided or multiplied
    "optimizer/values.py": 3,  # what may be large, and element types that ONNX defines
    "policies/onnxruntime/fusions.py": 3,  # operators of patterns, and element types of indices
    "policies/onnxruntime/layout.py": 1,  # the names of the pair
    "policies/openvino/ranks.py": 1,  # axes that ONNX defines
    "check/fingerprints.py": 1,  # element types of sizes
}
"""How many lists of operators or element types a module has, and why they are no tables of a runtime."""


def test_lists_of_operators_are_tables() -> None:
    """A list that is fitted to a runtime has a source and examples: it stands in no code."""
    root = Path(policies.__file__).parents[1]
    found: dict[str, int] = {}
    for part in ("optimizer", "partitioners", "policies", "check"):
        for file in sorted((root / part).rglob("*.py")):
            lists = [node for node in ast.walk(ast.parse(file.read_text())) if _lists_operators(node)]
            if lists:
                found[file.relative_to(root).as_posix()] = len(lists)
    assert found == KEPT


def _lists_operators(node: ast.AST) -> bool:
    if not isinstance(node, ast.Tuple | ast.List | ast.Set):
        return False
    words = {item.value for item in node.elts if isinstance(item, ast.Constant)}
    return len(words & OPERATORS) > 1 or len(words & DTYPES) > 1
