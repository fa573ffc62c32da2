"""Rules about wrong numbers (ACL701) beside what the runtimes compute: the numbers of a model differ from the
reference's exactly where a rule says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from accelint.analyzer.flows.optimized import OFF, check_at
from accelint.analyzer.formats import load
from accelint.analyzer.proof.parity import compare
from accelint.analyzer.proof.reference import Reference
from accelint.analyzer.runtimes import Request, Session, find, inputs, tensors
from accelint.analyzer.runtimes.catalog import info
from accelint.rules.registry import choose
from onnx import TensorProto, helper, numpy_helper

QNN, OPENVINO, WEBGPU = "onnxruntime/qnn:sm8650", "onnxruntime/openvino", "onnxruntime/webgpu"
PRECISION = {QNN: ("rounding", "fp16"), OPENVINO: ("approximate", "fp32"), WEBGPU: ("approximate", "fp32")}
DRAWN = np.random.default_rng(0)
Case = tuple[str, str, onnx.ModelProto, str]


def _model(nodes: list[Any], fed: dict[str, Any], stored: dict[str, Any], opset: int = 21) -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(name, *kind) for name, kind in fed.items()]
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()]
    graph = helper.make_graph(nodes, "g", values, [onnx.ValueInfoProto(name="y")], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return onnx.shape_inference.infer_shapes(made)


def _one(
    op: str, shape: list[int], *stored: Any, opset: int = 21, dtype: int = TensorProto.FLOAT, **attrs: Any
) -> Any:
    names = [f"c{index}" if value is not None else "" for index, value in enumerate(stored)]
    node = helper.make_node(op, ["x", *names], ["y"], name="n", **attrs)
    kept = {name: value for name, value in zip(names, stored, strict=True) if name}
    return _model([node], {"x": (dtype, shape)}, kept, opset)


def _quantized(op: str, dtype: Any, scale: float, zero: int) -> onnx.ModelProto:
    """``op`` in QDQ form; ``scale`` and ``zero`` are the result's."""
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "xs", "xz"], ["a"]),
        helper.make_node(op, ["a"], ["b"], name="n"),
        helper.make_node("QuantizeLinear", ["b", "ys", "yz"], ["y"]),
    ]
    bits = np.dtype(dtype).itemsize * 8
    stored = {"xs": np.float32(0.5 if bits == 16 else 0.02), "xz": dtype(0)}
    fed = {"x": (helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), [1, 8, 4])}
    return _model(nodes, fed, {**stored, "ys": np.float32(scale), "yz": dtype(zero)})


def _attention(stored: str) -> onnx.ModelProto:
    shapes = {"q": [2, 3, 4, 8], "k": [2, 3, 8, 6], "v": [2, 3, 6, 8]}
    nodes = [
        helper.make_node("MatMul", ["q", "k"], ["a"]),
        helper.make_node("Mul", ["a", "s"], ["b"]),
        helper.make_node("Softmax", ["b"], ["p"], axis=-1),
        helper.make_node("MatMul", ["p", "v"], ["y"]),
    ]
    fed = {name: (TensorProto.FLOAT, shape) for name, shape in shapes.items() if name not in stored}
    kept = {name: DRAWN.normal(size=shapes[name]).astype(np.float32) for name in stored}
    return _model(nodes, fed, {"s": np.float32(0.35), **kept}, 17)


def _resize(way: str, mode: str, scale: float) -> onnx.ModelProto:
    scales = np.array([1, 1, scale, scale], np.float32)
    return _one(
        "Resize",
        [1, 4, 8, 8],
        None,
        scales,
        coordinate_transformation_mode=way,
        nearest_mode=mode,
        mode="nearest",
    )


def _pool(op: str, size: int, kernel: int, pads: list[int], stride: int, **attrs: int) -> onnx.ModelProto:
    return _one(op, [1, 3, size, size], kernel_shape=[kernel] * 2, pads=pads, strides=[stride] * 2, **attrs)


