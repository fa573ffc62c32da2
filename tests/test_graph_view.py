"""A view is what building the graph anew with the edits would give, and the graph that it is of stays as it
was.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from accelint.analyzer.errors import GraphError
from accelint.analyzer.ir.graph import Constant, Graph, Operator, Tensor
from accelint.analyzer.ir.view import edited
from hypothesis import given, settings
from hypothesis import strategies as st


def graph_of(reads: list[tuple[int, int]]) -> Graph:
    """One operator for each pair: it reads two of the tensors before its own."""
    graph = Graph("main", "onnx", {"": 17})
    for at in range(len(reads) + 1):
        graph.add_tensor(Tensor(f"t{at}", "float32", (at + 1,)))
    graph.set_interface(["t0"], [f"t{len(reads)}"])
    graph.attrs["mark"] = 1
    for at, (left, right) in enumerate(reads):
        inputs = (f"t{left % (at + 1)}", f"t{right % (at + 1)}")
        graph.add_op(Operator(f"main/{at}", "Add", inputs, (f"t{at + 1}",)))
    return graph


def built(graph: Graph, ops: dict[str, Operator | None], tensors: list[Tensor]) -> Graph:
    """The edited graph by the long way: every tensor and every operator added one by one."""
    twin = Graph(graph.name, graph.dialect, graph.opsets, graph.outer)
    told = {**graph.tensors, **{tensor.name: tensor for tensor in tensors}}
    for tensor in told.values():
        twin.add_tensor(tensor)
    twin.set_interface(graph.inputs, graph.outputs)
    for op in graph.ops():
        new = ops.get(op.id, op)
        if new is not None:
            twin.add_op(new)
    return twin


def picture(graph: Graph) -> tuple[Any, ...]:
    names = list(graph.tensors)
    return (
        dict(graph.tensors), graph.ops(), graph.inputs, graph.outputs,
        {name: graph.producer(name) for name in names}, {name: graph.consumers(name) for name in names},
    )  # fmt: skip


PAIRS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=12)


@settings(deadline=None)
@given(PAIRS, st.data())
def test_a_view_is_the_graph_built_anew_with_the_edits(pairs: list[tuple[int, int]], data: Any) -> None:
    graph = graph_of(pairs)
    before = picture(graph)
    ops: dict[str, Operator | None] = {}
    for op in data.draw(st.lists(st.sampled_from(graph.ops()), unique=True)):
        read = data.draw(st.lists(st.sampled_from(["t0", *(name for name in op.inputs if name)]), max_size=3))
        ops[op.id] = data.draw(st.sampled_from([None, op, replace(op, type="Sum", inputs=tuple(read))]))
    picked = data.draw(st.lists(st.sampled_from(list(graph.tensors.values()))))
    tensors = [replace(tensor, dtype="float16") for tensor in picked] + [Tensor("new", "int64", (2,))]
    view = edited(graph, ops, tensors)
    assert picture(view) == picture(built(graph, ops, tensors))
    assert picture(graph) == before
    assert view.attrs == graph.attrs and view.attrs is not graph.attrs
    view.validate()
    assert set(view.nx.nodes) == {("op", op.id) for op in view.ops()} | {("tensor", n) for n in view.tensors}


def test_nothing_edited_is_no_copy() -> None:
    graph = graph_of([(0, 0), (1, 0)])
    assert edited(graph) is graph
    assert edited(graph, {op.id: op for op in graph.ops()}, graph.tensors.values()) is graph
    assert edited(graph, {}, [replace(graph.tensor("t1"))]) is not graph


def test_readers_stand_in_order_of_execution_after_edits_of_the_graph() -> None:
    graph = graph_of([(0, 0), (0, 0), (0, 0)])
    graph.update(graph.op("main/0"), type="Mul")
    view = edited(graph, {"main/1": replace(graph.op("main/1"), type="Sub")})
    assert [op.id for op in view.consumers("t0")] == ["main/0", "main/1", "main/2"]


def test_a_view_shares_the_bodies() -> None:
    graph = graph_of([(0, 0), (0, 0)])
    body = Graph("body", "onnx", outer=graph)
    body.add_tensor(Tensor("b", "float32", (1,)))
    body.add_op(Operator("body/0", "Relu", ("t1",), ("b",)))
    body.set_interface([], ["b"])
    graph.replace([graph.op("main/1")], [replace(graph.op("main/1"), type="If", graphs={"then": body})])
    view = edited(graph, {"main/0": replace(graph.op("main/0"), type="Mul")})
    assert view.op("main/1").graphs["then"] is body
    assert view.consumers("t1") == (graph.op("main/1"),)
    assert edited(graph, {"main/1": None}).consumers("t1") == ()


def test_order_follows_the_edits() -> None:
    graph = graph_of([(0, 0), (0, 0)])
    view = edited(graph, {"main/0": replace(graph.op("main/0"), inputs=("t2",))})
    assert [op.id for op in view.ops()] == ["main/1", "main/0"]


def test_what_would_break_the_graph_is_rejected() -> None:
    graph = graph_of([(0, 0), (1, 1), (2, 2)])
    first, second = graph.op("main/0"), graph.op("main/1")
    value = Constant("float32", (1,), inline=bytes(4))
    with pytest.raises(GraphError, match="no operator 'main/9'"):
        edited(graph, {"main/9": None})
    with pytest.raises(GraphError, match="a view keeps the ids"):
        edited(graph, {"main/0": second})
    with pytest.raises(GraphError, match="'nowhere', which does not exist"):
        edited(graph, {"main/0": replace(first, inputs=("nowhere",))})
    with pytest.raises(GraphError, match="written by both"):
        edited(graph, {"main/0": replace(first, outputs=("t2",))})
    with pytest.raises(GraphError, match="writes the constant 't1'"):
        edited(graph, {}, [replace(graph.tensor("t1"), const=value)])
    with pytest.raises(GraphError, match="has a cycle"):
        edited(graph, {"main/0": replace(first, inputs=("t3",))})
    folded = edited(graph, {"main/0": None}, [replace(graph.tensor("t1"), const=value)])
    assert folded.constant("t1") is value and folded.producer("t1") is None
