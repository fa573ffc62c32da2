"""The pack of ONNX Runtime's QNN provider against the provider itself, on cases of the generated corpus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from accelint.analyzer.check.run import check
from accelint.analyzer.conform.corpora.onnx.corpus import Case, InvalidCase, cases
from accelint.analyzer.formats.onnx.reader import from_bytes
from accelint.analyzer.runtimes import Request, Session
from accelint.rules.registry import choose

pytest.importorskip("onnxruntime_qnn", reason="needs onnxruntime-qnn")

PLACED = [
    "Abs/base/float32",
    "Abs/base/float64",
    "Abs/rank6-1-attrs0/float32",
    "Asin/base/float32",
    "Asin/base/float32/qdq-uint8",
    "Relu/base/float16",
    "Relu/symbolic-first1/float32",
    "Erf/base/float32",
    "Softplus/rank5-1-attrs0/float32",
    "Add/base/int64",
    "Add/base/uint8",
    "Add/base/float32/qdq-uint16",
    "Mod/fmod/float32",
    "Where/base/float32",
    "Clip/dynamic/float32",
    "CumSum/e1r0a0/float32",
    "ReduceMax/base/float32",
    "ReduceMax/axes-dynamic/float32",
    "ReduceProd/base/float32",
    "ArgMax/attrs3/float32",
    "Softmax/base/float32",
    "MatMul/base/float32",
    "MatMul/base/float32/qdq-uint8",
    "Gemm/scaled['alpha']/float32",
    "Einsum/bij,bjk->bik/float32",
    "Einsum/ij->ji/float32",
    "Conv/base/float32",
    "Conv/base/float32/qdq-uint8",
    "Conv/axis1/float32/qdq-int8-channel",
    "ConvTranspose/1d-g1-dilations[2,2]/float32",
    "MaxPool/2d-dilations[2,2]-k2/float32",
    "GridSample/cubic-zeros-0/float32",
    "BatchNormalization/base-computed/float32",
    "LayerNormalization/base/float32",
    "LayerNormalization/base-axis1-nobias/float32",
    "LpNormalization/attrs2/float32",
    "Reshape/base/float32",
    "Reshape/dynamic/float32",
    "Pad/wrap-rank4/float32",
    "Pad/axes/float32",
    "Gather/rank2-axis0-int64-c1/float32",
    "GatherND/batch/float32",
    "ScatterND/rank2-max-c1/float32",
    "TopK/base/float32",
    "OneHot/computed2/float32",
    "Cast/attrs2/float32",
    "DequantizeLinear/int8-axis1/float32",
    "NonMaxSuppression/base/float32",
    "LSTM/base/float32",
    "GRU/forward-clip/float32",
]
REJECTED = [
    "Tan/rank5-1-attrs0/float32",
    "Reciprocal/symbolic-first1/float32",
    "IsNaN/rank6-1-attrs0/float32",
    "Relu/rank4-1-attrs0+const0/float32",
    "DepthToSpace/base/int64",
    "AveragePool/base/float32/qdq-int16",
    "Relu/rank2-0-attrs0/float32",
    "Sign/rank5-1-attrs0/float32",
    "Gather/base/float32",
]


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session("onnxruntime/qnn:sm8650", timeout=60) as opened:
        yield opened


def model(name: str) -> bytes:
    found: Case = next(case for case in cases(ops={name.split("/")[0]}) if case.name == name)
    return found.build()


@pytest.mark.parametrize("name", PLACED)
def test_operators_go_where_the_provider_puts_them(name: str, session: Session, tmp_path: Path) -> None:
    data = model(name)
    path = tmp_path / "case.onnx"
    path.write_bytes(data)
    answer = session.ask(Request(path))
    assert answer.ok, answer.reason
    expected = {"accelerator": "accelerated", "cpu": "fallback"}
    real = {item.id: expected[item.device] for item in answer.placement if item.device in expected}
    coverage = check(from_bytes(data), choose("onnxruntime/qnn:sm8650"))
    assert real
    assert {op.id: op.verdict.value for op in coverage.operators if op.id in real} == real
    assert len(coverage.partitions) == answer.partitions


def test_what_the_provider_leaves_to_a_kernel_that_fails_is_rejected(
    session: Session, tmp_path: Path
) -> None:
    """The session is created with the operator on the CPU, whose kernel rejects two dimensions in the run."""
    data = model("GlobalAveragePool/rank2-4-attrs0/float32")
    path = tmp_path / "case.onnx"
    path.write_bytes(data)
    answer = session.ask(Request(path))
    assert answer.ok, answer.reason
    assert [(item.id, item.device) for item in answer.placement] == [("main/0", "cpu")]
    coverage = check(from_bytes(data), choose("onnxruntime/qnn:sm8650"))
    assert [op.verdict.value for op in coverage.operators] == ["rejected"]
    assert coverage.phase == "run"
    own, of_the_host = coverage.findings
    assert (own.code, own.rule, own.effect) == ("ACL401", "pool-rank-under-3", "fallback")
    assert "does not run it: rank 2 of input 0" in of_the_host.message
    loaded = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    with pytest.raises(Exception, match="Input dimension cannot be less than 3"):
        loaded.run(None, {"x0": np.ones((4, 8), np.float32)})


@pytest.mark.parametrize("name", REJECTED)
def test_models_that_the_provider_rejects_are_rejected(name: str, session: Session, tmp_path: Path) -> None:
    data = model(name)
    path = tmp_path / "case.onnx"
    path.write_bytes(data)
    assert session.ask(Request(path)).status in ("refused", "crashed")
    coverage = check(from_bytes(data), choose("onnxruntime/qnn:sm8650"))
    assert coverage.verdict == "rejected"
    assert any(finding.effect == "rejected" for finding in coverage.findings)


def test_a_chip_without_float16_rejects_what_a_later_one_takes() -> None:
    graph = from_bytes(model("Atan/base/float32"))
    assert check(graph, choose("onnxruntime/qnn:sm8650")).verdict == "full"
    assert check(graph, choose("onnxruntime/qnn:sm8350")).verdict == "rejected"


def test_the_corpus_is_the_same_twice_and_names_each_case_once() -> None:
    first = [case.name for case in cases(seed=1, ops={"Conv", "Add", "LSTM"}, limit=50)]
    assert first == [case.name for case in cases(seed=1, ops={"Conv", "Add", "LSTM"}, limit=50)]
    assert len(first) == len(set(first)) == 150
    assert first != [case.name for case in cases(seed=2, ops={"Conv", "Add", "LSTM"}, limit=50)]


def test_an_impossible_dtype_is_an_invalid_case() -> None:
    with pytest.raises(InvalidCase):
        model("Asin/base/int32")
