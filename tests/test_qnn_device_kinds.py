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


def test_each_form_is_judged_as_the_simulator_does(tmp_path: Path) -> None:
    folder, told = tmp_path / "forms", tmp_path / "told.json"
    folder.mkdir()
    forms(folder)
    words = ("--corpus", folder, "--jobs", 1, "--cache", tmp_path / "cache", "--output", told)
    run = accelint("conform", TARGET, *words)
    assert run.returncode == 0, run.stdout + run.stderr
    figures = json.loads(told.read_text(encoding="utf-8"))["corpora"]["forms"]
    assert sum(figures["models"].values()) == len(list(folder.iterdir()))
    assert figures["models"]["refused"] >= 6
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
        transposed(path, [1, 8, 20], [8, 1, 3], [1, 8, 40], partition=8, strides=[2], **pads)
    elif name.startswith("grouped"):
        filters = [4, 2, 3, 3, 3] if wrong else [4, 4, 3, 3, 3]
        transposed(path, [1, 4, 5, 6, 7], filters, [1, 4, 7, 8, 9], partition=2 if wrong else 1)
    else:
        normalized(path, 1 if wrong else 64)
    run = accelint("verify", path, "--target", TARGET)
    assert (name in run.stdout) == wrong
    assert ("parity FAILS" in run.stdout) == wrong
    assert ("parity holds" in run.stdout) != wrong
    assert "ran accelerated" in run.stdout
