"""Compiled and zipped Core ML models are the models that they were made of; hostile ones are refused."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from accelint.analyzer.errors import ModelError
from accelint.analyzer.formats import load
from accelint.analyzer.formats.coreml.miltext import MilTextError, program
from accelint.analyzer.ir.graph import Graph
from cli import ROOT, accelint, report
from mil_text import compiled

FIXTURES = ROOT / "fixtures" / "coreml"
CASES = ROOT / "fixtures" / "reported" / "coreml"
PACKAGES = sorted([*FIXTURES.glob("*.mlpackage"), *CASES.glob("*.mlpackage")])
SAMPLE = """program(1.0)
[buildInfo = dict<tensor<string, []>, tensor<string, []>>({{"coremlc-component-MIL", "5.33.5"}, {"x", ""}})]
{
    func main<ios16>(tensor<fp16, [1, 3, ?, 8]> image)
        [FlexibleShapeInformation = tuple<tuple<tensor<string, []>>>()] {
            tensor<fp16, []> h = const()[name = tensor<string, []>("h"), val = tensor<fp16, []>(0x1.8p-1)];
            tensor<fp16, [1, 3, ?, 8]> sum = add(x = image, y = h)[name = tensor<string, []>("5, \\"x\\"")];
            tensor<int32, []> axis = const()[name = tensor<string, []>("a"), val = tensor<int32, []>(-1)];
            tensor<fp16, [1, 3, ?, 8]> out = softmax(axis = axis, x = sum)[name = tensor<string, []>("out")];
        } -> (out);
}"""


def told(graph: Graph) -> list[object]:
    """What a graph says, its files apart."""
    rows: list[object] = [graph.inputs, graph.outputs]
    for _, op in graph.walk():
        attrs = {key: value for key, value in op.attrs.items() if not hasattr(value, "raw")}
        rows.append((op.type, op.inputs, op.outputs, op.version, repr(sorted(attrs.items()))))
        for tensor in graph.output_tensors(op):
            rows.append(None if tensor is None else (tensor.name, tensor.dtype, tensor.shape))
        for name in op.inputs:
            constant = graph.constant(name)
            rows.append(None if constant is None else (constant.dtype, constant.shape, constant.raw()))
    return rows


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.stem)
def test_a_compiled_program_is_the_package_that_it_was_made_of(package: Path, tmp_path: Path) -> None:
    made, stored = load(compiled(package, tmp_path / "model.mlmodelc")), load(package)
    assert made.format == "mlmodelc"
    assert set(made.graphs) == set(stored.graphs)
    for name, graph in stored.graphs.items():
        assert told(made.graphs[name]) == told(graph), name
        flexible = [graph.tensor(item).attrs.get("bounds") for item in graph.inputs]
        assert [made.graphs[name].tensor(item).attrs.get("bounds") for item in graph.inputs] == flexible


def test_the_text_of_an_older_compiler(tmp_path: Path) -> None:
    (tmp_path / "model.mil").write_text(SAMPLE)
    graph = load(tmp_path).graph
    add, softmax = graph.ops()
    assert (add.name, add.type, softmax.attrs["axis"], add.version) == ('5, "x"', "add", -1, 16)
    assert graph.constant(add.inputs[1]).numbers() == [0.75]  # type: ignore[union-attr]
    assert graph.tensor("image").shape == (1, 3, None, 8)


def test_a_compiled_model_is_checked_like_its_package(tmp_path: Path) -> None:
    folder = compiled(CASES / "a08_pad_reflect_d2.mlpackage", tmp_path / "pad.mlmodelc")
    result = accelint("check", folder, "--target", "coreml/cpu")
    assert result.returncode == 1 and "pad-outside-the-last-two-axes" in result.stdout


def test_a_compiled_pipeline_has_one_graph_for_each_model(tmp_path: Path) -> None:
    for index, name in enumerate(("conv_net", "palettized")):
        compiled(FIXTURES / f"{name}.mlpackage", tmp_path / f"model{index}")
    (tmp_path / "model2").mkdir()
    (tmp_path / "model2" / "coremldata.bin").write_bytes(b"x")
    about = [{"modelType": {"name": "MLModelType_nonMaximumSuppression"}}]
    (tmp_path / "model2" / "metadata.json").write_text(json.dumps(about))
    (tmp_path / "coremldata.bin").write_bytes(b"x")
    model = load(tmp_path)
    assert sorted(model.graphs) == ["model0", "model1", "model2"]
    assert [op.type for op in model.graphs["model2"].ops()] == ["nonMaximumSuppression"]


def test_a_compiled_network_is_rejected_with_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "coremldata.bin").write_bytes(b"x")
    (tmp_path / "metadata.json").write_text('[{"modelType": {"name": "MLModelType_neuralNetwork"}}]')
    with pytest.raises(ModelError, match=r"compiled NeuralNetwork.*give the \.mlmodel"):
        load(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("add(", "add((", 1),
        lambda text: text.replace("fp16", "fp17"),
        lambda text: text.replace("[1, 3, ?, 8]", "[" * 500),
        lambda text: text.replace("tensor<fp16, [1, 3, ?, 8]> image", "list<" * 500 + "fp16"),
        lambda text: text.replace("(-1)", "(99999999999999)"),
        lambda text: text.replace("(0x1.8p-1)", "(0x1.8p9999)"),
        lambda text: text.replace("x = sum", "x = nowhere"),
        lambda text: text.replace(" -> (out)", " -> (nowhere)"),
        lambda text: "",
    ],
)
def test_damaged_texts_are_rejected(damage, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert damage(SAMPLE) != SAMPLE
    (tmp_path / "model.mil").write_text(damage(SAMPLE))
    with pytest.raises(ModelError):
        load(tmp_path)


def test_weights_outside_of_the_folder_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\0" * 256)
    folder = compiled(FIXTURES / "conv_net.mlpackage", tmp_path / "model.mlmodelc")
    text = (folder / "model.mil").read_text()
    (folder / "model.mil").write_text(text.replace("@model_path/weights/weight.bin", "@model_path/../secret"))
    with pytest.raises(ModelError, match="outside the model's folder"):
        load(folder)


def test_a_text_without_an_end_takes_no_time() -> None:
    with pytest.raises(MilTextError):
        program("program(1.0)\n{" + " func f<ios16>(" * 200_000)


# ---- zip archives ------------------------------------------------------------------------------


def packed(folder: Path, target: Path, *, prefix: str) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{prefix}{file.relative_to(folder)}")
        archive.writestr("__MACOSX/._Manifest.json", b"x")
    return target


@pytest.mark.parametrize("prefix", ["", "conv_net.mlpackage/", "out/conv_net.mlpackage/"])
def test_a_zipped_package_is_the_package(prefix: str, tmp_path: Path) -> None:
    package = FIXTURES / "conv_net.mlpackage"
    path = packed(package, tmp_path / "model.mlpackage.zip", prefix=prefix)
    model = load(path)
    assert model.path == path and model.format == "mlpackage"
    assert told(model.graph) == told(load(package).graph)


def test_zipped_files_and_compiled_models(tmp_path: Path) -> None:
    file = tmp_path / "network.mlmodel.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.write(FIXTURES / "network.mlmodel", "network.mlmodel")
    assert [op.type for op in load(file).graph.ops()] == [
        op.type for op in load(FIXTURES / "network.mlmodel").graph.ops()
    ]
    folder = compiled(FIXTURES / "conv_net.mlpackage", tmp_path / "x.mlmodelc")
    assert load(packed(folder, tmp_path / "x.zip", prefix="x.mlmodelc/")).format == "mlmodelc"
    (model,) = report("check", file, "--target", "coreml/cpu")["models"]
    assert model["targets"][0]["verdict"] == "full"


def test_what_was_unpacked_goes_with_the_model(tmp_path: Path) -> None:
    path = packed(FIXTURES / "conv_net.mlpackage", tmp_path / "model.zip", prefix="")
    model = load(path)
    (stem,) = [op for op in model.graph.ops() if op.type == "conv"][:1]
    file = model.graph.constant(stem.inputs[1]).file  # type: ignore[union-attr]
    assert file is not None and file.is_file()
    del model, stem
    import gc

    gc.collect()
    assert not file.exists()


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("../Manifest.json", "zip archive"),
        ("a.mlpackage/../../x", "outside"),
        ("/Manifest.json", "zip archive|outside"),
    ],
)
def test_names_that_lead_out_are_rejected(name: str, match: str, tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.mlpackage/Manifest.json", b"{}")
        archive.writestr(name, b"x")
    with pytest.raises(ModelError, match=match):
        load(path)
    assert not (tmp_path / "x").exists()


def test_a_bomb_and_a_link_are_rejected(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Manifest.json", b"{}")
        archive.writestr("Data/weights/weight.bin", b"\0" * (100 << 20))
    with pytest.raises(ModelError, match="bytes in an archive of"):
        load(bomb)
    link = tmp_path / "link.zip"
    with zipfile.ZipFile(link, "w") as archive:
        archive.writestr("Manifest.json", b"{}")
        entry = zipfile.ZipInfo("Data")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc")
    with pytest.raises(ModelError, match="is a link"):
        load(link)


def test_an_archive_with_two_models_is_none(tmp_path: Path) -> None:
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a", "b"):
            archive.write(FIXTURES / "network.mlmodel", f"{name}.mlmodel")
    with pytest.raises(ModelError, match="zip archive"):
        load(path)


def test_a_folder_of_compiled_models_is_searched(tmp_path: Path) -> None:
    compiled(FIXTURES / "conv_net.mlpackage", tmp_path / "a.mlmodelc")
    shutil.copytree(FIXTURES / "conv_net.mlpackage", tmp_path / "b.mlpackage")
    models = report("check", tmp_path, "--target", "coreml/cpu")["models"]
    assert [Path(item["path"]).name for item in models] == ["a.mlmodelc", "b.mlpackage"]
