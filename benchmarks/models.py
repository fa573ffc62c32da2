"""Models for the benchmarks: real structure, made on the spot, weights as holes in sparse files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BLOCK = 10


def transformer(path: Path, blocks: int, *, width: int = 64, steps: int = 16) -> int:
    """An encoder of ``BLOCK`` nodes a block, static shapes; returns the number of nodes."""
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    values: list[onnx.ValueInfoProto] = []

    def add(kind: str, inputs: list[str], out: str, shape: list[int], **attrs: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [out], name=f"{kind}_{len(nodes)}", **attrs))
        values.append(helper.make_tensor_value_info(out, TensorProto.FLOAT, shape))
        return out

    def weight(name: str, *shape: int) -> str:
        weights.append(numpy_helper.from_array(np.zeros(shape, np.float32), name))
        return name

    x, full, scores = "x", [1, steps, width], [1, steps, steps]
    for block in range(blocks):
        p = f"b{block}_"
        q = add("MatMul", [x, weight(p + "wq", width, width)], p + "q", full)
        k = add("MatMul", [x, weight(p + "wk", width, width)], p + "k", full)
        v = add("MatMul", [x, weight(p + "wv", width, width)], p + "v", full)
        kt = add("Transpose", [k], p + "kt", [1, width, steps], perm=[0, 2, 1])
        score = add("Softmax", [add("MatMul", [q, kt], p + "s", scores)], p + "a", scores, axis=-1)
        mixed = add("Add", [add("MatMul", [score, v], p + "m", full), x], p + "r", full)
        up = add(
            "Relu", [add("MatMul", [mixed, weight(p + "wu", width, width)], p + "u", full)], p + "h", full
        )
        x = up
    graph = helper.make_graph(
        nodes, "encoder",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, full)],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, full)],
        weights, value_info=values[:-1],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return len(nodes)


def vision(path: Path, blocks: int, *, channels: int = 8, size: int = 16) -> int:
    """Convolutions with ``BLOCK`` nodes a block that read small constants (limits, pads, shapes, axes);
    returns the number of nodes.
    """
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    values: list[onnx.ValueInfoProto] = []
    shape = [1, channels, size, size]

    def add(kind: str, inputs: list[str], out: str, dims: list[int], **attrs: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [out], name=f"{kind}_{len(nodes)}", **attrs))
        values.append(helper.make_tensor_value_info(out, TensorProto.FLOAT, dims))
        return out

    def stored(name: str, numbers: object, dtype: type = np.int64) -> str:
        weights.append(numpy_helper.from_array(np.array(numbers, dtype), name))
        return name

    x = "x"
    for block in range(blocks):
        p = f"b{block}_"
        kernel = stored(p + "w", np.zeros((channels, channels, 3, 3)), np.float32)
        conv = add("Conv", [x, kernel], p + "conv", shape, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        limits = [stored(p + "low", 0, np.float32), stored(p + "high", 6, np.float32)]
        clip = add("Clip", [conv, *limits], p + "clip", shape)
        pads = stored(p + "pads", [0, 0, 1, 1, 0, 0, 1, 1])
        padded = add("Pad", [clip, pads], p + "pad", [1, channels, size + 2, size + 2])
        cut = [stored(p + "from", [1, 1]), stored(p + "to", [size + 1] * 2), stored(p + "axes", [2, 3])]
        middle = add("Slice", [padded, *cut], p + "slice", shape)
        flat = [1, channels, size * size]
        rows = add("Reshape", [middle, stored(p + "flat", flat)], p + "rows", flat)
        mean = add("ReduceMean", [rows], p + "mean", [1, channels, 1], axes=[2], keepdims=1)
        away = add("Sub", [rows, mean], p + "away", flat)
        scaled = add("Mul", [away, stored(p + "scale", 0.5, np.float32)], p + "scaled", flat)
        square = add("Reshape", [scaled, stored(p + "square", shape)], p + "square_out", shape)
        x = add("Add", [square, x], p + "sum", shape)
    graph = helper.make_graph(
        nodes, "vision",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, shape)],
        weights, value_info=values[:-1],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return len(nodes)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def with_weights(source: Path, target: Path, total: int, *, external: bool) -> None:
    """A copy of an ONNX model whose first weights together hold ``total`` bytes of zeros, as holes of a
    sparse file.
    """
    model = onnx.load(source)
    count = 4
    rows = total // count // 4 // 1024
    names = [f"extra_{index}" for index in range(count)]
    for name in names:
        model.graph.node.append(helper.make_node("Identity", [name], [name + "_out"], name="use_" + name))
        model.graph.output.append(
            helper.make_tensor_value_info(name + "_out", TensorProto.FLOAT, [rows, 1024])
        )
    each = rows * 1024 * 4
    if external:
        for index, name in enumerate(names):
            tensor = TensorProto(
                name=name, data_type=TensorProto.FLOAT, dims=[rows, 1024], data_location=TensorProto.EXTERNAL
            )
            for key, value in (("location", "weights.bin"), ("offset", index * each), ("length", each)):
                tensor.external_data.add(key=key, value=str(value))
            model.graph.initializer.append(tensor)
        with (target.parent / "weights.bin").open("wb") as stream:
            stream.truncate(each * count)
        onnx.save(model, target)
        return
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    heads = []
    for name in names:
        head = (
            TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[rows, 1024]).SerializeToString()
            + b"\x4a"
            + _varint(each)
        )
        heads.append(b"\x2a" + _varint(len(head) + each) + head)
    size = len(graph) + sum(len(head) + each for head in heads)
    with target.open("wb") as stream:
        stream.write(model.SerializeToString() + b"\x3a" + _varint(size) + graph)
        for head in heads:
            stream.write(head)
            stream.seek(each, 1)
        stream.truncate(stream.tell())


def without_weights(source: Path, target: Path) -> None:
    """The same graph as ``with_weights`` with tiny weights."""
    model = onnx.load(source)
    for index in range(4):
        name = f"extra_{index}"
        model.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 1024), np.float32), name))
        model.graph.node.append(helper.make_node("Identity", [name], [name + "_out"], name="use_" + name))
        model.graph.output.append(helper.make_tensor_value_info(name + "_out", TensorProto.FLOAT, [1, 1024]))
    onnx.save(model, target)
