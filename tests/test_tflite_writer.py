"""TFLite files, written: what is read and written again is the same model to the runtime and to LiteRT's own
bindings.
"""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tflite_worker
from accelint.analyzer.conform.corpora.tflite.corpus import cases
from accelint.analyzer.conform.corpora.tflite.net import Net
from accelint.analyzer.errors import GraphError, UsageError
from accelint.analyzer.formats.tflite.flat import Flat
from accelint.analyzer.formats.tflite.reader import BODIES, from_bytes
from accelint.analyzer.formats.tflite.schema import Field, schema
from accelint.analyzer.formats.tflite.writer import to_bytes, write
from accelint.analyzer.ir.graph import Constant, Graph, Operator, Tensor
from accelint.analyzer.ir.model import Model
from cli import accelint as command_line

import accelint

FIXTURES = sorted((Path(__file__).parent.parent / "fixtures" / "tflite").glob("*.tflite"))
RUNNABLE = [path for path in FIXTURES if path.stem != "flex"]


def rows(data: bytes) -> Any:
    """Everything that a file says, with the content of its buffers instead of their places."""
    flat = Flat(data)
    root = flat.root("Model", b"TFL3")
    for buffer in root["buffers"]:
        buffer["data"] = flat.take(buffer["data"]) if buffer["data"] else None
    for graph in root["subgraphs"]:
        for op in graph["operators"]:
            op["custom_options"] = flat.take(op["custom_options"]) if op["custom_options"] else None
    return root


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_an_unedited_model_says_the_same(path: Path, tmp_path: Path) -> None:
    accelint.emit(accelint.load(path), tmp_path / "copy.tflite")
    assert rows((tmp_path / "copy.tflite").read_bytes()) == rows(path.read_bytes())


