"""SavedModels that TensorFlow's own loader rejects: predicted from the objects that are stored."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli import accelint
from tf_models import needs_tensorflow

pytestmark = [pytest.mark.tensorflow, needs_tensorflow]

MAKE = """
import sys
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.keras.optimizer_v2.gradient_descent import SGD

for name, identifier in (("own", b"tf_deprecated_optimizer"), ("keras", b"optimizer")):
    module = tf.Module()
    module.weights = tf.Variable([1.0, 2.0, 3.0, 4.0])
    module.optimizer = SGD(0.1, momentum=0.9)
    module.optimizer.apply_gradients([(tf.ones(4), module.weights)])
    spec = tf.TensorSpec([4], tf.float32, name="x")
    module.call = tf.function(lambda x: x * module.weights, input_signature=[spec])
    folder = f"{sys.argv[1]}/{name}"
    tf.saved_model.save(module, folder, signatures={"serving_default": module.call})
    saved = saved_model_pb2.SavedModel.FromString(open(f"{folder}/saved_model.pb", "rb").read())
    for node in saved.meta_graphs[0].object_graph_def.nodes:
        if node.slot_variables:
            node.user_object.identifier = identifier.decode()
    open(f"{folder}/saved_model.pb", "wb").write(saved.SerializeToString())
    try:
        tf.saved_model.load(folder)
        print(name, "loads")
    except AttributeError as error:
        print(name, "fails", error)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("objects")
    done = subprocess.run([sys.executable, "-c", MAKE, str(made)], check=True, capture_output=True, text=True)
    told = [line for line in done.stdout.splitlines() if line.startswith(("own", "keras"))]
    assert told[0] == "own loads" and told[1].startswith("keras fails") and "add_slot" in told[1]
    return made


@pytest.mark.parametrize("target", ["litert/builtins", "litert/flex", "coreml/convertible"])
def test_the_state_of_an_optimizer_that_no_one_registers_is_a_predicted_load_failure(
    target: str, folder: Path
) -> None:
    for name, verdict, code in (("own", "full", 0), ("keras", "rejected", 1)):
        done = accelint("check", folder / name, "--target", target, "--format", "json")
        found = json.loads(done.stdout)["models"][0]["targets"][0]
        assert (found["verdict"], done.returncode) == (verdict, code), found["findings"]
        if verdict == "rejected":
            assert found["phase"] == "load"
            assert [item["rule"] for item in found["findings"]] == ["objects-that-do-not-load"]
            assert "momentum" in found["findings"][0]["message"]
