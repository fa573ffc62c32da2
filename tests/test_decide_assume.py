"""What if a model were frozen, fp16 or int8: the answer is that of the file that tools would write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from accelint.analyzer.decide.assumed import assume
from accelint.analyzer.formats import emit, load
from cli import ROOT, accelint, report

ENCODER = ROOT / "fixtures" / "demo" / "encoder.onnx"
DENOISER = ROOT / "fixtures" / "demo" / "denoiser.tflite"
CONV = ROOT / "fixtures" / "tflite" / "conv_net.tflite"
FROZEN = "freeze=batch:1,steps:16"


def targets(*arguments: object) -> dict[str, dict[str, Any]]:
    document = report("check", *arguments)
    return {target["target"]: target for target in document["models"][0]["targets"]}


def verdicts(target: dict[str, Any]) -> list[tuple[str, str]]:
    return [(op["type"], op["verdict"]) for op in target["operators"]]


def test_freezing_in_memory_is_the_file_that_fix_writes(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    before = ENCODER.read_bytes()
    found = targets(ENCODER, "-t", "nnapi,webgpu", "--assume", FROZEN)
    model = assume(load(ENCODER), [FROZEN])
    emit(model, tmp_path / "frozen.onnx")
    stored = targets(tmp_path / "frozen.onnx", "-t", "nnapi,webgpu")
    assert len(found) == 2
    for name, target in found.items():
        assert verdicts(target) == verdicts(stored[name])
        assert target["assumed"] == [FROZEN]
        assert "assumed, no file has it" in target["notes"][0]
        assert not any(item["fix"] for item in target["findings"])
    assert ENCODER.read_bytes() == before and not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize("word", ["fp16", "int8"])
def test_assumed_types_are_a_model_that_the_runtime_runs(word: str, tmp_path: Path) -> None:
    """What is checked in memory, written by the test: ONNX Runtime and LiteRT load and run it."""
    ort = pytest.importorskip("onnxruntime")
    import numpy as np

    model = assume(load(ENCODER), [FROZEN, word])
    emit(model, tmp_path / "typed.onnx")
    session = ort.InferenceSession(tmp_path / "typed.onnx", providers=["CPUExecutionProvider"])
    feeds = {item.name: np.ones(item.shape, np.int64) for item in session.get_inputs()}
    (result, *_) = session.run(None, feeds)
    assert result.dtype == (np.float16 if word == "fp16" else np.float32)
    assert np.isfinite(result).all()


@pytest.mark.parametrize("word", ["fp16", "int8"])
def test_assumed_tflite_types_are_a_model_that_litert_runs(word: str, tmp_path: Path) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    import numpy as np

    emit(assume(load(CONV), [word]), tmp_path / "typed.tflite")
    session = interpreter.Interpreter(str(tmp_path / "typed.tflite"))
    session.allocate_tensors()
    for item in session.get_input_details():
        session.set_tensor(item["index"], np.ones(item["shape"], item["dtype"]))
    session.invoke()
    (out, *_) = session.get_output_details()
    assert out["dtype"] == (np.float32 if word == "fp16" else np.int8)


def test_an_npu_takes_integers_only() -> None:
    assert targets(DENOISER, "-t", "ethos-u")["litert/ethos-u:u55"]["verdict"] == "none"
    assert targets(DENOISER, "-t", "ethos-u", "--assume", "int8")["litert/ethos-u:u55"]["verdict"] == "full"


def test_what_cannot_be_carried_out_is_unknown() -> None:
    quantized = ROOT / "fixtures" / "onnx" / "qdq.onnx"
    (target,) = targets(quantized, "-t", "qnn", "--assume", "int8").values()
    assert target["verdict"] == "unknown" and not target["accelerated"] and not target["partitions"]
    assert "quantized already" in " ".join(target["notes"])
    package = ROOT / "fixtures" / "coreml"
    path = next(item for item in sorted(package.rglob("*.mlpackage")))
    (target,) = targets(path, "-t", "coreml/ane", "--assume", "fp16").values()
    assert target["verdict"] == "unknown" and "mil" in " ".join(target["notes"])


@pytest.mark.parametrize("words", [["int4"], ["freeze="], ["freeze=batch"], ["fp16", "int8"], ["freeze=x:0"]])
def test_words_that_mean_nothing_are_wrong_usage(words: list[str]) -> None:
    options = [item for word in words for item in ("--assume", word)]
    assert accelint("check", ENCODER, "-t", "qnn", *options).returncode == 2
