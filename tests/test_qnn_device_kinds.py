"""Forms that the QNN rules once judged otherwise than simulator and devices, asked of the simulator; and
results that are wrong although everything is accelerated.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

pytest.importorskip("onnxruntime_qnn", reason="needs onnxruntime-qnn")

TARGET = "onnxruntime/qnn:sc8380xp"
KINDS = {
    "float32": TensorProto.FLOAT,
    "bool": TensorProto.BOOL,
    "uint8": TensorProto.UINT8,
    "int8": TensorProto.INT8,
    "uint16": TensorProto.UINT16,
    "int16": TensorProto.INT16,
    "float16": TensorProto.FLOAT16,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
}
FIVE = [1, 2, 3, 4, 5]
Values = tuple[str, Sequence[int]]


def accelint(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "accelint", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def write(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Values],
    output: Values,
    stored: Mapping[str, Any] = {},
    opsets: Mapping[str, int] = {"": 18},
) -> Path:
    """A model of one operator, or of it and its quantization, with the result y."""
    told = [helper.make_tensor_value_info(name, KINDS[kind], shape) for name, (kind, shape) in inputs.items()]
    made = helper.make_graph(
        nodes,
        "g",
        told,
        [helper.make_tensor_value_info("y", KINDS[output[0]], output[1])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    ids = [helper.make_opsetid(*item) for item in opsets.items()]
    onnx.save(helper.make_model(made, opset_imports=ids, ir_version=10), path)
    return path


def quantized(node: onnx.NodeProto, domain: str = "") -> list[onnx.NodeProto]:
    """Node with the data ``d`` and the result ``m``, between its quantization and that of its result."""
    pairs = [("x", "d"), ("m", "y")]
    first, last = (
        [
            helper.make_node("QuantizeLinear", [source, "s", "z"], [f"{source}_q"], domain=domain),
            helper.make_node("DequantizeLinear", [f"{source}_q", "s", "z"], [result], domain=domain),
        ]
        for source, result in pairs
    )
    return [*first, node, *last]


def forms(folder: Path) -> None:
    """One model for each form."""
    x = ("float32", [1, 4, 8])
    for kind in ("bool", "float32"):
        select = helper.make_node("Where", ["c", "a", "b"], ["y"])
        given = {"c": ("bool", [4, 8]), "a": (kind, [4, 8]), "b": (kind, [4, 8])}
        write(folder / f"where-{kind}.onnx", [select], given, (kind, [4, 8]))
    for kind in ("bool", "float32", "int32"):
        scatter = helper.make_node("ScatterND", ["d", "i", "u"], ["y"])
        given = {"i": ("int64", [1, 1]), "u": (kind, FIVE)}
        write(folder / f"scatter-{kind}.onnx", [scatter], given, (kind, FIVE), {"d": np.ones(FIVE, kind)})
    casts = [
        ("uint8", "float32"),
        ("bool", "float32"),
        ("bool", "int32"),
        ("uint8", "bool"),
        ("float32", "bool"),
    ]
    for source, result in casts:
        cast = helper.make_node("Cast", ["x"], ["y"], to=KINDS[result])
        write(folder / f"cast-{source}-{result}.onnx", [cast], {"x": (source, FIVE)}, (result, FIVE))
    for keep, shape in ((0, [8]), (1, [8]), (1, [1]), (0, [2, 8])):
        reduce = helper.make_node("ReduceMax", ["x"], ["y"], keepdims=keep, noop_with_empty_axes=1)
        name = f"reduce-{keep}-{len(shape)}-{shape[0]}.onnx"
        write(folder / name, [reduce], {"x": ("float32", shape)}, ("float32", shape))
    twice = {"scales": np.array([1, 1, 2], np.float32)}
    for mode, coordinates, nearest in (
        ("nearest", "align_corners", "floor"),
        ("nearest", "align_corners", "round_prefer_ceil"),
        ("nearest", "half_pixel", "round_prefer_ceil"),
        ("nearest", "half_pixel", "floor"),
        ("nearest", "pytorch_half_pixel", "floor"),
    ):
        words = {"mode": mode, "coordinate_transformation_mode": coordinates, "nearest_mode": nearest}
        resize = helper.make_node("Resize", ["x", "", "scales"], ["y"], **words)
        name = f"resize-{coordinates}-{nearest}.onnx"
        write(folder / name, [resize], {"x": x}, ("float32", [1, 4, 16]), twice)
    for kind in ("uint16", "int16"):
        resize = helper.make_node("Resize", ["d", "", "scales"], ["m"], mode="linear")
        scale = {"s": np.float32(0.1), "z": np.zeros((), kind), **twice}
        name = folder / f"resize-linear-{kind}.onnx"
        write(name, quantized(resize), {"x": x}, ("float32", [1, 4, 16]), scale, {"": 21})
    for opsets in ({}, {"": 9}, {"": 13}):
        gelu = quantized(helper.make_node("Gelu", ["d"], ["m"], domain="com.microsoft"), "com.microsoft")
        scale = {"s": np.float32(0.1), "z": np.uint16(7)}
        name = folder / f"gelu-{opsets.get('', 'none')}.onnx"
        write(name, gelu, {"x": x}, ("float32", [1, 4, 8]), scale, {"com.microsoft": 1, **opsets})


def convolution(path: Path, data: str, rank: int, weights: np.ndarray, zero: int, bias: str) -> None:
    """Between its quantization, with the bias computed, stored or none."""
    spatial = [6] * (rank - 2)
    filters = weights.reshape(3, 2, *[1] * (rank - 2))
    stored = {"w": filters, "s": np.float32(0.1), "z": np.zeros((), data), "v": np.array(zero, weights.dtype)}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "s", "v"], ["f"]),
        helper.make_node("Conv", ["d", "f", *(["b"] if bias else [])], ["m"]),
        helper.make_node("QuantizeLinear", ["m", "s", "z"], ["y"]),
    ]
    inputs: dict[str, Values] = {"x": (data, [1, 2, *spatial])}
    if bias == "computed":
        inputs["b"] = ("float32", [3])
    elif bias:
        stored["b"] = np.ones(3, np.float32)
    write(path, nodes, inputs, (data, [1, 3, *spatial]), stored, {"": 21})


def quantized_forms(folder: Path) -> None:
    """Quantized units: the bias of a convolution, limits of a Clip, casts that are only quantized."""
    bytes_, words = np.arange(6, dtype=np.uint8), np.arange(6, dtype=np.uint16)
    for rank, bias in ((3, "stored"), (3, ""), (4, "stored"), (4, "computed")):
        convolution(folder / f"conv-{rank}-{bias}.onnx", "uint8", rank, bytes_, 7, bias)
    for zero in (7, 32768):
        convolution(folder / f"conv-words-{zero}.onnx", "uint16", 3, words, zero, "")
    limit = {"l": np.int8(-3), "s": np.float32(0.1), "z": np.zeros((), np.uint8), "v": np.int8(0)}
    clip = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["l", "s", "v"], ["f"]),
        helper.make_node("Clip", ["d", "f"], ["m"]),
        helper.make_node("QuantizeLinear", ["m", "s", "z"], ["y"]),
    ]
    write(folder / "clip.onnx", clip, {"x": ("uint8", [4, 8])}, ("uint8", [4, 8]), limit, {"": 21})
    scale = {"s": np.float32(0.1), "z": np.zeros((), np.uint8)}
    cast = helper.make_node("Cast", ["x"], ["d"], to=1)
    quantize = helper.make_node("QuantizeLinear", ["d", "s", "z"], ["y"])
    write(folder / "cast.onnx", [cast, quantize], {"x": ("bool", FIVE)}, ("uint8", FIVE), scale, {"": 21})
    relu = [cast, helper.make_node("Relu", ["d"], ["y"])]
    write(folder / "cast-relu.onnx", relu, {"x": ("bool", FIVE)}, ("float32", FIVE), {}, {"": 21})


def plain_forms(folder: Path) -> None:
    """Masks and values of Attention, a normalized vector, a result of the wrong rank."""
    attend = helper.make_node("Attention", ["q", "k", "v", "m"], ["y"])
    for values, mask in (("float32", "float32"), ("float32", "int64"), ("float16", "float32")):
        kinds = {"q": "float32", "k": "float32", "v": values}
        given: dict[str, Values] = {name: (kind, [1, 2, 4, 8]) for name, kind in kinds.items()}
        given["m"] = (mask, [4, 4])
        result: Values = ("float32", [1, 2, 4, 8])
        write(folder / f"attention-{values}-{mask}.onnx", [attend], given, result, {}, {"": 23})
    normalize = helper.make_node("BatchNormalization", ["x", "c", "c", "c", "c"], ["y"])
    for shape in ([4], [4, 1]):
        name, one = folder / f"norm-{len(shape)}.onnx", {"c": np.ones(1, np.float32)}
        write(name, [normalize], {"x": ("float32", shape)}, ("float32", shape), one)
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], output_shape=[10])
    filters = {"w": np.ones((2, 6, 3, 3), np.float32)}
    result = ("float32", [1, 6, 10])
    write(folder / "transposed-rank.onnx", [node], {"x": ("float32", [1, 2, 8, 8])}, result, filters)


def between(path: Path, node: onnx.NodeProto, inputs: Mapping[str, Values], shape: Sequence[int]) -> None:
    """A node with the result m, and inputs that are dequantized where its own name for one ends with _d."""
    nodes, stored = [], {"k": np.array([0]), "p": np.array([1, 1, 1, 0, 0] * 2), "s": np.float32(0.1)}
    kind = next(value[0] for name, value in inputs.items() if f"{name}_d" in node.input)
    stored["z"] = np.zeros((), kind)
    for name in inputs:
        if f"{name}_d" in node.input:
            nodes.append(helper.make_node("DequantizeLinear", [name, "s", "z"], [f"{name}_d"]))
    nodes += [node, helper.make_node("QuantizeLinear", ["m", "s", "z"], ["y"])]
    used = {name for item in nodes for name in item.input}
    kept = {name: value for name, value in stored.items() if name in used}
    write(path, nodes, inputs, (kind, shape), kept, {"": 21})


def ranks(folder: Path) -> None:
    """What depends on the number of dimensions, or on which operand is broadcast."""
    five = [2, 3, 2, 3, 2]
    for rank in (1, 2):
        places, shape = np.zeros([1] * rank, np.int64), [8] if rank == 1 else [1, 8]
        scatter = helper.make_node("ScatterND", ["x", "i", "u"], ["y"])
        given: dict[str, Values] = {"x": ("float32", [4, 8]), "u": ("float32", shape)}
        write(folder / f"scatter-{rank}.onnx", [scatter], given, given["x"], {"i": places})
    power = helper.make_node("Pow", ["x", "e"], ["y"])
    for name, shape in (("whole", five), ("broadcast", five[1:])):
        bases: dict[str, Values] = {"x": ("float32", shape), "e": ("float32", five)}
        write(folder / f"pow-{name}.onnx", [power], bases, ("float32", five))
    for kind, first, second in (("int8", [4], [3, 4]), ("int8", [3, 4], [4]), ("int16", [3, 4], [4])):
        select = helper.make_node("Where", ["c", "a_d", "b_d"], ["m"])
        parts: dict[str, Values] = {"c": ("bool", [3, 4]), "a": (kind, first), "b": (kind, second)}
        between(folder / f"where-{kind}-{len(first)}.onnx", select, parts, [3, 4])
    for kind in ("uint8", "int8"):
        reduce = helper.make_node("ReduceMax", ["x_d", "k"], ["m"], keepdims=0)
        between(folder / f"max-{kind}.onnx", reduce, {"x": (kind, five)}, five[1:])
    pad = helper.make_node("Pad", ["x_d", "p"], ["m"], mode="reflect")
    between(folder / "pad.onnx", pad, {"x": ("uint8", [3] * 5)}, [5, 5, 5, 3, 3])
    for kind, data in (("int64", [4, 3]), ("int64", [4]), ("int32", five), ("float32", five)):
        gather = helper.make_node("Gather", ["x", "i"], ["y"])
        path = folder / f"gather-{kind}-{len(data)}.onnx"
        write(path, [gather], {"x": (kind, data), "i": ("int64", [])}, (kind, data[1:]))
    expand = helper.make_node("Expand", ["x", "n"], ["y"])
    nothing = {"n": np.zeros(0, np.int64)}
    write(folder / "expand.onnx", [expand], {"x": ("float32", [4])}, ("float32", [4]), nothing)
    slope = helper.make_node("PRelu", ["x", "v"], ["y"])
    write(folder / "prelu.onnx", [slope], {"x": ("float32", []), "v": ("float32", [3])}, ("float32", [3]))
    product = helper.make_node("MatMul", ["x_d", "v_d"], ["m"])
    between(folder / "vector.onnx", product, {"x": ("uint8", five), "v": ("uint8", [2])}, five[:-1])


def test_each_form_is_judged_as_the_simulator_does(tmp_path: Path) -> None:
    folder, told = tmp_path / "forms", tmp_path / "told.json"
    folder.mkdir()
    forms(folder)
    quantized_forms(folder)
    plain_forms(folder)
    ranks(folder)
    words = ("--corpus", folder, "--jobs", 1, "--cache", tmp_path / "cache", "--output", told)
    run = accelint("conform", TARGET, *words)
    assert run.returncode == 0, run.stdout + run.stderr
    figures = json.loads(told.read_text(encoding="utf-8"))["corpora"]["forms"]
    assert sum(figures["models"].values()) == len(list(folder.iterdir()))
    assert figures["models"]["refused"] >= 10
    assert figures["agreement"] == 1.0, figures["confusion"]


def transposed(path: Path, shape: list[int], filters: list[int], result: list[int], **words: Any) -> Path:
    weights = np.random.default_rng(0).standard_normal(filters).astype(np.float32)
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], **words)
    return write(path, [node], {"x": ("float32", shape)}, ("float32", result), {"w": weights})


def normalized(path: Path, count: int) -> Path:
    node = helper.make_node("RMSNormalization", ["x", "s"], ["y"], axis=-1)
    scale = {"s": np.linspace(1, 3, count, dtype=np.float32)}
    shape = ("float32", [1, 10, 64])
    return write(path, [node], {"x": shape}, shape, scale, {"": 23})


@pytest.mark.parametrize("wrong", [True, False])
@pytest.mark.parametrize(
    "name", ["depthwise-transposed-output-padding", "grouped-transposed-in-3d", "rms-scale-of-one-value"]
)
def test_wrong_numbers_are_told_where_the_simulator_gives_them(
    name: str, wrong: bool, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    if name.startswith("depthwise"):
        pads = {"pads": [1, 1], "output_padding": [1]} if wrong else {"pads": [1, 0]}
        transposed(path, [1, 8, 20], [8, 1, 3], [1, 8, 40], group=8, strides=[2], **pads)
    elif name.startswith("grouped"):
        filters = [4, 2, 3, 3, 3] if wrong else [4, 4, 3, 3, 3]
        transposed(path, [1, 4, 5, 6, 7], filters, [1, 4, 7, 8, 9], group=2 if wrong else 1)
    else:
        normalized(path, 1 if wrong else 64)
    run = accelint("verify", path, "--target", TARGET)
    assert (name in run.stdout) == wrong
    assert ("parity FAILS" in run.stdout) == wrong
    assert ("parity holds" in run.stdout) != wrong
    assert "ran accelerated" in run.stdout


def test_hexagon_v68_is_judged_as_the_simulator_does(tmp_path: Path) -> None:
    """What v68 compiles of recurrence, scattering and capped scores."""
    folder, told = tmp_path / "forms", tmp_path / "told.json"
    folder.mkdir()
    for reduction in ("none", "add"):
        scatter = helper.make_node("ScatterND", ["x", "i", "u"], ["y"], reduction=reduction)
        given: dict[str, Values] = {"x": ("float32", [4, 8]), "u": ("float32", [1, 8])}
        write(folder / f"scatter-{reduction}.onnx", [scatter], given, given["x"], {"i": np.array([[1]])})
    scale = {"s": np.float32(0.1), "z": np.zeros((), np.uint8)}
    stored = {"w": np.ones((1, 12, 8), np.uint8), "r": np.ones((1, 12, 4), np.uint8), **scale}
    gru = [
        *(helper.make_node("DequantizeLinear", [name, "s", "z"], [f"{name}_d"]) for name in "xwr"),
        helper.make_node("GRU", ["x_d", "w_d", "r_d"], ["m"], hidden_size=4),
        helper.make_node("QuantizeLinear", ["m", "s", "z"], ["y"]),
    ]
    write(folder / "gru.onnx", gru, {"x": ("uint8", [3, 1, 8])}, ("uint8", [3, 1, 1, 4]), stored, {"": 21})
    attend = helper.make_node("Attention", ["q", "k", "k"], ["y"], softcap=2.0)
    for kind, batch, keys in (("float32", 1, 24), ("float32", 1, 32), ("float32", 2, 6), ("float16", 2, 6)):
        asked: Values = (kind, [batch, 2, 4, 8])
        name = folder / f"capped-{kind}-{batch}-{keys}.onnx"
        write(name, [attend], {"q": asked, "k": (kind, [batch, 2, keys, 8])}, asked, {}, {"": 23})
    words = ("--corpus", folder, "--jobs", 1, "--cache", tmp_path / "cache", "--output", told)
    run = accelint("conform", "onnxruntime/qnn:sm8350", *words)
    assert run.returncode == 0, run.stdout + run.stderr
    figures = json.loads(told.read_text(encoding="utf-8"))["corpora"]["forms"]
    assert figures["models"] == {"ok": 3, "refused": 4}
    assert figures["agreement"] == 1.0, figures["confusion"]


def test_a_device_of_another_release_is_told_with_its_source(tmp_path: Path) -> None:
    """What Snapdragon X Elite did with an older provider is a note, for that chip only, and no verdict."""
    reshape = helper.make_node("Reshape", ["x", "k"], ["y"], allowzero=1)
    path = tmp_path / "view.onnx"
    write(path, [reshape], {"x": ("float32", [2, 3, 4])}, ("float32", [6, 4]), {"k": np.array([6, 4])})
    for target, notes in ((TARGET, 1), ("onnxruntime/qnn:sm8650", 0)):
        report = json.loads(accelint("check", path, "--target", target, "--format", "json").stdout)
        (result,) = report["models"][0]["targets"]
        assert result["verdict"] == "full"
        found = [item for item in result["findings"] if item["code"] == "ACL902"]
        assert len(found) == notes
        for item in found:
            assert item["rule"] == "reshape-allowzero-before-2" and item["evidence"] == "device"
            assert item["source"] == "Snapdragon X Elite, QNN.EP 1.8.30, 2026-10-20"


@pytest.mark.parametrize("device", ["", 'device = "a phone"'])
def test_evidence_of_a_device_names_it(tmp_path: Path, device: str) -> None:
    pack = tmp_path / "pack.toml"
    text = f"""
[pack]
target = "example/npu"
title = "An NPU"
dialect = "onnx"
runtime = "example"
version = "1.0"
date = "2026-11-30"
policy = "waves"
default = "fallback"

[source.asked]
package = "example"
version = "1.0"
date = "2026-11-30"
evidence = "device"
{device}

[[support]]
ops = ["Relu"]
source = "asked"
"""
    pack.write_text(text, encoding="utf-8")
    path = tmp_path / "relu.onnx"
    relu = helper.make_node("Relu", ["x"], ["y"])
    write(path, [relu], {"x": ("float32", [4])}, ("float32", [4]))
    run = accelint("check", path, "--pack", pack, "--target", "example/npu")
    assert ("needs device and date" in run.stdout + run.stderr) == (not device), run.stdout + run.stderr
