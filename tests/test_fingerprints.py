"""Fingerprints outlast edits of the model: operators added, moved and renamed elsewhere change none of
them.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import onnx
import pytest
from accelint.analyzer.check.run import check
from accelint.analyzer.ir.graph import Graph, Operator, Tensor
from accelint.rules.registry import choose
from cli import accelint
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tflite_models import F32, write

from accelint import load

FIXTURES = Path(__file__).parent.parent / "fixtures"


def prints(graph: Graph, target: str) -> dict[tuple[str, str, int], str]:
    """(operator, rule, occurrence) -> fingerprint. Operators go by what they write, which names them in a
    test.
    """
    found: dict[tuple[str, str, int], str] = {}
    writes = {op.id: str(op.outputs[0]) for _, op in graph.walk()}
    for item in check(graph, choose(target)).findings:
        count = sum(1 for known in found if known[:2] == (writes[item.operator], item.rule))
        found[writes[item.operator], item.rule, count] = item.fingerprint
    return found


def build(
    ops: list[Operator], tensors: list[Tensor], dialect: str, ends: tuple[list[str], list[str]]
) -> Graph:
    graph = Graph("main", dialect, {"": 17})
    for tensor in tensors:
        graph.add_tensor(tensor)
    graph.set_interface(*ends)
    for op in ops:
        graph.add_op(op)
    return graph


KINDS = {
    "onnx": ("onnxruntime/qnn:sm8650", ["Relu", "Erf", "Det", "NonZero", "Tanh", "Shrink", "Celu"]),
    "tflite": ("litert/gpu", ["RELU", "ERF", "SIGN", "FLOOR_DIV", "TANH", "ROUND", "CEIL"]),
}


SURE = {"onnx": "Det", "tflite": "ERF"}
"""Types that the target does not have, so that every graph has a finding."""


@st.composite
def graphs(draw: st.DrawFn) -> tuple[str, list[Operator], list[Tensor]]:
    """A graph of operators that each read earlier tensors: some named, some not, many of them alike."""
    dialect = draw(st.sampled_from(sorted(KINDS)))
    count = draw(st.integers(3, 25))
    tensors, ops = [Tensor("x", "float32", (1, 4))], []
    for index in range(count):
        kind = draw(st.sampled_from(KINDS[dialect][1])) if index else SURE[dialect]
        read = f"t{draw(st.integers(0, index - 1))}" if index and draw(st.booleans()) else "x"
        name = f"{kind}_{index}" if draw(st.booleans()) else ""
        tensors.append(Tensor(f"t{index}", "float32", (1, 4)))
        ops.append(Operator(f"main/{index}", kind, (read,), (f"t{index}",), version=13, name=name))
    return dialect, ops, tensors


def edited(
    dialect: str, ops: list[Operator], tensors: list[Tensor], chosen: random.Random
) -> tuple[list[Operator], list[Tensor]]:
    """A tenth more operators, another order of the file, other ids, and other names for tensors that no
    operator with a finding writes.
    """
    new, more = list(ops), list(tensors)
    for index in range(max(1, len(ops) // 10)):
        kind = "Identity" if dialect == "onnx" else "RELU"
        read = chosen.choice([tensor.name for tensor in tensors])
        more.append(Tensor(f"added{index}", "float32", (1, 7)))
        new.insert(
            chosen.randrange(len(new) + 1),
            Operator(f"main/a{index}", kind, (read,), (f"added{index}",), version=13, name=f"added_{index}"),
        )
    chosen.shuffle(new)
    ids = [f"main/{index}" for index in range(len(new))]
    return [
        Operator(id, op.type, op.inputs, op.outputs, version=13, name=op.name)
        for id, op in zip(ids, new, strict=True)
    ], more


@settings(max_examples=150, deadline=None)
@given(graphs(), st.integers(0, 2**32))
def test_adding_and_reordering_other_operators_changes_no_fingerprint(
    drawn: tuple[str, list[Operator], list[Tensor]], seed: int
) -> None:
    dialect, ops, tensors = drawn
    target = KINDS[dialect][0]
    ends = (["x"], [f"t{len(ops) - 1}"])
    before = prints(build(ops, tensors, dialect, ends), target)
    assert before
    more = edited(dialect, ops, tensors, random.Random(seed))
    after = prints(build(*more, dialect, ends), target)
    assert {key: after.get(key) for key in before} == before
    assert len(set(after.values())) == len(after)


@settings(max_examples=150, deadline=None)
@given(graphs(), st.integers(0, 2**32))
def test_renaming_tensors_elsewhere_changes_no_fingerprint(
    drawn: tuple[str, list[Operator], list[Tensor]], seed: int
) -> None:
    """Nor does renaming what operators with findings read and write, as long as those that are alike stay in
    order.
    """
    dialect, ops, tensors = drawn
    target = KINDS[dialect][0]
    before = prints(build(ops, tensors, dialect, (["x"], [])), target)
    names = {tensor.name: f"renamed_{tensor.name}" for tensor in tensors}
    renamed = [
        Operator(
            op.id,
            op.type,
            (names[str(op.inputs[0])],),
            (names[str(op.outputs[0])],),
            version=13,
            name=op.name,
        )
        for op in ops
    ]
    new = [Tensor(names[tensor.name], tensor.dtype, tensor.shape) for tensor in tensors]
    after = prints(build(renamed, new, dialect, (["renamed_x"], [])), target)
    assert {(names[op], rule, count): text for (op, rule, count), text in before.items()} == after


def onnx_file(path: Path, *, extra: int = 0, suffix: str = "", order: int = 0) -> Path:
    """Thirty nodes in three chains from the input, every other one without a name; ``extra`` others beside
    them.
    """
    kinds = ["Erf", "Det", "Relu", "NonZero", "Shrink", "Celu"]
    nodes = []
    for chain in range(3):
        last = "x"
        for index in range(10):
            made = f"c{chain}_{index}"
            kind = kinds[(chain + index) % 6] if index % 3 else "Erf"
            kind = "Erf" if kind in ("Det", "NonZero") else kind
            name = f"node_{chain}_{index}" if index % 2 else ""
            nodes.append(helper.make_node(kind, [last], [made], name=name))
            last = made
    nodes += [helper.make_node("Identity", ["x"], [f"extra{index}{suffix}"]) for index in range(extra)]
    if order:  # chains interleaved: still a topological order
        nodes.sort(key=lambda node: (node.output[0][-1], node.output[0]))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 4])],
        [helper.make_tensor_value_info(f"c{chain}_9", TensorProto.FLOAT, None) for chain in range(3)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def test_of_a_file(tmp_path: Path) -> None:
    target = "onnxruntime/qnn:sm8650"
    first = prints(load(onnx_file(tmp_path / "a.onnx")).graph, target)
    assert len(first) >= 10
    assert len(set(first.values())) == len(first)
    for name, changes in {
        "b": {"extra": 3},
        "c": {"order": 1},
        "d": {"extra": 3, "suffix": "_other", "order": 1},
    }.items():
        path = onnx_file(tmp_path / f"{name}.onnx", **changes)  # type: ignore[arg-type]
        again = prints(load(path).graph, target)
        assert {key: again.get(key) for key in first} == first, changes


@pytest.mark.parametrize(
    ("file", "target"),
    [
        (file, target)
        for folder, target in (("onnx", "onnxruntime/qnn:sm8650"), ("tflite", "litert/hexagon"))
        for file in sorted((FIXTURES / folder).glob("*.*"))
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_no_two_findings_of_a_model_share_a_fingerprint(file: Path, target: str) -> None:
    findings = check(load(file), choose(target)).findings
    assert len({item.fingerprint for item in findings}) == len(findings)


def test_weights_of_another_training_change_no_fingerprint(tmp_path: Path) -> None:
    def model(seed: int) -> Path:
        weight = np.random.default_rng(seed).normal(size=(4, 4)).astype(np.float32)
        graph = helper.make_graph(
            [helper.make_node("Erf", ["w"], ["e"]), helper.make_node("Det", ["e"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 4])],
            [numpy_helper.from_array(weight, "w")],
        )
        path = tmp_path / f"{seed}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
        return path

    found = [prints(load(model(seed)).graph, "onnxruntime/qnn:sm8650") for seed in (1, 2)]
    assert found[0] == found[1]
    assert found[0]


def reported(path: Path, target: str) -> set[str]:
    """Fingerprints as the command line reports them."""
    document = json.loads(accelint("check", path, "--target", target, "--format", "json").stdout)
    return {item["fingerprint"] for item in document["models"][0]["targets"][0]["findings"]}


def test_of_a_tflite_file_whose_operators_have_no_names(tmp_path: Path) -> None:
    """Another converter run names tensors anew and writes operators in another order."""
    kinds = ["FLOOR", "ROUND", "SIGN", "ROUND"]

    def file(name: str, stem: str, *, added: bool = False, turned: bool = False) -> Path:
        tensors = {"x": (F32, [1, 4])} | {f"{stem}{index}": (F32, [1, 4]) for index in range(4)}
        ops = [(kind, ["x"], [f"{stem}{index}"]) for index, kind in enumerate(kinds)]
        ops = ops[::-1] if turned else ops
        if added:
            tensors |= {"more": (F32, [1, 4])}
            ops.insert(0, ("TANH", ["x"], ["more"]))
        return write(
            tmp_path / f"{name}.tflite", tensors, ops, ["x"], [f"{stem}{index}" for index in range(4)]
        )

    first = reported(file("a", "a"), "litert/hexagon")
    assert len(first) >= 2
    for name, changes in {"b": {"added": True}, "c": {"turned": True}}.items():
        assert first <= reported(file(name, "other", **changes), "litert/hexagon")


def test_of_a_call_goes_by_the_call(tmp_path: Path) -> None:
    """ONNX's inliner numbers what it inlines: a call before it must not move the others."""

    def model(name: str, calls: list[str]) -> Path:
        body = [helper.make_node("Det", ["a"], ["b"], name="inner")]
        function = helper.make_function("local", "f", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
        nodes = [helper.make_node("f", ["x"], [f"y_{call}"], domain="local", name=call) for call in calls]
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 4])],
            [helper.make_tensor_value_info(f"y_{call}", TensorProto.FLOAT, None) for call in calls],
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
        proto = helper.make_model(graph, functions=[function], opset_imports=opsets, ir_version=9)
        onnx.save(proto, tmp_path / name)
        return tmp_path / name

    target = "onnxruntime/qnn:sm8650"
    first = reported(model("a.onnx", ["one", "two"]), target)
    assert len(first) >= 2
    assert first < reported(model("b.onnx", ["zero", "one", "two"]), target)


def test_a_renamed_rule_keeps_its_fingerprints() -> None:
    pack = choose("onnxruntime/qnn:sm8650").pack
    assert pack.identity("binary-not-f32-f16") == "binary-takes-f32-f16"
    assert pack.identity("operator-unsupported") == "operator-unsupported"
    kernels = choose("onnxruntime/cpu").pack
    assert kernels.identity("input-0-not-bool-from-opset-7") == "dtype-of-input-0"
