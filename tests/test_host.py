"""What an accelerator leaves to the host, and the host has no kernel for: the session stops, and a check says
so.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from accelint.analyzer.check.coverage import Coverage
from accelint.analyzer.check.run import check
from accelint.analyzer.conform.corpora.onnx.corpus import cases
from accelint.analyzer.formats import load
from accelint.analyzer.runtimes import Request, Session, runtimes
from accelint.rules.registry import choose
from onnx import TensorProto, helper

READY = {item.name for item in runtimes() if item.available}
LEFT = "not-supported-by-the-host"


def model(path: Path, kind: str, dtype: int, opset: int = 17, domain: str = "", **attrs: Any) -> Path:
    """Relu of a float beside one operator of another element type."""
    nodes = [
        helper.make_node("Relu", ["x"], ["y"], name="relu"),
        helper.make_node(kind, ["a"], ["b"], name="other", domain=domain, **attrs),
    ]
    shapes = [("x", TensorProto.FLOAT, [1, 4, 4, 4]), ("a", dtype, [1, 4, 4, 4])]
    results = [("y", TensorProto.FLOAT, [1, 4, 4, 4]), ("b", dtype, None)]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(*item) for item in shapes],
        [helper.make_tensor_value_info(*item) for item in results],
    )
    opsets = [
        helper.make_opsetid("", opset),
        helper.make_opsetid("com.microsoft", 1),
        helper.make_opsetid("mine", 1),
    ]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def rules(coverage: Coverage) -> set[str]:
    return {item.rule for item in coverage.findings}


CASES: list[tuple[str, str, int, dict[str, Any], bool]] = [
    ("onnxruntime/qnn:sm8650", "Relu", TensorProto.BFLOAT16, {}, True),
    ("onnxruntime/qnn:sm8650", "Relu", TensorProto.DOUBLE, {}, False),
    ("onnxruntime/openvino", "Relu", TensorProto.BFLOAT16, {}, True),
    ("onnxruntime/openvino", "Neg", TensorProto.DOUBLE, {}, False),
    ("onnxruntime/webgpu", "SpaceToDepth", TensorProto.UINT8, {"blocksize": 2}, True),
    ("onnxruntime/webgpu", "SpaceToDepth", TensorProto.DOUBLE, {"blocksize": 2}, False),
]


@pytest.mark.parametrize(("target", "kind", "dtype", "attrs", "rejected"), CASES)
def test_a_kernel_that_the_host_lacks_stops_the_session(
    target: str, kind: str, dtype: int, attrs: dict[str, Any], rejected: bool, tmp_path: Path
) -> None:
    path = model(tmp_path / "m.onnx", kind, dtype, **attrs)
    coverage = check(load(path), choose(target))
    assert (coverage.verdict == "rejected") == rejected
    assert (LEFT in rules(coverage)) == rejected
    if target.partition(":")[0] in READY:
        with Session(target) as session:
            assert session.ask(Request(path)).ok != rejected


def test_what_another_release_has_a_kernel_for_is_not_rejected(tmp_path: Path) -> None:
    """SpaceToDepth of uint8 has a CPU kernel since 1.28: the provider in 1.27 stops, the CPU of 1.31 does
    not.
    """
    path = model(tmp_path / "m.onnx", "SpaceToDepth", TensorProto.UINT8, blocksize=2)
    assert check(load(path), choose("onnxruntime/webgpu")).verdict == "rejected"
    assert check(load(path), choose("onnxruntime/cpu")).verdict == "full"
    assert check(load(path), choose("onnxruntime/cpu@1.27.0")).verdict == "rejected"


def test_an_operator_of_the_users_own_domain_may_be_registered(tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx", "Anything", TensorProto.FLOAT, domain="mine")
    coverage = check(load(path), choose("onnxruntime/qnn:sm8650"))
    assert coverage.verdict == "partial"
    assert LEFT not in rules(coverage)


@pytest.mark.skipif(
    "onnxruntime/webgpu" not in READY, reason="the environment of onnxruntime/webgpu is not here"
)
@pytest.mark.parametrize(
    "op", ["GroupQueryAttention", "MultiHeadAttention", "RotaryEmbedding", "SimplifiedLayerNormalization"]
)
def test_operators_of_language_models_are_placed_on_the_gpu(
    op: str, tmp_path: Path, by_place: Callable[..., Any]
) -> None:
    case = next(case for case in cases(ops={op}) if case.name == f"{op}/base/float32")
    path = tmp_path / "m.onnx"
    path.write_bytes(case.build())
    predicted, placed = by_place("onnxruntime/webgpu", path)
    assert predicted == placed == {"n0": "accelerator"}


@pytest.fixture
def by_place() -> Callable[..., Any]:
    """Asks the runtime: where each operator was predicted to run, and where it ran."""

    def ask(target: str, path: Path) -> tuple[dict[str, str], dict[str, str]]:
        with Session(target, timeout=120) as session:
            answer = session.ask(Request(path))
        assert answer.ok, answer.reason
        words = {"accelerated": "accelerator", "fallback": "cpu", "folded": "folded"}
        predicted = {op.name: words[op.verdict.value] for op in check(load(path), choose(target)).operators}
        names = {op.id: op.label for op in load(path).graph.ops()}
        return predicted, {names[item.id]: item.device for item in answer.placement}

    return ask
