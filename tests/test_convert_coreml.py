"""TensorFlow models through coremltools, which converts on any system."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from accelint.analyzer.convert import Options, convert
from accelint.analyzer.formats import load
from tf_models import FIXTURES, needs_tensorflow

pytestmark = [
    pytest.mark.tensorflow,
    needs_tensorflow,
    pytest.mark.skipif(
        find_spec("coremltools") is None, reason="needs coremltools: pip install 'accelint[coreml]'"
    ),
]


def test_a_saved_model_becomes_a_package_with_its_own_names(tmp_path: Path) -> None:
    made = convert(FIXTURES / "convnet", "mlpackage", tmp_path / "out.mlpackage", Options(batch=1))
    assert made.path == tmp_path / "out.mlpackage"
    model = load(tmp_path / "out.mlpackage")
    assert (model.format, model.dialect) == ("mlpackage", "mil")
    assert (model.graph.inputs, model.graph.outputs) == (("image",), ("output_0",))
    assert model.graph.tensor("image").shape == (1, 8, 8, 3)
    assert "conv" in {op.type for op in model.graph.ops()}


def test_every_node_without_a_conversion_is_named(tmp_path: Path) -> None:
    made = convert(FIXTURES / "signatures", "mlpackage", tmp_path / "out.mlpackage")
    assert {(blocker.type, blocker.node) for blocker in made.blockers} >= {("BesselI0", "bessel_i0/BesselI0")}
    assert all(blocker.needs == "unsupported" and blocker.operator for blocker in made.blockers)
    assert list(tmp_path.iterdir()) == []


CONTROL = """
import sys
import tensorflow as tf
made = tf.Module()
signature = [tf.TensorSpec([4], name="x")]
made.call = tf.function(lambda x: tf.cond(x[0] > 0.0, lambda: x * 2.0, lambda: -x), input_signature=signature)
tf.saved_model.save(made, sys.argv[1], signatures=made.call.get_concrete_function())
"""


def test_control_flow_reaches_coremltools_as_it_is(tmp_path: Path) -> None:
    """Freezing must not lower a branch to Switch and Merge, which coremltools has no conversion for."""
    import subprocess
    import sys

    subprocess.run([sys.executable, "-c", CONTROL, str(tmp_path / "branch")], check=True, capture_output=True)
    made = convert(tmp_path / "branch", "mlpackage", tmp_path / "out.mlpackage")
    assert made.blockers == ()
    assert made.path == tmp_path / "out.mlpackage"
