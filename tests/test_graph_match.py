"""Patterns hold where they should and nowhere else: both sides of everything that a pattern can say."""

from __future__ import annotations

import re
import struct
from itertools import permutations

import pytest
from accelint.analyzer.ir.graph import Constant, Graph, Operator, Tensor
from accelint.analyzer.ir.match import (
    ANY,
    Pattern,
    Scope,
    alone,
    any_order,
    constant,
    find,
    maybe,
    number,
    op,
    reads,
    sole_reader,
    through,
    value,
    writer,
    writers,
)
from hypothesis import given, settings
from hypothesis import strategies as st


def graph_of(text: str, outputs: str = "") -> Graph:
    """``y = Mul(x, 2.0)`` a line: numbers are constants, ``-`` is an omitted operand, outputs are those that
    nothing reads.
    """
    graph = Graph("main", "onnx", {"": 17})
    for at, line in enumerate(filter(None, (line.strip() for line in text.splitlines()))):
        results, type, operands = re.fullmatch(r"(.+) = ([\w.:]+)\((.*)\)", line).groups()  # type: ignore[union-attr]
        names: list[str | None] = [None if name == "-" else name for name in operands.split(", ") if name]
        for name in filter(None, names):
            if name not in graph.tensors:
                graph.add_tensor(_tensor(name))
        for name in results.split(", "):
            graph.add_tensor(Tensor(name, "float32", (1, 4)))
        domain, _, type = type.rpartition(":")
        held = {"value": Constant("float32", (1,), inline=bytes(4))} if type == "Constant" else {}
        graph.add_op(
            Operator(f"main/{at}", type, tuple(names), tuple(results.split(", ")), held, domain=domain)
        )
    unread = [name for name in graph.tensors if graph.producer(name) and not graph.consumers(name)]
    graph.set_interface([], unread + outputs.split())
    return graph


def _tensor(name: str) -> Tensor:
    try:
        data = struct.pack("<f", float(name))
    except ValueError:
        return Tensor(name, "float32", (1, 4))
    return Tensor(name, "float32", (), const=Constant("float32", (), inline=data))


