"""Models that ONNX Runtime saved after its highest optimization level: operators of its own layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from accelint.analyzer.formats import load
from cli import report

ort = pytest.importorskip("onnxruntime")
TEXT = """<ir_version: 8, opset_import: ["" : 17]> g (float[1,3,16,16] x) => (float[1,12,1,1] y) {
    a = Conv<pads=[1,1,1,1]>(x, w) b = Relu(a) c = MaxPool<kernel_shape=[2,2], strides=[2,2]>(b)
    d = Conv(c, v) y = GlobalAveragePool(d) }"""


def saved(folder: Path, suffix: str) -> Path:
    """The model as an application stores it to load it faster the next time."""
    proto = onnx.parser.parse_model(TEXT)
    rng = np.random.default_rng(1)
    for name, shape in (("w", (16, 3, 3, 3)), ("v", (12, 16, 3, 3))):
        values = rng.normal(size=shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    file = folder / f"saved.{suffix}"
    options.optimized_model_filepath = str(file)
    if suffix == "ort":
        options.add_session_config_entry("session.save_model_format", "ORT")
    ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    if "nchwc" not in {op.domain.rpartition(".")[2] for _, op in load(file).operators()}:
        pytest.skip("this CPU has no kernels for channels in blocks")
    return file


@pytest.mark.parametrize("suffix", ["onnx", "ort"])
def test_the_cpu_runs_what_it_saved(suffix: str, tmp_path: Path) -> None:
    file = saved(tmp_path, suffix)
    (cpu, qnn) = report("check", file, "--target", "onnxruntime/cpu", "--target", "onnxruntime/qnn:sm8650")[
        "models"
    ][0]["targets"]
    assert cpu["verdict"] == "full", cpu["findings"]
    assert qnn["verdict"] != "rejected"
    assert "blocked-channels-read-as-plain" in {item["rule"].rpartition("/")[2] for item in qnn["findings"]}


def test_channels_are_counted_behind_the_blocks(tmp_path: Path) -> None:
    """12 channels are stored as 16; the operator that gives them back names their number."""
    graph = load(saved(tmp_path, "onnx")).graph
    (back,) = (op for op in graph.ops() if op.type == "ReorderOutput")
    sizes = [graph.tensor(name or "").shape for name in (back.inputs[0], back.outputs[0])]
    assert sizes == [(1, 16, 6, 6), (1, 12, 6, 6)]
