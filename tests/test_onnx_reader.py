"""What the ONNX reader makes of a file."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from accelint.analyzer.formats.onnx.attributes import Parameter
from accelint.analyzer.formats.onnx.reader import from_bytes, read
from onnx import TensorProto, helper, numpy_helper

import accelint

if TYPE_CHECKING:
    from accelint.analyzer.ir.graph import Operator
    from accelint.analyzer.ir.model import Model

FIXTURES = Path(__file__).parent.parent / "fixtures"
ONNX = FIXTURES / "onnx"


def fixture(name: str) -> Model:
    return read(ONNX / name)


def ops(model: Model) -> dict[str, Operator]:
    return {op.id: op for _, op in model.operators()}


def of_graph(graph: onnx.GraphProto, opset: int = 17, **more: Any) -> Model:
    return from_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], **more).SerializeToString()
    )


def one_node(node: onnx.NodeProto, *initializers: TensorProto, opset: int = 17) -> Operator:
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", 1, [2, 3])], [], initializers)
    return of_graph(graph, opset).graph.ops()[0]


def test_the_committed_fixtures_are_what_the_script_makes() -> None:
    spec = importlib.util.spec_from_file_location("make_onnx", FIXTURES / "make_onnx.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for name, make in script.MODELS.items():
        assert onnx.load(ONNX / name, load_external_data=False) == make(), name


def test_operators_have_ids_names_and_inferred_shapes() -> None:
    model = accelint.load(ONNX / "conv_relu.onnx")
    conv, relu = model.graph.ops()
    assert (model.format, model.dialect, model.graph.name, model.graph.opsets) == (
        "onnx",
        "onnx",
        "main",
        {"": 17},
    )
    assert (conv.id, conv.type, conv.name, conv.domain, conv.version) == ("main/0", "Conv", "first", "", 17)
    assert (relu.id, relu.name) == ("main/1", "y"), "an operator without a name has that of its first output"
    assert conv.attrs == {"kernel_shape": (3, 3)}
    assert (model.graph.inputs, model.graph.outputs) == (("x",), ("y",))
    assert model.graph.tensor("c").shape == ("batch", 16, 14, 14)
    assert model.metadata["producer"] == "accelint-fixtures 1"
    assert model.metadata["ir_version"] == 8


def test_large_values_stay_in_the_file_and_small_ones_are_at_hand() -> None:
    model = fixture("conv_relu.onnx")
    weight, bias = model.graph.constant("w"), model.graph.constant("b")
    assert weight is not None and bias is not None
    assert weight.inline is None and weight.file == ONNX / "conv_relu.onnx"
    assert bias.inline is not None
    stored = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in onnx.load(ONNX / "conv_relu.onnx").graph.initializer
    }
    np.testing.assert_array_equal(weight.read(), stored["w"])
    np.testing.assert_array_equal(bias.read(), stored["b"])


def test_bodies_are_graphs_with_their_outer_graph() -> None:
    model = fixture("bodies.onnx")
    found = ops(model)
    assert found["main/2"].graphs["body"].inputs == ("i", "c_in", "v")
    inner = found["main/2/body/3"].graphs["else_branch"]
    assert inner.name == "main/2/body/3/else_branch"
    assert inner.outer is found["main/2"].graphs["body"] and inner.outer.outer is model.graph
    assert inner.captures() == ["v", "x"]
    assert found["main/2/body/3/else_branch/0"].type == "Add"
    assert model.graph.consumers("limit") == (found["main/2"],), "a capture counts as a read of the owner"
    assert inner.tensor("u").shape == (4,)
    limit = found["main/2"].graphs["body"].constant("limit")
    assert limit is not None and limit.read() == np.float32(2.0)


def test_functions_are_bodies_by_name() -> None:
    model = fixture("functions.onnx")
    assert set(model.functions) == {"local::twice", "local::leaky"}
    leaky = model.functions["local::leaky"]
    assert [op.id for op in leaky.ops()] == ["functions/local::leaky/0"]
    assert leaky.ops()[0].attrs == {"alpha": Parameter("slope", 1)}
    assert leaky.attrs["parameters"] == ("slope",)
    call = model.graph.ops()[0]
    assert (call.domain, call.type, call.version, call.attrs) == ("local", "twice", 1, {"alpha": 0.25})
    assert model.graph.tensor("h").shape == ("N", 8), "inference looks into functions"


def test_a_sparse_initializer_reads_as_its_dense_value() -> None:
    value = fixture("sparse.onnx").graph.constant("w")
    assert value is not None
    np.testing.assert_array_equal(
        value.read(), np.float32([[0, 1.5, 0], [0, 0, 0], [-2, 0, 0], [0, 0, 3.25]])
    )


def test_a_default_of_an_input_is_no_constant() -> None:
    graph = fixture("defaults.onnx").graph
    assert graph.inputs == ("x", "scale")
    assert graph.constant("scale") is None
    assert graph.constant("shift") is not None
    assert graph.tensor("scale").attrs["default"].shape == (3,)


def test_before_ir_version_4_an_initializer_among_the_inputs_is_a_constant() -> None:
    graph = fixture("ir3.onnx").graph
    assert graph.inputs == ("x",)
    assert graph.constant("shift") is not None


def test_quantization_stays_operators_and_four_bit_values_are_read() -> None:
    model = fixture("qdq.onnx")
    assert [op.type for op in model.graph.ops()].count("DequantizeLinear") == 4
    weight = model.graph.constant("wq")
    assert weight is not None and weight.dtype == "int4"
    np.testing.assert_array_equal(weight.read().reshape(-1), np.arange(32) % 15 - 7)


def test_notes_of_the_file_are_kept() -> None:
    model = fixture("everything.onnx")
    first = model.graph.ops()[0]
    assert first.source.code == "/home/user/net/block.py:41"
    assert model.metadata["properties"] == {"author": "accelint", "license": "Apache-2.0"}
    assert model.metadata["model_version"] == 7
    assert model.graph.attrs["doc"] == "The graph."
    assert model.graph.attrs["quantization_annotation"] == {"c": {"SCALE_TENSOR": "typed"}}
    assert model.graph.ops()[2].domain == "com.microsoft"
    typed, halves = model.graph.constant("typed"), model.graph.constant("halves")
    assert typed is not None and halves is not None
    np.testing.assert_array_equal(typed.read(), np.arange(400, dtype=np.float32))
    np.testing.assert_array_equal(halves.read(), np.float16([0.5, -1, 2]))


def test_the_default_domain_has_one_spelling() -> None:
    node = helper.make_node("Relu", ["x"], ["y"], domain="ai.onnx")
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", 1, [2])], [])
    model = from_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("ai.onnx", 13)]).SerializeToString()
    )
    assert (model.graph.opsets, model.graph.ops()[0].domain, model.graph.ops()[0].version) == (
        {"": 13},
        "",
        13,
    )


def test_an_omitted_input_or_output_is_none() -> None:
    op = one_node(
        helper.make_node("Clip", ["x", "", "hi"], ["y", ""]), helper.make_tensor("hi", 1, [], [6.0])
    )
    assert (op.inputs, op.outputs) == (("x", None, "hi"), ("y", None))


VALUES: list[tuple[str, Any, Any]] = [
    ("value_int", 7, np.int64(7)),
    ("value_ints", [1, -2, 3], np.int64([1, -2, 3])),
    ("value_float", 0.5, np.float32(0.5)),
    ("value_floats", [0.5, 2.0], np.float32([0.5, 2.0])),
    ("value", helper.make_tensor("", TensorProto.INT32, [2], [4, 5]), np.int32([4, 5])),
]


@pytest.mark.parametrize(("form", "value", "expected"), VALUES, ids=[form for form, _, _ in VALUES])
def test_the_value_of_a_constant_node_is_readable(form: str, value: Any, expected: Any) -> None:
    node = helper.make_node("Constant", [], ["k"], **{form: value})
    constant = of_graph(helper.make_graph([node], "g", [], [])).graph.constant("k")
    assert constant is not None
    np.testing.assert_array_equal(constant.read(), expected, strict=True)


def test_attributes_are_plain_values() -> None:
    tensor = helper.make_tensor("t", 1, [1], [3.0])
    node = helper.make_node(
        "Any",
        ["x"],
        ["y"],
        domain="d",
        f=0.5,
        i=-3,
        s="text",
        b=b"\xff",
        fs=[1.5, 2.0],
        ss=["a", "b"],
        t=tensor,
    )
    node.attribute.append(helper.make_attribute("none", [], attr_type=onnx.AttributeProto.INTS))
    node.attribute.append(
        helper.make_attribute("tp", helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, None)))
    )
    attrs = dict(one_node(node).attrs)
    np.testing.assert_array_equal(attrs.pop("t").read(), np.float32([3.0]))
    expected = {
        "f": 0.5,
        "i": -3,
        "s": "text",
        "b": b"\xff",
        "fs": (1.5, 2.0),
        "ss": ("a", "b"),
        "none": (),
        "tp": "sequence(float32)",
    }
    assert attrs == expected


FLOATS = [-1.5, 0.0, 2.0]
TYPED = [
    (name, kind)
    for name, kind in TensorProto.DataType.items()
    if name not in ("UNDEFINED", "STRING", "FLOAT6E2M3", "FLOAT6E3M2")
]


@pytest.mark.parametrize(("name", "kind"), TYPED, ids=[name for name, _ in TYPED])
@pytest.mark.parametrize("count", [3, 3000], ids=["small", "large"])
def test_every_dtype_reads_the_same_from_typed_fields_as_onnx_does(
    name: str, kind: int, count: int, tmp_path: Path
) -> None:
    unsigned = name.startswith(("UINT", "BOOL"))
    values = (
        [0, 1, 1] * (count // 3)
        if name in ("UINT2", "INT2", "BOOL")
        else ([0, 1, 2] if unsigned else FLOATS) * (count // 3)
    )
    if name.startswith("INT"):
        values = [0, -1, 1] * (count // 3)
    if name == "FLOAT8E8M0":
        values = [0.5, 1.0, 2.0] * (count // 3)
    tensor = helper.make_tensor("k", kind, [count], values)
    model = helper.make_model(helper.make_graph([], "g", [], [], [tensor]))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    constant = read(tmp_path / "m.onnx").graph.constant("k")
    assert constant is not None
    expected = numpy_helper.to_array(tensor)
    if constant.dtype in ("int4", "uint4", "int2", "uint2"):
        np.testing.assert_array_equal(
            constant.read(), expected.astype(np.int8 if constant.dtype.startswith("i") else np.uint8)
        )
    elif constant.dtype == "float4e2m1":
        bits = expected.view(np.uint8)
        packed = np.pad(bits, (0, len(bits) % 2)).reshape(-1, 2)
        assert constant.raw() == bytes(packed[:, 0] | packed[:, 1] << 4)
    else:
        assert constant.raw() == expected.tobytes()


def test_kinds_that_are_no_tensors_have_a_dtype_of_their_own() -> None:
    node = helper.make_node("SequenceConstruct", ["x"], ["s"])
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", 1, [2])], [helper.make_empty_tensor_value_info("s")]
    )
    graph.output[0].type.CopyFrom(helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, None)))
    tensor = of_graph(graph).graph.tensor("s")
    assert (tensor.dtype, tensor.shape, tensor.nbytes) == ("sequence(float32)", None, None)


def test_unknown_dimensions_and_ranks_stay_unknown() -> None:
    infos = [
        helper.make_tensor_value_info(name, 1, shape)
        for name, shape in (("a", None), ("b", [None, "n", -1, 0]), ("c", []))
    ]
    graph = of_graph(helper.make_graph([], "g", infos, [])).graph
    assert [graph.tensor(name).shape for name in "abc"] == [None, (None, "n", None, 0), ()]


def test_inference_replaces_stored_symbols_by_numbers_and_invents_none() -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["r"]),
        helper.make_node("NonZero", ["r"], ["z"]),
    ]
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [3, 4])
    infos = [helper.make_tensor_value_info("r", 1, ["rows", "columns"])]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", 1, [12])], [], [shape], value_info=infos
    )
    found = of_graph(graph).graph
    assert found.tensor("r").shape == (3, 4)
    assert found.tensor("z").shape == (2, None)


def test_inference_that_fails_leaves_shapes_unknown_and_says_so() -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])], "g", [helper.make_tensor_value_info("x", 1, [2])], []
    )
    model = from_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("other", 1)]).SerializeToString()
    )
    assert model.graph.tensor("y").shape is None
    assert model.metadata["shape_inference_error"]


def test_operators_out_of_order_are_put_in_order() -> None:
    nodes = [helper.make_node("Relu", ["a"], ["b"]), helper.make_node("Abs", ["x"], ["a"])]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", 1, [2])], [helper.make_tensor_value_info("b", 1, [2])]
    )
    assert [op.id for op in of_graph(graph).graph.ops()] == ["main/1", "main/0"]


def test_two_operators_may_share_a_name() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="same"),
        helper.make_node("Abs", ["a"], ["b"], name="same"),
    ]
    graph = of_graph(helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", 1, [2])], [])).graph
    assert [op.name for op in graph.ops()] == ["same", "same"]


@pytest.mark.parametrize("opset", range(7, onnx.defs.onnx_opset_version() + 1))
def test_every_opset_is_read(opset: int) -> None:
    op = one_node(helper.make_node("Relu", ["x"], ["y"]), opset=opset)
    assert op.version == opset


COLD = """
import sys, accelint
model = accelint.load({path!r})
assert len(model.graph), "nothing was read"
heavy = [name for name in ("onnx", "numpy", "networkx", "onnxruntime", "tensorflow") if name in sys.modules]
assert not heavy, heavy
import onnx, onnx.checker, onnx.shape_inference
assert isinstance(model.stored.proto, onnx.ModelProto), "two sets of protobuf classes"
onnx.checker.check_model(onnx.ModelProto.FromString(model.stored.proto.SerializeToString()))
onnx.shape_inference.infer_shapes(onnx.load({path!r}))
accelint.load({path!r})
"""


def test_loading_imports_nothing_heavy_and_onnx_still_works_afterwards() -> None:
    script = COLD.format(path=str(ONNX / "bodies.onnx"))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_loading_after_onnx_was_imported_uses_its_modules() -> None:
    script = (
        "import onnx, accelint; assert isinstance(accelint.load({!r}).stored.proto, onnx.ModelProto)".format(
            str(ONNX / "qdq.onnx")
        )
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["weights.bin", "parts/w2.bin"])
def test_external_values_are_found_where_they_lie(name: str) -> None:
    model = fixture("external/model.onnx")
    files = {
        str(value.file): value for value in map(model.graph.constant, ("w1", "b1", "w2")) if value is not None
    }
    assert str(ONNX / "external" / name) in files
    loaded = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in onnx.load(ONNX / "external/model.onnx").graph.initializer
    }
    for key, expected in loaded.items():
        value = model.graph.constant(key)
        assert value is not None
        np.testing.assert_array_equal(value.read(), expected)


def test_shapes_are_inferred_past_microsoft_operators() -> None:
    """Quantizers write 16 bits with operators of Microsoft's domain before operator set 21; onnx's inference
    stops at them.
    """
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], domain="com.microsoft"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], domain="com.microsoft"),
        helper.make_node("Gelu", ["d"], ["g"], domain="com.microsoft"),
        helper.make_node("SimplifiedLayerNormalization", ["g", "scale"], ["n"], axis=-1),
        helper.make_node("MatMul", ["n", "w"], ["y"]),
    ]
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(np.float32(0.1), "s"),
            numpy_helper.from_array(np.uint16(7), "z"),
            numpy_helper.from_array(np.ones((3, 5), np.float32), "w"),
            numpy_helper.from_array(np.ones(3, np.float32), "scale"),
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    graph = from_bytes(helper.make_model(made, opset_imports=opsets, ir_version=9).SerializeToString()).graph
    assert [(graph.tensor(name).dtype, graph.tensor(name).shape) for name in ("q", "d", "g", "n", "y")] == [
        ("uint16", (2, 3)),
        ("float32", (2, 3)),
        ("float32", (2, 3)),
        ("float32", (2, 3)),
        ("float32", (2, 5)),
    ]
    assert [(op.domain, op.type) for op in graph.ops()][2:] == [
        ("com.microsoft", "Gelu"), ("", "SimplifiedLayerNormalization"), ("", "MatMul"),
    ]  # fmt: skip


@pytest.mark.parametrize("opset", [None, 7, 9, 11, 13])
def test_microsofts_operators_do_not_ask_for_the_standard_operator_set(opset: int | None) -> None:
    """They are written in models of older sets, and in models that import no standard set at all."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], domain="com.microsoft"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], domain="com.microsoft"),
        helper.make_node("Gelu", ["d"], ["g"], domain="com.microsoft"),
        helper.make_node("FusedMatMul", ["g", "w"], ["f"], domain="com.microsoft", transB=1),
        helper.make_node("QuickGelu", ["f"], ["y"], domain="com.microsoft"),
    ]
    stored = {"s": np.float32(0.1), "z": np.uint16(7), "w": np.ones((5, 3), np.float32)}
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    opsets = [helper.make_opsetid("com.microsoft", 1)]
    opsets += [helper.make_opsetid("", opset)] if opset else []
    model = from_bytes(helper.make_model(made, opset_imports=opsets, ir_version=8).SerializeToString())
    found = {name: (model.graph.tensor(name).dtype, model.graph.tensor(name).shape) for name in "qdgfy"}
    assert found == {
        "q": ("uint16", (1, 2, 3)),
        "d": ("float32", (1, 2, 3)),
        "g": ("float32", (1, 2, 3)),
        "f": ("float32", (1, 2, 5)),
        "y": ("float32", (1, 2, 5)),
    }
    assert model.graph.opsets == {"com.microsoft": 1, **({"": opset} if opset else {})}
    assert not [name for name in model.graph.tensors if "::" in name]


