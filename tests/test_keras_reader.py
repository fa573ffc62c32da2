"""Keras v3 files: judged before Keras sees them, built in a worker, and no code of theirs is ever run."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from accelint.analyzer.errors import MissingExtraError, ModelError
from accelint.analyzer.formats import load
from accelint.analyzer.formats.keras import reader as keras_reader
from accelint.analyzer.formats.keras.config import objection
from tf_models import FIXTURES, built, needs_tensorflow

CONVNET = FIXTURES / "convnet.keras"


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.getbasetemp())


def config_with(layer: dict[str, Any]) -> dict[str, Any]:
    with zipfile.ZipFile(CONVNET) as archive:
        config: dict[str, Any] = json.loads(archive.read("config.json"))
    config["config"]["layers"].append(layer)
    return config


def keras_file(path: Path, config: Any) -> Path:
    with zipfile.ZipFile(CONVNET) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, json.dumps(config) if name == "config.json" else old.read(name))
    return path


def layer(module: str | None, name: str, registered: str | None = None, **settings: Any) -> dict[str, Any]:
    return {
        "module": module,
        "class_name": name,
        "registered_name": registered,
        "config": {"name": "mine", **settings},
    }


CODE = {"class_name": "__lambda__", "config": {"code": "4wEAAA==", "defaults": None, "closure": None}}


@pytest.mark.parametrize(
    ("added", "problem"),
    [
        (layer("keras.layers", "Lambda", function=CODE), "layer 'mine' is a Lambda: Python code"),
        (layer("keras.layers", "Activation", activation=CODE), "layer 'mine' is a Lambda"),
        (layer("keras.layers", "TFSMLayer", filepath="/etc"), "runs another SavedModel"),
        (layer("keras.layers", "TorchModuleWrapper", pickled="gASV"), "pickled PyTorch module"),
        (layer(None, "Attention2", "shop>Attention2"), "the custom class 'Attention2'"),
        (layer("shop.layers", "Attention2"), "the custom class 'Attention2' of module 'shop.layers'"),
        (layer("os", "system"), "the custom class 'system' of module 'os'"),
        (layer("keras.utils", "get_file"), "custom class 'get_file'"),
        (layer("keras.src.utils.file_utils", "get_file"), "custom class 'get_file'"),
        (layer("keras.src.saving.serialization_lib", "enable_unsafe_deserialization"), "custom class"),
        (layer("keras", "config"), "custom class 'config'"),
        (layer("keras_evil.layers", "Dense"), "module 'keras_evil.layers'"),
        (
            layer("keras.layers", "StringLookup", vocabulary="/etc/passwd"),
            "reads its vocabulary from the file '/etc/passwd'",
        ),
        (
            layer(
                "keras.layers",
                "Activation",
                activation={"module": "builtins", "class_name": "function", "config": "eval"},
            ),
            "the custom function 'eval'",
        ),
        (
            layer(
                "keras.layers", "Dense", spec={"class_name": "__typespec__", "module": "os", "spec_name": "x"}
            ),
            "the module 'os'",
        ),
        ({"class_name": ["Dense"], "config": {}}, "a class name that is no text"),
    ],
)
def test_what_would_run_or_import_code_is_rejected(
    added: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    path = keras_file(tmp_path / "model.keras", config_with(added))
    with pytest.raises(ModelError) as caught:
        load(path)
    assert problem in caught.value.message
    assert str(path) in caught.value.message
    assert caught.value.advice


@pytest.mark.parametrize(
    "added",
    [
        layer(
            "keras.layers",
            "Dense",
            kernel_initializer={"module": "keras.initializers", "class_name": "Zeros", "config": {}},
        ),
        layer("keras.src.ops.numpy", "Sum", "Sum"),
        layer("keras.layers", "StringLookup", vocabulary=["a", "b"]),
        layer(
            "keras.layers",
            "Dense",
            dtype={"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}},
        ),
        {"class_name": "__keras_tensor__", "config": {"shape": [None, 3]}},
    ],
)
def test_keras_own_objects_pass(added: dict[str, Any]) -> None:
    assert objection(config_with(added)) is None


def test_losses_and_optimizers_are_not_loaded_and_not_judged() -> None:
    config = config_with(layer("keras.layers", "Dense"))
    config["compile_config"] = {"loss": layer("shop.losses", "Focal")}
    assert objection(config) is None


@pytest.mark.parametrize("config", ["[]", "{}", '"text"', "{", "[" * 100_000, "\xff"])
def test_a_configuration_that_is_none(config: str, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", config.encode("latin-1"))
        archive.writestr("metadata.json", "{}")
    with pytest.raises(ModelError) as caught:
        keras_reader.read(path)
    assert str(path) in caught.value.message


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_off(cut: float, tmp_path: Path) -> None:
    data = CONVNET.read_bytes()
    (tmp_path / "model.keras").write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(ModelError, match=r"model\.keras"):
        load(tmp_path / "model.keras")


def test_without_tensorflow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras_reader, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'accelint\[tensorflow\]'"):
        load(CONVNET)


@pytest.mark.tensorflow
@needs_tensorflow
def test_a_keras_file_becomes_the_graph_that_keras_exports() -> None:
    program = f"""
