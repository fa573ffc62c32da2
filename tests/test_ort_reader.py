"""Files of ONNX Runtime's own format, written by ONNX Runtime: read as the ONNX model that they hold."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from accelint.analyzer.errors import ModelError
from accelint.analyzer.formats import load
from cli import accelint
from onnx import TensorProto, helper, numpy_helper, save

pytestmark = pytest.mark.skipif(
    subprocess.run([sys.executable, "-c", "import onnxruntime"], capture_output=True).returncode != 0,
    reason="pip install 'accelint[onnxruntime]'",
)
CONVERT = """
import sys
import onnxruntime
options = onnxruntime.SessionOptions()
options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, sys.argv[3])
options.optimized_model_filepath = sys.argv[2]
options.add_session_config_entry("session.save_model_format", "ORT")
onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
"""
RUN = """
import json, sys
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.enable_profiling = True
options.profile_file_prefix = sys.argv[2]
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
session.run(None, {"x": numpy.ones((2, 64), numpy.float32), "flag": numpy.array(True)})
events = json.load(open(session.end_profiling()))
print(json.dumps([e["args"]["op_name"] for e in events if e["name"].endswith("_kernel_time")]))
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weight of 16 kB, sums of constants, a symbolic dimension, a text, lists and bodies."""
    value = helper.make_tensor_value_info

    def branch(name: str, kind: str) -> object:
        node = helper.make_node(kind, ["w"], [name], name=f"{name}/{kind}")
        return helper.make_graph([node], name, [], [value(name, TensorProto.FLOAT, [2, 64])])

    weight = numpy_helper.from_array(np.arange(4096, dtype=np.float32).reshape(64, 64) / 4096, "weight")
    small = numpy_helper.from_array(np.float32([1.0, 2.0]).reshape(2, 1), "small")
    nodes = [
        helper.make_node("Add", ["small", "small"], ["three"], name="constants"),
        helper.make_node("MatMul", ["x", "weight"], ["m"], name="product"),
        helper.make_node("Mul", ["m", "three"], ["n"], name="scaled"),
        helper.make_node("Einsum", ["n"], ["w"], name="same", equation="ij->ij"),
        helper.make_node(
            "If",
            ["flag"],
            ["y"],
            name="choice",
            then_branch=branch("a", "Relu"),
            else_branch=branch("b", "Neg"),
        ),
        helper.make_node("Transpose", ["x"], ["z"], name="turned", perm=[1, 0]),
    ]
    inputs = [value("x", TensorProto.FLOAT, ["batch", 64]), value("flag", TensorProto.BOOL, [])]
    outputs = [value("y", TensorProto.FLOAT, [2, 64]), value("z", TensorProto.FLOAT, [64, "batch"])]
    graph = helper.make_graph(nodes, "main", inputs, outputs, [weight, small])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {"license": "none"})
    path = tmp_path_factory.mktemp("ort") / "model.onnx"
    save(model, path)
    return path


def converted(source: Path, level: str) -> Path:
    target = source.with_name(f"{level}.ort")
    if not target.exists():
        command = [sys.executable, "-c", CONVERT, str(source), str(target), level]
        subprocess.run(command, check=True, capture_output=True)
    return target


@pytest.fixture(scope="module")
def stored(source: Path) -> Path:
    return converted(source, "ORT_DISABLE_ALL")


def test_the_graph_is_the_one_that_was_converted(source: Path, stored: Path) -> None:
    onnx, ort = load(source), load(stored)
    assert (ort.format, ort.dialect) == ("ort", "onnx")
    assert ort.metadata["ort_version"] and ort.metadata["properties"] == {"license": "none"}
    assert ort.graph.inputs == onnx.graph.inputs and ort.graph.outputs == onnx.graph.outputs
    assert ort.graph.opsets[""] == 18
    assert Counter(op.type for _, op in ort.operators()) == Counter(op.type for _, op in onnx.operators())
    for name, tensor in onnx.graph.tensors.items():
        found = ort.graph.tensor(name)
        assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape), name
    by_name = {op.name: op for op in ort.graph.ops()}
    assert by_name["turned"].attrs["perm"] == (1, 0)
    assert by_name["same"].attrs["equation"] == "ij->ij"
    assert sorted(by_name["choice"].graphs) == ["else_branch", "then_branch"]


def test_weights_stay_in_the_file_and_are_those_that_were_converted(source: Path, stored: Path) -> None:
    onnx, ort = load(source), load(stored)
    for name in ("weight", "small"):
        constant = ort.graph.constant(name)
        expected = onnx.graph.constant(name)
        assert constant is not None and expected is not None
        assert np.array_equal(constant.read(), expected.read())
    large = ort.graph.constant("weight")
    assert large is not None and large.file == stored


def test_onnx_runtime_optimizes_no_such_file_and_neither_does_a_check(
    source: Path, stored: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", RUN, str(stored), str(tmp_path / "profile")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    ran = json.loads(done.stdout)
    assert "Add" in ran, "constants are folded at the default level of an ONNX file"

    def operators(path: Path) -> list[str]:
        told = accelint("check", path, "--target", "onnxruntime/cpu", "--format", "json")
        target = json.loads(told.stdout)["models"][0]["targets"][0]
        assert target["verdict"] == "full"
        return [op["type"] for op in target["operators"] if op["verdict"] == "accelerated"]

    assert Counter(operators(stored)) >= Counter(ran)
    assert "Add" not in operators(source)


def test_what_was_optimized_before_is_what_is_checked(source: Path) -> None:
    types = [op.type for op in load(converted(source, "ORT_ENABLE_BASIC")).graph.ops()]
    assert "Add" not in types and "MatMul" in types


@pytest.mark.parametrize("command", [("fix", "--target", "onnxruntime/cpu", "-o", "out.onnx"),
                                     ("verify", "--target", "onnxruntime/cpu")])  # fmt: skip
def test_commands_that_need_the_onnx_model_say_so(
    command: tuple[str, ...], stored: Path, tmp_path: Path
) -> None:
    options = [str(tmp_path / item) if item == "out.onnx" else item for item in command[1:]]
    done = accelint(command[0], stored, *options)
    assert done.returncode == 2 and "give the ONNX model" in done.stderr


def test_damaged_files_are_errors(stored: Path, tmp_path: Path) -> None:
    whole = stored.read_bytes()
    path = tmp_path / "damaged.ort"
    for step in range(8, len(whole) - 17000, 97):
        path.write_bytes(whole[:step])
        with pytest.raises(ModelError):
            load(path)
    for place in range(8, min(len(whole), 9000), 41):
        path.write_bytes(whole[:place] + b"\xff\xff\xff\x7f" + whole[place + 4 :])
        try:
            load(path)
        except ModelError as error:
            assert error.message
