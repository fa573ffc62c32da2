"""TensorFlow models given for LiteRT and Core ML targets: converted by the vendor's converter, told in
TensorFlow's names.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from accelint.analyzer.convert.opmap import _respelled
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


def test_what_the_converter_rejects_is_a_finding_about_the_node() -> None:
    target = report(
        "check", FIXTURES / "signatures", "--target", "litert/gpu", "--target", "litert/xnnpack", code=1
    )["models"][0]["targets"]
    for coverage in target:
        assert coverage["verdict"] == "rejected"
        types = {op["id"]: op["type"] for op in coverage["operators"]}
        assert {finding["code"] for finding in coverage["findings"]} == {"ACL801"}
        assert {types[finding["operator"]] for finding in coverage["findings"]} >= {
            "Erf",
            "MatrixDeterminant",
        }


def test_findings_name_tensorflow_nodes_and_the_users_line() -> None:
    target = report("check", FIXTURES / "tf1", "--target", "litert/xnnpack", code=0)["models"][0]["targets"][
        0
    ]
    assert any("TensorFlow LoopCond 'while/LoopCond'" in finding["message"] for finding in target["findings"])
    rejected = accelint("check", FIXTURES / "control_flow", "--target", "litert/xnnpack")
    assert "make_tf.py:" in rejected.stdout


def test_convert_to_core_ml_computes_in_float16_unless_told_otherwise(tmp_path: Path) -> None:
    """As coremltools does by itself; the Neural Engine runs nothing else."""
    shares = {}
    for name, options in (("plain", []), ("exact", ["--optimize", "none"])):
        out = tmp_path / f"{name}.mlpackage"
        made = accelint(
            "convert", FIXTURES / "convnet", "--to", "mlpackage", "--batch", 1, "-o", out, *options
        )
        if "coremltools" in made.stderr and made.returncode == 4:
            pytest.skip("needs coremltools: pip install 'accelint[coreml]'")
        assert made.returncode == 0, made.stderr
        (target,) = report("check", out, "--target", "coreml/ane:m4")["models"][0]["targets"]
        shares[name] = {op["verdict"] for op in target["operators"]}
    assert shares["plain"] == {"accelerated"} and "accelerated" not in shares["exact"]


def test_convert_writes_a_model_that_checks_the_same(tmp_path: Path) -> None:
    out = tmp_path / "convnet.tflite"
    assert accelint("convert", FIXTURES / "convnet", "--to", "tflite", "-o", out).returncode == 0
    converted = report("check", out, "--target", "litert/xnnpack", code=0)["models"][0]["targets"][0]
    source = report("check", FIXTURES / "convnet", "--target", "litert/xnnpack", code=0)["models"][0][
        "targets"
    ][0]
    assert [op["verdict"] for op in converted["operators"]] == [op["verdict"] for op in source["operators"]]
    rejected = accelint("convert", FIXTURES / "signatures", "--to", "tflite", "-o", tmp_path / "no.tflite")
    assert rejected.returncode == 1
    assert "MatrixDeterminant" in rejected.stderr
    assert not (tmp_path / "no.tflite").exists()


@pytest.mark.skipif(
    find_spec("coremltools") is None, reason="needs coremltools: pip install 'accelint[coreml]'"
)
def test_a_keras_model_is_checked_for_the_neural_engine_by_its_nodes(tmp_path: Path) -> None:
    target = report("check", FIXTURES / "convnet.keras", "--target", "coreml/ane:m4")["models"][0]["targets"][
        0
    ]
    named = {op["type"]: op["name"] for op in target["operators"]}
    assert named["relu"] == "convnet_1/relu_1/Relu"
    assert named["matmul"] == "convnet_1/probs_1/MatMul"
    assert "coremltools" in target["notes"][0]
    text = accelint("check", FIXTURES / "convnet.keras", "--target", "coreml/ane:m4").stdout
    assert "fix: accelint convert" in text
    assert "--to mlpackage --batch 1" in text
    rejected = report("check", FIXTURES / "signatures", "--target", "coreml/ane:m4", code=1)["models"][0][
        "targets"
    ][0]
    types = {op["id"]: op["type"] for op in rejected["operators"]}
    assert {types[finding["operator"]] for finding in rejected["findings"]} == {
        "BesselI0",
        "MatrixDeterminant",
    }


def test_names_of_core_ml_programs_are_spelled_nodes() -> None:
    spelled = {"net_conv_1_MatMul": "net/conv_1/MatMul", "MatMul": "MatMul", "net_relu": "net/relu"}
    told = {
        "StatefulPartitionedCall_net_conv_1_MatMul_cast_fp16": "net/conv_1/MatMul",
        "net_conv_1_MatMul": "net/conv_1/MatMul",
        "net_relu_0_cast_fp16": "net/relu",
        "transpose_3": None,
        "net_relux": "net/relu",
        "other_net": None,
    }
    assert {name: _respelled(name, spelled) for name in told} == told
