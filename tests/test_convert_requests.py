"""Conversion without a converter: options against the model, refusals from text, names to nodes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from accelint.analyzer.convert import Options, convert
from accelint.analyzer.convert.blockers import from_errors, from_text
from accelint.analyzer.convert.opmap import _node
from accelint.analyzer.convert.options import static_shapes
from accelint.analyzer.errors import UsageError
from accelint.analyzer.formats import load
from accelint.analyzer.ir.graph import Graph
from tf_models import FIXTURES


@pytest.fixture(scope="module")
def graph() -> Graph:
    return load(FIXTURES / "convnet").graph


@pytest.mark.parametrize("name", ["image", "serving_default_image:0", "serving_default_image"])
def test_an_input_is_named_by_signature_or_tensor(graph: Graph, name: str) -> None:
    assert static_shapes(graph, Options(shapes={name: (4, 8, 8, 3)})) == {"image": (4, 8, 8, 3)}


def test_the_batch_fills_only_what_is_open(graph: Graph) -> None:
    assert static_shapes(graph, Options(batch=3)) == {"image": (3, 8, 8, 3)}
    assert static_shapes(graph, Options(batch=3, shapes={"image": (5, 8, 8, 3)})) == {"image": (5, 8, 8, 3)}
    assert static_shapes(graph, Options()) == {"image": (None, 8, 8, 3)}


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (Options(shapes={"imge": (1, 8, 8, 3)}), "no input 'imge', did you mean 'image'"),
        (Options(shapes={"image": (1, 8, 9, 3)}), r"1x8x9x3 for 'image' contradicts the model's \?x8x8x3"),
        (Options(shapes={"image": (1, 8, 8)}), "contradicts"),
        (Options(shapes={"image": (0, 8, 8, 3)}), "below 1"),
        (Options(batch=0), "a batch of 0"),
    ],
)
def test_options_that_do_not_fit(graph: Graph, options: Options, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        static_shapes(graph, options)


def test_requests_that_no_worker_needs_to_see(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no conversion to 'onnx'"):
        convert(FIXTURES / "convnet", "onnx", tmp_path / "out")
    with pytest.raises(UsageError, match="no signature 'absent': choose one of serve, serving_default"):
        convert(FIXTURES / "convnet", "tflite", tmp_path / "out", Options(signature="absent"))
    with pytest.raises(UsageError, match="no optimization 'best'"):
        convert(FIXTURES / "convnet", "tflite", tmp_path / "out", Options(optimize="best"))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_the_input_is_never_written_over(tmp_path: Path) -> None:
    file = tmp_path / "model.pb"
    file.write_bytes((FIXTURES / "tf1_frozen.pb").read_bytes())
    with pytest.raises(UsageError, match="is the input"):
        convert(file, "tflite", file)
    shutil.copytree(FIXTURES / "convnet", tmp_path / "model")
    with pytest.raises(UsageError, match="is part of the input"):
        convert(tmp_path / "model", "tflite", tmp_path / "model" / "saved_model.pb")
    with pytest.raises(UsageError, match=r"the folder .* does not exist"):
        convert(file, "tflite", tmp_path / "absent" / "out.tflite")
    assert file.read_bytes() == (FIXTURES / "tf1_frozen.pb").read_bytes()


DIAGNOSTICS = """\
loc(callsite(fused["Erf:", "Erf@__inference_a_4733"] at fused["PartitionedCall:", "PartitionedCall_1"])): error: 'tf.Erf' op is neither a custom op nor a flex op
loc(fused["BesselI0:", callsite("net/BesselI0@__inference_a_4733"("/home/me/net.py":21:1) at callsite("/x/site-packages/keras/src/a.py":17:3 at "/home/me/net.py":18:5))]): error: 'tf.BesselI0' op is neither a custom op nor a flex op
loc(callsite(fused["TensorListReserve:", "rnn/TensorArrayV2_1@f"])): error: 'tf.TensorListReserve' op requires element_shape to be static during TF Lite transformation pass
loc(callsite(fused["TensorListReserve:", "rnn/TensorArrayV2_1@f"])): error: failed to legalize operation 'tf.TensorListReserve' that was explicitly marked illegal
error: failed while converting: 'serving_default':
TF Select ops: Erf, MatrixDeterminant
Custom ops: BesselI0
"""  # noqa: E501


def test_diagnostics_become_blockers() -> None:
    found = {blocker.type: blocker for blocker in from_text(DIAGNOSTICS)}
    assert {kind: blocker.needs for kind, blocker in found.items()} == {
        "Erf": "flex", "BesselI0": "custom", "TensorListReserve": "static-shape", "MatrixDeterminant": "flex",
    }  # fmt: skip
    assert (found["Erf"].node, found["Erf"].function) == ("Erf", "__inference_a_4733")
    assert found["BesselI0"].code == "/home/me/net.py:18:5"
    assert found["MatrixDeterminant"].node == ""


def test_text_without_diagnostics_names_nothing() -> None:
    assert from_text("Segmentation fault\nerror: something else") == []


def test_a_general_complaint_counts_only_alone() -> None:
    general = {
        "operator": "tf.Const",
        "code": "UNKNOWN",
        "message": "Lowering tensor list ops is failed.",
        "calls": [],
    }
    named = {
        "operator": "tf.Erf",
        "code": "ERROR_NEEDS_FLEX_OPS",
        "message": "'tf.Erf' op ...",
        "calls": [{"name": "Erf@f"}],
    }
    assert [(blocker.type, blocker.needs) for blocker in from_errors([general])] == [("", "other")]
    assert [(blocker.type, blocker.node, blocker.needs) for blocker in from_errors([general, named])] == [
        ("Erf", "Erf", "flex")
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("net/MatMul", "net/MatMul"),
        ("net/MatMul2", "net/MatMul"),
        ("net/MatMul12", "net/MatMul"),
        ("net/MatMul_1", "net/MatMul_1"),
        ("net/MatMul_13", "net/MatMul_1"),
        ("net/MatMul:0", "net/MatMul"),
        ("arith.constant", None),
        ("other/MatMul", None),
        ("42", None),
    ],
)
def test_a_tensors_name_leads_to_its_node(name: str, expected: str | None) -> None:
    assert _node(name, {"net/MatMul", "net/MatMul_1"}) == expected
