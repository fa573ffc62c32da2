"""Models that are hard on the passes of ONNX Runtime's first level: weights behind operators on constants,
rows of small patterns, one tensor with thousands of readers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

X = ["N", 256]


class Net:
    """Nodes one behind the other; ``last`` is the newest result."""

    def __init__(self, shape: list[Any]) -> None:
        self.shape = shape
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.functions: list[onnx.FunctionProto] = []
        self.last = "x"

    def op(self, kind: str, *inputs: str, **attrs: Any) -> str:
        self.last = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [self.last], **attrs))
        return self.last

    def stored(self, values: Any) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def constant(self, values: Any) -> str:
        return self.op("Constant", value=numpy_helper.from_array(np.asarray(values)))

    def save(self, path: Path) -> int:
        result = self.op("Identity", self.last)
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (("x", self.shape), (result, None))
        ]
        graph = helper.make_graph(self.nodes, "g", ends[:1], ends[1:], self.weights)
        sets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
        made = helper.make_model(graph, opset_imports=sets, functions=self.functions, ir_version=9)
        onnx.save(made, path)
        return len(self.nodes)


def _matrix(*shape: int) -> Any:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def constant_nodes() -> Net:
    """Weights in Constant nodes, each behind a Transpose."""
    net, weights = Net(X), _matrix(256, 256)
    for _ in range(320):
        x = net.last
        net.op("MatMul", x, net.op("Transpose", net.constant(weights), perm=[1, 0]))
    return net


def half_weights() -> Net:
    """Initializers of float16 that are cast and transposed when the model is loaded."""
    net, weights = Net(X), _matrix(256, 256).astype(np.float16)
    for _ in range(640):
        x = net.last
        net.op("MatMul", x, net.op("Transpose", net.op("Cast", net.stored(weights), to=1), perm=[1, 0]))
    return net


def reshaped_weights() -> Net:
    """Weights whose shape is computed by floats, which no inference follows."""
    net, weights = Net(["N", 512]), _matrix(256, 1024)
    size, two = net.stored(np.float32([256, 256])), net.stored(np.float32(2))
    for _ in range(80):
        x = net.last
        shape = net.op("Cast", net.op("Mul", size, two), to=7)
        net.op("MatMul", x, net.op("Mul", net.op("Reshape", net.stored(weights), shape), two))
    return net


def sizes() -> Net:
    """Reshapes by the sizes of what they reshape, as exporters write them."""
    net = Net(X)
    bias = net.stored(np.ones(256, np.float32))
    for _ in range(2500):
        x = net.last
        size = net.op("Gather", net.op("Shape", x), net.constant(np.int64(0)))
        wide = net.op("Unsqueeze", size, net.constant(np.int64([0])))
        shape = net.op("Concat", wide, net.constant(np.int64([256])), axis=0)
        net.op("Relu", net.op("Add", net.op("Reshape", x, shape), bias))
    return net


def norms() -> Net:
    """Layer normalization and GELU in parts, behind products with a bias."""
    net = Net([2, 16, 64])
    two, eps, root = (net.stored(np.float32(value)) for value in (2, 1e-5, 1.4142135))
    one, half = net.stored(np.float32(1)), net.stored(np.float32(0.5))
    scale, bias, weights = (
        net.stored(np.ones(64, np.float32)),
        net.stored(np.zeros(64, np.float32)),
        _matrix(64, 64),
    )
    for _ in range(1100):
        x = net.last
        centred = net.op("Sub", x, net.op("ReduceMean", x, axes=[-1]))
        spread = net.op("ReduceMean", net.op("Pow", centred, two), axes=[-1])
        norm = net.op("Div", centred, net.op("Sqrt", net.op("Add", spread, eps)))
        normed = net.op("Add", net.op("Mul", norm, scale), bias)
        up = net.op("Add", net.op("MatMul", normed, net.stored(weights)), bias)
        gate = net.op("Add", net.op("Erf", net.op("Div", up, root)), one)
        net.op("Add", x, net.op("Mul", net.op("Mul", up, gate), half))
    return net


def transposes() -> Net:
    """Transposes that cancel across operators."""
    net = Net([1, 8, 8, 8])
    for _ in range(4000):
        turned = net.op("Relu", net.op("Transpose", net.last, perm=[0, 2, 3, 1]))
        net.op("Sigmoid", net.op("Transpose", net.op("Add", turned, turned), perm=[0, 3, 1, 2]))
    return net


def products() -> Net:
    """Products of three dimensions with a bias, which become Reshape, Gemm and Reshape."""
    net = Net([2, 4, 16])
    weights, bias = net.stored(_matrix(16, 16)), net.stored(np.ones(16, np.float32))
    for _ in range(6500):
        net.op("Relu", net.op("Add", net.op("MatMul", net.last, weights), bias))
    return net


def one_for_all() -> Net:
    """One tensor that thousands of operators read, most of which compute the same."""
    net = Net(X)
    source = net.op("Relu", "x")
    for start in range(0, 10000, 50):
        total = net.last if start else source
        net.op(
            "Sum",
            total,
            *(net.op("Neg" if at % 2 else "Abs", net.op("Identity", source)) for at in range(50)),
        )
    return net


def shared_scales() -> Net:
    """Pairs of QuantizeLinear and DequantizeLinear that several operators read."""
    net = Net([2, 4, 16])
    scale, zero = net.stored(np.float32(0.1)), net.stored(np.int8(0))
    for _ in range(5000):
        read = net.op("DequantizeLinear", net.op("QuantizeLinear", net.last, scale, zero), scale, zero)
        net.op("Add", net.op("Relu", read), read)
    return net


def functions() -> Net:
    """Calls of a local function, with weights."""
    net = Net(X)
    body = [helper.make_node("MatMul", ["a", "w"], ["m"]), helper.make_node("Relu", ["m"], ["r"])]
    body.append(helper.make_node("Identity", ["r"], ["z"]))
    sets = [helper.make_opsetid("", 17)]
    net.functions.append(helper.make_function("local", "Block", ["a", "w"], ["z"], body, sets))
    weights = [net.stored(_matrix(256, 256)) for _ in range(320)]
    for at in range(6000):
        net.op("Block", net.last, weights[at % 320], domain="local")
    return net


def chain() -> Net:
    """Thousands of operators on constants, one behind the other."""
    net = Net(X)
    value = net.stored(np.float32([1]))
    for at in range(20000):
        value = net.op("Sin" if at % 2 else "Abs", value)
    net.op("Mul", net.op("Relu", "x"), value)
    return net


MODELS: dict[str, Callable[[], Net]] = {
    item.__name__.replace("_", " "): item
    for item in (
        constant_nodes, half_weights, reshaped_weights, sizes, norms, transposes, products, one_for_all,
        shared_scales, functions, chain,
    )
}  # fmt: skip


def names() -> list[str]:
    """What there is."""
    return list(MODELS)


def write(name: str, path: Path) -> int:
    """Write a model; returns the number of its nodes."""
    return MODELS[name]().save(path)
