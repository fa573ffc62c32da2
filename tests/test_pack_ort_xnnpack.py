"""The pack of ONNX Runtime's XNNPACK provider, which no package here holds: read from its source, so held to
models built for each path.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from cli import accelint, report
from onnx import TensorProto, helper, numpy_helper

TARGET = "onnxruntime/xnnpack"


def verdicts(
    path: Path, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], opset: int = 17
) -> dict[str, str]:
    value = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        value[:1],
        value[1:],
        [numpy_helper.from_array(item, name) for name, item in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9), path)
    target = report("check", path, "--target", TARGET)["models"][0]["targets"][0]
    return {op["type"]: op["verdict"] for op in target["operators"]}


def test_an_activation_is_supported_with_the_convolution_before_it_alone(tmp_path: Path) -> None:
    weights = {"w": np.ones((4, 4, 3, 3), np.float32)}
    conv = helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1])
    fused = verdicts(tmp_path / "fused.onnx", [conv, helper.make_node("Relu", ["a"], ["y"])], weights)
    assert fused == {"Conv": "accelerated", "Relu": "accelerated"}
    nodes = [conv, helper.make_node("Add", ["a", "x"], ["b"]), helper.make_node("Relu", ["b"], ["y"])]
    assert verdicts(tmp_path / "plain.onnx", nodes, weights) == {
        "Conv": "accelerated",
        "Add": "fallback",
        "Relu": "fallback",
    }


def test_quantized_convolutions_are_supported_with_their_neighbours_when_types_agree(tmp_path: Path) -> None:
    def qdq(kind: type) -> dict[str, str]:
        scale = {"s": np.float32(0.1), "z": kind(0), "w": np.ones((4, 4, 3, 3), np.int8), "zw": np.int8(0)}
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
            helper.make_node("DequantizeLinear", ["w", "s", "zw"], ["dw"]),
            helper.make_node("Conv", ["d", "dw"], ["c"]),
            helper.make_node("QuantizeLinear", ["c", "s", "z"], ["qc"]),
            helper.make_node("DequantizeLinear", ["qc", "s", "z"], ["y"]),
        ]
        return verdicts(
            tmp_path / f"{kind.__name__}.onnx",
            nodes,
            {name: np.asarray(item) for name, item in scale.items()},
        )

    assert qdq(np.int8)["Conv"] == "accelerated"
    assert qdq(np.uint8)["Conv"] == "fallback"


def test_it_is_said_that_nothing_can_be_asked() -> None:
    assert '"runs_here": "no: no package' in accelint("targets", "xnnpack", "--json").stdout
    assert accelint("conform", TARGET).returncode == 2
