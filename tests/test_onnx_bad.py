"""Damaged and hostile ONNX files: one clear error with the path and what to do, or a model; nothing else."""

from __future__ import annotations

import os
import resource
import time
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import pytest
from accelint.analyzer.errors import GraphError, ModelError
from accelint.analyzer.formats.onnx.attribute_kinds import KINDS
from accelint.analyzer.formats.onnx.reader import from_bytes
from accelint.analyzer.formats.wire import encode, tag
from cli import report
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

import accelint

if TYPE_CHECKING:
    from collections.abc import Callable

ONNX = Path(__file__).parent.parent / "fixtures" / "onnx"
FILES = sorted(ONNX.glob("*.onnx"))
DATA = [file.read_bytes() for file in FILES]
X = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])
Y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])


def model(
    *nodes: onnx.NodeProto,
    inputs: tuple[onnx.ValueInfoProto, ...] = (X,),
    inits: tuple[TensorProto, ...] = (),
) -> onnx.ModelProto:
    return helper.make_model(
        helper.make_graph(nodes, "g", inputs, [], inits), opset_imports=[helper.make_opsetid("", 17)]
    )


def relu(source: str, result: str, **more: object) -> onnx.NodeProto:
    return helper.make_node("Relu", [source], [result], **more)


def tensor(*dims: int, kind: int = 1, data: bytes = bytes(24)) -> TensorProto:
    return TensorProto(name="w", dims=dims, data_type=kind, raw_data=data)


def cycle() -> onnx.ModelProto:
    return model(relu("b", "a"), relu("a", "b"))


def missing() -> onnx.ModelProto:
    return model(relu("nowhere", "y"))


def missing_in_body() -> onnx.ModelProto:
    body = helper.make_graph([relu("nowhere", "t")], "b", [], [helper.make_tensor_value_info("t", 1, None)])
    return model(helper.make_node("If", ["x"], ["y"], then_branch=body, else_branch=body))


def missing_output() -> onnx.ModelProto:
    found = model(relu("x", "z"))
    found.graph.output.append(Y)
    return found


def written_twice() -> onnx.ModelProto:
    return model(relu("x", "y"), relu("x", "y"))


def writes_an_input() -> onnx.ModelProto:
    return model(relu("y", "x"), inputs=(X, Y))


def writes_a_constant() -> onnx.ModelProto:
    return model(relu("x", "w"), inits=(tensor(2, 3),))


def unknown_dtype() -> onnx.ModelProto:
    return model(inits=(tensor(2, 3, kind=99),))


def unknown_input_dtype() -> onnx.ModelProto:
    return model(inputs=(helper.make_tensor_value_info("x", 99, [2]),))


def unknown_attribute_type() -> onnx.ModelProto:
    found = model(relu("x", "y"))
    found.graph.node[0].attribute.append(
        onnx.AttributeProto.FromString(
            tag(1, 2) + encode(1) + b"a" + tag(3, 0) + encode(5) + tag(20, 0) + encode(99)
        )
    )
    return found


def attribute_twice() -> onnx.ModelProto:
    found = model(relu("x", "y", alpha=1.0))
    found.graph.node[0].attribute.append(helper.make_attribute("alpha", 2.0))
    return found


def no_operator_type() -> onnx.ModelProto:
    return model(helper.make_node("", ["x"], ["y"]))


def negative_dims() -> onnx.ModelProto:
    return model(inits=(tensor(-2, 3),))


def negative_input() -> onnx.ModelProto:
    return model(inputs=(helper.make_tensor_value_info("x", 1, [-7, 3]),))


def overflowing_dims() -> onnx.ModelProto:
    return model(inits=(tensor(2**62, 2**62),))


def overflowing_input() -> onnx.ModelProto:
    return model(inputs=(helper.make_tensor_value_info("x", 1, [2**40, 2**40]),))


def huge_dims() -> onnx.ModelProto:
    return model(inits=(tensor(2**40, 2**10),))


