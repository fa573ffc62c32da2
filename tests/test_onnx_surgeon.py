"""Edited models go through onnx-graphsurgeon where it carries them, and only there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import pytest
from accelint.analyzer.formats.onnx import surgeon as onnx_surgeon
from accelint.analyzer.formats.onnx.build import Builder
from accelint.analyzer.formats.onnx.reader import read
from accelint.analyzer.formats.onnx.surgeon import losses, through_surgeon
from accelint.analyzer.formats.onnx.writer import write
from onnx import TensorProto, helper

if TYPE_CHECKING:
    from collections.abc import Callable

ONNX = Path(__file__).parent.parent / "fixtures" / "onnx"


def test_a_plain_model_is_carried_with_its_large_weight_untouched(tmp_path: Path) -> None:
    model = read(ONNX / "conv_relu.onnx")
    model.graph.update(model.graph.ops()[1], type="Sigmoid")
    proto = Builder(model).model()
    carried = through_surgeon(proto)
    assert carried is not proto
    assert [node.op_type for node in carried.graph.node] == ["Conv", "Sigmoid"]
    write(model, tmp_path / "out.onnx")
    before, after = onnx.load(ONNX / "conv_relu.onnx"), onnx.load(tmp_path / "out.onnx")
    assert after.graph.node[1].op_type == "Sigmoid"
    assert {item.name: item for item in after.graph.initializer} == {
        item.name: item for item in before.graph.initializer
    }


def plain() -> onnx.ModelProto:
    return onnx.load(ONNX / "conv_relu.onnx")


def with_model_notes(model: onnx.ModelProto) -> None:
    model.metadata_props.add(key="a", value="b")


def with_model_doc(model: onnx.ModelProto) -> None:
    model.doc_string = "notes"


def with_version(model: onnx.ModelProto) -> None:
    model.model_version = 3


def with_node_notes(model: onnx.ModelProto) -> None:
    model.graph.node[0].metadata_props.add(key="a", value="b")


def with_node_doc(model: onnx.ModelProto) -> None:
    model.graph.node[0].doc_string = "notes"


def with_annotation(model: onnx.ModelProto) -> None:
    model.graph.quantization_annotation.add(tensor_name="c")


def with_default(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("b", TensorProto.FLOAT, [16]))


def with_unread_value(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(helper.make_tensor("nobody", TensorProto.FLOAT, [1], [1.0]))


def with_sequence(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("SequenceConstruct", ["y"], ["s"]))
    element = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    model.graph.output.append(helper.make_value_info("s", helper.make_sequence_type_proto(element)))


def with_input_doc(model: onnx.ModelProto) -> None:
    model.graph.input[0].doc_string = "an image"


LOST: list[Callable[[onnx.ModelProto], None]] = [
    with_model_notes,
    with_model_doc,
    with_version,
    with_node_notes,
    with_node_doc,
    with_annotation,
    with_default,
    with_unread_value,
    with_sequence,
    with_input_doc,
]


@pytest.mark.parametrize("change", LOST, ids=[change.__name__ for change in LOST])
def test_what_it_would_lose_keeps_a_model_away_from_it(change: Callable[[onnx.ModelProto], None]) -> None:
    model = plain()
    assert list(losses(model)) == []
    change(model)
    assert list(losses(model))
    assert through_surgeon(model) is model


def other_operator(model: onnx.ModelProto) -> None:
    model.graph.node[1].op_type = "Abs"


def other_value(model: onnx.ModelProto) -> None:
    model.graph.initializer[1].doc_string = "changed"


def other_shape(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4


def other_version(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 18


@pytest.mark.parametrize(
    "change", [other_operator, other_value, other_shape, other_version], ids=lambda change: change.__name__
)
def test_a_result_that_differs_is_not_used(
    change: Callable[[onnx.ModelProto], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, changed = plain(), plain()
    change(changed)
    monkeypatch.setattr(onnx_surgeon, "_rebuild", lambda proto: changed)
    assert through_surgeon(model) is model


def test_an_error_in_it_is_none_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def stops(proto: onnx.ModelProto) -> None:
        raise UnboundLocalError("cannot access local variable 'onnx_tensor'")

    model = plain()
    monkeypatch.setattr(onnx_surgeon, "_rebuild", stops)
    assert through_surgeon(model) is model
