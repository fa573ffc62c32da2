"""The reference evaluation of ML Programs as a whole: fixtures, compressed weights, states, bodies, what
is not covered, and the command line that says what its numbers are.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accelint.analyzer.errors import NotCoveredError, UsageError
from accelint.analyzer.formats import load
from accelint.analyzer.lower import lower
from accelint.analyzer.lower.program import lowerings
from accelint.analyzer.runtimes import Request, Session, tensors
from cli import accelint

ct = pytest.importorskip("coremltools", reason="pip install 'accelint[coreml]'")
ort = pytest.importorskip("onnxruntime", reason="pip install 'accelint[onnxruntime]'")
FIXTURES = Path(__file__).parent.parent / "fixtures" / "coreml"
PROGRAMS = sorted(item for item in FIXTURES.glob("*.mlpackage"))


def evaluated(
    model: Path, folder: Path, arrays: dict[str, Any], keep: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A program's outputs by the worker, as `fix` and `verify` ask it."""
    options = {"keep": keep}
    inputs = tensors.write(folder / "feeds.npz", arrays)
    with Session("coreml/reference") as session:
        answer = session.ask(Request(model, inputs=inputs, outputs=True, placement=False, options=options))
        assert answer.ok, answer.reason
        return answer.tensors()


def test_every_fixture_is_covered(tmp_path: Path) -> None:
    for program in PROGRAMS:
        file = tmp_path / f"{program.stem}.onnx"
        lower(load(program), file)
        ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    assert len(PROGRAMS) >= 10


@pytest.mark.parametrize("name", ["palettized", "quantized", "sparse", "blockwise"])
def test_compressed_weights_are_those_that_coremltools_decompresses(name: str, tmp_path: Path) -> None:
    program = FIXTURES / f"{name}.mlpackage"
    plain = tmp_path / "plain.mlpackage"
    stored = ct.models.MLModel(str(program), skip_model_load=True)
    ct.optimize.coreml.decompress_weights(stored).save(str(plain))
    [input] = load(program).graph.inputs
    shape = load(program).graph.tensor(input).shape or ()
    arrays = {input: np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float16).reshape(shape)}
    one, other = evaluated(program, tmp_path, arrays), evaluated(plain, tmp_path, arrays)
    for key, value in one.items():
        assert np.abs(value.astype(np.float32)).max() > 0
        np.testing.assert_allclose(value, other[key], rtol=2e-3, atol=2e-3)


def test_a_state_is_zeros_or_what_is_given(tmp_path: Path) -> None:
    program, x = FIXTURES / "state.mlpackage", np.array([[1, 2, 3, 4]], np.float16)
    assert evaluated(program, tmp_path, {"x": x})["doubled"].tolist() == [[2, 4, 6, 8]]
    given = evaluated(program, tmp_path, {"x": x, "cache": np.ones((1, 4), np.float16)})
    assert given["doubled"].tolist() == [[4, 6, 8, 10]]


def test_bodies_are_run(tmp_path: Path) -> None:
    """Five rounds: three times as much while the sum is below 8, then 1 less."""
    program = FIXTURES / "control_flow.mlpackage"
    [input] = load(program).graph.inputs
    for start, end in ((1.0, 21.0), (3.0, 20.0)):
        found = evaluated(program, tmp_path, {input: np.array([start], np.float32)})
        assert found["result"].tolist() == [end]


def test_what_is_not_covered_is_told_with_every_operator(tmp_path: Path) -> None:
    from coremltools.converters.mil import Builder as mb

    @mb.program(input_specs=[mb.TensorSpec(shape=(2, 3))])
    def program(x: Any) -> Any:
        noise = mb.random_normal(shape=[2, 3], name="noise")
        image, box = mb.reshape(x=x, shape=[1, 1, 2, 3]), np.zeros((1, 1, 4, 1, 1), np.float32)
        boxes = mb.crop_resize(x=image, roi=box, target_height=1, target_width=1, name="cut")
        return mb.add(x=x, y=noise), boxes

    package = tmp_path / "program.mlpackage"
    ct.convert(program, skip_model_load=True, pass_pipeline=ct.PassPipeline.EMPTY).save(str(package))
    with pytest.raises(NotCoveredError, match="reference evaluation, not Core ML, does not cover") as caught:
        lower(load(package), tmp_path / "program.onnx")
    assert {"noise", "cut"} <= {name.split("/")[-1] for name in caught.value.operators}
    assert "random_normal" in caught.value.message and "crop_resize" in caught.value.message


def test_other_dialects_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="only ML Programs"):
        lower(load(FIXTURES / "network.mlmodel"), tmp_path / "network.onnx")


def test_values_inside_are_kept_under_their_names(tmp_path: Path) -> None:
    program = FIXTURES / "conv_net.mlpackage"
    [input] = load(program).graph.inputs
    arrays = {input: np.linspace(-1, 1, 768, dtype=np.float16).reshape(1, 3, 16, 16)}
    found = evaluated(program, tmp_path, arrays, ("pool",))
    assert found["pool"].shape == (1, 8, 4, 4)
    assert found["probabilities"].sum() == pytest.approx(1, abs=1e-2)


def test_numbers_are_labelled_as_no_core_ml() -> None:
    listed = accelint("runtimes")
    assert "coreml/reference" in listed.stdout and "not Core ML" in listed.stdout


def test_operators_that_no_reference_can_have_are_few() -> None:
    """Of what coremltools knows: random numbers, suppression of boxes, crops, weights of forms that are
    rare.
    """
    from accelint.analyzer.formats.coreml.schema import operators

    missing = {name for name in operators() if name not in lowerings() and name != "const"}
    assert missing == {
        "constexpr_lut_to_sparse", "constexpr_sparse_blockwise_shift_scale", "conv_quantized", "crop_resize",
        "custom_layer", "non_maximum_suppression", "random_bernoulli", "random_categorical", "random_normal",
        "random_uniform",
    }  # fmt: skip


def test_a_program_that_was_changed_is_read_again(tmp_path: Path) -> None:
    """The worker keeps a session for a file, and not for another that takes its place."""
    place = tmp_path / "program.mlpackage"
    shutil.copytree(FIXTURES / "palettized.mlpackage", place)
    [input] = load(place).graph.inputs
    shape = load(place).graph.tensor(input).shape
    inputs = tensors.write(tmp_path / "x.npz", {input: np.ones(shape, np.float16)})
    with Session("coreml/reference") as session:
        request = Request(place, inputs=inputs, outputs=True, placement=False)
        first = next(iter(session.ask(request).tensors().values()))
        shutil.rmtree(place)
        shutil.copytree(FIXTURES / "sparse.mlpackage", place)
        second = next(iter(session.ask(request).tensors().values()))
    assert not np.array_equal(first, second)
