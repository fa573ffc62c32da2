"""Small models of unsupported operators: each shows its finding again, loads, and hides its origin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from cli import ROOT, accelint, report
from onnx import TensorProto, helper, numpy_helper

ENCODER = ROOT / "fixtures" / "demo" / "encoder.onnx"
DENOISER = ROOT / "fixtures" / "demo" / "denoiser.tflite"
HOSTILE = "../../etc/`x` <script>@all\u202e"


def saved(path: Path, target: str, folder: Path) -> list[dict[str, Any]]:
    document = report("check", path, "-t", target, "--save-unsupported", folder)
    found: list[dict[str, Any]] = document["models"][0]["targets"][0]["saved"]
    return found


def shows(target: str, rows: list[dict[str, Any]]) -> None:
    """Each model that was saved has the finding that it was saved for."""
    kept = [row for row in rows if row["model"]]
    document = report("check", *(row["model"] for row in kept), "-t", target)
    for row, model in zip(kept, document["models"], strict=True):
        found = {(item["code"], item["rule"]) for item in model["targets"][0]["findings"]}
        assert (row["code"], row["rule"]) in found
        issue = Path(row["issue"]).read_text(encoding="utf-8")
        assert f"accelint check {Path(row['model']).name} --target" in issue and row["rule"] in issue


def test_onnx_models_show_the_finding_and_load(tmp_path: Path) -> None:
    ort = pytest.importorskip("onnxruntime")
    rows = saved(ENCODER, "onnxruntime/nnapi", tmp_path / "out")
    assert len(rows) == 5 and all(row["model"] for row in rows)
    shows("onnxruntime/nnapi", rows)
    for row in rows:
        onnx.checker.check_model(onnx.load(row["model"]))
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        ort.InferenceSession(row["model"], options, providers=["CPUExecutionProvider"])


def test_tflite_models_show_the_finding_and_run(tmp_path: Path) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    rows = saved(DENOISER, "litert/nnapi", tmp_path / "out")
    assert len(rows) == 3 and all(row["model"] for row in rows)
    shows("litert/nnapi", rows)
    for row in rows:
        session = interpreter.Interpreter(row["model"])
        session.allocate_tensors()
        session.invoke()


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    result = accelint("check", ENCODER, "-t", "webgpu", "--save-unsupported", tmp_path)
    assert result.returncode == 2 and [item.name for item in tmp_path.iterdir()] == ["mine"]
    result = accelint("check", ENCODER, "-t", "webgpu", "--save-unsupported", ENCODER)
    assert result.returncode == 2


def test_names_of_a_model_leave_no_mark(tmp_path: Path) -> None:
    """Neither in file names nor in files: names and weights are the user's own."""
    secret = np.full((8, 16), 1234.5, np.float32)
    node = helper.make_node("Einsum", [HOSTILE, "secret"], ["out"], name=HOSTILE, equation="ij,jk->ik")
    graph = helper.make_graph(
        [node],
        HOSTILE,
        [helper.make_tensor_value_info(HOSTILE, TensorProto.FLOAT, ["secret_batch", 8])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(secret, "secret")],
    )
    path = tmp_path / "a`b<script>.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    rows = saved(path, "onnxruntime/nnapi", tmp_path / "out")
    assert any(row["model"] for row in rows)
    shows("onnxruntime/nnapi", rows)
    for file in (tmp_path / "out").iterdir():
        assert set(file.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
        data = file.read_bytes()
        assert b"secret" not in data and b"script" not in data.replace(b"a-b-script", b"")
        assert secret.tobytes()[:64] not in data
