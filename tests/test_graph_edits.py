"""Property tests of every edit of a graph: the payloads stay the truth, the index follows, a refused edit
changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from accelint.analyzer.errors import GraphError
from accelint.analyzer.ir.graph import Constant, Graph, Operator, Tensor
from counted import Calls
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

PICK = st.integers(0, 10_000)


def picture(graph: Graph) -> tuple[Any, ...]:
    """Everything that an edit can change, bodies included, by identity of the payloads."""
    order = [op.id for op in graph.ops()]
    ops = [
        (id, op, tuple((key, picture(body)) for key, body in op.graphs.items()))
        for id, op in graph._ops.items()
    ]
    consumers = {name: {reader.id for reader in graph.consumers(name)} for name in graph.tensors}
    return dict(graph.tensors), ops, graph.inputs, graph.outputs, consumers, order


def reads(graph: Graph, op: Operator) -> set[str]:
    """The names that an operator reads, told from the payloads alone."""
    names = {name for name in op.inputs if name}
    for body in op.graphs.values():
        inner = {name for item in body._ops.values() for name in reads(body, item)} | set(body.outputs)
        names |= {name for name in inner if name not in body.tensors}
    return names


def assert_index_is_true(graph: Graph) -> None:
    """The index, rebuilt from the payload tuples by hand, is what the graph answers."""
    ops = list(graph._ops.values())
    for name in graph.tensors:
        assert set(graph.consumers(name)) == {op for op in ops if name in reads(graph, op)}, name
        assert len(graph.consumers(name)) == len(set(graph.consumers(name))), name
        writers = [op for op in ops if name in op.outputs]
        assert [graph.producer(name)] == (writers or [None]), name
    edges = {
        (("tensor", name), ("op", op.id)) for op in ops for name in reads(graph, op) if name in graph.tensors
    }
    edges |= {(("op", op.id), ("tensor", name)) for op in ops for name in op.outputs if name}
    assert set(graph.nx.edges) == edges
    assert {graph.nx.nodes[key]["item"] for key in graph.nx.nodes} == {*ops, *graph.tensors.values()}
    done: set[str] = set()
    for op in graph.ops():
        assert all(graph.producer(name) is None or name in done for name in reads(graph, op)), op
        done |= {name for name in op.outputs if name}
    assert len(graph.ops()) == len(ops)
    graph.validate()


class Edits(RuleBasedStateMachine):
    """Random edits of a random graph, right ones and wrong ones."""

    def __init__(self) -> None:
        super().__init__()
        self.graph = Graph("main", "onnx", {"": 18})
        for name in ("x", "y"):
            self.graph.add_tensor(Tensor(name, "float32", (2, 3)))
        self.graph.add_tensor(Tensor("w", "float32", (1,), Constant("float32", (1,), inline=b"\0\0\0\0")))
        self.graph.set_interface(("x", "y"), ())

    def tensor(self, pick: int) -> str:
        return list(self.graph.tensors)[pick % len(self.graph.tensors)]

    def operator(self, pick: int) -> Operator:
        return self.graph.ops()[pick % len(self.graph)]

    def attempt(self, edit: Callable[[], object]) -> bool:
        """Run an edit; a refusal leaves everything as it was."""
        before = picture(self.graph)
        try:
            edit()
        except GraphError as error:
            assert error.message
            assert picture(self.graph) == before
            return False
        return True

    @rule(a=PICK, b=PICK, omit=st.booleans(), results=st.integers(0, 2))
    def add(self, a: int, b: int, omit: bool, results: int) -> None:
        names = [self.graph.fresh("t") for _ in range(results)]
        assert len(set(names)) == results
        for name in names:
            self.graph.add_tensor(Tensor(name, "float32", (2, 3)))
        op = Operator(
            self.graph.fresh_id(), "Add", (self.tensor(a), None if omit else self.tensor(b)), (*names, None)
        )
        self.attempt(lambda: self.graph.add_op(op))

    @rule(a=PICK, b=PICK)
    def add_wrong(self, a: int, b: int) -> None:
        """An operator that writes what is written, an input or a constant, or that reads nothing known."""
        used = self.tensor(a)
        if (
            self.graph.producer(used) is not None
            or used in self.graph.inputs
            or self.graph.tensor(used).const is not None
        ):
            assert not self.attempt(
                lambda: self.graph.add_op(Operator(self.graph.fresh_id(), "Neg", (self.tensor(b),), (used,)))
            )
        assert not self.attempt(
            lambda: self.graph.add_op(Operator(self.graph.fresh_id(), "Neg", ("nobody",), ()))
        )

    @rule(captured=PICK, inner=PICK)
    def add_owner_of_a_body(self, captured: int, inner: int) -> None:
        body = Graph("body", "onnx", {"": 18}, outer=self.graph)
        body.add_tensor(Tensor("inside", "float32", (2, 3)))
        body.add_op(Operator("body/0", "Neg", (self.tensor(captured),), ("inside",)))
        body.set_interface((), ("inside",))
        out, condition = self.graph.fresh("owned"), self.tensor(inner)
        self.graph.add_tensor(Tensor(out, "float32", (2, 3)))
        self.graph.add_op(Operator(self.graph.fresh_id(), "If", (condition,), (out,), graphs={"then": body}))

    @precondition(lambda self: any(op.graphs for op in self.graph.ops()))
    @rule(pick=PICK, captured=PICK)
    def edit_a_body(self, pick: int, captured: int) -> None:
        owners = [op for op in self.graph.ops() if op.graphs]
        owner = owners[pick % len(owners)]
        body = owner.graphs["then"]
        name = self.tensor(captured)
        if name not in body.tensors and owner.id not in descendants(self.graph, name):
            body.update(body.ops()[0], inputs=(name,))

    @precondition(lambda self: len(self.graph) > 0)
    @rule(pick=PICK, a=PICK, b=PICK)
    def update(self, pick: int, a: int, b: int) -> None:
        op = self.operator(pick)
        if self.attempt(lambda: self.graph.update(op, inputs=(self.tensor(a), self.tensor(b)), type="Sub")):
            assert self.graph.op(op.id).type == "Sub"
            assert op not in self.graph
            assert not self.attempt(lambda: self.graph.update(op, type="Mul"))

    @rule(old=PICK, new=PICK, keep=PICK)
    def rewire(self, old: int, new: int, keep: int) -> None:
        before, after = self.tensor(old), self.tensor(new)
        kept = (self.operator(keep),) if len(self.graph) else ()
        if self.attempt(lambda: self.graph.rewire(before, after, keep=kept)) and before != after:
            assert {op.id for op in self.graph.consumers(before)} <= {op.id for op in kept}

    @precondition(lambda self: len(self.graph) > 0)
    @rule(picks=st.lists(PICK, min_size=1, max_size=3), a=PICK, lose=st.booleans())
    def replace(self, picks: list[int], a: int, lose: bool) -> None:
        old = {self.operator(pick).id: self.operator(pick) for pick in picks}
        results = [name for op in old.values() for name in op.outputs if name]
        fresh = self.graph.fresh("made")
        first = Operator(self.graph.fresh_id(), "Neg", (self.tensor(a),), (fresh,))
        second = Operator(self.graph.fresh_id(), "Split", (fresh,), tuple(results[lose:]))
        done = self.attempt(
            lambda: self.graph.replace(old.values(), (first, second), (Tensor(fresh, "float32", (2, 3)),))
        )
        if done:
            assert all(op not in self.graph for op in old.values())
            assert all(self.graph.producer(name) is second for name in results[lose:])

    @precondition(lambda self: len(self.graph) > 0)
    @rule(pick=PICK)
    def remove(self, pick: int) -> None:
        op = self.operator(pick)
        needed = any(self.graph.consumers(name) or name in self.graph.outputs for name in op.outputs if name)
        assert self.attempt(lambda: self.graph.remove(op)) == (not needed)

    @rule(picks=st.lists(PICK, max_size=3))
    def choose_outputs(self, picks: list[int]) -> None:
        self.graph.set_interface(self.graph.inputs, [self.tensor(pick) for pick in picks])

    @rule(pick=PICK)
    def choose_a_wrong_input(self, pick: int) -> None:
        name = self.tensor(pick)
        if self.graph.producer(name) is not None:
            assert not self.attempt(lambda: self.graph.set_interface((name,), self.graph.outputs))

    @rule(pick=PICK, constant=st.booleans())
    def set_tensor(self, pick: int, constant: bool) -> None:
        old = self.graph.tensor(self.tensor(pick))
        const = Constant("float32", (1,), inline=b"\0\0\0\0") if constant else None
        done = self.attempt(lambda: self.graph.set_tensor(replace(old, shape=(6,), const=const)))
        assert done == (not constant or self.graph.producer(old.name) is None)

    @precondition(lambda self: len(self.graph) > 0)
    @rule(pick=PICK, forget=st.booleans())
    def fold(self, pick: int, forget: bool) -> None:
        op = self.operator(pick)
        results = [name for name in op.outputs if name]
        values = {name: Constant("float32", (1,), inline=b"\0\0\0\0") for name in results[forget:]}
        lost = any(self.graph.consumers(name) for name in results[:forget])
        possible = not lost and not set(results) & set(self.graph.outputs)
        assert self.attempt(lambda: self.graph.fold(op, values)) == possible
        if possible:
            assert op not in self.graph
            assert all(self.graph.tensor(name).const is const for name, const in values.items())

    @rule()
    def prune(self) -> None:
        count = len(self.graph)
        dropped = self.graph.prune()
        assert len(self.graph) == count - dropped
        assert self.graph.prune() == 0
        needed = {
            *self.graph.inputs,
            *self.graph.outputs,
            *(name for op in self.graph.ops() for name in reads(self.graph, op)),
        }
        for op in self.graph.ops():
            results = {name for name in op.outputs if name}
            assert not results or results & needed
        written = {name for op in self.graph.ops() for name in op.outputs if name}
        assert set(self.graph.tensors) <= needed | written

    @rule()
    def copy_is_independent(self) -> None:
        before = picture(self.graph)
        twin = self.graph.copy()
        assert_index_is_true(twin)
        assert [op.id for op in twin.ops()] == [op.id for op in self.graph.ops()]
        twin.add_tensor(Tensor("only-in-the-twin"))
        twin.set_interface((), ())
        for op in twin.ops():
            for body in op.graphs.values():
                assert body.outer is twin
                body.update(body.ops()[0], type="Abs")
        twin.prune()
        assert_index_is_true(twin)
        assert picture(self.graph) == before

    @rule(spoil=PICK)
    def restore_gives_back_the_graph(self, spoil: int) -> None:
        before = picture(self.graph)
        state = self.graph.state()
        for owner, op in list(self.graph.walk()):
            owner.update(op, type=f"Spoiled{spoil}")
        self.graph.set_interface((), ())
        self.graph.prune()
        self.graph.restore(state)
        assert picture(self.graph) == before

    @invariant()
    def holds(self) -> None:
        assert_index_is_true(self.graph)


def descendants(graph: Graph, name: str) -> set[str]:
    """Ids of the operators that must run before the tensor is there."""
    found: set[str] = set()
    todo = [name]
    while todo:
        writer = graph.producer(todo.pop())
        if writer is not None and writer.id not in found:
            found.add(writer.id)
            todo += reads(graph, writer)
    return found


Edits.TestCase.settings = settings(
    max_examples=120,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestEdits = Edits.TestCase


def chain(*types: str) -> Graph:
    """x -> op0 -> t0 -> op1 -> ... the last result is the output."""
    graph = Graph("main", "onnx", {"": 18})
    graph.add_tensor(Tensor("x", "float32", (2,)))
    last = "x"
    for index, type in enumerate(types):
        graph.add_tensor(Tensor(f"t{index}", "float32", (2,)))
        graph.add_op(Operator(f"main/{index}", type, (last,), (f"t{index}",)))
        last = f"t{index}"
    graph.set_interface(("x",), (last,))
    return graph


def test_rewire_that_closes_a_cycle_changes_nothing() -> None:
    graph = chain("A", "B")
    before = picture(graph)
    with pytest.raises(GraphError, match="cycle"):
        graph.rewire("x", "t1")
    assert picture(graph) == before


def test_update_that_closes_a_cycle_changes_nothing() -> None:
    graph = chain("A", "B")
    before = picture(graph)
    with pytest.raises(GraphError, match="cycle"):
        graph.update(graph.op("main/0"), inputs=("t1",))
    assert picture(graph) == before


def test_update_rejects_an_operator_that_is_gone() -> None:
    graph = chain("A", "B")
    old = graph.op("main/0")
    graph.update(old, type="C")
    with pytest.raises(GraphError, match="not in graph"):
        graph.update(old, type="D")


def test_update_does_not_change_what_is_written() -> None:
    graph = chain("A")
    with pytest.raises(GraphError, match=r"replace\(\)"):
        graph.update(graph.op("main/0"), outputs=("x",))


def test_rewire_rejects_when_a_body_captures_the_tensor_that_its_owner_also_reads() -> None:
    graph = chain("A", "B")
    body = Graph("body", "onnx", outer=graph)
    body.set_interface((), ("t0",))
    graph.add_tensor(Tensor("out", "float32", (2,)))
    graph.add_op(Operator("main/2", "If", ("t0",), ("out",), graphs={"then": body}))
    before = picture(graph)
    with pytest.raises(GraphError, match="body"):
        graph.rewire("t0", "x")
    assert picture(graph) == before


def test_prune_keeps_operators_without_results_and_tensors_that_attributes_name() -> None:
    graph = chain("A")
    graph.add_tensor(Tensor("mid", "int8", (2,)))
    graph.add_op(Operator("main/1", "CALL_ONCE", (), (), {"intermediates": ("mid", None)}))
    assert graph.prune() == 0
    assert "mid" in graph.tensors and len(graph) == 2


def test_prune_drops_a_long_dead_chain_in_linear_time() -> None:
    graph = chain(*["A"] * 20_000)
    graph.set_interface(("x",), ("x",))
    assert graph.prune() == 20_000
    assert set(graph.tensors) == {"x"}


def test_names_are_given_once() -> None:
    graph = chain("A")
    assert [graph.fresh("t0"), graph.fresh("t0"), graph.fresh("new"), graph.fresh("new")] == [
        "t0_1",
        "t0_2",
        "new",
        "new_1",
    ]
    assert graph.copy().fresh("new") == "new_2"


def test_a_body_shared_by_two_operators_stays_shared_in_a_copy() -> None:
    graph = chain("A", "B")
    body = chain("C")
    for index in (0, 1):
        graph.update(graph.op(f"main/{index}"), graphs={"body": body})
    twin = graph.copy()
    first, second = (twin.op(f"main/{index}").graphs["body"] for index in (0, 1))
    assert first is second and first is not body


def test_validate_lists_every_problem() -> None:
    graph = chain("A", "B")
    graph._tensors.pop("t0")
    graph.inputs = ("gone",)
    with pytest.raises(GraphError) as caught:
        graph.validate()
    for part in ("'gone'", "reads the missing tensor 't0'", "writes the missing tensor 't0'"):
        assert part in caught.value.message


def test_a_value_that_does_not_fill_its_shape_is_rejected() -> None:
    graph = Graph("main", "onnx", {"": 17})
    graph.add_tensor(Tensor("x", "float32", (2,)))
    graph.add_tensor(Tensor("y", "float32", (2,)))
    graph.add_op(Operator("main/0", "Relu", ("x",), ("y",)))
    graph.set_interface(["x"], ["y"])
    new = Operator("main/1", "Add", ("x", "c"), ("y",))
    for shape, count in (((2,), 3), ((3,), 2)):
        const = Constant("float32", shape, inline=bytes(4 * count), length=4 * count)
        with pytest.raises(GraphError, match="does not fill its shape"):
            graph.replace(graph.ops(), [new], [Tensor("c", "float32", (2,), const)])
    assert [op.type for op in graph.ops()] == ["Relu"]


def row(length: int) -> Graph:
    """Operators in a row."""
    graph = Graph("main", "onnx")
    for index in range(length + 1):
        graph.add_tensor(Tensor(f"t{index}", "float32", (1,)))
    for index in range(length):
        graph.add_op(Operator(f"main/{index}", "Neg", (f"t{index}",), (f"t{index + 1}",)))
    graph.set_interface(["t0"], [f"t{length}"])
    graph.ops()
    return graph


def halved(graph: Graph, op: Operator, deep: int = 1) -> None:
    """Put two operators in place of one, and two in place of the first of these, and so on."""
    middle = graph.fresh("half")
    first, second = graph.fresh_id(), graph.fresh_id()
    new = [
        Operator(first, "Abs", op.inputs, (middle,)),
        Operator(second, "Exp", (middle,), op.outputs),
    ]
    graph.replace([op], new, [Tensor(middle, "float32", (1,))])
    if deep > 1:
        halved(graph, graph.op(first), deep - 1)


def edited(length: int) -> int:
    """Calls that an edit of a chain takes."""
    graph = row(length)
    halved(graph, graph.op("main/3"))
    with Calls() as calls:
        for index in range(10, 20):
            halved(graph, graph.op(f"main/{index}"))
    return calls.count


def test_an_edit_costs_what_it_touches() -> None:
    """Ten edits of a graph of forty times the size take as many calls."""
    assert edited(4000) < 2 * edited(100)


def test_new_operators_stand_where_the_old_one_stood() -> None:
    """However often one is replaced: the room between neighbours never runs out."""
    graph = row(6)
    halved(graph, graph.op("main/3"), deep=40)
    halved(graph, graph.op("main/1"))
    kinds = [op.type for op in graph.ops()]
    assert kinds == ["Neg", "Abs", "Exp", "Neg", "Abs", *["Exp"] * 40, "Neg", "Neg"]
    graph.validate()
    assert [op.type for op in graph.copy().ops()] == kinds
