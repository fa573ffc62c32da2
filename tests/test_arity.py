"""Operators with operands that their schemas do not have: one finding, before anything looks at operands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from accelint.analyzer.check.arity import misfit, misfits
from accelint.analyzer.formats import load
from accelint.analyzer.ir.graph import Operator
from onnx import TensorProto, helper
from tflite_models import F32, write


def check(path: Path, target: str) -> dict[str, object]:
    result = subprocess.run(
        [sys.executable, "-m", "accelint", "check", str(path), "-t", target, "--format", "json"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 1, result.stderr
    found: dict[str, object] = json.loads(result.stdout)["models"][0]["targets"][0]
    return found


def onnx_model(path: Path, *nodes: onnx.NodeProto) -> Path:
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g", [tensor("x", TensorProto.FLOAT, [1, 2, 4, 4])], [tensor("y", TensorProto.FLOAT, None)]
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(made.SerializeToString())
    return path


BAD = {
    "Conv has 1 input, and needs at least 2": helper.make_node("Conv", ["x"], ["y"]),
    "Conv has no input 0, which it needs": helper.make_node("Conv", ["", "x"], ["y"]),
    "Relu has 2 inputs, and takes at most 1": helper.make_node("Relu", ["x", "x"], ["y"]),
}


@pytest.mark.parametrize("target", ["onnxruntime/qnn", "onnxruntime/openvino", "onnxruntime/coreml"])
@pytest.mark.parametrize("words", BAD)
def test_onnx(tmp_path: Path, words: str, target: str) -> None:
    path = onnx_model(tmp_path / "m.onnx", BAD[words], helper.make_node("Relu", ["x"], ["z"]))
    found = check(path, target)
    assert found["verdict"] == "rejected"
    findings = found["findings"]
    assert isinstance(findings, list)
    assert [(item["code"], item["rule"], item["severity"]) for item in findings] == [
        ("ACL504", "operator-schema", "error")
    ]
    assert words in findings[0]["message"]


@pytest.mark.parametrize("words", BAD)
def test_onnx_runtime_does_not_load_them_either(tmp_path: Path, words: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    path = onnx_model(tmp_path / "m.onnx", BAD[words])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    with pytest.raises(Exception, match=r"(?i)input|node"):
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def test_tflite(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.tflite",
        {"x": (F32, (1, 4)), "y": (F32, (1, 4))},
        [("PAD", ["x"], ["y"])],
        ["x"],
        ["y"],
    )
    found = check(path, "litert/gpu")
    findings = found["findings"]
    assert found["verdict"] == "rejected"
    assert isinstance(findings, list)
    assert "PAD has 1 input, and needs at least 2" in findings[0]["message"]


def test_fix_leaves_them_alone(tmp_path: Path) -> None:
    path = onnx_model(tmp_path / "m.onnx", next(iter(BAD.values())))
    result = subprocess.run(
        [sys.executable, "-m", "accelint", "fix", str(path), "-t", "onnxruntime/qnn", "--diff"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in result.stderr and "kept" not in result.stdout


def test_what_is_not_in_the_tables_is_not_judged() -> None:
    assert misfit("onnx", Operator("0", "Mine", ("a",), ("b",), domain="mine")) == ""
    assert misfit("tflite", Operator("0", "Mine", (), (), domain="custom")) == ""
    assert misfit("tf", Operator("0", "Conv2D")) == ""
    assert Operator("0", "Add", ("a",), ("b",)).input(1) is None
    assert Operator("0", "Add", ("a", None), ("b",)).output(3) is None


def test_versions_differ() -> None:
    assert misfit("onnx", Operator("0", "Pad", ("a",), ("b",), version=2)) == ""
    assert "needs at least 2" in misfit("onnx", Operator("0", "Pad", ("a",), ("b",), version=11))


def test_fixtures_fit() -> None:
    fixtures = Path(__file__).parents[1] / "fixtures"
    for path in [*(fixtures / "onnx").glob("*.onnx"), *(fixtures / "tflite").glob("*.tflite")]:
        assert misfits(load(path).operators()) == {}, path
