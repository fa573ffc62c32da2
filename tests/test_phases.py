"""The phase in which a model is rejected: in findings, in reports, and read from runtimes' words."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from accelint.analyzer.proof.phases import phase_of
from accelint.analyzer.runtimes import find
from accelint.analyzer.runtimes.catalog import info
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
    (
        "litert/gpu",
        "refused",
        "ERROR: Encountered unresolved custom op: A. | Failed to modify graph with delegate",
        "load",
    ),
    (
        "litert/gpu",
        "refused",
        "ERROR: Node number 3 (CONV_2D) failed to prepare. | Failed to modify graph",
        "load",
    ),
    (
        "litert/gpu",
        "refused",
        "WARNING: dynamic-sized tensor. | Failed to modify graph with delegate",
        "compile",
    ),
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


def test_a_model_that_is_supported_has_no_phase(tmp_path: Path) -> None:
    found = _target(_model(tmp_path / "m.onnx", "Relu", 14), "onnxruntime/cpu", code=0)
    assert (found["verdict"], found["phase"]) == ("full", None)


def test_verify_says_where_the_runtime_rejects(tmp_path: Path) -> None:
    path = _model(tmp_path / "m.onnx", "Elu", 6, TensorProto.INT8)
    told = accelint("verify", path, "--target", "onnxruntime/cpu", "--no-parity", "--format", "json")
    found = json.loads(told.stdout)["models"][0]["targets"][0]
    assert (found["runtime_status"], found["phase"], found["runtime_phase"]) == ("refused", "load", "load")
    text = accelint("verify", path, "--target", "onnxruntime/cpu", "--no-parity").stdout
    assert "the runtime fails to load the model, as predicted" in text


def _graph(
    path: Path, nodes: list[onnx.NodeProto], inputs: object, outputs: object, opset: int, **stored: list[int]
) -> Path:
    values = [helper.make_tensor(name, TensorProto.INT64, [len(item)], item) for name, item in stored.items()]
    told = [[helper.make_tensor_value_info(*item) for item in items] for items in (inputs, outputs)]
    graph = helper.make_graph(nodes, "g", *told, values)
    opsets = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


F = TensorProto.FLOAT


@pytest.mark.parametrize(("opset", "attrs", "verdict"), [(18, {}, "rejected"), (13, {}, "full")])
def test_nnapi_fails_to_compile_a_split_without_its_count(
    tmp_path: Path, opset: int, attrs: dict[str, int], verdict: str
) -> None:
    nodes = [
        helper.make_node("Split", ["x", "sizes"], ["a", "b"], axis=1, **attrs),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    shapes = [("x", F, [1, 8, 4, 4])], [("y", F, [1, 4, 4, 4])]
    path = _graph(tmp_path / "m.onnx", nodes, *shapes, opset, sizes=[4, 4])
    found = _target(path, "onnxruntime/nnapi", code=int(verdict == "rejected"))
    assert (found["verdict"], found["phase"]) == (verdict, "compile" if verdict == "rejected" else None)


@pytest.mark.parametrize(("inputs", "verdict"), [(["a"], "rejected"), (["a", "axes"], "partial")])
def test_coreml_fails_to_compile_a_partition_that_gives_a_tensor_of_unknown_rank(
    tmp_path: Path, inputs: list[str], verdict: str
) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Squeeze", inputs, ["s"]),
        helper.make_node("CumSum", ["s", "at"], ["y"]),
    ]
    shapes = [("x", F, [1, "n", 8])], [("y", F, None)]
    path = _graph(tmp_path / "m.onnx", nodes, *shapes, 13, axes=[0], at=[0])
    found = _target(path, "onnxruntime/coreml:mlprogram", code=int(verdict == "rejected"))
    assert (found["verdict"], found["phase"]) == (verdict, "compile" if verdict == "rejected" else None)


@pytest.mark.parametrize(("branch", "verdict"), [("Squeeze", "rejected"), ("Identity", "full")])
def test_openvino_compiles_no_if_whose_branches_differ_in_rank(
    tmp_path: Path, branch: str, verdict: str
) -> None:
    if not _here(OPENVINO):
        pytest.skip("onnxruntime/openvino is not here: accelint runtimes add onnxruntime/openvino")
    bodies = {
        key: helper.make_graph(
            [helper.make_node(type_, ["f", "ax"][: 1 + (type_ == "Squeeze")], [key])],
            key,
            [],
            [helper.make_tensor_value_info(key, F, None)],
        )
        for key, type_ in (("then_branch", branch), ("else_branch", "Identity"))
    }
    nodes = [
        helper.make_node("Relu", ["x"], ["f"]),
        helper.make_node("If", ["c"], ["z"], **bodies),
        helper.make_node("Relu", ["z"], ["y"]),
    ]
    shapes = [("x", F, ["n", 1, "h"]), ("c", TensorProto.BOOL, [])], [("y", F, None)]
    path = _graph(tmp_path / "m.onnx", nodes, *shapes, 17, ax=[1])
    told = accelint("verify", path, "--target", OPENVINO, "--no-parity", "--format", "json")
    found = json.loads(told.stdout)["models"][0]["targets"][0]
    phase = "compile" if verdict == "rejected" else None
    assert (found["verdict"], found["phase"], found["runtime_phase"]) == (verdict, phase, phase)
    assert found["contradictions"] == []


def _here(name: str) -> bool:
    return bool(info(find(name)[0]).available)


@pytest.mark.parametrize(
    ("domain", "verdict"), [("com.microsoft.extensions", "rejected"), ("my.own", "partial")]
)
@pytest.mark.parametrize("target", [QNN, "onnxruntime/webgpu"])
def test_an_operator_that_no_provider_has_is_a_failure_to_load_unless_it_may_be_registered(
    tmp_path: Path, target: str, domain: str, verdict: str
) -> None:
    nodes = [
        helper.make_node("DecodeImage", ["x"], ["a"], domain=domain),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    told = [helper.make_tensor_value_info(name, F, [1, 4]) for name in "xya"]
    graph = helper.make_graph(nodes, "g", told[:1], told[1:2], value_info=told[2:])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), tmp_path / "m.onnx")
    found = _target(tmp_path / "m.onnx", target, code=int(verdict == "rejected"))
    assert (found["verdict"], found["phase"]) == (verdict, "load" if verdict == "rejected" else None)
    messages = " ".join(item["message"] for item in found["findings"])  # type: ignore[attr-defined]
    assert "unless the application registers its library" in messages


@pytest.mark.parametrize(("opset", "ir", "seen"), [(29, 10, "operator set 29"), (17, 15, "IR version 15")])
@pytest.mark.parametrize("target", [CPU, QNN, OPENVINO, "onnxruntime/nnapi", "onnxruntime/coreml"])
def test_what_no_release_reads_fails_to_load_everywhere(
    tmp_path: Path, target: str, opset: int, ir: int, seen: str
) -> None:
    told = [helper.make_tensor_value_info(name, F, [1, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", told[:1], told[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    onnx.save(model, tmp_path / "m.onnx")
    found = _target(tmp_path / "m.onnx", target)
    assert (found["verdict"], found["phase"]) == ("rejected", "load")
    assert seen in found["findings"][0]["message"]  # type: ignore[index]


@pytest.mark.parametrize(("made_by", "verdict"), [("QNNExecutionProvider", "full"), ("Other", "rejected")])
def test_a_model_compiled_ahead_is_for_the_provider_that_made_it(
    tmp_path: Path, made_by: str, verdict: str
) -> None:
    node = helper.make_node(
        "EPContext", ["x"], ["y"], domain="com.microsoft", source=made_by, ep_sdk_version="v2", embed_mode=1
    )
    told = [helper.make_tensor_value_info(name, F, [1, 4]) for name in "xy"]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    graph = helper.make_graph([node], "g", told[:1], told[1:])
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), tmp_path / "m.onnx")
    found = _target(tmp_path / "m.onnx", QNN, code=int(verdict == "rejected"))
    assert found["verdict"] == verdict
    assert any(made_by in item["message"] for item in found["findings"])  # type: ignore[attr-defined]
    assert _target(tmp_path / "m.onnx", CPU)["phase"] == "load"
