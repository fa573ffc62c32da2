"""Files that are damaged, hostile or not models: one clear error with the path and what to do, exit code 3,
nothing written.
"""

from __future__ import annotations

import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from cli import accelint, report
from onnx import TensorProto, helper

FIXTURES = Path(__file__).parent.parent / "fixtures"
ONNX = FIXTURES / "demo" / "encoder.onnx"
TFLITE = FIXTURES / "demo" / "denoiser.tflite"
MLMODEL = FIXTURES / "coreml" / "network.mlmodel"
QNN = "onnxruntime/qnn:sm8650"
TARGETS = {".onnx": QNN, ".tflite": "litert/xnnpack", ".mlmodel": "coreml/ane:m4"}


def rejected(path: Path, target: str = QNN) -> str:
    """The error of a file that cannot be read, after checking how it is told."""
    before = snapshot(path.parent)
    result = accelint("check", path, "--target", target)
    assert result.returncode == 3, (result.returncode, result.stdout, result.stderr)
    entry = report("check", path, "--target", target, code=3)["models"][0]
    assert entry["error"]["kind"] == "unreadable"
    assert str(path) in entry["error"]["message"]
    assert "cannot be read" in result.stdout
    assert len(entry["error"]["message"]) < 1500
    out = path.with_name("fixed.out")
    assert accelint("fix", path, "--target", target, "-o", out).returncode == 3
    assert not out.exists()
    assert snapshot(path.parent) == before
    return str(entry["error"]["message"])


def snapshot(folder: Path) -> dict[str, int]:
    return {str(file.relative_to(folder)): file.lstat().st_size for file in folder.rglob("*")}


@pytest.mark.parametrize("source", [ONNX, TFLITE, MLMODEL], ids=lambda path: path.suffix)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_truncated_file(source: Path, share: float, tmp_path: Path) -> None:
    data = source.read_bytes()
    path = tmp_path / f"cut{source.suffix}"
    path.write_bytes(data[: int(len(data) * share)])
    rejected(path, TARGETS[source.suffix])


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12\n", "git lfs pull"),
        (random.Random(0).randbytes(5000), "not a model file"),
        (b"\x00" * 4096, "not a model file"),
        (b'{"model": 1}', "text file"),
        (b"\x89HDF\r\n\x1a\n" + b"\x00" * 100, "HDF5"),
        (b"\x18\x00\x00\x00TFL2" + b"\x00" * 100, "not a model file"),
        (b"\x18\x00\x00\x00TFL3" + b"\xff" * 200, "weird.bin"),
        (b"PK\x03\x04" + b"\x00" * 50, "zip"),
    ],
    ids=["empty", "lfs", "random", "zeros", "json", "hdf5", "magic", "flatbuffer", "zip"],
)
def test_a_file_that_is_no_model(content: bytes, word: str, tmp_path: Path) -> None:
    path = tmp_path / "weird.bin"
    path.write_bytes(content)
    assert word in rejected(path)


def test_a_zip_and_a_folder_that_are_no_models(tmp_path: Path) -> None:
    path = tmp_path / "archive.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "no Keras v3 file" in rejected(path)
    folder = tmp_path / "empty-folder"
    folder.mkdir()
    result = accelint("check", folder, "--target", "litert/gpu")
    assert result.returncode == 2
    assert "holds no models" in result.stderr


