"""Random ONNX graphs of the operators that ONNX Runtime's first level works on, by seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHAPE = (2, 3, 4)


@dataclass
class Graph:
    """A graph in the making: every value is float32 and has three dimensions."""

    seed: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    stored: list[onnx.TensorProto] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.shapes["x"] = SHAPE

    def op(self, kind: str, *inputs: str, shape: tuple[int, ...] | None = None, **attrs: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attrs))
        if shape is not None:
            self.shapes[name] = shape
        return name

    def const(self, values: Any) -> str:
        name = f"c{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def step(self) -> None:
        """One more operator, or a few that belong together, on any value."""
        x = self.random.choice(list(self.shapes)[-4:])
        self.random.choice(STEPS)(self, x, self.shapes[x])

    def model(self) -> onnx.ModelProto:
        read = {name for node in self.nodes for name in node.input}
        ends = [name for name in self.shapes if name not in read and name != "x"] or [
            next(reversed(self.shapes))
        ]
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)]
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ends]
        graph = helper.make_graph(self.nodes, "g", inputs, outputs, self.stored)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


Shape = tuple[int, ...]


def unary(g: Graph, x: str, shape: Shape) -> None:
    g.op(g.random.choice(["Relu", "Neg", "Identity", "Sigmoid", "Abs", "Dropout"]), x, shape=shape)


def binary(g: Graph, x: str, shape: Shape) -> None:
    others = [name for name, other in g.shapes.items() if other == shape]
    g.op(g.random.choice(["Add", "Mul", "Sub", "Max"]), x, g.random.choice(others), shape=shape)


def with_constant(g: Graph, x: str, shape: Shape) -> None:
    value = g.random.choice([np.float32(0), np.float32([1]), np.ones(shape[-1], np.float32), np.float32(2)])
    operands = [x, g.const(value)]
    if g.random.random() < 0.3:
        operands.reverse()
    g.op(g.random.choice(["Add", "Mul", "Sub", "Div"]), *operands, shape=shape)


def transpose(g: Graph, x: str, shape: Shape) -> None:
    perm = g.random.sample(range(3), 3)
    g.op("Transpose", x, shape=tuple(shape[axis] for axis in perm), perm=perm)


def reshape(g: Graph, x: str, shape: Shape) -> None:
    wanted = g.random.choice([(shape[0], -1, 1), (-1, 1, shape[2]), (0, 0, 0), (1, shape[0], -1)])
    total = int(np.prod(shape))
    known = [shape[at] if size == 0 else size for at, size in enumerate(wanted)]
    rest = total // int(np.prod([size for size in known if size != -1]))
    sizes = tuple(rest if size == -1 else size for size in known)
    if int(np.prod(sizes)) == total:
        g.op("Reshape", x, g.const(np.int64(wanted)), shape=sizes)


def squeeze(g: Graph, x: str, shape: Shape) -> None:
    axis = g.random.randrange(4)
    axes = g.const(np.int64([axis]))
    g.op("Squeeze", g.op("Unsqueeze", x, axes), axes, shape=shape)


def slice_(g: Graph, x: str, shape: Shape) -> None:
    ends = g.random.choice([2**63 - 1, shape[0]])
    g.op("Slice", x, g.const(np.int64([0])), g.const(np.int64([ends])), shape=shape)


def by_own_sizes(g: Graph, x: str, shape: Shape) -> None:
    sizes = g.op("Shape", x)
    g.op(
        "Reshape",
        x,
        g.op("Cast", g.op("Cast", sizes, to=1), to=7) if g.random.random() < 0.3 else sizes,
        shape=shape,
    )


def product(g: Graph, x: str, shape: Shape) -> None:
    weights = g.const(np.ones((shape[-1], 5), np.float32))
    found = g.op("MatMul", x, weights, shape=(*shape[:2], 5))
    if g.random.random() < 0.7:
        g.op("Add", found, g.const(np.ones(5, np.float32)), shape=(*shape[:2], 5))


def folded(g: Graph, x: str, shape: Shape) -> None:
    g.op("Add", x, g.op("Neg", g.const(np.ones(shape[-1], np.float32))), shape=shape)


def quantized(g: Graph, x: str, shape: Shape) -> None:
    scale, zero = g.const(np.float32(0.1)), g.const(np.uint8(g.random.choice([0, 3])))
    g.op("DequantizeLinear", g.op("QuantizeLinear", x, scale, zero), scale, zero, shape=shape)


def concat(g: Graph, x: str, shape: Shape) -> None:
    axis = g.random.randrange(3)
    wide = tuple(2 * size if at == axis else size for at, size in enumerate(shape))
    g.op("Concat", x, x, shape=wide, axis=axis)


def reduce(g: Graph, x: str, shape: Shape) -> None:
    axis = g.random.randrange(3)
    flat = tuple(1 if at == axis else size for at, size in enumerate(shape))
    g.op("ReduceMean", x, shape=flat, axes=[axis], keepdims=1)


STEPS = (
    unary, unary, binary, with_constant, transpose, transpose, reshape, squeeze, slice_, by_own_sizes,
    product, folded, quantized, concat, reduce,
)  # fmt: skip


def random_model(seed: int, most: int = 8) -> onnx.ModelProto:
    """A model of one to ``most`` steps."""
    graph = Graph(seed)
    for _ in range(graph.random.randint(2, most)):
        graph.step()
    return graph.model()
