"""TensorFlow models through TensorFlow's own converter: results that LiteRT runs, refusals that name
nodes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accelint.analyzer.convert import Options, convert
from accelint.analyzer.convert.opmap import mapped_share
from accelint.analyzer.convert.tf_to_tflite import Converted, all_to_tflite, to_tflite
from accelint.analyzer.errors import AccelintError, ModelError, RuntimeFailure, UsageError
from accelint.analyzer.formats import load
from tf_models import FIXTURES, built, needs_tensorflow

pytestmark = [pytest.mark.tensorflow, needs_tensorflow]


IMAGE = Options(batch=1, samples=4)
ASKED: dict[str, tuple[str, Options]] = {
    "convnet": ("convnet", Options(batch=2)),
    "control_flow": ("control_flow", Options()),
    "control_flow, all allowed": ("control_flow", Options(select_tf_ops=True, allow_custom_ops=True)),
    "signatures": ("signatures", Options()),
    "signatures, all allowed": ("signatures", Options(select_tf_ops=True, allow_custom_ops=True)),
    "signatures, even": ("signatures", Options(signature="even")),
    "unfrozen": ("unfrozen", Options()),
    "table": ("table", Options(select_tf_ops=True)),
    "recurrent": ("recurrent", Options()),
    "recurrent, fixed": ("recurrent.keras", Options(shapes={"words": (1, 10)})),
    "image": ("image", IMAGE),
    "image, fp16": ("image", replace(IMAGE, optimize="fp16")),
    "image, dynamic": ("image", replace(IMAGE, optimize="dynamic")),
    "image, int8": ("image", replace(IMAGE, optimize="int8")),
    "convnet_frozen.pb": ("convnet_frozen.pb", Options(batch=1)),
    "tf1": ("tf1", Options(batch=1)),
    "tf1_frozen.pb": ("tf1_frozen.pb", Options(batch=1)),
    "absent": ("absent", Options()),
    "wrong shape": ("convnet", Options(shapes={"image": (1, 2)})),
}


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Converted | AccelintError]:
    """Every conversion of ``ASKED``, made by one worker."""
    models = built(tmp_path_factory.getbasetemp())
    asked = [(models / name, options) for name, options in ASKED.values()]
    return dict(zip(ASKED, all_to_tflite(asked), strict=True))


@pytest.fixture(scope="session")
def made(answers: dict[str, Converted | AccelintError]) -> dict[str, Converted]:
    return {name: answer for name, answer in answers.items() if isinstance(answer, Converted)}


def types(made: Converted) -> list[str]:
    assert made.model is not None
    return [op.type for _, op in made.model.operators()]


def run(made: Converted, feeds: dict[str, Any]) -> dict[str, Any]:
    """Outputs by signature name, from LiteRT."""
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    runner = litert.Interpreter(model_path=str(made.path)).get_signature_runner()
    return dict(runner(**feeds))


@pytest.fixture
def convnet(made: dict[str, Converted]) -> Converted:
    return made["convnet"]


def test_a_model_that_cannot_be_converted_leaves_the_others_alone(
    answers: dict[str, Converted | AccelintError],
) -> None:
    assert isinstance(answers["absent"], ModelError)
    assert isinstance(answers["wrong shape"], UsageError)
    assert {name for name, answer in answers.items() if not isinstance(answer, Converted)} == {
        "absent",
        "wrong shape",
    }


def test_the_converted_model_computes_what_the_original_does(convnet: Converted) -> None:
    assert types(convnet) == ["CONV_2D", "MEAN", "FULLY_CONNECTED", "SOFTMAX"]
    image = np.random.default_rng(0).standard_normal((2, 8, 8, 3)).astype(np.float32)
    got = run(convnet, {"image": image})["output_0"]
    program = f"""
