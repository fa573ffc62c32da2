"""Small models of the tests of QNN's partition policy."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, DOUBLE, INT64, BOOL = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.BOOL
Shaped = dict[str, tuple[int, list[Any] | None]]


def node(kind: str, inputs: str, outputs: str, **attrs: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), outputs.split(), **attrs)


def model(
    nodes: list[onnx.NodeProto], inputs: Shaped, outputs: Shaped, constants: dict[str, Any] | None = None
) -> bytes:
    for index, item in enumerate(nodes):
        item.name = f"n{index}"
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, *what) for name, what in inputs.items()],
        [helper.make_tensor_value_info(name, *what) for name, what in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()],
    )
    opset = [helper.make_opsetid("", 20)]
    data: bytes = helper.make_model(made, opset_imports=opset, ir_version=10).SerializeToString()
    return data
