"""What TensorFlow's converter computes ahead of time of a TensorFlow model: predicted, and asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from accelint.analyzer.check.run import check
from accelint.analyzer.convert.options import Options
from accelint.analyzer.convert.tf_to_tflite import Converted, all_to_tflite
from accelint.analyzer.formats import load
from accelint.rules.registry import choose
from cli import accelint
from tf_models import needs_tensorflow

pytestmark = [pytest.mark.tensorflow, needs_tensorflow]

MAKE = """
import sys
import tensorflow as tf

SHAPES = {"dynamic": [None, 3], "computed_size": [None, None]}
stored = tf.Variable([0.1, 0.2, 0.3, 0.4])
flex = tf.math.erfinv  # no builtin operator of LiteRT computes it


def constants(x):
    return x + flex(tf.constant([0.1, 0.2, 0.3, 0.4]))


def variable(x):
    return x + flex(stored)


def deep(x):
    return x + tf.reduce_sum(flex(tf.linspace(0.1, 0.5, 7)))


def static(x):
    return x + flex(1.0 / (1.0 + tf.cast(tf.shape(x)[0], tf.float32)))


def dynamic(x):
    return x + flex(1.0 / (1.0 + tf.cast(tf.shape(x)[1], tf.float32)))


def computed_size(x):
    return x + flex(1.0 / (1.0 + tf.cast(tf.shape(x)[1], tf.float32)))


def rank(x):
    return x + tf.reduce_sum(flex(tf.fill([tf.raw_ops.Rank(input=x)], 0.5)))


def axis(x):
    return tf.raw_ops.ConcatV2(values=[x, x], axis=tf.constant(3) - 3)


def large(x):
    return x + tf.reduce_sum(flex(tf.fill([4000000], 0.5)))


def random(x):
    return x + flex(tf.random.uniform([4]))


def given(x):
    return x + flex(x)


def default(x):
    return x + flex(tf.compat.v1.placeholder_with_default(tf.constant([0.1, 0.2, 0.3, 0.4]), [4]))


folder = sys.argv[1]
for name in sys.argv[2:]:
    module = tf.Module()
    module.stored = stored
    spec = tf.TensorSpec(SHAPES.get(name, [4]), tf.float32, name="x")
    module.call = tf.function(globals()[name], autograph=False, input_signature=[spec])
    tf.saved_model.save(module, f"{folder}/{name}", signatures={"serving_default": module.call})
graph = tf.Graph()
with graph.as_default():
    x = tf.compat.v1.placeholder(tf.float32, [4], name="x")
    tf.identity(constants(x), name="y")
with open(f"{folder}/frozen.pb", "wb") as stream:
    stream.write(graph.as_graph_def(add_shapes=True).SerializeToString())
"""
CONVERTIBLE = {
    "constants": True, "variable": True, "deep": True, "static": True, "dynamic": True, "rank": True,
    "axis": True, "large": True, "default": True, "computed_size": False, "random": False, "given": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("constants")
    command = [sys.executable, "-c", MAKE, str(made), *CONVERTIBLE]
    subprocess.run(command, check=True, capture_output=True)
    return made


@pytest.fixture(scope="module")
def answers(folder: Path) -> dict[str, bool]:
    names = [*CONVERTIBLE, "frozen.pb"]
    found = all_to_tflite([(folder / name, Options()) for name in names])
    return {
        name: isinstance(item, Converted) and item.path is not None
        for name, item in zip(names, found, strict=True)
    }


@pytest.mark.parametrize("name", [*CONVERTIBLE, "frozen.pb"])
def test_what_depends_on_constants_alone_blocks_nothing(
    name: str, folder: Path, answers: dict[str, bool]
) -> None:
    coverage = check(load(folder / name), choose("litert/builtins"))
    assert (coverage.verdict == "full") is answers[name], coverage.findings
    assert CONVERTIBLE.get(name, True) is answers[name]
    kinds = {op.type: op.verdict for op in coverage.operators}
    if answers[name] and "Erfinv" in kinds:
        assert kinds["Erfinv"] == "folded"


def test_int8_without_samples_is_a_loud_warning_and_samples_are_the_user_s(
    folder: Path, tmp_path: Path
) -> None:
    samples = tmp_path / "samples.npz"
    np.savez(samples, x=np.full((4, 4), 100, np.float32))
    scales = []
    for options in ((), ("--calibration", samples)):
        output = tmp_path / f"{len(options)}.tflite"
        command = ("convert", folder / "constants", "--to", "tflite", "--optimize", "int8", "-o", output)
        done = accelint(*command, *options)
        assert done.returncode == 0, done.stderr
        assert ("random numbers" in done.stderr) is not bool(options)
        quantization = [tensor.quant for tensor in load(output).graph.tensors.values() if tensor.quant]
        scales.append(max(max(quant.scale) for quant in quantization))
    assert scales[1] > 10 * scales[0]
    wrong = accelint(*command, "--calibration", tmp_path / "none.npz")
    assert wrong.returncode == 2 and "no such file" in wrong.stderr