def test_shapes_pass_through_microsofts_operators() -> None:
    """ONNX Runtime's optimizer and quantizers write them; standard operators stand in for them while shapes
    are inferred.
    """
    nodes = [
        helper.make_node("FusedMatMul", ["x", "x"], ["f"], domain="com.microsoft", transB=1),
        helper.make_node(
            "MatMulNBits", ["x", "b", "s"], ["n"], domain="com.microsoft", K=4, N=7, bits=4, block_size=16
        ),
        helper.make_node(
            "QLinearConcat",
            ["ys", "yz", "q", "ys", "yz", "q", "ys", "yz"],
            ["c"],
            domain="com.microsoft",
            axis=1,
        ),
        helper.make_node(
            "QGemm",
            ["q", "ys", "yz", "q", "ys", "yz", "", "ys", "yz"],
            ["g"],
            domain="com.microsoft",
            transB=1,
        ),
    ]
    inputs = [helper.make_tensor_value_info("x", 1, [2, 3, 4]), helper.make_tensor_value_info("q", 2, [3, 4])]
    outputs = [helper.make_empty_tensor_value_info(name) for name in "fncg"]
    stored = [
        numpy_helper.from_array(np.zeros(shape, dtype), name)
        for name, dtype, shape in (
            ("b", np.uint8, (7, 1, 8)),
            ("s", np.float32, (7,)),
            ("ys", np.float32, ()),
            ("yz", np.uint8, ()),
        )
    ]
    made = helper.make_graph(nodes, "g", inputs, outputs, stored)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    graph = from_bytes(helper.make_model(made, opset_imports=opsets, ir_version=9).SerializeToString()).graph
    found = {name: (graph.tensor(name).dtype, graph.tensor(name).shape) for name in "fncg"}
    assert found == {
        "f": ("float32", (2, 3, 3)),
        "n": ("float32", (2, 3, 7)),
        "c": ("uint8", (3, 8)),
        "g": ("uint8", (3, 3)),
    }
    assert not [name for name in graph.tensors if "::" in name]


def test_threads_that_read_their_first_models_at_once(tmp_path: Path) -> None:
    """The protobuf module is executed once, and nobody sees it before that."""
    code = (
        "import sys\nfrom concurrent.futures import ThreadPoolExecutor\nfrom threading import Barrier\n"
        "from accelint.analyzer.formats.onnx.proto import native, "
        "pb\nsys.setswitchinterval(1e-6)\ngate = Barrier(8)\n"
        "def first(_):\n    gate.wait()\n    return pb().ModelProto, native().defs\n"
        "with ThreadPoolExecutor(8) as pool:\n    list(pool.map(first, range(8)))\n"
    )
    for _ in range(3):
        subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