def short_data() -> onnx.ModelProto:
    return model(inits=(tensor(2, 4),))


def short_numbers() -> onnx.ModelProto:
    return model(inits=(TensorProto(name="w", dims=[4], data_type=1, float_data=[1.0]),))


def short_strings() -> onnx.ModelProto:
    return model(inits=(TensorProto(name="w", dims=[4], data_type=8, string_data=[b"a"]),))


def numbers_too_large() -> onnx.ModelProto:
    return model(inits=(TensorProto(name="w", dims=[1], data_type=TensorProto.UINT8, int32_data=[300]),))


def function_calls_itself() -> onnx.ModelProto:
    body = [helper.make_node("f", ["x"], ["y"], domain="local")]
    function = helper.make_function("local", "f", ["x"], ["y"], body, [helper.make_opsetid("local", 1)])
    found = model(helper.make_node("f", ["x"], ["y"], domain="local"))
    found.functions.append(function)
    return found


def function_twice() -> onnx.ModelProto:
    found = model()
    for _ in range(2):
        found.functions.append(
            helper.make_function("local", "f", ["x"], ["y"], [relu("x", "y")], [helper.make_opsetid("", 17)])
        )
    return found


def forged_mark() -> onnx.ModelProto:
    bad = TensorProto(name="w", dims=[2], data_type=1, data_location=TensorProto.EXTERNAL)
    bad.external_data.add(key="accelint.span", value="0")
    return model(inits=(bad,))


def mark_used_twice() -> onnx.ModelProto:
    """A second tensor that names the data of the first: written again, the file would grow at will."""
    whole = TensorProto(name="big", dims=[4096], data_type=1, raw_data=bytes(4 * 4096))
    bad = TensorProto(name="w", dims=[4096], data_type=1, data_location=TensorProto.EXTERNAL)
    bad.external_data.add(key="accelint.span", value="0")
    return model(inits=(whole, bad))


def no_graph() -> onnx.ModelProto:
    return onnx.ModelProto(ir_version=8, producer_name="x")


WRONG: list[tuple[Callable[[], onnx.ModelProto], str]] = [
    (cycle, "cycle"),
    (missing, "'nowhere'"),
    (missing_in_body, "'nowhere'"),
    (missing_output, "'y'"),
    (written_twice, "written by both"),
    (writes_an_input, "cannot be an input"),
    (writes_a_constant, "writes the constant"),
    (unknown_dtype, "data type 99"),
    (unknown_input_dtype, "data type 99"),
    (unknown_attribute_type, "no type that ONNX defines"),
    (attribute_twice, "two attributes 'alpha'"),
    (no_operator_type, "has no type"),
    (negative_dims, "negative dimension -2"),
    (negative_input, "negative dimension -7"),
    (overflowing_dims, "more elements than"),
    (overflowing_input, "more elements than"),
    (huge_dims, "needs 4503599627370496 bytes and has 24"),
    (short_data, "needs 32 bytes and has 24"),
    (short_numbers, "needs 16 bytes and has 4"),
    (short_strings, "has 1 strings"),
    (numbers_too_large, "a number that uint8 cannot"),
    (function_calls_itself, "calls itself"),
    (function_twice, "two functions"),
    (forged_mark, "reserved key"),
    (mark_used_twice, "reserved key"),
]


