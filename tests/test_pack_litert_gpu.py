"""The pack ``litert/gpu``, held against the installed runtime on software Vulkan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tflite_models as tflite
from accelint.analyzer.check.run import check
from accelint.analyzer.conform.corpora import Item, corpus
from accelint.analyzer.conform.engine import run
from accelint.analyzer.conform.figures import figures
from accelint.analyzer.formats import load
from accelint.analyzer.runtimes import Request, Session
from accelint.analyzer.runtimes.vulkan import icd
from accelint.rules.cases import build
from accelint.rules.registry import choose
from cli import report
from rewrite_models import Net, tflite_to_bytes

TARGET = "litert/gpu"
vulkan = [
    pytest.mark.vulkan,
    pytest.mark.skipif(icd() is None, reason="needs software Vulkan: apt install chromium"),
]


def needs_vulkan(test: Any) -> Any:
    for mark in vulkan:
        test = mark(test)
    return test


def verdict(case: dict[str, Any]) -> tuple[str, set[str]]:
    """What becomes of a one-operator model, and the rules that speak of it."""
    graph, op = build(case, case["type"], "tflite")
    coverage = check(graph, choose(TARGET))
    (found,) = (item for item in coverage.operators if item.id == op.id)
    return found.verdict.value, {finding.rule.rpartition("/")[2] for finding in coverage.findings}


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({"type": "ADD", "in": ["float32[1,4]", "float32[1,4]"], "out": ["float32[1,4]"]}, "accelerated"),
        ({"type": "ADD", "in": ["int64[1,4]", "int64[1,4]"], "out": ["int64[1,4]"]}, "fallback"),
        ({"type": "ABS", "in": ["float32[2,2,2,2,2]"], "out": ["float32[2,2,2,2,2]"]}, "fallback"),
        (
            {
                "type": "NON_MAX_SUPPRESSION_V4",
                "in": [
                    "float32[4,4]",
                    "float32[4]",
                    "const int32[] = 4",
                    "const float32[] = 0",
                    "const float32[] = 0",
                ],
                "out": ["int32[4]", "int32[]"],
            },
            "fallback",
        ),
        # Without the operands of its kernel no interpreter prepares it: AllocateTensors fails.
        ({"type": "NON_MAX_SUPPRESSION_V4", "in": ["float32[4,4]"], "out": ["int32[4]"]}, "rejected"),
        (
            {
                "type": "BROADCAST_TO",
                "version": 2,
                "in": ["float32[1,4]", "const int32[2] = 3, 4"],
                "out": ["float32[3,4]"],
            },
            "fallback",
        ),
        ({"type": "UNIQUE", "in": ["float32[4]"], "out": ["float32[4]", "int32[4]"]}, "rejected"),
        ({"type": "FlexErf", "domain": "custom", "in": ["float32[4]"], "out": ["float32[4]"]}, "rejected"),
        (
            {
                "type": "TOPK_V2",
                "in": ["float32[3,2]", "const int32[] = 1"],
                "out": ["float32[3,1]", "int32[3,1]"],
            },
            "rejected",
        ),
    ],
)
def test_verdicts_of_single_operators(case: dict[str, Any], expected: str) -> None:
    assert verdict(case)[0] == expected


def test_a_crash_rule_does_not_speak_where_the_operator_stays_on_the_cpu() -> None:
    """The delegate never parses what its check refuses, so it cannot crash on it."""
    case = {"type": "TOPK_V2", "in": ["int32[3,2]", "const int32[] = 1"], "out": ["int32[3,1]", "int32[3,1]"]}
    assert verdict(case)[0] == "fallback"


def test_an_operator_that_stays_on_the_cpu_does_not_crash_a_model_that_fails_for_another_reason() -> None:
    """An output without elements fails the run on any device; only what the delegate parses can crash it."""
    empty = {"type": "ADD", "in": ["int64[0,4]", "int64[0,4]"], "out": ["int64[0,4]"]}
    assert verdict(empty)[0] == "rejected"
    rules = verdict(empty)[1]
    assert "output-without-elements" in rules and "empty-result-crash" not in rules
    parsed = {"type": "ABS", "in": ["float32[0,4]"], "out": ["float32[0,4]"]}
    assert verdict(parsed)[1] >= {"output-without-elements", "empty-result-crash"}


# ---- against the runtime ----------------------------------------------------------------------


@needs_vulkan
def test_a_sample_of_the_corpus_is_predicted_as_placed(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="pip install 'accelint[litert]'")
    found = figures(
        run(choose(TARGET), list(corpus("tflite", "generated", limit=90)), tmp_path / "answers.jsonl")
    )
    assert found["operators"] > 70
    assert [item for item in found["disagreements"] if item["predicted"] == "accelerated"] == []
    assert found["agreement"] >= 0.99
    assert found["partitions"]["right"] == found["partitions"]["told"] > 50
    assert found["refusals"]["refused_predicted"] == found["refusals"]["refused"]


@needs_vulkan
def test_a_cut_chain_gives_the_largest_partition(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="pip install 'accelint[litert]'")
    file = tflite.chain(tmp_path / "chain.tflite", ["ABS", "RELU_0_TO_1", "NEG", "ABS", "SQRT"])
    coverage = check(load(file), choose(TARGET))
    assert [op.verdict.value for op in coverage.operators] == ["fallback", "fallback", *["accelerated"] * 3]
    found = figures(run(choose(TARGET), [Item("chain", data=file.read_bytes())], tmp_path / "answers.jsonl"))
    assert (found["agreement"], found["partitions"]["right"]) == (1.0, 1)


BATCHED = ("BATCH_MATMUL", [(2, 4, 8), (1, 8, 5)], (2, 4, 5), "batched-matmul-broadcast")
SOFTMAX = ("SOFTMAX", [(8,)], (8,), "softmax-of-vector")
ATAN2 = ("ATAN2", [(2, 3, 4), (2, 1, 4)], (2, 3, 4), "arctangent-broadcast")


@needs_vulkan
@pytest.mark.parametrize(("kind", "shapes", "result", "rule"), [BATCHED, SOFTMAX, ATAN2])
def test_noted_miscomputes_are_wrong_on_the_device(
    tmp_path: Path, kind: str, shapes: list[tuple[int, ...]], result: tuple[int, ...], rule: str
) -> None:
    """The notes of ACL701 are about this runtime: a release that repairs one fails here."""
    pytest.importorskip("ai_edge_litert", reason="pip install 'accelint[litert]'")
    options = {
        "BATCH_MATMUL": [("BatchMatMulOptions", {})],
        "SOFTMAX": [("SoftmaxOptions", {"beta": 1.0})],
    }.get(kind, [])
    names = [f"x{index}" for index in range(len(shapes))]
    tensors = {name: (tflite.F32, shape) for name, shape in zip(names, shapes, strict=True)} | {
        "y": (tflite.F32, result)
    }
    file = tflite.write(
        tmp_path / "m.tflite",
        tensors,
        [(kind, names, ["y"], *(part for pair in options for part in pair))],
        names,
        ["y"],
    )
    coverage = check(load(file), choose(TARGET))
    assert [op.verdict.value for op in coverage.operators] == ["accelerated"]
    assert rule in {finding.rule.rpartition("/")[2] for finding in coverage.findings}
    values = np.random.default_rng(3)
    np.savez(
        tmp_path / "in.npz",
        **{
            name: values.normal(size=shape).astype(np.float32)
            for name, shape in zip(names, shapes, strict=True)
        },
    )
    answers = []
    for name in ("litert/cpu", TARGET):
        with Session(name, timeout=60) as session:
            answer = session.ask(Request(file, inputs=tmp_path / "in.npz", outputs=True))
            assert answer.status == "ok", answer.reason
            answers.append(next(iter(answer.tensors().values())))
    assert float(np.abs(answers[0] - answers[1]).max()) > 0.1


@pytest.mark.parametrize(("dtype", "expected"), [("float16", "none"), ("float32", "full")])
def test_a_table_is_read_in_its_stored_dtype(dtype: str, expected: str, tmp_path: Path) -> None:
    """A float16 table goes to GATHER without its DEQUANTIZE: "Input / output dtype mismatch"."""
    net = Net()
    table = net.const(np.ones((10, 4), dtype), dtype)
    if dtype == "float16":
        table = net.op("DEQUANTIZE", [table], (10, 4))
    rows = net.op("GATHER", [table, net.input("i", (3,), "int32")], (3, 4), axis=0)
    file = tmp_path / "m.tflite"
    file.write_bytes(tflite_to_bytes(net.model(rows)))
    assert report("check", file, "--target", "litert/gpu")["models"][0]["targets"][0]["verdict"] == expected
