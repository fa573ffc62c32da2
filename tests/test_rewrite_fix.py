"""fix, end to end on the real runtimes: the placement before and after, the numbers, and what is left
alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accelint.analyzer.errors import UsageError
from accelint.analyzer.flows.fix import FixResult, deliver, fix
from accelint.analyzer.formats import load
from accelint.analyzer.formats.tflite.writer import to_bytes as tflite_to_bytes
from accelint.analyzer.proof.reference import Prover
from accelint.analyzer.runtimes import Request, Session, runtimes
from accelint.rewrites.engine import Promise
from accelint.rules.registry import choose
from rewrite_models import ATTENTION, Net, onnx_bytes

HERE = {item.name for item in runtimes() if item.available}


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        name not in HERE, reason=f"{name} is not here: accelint runtimes says what it needs"
    )


def saved(folder: Path, net: Net, *outputs: str) -> Path:
    path = folder / "model.tflite"
    path.write_bytes(tflite_to_bytes(net.model(*outputs)))
    return path


def fixed(path: Path, target: str, *sizes: str, level: str = "safe") -> tuple[FixResult, Path]:
    result = fix(load(path), choose(target), sizes, level)
    out = path.with_name(f"fixed{path.suffix}")
    deliver(result, choose(target), out)
    return result, out


def placed(target: str, *paths: Path) -> list[tuple[int, int]]:
    """Operators that really ran on the accelerator, and on the CPU, for each model."""
    found = []
    with Session(target) as session:
        for path in paths:
            answer = session.ask(Request(path))
            found.append(
                (answer.counts.get("accelerator", 0), answer.counts.get("cpu", 0)) if answer.ok else (0, -1)
            )
    return found


def troubled() -> tuple[Net, str]:
    """Operators that the GPU delegate refuses, between convolutions."""
    net = Net()
    rng = np.random.default_rng(5)
    x = net.input("x", (1, 8, 6, 4))
    weights = net.const(rng.normal(size=(8, 3, 3, 4)) / 6)
    bias = net.const(rng.normal(size=8))
    conv = net.op("CONV_2D", [x, weights, bias], (1, 8, 6, 8), padding="SAME", stride_h=1, stride_w=1)
    slope = net.op("PRELU", [conv, net.const([[[0.3]]])], (1, 8, 6, 8))
    back = [net.const(values, "int32") for values in ([0, -1, 0, 0], [1, -9, 6, 8], [1, -1, 1, 1])]
    turned = net.op("STRIDED_SLICE", [slope, *back], (1, 8, 6, 8))
    norm = net.op("L2_NORMALIZATION", [turned], (1, 8, 6, 8))
    six = net.op(
        "RESHAPE",
        [norm, net.const([1, 2, 4, 3, 2, 8], "int32")],
        (1, 2, 4, 3, 2, 8),
        new_shape=(1, 2, 4, 3, 2, 8),
    )
    windows = net.op("TRANSPOSE", [six, net.const([0, 1, 3, 2, 4, 5], "int32")], (1, 2, 3, 4, 2, 8))
    flat = net.op("RESHAPE", [windows, net.const([6, 64], "int32")], (6, 64), new_shape=(6, 64))
    dense = net.op(
        "FULLY_CONNECTED",
        [flat, net.const(rng.normal(size=(5, 64)) / 8), net.const(rng.normal(size=5))],
        (6, 5),
    )
    return net, net.op("LOG_SOFTMAX", [dense], (6, 5))


@needs("litert/gpu")
def test_a_troubled_model_runs_on_the_gpu_in_whole(tmp_path: Path) -> None:
    net, output = troubled()
    path = saved(tmp_path, net, output)
    result, out = fixed(path, "litert/gpu")
    kept = {step.rewrite for step in result.kept}
    assert kept >= {
        "prelu-per-channel",
        "plain-strided-slice",
        "l2-normalization-parts",
        "transpose-on-views",
        "log-softmax-parts",
    }
    assert all(step.proof is not None and step.proof.status == "proved" for step in result.kept)
    assert result.before.verdict == "partial" and result.after.verdict == "full"
    before, after = placed("litert/gpu", path, out)
    assert before[1] > 0 and after == (len(result.model.graph), 0)


@needs("onnxruntime/qnn")
def test_a_dynamic_block_runs_on_the_htp_in_whole(tmp_path: Path) -> None:
    path = tmp_path / "block.onnx"
    path.write_bytes(onnx_bytes(ATTENTION))
    result, out = fixed(path, "onnxruntime/qnn:sm8650", "batch=2", "seq=5")
    assert result.after.verdict == "full" and result.frozen is not None and not result.frozen.open
    before, after = placed("onnxruntime/qnn:sm8650", path, out)
    assert before[1] > before[0] and after[1] == 0 and after[0] >= 20


@needs("onnxruntime/qnn")
def test_operators_that_the_htp_lacks_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "parts.onnx"
    path.write_bytes(
        onnx_bytes("""
    g (float[2,3,4,6] q, float[2,3,6,5] k) => (float[2,3,4,1] y) <int64 axis={3}> {
      s = Einsum<equation="...ij,...jk->...ik">(q, k)
      c = CumSum<exclusive=1>(s, axis)
      n = Softsign(c)
      y = ReduceL1<axes=[3]>(n)
    }""")
    )
    result, out = fixed(path, "onnxruntime/qnn:sm8650")
    assert {step.rewrite for step in result.kept} == {
        "einsum-to-matmul",
        "cumsum-to-matmul",
        "softsign-parts",
        "reduce-parts",
    }
    assert result.after.verdict == "full"
    before, after = placed("onnxruntime/qnn:sm8650", path, out)
    assert before == (0, 4) and after[1] == 0


@needs("litert/cpu")
def test_a_frozen_keras_style_model_is_accepted_where_it_was_rejected(tmp_path: Path) -> None:
    net = Net()
    x = net.input("x", (None, 4, 6))
    shape = net.op("SHAPE", [x], (3,), "int32", out_type="INT32")
    one = net.const([1], "int32")
    batch = net.op(
        "STRIDED_SLICE", [shape, net.const([0], "int32"), one, one], (), "int32", shrink_axis_mask=1
    )
    target = net.op("PACK", [batch, net.const(np.int32(24), "int32")], (2,), "int32", values_count=2)
    flat = net.op("RESHAPE", [x, target], (None, 24))
    path = saved(tmp_path, net, net.op("NEG", [flat], (None, 24)))
    result, _ = fixed(path, "litert/gpu", "batch=3")
    assert [op.type for op in result.model.graph.ops()] == ["RESHAPE", "NEG"]
    assert (
        result.steps[0].rewrite == "freeze"
        and result.steps[0].proof is not None
        and result.steps[0].proof.status == "proved"
    )
    assert result.after.verdict == "full"
    assert "-input x: float32[?,4,6]" in result.diff and "+input x: float32[3,4,6]" in result.diff


def test_unsafe_rewrites_need_to_be_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "erf.onnx"
    path.write_bytes(onnx_bytes("g (float[2,3] x) => (float[2,3] y) { y = Sinh(x) }"))
    safe, _ = fixed(path, "onnxruntime/qnn:sm8650")
    assert not safe.changed
    unsafe, _ = fixed(path, "onnxruntime/qnn:sm8650", level="unsafe")
    assert [step.rewrite for step in unsafe.kept] == ["sinh-parts"]
    assert unsafe.to_json()["steps"][0]["parity"] == "approximate"


def test_a_model_without_trouble_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "fine.onnx"
    path.write_bytes(onnx_bytes("g (float[2,3] x) => (float[2,3] y) { y = Relu(x) }"))
    result, out = fixed(path, "onnxruntime/qnn:sm8650")
    assert not result.changed and result.diff == "" and result.scores[0] == result.scores[1]
    assert out.read_bytes() == path.read_bytes()


def test_another_dialect_and_an_unknown_level_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "fine.onnx"
    path.write_bytes(onnx_bytes("g (float[2,3] x) => (float[2,3] y) { y = Relu(x) }"))
    with pytest.raises(UsageError, match="convert it first"):
        fix(load(path), choose("litert/gpu"))
    with pytest.raises(UsageError, match="safe, unsafe"):
        fix(load(path), choose("onnxruntime/qnn"), level="any")


def test_the_proof_sees_a_wrong_model(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_bytes("g (float[N,3] x) => (float[N,3] y) { a = Neg(x) y = Exp(a) }"))
    model = load(path)
    with Prover(model) as prove:
        assert prove(Promise.BIT_EXACT).status == "proved"
        model.graph.update(model.graph.ops()[0], type="Abs")
        failed = prove(Promise.APPROXIMATE)
        assert failed.status == "failed" and "y:" in failed.words
        model.graph.update(model.graph.ops()[0], type="NoSuchOperator")
        broken = prove(Promise.APPROXIMATE)
        assert broken.status == "failed" and "does not run the changed model" in broken.words


def test_a_model_that_the_reference_cannot_run_is_said(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    data: Any = onnx_bytes(
        "g (float[2,3] x) => (float[2,3] y) { y = com.microsoft.NoSuchOperator(x) }", checked=False
    )
    path.write_bytes(data)
    with Prover(load(path)) as prove:
        proof = prove(Promise.BIT_EXACT)
    assert proof.status == "not proved" and "does not run the original" in proof.words
