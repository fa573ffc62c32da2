"""fix at ONNX Runtime's optimization levels: what check says of a file, fix plans with, and what fix prints
of its result, check says of that file.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from cli import accelint, report
from rewrite_models import onnx_bytes

QNN = "onnxruntime/qnn:sm8650"
TROUBLED = """g (float[2,3,4,6] q, float[2,3,6,5] k) => (float[2,3,4,5] y) <int64 axis={3}> {
  s = Einsum<equation="...ij,...jk->...ik">(q, k)
  c = CumSum<exclusive=1>(s, axis)
  n = Identity(c)
  y = Softsign(n)
}"""
FOLDED = """g (float[2,3] x) => (float[2,3] y) <float[2,1] c={1.0,2.0}> {
  s = Softsign(c)
  t = Tanh(x)
  y = Mul(t, s)
}"""
"""Its Softsign, which QNN rejects, is computed when the model is loaded."""


def saved(text: str, folder: Path) -> Path:
    path = folder / "m.onnx"
    path.write_bytes(onnx_bytes(text))
    return path


@pytest.mark.parametrize("level", ["default", "off"])
def test_what_fix_prints_is_what_check_says_of_the_file(level: str, tmp_path: Path) -> None:
    path = saved(TROUBLED, tmp_path)
    asked = () if level == "default" else ("--optimize", "off")
    before = report("check", path, "--target", QNN, *asked)["models"][0]["targets"][0]
    line = shlex.split(before["commands"]["fix"])
    assert line[:2] == ["accelint", "fix"]
    assert (line[line.index("--optimize") + 1] if "--optimize" in line else "default") == level
    made = tmp_path / "fixed.onnx"
    done = accelint(*line[1:-1], made, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    after = report("check", made, "--target", QNN, *asked)["models"][0]["targets"][0]
    assert told["optimize"] == before["optimize"] == after["optimize"] == level
    assert told["verdict"] == {"before": before["verdict"], "after": after["verdict"]}
    assert told["verdict"]["after"] == "full"
    kept = [step for step in told["steps"] if step["kept"]]
    assert all(("with its default optimizations" in step["proof"]) == (level == "default") for step in kept)
    assert {step["rewrite"] for step in kept} >= {"einsum-to-matmul", "cumsum-to-matmul", "softsign-parts"}


def test_what_loading_folds_is_not_repaired(tmp_path: Path) -> None:
    path = saved(FOLDED, tmp_path)
    told = json.loads(accelint("fix", path, "--target", QNN, "--json").stdout)
    assert told["verdict"]["before"] == "full"
    assert not [step for step in told["steps"] if step["rewrite"] == "softsign-parts"]
    stored = report("check", path, "--target", QNN, "--optimize", "off", code=0)["models"][0]["targets"][0]
    assert stored["verdict"] != "full"


def test_a_level_is_of_onnx_runtime_alone(tmp_path: Path) -> None:
    fixtures = Path(__file__).parent.parent / "fixtures"
    tflite = next(fixtures.rglob("*.tflite"))
    done = accelint("fix", tflite, "--target", "litert/gpu", "--json", "--optimize", "off")
    assert done.returncode == 2
    assert "--optimize and --optimizer are ONNX Runtime's" in done.stderr
