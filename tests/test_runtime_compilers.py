"""Compilers and runtimes with environments of their own: what is here is asked through real files, what is
not says how to get it.
"""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import tflite_models as tflite
from accelint.analyzer.errors import RuntimeFailure, UsageError
from accelint.analyzer.runtimes import Answer, Request, Session, catalog, environments, runtimes, tensors
from accelint.analyzer.runtimes.workers.vela import reasons
from onnx import helper, numpy_helper

HERE = {item.name: item for item in runtimes()}


def needs(name: str) -> pytest.MarkDecorator:
    info = HERE[name]
    return pytest.mark.skipif(not info.available, reason=f"needs {info.missing}: {info.command}")


def ask(name: str, model: Path, **options: object) -> Answer:
    with Session(name, timeout=120) as session:
        return session.ask(Request(model, options=options))


def devices(answer: Answer) -> list[str]:
    assert answer.ok, answer
    return [item.device for item in answer.placement]


def quantized(path: Path, kinds: list[str], names: list[str]) -> Path:
    """A chain of int8 operators with scales; repeated names are allowed in the format."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(
        tflite.chain(path, kinds, shape=(1, 8, 8, 16), dtype=tflite.I8).read_bytes(), 0
    )
    for tensor, name in zip(model.subgraphs[0].tensors, names, strict=True):
        tensor.name = name
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [0.05], [0]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


@needs("litert/ethos-u")
class TestVela:
    @pytest.mark.parametrize("chip", ["u55", "u65", "u85"])
    def test_partitions_and_reasons(self, chip: str, tmp_path: Path) -> None:
        model = quantized(tmp_path / "m.tflite", ["ABS", "FLOOR", "ABS", "TANH"], list("abcde"))
        answer = ask(f"litert/ethos-u:{chip}", model)
        assert devices(answer) == ["accelerator", "cpu", "accelerator", "accelerator"]
        assert [item.partition for item in answer.placement] == [0, None, 1, 1]
        assert answer.partitions == 2
        assert "nsupported" in answer.placement[1].reason
        assert answer.runtime.startswith("ethos-u-vela ")

    def test_tensors_of_one_name(self, tmp_path: Path) -> None:
        """Vela tells of operators by the names of tensors, which need not be distinct."""
        model = quantized(tmp_path / "m.tflite", ["ABS", "FLOOR", "ABS"], ["same"] * 4)
        answer = ask("litert/ethos-u:u55", model)
        assert devices(answer) == ["accelerator", "cpu", "accelerator"]
        assert "acl:" not in answer.placement[1].reason

    def test_bodies_of_a_loop(self, tmp_path: Path) -> None:
        answer = ask("litert/ethos-u:u55", tflite.loop(tmp_path / "m.tflite"))
        assert {item.id: item.device for item in answer.placement} == dict.fromkeys(
            ["main/0", "sg1/0", "sg2/0", "sg2/1", "sg2/2"], "cpu"
        )

    def test_floating_point_is_left_to_the_cpu(self, tmp_path: Path) -> None:
        answer = ask("litert/ethos-u:u55", tflite.chain(tmp_path / "m.tflite", ["ABS", "TANH"]))
        assert devices(answer) == ["cpu", "cpu"]
        assert answer.partitions == 0
        assert "Float32" in answer.placement[0].reason

    def test_a_file_that_is_no_model(self, tmp_path: Path) -> None:
        path = tmp_path / "m.tflite"
        path.write_bytes(b"no model" * 9)
        assert ask("litert/ethos-u:u55", path).status == "refused"


def test_velas_words_are_read_per_operator() -> None:
    printed = (
        "noise\nWarning (supported operators) operator: ADD, ofm: 'a 'quoted' name'\nReason: "
        "first\nmore of it\n\nother noise\n"
        "Warning (tflite semantic) operator: ADD, ofm: 'a 'quoted' name'\nReason: second\n"
    )
    assert reasons(printed) == {"a 'quoted' name": "first more of it / second"}


@needs("litert/intel-npu")
class TestIntelNpu:
    @pytest.mark.parametrize("chip", ["ptl", "lnl"])
    def test_partitions(self, chip: str, tmp_path: Path) -> None:
        model = tflite.chain(tmp_path / "m.tflite", ["ABS", "EXP", "NEG", "TANH"])
        answer = ask(f"litert/intel-npu:{chip}", model)
        assert devices(answer) == ["accelerator", "accelerator", "cpu", "accelerator"]
        assert [item.partition for item in answer.placement] == [0, 0, None, 1]
        assert answer.partitions == 2
        assert answer.notes["counts"] == {"selected": 3, "left": 1}

    def test_bodies_of_a_loop(self, tmp_path: Path) -> None:
        answer = ask("litert/intel-npu", tflite.loop(tmp_path / "m.tflite"))
        assert {item.id: item.device for item in answer.placement} == {
            "main/0": "cpu", **dict.fromkeys(["sg1/0", "sg2/0", "sg2/1", "sg2/2"], "accelerator"),
        }  # fmt: skip
        assert answer.partitions == 2


def onnx_model(path: Path) -> Path:
    weight = numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "w")
    made = [("Conv", ["x", "w"], "a"), ("HardSwish", ["a"], "b"), ("Det", ["b"], "c"), ("Relu", ["c"], "y")]
    nodes = [helper.make_node(kind, reads, [write]) for kind, reads, write in made]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [info("x", 1, [1, 3, 7, 7])], [info("y", 1, None)], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


@needs("onnxruntime/openvino")
def test_openvino(tmp_path: Path) -> None:
    answer = ask("onnxruntime/openvino", onnx_model(tmp_path / "m.onnx"))
    assert devices(answer) == ["accelerator", "accelerator", "cpu", "accelerator"]
    assert answer.partitions == 2
    assert answer.runtime.startswith("onnxruntime-openvino ")


@needs("onnxruntime/webgpu")
@pytest.mark.vulkan
def test_webgpu_tells_every_node_by_its_profiler(tmp_path: Path) -> None:
    answer = ask("onnxruntime/webgpu", onnx_model(tmp_path / "m.onnx"))
    assert devices(answer) == ["accelerator", "accelerator", "cpu", "accelerator"]
    assert answer.placement[1].reason == "decomposed into 2 operators"
    assert answer.partitions is None


@needs("onnxruntime/webgpu")
@pytest.mark.vulkan
def test_webgpu_computes(tmp_path: Path) -> None:
    model = onnx_model(tmp_path / "m.onnx")
    feed = tensors.write(
        tmp_path / "in.npz", {"x": np.random.default_rng(0).normal(size=(1, 3, 7, 7)).astype(np.float32)}
    )
    found = []
    for name in ("onnxruntime/cpu", "onnxruntime/webgpu"):
        with Session(name, timeout=120) as session:
            found.append(session.ask(Request(model, feed, outputs=True)).tensors()["y"])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-3, atol=1e-3)


@needs("onnxruntime/webgpu")
@pytest.mark.vulkan
def test_where_to_cut_is_an_input_that_can_be_cut_at(tmp_path: Path) -> None:
    """The kernel aborts at a step of 0, which random integers may be."""
    info = helper.make_tensor_value_info
    inputs = [
        info("x", 1, [20, 10, 5]),
        *(info(name, 7, [2]) for name in ("starts", "ends", "axes", "steps")),
    ]
    graph = helper.make_graph(
        [helper.make_node("Slice", [item.name for item in inputs], ["y"])], "g", inputs, [info("y", 1, None)]
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=10),
        tmp_path / "m.onnx",
    )
    assert devices(ask("onnxruntime/webgpu", tmp_path / "m.onnx")) == ["accelerator"]


@needs("onnxruntime/webgpu")
@pytest.mark.vulkan
def test_half_precision_that_the_device_lacks_is_no_rejection(tmp_path: Path) -> None:
    """SwiftShader has no float16: the session ends while weights are put in order, which says nothing about
    other devices.
    """
    weights = onnx.numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float16), "w")
    inputs, outputs = (
        [helper.make_tensor_value_info("x", 10, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", 10, [1, 4, 6, 6])],
    )
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"])], "g", inputs, outputs, [weights])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9),
        tmp_path / "m.onnx",
    )
    with Session("onnxruntime/webgpu", timeout=120) as session:
        answer = session.ask(Request(tmp_path / "m.onnx"))
    assert answer.ok or (answer.status == "failed" and "float16" in answer.reason)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(environments, "root", lambda: tmp_path / "cache")
    return tmp_path


def offer(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    every = tuple(
        dataclasses.replace(item, isolated=packages) if item.name == "onnxruntime/openvino" else item
        for item in catalog.every()
    )
    monkeypatch.setattr(catalog, "every", lambda: every)


def wheel(folder: Path, name: str, version: str) -> Path:
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        archive.writestr(
            f"{stem}.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{stem}.dist-info/RECORD", "")
        archive.writestr("onnxruntime_standin.py", "")
    return path


def test_an_environment_is_built_told_of_and_removed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "--no-index", str(wheel(cache, "onnxruntime-openvino", "9.9")))
    said: list[str] = []
    runtime, _ = catalog.find("onnxruntime/openvino")
    assert not catalog.info(runtime).available
    home = environments.add(catalog.find("onnxruntime/openvino")[0], say=said.append)
    assert home.is_relative_to(cache)
    assert len(said) == 2
    info = catalog.info(runtime)
    assert (info.available, info.version) == (True, "9.9")
    assert catalog.python_of(runtime).is_relative_to(home)
    assert environments.remove("onnxruntime/openvino")
    assert not environments.remove("onnxruntime/openvino")
    assert not catalog.info(runtime).available


def test_an_environment_that_cannot_be_built_leaves_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, "--no-index", f"--find-links={cache}", "no-such-package==1.0")
    with pytest.raises(RuntimeFailure, match="no-such-package"):
        environments.add(catalog.find("onnxruntime/openvino")[0])
    assert environments.python("onnxruntime/openvino") is None
    assert not environments.folder("onnxruntime/openvino").exists()


def test_a_missing_environment_is_an_answer_with_the_command(cache: Path) -> None:
    answer = ask("onnxruntime/openvino", cache / "m.onnx")
    assert answer.status == "missing"
    assert "onnxruntime-openvino" in answer.reason
    assert answer.advice == "accelint runtimes add onnxruntime/openvino"


def test_only_isolated_runtimes_have_environments() -> None:
    with pytest.raises(UsageError, match=r"pip install 'accelint\[onnxruntime\]'"):
        environments.add(catalog.find("onnxruntime/cpu")[0])
