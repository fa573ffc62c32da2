"""Stored shapes that contradict their operators, calls of functions, results of branches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from accelint.analyzer.formats import load
from accelint.analyzer.runtimes import find
from accelint.analyzer.runtimes.catalog import info
from cli import accelint

QNN = "onnxruntime/qnn:sm8650"
needs_qnn = pytest.mark.skipif(not info(find(QNN)[0]).available, reason="needs onnxruntime-qnn")


def saved(
    folder: Path, text: str, stored: dict[str, list[int]], weights: dict[str, tuple[int, ...]] | None = None
) -> Path:
    """A model whose intermediate results have the shapes that are given."""
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17, "pkg": 1]> {text}')
    for name, shape in (weights or {}).items():
        values = np.random.default_rng(1).normal(size=shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    for name, sizes in stored.items():
        info = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sizes)
        proto.graph.value_info.append(info)
    path = folder / "model.onnx"
    onnx.save(proto, path)
    return path


def told(model: Path, target: str = QNN, *options: str) -> dict[str, Any]:
    done = accelint("check", model, "--target", target, *options, "--format", "json")
    found: dict[str, Any] = json.loads(done.stdout)["models"][0]["targets"][0]
    return found


EDITED = {
    "Conv": ("Conv(x, w)", [1, 2, 8, 8], {"w": (2, 4, 1, 1)}, (None, 2, 8, 8)),
    "pool": ("MaxPool<kernel_shape=[1,1]>(x)", [1, 4, 8, 8], {}, (None, 4, 8, 8)),
    "Relu": ("Relu(x)", [1, 4, 8, 8], {}, (None, 4, 8, 8)),
    "Add": ("Add(x, w)", [1, 4, 8, 8], {"w": (4, 1, 1)}, (None, 4, 8, 8)),
    "MatMul": ("MatMul(x, w)", [1, 4, 8, 5], {"w": (8, 5)}, (None, 4, 8, 5)),
    "Transpose": ("Transpose<perm=[0,2,3,1]>(x)", [1, 8, 8, 4], {}, (None, 8, 8, 4)),
    "Concat": ("Concat<axis=1>(x, x)", [1, 8, 8, 8], {}, (None, 8, 8, 8)),
    "another rank": ("Relu(x)", [4, 8, 8], {}, None),
    "right": ("Relu(x)", [4, 4, 8, 8], {}, (4, 4, 8, 8)),
}
"""An operator on a batch of 4, the stored shape of its result, its weights, and what is left of it."""


@pytest.mark.parametrize("name", EDITED)
def test_what_contradicts_the_operator_is_forgotten(name: str, tmp_path: Path) -> None:
    body, stored, weights, left = EDITED[name]
    model = saved(
        tmp_path,
        f"g (float[4,4,8,8] x) => (float[a,b,c,d] y) {{ t = {body} y = Abs(t) }}",
        {"t": stored},
        weights,
    )
    assert load(model).graph.tensor("t").shape == left


def test_a_reshape_to_other_sizes(tmp_path: Path) -> None:
    text = "g (float[2,3,4] x) => (float[2,12] y) <int64[2] s={2,-1}> { t = Reshape(x, s) y = Relu(t) }"
    assert load(saved(tmp_path, text, {"t": [3, 12]})).graph.tensor("t").shape == (None, 12)


@needs_qnn
@pytest.mark.parametrize(("body", "verdict"), [("Conv(x, w)", "rejected"), ("PRelu(x, s)", "none")])
def test_qnn_answers_as_predicted(body: str, verdict: str, tmp_path: Path) -> None:
    """A batch size that was edited in the input alone; QNN rejects a model whose convolution has such a
    result.
    """
    model = saved(
        tmp_path,
        f"g (float[4,4,8,8] x) => (float[4,4,8,8] y) {{ t = {body} y = Abs(t) }}",
        {"t": [1, 4, 8, 8]},
        {"w": (4, 4, 1, 1), "s": (4, 1, 1)},
    )
    done = accelint("verify", model, "--target", QNN, "--optimize", "off", "--format", "json")
    document = json.loads(done.stdout)["models"][0]["targets"][0]
    assert document["verdict"] == verdict, document["findings"]
    assert document.get("phase") == ("partition" if verdict == "rejected" else None)
    assert "was predicted" not in done.stderr


def test_a_call_is_what_its_body_is(tmp_path: Path) -> None:
    """The constant in front of the body has the id of the call."""
    text = """g (float[2,3] x) => (float[2,3] y) { a = Relu(x) y = pkg.more(a) }
    <domain: "pkg", opset_import: ["": 17]> more (a) => (c) {
        one = Constant<value = float {1.0}>() c = Add(a, one) }"""
    for level in ("off", "default"):
        found = told(saved(tmp_path, text, {}), QNN, "--optimize", level)
        assert [item["verdict"] for item in found["operators"]] == ["accelerated", "accelerated"]


def test_a_result_of_either_rank_has_a_dtype(tmp_path: Path) -> None:
    """The file gives the output no type; OpenVINO compiles no If of dynamic rank."""
    text = """g (float[1,3] x, bool c) => (y) { y = If(c) <
        then_branch = t () => (float[3] o) { o = Squeeze(x) },
        else_branch = e () => (float[1,3] p) { p = Abs(x) }> }"""
    model = saved(tmp_path, text, {})
    tensor = load(model).graph.tensor("y")
    assert (tensor.dtype, tensor.shape) == ("float32", None)
    assert told(model, "onnxruntime/openvino")["verdict"] == "rejected"
