"""The packs of the NPU compilers (Vela, LiteRT's plug-in for Intel), held against the installed compilers,
and how plug-ins partition.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from accelint.analyzer.conform.corpora import corpus
from accelint.analyzer.conform.engine import run
from accelint.analyzer.conform.figures import figures
from accelint.analyzer.ir.graph import Graph, Operator, Tensor
from accelint.analyzer.policies.consecutive import Consecutive
from accelint.rules.registry import choose

if TYPE_CHECKING:
    from collections.abc import Sequence


def graph_of(ops: Sequence[tuple[str, Sequence[str], Sequence[str]]]) -> Graph:
    """One graph of operators ``(type, inputs, outputs)`` on tensors of float32[1,4]."""
    graph = Graph("main", "tflite", {"": 1})
    for name in dict.fromkeys(name for _, reads, writes in ops for name in (*reads, *writes)):
        graph.add_tensor(Tensor(name, "float32", (1, 4)))
    for index, (kind, reads, writes) in enumerate(ops):
        graph.add_op(Operator(f"main/{index}", kind, tuple(reads), tuple(writes)))
    graph.set_interface(["x"], [*ops[-1][2]])
    return graph


def partitions(graph: Graph, *supported: int) -> set[frozenset[str]]:
    return {
        frozenset(partition)
        for partition in Consecutive()
        .partition(graph, {f"main/{number}" for number in supported}, {})
        .partitions
    }


def test_a_plug_in_s_partitions_follow_each_other_in_the_file() -> None:
    graph = graph_of(
        [
            ("ABS", ["x"], ["a"]),
            ("COS", ["a"], ["b"]),
            ("NEG", ["a"], ["c"]),
            ("ABS", ["b"], ["d"]),
            ("SQRT", ["d"], ["y"]),
        ]
    )
    assert partitions(graph, 0, 2, 3, 4) == {frozenset({"main/0"}), frozenset({"main/2", "main/3", "main/4"})}


def test_operators_that_are_not_connected_share_a_partition() -> None:
    graph = graph_of([("ABS", ["x"], ["a"]), ("COS", ["x"], ["b"]), ("ADD", ["a", "b"], ["y"])])
    assert partitions(graph, 0, 1) == {frozenset({"main/0", "main/1"})}
    assert partitions(graph) == set()


def held(target: str, tmp_path: Path, ops: frozenset[str] | None, limit: int) -> dict[str, Any]:
    items = list(corpus("tflite", "generated", limit=limit, ops=ops))
    return figures(run(choose(target), items, tmp_path / "answers.jsonl", jobs=1))


@pytest.mark.parametrize("variant", ["u55", "u65", "u85"])
def test_vela_compiles_what_is_predicted(variant: str, tmp_path: Path) -> None:
    pytest.importorskip("ethosu.vela", reason="pip install 'accelint[ethos-u]'")
    ops = frozenset(
        {
            "CONV_2D",
            "MEAN",
            "RESIZE_BILINEAR",
            "STRIDED_SLICE",
            "TRANSPOSE",
            "SOFTMAX",
            "FULLY_CONNECTED",
            "AVERAGE_POOL_2D",
        }
    )
    found = held(f"litert/ethos-u:{variant}", tmp_path, ops, 60)
    assert found["operators"] >= 55
    assert found["confusion"]["accelerated"]["accelerated"] >= 15
    assert found["agreement"] >= 0.98
    assert found["false_accelerated"] <= 0.02
    assert found["partitions"]["right"] == found["partitions"]["told"]


@pytest.mark.parametrize("results", [["d", "s"], ["s", "d"]])
def test_vela_stops_on_a_slice_that_it_comes_to_through_another_reader(results: list[str]) -> None:
    """Measured with Vela 5.2.0: the order of the results decides which reader Vela comes to first."""
    graph = Graph("main", "tflite", {"": 1})
    for name in ("x", "y", "v", "d", "s"):
        graph.add_tensor(Tensor(name, "int8", (1, 8, 8, 4)))
    graph.add_op(Operator("main/0", "STRIDED_SLICE", ("x",), ("v",)))
    graph.add_op(Operator("main/1", "SQUARED_DIFFERENCE", ("v", "y"), ("d",)))
    graph.add_op(Operator("main/2", "ADD", ("v", "y"), ("s",)))
    graph.set_interface(["x", "y"], results)
    chosen = choose("litert/ethos-u:u55")
    rule = next(rule for rule in chosen.pack.rules if rule.name == "shared-slice")
    assert bool(rule.failures(graph, graph.ops()[1], chosen.context)) == (results[0] == "d")
