"""Core ML files written again: unedited ones stay what they were, edits arrive where they belong."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from accelint.analyzer.errors import UsageError
from accelint.analyzer.files import sha256
from accelint.analyzer.formats import emit, load
from accelint.analyzer.formats.coreml.reader import Stored
from accelint.analyzer.formats.coreml.schema import message
from accelint.analyzer.formats.coreml.writer import _write_spec
from accelint.analyzer.ir.graph import Constant, Operator, Tensor

ROOT = Path(__file__).parent.parent
FIXTURES = ROOT / "fixtures" / "coreml"
READABLE = sorted(path.name for path in FIXTURES.iterdir() if path.name != "trees.mlmodel")


def specification(path: Path) -> Any:
    """The whole specification of a file, nothing left out."""
    stored = load(path).stored
    assert isinstance(stored, Stored)
    return message("Model").FromString(stored.file.read_bytes())


@pytest.mark.parametrize("name", READABLE)
def test_an_unedited_model_is_written_as_it_was(name: str, tmp_path: Path) -> None:
    emit(load(FIXTURES / name), tmp_path / name)
    assert specification(tmp_path / name) == specification(FIXTURES / name)
    assert sha256(tmp_path / name) == sha256(FIXTURES / name)


@pytest.mark.parametrize("name", READABLE)
def test_what_was_left_in_the_file_is_put_back(name: str, tmp_path: Path) -> None:
    stored = load(FIXTURES / name).stored
    _write_spec(stored.spec, stored, tmp_path / "model.mlmodel")
    assert message("Model").FromString((tmp_path / "model.mlmodel").read_bytes()) == specification(
        FIXTURES / name
    )


def test_a_changed_attribute_moves_nothing_else(tmp_path: Path) -> None:
    model = load(FIXTURES / "conv_net.mlpackage")
    (op,) = [op for op in model.graph.ops() if op.type == "max_pool"]
    model.graph.update(op, attrs={**op.attrs, "kernel_sizes": (1, 2)})
    emit(model, tmp_path / "out.mlpackage")
    again = load(tmp_path / "out.mlpackage").graph
    assert [item.attrs.get("kernel_sizes") for item in again.ops()] == [None, None, (1, 2), None, None, None]
    before = [(item.type, item.name, item.inputs, item.outputs) for item in model.graph.ops()]
    assert [(item.type, item.name, item.inputs, item.outputs) for item in again.ops()] == before
    weights = "Data/com.apple.CoreML/weights/weight.bin"
    assert (tmp_path / "out.mlpackage" / weights).read_bytes() == (
        FIXTURES / "conv_net.mlpackage" / weights
    ).read_bytes()


def test_a_removed_operator_takes_its_constants_with_it(tmp_path: Path) -> None:
    model = load(FIXTURES / "control_flow.mlpackage")
    body = model.graph.op("main/1").graphs["body"]
    (add,) = [op for op in body.ops() if op.type == "add"]
    body.rewire(add.outputs[0] or "", body.inputs[0])
    body.set_interface(body.inputs, (body.inputs[0], body.outputs[1]))
    body.prune()
    emit(model, tmp_path / "out.mlpackage")
    again = load(tmp_path / "out.mlpackage").graph.op("main/1").graphs["body"]
    assert [op.type for op in again.ops()] == ["reduce_sum", "less", "cond"]
    text = str(specification(tmp_path / "out.mlpackage"))
    assert "add_1_y_0" not in text
    assert "small_y_1" in text


def test_new_operators_and_constants_are_written(tmp_path: Path) -> None:
    model = load(FIXTURES / "conv_net.mlpackage")
    graph = model.graph
    (relu,) = [op for op in graph.ops() if op.type == "relu"]
    new = Operator(
        graph.fresh_id(),
        "clip",
        relu.inputs,
        relu.outputs,
        {"input_names": ("x",), "alpha": 0.0, "beta": 6.0},
        "clipped",
    )
    graph.replace((relu,), (new,))
    (pool,) = [op for op in graph.ops() if op.type == "max_pool"]
    scale = Tensor("half", "float16", (), Constant("float16", (), inline=b"\x00\x38"))
    scaled = Tensor("scaled", "float16", graph.tensor("pool").shape)
    graph.add_tensor(scale)
    graph.add_tensor(scaled)
    mul = Operator(
        graph.fresh_id(), "mul", ("pool", "half"), ("scaled",), {"input_names": ("x", "y")}, "scaled"
    )
    graph.add_op(mul)
    graph.rewire("pool", "scaled", keep=(mul,))
    emit(model, tmp_path / "out.mlpackage")
    again = load(tmp_path / "out.mlpackage").graph
    assert [op.type for op in again.ops()] == [
        "conv",
        "clip",
        "max_pool",
        "mul",
        "reshape",
        "linear",
        "softmax",
    ]
    assert again.op(pool.id[:5] + again.ops()[1].id[5:]).attrs["beta"] == 6.0
    constant = again.tensor("half").const
    assert constant is not None
    assert constant.read() == 0.5


def test_a_frozen_input_is_frozen_in_the_description_too(tmp_path: Path) -> None:
    model = load(FIXTURES / "flexible.mlpackage")
    for name, shape in {"image": (1, 3, 16, 8), "image_out": (1, 3, 16, 8)}.items():
        model.graph.set_tensor(replace(model.graph.tensor(name), shape=shape, attrs={}))
    emit(model, tmp_path / "out.mlpackage")
    again = load(tmp_path / "out.mlpackage").graph
    assert again.tensor("image").shape == again.tensor("image_out").shape == (1, 3, 16, 8)
    assert "flexible" not in again.tensor("image").attrs
    assert again.tensor("rows").attrs["flexible"] == "range"


def test_network_layers_can_be_changed_and_removed(tmp_path: Path) -> None:
    model = load(FIXTURES / "network.mlmodel")
    graph = model.graph
    graph.rewire("act", "conv")
    graph.prune()
    pool = graph.op("main/2")
    graph.update(pool, attrs={**pool.attrs, "kernelSize": (3, 3)})
    emit(model, tmp_path / "out.mlmodel")
    again = load(tmp_path / "out.mlmodel").graph
    assert [op.type for op in again.ops()] == ["convolution", "pooling", "flatten", "innerProduct", "softmax"]
    assert again.op("main/1").attrs["kernelSize"] == (3, 3)
    assert again.op("main/3").attrs["weights"].raw() == graph.op("main/4").attrs["weights"].raw()


@pytest.mark.parametrize("name", ["conv_net.mlpackage", "network.mlmodel"])
def test_a_result_that_another_operator_gives_now(name: str, tmp_path: Path) -> None:
    """The last operator is left out, and the one before gives what it gave."""
    model = load(FIXTURES / name)
    graph = model.graph
    last = graph.producer(graph.outputs[0])
    assert last is not None
    before = graph.producer(last.inputs[0])
    assert before is not None
    result = last.outputs[0]
    graph.replace((last, before), (replace(before, outputs=(result,)),))
    emit(model, tmp_path / name)
    again = load(tmp_path / name).graph
    producer = again.producer(result)
    assert producer is not None
    assert (producer.type, again.outputs) == (before.type, graph.outputs)


def test_a_new_network_layer_is_rejected_and_nothing_is_written(tmp_path: Path) -> None:
    model = load(FIXTURES / "network.mlmodel")
    model.graph.add_tensor(Tensor("extra"))
    model.graph.add_op(Operator(model.graph.fresh_id(), "softmax", ("fc",), ("extra",)))
    with pytest.raises(UsageError, match="is new"):
        emit(model, tmp_path / "out.mlmodel")
    assert list(tmp_path.iterdir()) == []


def test_the_input_is_never_written_over() -> None:
    for name in ("network.mlmodel", "conv_net.mlpackage"):
        before = sha256(FIXTURES / name)
        with pytest.raises(UsageError, match="is the input"):
            emit(load(FIXTURES / name), FIXTURES / name)
        assert sha256(FIXTURES / name) == before


ORACLE = """
import sys, runpy
from pathlib import Path
import coremltools as ct
from coremltools.converters.mil.frontend.milproto.load import load
from coremltools.proto import Model_pb2
for path in map(Path, sys.argv[1].split(":")):
    spec = Model_pb2.Model.FromString((path / "Data/com.apple.CoreML/model.mlmodel").read_bytes())
    program = load(spec, spec.specificationVersion, str(path / "Data/com.apple.CoreML/weights"))
    for name, function in program.functions.items():
        print(path.name, name, *[op.op_type for op in function.operations if op.op_type != "const"])
