"""What onnxsim fuses before it translates: predictions against onnxsim itself, on small graphs around each
pattern.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accelint.analyzer.check.run import check
from accelint.analyzer.formats.onnx.reader import from_bytes
from accelint.analyzer.runtimes import Request, Session, runtimes
from accelint.rules.registry import choose
from onnx import TensorProto, checker, helper, numpy_helper, shape_inference

HERE = next(item for item in runtimes() if item.name == "coreml/convertible-onnx")
HEADS, SWAPPED = [0, 2, 1, 3], [0, 2, 3, 1]


class Net:
    """A graph in the making: nodes and constants with names."""

    def __init__(self, opset: int = 17) -> None:
        self.opset = opset
        self.nodes: list[Any] = []
        self.stored: list[Any] = []

    def const(self, value: Any, dtype: type = np.float32) -> str:
        name = f"c{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def add(self, type: str, *inputs: str, **attrs: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(type, list(inputs), [name], **attrs))
        return name

    def model(self, shape: list[int], out: str, *more: str) -> bytes:
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in (out, *more)]
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
        graph = helper.make_graph(self.nodes, "g", inputs, outputs, self.stored)
        model = shape_inference.infer_shapes(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=9)
        )
        checker.check_model(model)
        return bytes(model.SerializeToString())


def attention(**kinds: Any) -> bytes:
    """Self-attention of 2 heads over ``x[1, 5, 16]``; the keys change one thing each."""
    net, random = Net(), np.random.default_rng(0)
    source = net.add("Relu", "x") if kinds.get("computed_source") else "x"

    def split(place: int, order: list[int]) -> str:
        value = net.add("MatMul", source, net.const(random.normal(size=(16, 16))))
        bias = np.zeros(16) if kinds.get("zero_bias") else random.normal(size=16)
        if kinds.get("bias", True):
            value = net.add("Add", value, net.const(bias))
        shape = net.const([1, 5, -1, 8] if kinds.get("open_heads") else [1, 5, 2, 8], np.int64)
        if kinds.get("computed_shapes"):
            sizes = [
                net.add(
                    "Gather",
                    net.add("Shape", source if kinds.get("measured") else value),
                    net.const([place], np.int64),
                )
                for place in (0, 1)
            ]
            shape = net.add("Concat", *sizes, net.const([2, 8], np.int64), axis=0)
        return net.add("Transpose", net.add("Reshape", value, shape), perm=order)

    queries, keys, values = split(0, HEADS), split(1, SWAPPED), split(2, HEADS)
    scores = net.add("MatMul", queries, keys)
    if kinds.get("scaled", True):
        scores = net.add("Div", scores, net.const(4.0))
    if kinds.get("masked"):
        scores = net.add("Add", scores, net.const(np.ones((5, 5))))
    weights = net.add("Softmax", scores, axis=kinds.get("axis", -1))
    context = net.add("Transpose", net.add("MatMul", weights, values), perm=HEADS)
    out = net.add("Relu", net.add("Reshape", context, net.const([1, 5, 16], np.int64)))
    return net.model([1, 5, 16], out, *([net.add("Relu", source)] if kinds.get("other_reader") else []))


def rms_norm(
    opset: int = 23,
    axes: tuple[int, ...] = (-1,),
    *,
    keep: int = 1,
    inverse: str = "Div",
    again: bool = False,
) -> bytes:
    """weight * x / sqrt(mean(x * x) + epsilon)."""
    net = Net(opset)
    mean = net.add("ReduceMean", net.add("Mul", "x", "x"), net.const(axes, np.int64), keepdims=keep)
    root = net.add("Sqrt", net.add("Add", mean, net.const(1e-5)))
    norm = (
        net.add("Div", "x", root)
        if inverse == "Div"
        else net.add("Mul", "x", net.add("Div", net.const(1.0), root))
    )
    out = net.add("Mul", net.const(np.arange(8.0)), norm)
    return net.model([2, 8, 8], out, *([net.add("Relu", norm)] if again else []))


def log_softmax(*, stored: bool = True, again: bool = False) -> bytes:
    net = Net()
    value = net.add("Softmax", "x", **({"axis": -1} if stored else {}))
    return net.model([2, 8], net.add("Log", value), *([net.add("Relu", value)] if again else []))


def windows(biases: tuple[float, float]) -> bytes:
    """A partition through six dimensions, read by two products; ``biases`` of 0 are not added."""
    net = Net()
    cut = net.add("Reshape", "x", net.const([1, 2, 4, 2, 4, 8], np.int64))
    flat = net.add(
        "Reshape", net.add("Transpose", cut, perm=[0, 1, 3, 2, 4, 5]), net.const([4, 16, 8], np.int64)
    )
    outs = []
    for bias in biases:
        value = net.add("MatMul", flat, net.const(np.eye(8)))
        outs.append(net.add("Add", value, net.const(np.full(8, bias))) if bias else value)
    return net.model([1, 64, 8], *outs)


def dequantized() -> bytes:
    """A batch normalization whose parameters are stored in 8 bits."""
    net = Net()
    scale, zero = net.const(0.1), net.const(0, np.int8)
    rest = [net.add("DequantizeLinear", net.const(np.full(4, 3), np.int8), scale, zero) for _ in range(4)]
    return net.model([1, 4, 8], net.add("BatchNormalization", "x", *rest))


CASES: dict[str, tuple[bytes, bool]] = {
    "attention": (attention(), False),
    "attention: computed shapes": (attention(computed_shapes=True), False),
    "attention: no bias": (attention(bias=False), False),
    "attention: no scale": (attention(scaled=False), True),
    "attention: a mask": (attention(masked=True), True),
    "attention: another axis": (attention(axis=2), True),
    "attention: open heads": (attention(open_heads=True), True),
    "attention: three products of one value become one": (attention(computed_source=True), True),
    "attention: the value has another reader": (attention(computed_source=True, other_reader=True), False),
    "attention: zeros are added": (attention(computed_source=True, zero_bias=True), False),
    "attention: zeros are added, computed shapes": (
        attention(computed_source=True, zero_bias=True, computed_shapes=True),
        True,
    ),
    "attention: the value is measured": (
        attention(computed_source=True, computed_shapes=True, measured=True),
        False,
    ),
    "attention: measured, no bias": (
        attention(computed_source=True, computed_shapes=True, measured=True, bias=False),
        True,
    ),
    "dequantized constants are constants": (dequantized(), True),
    "norm": (rms_norm(), False),
    "norm: as a product": (rms_norm(inverse="Mul"), False),
    "norm: last axis by number": (rms_norm(axes=(2,)), False),
    "norm: another axis": (rms_norm(axes=(1,)), True),
    "norm: two axes": (rms_norm(axes=(1, 2)), True),
    "norm: older operator set": (rms_norm(opset=22), True),
    "norm: read twice": (rms_norm(again=True), True),
    "logarithm of softmax": (log_softmax(), False),
    "logarithm of softmax: read twice": (log_softmax(again=True), True),
    "windows: both with a bias": (windows((1.0, 2.0)), True),
    "windows: none with a bias": (windows((0.0, 0.0)), True),
    "windows: one with a bias": (windows((1.0, 0.0)), False),
}
"""Name -> the model, and whether it converts."""


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    if not HERE.available:
        pytest.skip(f"needs {HERE.missing}: {HERE.command}")
    with Session("coreml/convertible-onnx:ios18", timeout=120) as opened:
        yield opened


@pytest.mark.parametrize("name", CASES)
def test_predicted(name: str, tmp_path: Path) -> None:
    data, converts = CASES[name]
    verdict = check(
        from_bytes(data, tmp_path / "model.onnx"), choose("coreml/convertible-onnx:ios18")
    ).verdict
    assert verdict == ("full" if converts else "rejected")


@pytest.mark.parametrize("name", CASES)
def test_as_onnxsim_answers(name: str, session: Session, tmp_path: Path) -> None:
    data, converts = CASES[name]
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    answer = session.ask(Request(path))
    assert answer.ok == converts, answer.reason


@pytest.mark.parametrize(
    ("source", "target", "right", "shape"),
    [
        ([3, 4, 2, 2], [0, 0, -1], True, (4, 2, 6)),
        ([2, 3, 32], [0, 0, 4, -1], True, (1, 2, 4, 24)),
        ([2, 50], [1, 0, -1, 0], True, (1, 1, 2, 50)),
        ([4, 6], [0, 2, 2], True, None),
        ([4, 6], [0, -1], False, (4, 6)),
        ([4, 6, 2], [0, -1], False, None),
    ],
)
def test_copied_dimensions(
    source: list[int], target: list[int], right: bool, shape: tuple[int, ...] | None
) -> None:
    from accelint.rules.predicates.onnxsim import copied

    assert copied(source, target, right=right) == shape