import numpy, sys, tensorflow as tf
f = tf.saved_model.load({str(FIXTURES / "convnet")!r}).signatures["serving_default"]
image = numpy.random.default_rng(0).standard_normal((2, 8, 8, 3)).astype("float32")
numpy.save(sys.stdout.buffer, f(image=tf.constant(image))["output_0"].numpy())
"""
    import io

    expected = np.load(
        io.BytesIO(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout)
    )
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_every_operator_names_its_nodes(convnet: Converted) -> None:
    assert convnet.op_map is not None
    origins = (
        {op.type: convnet.op_map.origins[op.id] for op in convnet.model.graph.ops()} if convnet.model else {}
    )
    assert origins["CONV_2D"].nodes == ("convnet_1/relu_1/Relu", "convnet_1/conv_1/convolution")
    assert origins["SOFTMAX"].how == "output"
    assert origins["SOFTMAX"].nodes == ("convnet_1/probs_1/Softmax",)
    assert convnet.op_map.unmapped == ()
    source = convnet.op_map.source("main/0")
    assert source is not None
    assert source.type == "Relu"
    assert convnet.op_map.absorbed["convnet_1/norm_1/batchnorm/mul_1"] == ("main/0",)
    assert convnet.op_map.absorbed["convnet_1/norm_1/batchnorm/add"] == ()
    assert convnet.op_map.absorbed["convnet_1/norm_1/batchnorm/mul"] == ()


def test_the_batch_is_fixed(convnet: Converted) -> None:
    assert convnet.model is not None
    assert [convnet.model.graph.tensor(name).shape for name in convnet.model.graph.inputs] == [(2, 8, 8, 3)]
    assert all(tensor.static for tensor in convnet.model.graph.tensors.values())


def test_blockers_name_operator_node_need_and_line(made: dict[str, Converted]) -> None:
    rejected = made["control_flow"]
    assert (rejected.path, rejected.model, rejected.op_map) == (None, None, None)
    found = {blocker.type: blocker for blocker in rejected.blockers}
    assert set(found) == {"AsString", "Erfinv"}
    text, inverse = found["AsString"], found["Erfinv"]
    assert (text.needs, inverse.needs) == ("flex", "custom")
    assert inverse.node == "cond/erfinv/Erfinv"
    assert inverse.code is not None
    assert inverse.code.startswith("make_tf.py:")
    operators = {op.id: op for _, op in load(FIXTURES / "control_flow").graph.walk()}
    assert operators[inverse.operator or ""].type == "Erfinv"
    assert "Select TF ops" in text.text


def test_every_rejected_node_is_told_apart(made: dict[str, Converted]) -> None:
    blockers = made["signatures"].blockers
    assert Counter(blocker.type for blocker in blockers) == {"Erf": 2, "MatrixDeterminant": 1, "BesselI0": 1}
    assert {blocker.node for blocker in blockers if blocker.type == "Erf"} == {"Erf", "Erf_1"}
    assert {blocker.type for blocker in blockers if blocker.needs == "custom"} == {"BesselI0"}
    assert all(blocker.operator for blocker in blockers)


def test_select_tf_ops_and_custom_operators_are_kept_when_allowed(made: dict[str, Converted]) -> None:
    allowed = made["signatures, all allowed"]
    assert allowed.blockers == ()
    assert Counter(types(allowed)) >= Counter({"FlexErf": 2, "FlexMatrixDeterminant": 1, "BesselI0": 1})
    assert allowed.op_map is not None
    assert allowed.op_map.unmapped == ()


def test_one_signature_of_several(made: dict[str, Converted]) -> None:
    even = made["signatures, even"]
    assert (types(even), even.signature, even.others) == (["SOFTMAX"], "even", ("serving_default",))


def test_read_only_variables_are_frozen_whatever_was_saved_beside_them(made: dict[str, Converted]) -> None:
    assert types(made["unfrozen"]) == ["CONV_2D", "MEAN", "FULLY_CONNECTED", "SOFTMAX"]


def test_an_assigned_variable_stays(made: dict[str, Converted]) -> None:
    allowed = made["control_flow, all allowed"]
    assert {"VAR_HANDLE", "ASSIGN_VARIABLE", "WHILE", "IF", "FlexAsString", "Erfinv"} <= set(types(allowed))
    assert allowed.op_map is not None
    handles = (
        [op.id for _, op in allowed.model.operators() if op.type == "VAR_HANDLE"] if allowed.model else []
    )
    assert {allowed.op_map.origins[id].nodes for id in handles} == {("state",)}
    assert allowed.op_map.unmapped == ()


def test_a_lookup_table_converts(made: dict[str, Converted]) -> None:
    assert made["table"].blockers == ()
    assert any("HASHTABLE" in kind or "Hash" in kind for kind in types(made["table"]))


def test_a_recurrent_model_needs_its_batch_while_it_is_traced(made: dict[str, Converted]) -> None:
    opened = made["recurrent"]
    assert {(blocker.needs, blocker.type) for blocker in opened.blockers} == {
        ("static-shape", "TensorListReserve")
    }
    fixed = made["recurrent, fixed"]
    assert fixed.blockers == ()
    assert Counter(types(fixed))["WHILE"] == 3
    assert fixed.op_map is not None
    assert mapped_share([fixed.op_map]) > 0.95


def test_two_outputs_keep_their_names(made: dict[str, Converted]) -> None:
    image = made["image"]
    assert image.op_map is not None
    assert image.op_map.unmapped == ()
    results = run(image, {"image": np.ones((1, 16, 16, 3), np.float32)})
    assert {name: value.shape for name, value in results.items()} == {"output_0": (1, 3), "output_1": (1, 2)}


@pytest.mark.parametrize(
    ("name", "expected"), [("convnet_frozen.pb", "CONV_2D"), ("tf1", "WHILE"), ("tf1_frozen.pb", "WHILE")]
)
def test_graphs_of_other_kinds(made: dict[str, Converted], name: str, expected: str) -> None:
    assert made[name].blockers == ()
    assert expected in types(made[name])


@pytest.mark.parametrize(("optimize", "dtype"), [("fp16", "float16"), ("dynamic", "int8"), ("int8", "int8")])
def test_quantization(made: dict[str, Converted], optimize: str, dtype: str) -> None:
    quantized = made[f"image, {optimize}"]
    assert quantized.model is not None
    assert quantized.op_map is not None
    stored = {
        tensor.dtype
        for graph in quantized.model.graphs.values()
        for tensor in graph.tensors.values()
        if tensor.const
    }
    assert dtype in stored
    assert quantized.op_map.unmapped == ()
    added = {
        op.type: quantized.op_map.origins[op.id].how
        for op in quantized.model.graph.ops()
        if "QUANT" in op.type
    }
    assert added == ({"QUANTIZE": "inserted", "DEQUANTIZE": "inserted"} if optimize == "int8" else added)


def test_convert_writes_the_file_and_the_main_process_never_imports_tensorflow(tmp_path: Path) -> None:
    target = tmp_path / "out.tflite"
    program = f"""