derive = runpy.run_path(sys.argv[2])
formats = Path(sys.argv[2]).parents[2] / "analyzer" / "formats" / "coreml"
print("spec", derive["spec"]() == (formats / "spec.binpb").read_bytes())
"""


def test_coremltools_accepts_what_is_written_and_the_descriptors_are_its_own(tmp_path: Path) -> None:
    paths = []
    for name in ("conv_net", "control_flow", "palettized", "state"):
        model = load(FIXTURES / f"{name}.mlpackage")
        op = model.graph.ops()[-1]
        model.graph.update(op, name="renamed_by_the_test")
        emit(model, tmp_path / f"{name}.mlpackage")
        paths.append(str(tmp_path / f"{name}.mlpackage"))
    command = [
        sys.executable,
        "-c",
        ORACLE,
        ":".join(paths),
        str(ROOT / "tools" / "derive" / "coreml_schema.py"),
    ]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if "No module named 'coremltools'" in answer.stderr:
        pytest.skip("needs coremltools: pip install 'accelint[coreml]'")
    assert answer.returncode == 0, answer.stderr[-2000:]
    assert "conv_net.mlpackage main conv relu max_pool reshape linear softmax" in answer.stdout
    assert (
        "palettized.mlpackage main constexpr_lut_to_dense conv reduce_mean constexpr_lut_to_dense linear"
        in answer.stdout
    )
    assert "control_flow.mlpackage main while_loop identity" in answer.stdout
    assert "renamed_by_the_test" in str(specification(Path(paths[0])))
    assert "spec True" in answer.stdout