import sys
from accelint import load
model = load({str(CONVNET)!r})
assert (model.format, model.dialect) == ("keras", "tf"), model
types = [op.type for op in model.graph.ops()]
assert types == [op.type for op in load({str(FIXTURES / "convnet")!r}).graph.ops()], types
assert model.metadata["layers"][1] == {{"name": "conv", "class": "Conv2D"}}, model.metadata
kernel = next(op for op in model.graph.ops() if op.type == "Conv2D").inputs[1]
assert model.graph.tensor(kernel).const.read().shape == (3, 3, 3, 4)
assert not {{"tensorflow", "keras"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.tensorflow
@needs_tensorflow
@pytest.mark.parametrize("name", ["lambda", "module", "helper"])
def test_malicious_files_run_nothing(models: Path, name: str) -> None:
    path = models / f"{name}.keras"
    with pytest.raises(ModelError):
        load(path)
    assert not Path(f"{path}.ran").exists()


@pytest.mark.tensorflow
@needs_tensorflow
@pytest.mark.parametrize("name", ["lambda", "helper"])
def test_the_worker_alone_runs_nothing_either(models: Path, name: str, tmp_path: Path) -> None:
    """Keras's safe mode stands behind the judgement of the configuration."""
    path = models / f"{name}.keras"
    with pytest.raises(ModelError, match="Keras cannot build it"):
        keras_reader.export(path, tmp_path / "out")
    assert not Path(f"{path}.ran").exists()


@pytest.mark.tensorflow
@needs_tensorflow
def test_the_payload_would_run_without_safe_mode(models: Path) -> None:
    """The malicious fixture is real: loaded unsafely and called, it leaves its mark."""
    path = models / "lambda.keras"
    program = f"""
import keras, numpy
keras.saving.load_model({str(path)!r}, safe_mode=False)(numpy.ones((1, 4), "float32"))
"""
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    mark = Path(f"{path}.ran")
    assert mark.read_text() == "ran"
    mark.unlink()


@pytest.mark.tensorflow
@needs_tensorflow
def test_damaged_weights_are_an_error_about_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(CONVNET) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data[: len(data) // 2] if name.endswith(".h5") else data)
    with pytest.raises(ModelError, match="Keras cannot build it"):
        load(path)


@pytest.mark.tensorflow
@needs_tensorflow
def test_a_batch_size_that_the_model_states_is_kept(tmp_path: Path) -> None:
    """Keras's own export opens it, its converters to TFLite do not."""
    with zipfile.ZipFile(CONVNET) as archive:
        config: dict[str, Any] = json.loads(archive.read("config.json"))
    entry = next(item for item in config["config"]["layers"] if item["class_name"] == "InputLayer")
    assert entry["config"]["batch_shape"][0] is None
    entry["config"]["batch_shape"][0] = 2
    graph = load(keras_file(tmp_path / "two.keras", config)).graph
    assert [graph.tensor(name).shape for name in graph.inputs] == [(2, 8, 8, 3)]
    assert next(graph.tensor(name).shape for name in graph.outputs)[:1] == (2,)