import sys
from accelint.analyzer.convert import convert
assert str(convert({str(FIXTURES / "convnet")!r}, "tflite", {str(target)!r}).path) == {str(target)!r}
heavy = {{"tensorflow", "keras", "coremltools", "ai_edge_litert", "onnx"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert load(target).format == "tflite"
    assert [item.name for item in tmp_path.iterdir()] == ["out.tflite"]


def test_nothing_is_written_when_the_converter_rejects(tmp_path: Path) -> None:
    made = convert(FIXTURES / "signatures", "tflite", tmp_path / "out.tflite")
    assert made.blockers
    assert list(tmp_path.iterdir()) == []


def test_a_worker_out_of_time_is_a_runtime_failure() -> None:
    with pytest.raises(RuntimeFailure, match=r"did not finish in 0\.5 s"):
        to_tflite(FIXTURES / "convnet", Options(seconds=0.5))


def test_a_worker_out_of_memory_is_a_runtime_failure() -> None:
    with pytest.raises(RuntimeFailure, match=r"needed more than 100 MB"):
        to_tflite(FIXTURES / "convnet", Options(memory=100 << 20))


def test_a_damaged_variable_file_is_told(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "convnet", tmp_path / "model")
    (tmp_path / "model" / "variables" / "variables.data-00000-of-00001").unlink()
    with pytest.raises(ModelError, match="data file is missing"):
        to_tflite(tmp_path / "model")