@pytest.mark.parametrize(("make", "problem"), WRONG, ids=[make.__name__ for make, _ in WRONG])
def test_a_wrong_model_is_one_error_with_path_and_advice(
    make: Callable[[], onnx.ModelProto], problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(make().SerializeToString())
    with pytest.raises(ModelError) as caught:
        accelint.load(path)
    assert problem in caught.value.message
    assert caught.value.path == str(path)
    assert caught.value.advice, "the message says what to do"
    assert caught.value.exit_code == 3


def test_a_model_without_a_graph_is_rejected() -> None:
    with pytest.raises(ModelError, match="without a graph"):
        from_bytes(no_graph().SerializeToString())


NAMES = [
    "graph",
    "node",
    "op_type",
    "domain",
    "input",
    "output",
    "value",
    "attribute",
    "dim_param",
    "initializer",
    "function",
]


@pytest.mark.parametrize("place", NAMES)
def test_a_name_that_is_not_utf8_is_rejected(place: str, tmp_path: Path) -> None:
    node = helper.make_node(
        "BAD" if place == "op_type" else "Relu",
        ["x"],
        ["BAD" if place == "output" else "y"],
        name="n",
        domain="d",
    )
    node.domain = "BAD" if place == "domain" else "d"
    node.name = "BAD" if place == "node" else "n"
    node.attribute.append(helper.make_attribute("BAD" if place == "attribute" else "a", 1))
    inputs = [
        X,
        helper.make_tensor_value_info(
            "BAD" if place == "input" else "x2", 1, ["BAD" if place == "dim_param" else "n"]
        ),
    ]
    inits = [TensorProto(name="BAD" if place == "initializer" else "w", dims=[0], data_type=1)]
    infos = [helper.make_tensor_value_info("BAD", 1, [2])] if place == "value" else []
    graph = helper.make_graph([node], "BAD" if place == "graph" else "g", inputs, [], inits, value_info=infos)
    found = helper.make_model(
        graph, functions=[helper.make_function("d", "BAD" if place == "function" else "f", [], [], [], [])]
    )
    path = tmp_path / "bad.onnx"
    path.write_bytes(found.SerializeToString().replace(b"BAD", b"B\xff\xfe"))
    if place == "value":
        assert accelint.load(path).graph.tensor("y"), "a type of a tensor that does not exist names nothing"
        return
    with pytest.raises(ModelError, match="UTF-8"):
        accelint.load(path)


@pytest.mark.parametrize("cut", [0.0, 0.01, 0.3, 0.7, 0.999])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_that_is_cut_off_is_rejected(file: Path, cut: float, tmp_path: Path) -> None:
    data = file.read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(ModelError):
        accelint.load(path)


def test_a_pointer_of_git_lfs_says_what_to_run(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n")
    with pytest.raises(ModelError, match="git lfs pull"):
        accelint.load(path)


def checkpoint(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", b"")


STRANGE: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: None, "no such file"),
    (lambda path: path.write_bytes(b""), "is empty"),
    (lambda path: path.write_bytes(b"\x18\0\0\0ORTM" + bytes(99)), "cannot be read as ONNX Runtime's format"),
    (lambda path: path.write_text('{"irVersion": "8"}'), "a text file"),
    (lambda path: path.write_bytes(b"\x7fELF" + bytes(99)), "not a model file"),
    (checkpoint, "a PyTorch checkpoint"),
    (os.mkfifo, "neither a file nor a folder"),
    (Path.mkdir, "a folder that is neither"),
]


@pytest.mark.parametrize(("make", "problem"), STRANGE, ids=[problem for _, problem in STRANGE])
def test_what_is_no_onnx_file_is_called_by_its_name(
    make: Callable[[Path], object], problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    make(path)
    with pytest.raises(ModelError) as caught:
        accelint.load(path)
    assert problem in caught.value.message
    assert caught.value.advice


@pytest.mark.parametrize("name", ["n" * 5000, "a\0b", "model.onnx/inside"])
def test_a_path_that_cannot_be_is_an_error_too(name: str, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(DATA[0])
    with pytest.raises(ModelError):
        accelint.load(tmp_path / name)


# ---- nesting and size ------------------------------------------------------------------------


def nested(levels: int, fill: bytes = b"") -> bytes:
    """If in If in If, ``levels`` deep."""
    graph = fill
    for _ in range(levels):
        body = (
            tag(1, 2)
            + encode(11)
            + b"then_branch"
            + tag(6, 2)
            + encode(len(graph))
            + graph
            + tag(20, 0)
            + encode(5)
        )
        node = (
            tag(1, 2)
            + encode(1)
            + b"x"
            + tag(4, 2)
            + encode(2)
            + b"If"
            + tag(5, 2)
            + encode(len(body))
            + body
        )
        graph = tag(1, 2) + encode(len(node)) + node
    x = X.SerializeToString()
    graph += tag(11, 2) + encode(len(x)) + x
    return tag(1, 0) + encode(8) + tag(7, 2) + encode(len(graph)) + graph


@pytest.mark.parametrize("levels", [40, 5000])
@pytest.mark.parametrize("fill", [b"", tag(10, 2) + encode(5000) + bytes(5000)], ids=["small", "large"])
def test_nesting_bombs_are_rejected(levels: int, fill: bytes, tmp_path: Path) -> None:
    path = tmp_path / "deep.onnx"
    path.write_bytes(nested(levels, fill))
    start = time.process_time()
    with pytest.raises(ModelError):
        accelint.load(path)
    assert time.process_time() - start < 5


def test_bodies_as_deep_as_protobuf_allows_are_read() -> None:
    assert sum(1 for _ in from_bytes(nested(30)).operators()) == 30


def test_functions_that_multiply_are_not_expanded(tmp_path: Path) -> None:
    found = model(helper.make_node("f0", ["x"], ["y"], domain="local"))
    found.opset_import.add(domain="local", version=1)
    for level in range(60):
        calls = [helper.make_node(f"f{level + 1}", ["x"], [name], domain="local") for name in ("a", "b")]
        body = [*calls, helper.make_node("Add", ["a", "b"], ["y"])]
        imports = [helper.make_opsetid("local", 1), helper.make_opsetid("", 17)]
        found.functions.append(helper.make_function("local", f"f{level}", ["x"], ["y"], body, imports))
    found.functions.append(
        helper.make_function("local", "f60", ["x"], ["y"], [relu("x", "y")], [helper.make_opsetid("", 17)])
    )
    start = time.process_time()
    loaded = from_bytes(found.SerializeToString())
    assert time.process_time() - start < 5
    assert "expand" in loaded.metadata["shape_inference_error"]


@pytest.mark.parametrize("length", [2**22, 2**62])
@pytest.mark.parametrize("source", ["input", "result"])
def test_a_long_dimension_does_not_fill_the_memory(length: int, source: str) -> None:
    """onnx keeps every element of a 1-D operand while it follows values; 2**62 of them would be the end."""
    size = helper.make_tensor("size", TensorProto.INT64, [1], [length])
    first = helper.make_tensor("first", TensorProto.INT64, [1], [0])
    wide = helper.make_tensor_value_info("wide", 1, [length])
    made = [] if source == "input" else [helper.make_node("ConstantOfShape", ["size"], ["wide"])]
    nodes = [
        *made,
        helper.make_node("Gather", ["wide", "first"], ["few"]),
        helper.make_node("NonZero", ["few"], ["open"]),
        helper.make_node("Shape", ["open"], ["s"]),
    ]
    found = model(*nodes, inputs=(X, wide) if source == "input" else (X,), inits=(size, first))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    loaded = from_bytes(found.SerializeToString())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10
    assert loaded.graph.tensor("few").shape == (1,)
    assert "one long dimension" in loaded.metadata["shape_inference_error"]


# ---- external data ---------------------------------------------------------------------------


def external(folder: Path, **entries: str) -> Path:
    weight = TensorProto(name="w", dims=[2, 3], data_type=1, data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        weight.external_data.add(key=key, value=value)
    path = folder / "model.onnx"
    path.write_bytes(model(inits=(weight,)).SerializeToString())
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "w.bin").write_bytes(bytes(24))
    (inside / "pointer.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 24\n")
    (tmp_path / "secret.bin").write_bytes(bytes(24))
    (inside / "link.bin").symlink_to(tmp_path / "secret.bin")
    (inside / "loop.bin").symlink_to(inside / "loop.bin")
    os.mkfifo(inside / "pipe.bin")
    return inside


PLACES = [
    ({"location": "absent.bin"}, "is missing"),
    ({"location": "../secret.bin"}, "outside the model's folder"),
    ({"location": "sub/../../secret.bin"}, "outside the model's folder"),
    ({"location": "..\\secret.bin"}, "outside the model's folder"),
    ({"location": "/etc/passwd"}, "outside the model's folder"),
    ({"location": "C:\\w.bin"}, "outside the model's folder"),
    ({"location": "link.bin"}, "outside the model's folder"),
    ({"location": "loop.bin"}, "is missing"),
    ({"location": "pipe.bin"}, "is no file"),
    ({"location": "."}, "is no file"),
    ({"location": ""}, "no location"),
    ({"location": "a\0b"}, "no location"),
    ({}, "no location"),
    ({"location": "pointer.bin"}, "Git LFS pointer"),
    ({"location": "w.bin", "offset": "1"}, "needs bytes 1 to 25"),
    ({"location": "w.bin", "offset": "-1"}, "has the offset '-1'"),
    ({"location": "w.bin", "offset": "99999999999999999999"}, "has the offset"),
    ({"location": "w.bin", "length": "23"}, "has 23"),
    ({"location": "w.bin", "length": "x"}, "has the length 'x'"),
    ({"location": "n" * 5000}, "is missing"),
]


@pytest.mark.parametrize(
    ("entries", "problem"), PLACES, ids=[problem + str(index) for index, (_, problem) in enumerate(PLACES)]
)
def test_external_data_that_is_not_where_it_may_be_is_rejected(
    entries: dict[str, str], problem: str, folder: Path
) -> None:
    with pytest.raises(ModelError) as caught:
        accelint.load(external(folder, **entries))
    assert problem in caught.value.message
    assert caught.value.advice


def test_external_data_in_the_folder_is_fine(folder: Path) -> None:
    value = accelint.load(external(folder, location="w.bin")).graph.constant("w")
    assert value is not None and value.raw() == bytes(24)


def test_a_model_in_a_hub_cache_finds_its_data(tmp_path: Path) -> None:
    """Hub caches keep the files in one folder under other names, and links to them in another."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "1"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    external(blobs, location="w.bin").rename(blobs / "aaaa")
    (blobs / "bbbb").write_bytes(bytes(24))
    (snapshot / "model.onnx").symlink_to(blobs / "aaaa")
    (snapshot / "w.bin").symlink_to(blobs / "bbbb")
    value = accelint.load(snapshot / "model.onnx").graph.constant("w")
    assert value is not None and value.raw() == bytes(24)


def test_external_data_that_vanishes_is_an_error_when_it_is_read(folder: Path) -> None:
    value = accelint.load(external(folder, location="w.bin")).graph.constant("w")
    (folder / "w.bin").write_bytes(b"short")
    assert value is not None
    with pytest.raises(accelint.AccelintError, match="24 bytes expected"):
        value.raw()


# ---- mutation --------------------------------------------------------------------------------


EDITS = st.tuples(st.floats(0, 1), st.integers(0, 3), st.binary(min_size=1, max_size=6))


def only_model_errors(data: bytes) -> None:
    try:
        loaded = from_bytes(data)
    except ModelError:
        return
    for graph, op in loaded.operators():
        for value in map(graph.constant, op.inputs):
            if value is not None and value.length < 1 << 24:
                with suppress(GraphError):  # the indices of a sparse tensor are looked at when it is read
                    value.raw()


@settings(max_examples=1500, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(DATA), st.lists(EDITS, min_size=1, max_size=6))
@example(DATA[0], [(0.0, 0, b"\xff")])
def test_changed_bytes_give_a_model_or_a_model_error(
    data: bytes, edits: list[tuple[float, int, bytes]]
) -> None:
    changed = bytearray(data)
    for place, kind, new in edits:
        at = int(place * len(changed))
        if kind == 0:
            changed[at : at + len(new)] = new
        elif kind == 1:
            changed[at:at] = new
        elif kind == 2:
            del changed[at : at + len(new)]
        else:
            changed[at : at + 1] = bytes([new[0] & 0x7F])
    only_model_errors(bytes(changed))


def mutate(message: object, draw: st.DataObject, depth: int = 0) -> None:
    """Change one field of a message, or of a message in it, to another value of its type."""
    fields = message.ListFields()  # type: ignore[attr-defined]
    if not fields or depth > 12:
        return
    descriptor, value = draw.draw(st.sampled_from(fields))
    repeated = descriptor.is_repeated
    if repeated and draw.draw(st.integers(0, 4)) == 0:
        del value[draw.draw(st.integers(0, len(value) - 1))]
        return
    if descriptor.message_type is not None:
        mutate(value[draw.draw(st.integers(0, len(value) - 1))] if repeated else value, draw, depth + 1)
        return
    new = draw.draw(VALUES[descriptor.cpp_type])
    if descriptor.cpp_type == descriptor.CPPTYPE_ENUM and new not in descriptor.enum_type.values_by_number:
        new = 0
    if descriptor.type == descriptor.TYPE_BYTES:
        new = new.encode() if isinstance(new, str) else new
    if repeated:
        value[draw.draw(st.integers(0, len(value) - 1))] = new
    else:
        setattr(message, descriptor.name, new)


INT64 = st.one_of(st.integers(-3, 30), st.sampled_from([2**31, 2**40, 2**62, -(2**63), 2**63 - 1]))
VALUES = {
    1: st.integers(-3, 130),
    2: INT64,
    3: st.integers(0, 2**32 - 1),
    4: st.integers(0, 2**64 - 1),
    5: st.floats(),
    6: st.floats(width=32),
    7: st.booleans(),
    8: st.integers(0, 14),
    9: st.sampled_from(
        ["", "x", "y", "w", "a" * 300, "ai.onnx", "Loop", "If", "Reshape", "Constant", "axis", "length"]
    ),
}


@settings(
    max_examples=1500,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.sampled_from(DATA), st.integers(1, 4), st.data())
def test_changed_fields_give_a_model_or_a_model_error(data: bytes, count: int, draw: st.DataObject) -> None:
    changed = onnx.ModelProto.FromString(data)
    for _ in range(count):
        mutate(changed, draw)
    only_model_errors(changed.SerializeToString())


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=300))
def test_random_bytes_give_a_model_error(data: bytes) -> None:
    with pytest.raises(ModelError):
        from_bytes(b"\x08\x08" + data)


def test_the_types_of_attributes_are_those_of_the_schemas() -> None:
    told: dict[str, set[int]] = {}
    for found in onnx.defs.get_all_schemas_with_history():
        if found.domain == "":
            for name, attribute in found.attributes.items():
                told.setdefault(name, set()).add(attribute.type.value)
    single = {name: kinds.pop() for name, kinds in told.items() if len(kinds) == 1}
    assert {name: kind for name, kind in single.items() if name not in ("bias", "scale")} == KINDS


@pytest.mark.parametrize(
    ("kind", "attribute", "value"),
    [("Softmax", "axis", "x"), ("Softmax", "axis", [1]), ("Elu", "alpha", 1), ("Transpose", "perm", "ab")],
)
def test_an_attribute_of_another_type_is_a_model_that_does_not_load(
    kind: str, attribute: str, value: object, tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    found = model(helper.make_node(kind, ["x"], ["y"], **{attribute: value}))
    found.graph.output.append(helper.make_tensor_value_info("y", 1, None))
    found.ir_version = 8
    onnx.save(found, tmp_path / "m.onnx")
    with pytest.raises(Exception, match="invalid model"):
        onnxruntime.InferenceSession(tmp_path / "m.onnx")
    target = report("check", tmp_path / "m.onnx", "--target", "onnxruntime/cpu")["models"][0]["targets"][0]
    assert (target["verdict"], target["phase"]) == ("rejected", "load")