def graph_with(
    nodes: list[onnx.NodeProto], edit: Callable[[onnx.ModelProto], None] = lambda model: None
) -> onnx.ModelProto:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 2]) for name in ("x", "y")]
    model = helper.make_model(
        helper.make_graph(nodes, "g", value[:1], value[1:]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    edit(model)
    return model


RELU = helper.make_node("Relu", ["x"], ["y"])


def external(location: str) -> Callable[[onnx.ModelProto], None]:
    def edit(model: onnx.ModelProto) -> None:
        tensor = TensorProto(
            name="w", data_type=TensorProto.FLOAT, dims=[2, 2], data_location=TensorProto.EXTERNAL
        )
        for key, value in (("location", location), ("offset", "0"), ("length", "16")):
            tensor.external_data.add(key=key, value=value)
        model.graph.initializer.append(tensor)

    return edit


@pytest.mark.parametrize(
    ("model", "word"),
    [
        (graph_with([helper.make_node("Add", ["x", "nobody"], ["y"])]), "nobody"),
        (graph_with([RELU, helper.make_node("Tanh", ["x"], ["y"])]), "'y'"),
        (
            graph_with(
                [
                    helper.make_node("Add", ["x", "b"], ["a"]),
                    helper.make_node("Relu", ["a"], ["b"]),
                    helper.make_node("Relu", ["b"], ["y"]),
                ]
            ),
            "cycle",
        ),
        (graph_with([RELU], external("missing.bin")), "missing.bin"),
        (graph_with([RELU], external("../outside.bin")), "outside"),
        (graph_with([RELU], external("/etc/passwd")), "/etc/passwd"),
        (graph_with([RELU], external("link.bin")), "link.bin"),
        (graph_with([RELU], external("short.bin")), "short.bin"),
        (graph_with([RELU], external("lfs.bin")), "lfs"),
    ],
    ids=[
        "dangling",
        "duplicate",
        "cycle",
        "missing-data",
        "dotdot",
        "absolute",
        "symlink",
        "short-data",
        "lfs-data",
    ],
)
def test_a_broken_onnx_graph(model: onnx.ModelProto, word: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "outside.bin").write_bytes(b"\x00" * 64)
    (folder / "link.bin").symlink_to(tmp_path / "outside.bin")
    (folder / "short.bin").write_bytes(b"\x00" * 3)
    (folder / "lfs.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 16\n")
    onnx.save_model(model, folder / "broken.onnx") if not model.graph.initializer else (
        folder / "broken.onnx"
    ).write_bytes(model.SerializeToString())
    assert word in rejected(folder / "broken.onnx")


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    data = graph_with([helper.make_node("Relu", ["x"], ["y"], name="NAMENAME")]).SerializeToString()
    path = tmp_path / "latin.onnx"
    path.write_bytes(data.replace(b"NAMENAME", b"N\xc4ME\xff\xfeME"))
    rejected(path)


def test_shapes_beyond_reason(tmp_path: Path) -> None:
    def huge(model: onnx.ModelProto) -> None:
        model.graph.initializer.append(
            TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2**62, 2**62], raw_data=b"1234")
        )

    path = tmp_path / "huge.onnx"
    path.write_bytes(graph_with([RELU], huge).SerializeToString())
    rejected(path)


def test_an_unknown_operator_is_a_finding_and_not_an_error(tmp_path: Path) -> None:
    path = tmp_path / "unknown.onnx"
    onnx.save(graph_with([helper.make_node("Frobnicate", ["x"], ["y"], domain="com.example")]), path)
    target = report("check", path, "--target", QNN, code=1)["models"][0]["targets"][0]
    assert [item["code"] for item in target["findings"]] == ["ACL204"]
    assert target["verdict"] == "none"


def test_an_unknown_dtype_is_an_error_about_the_file(tmp_path: Path) -> None:
    def odd(model: onnx.ModelProto) -> None:
        model.graph.initializer.append(TensorProto(name="w", data_type=99, dims=[1], raw_data=b"1234"))

    path = tmp_path / "odd.onnx"
    path.write_bytes(graph_with([RELU], odd).SerializeToString())
    assert "99" in rejected(path)


def test_a_manifest_that_leads_outside(tmp_path: Path) -> None:
    package = tmp_path / "evil.mlpackage"
    shutil.copytree(FIXTURES / "coreml" / "conv_net.mlpackage", package)
    manifest = package / "Manifest.json"
    manifest.chmod(0o644)
    manifest.write_text(
        manifest.read_text().replace("com.apple.CoreML/model.mlmodel", "../../../../etc/passwd")
    )
    rejected(package, "coreml/ane:m4")


def test_the_output_is_never_the_input(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    shutil.copyfile(ONNX, path)
    before = path.read_bytes()
    result = accelint("fix", path, "--target", QNN, "--freeze", "tokens=1x8", "-o", path)
    assert result.returncode == 2
    assert "is the input" in result.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("freeze", "hint"),
    [
        ("tokns=1x8", "did you mean tokens"),
        ("tokens=1x8x3", "tokens"),
        ("tokens=axb", "tokens"),
        ("tokens=0x8", "tokens"),
        ("", "--freeze"),
    ],
)
def test_a_bad_freeze_is_wrong_usage(freeze: str, hint: str, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    result = accelint("fix", ONNX, "--target", QNN, "--freeze", freeze, "-o", out)
    assert result.returncode == 2, result.stdout + result.stderr
    assert hint in result.stderr
    assert not out.exists()