def holds(pattern: Pattern, graph: Graph) -> bool:
    """Whether the pattern ends with the last operator."""
    return pattern.match(graph, graph.ops()[-1]) is not None


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        (op("Relu", op("Add")), "a = Add(x, y) \n r = Relu(a)", "a = Sub(x, y) \n r = Relu(a)"),
        (op("Relu", op(("Add", "Sub"))), "a = Sub(x, y) \n r = Relu(a)", "a = Mul(x, y) \n r = Relu(a)"),
        (op("Sub", op("Neg"), ANY), "n = Neg(x) \n r = Sub(n, y)", "n = Neg(x) \n r = Sub(y, n)"),
        (op("Add", any_order(op("Neg"), ANY)), "n = Neg(x) \n r = Add(y, n)", "n = Abs(x) \n r = Add(y, n)"),
        (op("Add", any_order(ANY, ANY)), "r = Add(x, y)", "r = Add(x, y, z)"),
        (op("Add", ANY, ANY), "r = Add(x, y, z)", "r = Add(x)"),
        (op("Clip", ANY, maybe(constant("low"))), "r = Clip(x)", "r = Clip(x, y)"),
        (op("Clip", ANY, maybe(constant("low"))), "r = Clip(x, -, 1)", "r = Clip(x, y, 1)"),
        (op("Clip", ANY, ANY), "r = Clip(x, y)", "r = Clip(x, -, 1)"),
        (op("Mul", value("x"), value("x")), "r = Mul(x, x)", "r = Mul(x, y)"),
        (op("Pow", ANY, number(2)), "r = Pow(x, 2)", "r = Pow(x, 3)"),
        (op("Pow", ANY, number(2, 1e-2)), "r = Pow(x, 2.01)", "r = Pow(x, 2.1)"),
        (op("Pow", ANY, number(2)), "r = Pow(x, 2)", "r = Pow(x, 2.01)"),
        (op("Pow", ANY, number("e")), "r = Pow(x, 3)", "r = Pow(x, y)"),
        (op("Pow", ANY, constant(where=lambda c: not c.shape)), "r = Pow(x, 3)", "r = Pow(x, y)"),
        (
            op("Pow", constant(where=lambda c: bool(c.shape))),
            "c = Constant() \n r = Pow(c, x)",
            "r = Pow(3, x)",
        ),
        (op("Relu", alone("Neg")), "n = Neg(x) \n r = Relu(n)", "n = Neg(x) \n m = Abs(n) \n r = Relu(n)"),
        (
            op("Relu", op("Neg")),
            "n = Neg(x) \n m = Abs(n) \n r = Relu(n)",
            "n = Abs(x) \n m = Neg(n) \n r = Relu(n)",
        ),
        (
            op("Mul", alone("Neg"), ANY),
            "n = Neg(x) \n r = Mul(n, n)",
            "n = Neg(x) \n s = Mul(n, n) \n r = Mul(n, n)",
        ),
        (op("Relu"), "r = ai.onnx:Relu(x)", "r = com.microsoft:Relu(x)"),
        (op("Relu", domains=("com.microsoft",)), "r = com.microsoft:Relu(x)", "r = Relu(x)"),
        (op("Relu", op("Split")[1]), "a, b = Split(x) \n r = Relu(b)", "a, b = Split(x) \n r = Relu(a)"),
        (op("Relu", op("Split")), "a, b = Split(x) \n r = Relu(a)", "a, b = Split(x) \n r = Relu(b)"),
        (
            op("Mul", op("Split", name="s"), op("Split", name="s")[1]),
            "a, b = Split(x) \n r = Mul(a, b)",
            "a, b = Split(x) \n c, d = Split(x) \n r = Mul(a, d)",
        ),
        (
            op("Relu", value("n", lambda scope, name: scope.uses(name) == 2)),
            "n = Neg(x) \n m = Abs(n) \n r = Relu(n)",
            "n = Neg(x) \n r = Relu(n)",
        ),
        (op("Relu", op("Neg") | op("Abs")), "a = Abs(x) \n r = Relu(a)", "a = Exp(x) \n r = Relu(a)"),
        (op("Relu") | op("Elu"), "r = Elu(x)", "r = Selu(x)"),
        (
            op("Relu", through(("Cast", "Identity"), op("Neg"))),
            "n = Neg(x) \n c = Cast(n) \n i = Identity(c) \n r = Relu(i)",
            "n = Neg(x) \n c = Cast(n) \n m = Abs(c) \n r = Relu(c)",
        ),
        (
            op("Relu", through(("Cast",), op("Neg"))),
            "n = Neg(x) \n r = Relu(n)",
            "n = Neg(x) \n i = Identity(n) \n r = Relu(i)",
        ),
        (
            op("Add", op("Mul", value("x"), ANY), value("x")) | op("Add", any_order(op("Neg"), ANY)),
            "n = Neg(x) \n m = Mul(x, y) \n r = Add(m, n)",
            "m = Mul(x, y) \n r = Add(m, y)",
        ),
        (op("Relu", where=lambda scope, op: scope.rank(op.inputs[0]) == 2), "r = Relu(x)", "r = Relu(2)"),
    ],
)
def test_a_pattern_holds_on_one_side_and_not_on_the_other(
    pattern: Pattern, inside: str, outside: str
) -> None:
    assert holds(pattern, graph_of(inside))
    assert not holds(pattern, graph_of(outside))


def test_an_output_of_the_graph_is_not_alone() -> None:
    text, pattern = "n = Neg(x) \n r = Relu(n)", op("Relu", alone("Neg"))
    assert holds(pattern, graph_of(text)) and not holds(pattern, graph_of(text, outputs="n"))
    behind = op("Relu", through(("Cast",), op("Neg")))
    text = "n = Neg(x) \n c = Cast(n) \n r = Relu(c)"
    assert holds(behind, graph_of(text)) and not holds(behind, graph_of(text, outputs="c"))