KERNEL = DRAWN.normal(size=(4, 3, 3, 3, 3)).astype(np.float32)
COLUMN = DRAWN.normal(size=4).astype(np.float32)
SQUARES = DRAWN.normal(size=(2, 2, 4, 3)).astype(np.float32)
CASES: list[Case] = [
    ("half-pixel-up-by-2", QNN, _resize("half_pixel", "round_prefer_floor", 2), ""),
    ("half-pixel-down-by-2", QNN, _resize("half_pixel", "round_prefer_floor", 0.5), "nearest-mode-ignored"),
    ("half-pixel-ceil", QNN, _resize("half_pixel", "ceil", 1.5), "nearest-mode-ignored"),
    ("asymmetric-floor", QNN, _resize("asymmetric", "floor", 1.5), ""),
    ("pytorch-floor-by-half", QNN, _resize("pytorch_half_pixel", "floor", 0.5), ""),
    ("sigmoid-of-16-bits", QNN, _quantized("Sigmoid", np.int16, 1 / 40000, 0), "sixteen-bit-sigmoid-scale"),
    ("sigmoid-as-provided", QNN, _quantized("Sigmoid", np.int16, 1 / 32768, 0), ""),
    ("tanh-of-16-bits", QNN, _quantized("Tanh", np.uint16, 1 / 32768, 0), "sixteen-bit-tanh-scale"),
    ("softmax-of-8-bits", QNN, _quantized("Softmax", np.int8, 0.01, 0), "eight-bit-softmax-zero-point"),
    ("softmax-from-the-lowest", QNN, _quantized("Softmax", np.int8, 0.01, -128), ""),
    (
        "transposed-3d",
        QNN,
        _one("ConvTranspose", [1, 4, 5, 6, 7], KERNEL, strides=[1, 2, 1]),
        "transposed-in-3d-by-unequal-strides",
    ),
    ("transposed-3d-equal", QNN, _one("ConvTranspose", [1, 4, 5, 6, 7], KERNEL, strides=[1, 2, 2]), ""),
    ("average-k2-s2", QNN, _pool("AveragePool", 9, 2, [1, 1, 1, 1], 2), "average-of-padded-windows"),
    ("average-k3-s1", QNN, _pool("AveragePool", 9, 3, [1, 1, 1, 1], 1), ""),
    (
        "average-beyond",
        QNN,
        _pool("AveragePool", 8, 3, [0, 0, 0, 0], 2, ceil_mode=1),
        "average-of-windows-beyond-the-input",
    ),
    ("softmax-11", OPENVINO, _one("Softmax", [2, 3, 4, 5], opset=11), "softmax-of-flattened-axes"),
    ("softmax-11-last", OPENVINO, _one("Softmax", [2, 3, 4, 5], opset=11, axis=-1), ""),
    ("log-softmax-11", OPENVINO, _one("LogSoftmax", [2, 3, 4, 5], opset=11), ""),
    (
        "uint8",
        OPENVINO,
        _one("Add", [64], np.full(64, 200, np.uint8), dtype=TensorProto.UINT8),
        "eight-bit-arithmetic-saturates",
    ),
    ("int32", OPENVINO, _one("Add", [64], np.full(64, 200, np.int32), dtype=TensorProto.INT32), ""),
    (
        "pool-in-the-pad",
        OPENVINO,
        _pool("MaxPool", 9, 2, [1, 1, 1, 1], 2, ceil_mode=1),
        "pool-window-in-the-pad",
    ),
    ("pool-ceil", OPENVINO, _pool("MaxPool", 9, 3, [1, 1, 1, 1], 2, ceil_mode=1), ""),
    (
        "counted-pads",
        OPENVINO,
        _pool("AveragePool", 8, 3, [1, 1, 1, 1], 2, ceil_mode=1, count_include_pad=1),
        "counted-pads-beyond-the-input",
    ),
    ("attention", OPENVINO, _attention(""), ""),
    ("attention-of-stored-values", OPENVINO, _attention("v"), "attention-of-stored-keys-or-values"),
    ("row-times-vector", WEBGPU, _one("MatMul", [1, 4], COLUMN), ""),
    ("matrix-times-vector", WEBGPU, _one("MatMul", [3, 4], COLUMN), "matrix-times-vector"),
    ("vector-times-matrix", WEBGPU, _one("MatMul", [4], SQUARES[0, 0]), ""),
    ("vector-times-matrices", WEBGPU, _one("MatMul", [4], SQUARES), "vector-times-matrices"),
    ("attention-of-stored-keys", OPENVINO, _attention("k"), "attention-of-stored-keys-or-values"),
]


@pytest.fixture(scope="module")
def sessions() -> Iterator[dict[str, Any]]:
    """A worker a target, and the reference."""
    ready = [name for name in (QNN, OPENVINO, WEBGPU) if info(find(name)[0]).available]
    opened: dict[str, Any] = {name: Session(name, timeout=60) for name in ready}
    opened["reference"] = Reference("onnx", timeout=60)
    yield opened
    for item in opened.values():
        item.close()


@pytest.mark.parametrize(("name", "target", "proto", "rule"), CASES, ids=[case[0] for case in CASES])
def test_numbers_differ_where_a_rule_says_so(
    name: str, target: str, proto: onnx.ModelProto, rule: str, sessions: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(proto, path)
    model = load(path)
    told = {item.rule for item in check_at(model, choose(target), OFF).findings if item.code == "ACL701"}
    assert told == ({rule} if rule else set())
    if target not in sessions:
        pytest.skip(f"{target} is not here")
    drawn = inputs.for_graph(model.graph, seed=1)
    arrays = {key: value * 4 if value.dtype.kind == "f" else value for key, value in drawn.items()}
    feeds = tensors.write(tmp_path / "inputs.npz", arrays)
    right = sessions["reference"].outputs(path, feeds)
    answer = sessions[target].ask(Request(path, inputs=feeds, outputs=True, placement=False))
    assert answer.ok, answer.reason
    quantized = any(node.op_type == "QuantizeLinear" for node in proto.graph.node)
    found = compare(right, answer.tensors(), *(("approximate", "int8") if quantized else PRECISION[target]))
    assert found.agrees is not bool(rule), found.problems
