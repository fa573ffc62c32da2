"""Damaged and hostile TensorFlow files: one clear error with the path, in bounded time."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from accelint.analyzer.errors import GraphError, ModelError
from accelint.analyzer.formats import load
from accelint.analyzer.formats.tf.proto import message
from accelint.analyzer.formats.tf.reader import read

TF = Path(__file__).parent.parent / "fixtures" / "tf"
MODELS = ("control_flow/saved_model.pb", "tf1_frozen.pb", "convnet/saved_model.pb")


def copied(tmp_path: Path, name: str) -> Path:
    shutil.copytree(TF / name, tmp_path / name)
    return tmp_path / name


def graph_def(tmp_path: Path, build: Callable[[Any], None]) -> Path:
    graph = message("GraphDef")()
    build(graph)
    (tmp_path / "model.pb").write_bytes(graph.SerializeToString())
    return tmp_path / "model.pb"


def node(graph: Any, name: str, op: str, *inputs: str, dtype: int = 1) -> Any:
    made = graph.node.add(name=name, op=op, input=inputs)
    made.attr["T"].type = dtype
    return made


def rejected(path: Path, match: str) -> None:
    with pytest.raises(ModelError, match=match) as caught:
        read(path)
    assert str(path) in caught.value.message
    assert caught.value.advice


@pytest.mark.parametrize("name", MODELS)
def test_a_file_cut_anywhere_is_read_or_rejected(name: str, tmp_path: Path) -> None:
    source = TF / name
    data = source.read_bytes()
    folder = tmp_path / "model"
    shutil.copytree(source.parent, folder) if name.endswith("saved_model.pb") else folder.mkdir()
    rng, blockers = random.Random(1), 0
    for cut in sorted(rng.sample(range(1, len(data)), 60)):
        (folder / source.name).write_bytes(data[:cut])
        try:
            read(folder / source.name)
        except ModelError:
            blockers += 1
    assert blockers > 30


@pytest.mark.parametrize("name", MODELS)
def test_flipped_bytes_are_read_or_rejected(name: str, tmp_path: Path) -> None:
    source = TF / name
    folder = tmp_path / "model"
    shutil.copytree(source.parent, folder) if name.endswith("saved_model.pb") else folder.mkdir()
    rng, read_anyway = random.Random(2), 0
    for _ in range(120):
        data = bytearray(source.read_bytes())
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        (folder / source.name).write_bytes(bytes(data))
        try:
            model = read(folder / source.name)
        except ModelError:
            continue
        model.graph.validate()
        read_anyway += 1
    assert read_anyway > 0


def test_a_checkpoint_index_cut_anywhere_is_rejected(tmp_path: Path) -> None:
    folder = copied(tmp_path, "control_flow")
    file = folder / "variables" / "variables.index"
    data = file.read_bytes()
    for cut in range(0, len(data), 9):
        file.write_bytes(data[:cut])
        rejected(folder, "checkpoint index")


def test_a_checkpoint_cut_short_is_rejected_when_its_values_are_read(tmp_path: Path) -> None:
    folder = copied(tmp_path, "control_flow")
    file = folder / "variables" / "variables.data-00000-of-00001"
    data = file.read_bytes()
    for cut in range(0, len(data), 40):
        file.write_bytes(data[:cut])
        with pytest.raises((ModelError, GraphError)) as caught:
            constants = [tensor.const for tensor in read(folder).graph.tensors.values() if tensor.const]
            [constant.read() for constant in constants]
        assert str(folder) in caught.value.message


@pytest.mark.parametrize("name", ["variables.index", "variables.data-00000-of-00001"])
def test_flipped_bytes_in_a_checkpoint_are_read_or_rejected(name: str, tmp_path: Path) -> None:
    folder = copied(tmp_path, "control_flow")
    file = folder / "variables" / name
    data, rng, blockers = file.read_bytes(), random.Random(3), 0
    for _ in range(60):
        flipped = bytearray(data)
        for _ in range(6):
            flipped[rng.randrange(len(data))] = rng.randrange(256)
        file.write_bytes(bytes(flipped))
        try:
            read(folder)
        except ModelError as error:
            assert str(folder) in error.message
            blockers += 1
    assert blockers > 5


def test_missing_parts_of_the_checkpoint(tmp_path: Path) -> None:
    folder = copied(tmp_path, "control_flow")
    data = folder / "variables" / "variables.data-00000-of-00001"
    data.rename(tmp_path / "elsewhere")
    rejected(folder, r"data-00000-of-00001")
    shutil.rmtree(folder / "variables")
    rejected(folder, r"variables\.index: the checkpoint's index is missing")


def test_empty_and_random_files(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    rejected(tmp_path, "no protobuf data")
    (tmp_path / "saved_model.pb").write_bytes(random.Random(4).randbytes(5000))
    rejected(tmp_path, "no protobuf data|damaged")


def test_no_graph_and_no_signature(tmp_path: Path) -> None:
    saved = message("SavedModel")(saved_model_schema_version=1)
    (tmp_path / "saved_model.pb").write_bytes(saved.SerializeToString() + b"\x12\x00")
    rejected(tmp_path, "no signature")


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda g: node(g, "a", "Neg", "absent"), "reads 'absent', which nothing writes"),
        (
            lambda g: [node(g, "a", "Neg", "b"), node(g, "b", "Neg", "a"), node(g, "c", "Neg", "b")],
            "a cycle: ",
        ),
        (lambda g: [node(g, "a", "Neg", "a"), node(g, "c", "Neg", "a")], "a cycle: a"),
        (lambda g: [node(g, "a", "Placeholder"), node(g, "a", "Placeholder")], "two nodes named 'a'"),
        (lambda g: node(g, "", "Neg"), "a node without a name"),
        (lambda g: [node(g, "a", "Placeholder"), node(g, "b", "Neg", "a:7")], "reads 'a:7'"),
        (lambda g: [node(g, "a", "Const"), node(g, "b", "Neg", "a")], "'a' has no value"),
    ],
    ids=["dangling", "cycle", "self", "twice", "nameless", "no-such-output", "no-value"],
)
def test_broken_graphs(build: Callable[[Any], Any], match: str, tmp_path: Path) -> None:
    rejected(graph_def(tmp_path, build), match)


def test_an_impossible_number_of_outputs(tmp_path: Path) -> None:
    def build(graph: Any) -> None:
        node(graph, "x", "Placeholder")
        node(graph, "split", "Split", "x", "x").attr["num_split"].i = 1 << 40

    rejected(graph_def(tmp_path, build), "claims 1099511627776 outputs")


def test_a_constant_whose_bytes_do_not_fit(tmp_path: Path) -> None:
    def build(graph: Any) -> None:
        tensor = node(graph, "c", "Const").attr["value"].tensor
        tensor.dtype, tensor.tensor_content = 1, b"\0" * 2000
        tensor.tensor_shape.dim.add(size=1 << 62)
        tensor.tensor_shape.dim.add(size=1 << 62)
        node(graph, "out", "Neg", "c")

    rejected(graph_def(tmp_path, build), "'c': a float32 constant of shape .* 2000 are stored")


def test_a_place_outside_the_file_is_rejected_when_read(tmp_path: Path) -> None:
    """A file may claim the fields with which the reader marks what it skipped: they only point into the same
    file.
    """

    def build(graph: Any) -> None:
        tensor = node(graph, "c", "Const").attr["value"].tensor
        tensor.dtype, tensor.file_offset, tensor.file_length = 1, 1 << 50, 4
        node(graph, "out", "Neg", "c")

    constant = read(graph_def(tmp_path, build)).graph.tensor("c:0").const
    assert constant is not None
    with pytest.raises((GraphError, OSError)):
        constant.read()


def calls(graph: Any, name: str, callees: list[str]) -> None:
    """A function of one value that hands it through others, one after the other."""
    function = graph.library.function.add()
    function.signature.name = name
    function.signature.input_arg.add(name="x", type=1)
    function.signature.output_arg.add(name="y", type=1)
    last = "x"
    for index, callee in enumerate(callees):
        made = function.node_def.add(name=f"call{index}", op="PartitionedCall", input=[last])
        made.attr["f"].func.name = callee
        made.attr["Tout"].list.type.append(1)
        last = f"call{index}:output:0"
    function.ret["y"] = last


def called(graph: Any, name: str) -> None:
    node(graph, "x", "Placeholder").attr["dtype"].type = 1
    node(graph, "call", "PartitionedCall", "x").attr["f"].func.name = name


def test_a_function_that_calls_itself(tmp_path: Path) -> None:
    rejected(graph_def(tmp_path, lambda g: [called(g, "f"), calls(g, "f", ["f"])]), "'f' calls itself")


def test_functions_that_nest_too_deep(tmp_path: Path) -> None:
    def build(graph: Any) -> None:
        called(graph, "f0")
        for depth in range(70):
            calls(graph, f"f{depth}", [f"f{depth + 1}"])
        calls(graph, "f70", [])

    rejected(graph_def(tmp_path, build), "nest more than 64 deep")


def test_bodies_that_hold_themselves(tmp_path: Path) -> None:
    def build(graph: Any) -> None:
        node(graph, "x", "Placeholder", dtype=1).attr["dtype"].type = 10
        calls(graph, "f", [])
        inner = graph.library.function[0].node_def.add(name="again", op="StatelessIf", input=["x"])
        inner.attr["then_branch"].func.name = "f"
        graph.library.function[0].ret["y"] = "again:output:0"
        inner.attr["Tout"].list.type.append(1)
        node(graph, "if", "StatelessIf", "x").attr["then_branch"].func.name = "f"

    rejected(graph_def(tmp_path, build), "'f' calls itself")


def test_a_library_that_doubles_with_every_call(tmp_path: Path) -> None:
    def build(graph: Any) -> None:
        called(graph, "f0")
        for depth in range(40):
            calls(graph, f"f{depth}", [f"f{depth + 1}"] * 2)
        calls(graph, "f40", [])

    started = time.perf_counter()
    rejected(graph_def(tmp_path, build), "expand to more than")
    assert time.perf_counter() - started < 5


def test_a_long_chain_is_no_nesting(tmp_path: Path) -> None:
    def build(graph: Any) -> None:
        node(graph, "n0", "Placeholder").attr["dtype"].type = 1
        for index in range(1, 20_000):
            node(graph, f"n{20_000 - index}", "Neg", f"n{20_000 - index - 1}")

    started = time.perf_counter()
    assert len(read(graph_def(tmp_path, build)).graph) == 19_999
    assert time.perf_counter() - started < 10


def test_deeply_nested_messages(tmp_path: Path) -> None:
    attr = b""
    for _ in range(5000):  # NameAttrList.attr { value { func { ... } } }
        entry = b"\x12" + varint(len(attr)) + attr
        attr = (
            b"\x52" + varint(len(entry) + 1 + len(varint(len(entry)))) + b"\x12" + varint(len(entry)) + entry
        )
    graph = b"\x0a" + varint(len(attr) + 10) + b"\x0a\x01a\x12\x01b" + attr
    (tmp_path / "model.pb").write_bytes(graph)
    with pytest.raises(ModelError):
        read(tmp_path / "model.pb")


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def test_names_that_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x12\x0a\x12\x08\x0a\x06\x0a\x01\xff\x12\x01a")
    rejected(tmp_path, "damaged SavedModel")


def test_a_call_with_the_wrong_number_of_arguments(tmp_path: Path) -> None:
    def build(graph: Any) -> None:
        node(graph, "call", "PartitionedCall").attr["f"].func.name = "f"
        calls(graph, "f", [])

    rejected(graph_def(tmp_path, build), "gives 0 values to the function 'f', which takes 1")


def test_unknown_enumerations_are_unknown(tmp_path: Path) -> None:
    def build(graph: Any) -> None:
        node(graph, "x", "Placeholder").attr["dtype"].type = 77
        node(graph, "y", "Neg", "x", dtype=1234)

    tensors = load(graph_def(tmp_path, build)).graph.tensors
    assert {tensor.dtype for tensor in tensors.values()} == {"unknown"}
