"""Partitions that the compiler of the HTP does not finish for Hexagon v68, as onnxruntime-qnn 2.7.0 says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from accelint.analyzer.check.run import check
from accelint.analyzer.formats import load
from accelint.analyzer.formats.onnx.reader import from_bytes
from accelint.analyzer.runtimes import Request, Session
from accelint.rules.registry import choose
from qnn_models import BOOL, FLOAT, INT64, Shaped, model, node

IMAGE: Shaped = {"x": (FLOAT, [1, 2, 4, 4])}
OTHER: Shaped = {"x2": (FLOAT, [1, 2, 4, 4])}
SQUARE = {"k": np.full((4, 4), 0.5, np.float32), "s": np.float32(2)}
HALVES, SQRT, MIXED = node("LeakyRelu", "x", "a"), node("Sqrt", "a", "b"), "full-floats-meet-halves"

WIDTHS = {
    "full-to-halves": ([node("Sqrt", "x", "a"), node("MatMul", "a k", "y")], MIXED),
    "full-at-the-edge": ([node("Add", "x s", "a"), node("Sqrt", "a", "y")], None),
    "handed-on": ([node("Sqrt", "x", "a"), node("Relu", "a", "b"), node("Mul", "b b", "y")], MIXED),
    "of-halves": ([HALVES, SQRT, node("MatMul", "b k", "y")], None),
    "freed-of-halves": (
        [HALVES, node("Softmax", "a", "b"), node("Sqrt", "b", "c"), node("Mul", "c c", "y")],
        MIXED,
    ),
    "mean-of-an-axis": (
        [node("Sqrt", "x", "a"), node("ReduceMean", "a n", "b"), node("Mul", "b b", "y")],
        None,
    ),
    "mean-of-two": ([node("ReduceMean", "x m", "a"), node("Mul", "a a", "y")], MIXED),
    "layer-norm-between": (
        [node("Sqrt", "x", "a"), node("LayerNormalization", "a v", "b"), node("Mul", "b b", "y")],
        None,
    ),
    "sum-with-halves": ([HALVES, node("Sqrt", "x", "b"), node("Add", "a b", "y")], MIXED),
    "square": ([node("Pow", "x s", "a"), node("Mul", "a a", "y")], None),
    "power": ([node("Pow", "x h", "a"), node("Mul", "a a", "y")], MIXED),
    "attention-that-divides": (
        [HALVES, node("Div", "a s", "b"), node("Softmax", "b", "c"), node("MatMul", "c a", "y")],
        MIXED,
    ),
    "attention-that-multiplies": (
        [HALVES, node("Mul", "a s", "b"), node("Softmax", "b", "c"), node("MatMul", "c a", "y")],
        None,
    ),
    "read-by-both": ([HALVES, SQRT, node("Softmax", "b", "z"), node("LeakyRelu", "b", "y")], MIXED),
    "two-that-keep-halves": ([HALVES, SQRT, node("Relu", "b", "z"), node("LeakyRelu", "b", "y")], None),
    "joined-inside": (
        [node("Sqrt", "x", "a"), node("Concat", "a x2", "b", axis=1), node("Relu", "b", "y")],
        MIXED,
    ),
    "joined-at-the-edge": ([node("Sqrt", "x", "a"), node("Concat", "a x2", "y", axis=1)], None),
    "host-between": ([node("Sqrt", "x", "a"), node("Erf", "a", "b"), node("Mul", "b b", "y")], None),
}


def of_widths(name: str) -> bytes:
    """A model whose results have the sizes that they are computed with."""
    read = {item for made in WIDTHS[name][0] for item in made.input}
    results = {item: (FLOAT, None) for made in WIDTHS[name][0] for item in made.output if item in ("y", "z")}
    constants = {
        **SQUARE,
        "n": np.array([-1]),
        "m": np.array([2, 3]),
        "v": np.ones(4, np.float32),
        "h": np.float32(0.5),
    }
    inputs = IMAGE | (OTHER if "x2" in read else {})
    return model(
        WIDTHS[name][0], inputs, results, {key: value for key, value in constants.items() if key in read}
    )


@pytest.mark.parametrize("name", WIDTHS)
def test_partitions_where_full_floats_meet_halves_are_rejected_on_v68(name: str) -> None:
    graph, rule = from_bytes(of_widths(name)).graph, WIDTHS[name][1]
    coverage = check(graph, choose("onnxruntime/qnn:sm8350"))
    assert {item.rule for item in coverage.findings if item.effect == "rejected"} == (
        {rule} if rule else set()
    )
    assert check(graph, choose("onnxruntime/qnn:sm8450")).verdict != "rejected"


@pytest.fixture(scope="module")
def first_chip() -> Iterator[Session]:
    pytest.importorskip("onnxruntime_qnn", reason="needs onnxruntime-qnn")
    with Session("onnxruntime/qnn:sm8350", timeout=60) as opened:
        yield opened


@pytest.mark.parametrize("name", WIDTHS)
def test_the_provider_says_the_same_of_v68(name: str, first_chip: Session, tmp_path: Path) -> None:
    path = tmp_path / "case.onnx"
    path.write_bytes(of_widths(name))
    assert first_chip.ask(Request(path)).ok == (WIDTHS[name][1] is None)


LONG: Shaped = {name: (INT64, [4]) for name in "abc"}
MOD = [node("Mod", "a b", "m"), node("Equal", "m c", "d")]


@pytest.mark.parametrize(
    ("nodes", "rejected"),
    [
        ([*MOD, node("Not", "d", "y")], False),
        ([*MOD, node("Equal", "a c", "e"), node("And", "d e", "y")], True),
    ],
)
def test_what_is_compared_with_mod_cannot_go_to_and_on_v68(
    nodes: list[onnx.NodeProto], *, rejected: bool, first_chip: Session, tmp_path: Path
) -> None:
    path = tmp_path / "case.onnx"
    path.write_bytes(model(nodes, LONG, {"y": (BOOL, [4])}))
    assert (check(load(path), choose("onnxruntime/qnn:sm8350")).verdict == "rejected") == rejected
    assert first_chip.ask(Request(path)).ok != rejected