def test_an_unedited_model_gives_the_same_bits(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    jobs = []
    for path in RUNNABLE:
        accelint.emit(accelint.load(path), tmp_path / path.name)
        jobs.append(["same", str(path), str(tmp_path / path.name)])
    answers = tflite_worker.ask(jobs)
    assert all(answer.get("same") and answer["outputs"] >= 6 for answer in answers), dict(
        zip(RUNNABLE, answers, strict=True)
    )


def test_the_worker_sees_a_changed_weight(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    model = accelint.load(FIXTURES[1])
    weights = next(
        tensor
        for tensor in model.graph.tensors.values()
        if tensor.const is not None and tensor.shape == (8, 3, 3, 3)
    )
    assert weights.const is not None
    data = bytearray(weights.const.raw())
    data[3] ^= 1
    model.graph.set_tensor(replace(weights, const=Constant("float32", (8, 3, 3, 3), inline=bytes(data))))
    write(model, tmp_path / "changed.tflite")
    (answer,) = tflite_worker.ask([["same", str(FIXTURES[1]), str(tmp_path / "changed.tflite")]])
    assert answer["same"] is False


def other(field: Field, table: str) -> Any:
    """A value of an options field that is not its default."""
    if field.kind == "scalar":
        return not field.default if field.of == "?" else field.default + 3
    if field.kind == "enum":
        return next(
            name
            for name in schema().enums[field.of].values()
            if name != field.default or len(schema().enums[field.of]) == 1
        )
    if field.kind == "string":
        return f"{table}.{field.name}"
    if field.kind == "bytes":
        return b"\x01\x02\x03"
    if field.kind == "enums":
        return tuple(schema().enums[field.of].values())
    assert field.kind == "scalars"
    return (True, False) if field.of == "?" else (3, 1, 2)


def operators_of_the_schema() -> list[str]:
    return [name for name in schema().options if name not in ("CUSTOM", "PLACEHOLDER_FOR_GREATER_OP_CODES")]


def unusual(type_: str) -> Model:
    """A model of one operator whose options all differ from their defaults; bodies where the options name
    them.
    """
    net = Net()
    table = schema().options[type_]
    fields = [field for field in schema().tables[table] if not field.deprecated] if table else []
    attrs = {field.name: other(field, str(table)) for field in fields}
    graphs = {}
    for index, name in enumerate(BODIES.get(type_, ())):
        body = net.body(f"body{index}")
        body.op("ABS", [body.input((2,), "f32")], [body.result((2,), "f32")])
        key = {"branch_subgraph_indices": "branch_0", "called_computations": "computation_0"}.get(
            name, name.removesuffix("_subgraph_index")
        )
        graphs[key] = body.finish()
        attrs[name] = (
            (index + 1,) if name in ("branch_subgraph_indices", "called_computations") else index + 1
        )
    net.op(
        type_, [net.input((2, 3), "f32"), None], [net.result((2, 3), "i8")], attrs, version=7, graphs=graphs
    )
    return net.model()


@pytest.mark.parametrize("type_", operators_of_the_schema())
def test_every_option_of_every_operator_survives(type_: str) -> None:
    written = unusual(type_)
    (before,) = written.graph.ops()
    (after,) = from_bytes(to_bytes(written)).graph.ops()
    assert (after.type, after.version, after.inputs, after.outputs) == (
        type_,
        7,
        before.inputs,
        before.outputs,
    )
    assert dict(after.attrs) == dict(before.attrs)
    assert {key: [op.type for op in body.ops()] for key, body in after.graphs.items()} == {
        key: ["ABS"] for key in before.graphs
    }


def test_litert_reads_the_same_options() -> None:
    """The bindings that LiteRT generates from its schema are an independent reader of what is written."""
    binding = pytest.importorskip("ai_edge_litert.schema_py_generated")
    compared = 0
    for type_ in operators_of_the_schema():
        model = unusual(type_)
        table = schema().options[type_]
        if table is None or not hasattr(binding, f"{table}T"):
            continue
        seen = binding.ModelT.InitFromObj(binding.Model.GetRootAs(to_bytes(model), 0))
        (op,) = seen.subgraphs[0].operators
        options = op.builtinOptions if op.builtinOptions is not None else op.builtinOptions2
        assert type(options).__name__ == f"{table}T"
        assert seen.operatorCodes[op.opcodeIndex].builtinCode == schema().numbers["BuiltinOperator"][type_]
        for field in schema().tables[table]:
            if field.deprecated:
                continue
            parts = field.name.split("_")
            value = getattr(options, parts[0] + "".join(part[:1].upper() + part[1:] for part in parts[1:]))
            wanted = next(iter(model.graph.ops())).attrs[field.name]
            if field.kind == "enum":
                wanted = schema().numbers[field.of][wanted]
            elif field.kind == "enums":
                wanted = tuple(schema().numbers[field.of][item] for item in wanted)
            elif field.kind == "string":
                value = value.decode()
            elif field.kind in ("scalars", "bytes"):
                wanted, value = tuple(wanted), tuple(value)
            assert (tuple(value) if isinstance(wanted, tuple) else value) == wanted, (table, field.name)
            compared += 1
    assert compared > 200


def test_contents_start_at_multiples_of_16() -> None:
    copies = [from_bytes(to_bytes(accelint.load(path))) for path in FIXTURES]
    offsets = [
        tensor.const.offset
        for model in copies
        for tensor in model.graph.tensors.values()
        if tensor.const is not None
    ]
    assert len(offsets) > 50 and all(offset % 16 == 0 for offset in offsets)


def test_contents_outside_of_the_flatbuffer(tmp_path: Path) -> None:
    """Models over 2 GB keep their weights after the FlatBuffer; a small one can, too, and stays that way."""
    pytest.importorskip("ai_edge_litert")
    path = next(item for item in FIXTURES if item.stem == "conv_net_int8")
    model = accelint.load(path)
    model.stored = replace(model.stored, apart=True)
    write(model, tmp_path / "apart.tflite")
    again = accelint.load(tmp_path / "apart.tflite")
    assert again.stored.apart
    write(again, tmp_path / "again.tflite")
    assert (tmp_path / "again.tflite").read_bytes() == (tmp_path / "apart.tflite").read_bytes()
    (answer,) = tflite_worker.ask([["same", str(path), str(tmp_path / "apart.tflite")]])
    assert answer.get("same") is True


def test_a_sparse_constant_is_what_litert_makes_dense(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    net = Net()
    case = next(case for case in cases(ops=["DENSIFY"]) if case.name == "DENSIFY/use=True")
    sparse = from_bytes(case.build())
    (stored,) = [tensor for tensor in sparse.graph.tensors.values() if tensor.const is not None]
    assert stored.const is not None and stored.attrs["sparse_data"].length == 16
    dense = stored.const.read()
    assert dense.tolist() == [[0, 1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 3], [0, 0, 4, 0]]
    net.op(
        "ADD", [net.input((4, 4), "f32"), net.const(dense, "f32", name="out")], [net.result((4, 4), "f32")]
    )
    for name, data in (("dense", to_bytes(net.model())), ("sparse", case.build())):
        (tmp_path / f"{name}.tflite").write_bytes(data)
    (answer,) = tflite_worker.ask([["same", str(tmp_path / "sparse.tflite"), str(tmp_path / "dense.tflite")]])
    assert answer.get("same") is True


def test_an_edited_graph_is_written_and_runs(tmp_path: Path) -> None:
    """Freeze the batch, put two operators in place of one, add a constant, drop another."""
    pytest.importorskip("ai_edge_litert")
    model = accelint.load(next(item for item in FIXTURES if item.stem == "conv_net_dynamic_batch"))
    graph = model.graph
    for tensor in list(graph.tensors.values()):
        if tensor.shape is not None and None in tensor.shape:
            graph.set_tensor(replace(tensor, shape=tuple(4 if dim is None else dim for dim in tensor.shape)))
    swish = next(op for op in graph.ops() if op.type == "MUL")
    half, scaled = graph.fresh("two"), graph.fresh("scaled")
    shape = graph.tensor(swish.outputs[0]).shape
    two = Tensor(half, "float32", (), Constant("float32", (), inline=np.float32(2).tobytes()))
    options = {"fused_activation_function": "NONE"}
    first = Operator(graph.fresh_id(), "MUL", swish.inputs, (scaled,), options)
    second = Operator(graph.fresh_id(), "DIV", (scaled, half), swish.outputs, options)
    graph.replace([swish], [first, second], [two, Tensor(scaled, "float32", shape)])
    write(model, tmp_path / "edited.tflite")
    again = accelint.load(tmp_path / "edited.tflite")
    assert [op.type for op in again.graph.ops()].count("DIV") == 1
    assert again.graph.tensor(again.graph.inputs[0]).shape == (4, 16, 16, 3)
    assert again.metadata["signatures"].keys() == model.metadata["signatures"].keys()
    (answer,) = tflite_worker.ask([["allocate", str(tmp_path / "edited.tflite")]])
    assert answer == {"shapes": [[4, 5]], "indices": answer["indices"]}


def test_a_copied_graph_shares_its_bodies_again(tmp_path: Path) -> None:
    path = next(item for item in FIXTURES if item.stem == "gru_while")
    model = accelint.load(path)
    copied = replace(model, graph=model.graph.copy(), graphs={"main": model.graph.copy()})
    assert len(rows(to_bytes(copied))["subgraphs"]) == len(rows(path.read_bytes())["subgraphs"])
    body = next(op for op in copied.graph.ops() if op.type == "WHILE").graphs["body"]
    op = next(op for op in body.ops() if op.type == "TANH")
    body.update(op, type="ELU")
    types = [[op.type for op in item.ops()] for item in from_bytes(to_bytes(copied)).stored.graphs]
    assert sum("ELU" in item for item in types) == 1 and not any("TANH" in item for item in types)


def test_a_tensor_that_is_overwritten_is_one_tensor_for_each_value(tmp_path: Path) -> None:
    """``in0`` and ``out`` share their memory on purpose: ABS writes ``out``, NEG overwrites ``in0``, EXP
    overwrites ``out``.
    """
    pytest.importorskip("ai_edge_litert")
    net = Net()
    x = net.input((3,), "f32")
    names = [x, *(net.result((3,), "f32") for _ in range(3))]
    for type_, before, after in zip(("ABS", "NEG", "EXP"), names, names[1:], strict=False):
        net.op(type_, [before], [after])
    model = net.model()
    for name, index, base in (
        (names[0], 0, None),
        (names[1], 1, None),
        (names[2], 0, names[0]),
        (names[3], 1, names[1]),
    ):
        attrs = {"index": index} if base is None else {"index": index, "again": base}
        model.graph.set_tensor(replace(model.graph.tensor(name), attrs=attrs))
    data = to_bytes(model)
    (tmp_path / "shared.tflite").write_bytes(data)
    again = accelint.load(tmp_path / "shared.tflite")
    assert [(op.type, op.inputs, op.outputs) for op in again.graph.ops()] == [
        ("ABS", ("in0",), ("out",)),
        ("NEG", ("out",), ("in0@1",)),
        ("EXP", ("in0@1",), ("out@2",)),
    ]
    assert len(rows(data)["subgraphs"][0]["tensors"]) == 2 and again.graph.outputs == ("out@2",)
    write(again, tmp_path / "copy.tflite")
    assert rows((tmp_path / "copy.tflite").read_bytes()) == rows(data)
    (answer,) = tflite_worker.ask([["same", str(tmp_path / "shared.tflite"), str(tmp_path / "copy.tflite")]])
    assert answer.get("same") is True


def test_files_after_the_model_are_carried(tmp_path: Path) -> None:
    packed = tmp_path / "packed.tflite"
    packed.write_bytes(FIXTURES[1].read_bytes())
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("labels.txt", "cat\ndog\n")
    accelint.emit(accelint.load(packed), tmp_path / "out.tflite")
    with zipfile.ZipFile(tmp_path / "out.tflite") as archive:
        assert archive.read("labels.txt") == b"cat\ndog\n"
    assert rows((tmp_path / "out.tflite").read_bytes()) == rows(FIXTURES[1].read_bytes())


def test_the_input_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(FIXTURES[1].read_bytes())
    with pytest.raises(UsageError, match="is the input"):
        accelint.emit(accelint.load(path), path)
    assert path.read_bytes() == FIXTURES[1].read_bytes()


def one(type_: str, **changes: Any) -> Model:
    net = Net()
    net.op("ABS", [net.input((2,), "f32")], [net.result((2,), "f32")])
    (op,) = net.graph.ops()
    net.graph.update(op, type=type_, **changes)
    return net.model()


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (one("Abs"), "no TFLite operator"),
        (one("CONV_2D", attrs={"strides": 1}), r"attributes \['strides'\], which CONV_2D does not have"),
        (one("CONV_2D", attrs={"padding": "same"}), "padding cannot be 'same': Padding has SAME, VALID"),
        (one("CONV_2D", attrs={"stride_w": 1 << 40}), "stride_w cannot be 1099511627776"),
        (
            one("DISPATCH_OP", domain="custom", attrs={"custom_options": b"..bytecode_offset.."}),
            "code for one chip",
        ),
    ],
)
def test_what_tflite_cannot_hold_is_an_error_and_nothing_is_written(
    model: Model, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(GraphError, match=problem):
        write(model, tmp_path / "out.tflite")
    assert list(tmp_path.iterdir()) == []


def test_another_dialect_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="dialect 'onnx'"):
        write(Model(Path("m.onnx"), "onnx", Graph("main", "onnx")), tmp_path / "out.tflite")


def test_fix_carries_files_after_the_model(tmp_path: Path) -> None:
    packed, out = tmp_path / "packed.tflite", tmp_path / "out.tflite"
    packed.write_bytes((FIXTURES[0].with_name("conv_net_dynamic_batch.tflite")).read_bytes())
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("labels.txt", "cat\ndog\n")
        archive.comment = b"by hand"
    run = command_line("fix", packed, "-t", "litert/gpu", "--freeze", "batch=2", "--unproved", "-o", out)
    assert run.returncode == 0, run.stderr
    with zipfile.ZipFile(out) as archive:
        assert (archive.read("labels.txt"), archive.comment) == (b"cat\ndog\n", b"by hand")
    assert accelint.load(out).graph.tensor("serving_default_image:0").shape == (2, 16, 16, 3)
