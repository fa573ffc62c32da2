"""A target accelerates, converts or runs, and a report speaks accordingly; shares are never rounded up."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from accelint.rules.registry import load_pack, pack_folders
from cli import ROOT, accelint, report
from test_cli_check import model

FIXTURES = ROOT / "fixtures"
CONVERTING = {"litert/builtins", "litert/flex", "coreml/convertible", "coreml/convertible-onnx"}
RUNNING = {"onnxruntime/cpu", "coreml/cpu", "coreml/cpu-nn", "litert/cpu", "litert/micro"}


def test_every_target_says_what_it_does() -> None:
    rows = json.loads(accelint("targets", "--json").stdout)
    found = {row["target"].partition(":")[0]: row["purpose"] for row in rows}
    assert {name for name, purpose in found.items() if purpose == "converts"} == CONVERTING
    assert {name for name, purpose in found.items() if purpose == "runs"} == RUNNING
    assert {load_pack(name).purpose for name in pack_folders()} == {"accelerates", "converts", "runs"}
    assert "converts" in accelint("targets", "builtins").stdout


@pytest.mark.parametrize(
    ("file", "target", "words"),
    [
        ("tf/convnet", "litert/builtins", "convertible  9 of 9 operators convertible (100%)"),
        ("tf/control_flow", "litert/flex", "not convertible  1 of 25 operators not convertible"),
        ("tf/convnet", "coreml/convertible", "convertible  9 of 9 operators convertible (100%)"),
    ],
)
def test_a_converter_does_not_speak_of_acceleration(file: str, target: str, words: str) -> None:
    document = report("check", FIXTURES / file, "-t", target, "--fail-on", "never")
    assert document["models"][0]["targets"][0]["purpose"] == "converts"
    text = accelint("check", FIXTURES / file, "-t", target, "-v").stdout
    assert words in text
    assert not re.search(r"accelerat|partition|falls back|rejected", text)


def test_a_plain_runtime_does_not_speak_of_acceleration(tmp_path: Path) -> None:
    path = model(tmp_path / "one.onnx", [1, 4], ("Relu",))
    text = accelint("check", path, "-t", "onnxruntime/cpu", "-v").stdout
    assert "runs  1 of 1 operator supported (100%)" in text
    assert "accelerat" not in text
    told = accelint("verify", path, "-t", "onnxruntime/cpu").stdout
    assert "predicted runs, ran" in told
    assert "accelerat" not in told


def test_a_share_is_never_rounded_up_to_all(tmp_path: Path) -> None:
    path = model(tmp_path / "long.onnx", [1, 4], ("Relu",) * 400 + ("Erf",))
    target = report("check", path, "-t", "onnxruntime/nnapi")["models"][0]["targets"][0]
    assert target["fallback"] == 1
    text = accelint("check", path, "-t", "onnxruntime/nnapi", "-q").stdout
    assert "400 of 401 operators accelerated (99.8%)" in text
    missed = accelint("check", path, "-t", "onnxruntime/nnapi", "--min-coverage", "100")
    assert missed.returncode == 1
    assert "coverage by ops is 99.8%, required: 100.0%" in missed.stderr


def test_flex_names_the_nodes_that_become_select_tf_ops(tmp_path: Path) -> None:
    if find_spec("tensorflow") is None:
        pytest.skip("makes the model: pip install 'accelint[tensorflow]'")
    script = (
        "import tensorflow as tf\n"
        "class M(tf.Module):\n"
        "    @tf.function(input_signature=[tf.TensorSpec([3, 3], tf.float32)])\n"
        "    def __call__(self, x):\n"
        "        return tf.linalg.cholesky(tf.nn.relu(x) + tf.eye(3)) + tf.linalg.det(x)\n"
        f"m = M(); tf.saved_model.save(m, {str(tmp_path / 'm')!r}, signatures=m.__call__)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=300)
    target = report("check", tmp_path / "m", "-t", "litert/flex")["models"][0]["targets"][0]
    types = {op["id"]: op["type"] for op in target["operators"]}
    noted = {types[item["operator"]] for item in target["findings"] if item["code"] == "ACL802"}
    assert noted == {"Cholesky", "MatrixDeterminant"}
    assert any("2 nodes become Select TF ops" in note for note in target["notes"])
    out = tmp_path / "m.tflite"
    made = accelint("convert", tmp_path / "m", "--to", "tflite", "--select-tf-ops", "-o", out)
    assert made.returncode == 0, made.stderr
    names = ("Cholesky", "MatrixDeterminant", "Relu", "AddV2")
    assert {name for name in names if f"Flex{name}".encode() in out.read_bytes()} == noted
