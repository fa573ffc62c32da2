"""What the ONNX writer makes of models, edited and not."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from accelint.analyzer.errors import GraphError, ModelError, UsageError
from accelint.analyzer.formats.onnx import writer as onnx_writer
from accelint.analyzer.formats.onnx.reader import from_bytes, read
from accelint.analyzer.formats.onnx.writer import to_bytes, write
from accelint.analyzer.ir.graph import Constant, Graph, Operator, Tensor
from accelint.analyzer.ir.model import Model
from onnx import TensorProto, helper, numpy_helper

import accelint

if TYPE_CHECKING:
    from numpy.typing import NDArray

ONNX = Path(__file__).parent.parent / "fixtures" / "onnx"
FILES = sorted(ONNX.rglob("*.onnx"))


def emitted(model: Model) -> onnx.ModelProto:
    return onnx.ModelProto.FromString(to_bytes(model))


def runs(data: bytes, **feeds: NDArray[Any]) -> list[Any]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    found: list[Any] = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(
        None, feeds
    )
    return found


def number(value: float) -> Constant:
    return Constant("float32", (), length=4, inline=np.float32(value).tobytes())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_model_that_was_only_loaded_is_written_as_it_was(file: Path, tmp_path: Path) -> None:
    accelint.emit(accelint.load(file), tmp_path / "out.onnx")
    assert onnx.load(tmp_path / "out.onnx", load_external_data=False) == onnx.load(
        file, load_external_data=False
    )
    assert [item.name for item in tmp_path.iterdir() if item.name.startswith(".")] == [], "no scratch is left"


# ---- edits -----------------------------------------------------------------------------------


def test_a_new_operator_with_a_new_constant_runs() -> None:
    model = read(ONNX / "conv_relu.onnx")
    graph = model.graph
    conv, relu = graph.ops()
    half = Operator(graph.fresh_id(), "Mul", ("c", "half"), ("scaled",), name="halve", version=17)
    moved = replace(relu, inputs=("scaled",))
    graph.replace(
        (relu,),
        (half, moved),
        (Tensor("half", "float32", (), number(0.5)), Tensor("scaled", "float32", ("batch", 16, 14, 14))),
    )
    proto = emitted(model)
    onnx.checker.check_model(proto, full_check=True)
    assert [node.name for node in proto.graph.node] == ["first", "halve", ""]
    assert proto.graph.node[0] == onnx.load(ONNX / "conv_relu.onnx").graph.node[0]
    x = np.linspace(-1, 1, 2 * 3 * 256, dtype=np.float32).reshape(2, 3, 16, 16)
    (before,) = runs((ONNX / "conv_relu.onnx").read_bytes(), x=x)
    (after,) = runs(proto.SerializeToString(), x=x)
    np.testing.assert_array_equal(after, before * np.float32(0.5))
    assert conv.id == "main/0"


def test_an_edited_operator_keeps_its_notes() -> None:
    model = read(ONNX / "everything.onnx")
    graph = model.graph
    graph.update(
        graph.op("main/0"),
        attrs={"kernel_shape": (3, 3), "pads": (0, 0, 0, 0), "auto_pad": "NOTSET", "group": 1},
    )
    before, after = onnx.load(ONNX / "everything.onnx"), emitted(model)
    node = after.graph.node[0]
    assert node.doc_string == "the first layer"
    assert node.metadata_props == before.graph.node[0].metadata_props
    assert {item.name: helper.get_attribute_value(item) for item in node.attribute} == {
        "kernel_shape": [3, 3],
        "pads": [0, 0, 0, 0],
        "auto_pad": b"NOTSET",
        "group": 1,
    }
    assert list(after.graph.node)[1:] == list(before.graph.node)[1:]
    for name in (
        "value_info",
        "quantization_annotation",
        "initializer",
        "metadata_props",
        "input",
        "output",
        "doc_string",
    ):
        assert getattr(after.graph, name) == getattr(before.graph, name), name


@pytest.mark.parametrize(
    ("op_type", "name", "value", "kind"),
    [
        ("LeakyRelu", "alpha", 1, onnx.AttributeProto.FLOAT),
        ("Resize", "axes", (), onnx.AttributeProto.INTS),
        ("Upsample", "scales", (1, 2), onnx.AttributeProto.FLOATS),
        ("Own", "list", (1, 2.5), onnx.AttributeProto.FLOATS),
        ("Own", "list", (1, 2), onnx.AttributeProto.INTS),
        ("Own", "text", "a", onnx.AttributeProto.STRING),
        ("Own", "flag", True, onnx.AttributeProto.INT),
        ("Own", "names", ("a", "b"), onnx.AttributeProto.STRINGS),
        ("Own", "tensor", number(1), onnx.AttributeProto.TENSOR),
        ("Own", "tensors", (number(1), number(2)), onnx.AttributeProto.TENSORS),
    ],
)
def test_attributes_get_the_type_that_the_schema_or_the_value_says(
    op_type: str, name: str, value: Any, kind: int
) -> None:
    version = 7 if op_type == "Upsample" else 17
    graph = Graph("main", "onnx", {"": version, "own": 1})
    for tensor in ("x", "y"):
        graph.add_tensor(Tensor(tensor, "float32", (2,)))
    domain = "own" if op_type == "Own" else ""
    graph.add_op(
        Operator(
            "main/0", op_type, ("x",), ("y",), {name: value}, domain=domain, version=graph.opsets[domain]
        )
    )
    (attribute,) = emitted(Model(Path("m.onnx"), "onnx", graph)).graph.node[0].attribute
    assert (attribute.name, attribute.type) == (name, kind)


def test_an_attribute_that_cannot_be_stored_is_rejected() -> None:
    model = read(ONNX / "conv_relu.onnx")
    model.graph.update(model.graph.op("main/1"), attrs={"odd": object()})
    with pytest.raises(GraphError, match="cannot be stored"):
        to_bytes(model)


@pytest.mark.parametrize("value", ["text", 1.5, (1,)])
def test_a_value_that_does_not_fit_its_attribute_is_rejected(value: Any) -> None:
    graph = Graph("main", "onnx", {"": 17})
    graph.add_tensor(Tensor("y", "float32", (1,)))
    graph.add_op(Operator("main/0", "Constant", (), ("y",), {"value": value}, version=17))
    with pytest.raises(GraphError, match="'value' cannot hold"):
        to_bytes(Model(Path("m.onnx"), "onnx", graph))


def test_frozen_dimensions_reach_the_file() -> None:
    model = read(ONNX / "everything.onnx")
    for tensor in tuple(model.graph.tensors.values()):
        if tensor.shape and "batch" in tensor.shape:
            shape = tuple(2 if dim == "batch" else dim for dim in tensor.shape)
            model.graph.set_tensor(replace(tensor, shape=shape))
    graph = emitted(model).graph
    assert "batch" not in str([graph.input, graph.output, graph.value_info])
    assert graph.output[1].doc_string == "after Gelu"
    (info,) = (info for info in graph.value_info if info.name == "c")
    assert (info.doc_string, info.type.tensor_type.shape.dim[0].denotation) == ("before Relu", "DATA_BATCH")
    assert [dim.dim_value for dim in info.type.tensor_type.shape.dim] == [2, 16, 14, 14]


def test_removed_parts_are_gone() -> None:
    model = read(ONNX / "everything.onnx")
    graph = model.graph
    gelu = graph.op("main/2")
    graph.set_interface(graph.inputs, ("y",))
    graph.remove(gelu)
    proto = emitted(model)
    assert [node.op_type for node in proto.graph.node] == ["Conv", "Relu", "Constant"]
    assert [info.name for info in proto.graph.output] == ["y"]


def test_a_replaced_value_is_written_and_the_others_are_left_alone() -> None:
    model = read(ONNX / "conv_relu.onnx")
    bias = Constant("float32", (16,), length=64, inline=np.full(16, 3, np.float32).tobytes())
    model.graph.set_tensor(replace(model.graph.tensor("b"), const=bias))
    before, after = onnx.load(ONNX / "conv_relu.onnx"), emitted(model)
    assert after.graph.initializer[0] == before.graph.initializer[0]
    np.testing.assert_array_equal(
        numpy_helper.to_array(after.graph.initializer[1]), np.full(16, 3, np.float32)
    )


def test_a_body_that_was_edited_in_place_is_written() -> None:
    model = read(ONNX / "bodies.onnx")
    inner = model.graph.op("main/2").graphs["body"].op("main/2/body/3").graphs["else_branch"]
    inner.update(inner.ops()[0], type="Mul")
    feeds = {"x": np.float32([0.1, 0.2, 0.3, 0.4]), "n": np.array(3)}
    (plain,) = runs((ONNX / "bodies.onnx").read_bytes(), **feeds)
    (edited,) = runs(to_bytes(model), **feeds)
    assert not np.array_equal(plain, edited)
    then_before, _ = onnx.load(ONNX / "bodies.onnx").graph.node[2].attribute[0].g.node[3].attribute
    then_after, else_after = emitted(model).graph.node[2].attribute[0].g.node[3].attribute
    assert else_after.g.node[0].op_type == "Mul"
    assert then_after == then_before


def test_a_copied_graph_is_written_like_its_original() -> None:
    model = read(ONNX / "bodies.onnx")
    twin = Model(model.path, "onnx", model.graph.copy(), stored=model.stored)
    assert emitted(twin) == onnx.load(ONNX / "bodies.onnx")


def test_a_function_that_was_edited_is_written() -> None:
    model = read(ONNX / "functions.onnx")
    body = model.functions["local::twice"]
    body.update(body.ops()[1], type="Mul")
    x = np.linspace(-2, 2, 16, dtype=np.float32).reshape(2, 8)
    (before,) = runs((ONNX / "functions.onnx").read_bytes(), x=x)
    (after,) = runs(to_bytes(model), x=x)
    assert not np.array_equal(before, after)


def test_before_ir_version_4_a_new_constant_is_listed_as_an_input_too() -> None:
    model = read(ONNX / "ir3.onnx")
    graph = model.graph
    add = graph.ops()[0]
    graph.replace(
        (add,),
        (
            replace(add, outputs=("sum",)),
            Operator(graph.fresh_id(), "Mul", ("sum", "two"), ("y",), version=7),
        ),
        (Tensor("sum", "float32", (2, 3)), Tensor("two", "float32", (), number(2))),
    )
    proto = emitted(model)
    assert [info.name for info in proto.graph.input] == ["x", "shift", "two"]
    onnx.checker.check_model(proto, full_check=True)


def test_a_new_domain_is_imported() -> None:
    model = read(ONNX / "conv_relu.onnx")
    graph = model.graph
    graph.opsets["com.microsoft"] = 1
    relu = graph.ops()[1]
    graph.update(relu, type="Gelu", domain="com.microsoft", version=1)
    proto = emitted(model)
    assert {item.domain: item.version for item in proto.opset_import} == {"": 17, "com.microsoft": 1}
    x = np.ones((1, 3, 16, 16), np.float32)
    assert runs(proto.SerializeToString(), x=x)[0].shape == (1, 16, 14, 14)


def test_a_large_value_that_moves_to_a_new_tensor_is_copied_from_its_file(tmp_path: Path) -> None:
    model = read(ONNX / "conv_relu.onnx")
    graph = model.graph
    conv = graph.ops()[0]
    value = graph.constant("w")
    assert value is not None and value.inline is None
    graph.replace(
        (conv,), (replace(conv, inputs=("x", "w2", "b")),), (Tensor("w2", "float32", (16, 3, 3, 3), value),)
    )
    graph.prune()
    write(model, tmp_path / "out.onnx")
    after = {item.name: item for item in onnx.load(tmp_path / "out.onnx").graph.initializer}
    before = {item.name: item for item in onnx.load(ONNX / "conv_relu.onnx").graph.initializer}
    assert set(after) == {"w2", "b"}
    assert after["w2"].raw_data == before["w"].raw_data


def test_a_graph_without_a_file_becomes_a_model_that_runs() -> None:
    graph = Graph("main", "onnx", {"": 17})
    for tensor in (
        Tensor("x", "float32", ("n", 2)),
        Tensor("y", "float32", ("n", 2)),
        Tensor("k", "float32", (), number(3)),
    ):
        graph.add_tensor(tensor)
    graph.add_op(Operator("main/0", "Mul", ("x", "k"), ("y",), name="triple", version=17))
    graph.set_interface(["x"], ["y"])
    data = to_bytes(Model(Path("new.onnx"), "onnx", graph))
    onnx.checker.check_model(onnx.ModelProto.FromString(data), full_check=True)
    np.testing.assert_array_equal(runs(data, x=np.float32([[1, 2]]))[0], np.float32([[3, 6]]))


# ---- external data and files -----------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Path:
    shutil.copytree(ONNX / "external", tmp_path / "home")
    return tmp_path / "home"


X = np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8)


def file_runs(path: Path) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, {"x": X})[0]


def test_external_files_go_with_the_model_under_their_names(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    write(read(home / "model.onnx"), out / "other.onnx")
    assert sorted(str(item.relative_to(out)) for item in out.rglob("*") if item.is_file()) == [
        "other.onnx",
        "parts/w2.bin",
        "weights.bin",
    ]
    for name in ("weights.bin", "parts/w2.bin"):
        assert (out / name).read_bytes() == (home / name).read_bytes()
    np.testing.assert_array_equal(file_runs(out / "other.onnx"), file_runs(home / "model.onnx"))
    write(read(home / "model.onnx"), out / "other.onnx")  # again: what is there is the same


def test_in_the_same_folder_the_external_files_are_shared(home: Path) -> None:
    before = {item: item.stat().st_mtime_ns for item in home.rglob("*.bin")}
    write(read(home / "model.onnx"), home / "copy.onnx")
    assert {item: item.stat().st_mtime_ns for item in home.rglob("*.bin")} == before
    np.testing.assert_array_equal(file_runs(home / "copy.onnx"), file_runs(home / "model.onnx"))


def test_an_edited_model_keeps_its_external_values_external(home: Path, tmp_path: Path) -> None:
    model = read(home / "model.onnx")
    graph = model.graph
    add = graph.op("main/1")
    graph.update(add, type="Sub")
    value = graph.constant("w2")
    last = graph.op("main/2")
    graph.replace(
        (last,), (replace(last, inputs=("s", "moved")),), (Tensor("moved", "float32", (8, 8), value),)
    )
    out = tmp_path / "out"
    out.mkdir()
    write(model, out / "model.onnx")
    tensors = {
        item.name: item for item in onnx.load(out / "model.onnx", load_external_data=False).graph.initializer
    }
    entries = {entry.key: entry.value for entry in tensors["moved"].external_data}
    assert entries == {"location": "parts/w2.bin", "offset": "0", "length": "256"}
    assert tensors["w1"].data_location == TensorProto.EXTERNAL
    expected = runs(to_bytes(model), x=X)[0]
    np.testing.assert_array_equal(file_runs(out / "model.onnx"), expected)


def test_one_message_holds_the_external_values_too(home: Path) -> None:
    proto = emitted(read(home / "model.onnx"))
    assert all(item.data_location == TensorProto.DEFAULT for item in proto.graph.initializer)
    np.testing.assert_array_equal(runs(proto.SerializeToString(), x=X)[0], file_runs(home / "model.onnx"))


def test_a_different_file_in_the_way_is_not_overwritten(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "weights.bin").write_bytes(b"mine")
    with pytest.raises(UsageError, match="differs from the model's external data"):
        write(read(home / "model.onnx"), out / "model.onnx")
    assert (out / "weights.bin").read_bytes() == b"mine"
    assert not (out / "model.onnx").exists()


def test_the_input_is_never_written_over(home: Path) -> None:
    model = read(home / "model.onnx")
    before = (home / "model.onnx").read_bytes()
    with pytest.raises(UsageError, match="is the input"):
        write(model, home / "model.onnx")
    with pytest.raises(UsageError, match="another output path"):
        write(model, home / "weights.bin")
    assert (home / "model.onnx").read_bytes() == before
    assert (home / "weights.bin").read_bytes() == (ONNX / "external" / "weights.bin").read_bytes()


def test_an_output_that_cannot_be_is_rejected(home: Path, tmp_path: Path) -> None:
    model = read(home / "model.onnx")
    with pytest.raises(UsageError, match="does not exist"):
        write(model, tmp_path / "nowhere" / "model.onnx")
    with pytest.raises(UsageError, match="is a folder"):
        write(model, home / "parts")


def test_a_failure_on_the_way_leaves_nothing(home: Path, tmp_path: Path) -> None:
    model = read(home / "model.onnx")
    (home / "parts" / "w2.bin").unlink()
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises((ModelError, OSError)):
        write(model, out / "model.onnx")
    assert [item for item in out.rglob("*") if item.is_file()] == []


def test_values_that_do_not_fit_one_message_become_external(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of protobuf is 2 GB; here it is lowered."""
    path = tmp_path / "model.onnx"
    shutil.copy(ONNX / "everything.onnx", path)
    monkeypatch.setattr(onnx_writer, "LIMIT", 3000)
    write(read(path), tmp_path / "out.onnx")
    with pytest.raises(UsageError, match="2 GB"):
        to_bytes(read(path))
    assert (tmp_path / "out.onnx.data").stat().st_size == 1728
    before = {item.name: item for item in onnx.load(path).graph.initializer}
    after = {item.name: item for item in onnx.load(tmp_path / "out.onnx").graph.initializer}
    assert after["w"].raw_data == before["w"].raw_data
    assert [item for name, item in after.items() if name != "w"] == [
        item for name, item in before.items() if name != "w"
    ]


def test_a_file_that_changed_since_it_was_read_is_not_mixed_in(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    shutil.copy(ONNX / "conv_relu.onnx", path)
    model = read(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ModelError, match="changed since it was read"):
        write(model, tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def test_a_model_from_memory_is_written_too(tmp_path: Path) -> None:
    data = (ONNX / "conv_relu.onnx").read_bytes()
    write(from_bytes(data), tmp_path / "out.onnx")
    assert onnx.load(tmp_path / "out.onnx") == onnx.ModelProto.FromString(data)
