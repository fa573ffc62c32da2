"""Local functions in place of their calls: the same numbers, and every operator knows its call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from accelint.analyzer.check.run import check
from accelint.analyzer.errors import ModelError
from accelint.analyzer.formats.onnx.inline import inlined
from accelint.analyzer.formats.onnx.reader import from_bytes, read
from accelint.analyzer.formats.onnx.writer import to_bytes, write
from accelint.rules.registry import choose

if TYPE_CHECKING:
    from accelint.analyzer.check.coverage import Coverage
from onnx import helper, numpy_helper, parser

ONNX = Path(__file__).parent.parent / "fixtures" / "onnx"
X = np.linspace(-2, 2, 16, dtype=np.float32).reshape(2, 8)


def runs(data: bytes) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(None, {"x": X})[0]


def test_a_model_without_functions_is_returned_as_it_is() -> None:
    model = read(ONNX / "conv_relu.onnx")
    flat, origins = inlined(model)
    assert flat is model
    assert origins == {"main/0": "main/0", "main/1": "main/1"}


def test_calls_of_calls_become_their_operators() -> None:
    model = read(ONNX / "functions.onnx")
    flat, origins = inlined(model)
    assert [(op.type, origins[op.id]) for op in flat.graph.ops()] == [
        ("LeakyRelu", "main/0"),
        ("Add", "main/0"),
        ("Relu", "main/1"),
    ]
    assert flat.graph.ops()[0].attrs["alpha"] == np.float32(0.25)
    assert flat.graph.tensor(flat.graph.ops()[0].outputs[0] or "").shape == ("N", 8)
    assert (flat.functions, flat.graph.inputs, flat.graph.outputs) == (
        {},
        model.graph.inputs,
        model.graph.outputs,
    )
    assert "accelint" not in str(onnx.ModelProto.FromString(to_bytes(flat)))
    np.testing.assert_array_equal(runs(to_bytes(flat)), runs((ONNX / "functions.onnx").read_bytes()))


NESTED = """
    <ir_version: 8, opset_import: ["" : 17, "local" : 1]>
    nested (float[2, 8] x) => (float[2, 8] y) {
        flag = Constant <value = bool {1}> ()
        a = local.choose (x, flag)
        y = If (flag) <
            then_branch = t () => (float[2, 8] p) { p = local.shift (a) },
            else_branch = e () => (float[2, 8] q) { q = Neg (a) }
        >
    }
    <domain: "local", opset_import: ["" : 17, "local" : 1]>
    choose (x, flag) => (y) {
        y = If (flag) <
            then_branch = t () => (p) { p = local.shift (x) },
            else_branch = e () => (q) { q = Abs (x) }
        >
    }
    <domain: "local", opset_import: ["" : 17]>
    shift (x) => (y) { y = Add (x, w) }
