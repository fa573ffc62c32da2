"""Operators that their schemas do not allow: check says what ONNX Runtime says when it reads the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest
from accelint.analyzer.check.run import check
from accelint.rules.registry import choose
from onnx import TensorProto, helper

from accelint import load

FLOAT, HALF, BOOL, LONG = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BOOL, TensorProto.INT64
Value = tuple[int, list[int | str] | None]


def model(
    kind: str, inputs: list[Value], output: Value, opset: int = 17, domain: str = "", **attrs: Any
) -> onnx.ModelProto:
    names = [f"x{place}" for place in range(len(inputs))]
    infos = [helper.make_tensor_value_info(name, *value) for name, value in zip(names, inputs, strict=True)]
    node = helper.make_node(kind, names, ["y"], name="n", domain=domain, **attrs)
    after = helper.make_node("Identity", ["y"], ["z"], name="after")
    graph = helper.make_graph([node, after], "g", infos, [helper.make_tensor_value_info("z", *output)])
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


WRONG = {
    "shapes that do not multiply": model("MatMul", [(FLOAT, [2, 3]), (FLOAT, [4, 5])], (FLOAT, [2, 5])),
    "a dtype without schema": model("Add", [(BOOL, [2]), (BOOL, [2])], (BOOL, [2])),
    "two dtypes": model("Add", [(FLOAT, [2]), (HALF, [2])], (FLOAT, [2])),
    "weights of another rank": model("Conv", [(FLOAT, [1, 3, 8]), (FLOAT, [4, 3, 3, 3])], (FLOAT, None)),
    "an axis beyond": model("Softmax", [(FLOAT, [1, 3, 8])], (FLOAT, [1, 3, 8]), axis=5),
    "a missing attribute": model("Concat", [(FLOAT, [2]), (FLOAT, [2])], (FLOAT, [4])),
    "an output in another dtype": model("Relu", [(FLOAT, [2])], (HALF, [2])),
    "an operator of a later set": model("Mish", [(FLOAT, [2])], (FLOAT, [2])),
    "an operand too many before it was in the standard": model(
        "MeanVarianceNormalization", [(FLOAT, [1, 4, 4, 4]), (FLOAT, [4])], (FLOAT, None), opset=7
    ),
    "a dtype of no schema of Microsoft's": model(
        "FusedMatMul", [(TensorProto.INT32, [2, 3]), (TensorProto.INT32, [3, 2])],
        (TensorProto.INT32, [2, 2]), domain="com.microsoft",
    ),
}  # fmt: skip
RIGHT = {
    "a stored shape that is another": model("Relu", [(FLOAT, [1, 3, 8])], (FLOAT, [1, 3, 9])),
    "products of operands of two ranks": model(
        "FusedMatMul", [(FLOAT, [2, 3, 4]), (FLOAT, [4, 5])], (FLOAT, [2, 3, 5]), domain="com.microsoft"
    ),
    "an activation before it was in the standard": model(
        "ThresholdedRelu", [(FLOAT, [2])], (FLOAT, [2]), opset=9
    ),
    "moments before they were in the standard": model(
        "MeanVarianceNormalization", [(FLOAT, [1, 4, 4, 4])], (FLOAT, None), opset=7
    ),
    "normalization before it was in the standard": model(
        "LayerNormalization", [(FLOAT, [1, 4, 4, 4]), (FLOAT, [4])], (FLOAT, None), opset=7
    ),
    "shapes that are symbols": model("MatMul", [(FLOAT, ["n", "k"]), (FLOAT, [4, 5])], (FLOAT, None)),
}


def loads(file: Path) -> bool:
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception:  # the extension has a class of its own for each status
        return False
    return True


@pytest.mark.parametrize("name", [*WRONG, *RIGHT])
def test_what_onnxruntime_fails_to_load_is_rejected_for_every_provider(name: str, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    onnx.save((WRONG | RIGHT)[name], file)
    assert loads(file) is (name in RIGHT)
    stored = load(file)
    for target in ("onnxruntime/cpu", "onnxruntime/qnn:sm8650", "onnxruntime/openvino", "onnxruntime/webgpu"):
        coverage = check(stored, choose(target))
        assert (coverage.verdict == "rejected") is (name in WRONG), target
        assert name in RIGHT or coverage.phase == "load"


def test_a_shape_beside_an_initializer_is_kept(tmp_path: Path) -> None:
    """onnx takes a value's shape from value_info before it takes it from the initializer of that name."""
    whole = model("Slice", [(FLOAT, ["b", 4, 512])], (FLOAT, None))
    for name, value in (("starts", 384), ("ends", 512), ("axes", 2), ("steps", 1)):
        whole.graph.node[0].input.append(name)
        whole.graph.initializer.append(helper.make_tensor(name, LONG, [1], [value]))
        whole.graph.value_info.append(helper.make_tensor_value_info(name, LONG, [1]))
    weights = helper.make_tensor("w", FLOAT, [128, 2], [0.5] * 256)
    whole.graph.initializer.append(weights)
    whole.graph.node.insert(1, helper.make_node("MatMul", ["y", "w"], ["p"]))
    whole.graph.node[2].input[0] = "p"
    whole.graph.value_info.append(helper.make_tensor_value_info("y", FLOAT, ["b", 4, 127]))
    file = tmp_path / "model.onnx"
    onnx.save(whole, file)
    assert loads(file)
    assert not load(file).graph.facts.faults


def test_check_names_the_operator_and_what_is_wrong(tmp_path: Path) -> None:
    """A branch of If, whose operators have ids of their own."""
    body = [
        helper.make_graph(
            [helper.make_node("MatMul", ["a", "a"], [f"{name}_out"], name=f"{name}_product")],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}_out", FLOAT, None)],
        )
        for name in ("yes", "no")
    ]
    infos = [helper.make_tensor_value_info("c", BOOL, []), helper.make_tensor_value_info("a", FLOAT, [2, 3])]
    node = helper.make_node("If", ["c"], ["y"], then_branch=body[0], else_branch=body[1])
    graph = helper.make_graph([node], "g", infos, [helper.make_tensor_value_info("y", FLOAT, None)])
    file = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)
    assert not loads(file)
    command = [sys.executable, "-m", "accelint", "check", str(file), "-t", "onnxruntime/cpu"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Incompatible dimensions for matrix multiplication" in told.stdout
    assert told.returncode == 1