def test_attributes_have_the_values_that_are_asked_for() -> None:
    graph = graph_of("t = Transpose(x)")
    graph.update(graph.ops()[0], attrs={"perm": (0, 2, 1)})
    assert holds(op("Transpose", attrs={"perm": (0, 2, 1)}), graph)
    assert not holds(op("Transpose", attrs={"perm": (0, 1, 2)}), graph)
    assert not holds(op("Transpose", attrs={"axis": 1}), graph)


def test_a_match_tells_what_its_names_stand_for() -> None:
    graph = graph_of("n = Neg(x) \n c = Cast(n) \n d = Cast(c) \n r = Mul(0.5, d)")
    pattern = op(
        "Mul", any_order(through(("Cast",), alone("Neg", value("x"), name="neg"), "way"), number("half"))
    )
    match, _ = find(graph, pattern | op("Mul", number("other"), ANY))
    assert match.root is graph.ops()[-1] and match.op("neg") is graph.ops()[0]
    assert (match.value("x"), match.number("half"), match.passed("way")) == ("x", 0.5, ("n", "c", "d"))
    found = match.constant("half")
    assert found is not None and found.shape == ()
    assert "half" in match and "other" not in match
    assert match.number("other") is None and match.constant("other") is None


def test_what_the_rest_needs_decides_between_alternatives() -> None:
    """The first Neg that any order tries is the wrong one."""
    graph = graph_of("a = Neg(x) \n b = Neg(y) \n p = Mul(a, b) \n r = Add(p, y)")
    pattern = op("Add", op("Mul", any_order(op("Neg", value("v")), ANY)), value("v"))
    match = pattern.match(graph, graph.ops()[-1])
    assert match is not None and match.value("v") == "y"
    assert [
        item.value("v")
        for item in op("Mul", any_order(op("Neg", value("v")), ANY)).matches(graph, graph.ops()[2])
    ] == ["x", "y"]


def test_every_match_is_found_and_none_is_looked_for_where_a_type_is_missing() -> None:
    class Counts(Scope):
        asked = 0

        def real(self, name: str | None) -> str | None:
            Counts.asked += 1
            return name

    pattern = op("Mul", op("Neg") | op("Neg", op("Abs")), op(("Exp", "Log"), through(("Cast",), op("Tan"))))
    assert pattern.needs == {"Mul", "Neg", "Tan"}
    graph = graph_of("n = Neg(x) \n m = Mul(n, n) \n k = Mul(m, n)")
    assert not list(find(Counts(graph), pattern)) and not Counts.asked
    found = find(Counts(graph), op("Mul", any_order(op("Neg"), ANY)))
    assert [match.root.id for match in found] == ["main/1", "main/1", "main/2"] and Counts.asked


def test_a_scope_passes_over_what_a_runtime_does_not_see() -> None:
    class Sees(Scope):
        def real(self, name: str | None) -> str | None:
            item = self.graph.producer(name)
            return self.real(item.inputs[0]) if item is not None and item.type == "Identity" else name

    graph = graph_of("i = Identity(x) \n p = Pow(i, 2) \n j = Identity(p) \n r = Mul(j, x)")
    pattern = op("Mul", op("Pow", value("x"), number(2)), value("x"))
    assert not holds(pattern, graph)
    match = pattern.match(Sees(graph), graph.ops()[-1])
    assert match is not None and match.value("x") == "x"


def test_a_scope_may_show_a_part_of_a_graph() -> None:
    class Part(Scope):
        def producer(self, name: str | None) -> Operator | None:
            item = self.graph.producer(name)
            return item if item is not None and item.id != "main/0" else None

    graph = graph_of("n = Neg(x) \n a = Abs(n) \n r = Relu(a)")
    assert op("Relu", op("Abs")).match(Part(graph), graph.ops()[-1]) is not None
    assert op("Relu", op("Abs", op("Neg"))).match(Part(graph), graph.ops()[-1]) is None
    assert Part(graph).written_by("a", "Abs") and not Part(graph).written_by("n", "Neg")


