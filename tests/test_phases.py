"""The phase in which a model is rejected: in findings, in reports, and read from runtimes' words."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from accelint.analyzer.proof.phases import phase_of
from cli import accelint
from onnx import TensorProto, helper

QNN, OPENVINO, CPU = "onnxruntime/qnn:sm8650", "onnxruntime/openvino", "onnxruntime/cpu"
LAYOUT = "was inserted using the NHWC format as requested by QNN, but was not selected by that EP."
CASES = (
    (QNN, "refused", "EP_FAIL: Failed to finalize QNN graph. Error: QNN_COMMON_ERROR_MEM_ALLOC", "compile"),
    (QNN, "refused", f"FAIL: Node 'n0_token_1' OpType:Conv {LAYOUT}", "partition"),
    (
        QNN,
        "refused",
        "FAIL: Exception during initialization: core/providers/cpu/nn/lrn.h:23 LRN<T>::LRN",
        "load",
    ),
    (OPENVINO, "refused", "FAIL: core/providers/openvino/backends/basic_backend.cc:136", "compile"),
    (CPU, "refused", "NOT_IMPLEMENTED: Could not find an implementation for Gemm(13) node", "load"),
    (CPU, "failed", "running the model: Non-zero status code returned while running Reshape node.", "run"),
    (CPU, "failed", "no ONNX model that can be parsed", ""),
    (CPU, "crashed", "died of SIGSEGV", ""),
    (CPU, "ok", "", ""),
)


@pytest.mark.parametrize(("target", "status", "words", "phase"), CASES)
def test_words_of_runtimes_tell_the_phase(target: str, status: str, words: str, phase: str) -> None:
    assert phase_of(target, status, words) == phase


def _model(path: Path, op: str, opset: int, dtype: int = TensorProto.FLOAT, **attrs: object) -> Path:
    node = helper.make_node(op, ["x"], ["y"], **attrs)
    x, y = (helper.make_tensor_value_info(name, dtype, [1, 4, 8, 8]) for name in "xy")
    graph = helper.make_graph([node], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.save(model, path)
    return path


def _target(path: Path, target: str, code: int = 1) -> dict[str, object]:
    told = accelint("check", path, "--target", target, "--format", "json")
    assert told.returncode == code, told.stderr
    found: dict[str, object] = json.loads(told.stdout)["models"][0]["targets"][0]
    return found


def test_a_kernel_that_is_missing_is_a_failure_to_load(tmp_path: Path) -> None:
    path = _model(tmp_path / "m.onnx", "Elu", 6, TensorProto.INT8)
    found = _target(path, "onnxruntime/cpu")
    assert (found["verdict"], found["phase"]) == ("rejected", "load")
    assert {item["phase"] for item in found["findings"]} == {"load"}  # type: ignore[attr-defined]
    assert "fails to load" in accelint("check", path, "--target", "onnxruntime/cpu").stdout


def test_a_model_that_is_taken_has_no_phase(tmp_path: Path) -> None:
    found = _target(_model(tmp_path / "m.onnx", "Relu", 14), "onnxruntime/cpu", code=0)
    assert (found["verdict"], found["phase"]) == ("full", None)


def test_verify_says_where_the_runtime_rejects(tmp_path: Path) -> None:
    path = _model(tmp_path / "m.onnx", "Elu", 6, TensorProto.INT8)
    told = accelint("verify", path, "--target", "onnxruntime/cpu", "--no-parity", "--format", "json")
    found = json.loads(told.stdout)["models"][0]["targets"][0]
    assert (found["runtime_status"], found["phase"], found["runtime_phase"]) == ("refused", "load", "load")
    text = accelint("verify", path, "--target", "onnxruntime/cpu", "--no-parity").stdout
    assert "the runtime fails to load the model, as predicted" in text