"""


def nested() -> onnx.ModelProto:
    """Calls in bodies, bodies in functions, and a large value in a function."""
    model = parser.parse_model(NESTED)
    weight = numpy_helper.from_array(np.arange(16 * 40, dtype=np.float32).reshape(40, 2, 8), "w")
    shift = model.functions[1]
    first = [
        helper.make_node("Constant", [], ["all"], value=weight),
        helper.make_node("ReduceMean", ["all"], ["w"], axes=[0], keepdims=0),
    ]
    nodes = [*first, *shift.node]
    del shift.node[:]
    shift.node.extend(nodes)
    return model


def test_calls_in_bodies_and_bodies_in_functions(tmp_path: Path) -> None:
    path = tmp_path / "nested.onnx"
    path.write_bytes(nested().SerializeToString())
    model = read(path)
    flat, origins = inlined(model)
    assert all(op.domain == "" for _, op in flat.operators())
    of_choose = [op.type for _, op in flat.operators() if origins[op.id] == "main/1"]
    assert sorted(of_choose) == ["Abs", "Add", "Constant", "If", "ReduceMean"]
    assert sorted({place for place in origins.values() if place.startswith("main/2/")}) == [
        "main/2/else_branch/0",
        "main/2/then_branch/0",
    ]
    large = next(op for _, op in flat.operators() if op.type == "Constant" and op.attrs["value"].elements > 1)
    assert large.attrs["value"].file == path, "the large value still lies in the file that was read"
    np.testing.assert_array_equal(runs(to_bytes(flat)), runs(path.read_bytes()))
    write(flat, tmp_path / "flat.onnx")
    np.testing.assert_array_equal(runs((tmp_path / "flat.onnx").read_bytes()), runs(path.read_bytes()))


def test_a_function_of_another_opset_stays_a_call() -> None:
    proto = onnx.load(ONNX / "functions.onnx")
    proto.functions[1].opset_import[0].version = 13
    flat, origins = inlined(from_bytes(proto.SerializeToString()))
    assert [(op.type, op.domain, origins[op.id]) for op in flat.graph.ops()] == [
        ("leaky", "local", "main/0"),
        ("Add", "", "main/0"),
        ("Relu", "", "main/1"),
    ]
    assert list(flat.functions) == ["local::leaky"]
    np.testing.assert_array_equal(runs(to_bytes(flat)), runs(proto.SerializeToString()))


def test_functions_that_multiply_are_rejected() -> None:
    graph = helper.make_graph(
        [helper.make_node("f0", ["x"], ["y"], domain="local")],
        "g",
        [helper.make_tensor_value_info("x", 1, [2])],
        [],
    )
    proto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    )
    for level in range(40):
        nodes = [helper.make_node(f"f{level + 1}", ["x"], [name], domain="local") for name in ("a", "y")]
        imports = [helper.make_opsetid("local", 1)]
        proto.functions.append(helper.make_function("local", f"f{level}", ["x"], ["y"], nodes, imports))
    last = [helper.make_node("Relu", ["x"], ["y"])]
    proto.functions.append(
        helper.make_function("local", "f40", ["x"], ["y"], last, [helper.make_opsetid("", 17)])
    )
    with pytest.raises(ModelError, match="too many operators"):
        inlined(from_bytes(proto.SerializeToString()))


# ---- check -----------------------------------------------------------------------------------


def verdicts(proto: onnx.ModelProto) -> tuple[Coverage, dict[str, str]]:
    coverage = check(from_bytes(proto.SerializeToString()), choose("onnxruntime/qnn:sm8650"))
    return coverage, {op.id: op.verdict.value for op in coverage.operators}


def frozen() -> onnx.ModelProto:
    proto = onnx.load(ONNX / "functions.onnx")
    for info in (*proto.graph.input, *proto.graph.output):
        info.type.tensor_type.shape.dim[0].dim_value = 1
    return proto


def test_a_call_is_accelerated_when_all_of_its_operators_are() -> None:
    coverage, found = verdicts(frozen())
    assert found == {"main/0": "accelerated", "main/1": "accelerated"}
    assert [item.operators for item in coverage.partitions] == [("main/0", "main/1")]


def test_a_call_falls_back_with_one_of_its_operators() -> None:
    proto = frozen()
    proto.functions[1].node[0].CopyFrom(helper.make_node("Shrink", ["x"], ["y"]))
    coverage, found = verdicts(proto)
    assert found == {"main/0": "fallback", "main/1": "accelerated"}
    (call, _) = coverage.operators
    reasons = [coverage.findings[index] for index in call.findings]
    assert reasons
    assert {item.operator for item in reasons} == {"main/0"}
    assert "Shrink" in " ".join(item.message for item in reasons)


def test_calls_in_bodies_are_counted_where_they_stand() -> None:
    coverage, found = verdicts(nested())
    assert set(found) == {"main/0", "main/1", "main/2", "main/2/then_branch/0", "main/2/else_branch/0"}
    assert all(item.operator in found for item in coverage.findings)
