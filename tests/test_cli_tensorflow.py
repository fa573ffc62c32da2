"""TensorFlow models given for LiteRT targets: converted by TensorFlow, told in TensorFlow's names."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli import accelint, report

FIXTURES = Path(__file__).parent.parent / "fixtures" / "tf"
pytestmark = pytest.mark.tensorflow


def test_a_keras_model_is_told_by_its_nodes() -> None:
    entry = report("check", FIXTURES / "convnet.keras", "--target", "litert/xnnpack", code=0)["models"][0]
    assert (entry["format"], entry["dialect"]) == ("keras", "tf")
    target = entry["targets"][0]
    assert target["verdict"] == "full"
    assert any("conv" in op["name"].lower() for op in target["operators"])
    assert "converted by TensorFlow" in target["notes"][0]


def test_what_the_converter_refuses_is_a_finding_about_the_node() -> None:
    target = report("check", FIXTURES / "signatures", "--target", "litert/gpu", "--target", "litert/xnnpack", code=1)["models"][0][
        "targets"
    ]
    for coverage in target:
        assert coverage["verdict"] == "rejected"
        types = {op["id"]: op["type"] for op in coverage["operators"]}
        assert {finding["code"] for finding in coverage["findings"]} == {"ACL801"}
        assert {types[finding["operator"]] for finding in coverage["findings"]} >= {"Erf", "MatrixDeterminant"}


def test_findings_name_tensorflow_nodes_and_the_users_line() -> None:
    target = report("check", FIXTURES / "tf1", "--target", "litert/xnnpack", code=0)["models"][0]["targets"][0]
    assert any("TensorFlow LoopCond 'while/LoopCond'" in finding["message"] for finding in target["findings"])
    refused = accelint("check", FIXTURES / "control_flow", "--target", "litert/xnnpack")
    assert "make_tf.py:" in refused.stdout


def test_convert_writes_a_model_that_checks_the_same(tmp_path: Path) -> None:
    out = tmp_path / "convnet.tflite"
    assert accelint("convert", FIXTURES / "convnet", "--to", "tflite", "-o", out).returncode == 0
    converted = report("check", out, "--target", "litert/xnnpack", code=0)["models"][0]["targets"][0]
    source = report("check", FIXTURES / "convnet", "--target", "litert/xnnpack", code=0)["models"][0]["targets"][0]
    assert [op["verdict"] for op in converted["operators"]] == [op["verdict"] for op in source["operators"]]
    refused = accelint("convert", FIXTURES / "signatures", "--to", "tflite", "-o", tmp_path / "no.tflite")
    assert refused.returncode == 1
    assert "MatrixDeterminant" in refused.stderr
    assert not (tmp_path / "no.tflite").exists()
