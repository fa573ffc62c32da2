"""Inputs that are made up for a verification: types that numpy does not have, and numbers with a meaning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from accelint.analyzer.formats import load
from accelint.analyzer.runtimes.inputs import for_graph
from accelint.analyzer.runtimes.meaning import meant
from cli import accelint, report
from onnx import TensorProto, helper

CPU = "onnxruntime/cpu"


def saved(path: Path, text: str) -> Path:
    head = '<ir_version: 10, opset_import: ["" : 21]>\n'
    onnx.save(onnx.parser.parse_model(head + text), path)
    return path


def dequantizing(path: Path, dtype: int, shape: list[int]) -> Path:
    """Values of four bits as floats."""
    graph = helper.make_graph(
        [helper.make_node("DequantizeLinear", ["x", "s"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [helper.make_tensor("s", TensorProto.FLOAT, [], [0.5])],
    )
    opset = helper.make_opsetid("", 21)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=10), path)
    return path


@pytest.mark.parametrize(
    ("dtype", "values"), [(TensorProto.INT4, [-8, 7, 1, -2, 3]), (TensorProto.UINT4, [0, 15, 1, 8, 3])]
)
def test_values_of_four_bits_are_fed(dtype: int, values: list[int], tmp_path: Path) -> None:
    """What comes out is half of what went in, for an odd count of elements."""
    model = dequantizing(tmp_path / "m.onnx", dtype, [5])
    assert report("verify", model, "-t", CPU, code=0)
    golden = tmp_path / "inputs.npz"
    np.savez(golden, x=np.array(values, np.int8), y=np.array(values, np.float32) / 2)
    found = report("verify", model, "-t", CPU, "--inputs", golden, code=0)
    assert found["models"][0]["targets"][0]["parity"]["ok"]
    np.savez(golden, x=np.array(values, np.int8), y=np.array(values, np.float32))
    assert accelint("verify", model, "-t", CPU, "--inputs", golden).returncode == 5


def test_values_that_do_not_fit_in_four_bits_are_wrong_usage(tmp_path: Path) -> None:
    model = dequantizing(tmp_path / "m.onnx", TensorProto.INT4, [2])
    np.savez(tmp_path / "in.npz", x=np.array([8, 0], np.int8))
    result = accelint("verify", model, "-t", CPU, "--inputs", tmp_path / "in.npz")
    assert result.returncode == 2 and "from -8 to 7" in result.stderr


def test_values_of_bfloat16_are_fed(tmp_path: Path) -> None:
    model = saved(tmp_path / "m.onnx", "g (bfloat16[3] x) => (float[3] y) { y = Cast<to=1>(x) }")
    values = np.array([1, -2.5, 100], np.float32)
    np.savez(tmp_path / "in.npz", x=values, y=values)
    assert accelint("verify", model, "-t", CPU).returncode == 0
    assert accelint("verify", model, "-t", CPU, "--inputs", tmp_path / "in.npz").returncode == 0


SPEECH = """g (float[1, 512] x, int64 sr) => (float[1, 512] y)
  <int64 hz = {16000}, int64[1] wrong = {7}> {
    known = Equal(sr, hz)
    y = If (known) <then_branch = a () => (float[1, 512] p) { p = Relu(x) },
                    else_branch = b () => (float[1, 512] q) { q = Reshape(x, wrong) }>
  }"""


def test_a_sample_rate_is_what_the_model_compares_it_with(tmp_path: Path) -> None:
    """With any other number the model fails to run."""
    model = saved(tmp_path / "speech.onnx", SPEECH)
    result = accelint("verify", model, "-t", CPU)
    assert result.returncode == 0, result.stderr
    assert accelint("verify", model, "-t", CPU, "--inputs", "boundary").returncode == 0


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("int64[1] sampling_rate", 16000), ("int64 sr", 16000), ("int32[1] audioLength", 80),
        ("int64[n] lens", 80),
        ("uint8 sr", None), ("int64[2] lengths", None), ("int64 axis", None), ("float sr", None),
        ("int64 strength", None),
    ],
)  # fmt: skip
def test_what_a_name_says(given: str, value: int | None, tmp_path: Path) -> None:
    name = given.split()[1]
    text = f"g (float[2, 80, 300] x, {given}) => (float[2, 80, 300] y) {{ y = Relu(x) }}"
    found = meant(load(saved(tmp_path / "m.onnx", text)).graph, name)
    assert (None if found is None else found[0]) == value


MASKED = """g (float[1, 6] x, int64[1, 6] attention_mask) => (float[1, 6] y)
  <float[1] inf = {{-3.4e38}}, float[1] one = {{1}}> {{
    f = Cast <to = 1> (attention_mask)
    {}
    s = Add (x, away)
    y = {} (s)
  }}"""
LATER = "gone = Sub (one, f)\n    away = Mul (gone, inf)"


def test_a_mask_is_ones_and_then_zeros(tmp_path: Path) -> None:
    """Numbers up to three would let a softmax see masks beyond float32."""
    graph = load(saved(tmp_path / "m.onnx", MASKED.format(LATER, "Softmax <axis = -1>"))).graph
    for seed in range(8):
        mask = for_graph(graph, seed=seed)["attention_mask"][0].tolist()
        assert mask[0] == 1 and mask == sorted(mask, reverse=True) and set(mask) <= {0, 1}
    assert for_graph(graph, boundary=True)["attention_mask"].min() == 1


def test_inputs_of_which_the_reference_computes_nan_are_replaced(tmp_path: Path) -> None:
    """The logarithm of a negative number says nothing about a target; that values were replaced is said."""
    model = saved(tmp_path / "m.onnx", "g (float[16] x) => (float[16] y) { y = Log (x) }")
    found = report("verify", model, "-t", CPU, code=0)["models"][0]["targets"][0]["parity"]
    assert found["ok"] and "replaced since the reference computed NaN" in found["inputs"]
    own = tmp_path / "in.npz"
    np.savez(own, x=np.arange(-1, 15, dtype=np.float32))
    kept = report("verify", model, "-t", CPU, "--inputs", own, code=0)["models"][0]["targets"][0]["parity"]
    assert kept["inputs"] == str(own)


def test_fix_says_that_inputs_were_replaced(tmp_path: Path) -> None:
    text = "g (float[1, 16] x) => (float[1, 16] y) { a = Log (x) b = Identity (a) y = Neg (b) }"
    model = saved(tmp_path / "m.onnx", text)
    result = accelint("fix", model, "-t", "onnxruntime/nnapi", "-o", tmp_path / "out.onnx")
    assert "of them replaced since the original computed NaN" in result.stdout, result.stdout
