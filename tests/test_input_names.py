"""Sizes of inputs as a person writes them: short names, and dimensions that only say they are unknown."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from accelint.analyzer.names import meant
from cli import accelint, report
from onnx import TensorProto, helper

from accelint import load

NAMES = ["serving_default_input_ids:0", "serving_default_attention_mask:0", "x", "X_1"]


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("input_ids", ["serving_default_input_ids:0"]),
        ("mask", ["serving_default_attention_mask:0"]),
        ("serving_default_input_ids", ["serving_default_input_ids:0"]),
        ("Input_IDs", ["serving_default_input_ids:0"]),
        ("serving", ["serving_default_input_ids:0", "serving_default_attention_mask:0"]),
        ("ask", []),
        ("x", ["x"]),
        ("X", ["X_1"]),
        ("", []),
    ],
)
def test_a_name_may_be_short_where_it_is_clear(word: str, found: list[str]) -> None:
    assert meant(word, NAMES) == found


def pair(path: Path, shape: list[int | str], kind: str = "Concat") -> Path:
    """Two inputs of one stated shape, joined along axis 1."""
    names = ["serving_default_input_ids:0", "serving_default_attention_mask:0"]
    nodes = [helper.make_node(kind, names, ["y"], name="join", **({"axis": 1} if kind == "Concat" else {}))]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def test_freeze_takes_short_names_and_names_the_nearest(tmp_path: Path) -> None:
    path, out = pair(tmp_path / "m.onnx", ["n", "m"]), tmp_path / "out.onnx"
    call = ("fix", path, "--target", "onnxruntime/nnapi", "-o", out)
    fixed = accelint(*call, "--freeze", "input_ids=2x3", "--freeze", "attention_mask=2x3")
    assert fixed.returncode == 0, fixed.stderr
    assert [load(out).graph.tensor(name).shape for name in load(out).graph.inputs] == [(2, 3), (2, 3)]
    short = accelint(*call, "--freeze", "serving_default=2x3")
    assert short.returncode == 2
    assert "short for several inputs" in short.stderr
    wrong = accelint(*call, "--freeze", "serving_default_input_idz=2x3")
    assert wrong.returncode == 2
    assert "did you mean serving_default_input_ids:0" in wrong.stderr


def test_verify_takes_sizes_of_inputs_by_short_names(tmp_path: Path) -> None:
    path = pair(tmp_path / "m.onnx", ["?", "?"], "Add")
    call = ("verify", path, "--target", "onnxruntime/cpu")
    assert accelint(*call, "--size", "input_ids=2x3", "--size", "mask=1x3").returncode == 0
    clash = accelint(*call, "--size", "input_ids=2x3", "--size", "mask=2x4")
    assert clash.returncode in (2, 5), clash.stderr
    unknown = accelint(*call, "--size", "tokens=2x3")
    assert unknown.returncode == 2
    assert "--size 'tokens=2x3'" in unknown.stderr
    assert "--freeze" not in unknown.stderr


@pytest.mark.parametrize("text", ["?", "-1", "None", " "])
def test_what_says_unknown_is_no_symbol(tmp_path: Path, text: str) -> None:
    path = pair(tmp_path / "m.onnx", [text, text])
    assert load(path).graph.tensor("serving_default_input_ids:0").shape == (None, None)
    row = report("check", path, "--target", "onnxruntime/nnapi", "--fail-on", "never")["models"][0]
    assert row["inputs"][0]["shape"] == [None, None]
    out = tmp_path / "out.onnx"
    fixed = accelint(
        "fix", path, "-t", "onnxruntime/nnapi", "-o", out, "--freeze", "input_ids=2x3", "--freeze", "mask=2x5"
    )
    assert fixed.returncode == 0, fixed.stderr
    assert load(out).graph.tensor("y").shape == (2, 8)


def test_a_numbered_symbol_stays_one(tmp_path: Path) -> None:
    path = pair(tmp_path / "m.onnx", ["unk__12", "unk__13"])
    assert load(path).graph.tensor("serving_default_input_ids:0").shape == ("unk__12", "unk__13")
