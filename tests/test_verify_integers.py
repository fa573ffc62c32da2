"""verify of integer models: a few steps of the quantization between kernels are no difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from accelint.analyzer.formats import load
from accelint.analyzer.proof.reference import Reference, computes_integers
from accelint.analyzer.runtimes import tensors
from accelint.analyzer.runtimes.inputs import for_graph
from cli import ROOT, report

LEAKY = ROOT / "fixtures" / "reported" / "tflite" / "c14_leaky_int8.tflite"


def test_an_unchanged_integer_model_holds_on_other_kernels() -> None:
    """XNNPACK is two steps from the built-in kernels here."""
    found = report("verify", LEAKY, "-t", "litert/xnnpack", code=0)["models"][0]["targets"][0]["parity"]
    assert found["ok"]


def test_reference_kernels_are_asked_for_their_own_spread(tmp_path: Path) -> None:
    graph = load(LEAKY).graph
    assert computes_integers(graph)
    reference = Reference("tflite")
    try:
        feeds = tensors.write(tmp_path / "in.npz", for_graph(graph))
        right = reference.outputs(LEAKY, feeds)
        assert not isinstance(right, str)
        spread = reference.spread(LEAKY, feeds, right)
    finally:
        reference.close()
    assert set(spread) == set(right) and all(0 <= value <= 4 for value in spread.values())
    assert all(array.dtype == np.int8 for array in right.values())
