"""Contracts as a user meets them: written from real files, kept, stored in the model, checked at start-up."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import onnx
import pytest
from accelint.analyzer.contract.carried import contract_of
from accelint.analyzer.contract.compare import differences
from accelint.analyzer.contract.contract import Contract, Port, Preprocessing, parse, text
from accelint.analyzer.formats import load
from accelint.analyzer.formats.coreml.schema import message
from cli import ROOT, accelint, schema
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

FIXTURES = ROOT / "fixtures"
MODELS = [
    FIXTURES / "onnx" / "qdq.onnx",
    FIXTURES / "onnx" / "everything.onnx",
    FIXTURES / "tflite" / "conv_net_int8.tflite",
    FIXTURES / "tflite" / "variable.tflite",
    FIXTURES / "coreml" / "network.mlmodel",
    FIXTURES / "coreml" / "state.mlpackage",
    FIXTURES / "tf" / "convnet",
    FIXTURES / "tf" / "convnet.keras",
]
CONV = FIXTURES / "onnx" / "conv_relu.onnx"


def written(model: Path, out: Path) -> dict[str, Any]:
    result = accelint("contract", "write", model, "-o", out)
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = json.loads(out.read_text())
    jsonschema.validate(document, schema("contract"))
    return document


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.name)
def test_a_model_keeps_its_own_contract(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "contract.json"
    document = written(model, out)
    assert document["inputs"] or document["states"]
    assert document["outputs"]
    result = accelint("contract", "check", model, out)
    assert (result.returncode, result.stdout) == (0, f"{model}: as promised\n")


def edited(**changes: Any) -> onnx.ModelProto:
    proto = onnx.load(CONV)
    (first,) = (
        info for info in proto.graph.input if info.name not in {t.name for t in proto.graph.initializer}
    )
    if "name" in changes:
        for node in proto.graph.node:
            node.input[:] = [changes["name"] if name == first.name else name for name in node.input]
        first.name = changes["name"]
    if "dim" in changes:
        first.type.tensor_type.shape.dim[0].dim_value = changes["dim"]
    return proto


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [({"name": "picture"}, "renamed", "is called picture now"), ({"dim": 7}, "shape", "shape was")],
)
def test_what_an_application_would_notice(
    changes: dict[str, Any], kind: str, words: str, tmp_path: Path
) -> None:
    written(CONV, tmp_path / "c.json")
    onnx.save(edited(**changes), tmp_path / "new.onnx")
    result = accelint("contract", "check", tmp_path / "new.onnx", tmp_path / "c.json", "-f", "json")
    assert result.returncode == 1
    document = json.loads(result.stdout)
    jsonschema.validate(document, schema("contract-check"))
    assert kind in {row["kind"] for row in document["differences"]}
    assert any(words in row["text"] for row in document["differences"])


def port(name: str = "x", **fields: Any) -> Port:
    return Port(name, fields.pop("dtype", "float32"), fields.pop("shape", (1, 3, "h", None)), **fields)


def only(was: Port, now: Port) -> list[str]:
    return [item.kind for item in differences(Contract("onnx", (was,), ()), Contract("onnx", (now,), ()))]


@pytest.mark.parametrize(
    ("was", "now", "kinds"),
    [
        (port(), port(shape=(1, 3, "other", "w")), []),
        (port(), port(shape=(1, 3, 224, None)), ["shape"]),
        (port(), port(shape=None), ["shape"]),
        (port(), port(dtype="float16"), ["dtype"]),
        (port(), port("y"), ["renamed"]),
        (port(), port("y", dtype="int8"), ["gone", "new"]),
        (port(range=(0, 1)), port(), []),
        (port(range=(0, 1)), port(range=(0, 255)), ["range"]),
        (port(scale=(0.5,), zero_point=(3,)), port(scale=(0.5000000001,), zero_point=(3,)), []),
        (port(scale=(0.5,), zero_point=(3,)), port(scale=(0.5,), zero_point=(4,)), ["quantization"]),
        (port(scale=(0.5,), zero_point=(3,)), port(), ["quantization"]),
        (port(tags=("logits",)), port(tags=("probabilities",)), ["meaning"]),
        (port(tags=("logits",)), port(), []),
        (
            port(preprocessing=Preprocessing(colour="RGB")),
            port(preprocessing=Preprocessing(colour="BGR")),
            ["preprocessing"],
        ),
        (port(labels=("a",), label_count=2), port(labels=("a",), label_count=3), ["labels"]),
    ],
)
def test_differences(was: Port, now: Port, kinds: list[str]) -> None:
    assert only(was, now) == kinds
    assert only(was, was) == only(now, now) == []


def test_another_order_is_a_difference() -> None:
    two = Contract("onnx", (port("a"), port("b")), ())
    turned = Contract("onnx", (port("b"), port("a")), ())
    assert [item.kind for item in differences(two, turned)] == ["order"]


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32)
PORTS = st.builds(
    Port,
    NAMES,
    st.sampled_from(["float32", "int8"]),
    st.none() | st.lists(st.none() | st.integers(0, 1 << 40) | NAMES, max_size=4).map(tuple),
    st.none() | st.tuples(NUMBERS, NUMBERS).map(lambda pair: (min(pair), max(pair))),
    NAMES,
    st.lists(NAMES, max_size=2).map(tuple),
    st.builds(
        Preprocessing, st.sampled_from(["", "NHWC"]), st.sampled_from(["", "BGR"]), mean=st.just((1.0, 2.0))
    ),
    st.lists(NAMES, max_size=2).map(tuple),
)


@given(st.lists(PORTS, max_size=3, unique_by=lambda item: item.name).map(tuple))
def test_what_is_written_is_read_as_it_was(ports: tuple[Port, ...]) -> None:
    contract = Contract("onnx", ports, (), opsets={"ai.onnx": 17})
    assert parse(text(contract), "it") == contract


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda row: row.update(schema="other"), "schema is not"),
        (lambda row: row.update(extra=1), "unknown field 'extra'"),
        (lambda row: row["inputs"].append(row["inputs"][0]), "inputs has a name twice"),
        (lambda row: row["inputs"][0].pop("dtype"), "inputs[0] has no dtype"),
        (lambda row: row["inputs"][0].update(shape=[-1]), "inputs[0].shape has the size -1"),
        (lambda row: row["inputs"][0].update(range=[3, 1]), "least and the greatest"),
        (lambda row: row["inputs"][0].update(preprocessing={"colour": "PINK"}), "colour is none of"),
        (lambda row: row.update(inputs={}), "inputs is no list"),
    ],
)
def test_a_wrong_contract_is_told_with_its_place(change: Any, words: str, tmp_path: Path) -> None:
    document = written(CONV, tmp_path / "c.json")
    change(document)
    (tmp_path / "c.json").write_text(json.dumps(document))
    result = accelint("contract", "check", CONV, tmp_path / "c.json")
    assert result.returncode == 2
    assert words in result.stderr


# ---- stored in the model ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [CONV, FIXTURES / "tflite" / "conv_net.tflite", FIXTURES / "coreml" / "conv_net.mlpackage",
     FIXTURES / "coreml" / "network.mlmodel"],
    ids=lambda path: path.name,
)  # fmt: skip
def test_a_contract_travels_in_the_model(model: Path, tmp_path: Path) -> None:
    document = written(model, tmp_path / "c.json")
    document["inputs"][0]["meaning"] = {"text": "a face $ \u202e", "tags": ["image"]}
    document["inputs"][0]["preprocessing"] = {"colour": "BGR", "mean": [127.5]}
    (tmp_path / "c.json").write_text(json.dumps(document))
    out = tmp_path / f"with{model.suffix}"
    for source in (model, out):  # a second time it stands in place of the first
        target = out if source == model else tmp_path / f"again{model.suffix}"
        result = accelint("contract", "store", source, tmp_path / "c.json", "-o", target)
        assert result.returncode == 0, result.stderr + result.stdout
        found = contract_of(load(target))
        assert found.inputs[0].preprocessing == Preprocessing(colour="BGR", mean=(127.5,))
        assert found.inputs[0].tags == ("image",)
    assert [op.type for _, op in load(out).operators()] == [op.type for _, op in load(model).operators()]


def test_a_contract_of_another_model_is_not_stored(tmp_path: Path) -> None:
    written(FIXTURES / "onnx" / "qdq.onnx", tmp_path / "c.json")
    result = accelint("contract", "store", CONV, tmp_path / "c.json", "-o", tmp_path / "out.onnx")
    assert result.returncode == 1
    assert not (tmp_path / "out.onnx").exists()


# ---- what models carry -----------------------------------------------------------------------


def test_denotations_of_onnx(tmp_path: Path) -> None:
    proto = onnx.load(CONV)
    info = proto.graph.input[0]
    info.doc_string, info.type.denotation = "a photograph", "IMAGE"
    names = ("DATA_BATCH", "DATA_CHANNEL", "DATA_FEATURE", "DATA_FEATURE")
    for dim, name in zip(info.type.tensor_type.shape.dim, names, strict=True):
        dim.denotation = name
    helper.set_model_props(
        proto, {"Image.BitmapPixelFormat": "Bgr8", "Image.NominalPixelRange": "NominalRange_0_255"}
    )
    onnx.save(proto, tmp_path / "m.onnx")
    found = contract_of(load(tmp_path / "m.onnx")).inputs[0]
    assert (found.text, found.tags, found.range) == ("a photograph", ("image",), (0.0, 255.0))
    assert found.preprocessing == Preprocessing("NCHW", "BGR")


def test_images_and_their_scaling_of_core_ml(tmp_path: Path) -> None:
    spec = message("Model").FromString((FIXTURES / "coreml" / "network.mlmodel").read_bytes())
    feature = spec.description.input[0]
    feature.shortDescription = "a face"
    feature.type.imageType.width, feature.type.imageType.height = 16, 16
    feature.type.imageType.colorSpace = 20
    scaler = spec.neuralNetworkClassifier.preprocessing.add(featureName=feature.name).scaler
    scaler.channelScale, scaler.redBias, scaler.greenBias, scaler.blueBias = 0.5, -1, -2, -3
    (tmp_path / "m.mlmodel").write_bytes(spec.SerializeToString())
    found = contract_of(load(tmp_path / "m.mlmodel")).inputs[0]
    assert (found.text, found.tags) == ("a face", ("image",))
    assert found.preprocessing.colour == "RGB"
    assert (found.preprocessing.size, found.preprocessing.scale) == ((16, 16), (0.5,))
    assert found.preprocessing.bias == (-1, -2, -3)


# ---- start-up checks -------------------------------------------------------------------------


def module(source: str, path: Path) -> ModuleType:
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def code(contract: Path, language: str) -> str:
    result = accelint("contract", "code", contract, "--language", language)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_python_check_with_onnxruntime(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    document = written(CONV, tmp_path / "c.json")
    check = module(code(tmp_path / "c.json", "python"), tmp_path / "start.py").check
    session = onnxruntime.InferenceSession(CONV, providers=["CPUExecutionProvider"])
    check(session)
    document["outputs"][0]["dtype"] = "float16"
    (tmp_path / "c.json").write_text(json.dumps(document))
    check = module(code(tmp_path / "c.json", "python"), tmp_path / "start.py").check
    with pytest.raises(ValueError, match="is float32, not float16"):
        check(session)


def test_the_python_check_with_litert(tmp_path: Path) -> None:
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    model = FIXTURES / "tflite" / "conv_net_int8.tflite"
    document = written(model, tmp_path / "c.json")
    check = module(code(tmp_path / "c.json", "python"), tmp_path / "start.py").check
    interpreter = litert.Interpreter(str(model))
    check(interpreter)
    document["inputs"][0]["shape"][1] = 9
    (tmp_path / "c.json").write_text(json.dumps(document))
    check = module(code(tmp_path / "c.json", "python"), tmp_path / "start.py").check
    with pytest.raises(ValueError, match="has the shape"):
        check(interpreter)


STUBS = {
    "onnx": """package ai.onnxruntime
        enum class OnnxJavaType { FLOAT, INT64 }
        interface ValueInfo
        class TensorInfo(val shape: LongArray, val type: OnnxJavaType) : ValueInfo
        class NodeInfo(val name: String, val info: ValueInfo)
        class OrtSession(val inputInfo: Map<String, NodeInfo>, val outputInfo: Map<String, NodeInfo>)""",
    "tflite": """package org.tensorflow.lite
        enum class DataType { FLOAT32, INT8 }
        interface Tensor { fun name(): String; fun dataType(): DataType; fun shapeSignature(): IntArray }
        interface Interpreter {
            val inputTensorCount: Int
            val outputTensorCount: Int
            fun getInputTensor(at: Int): Tensor
            fun getOutputTensor(at: Int): Tensor
        }""",
}
"""Declarations of ONNX Runtime's Java API and of LiteRT's, as far as the code uses them."""


@pytest.mark.skipif(shutil.which("kotlinc") is None, reason="no Kotlin compiler")
@pytest.mark.parametrize(
    "model", [CONV, FIXTURES / "tflite" / "conv_net_int8.tflite"], ids=lambda path: path.name
)
def test_the_kotlin_check_compiles(model: Path, tmp_path: Path) -> None:
    written(model, tmp_path / "c.json")
    (tmp_path / "Api.kt").write_text(STUBS[model.suffix[1:]])
    (tmp_path / "ModelContract.kt").write_text(code(tmp_path / "c.json", "kotlin"))
    made = subprocess.run(
        ["kotlinc", "Api.kt", "ModelContract.kt", "-d", "out"], cwd=tmp_path, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr


def test_code_of_a_language_that_does_not_fit(tmp_path: Path) -> None:
    written(CONV, tmp_path / "c.json")
    result = accelint("contract", "code", tmp_path / "c.json", "--language", "swift")
    assert result.returncode == 2
    assert "there is kotlin, python" in result.stderr


def test_names_are_literals_in_every_language(tmp_path: Path) -> None:
    """A name cannot leave its quotes: the Python code is run with it."""
    name = 'a"; import os #${x}\\(y)\n\u202e'
    info = [helper.make_tensor_value_info(item, TensorProto.FLOAT, [1]) for item in (name, "y")]
    graph = helper.make_graph([helper.make_node("Relu", [name], ["y"])], "g", info[:1], info[1:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        tmp_path / "m.onnx",
    )
    written(tmp_path / "m.onnx", tmp_path / "c.json")
    source = code(tmp_path / "c.json", "python")
    made = module(source, tmp_path / "start.py")
    assert made.EXPECTED["inputs"] == [(name, "float32", [1])]
    for language in ("python", "kotlin"):
        assert "\u202e" not in code(tmp_path / "c.json", language)
    assert "\\${x}" in code(tmp_path / "c.json", "kotlin")


def test_the_installed_command_writes_to_standard_output() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "accelint", "contract", "write", CONV],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(result.stdout)["format"] == "onnx"
