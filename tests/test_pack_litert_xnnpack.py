"""The pack ``litert/xnnpack`` and the partitions of LiteRT's delegates, held against the installed
runtime.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tflite_models as tflite
from accelint.analyzer.check.run import check
from accelint.analyzer.conform.corpora import Item, corpus
from accelint.analyzer.conform.engine import run
from accelint.analyzer.conform.figures import figures
from accelint.analyzer.formats import load
from accelint.analyzer.ir.graph import Constant, Graph, Operator, Tensor
from accelint.analyzer.policies.litert import LiteRTDelegate, half_constants, partitions, unpacked
from accelint.rules.registry import choose

if TYPE_CHECKING:
    from collections.abc import Sequence

TARGET = "litert/xnnpack"


def graph_of(ops: Sequence[tuple[str, Sequence[str], Sequence[str]]], **dtypes: str) -> Graph:
    """One graph of operators ``(type, inputs, outputs)``; every tensor is float32[1,4] unless told."""
    graph = Graph("main", "tflite", {"": 1})
    names = dict.fromkeys(name for _, reads, writes in ops for name in (*reads, *writes))
    for name in names:
        stored = name.startswith("c")
        dtype = dtypes.get(name, "float32")
        graph.add_tensor(
            Tensor(
                name,
                dtype,
                (1, 4),
                const=Constant(dtype, (1, 4), inline=np.zeros((1, 4), dtype).tobytes()) if stored else None,
            )
        )
    for index, (kind, reads, writes) in enumerate(ops):
        graph.add_op(Operator(f"main/{index}", kind, tuple(reads), tuple(writes)))
    made = {name for _, _, writes in ops for name in writes}
    graph.set_interface(
        [name for name in names if name not in made and not name.startswith("c")], [*ops[-1][2]]
    )
    return graph


def ids(*numbers: int) -> tuple[str, ...]:
    return tuple(f"main/{number}" for number in numbers)


def test_an_operator_that_is_not_supported_cuts_a_chain() -> None:
    graph = graph_of([("ABS", ["x"], ["a"]), ("COS", ["a"], ["b"]), ("ABS", ["b"], ["y"])])
    assert partitions(graph, {*ids(0, 2)}) == [ids(0), ids(2)]


def test_operators_that_do_not_wait_for_the_cut_join_the_first_partition() -> None:
    graph = graph_of(
        [("ABS", ["x"], ["a"]), ("COS", ["a"], ["b"]), ("NEG", ["x"], ["d"]), ("ADD", ["b", "d"], ["y"])]
    )
    assert partitions(graph, {*ids(0, 2, 3)}) == [ids(0, 2), ids(3)]


def test_the_first_operator_in_the_file_sets_the_kind_of_the_first_epoch() -> None:
    graph = graph_of([("COS", ["x"], ["a"]), ("ABS", ["z"], ["b"]), ("ADD", ["a", "b"], ["y"])])
    assert partitions(graph, {*ids(1, 2)}) == [ids(1, 2)]


def test_operators_on_resources_keep_their_order() -> None:
    handles = {"h": "resource", "g": "resource"}
    ops = [
        ("VAR_HANDLE", [], ["h"]),
        ("ASSIGN_VARIABLE", ["h", "x"], []),
        ("VAR_HANDLE", [], ["g"]),
        ("READ_VARIABLE", ["g"], ["y"]),
    ]
    graph = graph_of(ops, **handles)
    assert partitions(graph, {*ids(0, 2, 3)}) == [ids(0), ids(2, 3)]


def test_nothing_supported_is_no_partition() -> None:
    assert partitions(graph_of([("ABS", ["x"], ["y"])]), set()) == []


def test_stored_halves_are_seen_through_their_dequantize() -> None:
    graph = graph_of([("DEQUANTIZE", ["c"], ["w"]), ("ADD", ["x", "w"], ["y"])], c="float16")
    assert half_constants(graph) == {"w": "c"}
    policy = LiteRTDelegate()
    assert policy.folded(graph, {"fp16": "remap"}) == {"main/0"}
    assert policy.view(graph, {"fp16": "remap"}).op("main/1").inputs == ("x", "c")
    assert policy.view(graph, {"fp16": "unpack"}).op("main/1").inputs == ("x", "w")


def test_unpacked_are_stored_halves_and_bytes_only() -> None:
    ops = [("DEQUANTIZE", ["c"], ["w"]), ("DEQUANTIZE", ["x"], ["v"]), ("ADD", ["v", "w"], ["y"])]
    assert unpacked(graph_of(ops, c="float16", x="int8")) == {"main/0"}


def test_an_unknown_batch_is_seen_with_the_stored_size() -> None:
    graph = Graph("main", "tflite", {"": 1})
    graph.add_tensor(Tensor("x", "float32", ("N", 4), attrs={"stored_shape": (1, 4)}))
    graph.set_interface(["x"], ["x"])
    assert LiteRTDelegate().view(graph, {}).tensor("x").shape == (1, 4)


def test_gpu_hands_over_the_largest_partition_only() -> None:
    graph = graph_of(
        [("ABS", ["x"], ["a"]), ("COS", ["a"], ["b"]), ("ABS", ["b"], ["d"]), ("NEG", ["d"], ["y"])]
    )
    partitioning = LiteRTDelegate().partition(graph, {*ids(0, 2, 3)}, {"max_partitions": 1, "fp16": "remap"})
    assert list(partitioning.partitions) == [ids(2, 3)]
    assert list(partitioning.dropped) == ["main/0"]


# ---- against the runtime ----------------------------------------------------------------------


def agreement(tmp_path: Path, items: Sequence[Item]) -> dict[str, object]:
    pytest.importorskip("ai_edge_litert", reason="pip install 'accelint[litert]'")
    return figures(run(choose(TARGET), items, tmp_path / "answers.jsonl"))


def test_a_sample_of_the_corpus_is_predicted_as_placed(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="pip install 'accelint[litert]'")
    found = agreement(tmp_path, list(corpus("tflite", "generated", limit=400)))
    assert found["operators"] > 300
    assert [item for item in found["disagreements"] if item["predicted"] == "accelerated"] == []
    assert found["agreement"] >= 0.995
    assert found["partitions"]["right"] == found["partitions"]["told"] > 300


def test_a_cut_chain_has_the_runtime_s_partitions(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="pip install 'accelint[litert]'")
    file = tflite.chain(tmp_path / "chain.tflite", ["ABS", "COS", "NEG", "ROUND", "SQRT"])
    coverage = check(load(file), choose(TARGET))
    found = agreement(tmp_path, [Item("chain", data=file.read_bytes())])
    assert [op.verdict.value for op in coverage.operators].count("accelerated") >= 3
    assert found["agreement"] == 1.0
    assert found["partitions"] == {**found["partitions"], "told": 1, "right": 1}


def test_an_int64_permutation_is_rejected_by_both(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="pip install 'accelint[litert]'")
    file = tflite.write(
        tmp_path / "t.tflite",
        {"x": (tflite.F32, (2, 3, 4)), "p": (tflite.I64, (3,)), "y": (tflite.F32, (2, 4, 3))},
        [("TRANSPOSE", ["x", "p"], ["y"])],
        ["x"],
        ["y"],
        {"p": np.array([0, 2, 1], np.int64)},
    )
    found = agreement(tmp_path, [Item("t", data=file.read_bytes())])
    expected = {"refused": 1, "refused_predicted": 1, "loaded": 0, "false_alarms": 0}
    assert expected.items() <= found["refusals"].items()
