"""SavedModels and GraphDefs become graphs, without TensorFlow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from accelint.analyzer.errors import ModelError
from accelint.analyzer.formats import load
from accelint.analyzer.formats.tf.proto import message
from accelint.analyzer.formats.tf.reader import read
from accelint.analyzer.formats.tf.shapes import infer
from accelint.analyzer.ir.graph import Operator
from accelint.analyzer.ir.model import Model
from tf_models import needs_tensorflow

TF = Path(__file__).parent.parent / "fixtures" / "tf"


def op(model: Model, name: str) -> Operator:
    return next(found for _, found in model.graph.walk() if found.name == name)


def types(model: Model) -> list[str]:
    return [found.type for found in model.graph.ops()]


@pytest.fixture(scope="module")
def control_flow() -> Model:
    return load(TF / "control_flow")


def test_reading_never_imports_tensorflow() -> None:
    program = f"""
import sys
from accelint import load
for name in ("convnet", "control_flow", "signatures", "tf1", "convnet_frozen.pb", "tf1_frozen.pb"):
    assert len(load({str(TF)!r} + "/" + name).graph) > 0
heavy = {{"tensorflow", "keras", "onnx", "coremltools", "onnxruntime", "ai_edge_litert"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_calls_are_inlined_and_variables_are_constants() -> None:
    model = load(TF / "convnet")
    assert (model.format, model.dialect, model.metadata["signature"]) == (
        "savedmodel",
        "tf",
        "serving_default",
    )
    assert types(model) == [
        "Conv2D",
        "Reshape",
        "Squeeze",
        "BiasAdd",
        "AddV2",
        "Rsqrt",
        "Mul",
        "Mul",
        "Mul",
        "Sub",
        "AddV2",
        "Relu",
        "Mean",
        "MatMul",
        "BiasAdd",
        "Softmax",
    ]
    conv = next(found for found in model.graph.ops() if found.type == "Conv2D")
    image, kernel = model.graph.input_tensors(conv)
    assert image is not None
    assert kernel is not None
    assert (image.name, image.shape, image.dtype) == ("serving_default_image:0", (None, 8, 8, 3), "float32")
    assert (kernel.shape, kernel.attrs["variable"]) == ((3, 3, 3, 4), "conv/kernel_1")
    assert kernel.const is not None
    assert kernel.const.file == TF / "convnet" / "variables" / "variables.data-00000-of-00001"
    assert {
        "padding": "SAME",
        "data_format": "NHWC",
        "dilations": (1, 1, 1, 1),
        "strides": (1, 1, 1, 1),
    }.items() <= conv.attrs.items()
    assert model.graph.attrs["signature_inputs"] == ("image",)
    model.graph.validate()


def test_the_second_name_of_a_signature_is_the_same_graph() -> None:
    model = load(TF / "convnet")
    assert set(model.graphs) == {"serve", "serving_default"}
    assert model.graphs["serve"] is model.graph
    assert len(list(model.operators())) == 16


def test_a_variables_value_is_the_checkpoints(control_flow: Model) -> None:
    weight = control_flow.graph.tensor("weight:0")
    assert weight.const is not None
    np.testing.assert_array_equal(weight.const.read(), np.arange(16, dtype=np.float32).reshape(4, 4))


def test_an_assigned_variable_stays_an_operator(control_flow: Model) -> None:
    assert control_flow.metadata["assigned_variables"] == {"serving_default": ["state"]}
    assert {"VarHandleOp", "AssignAddVariableOp"} <= set(types(control_flow))
    assert control_flow.graph.tensor("state:0").const is None


def test_loops_and_branches_are_bodies(control_flow: Model) -> None:
    loop, branch = op(control_flow, "while"), op(control_flow, "cond")
    assert set(loop.graphs) == {"body", "cond"}
    assert set(branch.graphs) == {"then_branch", "else_branch"}
    assert [inner.type for inner in branch.graphs["else_branch"].ops()] == ["Erfinv", "Identity"]
    body = loop.graphs["body"]
    assert body.outer is None
    matmul = next(inner for inner in body.ops() if inner.type == "MatMul")
    assert body.tensor(matmul.outputs[0] or "").shape == (None, 4)
    assert matmul.id.startswith(f"{loop.id}/body/")


def test_results_are_told_apart_by_argument_name(control_flow: Model) -> None:
    top = op(control_flow, "TopKV2")
    assert top.outputs == ("TopKV2:0", "TopKV2:1")
    assert [tensor.dtype for tensor in control_flow.graph.output_tensors(top) if tensor] == [
        "float32",
        "int32",
    ]
    outputs = dict(
        zip(control_flow.graph.attrs["signature_outputs"], control_flow.graph.outputs, strict=True)
    )
    assert outputs == {"places": "TopKV2:1", "text": "AsString:0", "values": "TopKV2:0"}


def test_operators_know_the_line_that_made_them(control_flow: Model) -> None:
    """The line of ``return {..., as_string(...)}`` follows the line of ``top_k`` in fixtures/make_tf.py."""
    text, top = op(control_flow, "AsString").source.code, op(control_flow, "TopKV2").source.code
    assert text is not None
    assert top is not None
    assert text.partition(":")[0] == "make_tf.py"
    assert int(text.partition(":")[2]) == int(top.partition(":")[2]) + 1


def test_every_signature_is_a_graph() -> None:
    model = load(TF / "signatures")
    assert set(model.graphs) == {"serving_default", "even"}
    assert [found.type for found in model.graphs["even"].ops()] == ["Softmax"]
    assert sorted(found.type for found in model.graph.ops() if found.type in ("Erf", "BesselI0")) == [
        "BesselI0",
        "Erf",
        "Erf",
    ]


def test_the_function_library_is_built_when_asked_for(control_flow: Model) -> None:
    names = [name for name in control_flow.functions if name.startswith("while_body")]
    assert len(control_flow.functions) > len(names) > 0
    assert "MatMul" in {found.type for found in control_flow.functions[names[0]].ops()}
    with pytest.raises(KeyError):
        control_flow.functions["absent"]


def test_a_first_generation_loop_keeps_its_back_edges_as_attributes() -> None:
    model = load(TF / "tf1")
    merges = [found for found in model.graph.ops() if found.type == "Merge"]
    assert [found.inputs[1] for found in merges] == [None, None]
    assert [found.attrs["back_edges"] for found in merges] == [
        ("while/NextIteration",),
        ("while/NextIteration_1",),
    ]
    weight = model.graph.tensor("weight:0")
    assert weight.const is not None
    np.testing.assert_array_equal(weight.const.read(), np.arange(12, dtype=np.float32).reshape(4, 3))


def test_a_frozen_graph_names_its_own_ends() -> None:
    model = load(TF / "tf1_frozen.pb")
    assert (model.graph.inputs, model.graph.outputs) == (("x:0",), ("out:0",))
    assert model.metadata["frozen"]
    assert model.graph.tensor("x:0").shape == (None, 4)


def test_the_text_form_reads_the_same(tmp_path: Path) -> None:
    from google.protobuf import text_format

    saved = message("SavedModel").FromString((TF / "control_flow" / "saved_model.pb").read_bytes())
    text = text_format.MessageToString(saved)
    (tmp_path / "saved_model.pbtxt").write_text(
        text.replace("dtype: 1 ", "dtype: DT_FLOAT "), encoding="utf-8"
    )
    (tmp_path / "variables").symlink_to(TF / "control_flow" / "variables")
    assert types(load(tmp_path)) == types(load(TF / "control_flow"))


def test_large_constants_stay_in_the_file(tmp_path: Path) -> None:
    values = np.arange(100_000, dtype=np.float32)
    graph = message("GraphDef")()
    const = graph.node.add(name="weights", op="Const")
    const.attr["dtype"].type = 1
    const.attr["value"].tensor.dtype = 1
    const.attr["value"].tensor.tensor_shape.dim.add(size=len(values))
    const.attr["value"].tensor.tensor_content = values.tobytes()
    node = graph.node.add(name="out", op="Neg", input=["weights"])
    node.attr["T"].type = 1
    file = tmp_path / "model.pb"
    file.write_bytes(graph.SerializeToString())
    constant = read(file).graph.tensor("weights:0").const
    assert constant is not None
    assert (constant.file, constant.inline) == (file, None)
    np.testing.assert_array_equal(constant.read(), values)


@pytest.mark.parametrize(
    ("number", "field", "stored", "expected"),
    [
        (1, "float_val", [1.5], [1.5] * 4),
        (3, "int_val", [3, 4], [3, 4, 4, 4]),
        (9, "int64_val", [], [0] * 4),
        (10, "bool_val", [True, False], [True, False, False, False]),
        (19, "half_val", [0x3C00, 0x4000], [1.0, 2.0, 2.0, 2.0]),
        (8, "scomplex_val", [1.0, 2.0, 3.0, 4.0], [1 + 2j, 3 + 4j, 3 + 4j, 3 + 4j]),
    ],
)
def test_a_short_list_is_filled_with_its_last_element(
    number: int, field: str, stored: list[float], expected: list[float]
) -> None:
    from accelint.analyzer.formats.tf.values import constant

    tensor = message("TensorProto")(dtype=number)
    tensor.tensor_shape.dim.add(size=4)
    getattr(tensor, field).extend(stored)
    np.testing.assert_array_equal(constant(tensor, None).read(), np.array(expected))


def test_strings_are_kept_as_an_attribute(tmp_path: Path) -> None:
    graph = message("GraphDef")()
    const = graph.node.add(name="names", op="Const")
    const.attr["value"].tensor.dtype = 7
    const.attr["value"].tensor.tensor_shape.dim.add(size=2)
    const.attr["value"].tensor.string_val.extend([b"cat", b"\xff"])
    graph.node.add(name="out", op="StringLength", input=["names"])
    (tmp_path / "model.pb").write_bytes(graph.SerializeToString())
    assert read(tmp_path / "model.pb").graph.tensor("names:0").attrs["strings"] == ("cat", b"\xff")


def test_an_operator_no_one_defines_still_has_its_outputs(tmp_path: Path) -> None:
    graph = message("GraphDef")()
    graph.node.add(name="x", op="Placeholder").attr["dtype"].type = 1
    graph.node.add(name="mine", op="VendorThing", input=["x"])
    graph.node.add(name="out", op="Neg", input=["mine:2"]).attr["T"].type = 1
    (tmp_path / "model.pb").write_bytes(graph.SerializeToString())
    mine = op(read(tmp_path / "model.pb"), "mine")
    assert mine.outputs == ("mine:0", "mine:1", "mine:2")
    assert mine.attrs["undefined"] is True


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"saved_model\.pb"):
        read(tmp_path)


@pytest.mark.tensorflow
@needs_tensorflow
def test_tensorflow_infers_the_shapes_that_a_graph_def_lacks() -> None:
    model = load(TF / "convnet_frozen.pb")
    conv = next(found for found in model.graph.ops() if found.type == "Conv2D")
    assert model.graph.tensor(conv.outputs[0] or "").shape is None
    assert infer(model) > 20
    assert model.graph.tensor(conv.outputs[0] or "").shape == (None, 8, 8, 4)
    assert all(tensor.shape is not None for tensor in model.graph.tensors.values())
    assert infer(load(TF / "convnet")) == 0


@pytest.mark.parametrize("marked", ["call", "function", "nothing"])
def test_operators_of_a_compiled_function_are_marked(marked: str, tmp_path: Path) -> None:
    graph = message("GraphDef")()
    for name, kind in (("x", "Placeholder"), ("call", "PartitionedCall"), ("after", "Relu")):
        graph.node.add(name=name, op=kind).attr["dtype" if name == "x" else "T"].type = 1
    call, after = graph.node[1], graph.node[2]
    call.input.append("x")
    call.attr["f"].func.name = "f"
    after.input.append("call")
    function = graph.library.function.add()
    function.signature.name = "f"
    function.signature.input_arg.add(name="a", type=1)
    function.signature.output_arg.add(name="b", type=1)
    function.node_def.add(name="inner", op="Neg", input=["a"]).attr["T"].type = 1
    function.ret["b"] = "inner:y:0"
    for name, holder in (("call", call), ("function", function)):
        holder.attr["_XlaMustCompile"].b = name == marked
    (tmp_path / "model.pb").write_bytes(graph.SerializeToString())
    found = {
        op.type: op.attrs.get("_XlaMustCompile", False) for op in load(tmp_path / "model.pb").graph.ops()
    }
    assert found == {"Neg": marked != "nothing", "Relu": False}