def test_numbers_and_lists_are_read_where_they_are_plain() -> None:
    graph = graph_of("r = ReduceMean(x, axes)")
    data = struct.pack("<2q", 1, -1)
    scope, mean = Scope(graph), graph.ops()[0]
    assert scope.ints(mean, 1, "axes") is None and scope.ints(mean, 2, "axes") is None
    graph.set_tensor(Tensor("axes", "int64", (2,), const=Constant("int64", (2,), inline=data)))
    assert scope.ints(mean, 1, "axes") == [1, -1] and scope.number("axes") is None
    assert scope.ints(graph.update(mean, attrs={"axes": (3,)}), 1, "axes") == [3]
    graph.set_tensor(Tensor("axes", "string", (1,), const=Constant("string", (1,), inline=b"1")))
    assert scope.number("axes") is None and scope.rank("axes") == 1 and scope.rank(None) is None


def test_single_steps() -> None:
    graph = graph_of("n = Neg(x) \n a = Abs(n) \n b = Relu(a) \n c = Elu(a)")
    neg, abs_, *_ = graph.ops()
    assert sole_reader(graph, neg) is abs_ and sole_reader(graph, neg, "Abs") is abs_
    assert sole_reader(graph, neg, "Relu") is None and sole_reader(graph, None) is None
    assert sole_reader(graph, abs_) is None  # two readers
    assert sole_reader(graph_of("n = Neg(x) \n a = Abs(n)", outputs="n"), neg) is None
    assert writer(graph, "n", "Neg") is neg and writer(graph, "n", "Abs") is None
    assert writer(graph, "x", "Neg") is None and writer(graph, None, "Neg") is None
    body = Graph("body", "onnx", outer=graph)
    body.set_interface([], ["b"])
    owner = graph.update(graph.ops()[-1], inputs=("x", "a", None), graphs={"then": body})
    assert reads(owner) == ["x", "a", "b"] and writers(graph, owner) == {"main/1", "main/2"}
    assert reads(neg) == ["x"] and writers(graph, neg) == set()
    scope = Scope(graph_of("n = Neg(x) \n m = Mul(n, n) \n k = Mul(n, m)", outputs="n"))
    assert (scope.uses("n"), scope.uses("m"), scope.uses("x"), scope.uses("nothing")) == (4, 1, 1, 0)
    assert scope.written_by("n", "Abs", "Neg") and not scope.written_by("n", "Abs")
    assert not scope.written_by("x", "Neg")


CHAINS = st.lists(st.sampled_from(["Neg", "Abs", "Exp"]), min_size=1, max_size=5)


@settings(deadline=None)
@given(CHAINS, CHAINS)
def test_a_chain_holds_exactly_where_its_types_are(types: list[str], wanted: list[str]) -> None:
    lines = [f"t{at + 1} = {type}(t{at})" for at, type in enumerate(types)]
    pattern: Pattern = value("start")
    for type in wanted:
        pattern = alone(type, pattern)
    graph = graph_of("\n".join(lines))
    match = pattern.match(graph, graph.ops()[-1])
    assert (match is not None) == (types[-len(wanted) :] == wanted)
    if match is not None:
        assert match.value("start") == f"t{len(types) - len(wanted)}"


@settings(deadline=None)
@given(st.permutations(["Neg", "Abs", "Exp"]))
def test_any_order_is_every_order(types: list[str]) -> None:
    graph = graph_of("a = Neg(x) \n b = Abs(x) \n c = Exp(x) \n r = Sum(a, b, c)")
    assert holds(op("Sum", any_order(*map(op, types))), graph)
    assert holds(op("Sum", *map(op, types)), graph) == (types == ["Neg", "Abs", "Exp"])
    assert sum(1 for _ in permutations(types)) == len(
        list(op("Sum", any_order(ANY, ANY, ANY)).matches(graph, graph.ops()[-1]))
    )
