"""ONNX models to TFLite by onnx2tf and to ML Programs by onnxsim, each in an environment of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from accelint.analyzer.convert.contract import hold
from accelint.analyzer.formats import load
from accelint.analyzer.runtimes import Request, Session, inputs, tensors
from accelint.analyzer.runtimes.catalog import find, info
from cli import accelint, report
from onnx import TensorProto, helper, numpy_helper, save


def here(runtime: str) -> bool:
    return info(find(runtime)[0]).available


onnx2tf = pytest.mark.skipif(not here("litert/onnx2tf"), reason="needs: accelint runtimes add litert/onnx2tf")
onnxsim = pytest.mark.skipif(not here("coreml/onnxsim"), reason="needs: accelint runtimes add coreml/onnxsim")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Two inputs and two outputs whose order is not that of their names; the channels are not square."""
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.normal(size=(4, 3, 3, 3)).astype(np.float32), "w"),
        numpy_helper.from_array(rng.normal(size=(4 * 56, 5)).astype(np.float32), "g"),
    ]
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], name="stem", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], name="act"),
        helper.make_node("Flatten", ["r"], ["f"], name="flat"),
        helper.make_node("MatMul", ["f", "g"], ["m"], name="head"),
        helper.make_node("Add", ["m", "bias"], ["scores"], name="sum"),
        helper.make_node("Softmax", ["scores"], ["best"], name="soft"),
    ]
    fed = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("image", [1, 3, 8, 7]), ("bias", [1, 5]))
    ]
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 5]) for name in ("scores", "best")]
    made = helper.make_model(
        helper.make_graph(nodes, "two", fed, given, weights), opset_imports=[helper.make_opsetid("", 17)]
    )
    made.ir_version = 9
    save(made, tmp_path / "two.onnx")
    return tmp_path / "two.onnx"


@onnx2tf
def test_a_tflite_model_keeps_names_order_and_numbers(model: Path, tmp_path: Path) -> None:
    digest, out = model.read_bytes(), tmp_path / "two.tflite"
    done = accelint("convert", model, "--to", "tflite", "-o", out, "-v")
    assert done.returncode == 0, done.stderr
    assert "converted by onnx2tf" in done.stdout
    assert model.read_bytes() == digest, "the input was written over"
    made = load(out)
    assert (made.graph.inputs, made.graph.outputs) == (("image", "bias"), ("scores", "best"))
    assert hold(load(model), made) == []
    verified = accelint("verify", out, "--target", "litert/cpu", "--against", model)
    assert verified.returncode == 0 and "parity holds" in verified.stdout, verified.stdout


@onnxsim
@pytest.mark.parametrize(("options", "half"), [((), True), (("--precision", "float32"), False)])
def test_an_ml_program_computes_in_half_unless_asked(
    model: Path, tmp_path: Path, options: tuple[str, ...], half: bool
) -> None:
    out = tmp_path / "two.mlpackage"
    done = accelint("convert", model, "--to", "mlpackage", "-o", out, "-v", *options)
    assert done.returncode == 0, done.stderr
    assert "converted by onnxsim" in done.stdout
    made, source = load(out), load(model)
    assert hold(source, made) == []
    assert any(tensor.dtype == "float16" for tensor in made.graph.tensors.values()) is half
    feeds = tensors.write(tmp_path / "feeds.npz", inputs.for_graph(source.graph, seed=1))
    found = []
    for runtime, file in (("onnxruntime/cpu", model), ("coreml/reference", out)):
        with Session(runtime) as session:
            answer = session.ask(Request(file, inputs=feeds, outputs=True, placement=False))
            assert answer.ok, answer.reason
            found.append(answer.tensors())
    for name, value in found[0].items():
        np.testing.assert_allclose(
            found[1][name], value, rtol=2e-2 if half else 1e-4, atol=2e-2 if half else 1e-4
        )


@onnx2tf
@onnxsim
def test_one_table_over_three_ecosystems(model: Path) -> None:
    """The findings are told of the operators of the ONNX model."""
    targets = ("litert/gpu", "coreml/ane:m4", "onnxruntime/cpu")
    [entry] = report("check", model, *(word for target in targets for word in ("--target", target)))["models"]
    found = {item["target"]: item for item in entry["targets"]}
    assert set(found) == set(targets)
    messages = [item["message"] for item in found["coreml/ane:m4"]["findings"]]
    assert any("(ONNX Flatten 'flat')" in message for message in messages)


@onnxsim
def test_what_is_not_convertible_names_its_operator(tmp_path: Path) -> None:
    source = Path(__file__).parent.parent / "fixtures" / "onnx" / "conv_relu.onnx"
    done = accelint("convert", source, "--to", "mlpackage", "-o", tmp_path / "out.mlpackage")
    assert done.returncode == 1 and "Conv 'first'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_broken_contract_is_told_in_words(model: Path, tmp_path: Path) -> None:
    from onnx import load as parsed

    proto = parsed(str(model))
    del proto.graph.input[1]
    proto.graph.initializer.append(numpy_helper.from_array(np.zeros((1, 5), np.float32), "bias"))
    save(proto, tmp_path / "other.onnx")
    other = load(tmp_path / "other.onnx")
    other.graph.set_tensor(replace(other.graph.tensor("best"), shape=(1, 7)))
    broken = hold(load(model), other)
    assert any("2 inputs became 1" in item for item in broken)
    assert any("'best' changed from shape [1, 5] to [1, 7]" in item for item in broken)


def test_precision_is_of_core_ml_alone(model: Path, tmp_path: Path) -> None:
    done = accelint("convert", model, "--to", "tflite", "-o", tmp_path / "x.tflite", "--precision", "float16")
    assert done.returncode == 2 and "--precision is of Core ML" in done.stderr
