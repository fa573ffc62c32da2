"""Exports as users have them: `fix` makes a model whole that was cut, and its numbers stay."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli import ROOT, accelint
from rewrite_models import onnx_bytes

EXPORTS = [
    ("tflite/gru_while.tflite", "litert/gpu", "while-unrolled"),
    ("tflite/conditional.tflite", "litert/gpu", "if-to-select"),
]


@pytest.mark.parametrize(("name", "target", "rewrite"), EXPORTS)
def test_an_export_becomes_whole(name: str, target: str, rewrite: str, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    path = ROOT / "fixtures" / name
    done = accelint("fix", path, "--target", target, "-o", tmp_path / path.name, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"] == {"before": "partial", "after": "full"}
    kept = {step["rewrite"]: step for step in found["steps"] if step["kept"]}
    assert kept[rewrite]["proof"].startswith("proved")


TWO_LAYERS = """g (float[4,96] x) => (float[4,96] y)
    <int8[96,96] w, int8[96,96] v, float ws={0.02}, float vs={0.01}> {
    q, s, z = DynamicQuantizeLinear(x) i = MatMulInteger(q, w, z) f = Cast<to=1>(i) m = Mul(s, ws)
    a = Mul(f, m) t = Tanh(a) r, c, k = DynamicQuantizeLinear(t) j = MatMulInteger(r, v, k)
    e = Cast<to=1>(j) n = Mul(c, vs) y = Mul(e, n) }"""


def test_values_that_move_by_a_quantization_step_are_no_failure(tmp_path: Path) -> None:
    """Sums in another order put some values of the second layer on the other side of a step."""
    rng = np.random.default_rng(0)
    weights = {name: rng.integers(-127, 127, (96, 96)).astype(np.int8) for name in "wv"}
    path = tmp_path / "two.onnx"
    path.write_bytes(onnx_bytes(TWO_LAYERS, **weights))
    done = accelint("fix", path, "--target", "onnxruntime/coreml", "-o", tmp_path / "fixed.onnx", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"]["after"] == "full"
    (kept,) = [
        step for step in found["steps"] if step["rewrite"] == "dynamic-quantization-as-float" and step["kept"]
    ]
    assert kept["proof"].startswith("proved")
