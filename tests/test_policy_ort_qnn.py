"""The rounds and refusals of the QNN provider, on graphs that onnxruntime-qnn 2.7.0 showed them on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from accelint.analyzer.check.coverage import Coverage
from accelint.analyzer.check.run import check
from accelint.analyzer.formats import load
from accelint.analyzer.formats.onnx.reader import from_bytes
from accelint.analyzer.policies.onnxruntime.order import topological
from accelint.analyzer.policies.qnn.policy import entering
from accelint.analyzer.runtimes import Request, Session
from accelint.rules.registry import choose
from onnx import TensorProto, helper, numpy_helper
from qnn_models import BOOL, DOUBLE, FLOAT, INT64, Shaped, model, node


def checked(data: bytes) -> Coverage:
    return check(from_bytes(data).graph, choose("onnxruntime/qnn:sm8650"))


X: Shaped = {"x": (FLOAT, [2, 4])}
Y: Shaped = {"y": (FLOAT, [2, 4])}
R: Shaped = {"r": (FLOAT, [2])}
OPEN: Shaped = {"r": (FLOAT, ["N"])}
THREE = {"c": np.int64(3)}
CAST = node("CastLike", "c r", "k")
ADD = node("Add", "x k", "y")
DOUBLES = node("Cast", "x", "d", to=DOUBLE)
SINGLES = node("Cast", "e", "y", to=FLOAT)

CASES = {
    "empty-and-alone": (
        model(
            [
                node("Slice", "k b b", "z"),
                node("Concat", "c z", "a", axis=0),
                node("Cast", "a", "y", to=FLOAT),
            ],
            {"k": (INT64, [4])},
            {"y": (FLOAT, None)},
            {"b": np.array([0]), "c": np.array([3, 4])},
        ),
        "first-input-unused",
    ),
    "empty-beside": (
        model(
            [
                node("Slice", "k b b", "z"),
                node("Concat", "k z", "a", axis=0),
                node("Cast", "a", "y", to=FLOAT),
            ],
            {"k": (INT64, [4])},
            {"y": (FLOAT, None)},
            {"b": np.array([0])},
        ),
        None,
    ),
    "dtype-first": (model([CAST, ADD], R | X, Y, THREE), "first-input-unused"),
    "dtype-second": (model([CAST, ADD], X | R, Y, THREE), None),
    "dtype-of-the-data": (model([node("CastLike", "c x", "k"), ADD], X, Y, THREE), None),
    "dtype-of-nothing-else": (model([CAST], R, {"k": (FLOAT, [])}, THREE), "first-input-unused"),
    "open-and-alone": (
        model([CAST, node("Relu", "x", "z"), node("Add", "z k", "y")], X | OPEN, Y, THREE),
        "partition-without-inputs",
    ),
    "open-in-company": (
        model(
            [CAST, node("CastLike", "x r", "z"), node("Erf", "z", "y"), node("Erf", "k", "w")],
            X | OPEN,
            Y | {"w": (FLOAT, [])},
            THREE,
        ),
        None,
    ),
    "sizes-first": (
        model([node("Reshape", "x s", "y")], {"s": (INT64, [2])} | X, {"y": (FLOAT, [4, 2])}),
        "first-input-unused",
    ),
    "sizes-second": (
        model([node("Reshape", "x s", "y")], X | {"s": (INT64, [2])}, {"y": (FLOAT, [4, 2])}),
        None,
    ),
    "axes-first": (
        model([node("Unsqueeze", "x a", "y")], {"a": (INT64, [1])} | X, {"y": (FLOAT, [1, 2, 4])}),
        "first-input-unused",
    ),
    "sizes-of-resize-first": (
        model(
            [helper.make_node("Resize", ["x", "", "", "s"], ["y"], mode="nearest")],
            {"s": (INT64, [4]), "x": (FLOAT, [1, 1, 4, 4])},
            {"y": (FLOAT, [1, 1, 8, 8])},
        ),
        "first-input-unused",
    ),
    "constants-only": (
        model(
            [node("Relu", "k", "y"), node("Erf", "x", "z")],
            X,
            Y | {"z": (FLOAT, [2, 4])},
            {"k": np.ones((2, 4), np.float32)},
        ),
        "partition-without-inputs",
    ),
    "int64-of-five-dimensions-inside": (
        model(
            [node("Cast", "x", "d", to=INT64), node("Mul", "d d", "e"), node("Cast", "e", "y", to=FLOAT)],
            {"x": (FLOAT, [1, 1, 1, 2, 4])},
            {"y": (FLOAT, [1, 1, 1, 2, 4])},
        ),
        None,
    ),
    "int64-of-five-dimensions-read": (
        model(
            [node("Reshape", "d s", "y")],
            {"d": (INT64, [1, 1, 1, 2, 4])},
            {"y": (INT64, [2, 4])},
            {"s": np.array([2, 4])},
        ),
        "int64-of-five-dimensions",
    ),
    "double-inside": (model([DOUBLES, node("Mul", "d d", "e"), SINGLES], X, Y), None),
    "double-constant": (model([DOUBLES, node("Mul", "d c", "e"), SINGLES], X, Y, {"c": np.float64(3)}), None),
    "double-model-input": (
        model([node("Mul", "x x", "e"), SINGLES], {"x": (DOUBLE, [2, 4])}, Y),
        "float64-between-partitions",
    ),
    "double-model-output": (
        model([DOUBLES, node("Mul", "d d", "y")], X, {"y": (DOUBLE, [2, 4])}),
        "float64-between-partitions",
    ),
    "double-to-the-host": (
        model([DOUBLES, node("Erf", "d", "e"), SINGLES], X, Y),
        "float64-between-partitions",
    ),
    "double-limits-of-clip": (
        model([DOUBLES, node("Clip", "d c", "e"), SINGLES], X, Y, {"c": np.float64(3)}),
        "float64-between-partitions",
    ),
    "double-all-the-way": (
        model([node("Mul", "x x", "y")], {"x": (DOUBLE, [2, 4])}, {"y": (DOUBLE, [2, 4])}),
        None,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_partitions_that_cannot_be_set_up_reject_the_model(name: str) -> None:
    data, rule = CASES[name]
    coverage = checked(data)
    assert {item.rule for item in coverage.findings if item.effect == "rejected"} == (
        {rule} if rule else set()
    )
    assert (coverage.verdict == "rejected") == (rule is not None)


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    pytest.importorskip("onnxruntime_qnn", reason="needs onnxruntime-qnn")
    with Session("onnxruntime/qnn:sm8650", timeout=60) as opened:
        yield opened


def agrees(data: bytes, session: Session, path: Path) -> None:
    """Verdicts and partitions are the provider's, where it takes the model."""
    path.write_bytes(data)
    answer = session.ask(Request(path))
    coverage = check(load(path), choose("onnxruntime/qnn:sm8650"))
    assert (answer.status, answer.ok) == (
        "refused" if coverage.verdict == "rejected" else "ok",
        coverage.verdict != "rejected",
    )
    if answer.ok:
        placed = {item.id: item.device for item in answer.placement}
        supported = {op.id for op in coverage.operators if op.verdict.value == "accelerated"}
        assert supported == {op.id for op in coverage.operators if placed[op.id] == "accelerator"}
        assert len(coverage.partitions) == answer.partitions


@pytest.mark.parametrize("name", CASES)
def test_the_provider_says_the_same(name: str, session: Session, tmp_path: Path) -> None:
    agrees(CASES[name][0], session, tmp_path / "case.onnx")


def test_a_function_that_the_provider_takes_in_part_makes_partitions_of_a_second_round() -> None:
    data = model([node("Relu", "x", "a"), node("Mish", "a", "b"), node("Relu", "b", "y")], X, Y)
    graph = from_bytes(data).graph
    coverage = checked(data)
    assert [[graph.op(id).type for id in part.operators] for part in coverage.partitions] == [
        ["Relu"],
        ["Relu"],
        ["Mish"],
    ]


def test_a_model_with_functions_of_its_own_is_offered_once(session: Session, tmp_path: Path) -> None:
    nodes = [
        CAST,
        helper.make_node("F", ["x"], ["z"], domain="own"),
        node("Mish", "z", "w"),
        node("Add", "w k", "y"),
    ]
    proto = onnx.load_from_string(model(nodes, X | OPEN, Y, THREE))
    opset = [helper.make_opsetid("", 20)]
    proto.functions.append(helper.make_function("own", "F", ["a"], ["b"], [node("Relu", "a", "b")], opset))
    proto.opset_import.append(helper.make_opsetid("own", 1))
    path = tmp_path / "functions.onnx"
    onnx.save(proto, path)
    assert len(check(load(path), choose("onnxruntime/qnn:sm8650")).partitions) == 1
    agrees(path.read_bytes(), session, path)


def test_a_partition_of_the_first_round_is_one_operator_in_the_second() -> None:
    """Both CastLike are unfolded; the second reads what waits for the first through a partition, and so comes
    in a later partition.
    """
    nodes = [
        node("CastLike", "x r", "a"),
        node("Erf", "x", "b"),
        node("Add", "a b", "c"),
        node("Erf", "c", "d"),
        node("CastLike", "d r", "y"),
    ]
    coverage = checked(model(nodes, X | OPEN, Y))
    assert [part.operators for part in coverage.partitions] == [("main/2",), ("main/0",), ("main/4",)]


def test_inputs_of_a_partition_come_as_the_model_has_them_where_it_reads_them_all() -> None:
    graph = from_bytes(
        model(
            [node("Neg", "b", "c"), node("Add", "c a", "y")],
            {"a": (FLOAT, [2]), "b": (FLOAT, [2])},
            {"y": (FLOAT, [2])},
        )
    ).graph
    assert entering(graph, ["main/0", "main/1"]) == ["a", "b"]
    assert entering(graph, ["main/1"]) == ["c", "a"]


def test_no_partition_is_made_of_models_before_operator_set_7() -> None:
    proto = onnx.load_from_string(model([node("Neg", "x", "y")], X, Y))
    proto.opset_import[0].version = 6
    assert {item.rule for item in checked(proto.SerializeToString()).findings} == {"operator-set-before-7"}


def test_the_provider_meets_operators_depth_first_from_the_last() -> None:
    nodes = [node("Relu", "x", "a"), node("Neg", "x", "b"), node("Add", "a b", "y")]
    assert topological(from_bytes(model(nodes, X, Y)).graph) == ["main/1", "main/0", "main/2"]


def branch(
    nodes: list[onnx.NodeProto], result: str, constants: dict[str, Any] | None = None
) -> onnx.GraphProto:
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    return helper.make_graph(nodes, "b", [], [helper.make_tensor_value_info(result, FLOAT, [2, 4])], stored)


def choice(
    one: onnx.GraphProto, other: onnx.GraphProto, result: str = "y", condition: str = "c"
) -> onnx.NodeProto:
    return helper.make_node("If", [condition], [result], then_branch=one, else_branch=other)


C: Shaped = {"c": (BOOL, [])}
ABS = branch([node("Abs", "x", "b")], "b")
ERF = branch([node("Erf", "x", "b")], "b")
RELU = branch([node("Relu", "x", "a")], "a")
ONES = np.ones((2, 4), np.float32)
LATE = choice(branch([node("Erf", "z", "a")], "a"), ABS, "w")
BEHIND_ERF = [node("Erf", "z", "w"), node("ReduceMax", "w", "m", keepdims=0), node("Cast", "m", "c", to=BOOL)]

BRANCHES = {
    "both-taken": (model([choice(RELU, ABS)], C | X, Y), ["If"], None),
    "one-not-taken": (model([choice(RELU, ERF)], C | X, Y), [], "operator-of-a-subgraph"),
    "nested": (
        model(
            [choice(branch([choice(RELU, ABS, "d")], "d"), branch([node("Neg", "x", "e")], "e"))], C | X, Y
        ),
        ["If"],
        None,
    ),
    "one-name-twice": (
        model([choice(RELU, branch([node("Abs", "x", "a")], "a"))], C | X, Y),
        [],
        "branches-apart",
    ),
    "the-name-of-the-result": (
        model([choice(branch([node("Relu", "x", "y")], "y"), ABS)], C | X, Y),
        [],
        "branches-apart",
    ),
    "constant-in-the-branch": (
        model([choice(branch([node("Add", "x k", "a")], "a", {"k": ONES}), ABS)], C | X, Y),
        ["If"],
        None,
    ),
    "constant-outside": (
        model([choice(branch([node("Add", "x k", "a")], "a"), ABS)], C | X, Y, {"k": ONES}),
        [],
        "captured-constant",
    ),
    "computed-on-the-host": (
        model([node("Erf", "x", "z"), choice(branch([node("Neg", "z", "a")], "a"), ABS)], C | X, Y),
        [],
        "captured-from-the-host",
    ),
    "computed-before": (
        model([node("Relu", "x", "z"), choice(branch([node("Neg", "z", "a")], "a"), ABS)], C | X, Y),
        ["If", "Relu"],
        None,
    ),
    "not-waited-for": (
        model([node("Relu", "x", "z"), *BEHIND_ERF, choice(branch([node("Neg", "z", "a")], "a"), ABS)], X, Y),
        [],
        "cyclic-partitions",
    ),
    "on-the-host-and-not-waited-for": (
        model([node("Relu", "x", "t"), node("Neg", "t", "z"), LATE, node("Abs", "w", "y")], C | X, Y),
        [],
        "cyclic-partitions",
    ),
}


@pytest.mark.parametrize("name", BRANCHES)
def test_if_is_supported_with_all_that_is_in_its_branches(name: str) -> None:
    data, accelerated, rule = BRANCHES[name]
    coverage = checked(data)
    found = sorted(
        op.type for op in coverage.operators if op.verdict.value == "accelerated" and op.id.count("/") == 1
    )
    assert found == sorted(accelerated)
    assert rule is None or rule in {item.rule for item in coverage.findings}
    inner = {op.verdict.value for op in coverage.operators if op.id.count("/") > 1}
    assert inner == ({"accelerated"} if "If" in accelerated else {"fallback"})


@pytest.mark.parametrize("name", BRANCHES)
def test_the_provider_says_the_same_of_if(name: str, session: Session, tmp_path: Path) -> None:
    agrees(BRANCHES[name][0], session, tmp_path / "case.onnx")


WEIGHT = np.full(4, 0.5, np.float32)


def normed(
    inverse: str,
    *,
    product: str = "w m",
    factors: str = "x r",
    exponent: float = 2,
    axis: int = -1,
    one: float = 1,
) -> bytes:
    """An RMS normalization as exporters write it: ``weight * (x * 1/Sqrt(ReduceMean(Pow(x, 2)) + e))``."""
    nodes = [
        node("Pow", "x p", "a"),
        node("ReduceMean", "a k", "b"),
        node("Add", "b e", "d"),
        node("Sqrt", "d", "s"),
        node(inverse, "s" if inverse == "Reciprocal" else "o s", "r"),
        node("Mul", factors, "m"),
        node("Mul", product, "y"),
    ]
    stored = {
        "p": np.float32(exponent),
        "k": np.array([axis]),
        "e": np.float32(1e-6),
        "o": np.float32(one),
        "w": WEIGHT,
    }
    return model(nodes, X, Y, stored)


NORMS = {
    "reciprocal": (normed("Reciprocal"), True),
    "one-divided": (normed("Div"), True),
    "axis-counted-from-the-start": (normed("Div", axis=1), True),
    "weight-last": (normed("Div", product="m w"), False),
    "inverse-first": (normed("Div", factors="r x"), False),
    "two-divided": (normed("Div", one=2), False),
    "cubed": (normed("Reciprocal", exponent=3), False),
    "other-axis": (normed("Reciprocal", axis=0), False),
}


@pytest.mark.parametrize("name", NORMS)
def test_the_compiler_does_not_finish_a_weight_before_its_rms(
    name: str, session: Session, tmp_path: Path
) -> None:
    data, stops = NORMS[name]
    assert {item.rule for item in checked(data).findings if item.effect == "rejected"} == (
        {"rms-weight-first"} if stops else set()
    )
    agrees(data, session, tmp_path / "case.onnx")


ROWS = np.arange(6).reshape(2, 3)


def regrouped(
    indices: Any,
    perm: tuple[int, ...] = (0, 1, 2, 4, 3, 5),
    sizes: tuple[int, ...] = (1, 4, 4, -1),
    kind: int = FLOAT,
) -> bytes:
    nodes = [
        node("Gather", "x i", "a", axis=-1),
        node("Transpose", "a", "b", perm=list(perm)),
        node("Reshape", "b s", "y"),
    ]
    return model(
        nodes, {"x": (kind, [1, 4, 2, 3, 6])}, {"y": (kind, None)}, {"i": indices, "s": np.array(sizes)}
    )


REGROUPED = {
    "rows": (regrouped(ROWS), True),
    "columns": (regrouped(np.arange(6).reshape(3, 2).T), True),
    "int32-indices": (regrouped(ROWS.astype(np.int32), perm=(0, 1, 2, 5, 3, 4)), True),
    "float16": (regrouped(ROWS, kind=TensorProto.FLOAT16), True),
    "other-indices": (regrouped(np.array([[0, 1, 2], [3, 5, 4]])), False),
    "some-indices": (regrouped(np.array([[0, 1, 2]]), sizes=(1, 4, 3, -1)), False),
    "a-leading-dimension-moves": (regrouped(ROWS, perm=(0, 2, 1, 3, 4, 5)), False),
    "six-dimensions-left": (regrouped(ROWS, sizes=(1, 1, 4, 1, 4, -1)), False),
    "int64": (regrouped(ROWS, kind=INT64), False),
}


@pytest.mark.parametrize("name", REGROUPED)
def test_a_gather_that_splits_the_last_dimension_is_supported(
    name: str, session: Session, tmp_path: Path
) -> None:
    data, supported = REGROUPED[name]
    assert (checked(data).operators[0].verdict.value == "accelerated") == supported
    agrees(data, session, tmp_path / "case.onnx")


def dynamic(
    kind: str = "MatMulInteger",
    bias: Any = None,
    scale: Any = 0.01,
    rank: int = 2,
    edit: str = "",
    **attrs: Any,
) -> bytes:
    """What ONNX Runtime's dynamic quantization makes of a product with constant weights."""
    conv = kind == "ConvInteger"
    nodes = [
        node("DynamicQuantizeLinear", "x", "q sx zx"),
        node(kind, "q w zx zw", "i", **attrs),
        node("Cast", "i", "f", to=FLOAT),
        node("Mul", "sx sw", "s"),
        node("Mul", "f s", "t"),
        node("Relu" if bias is None else "Add", "t" if bias is None else "t b", "y"),
    ]
    outputs: Shaped = {"y": (FLOAT, None)}
    stored = {
        "w": np.ones((5, 4, 3, 3) if conv else (4, 5), np.int8),
        "zw": np.int8(0),
        "sw": np.asarray(scale, np.float32),
    }
    if bias is not None:
        stored["b"] = np.zeros(bias, np.float32)
    if edit == "output":
        outputs["s"] = (FLOAT, None)
    elif edit == "computed-bias":
        nodes.insert(0, node("Reshape", "b0 bs", "b"))
        stored |= {"b0": stored.pop("b").reshape(-1), "bs": np.array([1, -1, 1, 1])}
    elif edit == "second-without":
        nodes += [node("MatMulInteger", "q w zx zw", "j"), node("Cast", "j", "z", to=FLOAT)]
        outputs["z"] = (FLOAT, None)
    elif edit == "constant":
        nodes[0].input[0] = "k"
        nodes += [node("Relu", "x", "r"), node("Add", "r y", "z")]
        outputs = {"z": (FLOAT, None)}
        stored["k"] = np.ones((2, 4), np.float32)
        return model(nodes, {"x": (FLOAT, [5])}, outputs, stored)
    shape = [1, 4, 8, 8] if conv else [2] * (rank - 1) + [4]
    return model(nodes, {"x": (FLOAT, shape)}, outputs, stored)


CHANNELS = np.full(5, 0.01)
DYNAMIC = {
    "matmul": (dynamic(), True),
    "matmul-of-five-dimensions": (dynamic(rank=5), True),
    "matmul-of-six-dimensions": (dynamic(rank=6), False),
    "matmul-of-a-vector": (dynamic(rank=1), False),
    "matmul-bias": (dynamic(bias=(5,)), True),
    "matmul-bias-in-a-row": (dynamic(bias=(1, 5)), True),
    "matmul-bias-for-all": (dynamic(bias=()), False),
    "matmul-bias-of-the-result": (dynamic(bias=(2, 5)), False),
    "matmul-scales": (dynamic(scale=CHANNELS), True),
    "matmul-scale-product-is-an-output": (dynamic(edit="output"), False),
    "conv": (dynamic("ConvInteger"), True),
    "conv-bias": (dynamic("ConvInteger", bias=(1, 5, 1, 1)), True),
    "conv-bias-computed": (dynamic("ConvInteger", bias=(1, 5, 1, 1), edit="computed-bias"), False),
    "conv-bias-of-three-dimensions": (dynamic("ConvInteger", bias=(5, 1, 1)), False),
    "conv-scales": (dynamic("ConvInteger", scale=CHANNELS.reshape(1, 5, 1, 1)), True),
    "conv-scales-of-three-dimensions": (dynamic("ConvInteger", scale=CHANNELS.reshape(5, 1, 1)), False),
    "conv-same-padding": (dynamic("ConvInteger", auto_pad="SAME_UPPER"), False),
    "conv-strides": (dynamic("ConvInteger", strides=[2, 1], pads=[0, 1, 1, 0]), True),
    "shared-with-one-that-is-not-taken": (dynamic(edit="second-without"), "dynamic-quantization-shared"),
    "of-a-constant": (dynamic(edit="constant"), "dynamic-quantization-of-a-constant"),
    "of-a-constant-not-taken": (dynamic(edit="constant", bias=()), False),
}


@pytest.mark.parametrize("name", DYNAMIC)
def test_a_dynamically_quantized_product_is_supported_whole(
    name: str, session: Session, tmp_path: Path
) -> None:
    data, supported = DYNAMIC[name]
    coverage = checked(data)
    products = {
        op.verdict.value
        for op in coverage.operators
        if op.type in ("DynamicQuantizeLinear", "MatMulInteger", "ConvInteger")
    }
    rejected = {item.rule for item in coverage.findings if item.effect == "rejected"}
    assert (products == {"accelerated"}) == (supported is True)
    assert rejected == ({supported} if isinstance(supported, str) else set())
    agrees(data, session, tmp_path / "case.onnx")


def dequantized(
    kind: str,
    *stored: Any,
    dtype: int = TensorProto.INT8,
    unit: bool = False,
    inputs: str = "g",
    **attrs: Any,
) -> bytes:
    """A tensor that an operator computes on integers, dequantized alone or for a node unit."""
    zero = np.int8(0) if dtype == TensorProto.INT8 else np.uint8(0)
    names = [f"c{index}" for index in range(len(stored))]
    nodes = [
        node("Relu", "x", "t"),
        node(kind, " ".join([inputs, *names]), "h", **attrs),
        node("DequantizeLinear", "h s z", "d"),
    ]
    if unit:
        nodes += [
            node("Relu", "d", "r"),
            node("QuantizeLinear", "r s z", "q"),
            node("DequantizeLinear", "q s z", "e"),
        ]
    nodes.append(node("Mul", "e t" if unit else "d t", "y"))
    constants = {"s": np.float32(0.1), "z": zero, **dict(zip(names, stored, strict=True))}
    return model(nodes, {"x": (FLOAT, [1]), "g": (dtype, [2, 16])}, {"y": (FLOAT, None)}, constants)


PLAIN = {
    "gather": (dequantized("Gather", np.array([1, 0])), False),
    "gather-for-a-unit": (dequantized("Gather", np.array([1, 0]), unit=True), False),
    "reshape-that-is-taken": (dequantized("Reshape", np.array([16, 2]), dtype=TensorProto.UINT8), False),
    "abs": (dequantized("Abs"), False),
    "maximum": (dequantized("Max", inputs="g g"), False),
    "expand": (dequantized("Expand", np.array([3, 2, 16])), True),
    "expand-for-a-unit": (dequantized("Expand", np.array([3, 2, 16]), unit=True), True),
}


@pytest.mark.parametrize("name", PLAIN)
def test_what_was_computed_on_plain_integers_is_not_dequantized(
    name: str, session: Session, tmp_path: Path
) -> None:
    data, supported = PLAIN[name]
    coverage = checked(data)
    assert (coverage.operators[2].verdict.value == "accelerated") == supported
    agrees(data, session, tmp_path / "case.onnx")


def sized(*steps: onnx.NodeProto, value: str, ranks: str = "list") -> bytes:
    """An operator behind a tensor whose size ONNX Runtime knows where it carries the value through the
    steps.
    """
    nodes = [node("Relu", "x", "t"), node("Shape", "t", "sh"), *steps]
    if ranks == "scalar":
        nodes += [node("Unsqueeze", f"{value} a", "v"), node("ConstantOfShape", "v", "r")]
    else:
        nodes.append(node("ConstantOfShape", value, "r"))
    stored = {"i": np.int64(1), "j": np.array([1]), "k": np.array([0, 1]), "a": np.array([0])}
    read = {name for item in nodes for name in item.input}
    return model(
        [*nodes, node("Relu", "r", "y")],
        X,
        {"y": (FLOAT, None)},
        {name: one for name, one in stored.items() if name in read},
    )


SIZED = {
    "scalar": (sized(node("Gather", "sh i", "g"), value="g", ranks="scalar"), True),
    "scalar-cast": (
        sized(node("Gather", "sh i", "g"), node("Cast", "g", "c", to=INT64), value="c", ranks="scalar"),
        False,
    ),
    "list": (sized(node("Gather", "sh j", "g"), value="g"), True),
    "list-cast": (sized(node("Gather", "sh j", "g"), node("Cast", "g", "c", to=INT64), value="c"), True),
    "list-of-two": (sized(node("Gather", "sh k", "g"), value="g"), False),
}


@pytest.mark.parametrize("name", SIZED)
def test_sizes_are_known_where_their_values_are_carried(name: str, session: Session, tmp_path: Path) -> None:
    data, known = SIZED[name]
    assert (checked(data).operators[-1].verdict.value == "accelerated") == known
    agrees(data, session, tmp_path / "case.onnx")


def test_the_shape_of_what_has_no_known_rank_has_no_known_length(session: Session, tmp_path: Path) -> None:
    nodes = [
        node("Reshape", "x n", "a"),
        node("Shape", "a", "b"),
        node("Gather", "b i", "g"),
        node("Cast", "g", "y", to=FLOAT),
    ]
    data = model(nodes, X | {"n": (INT64, ["K"])}, {"y": (FLOAT, None)}, {"i": np.int64(0)})
    agrees(data, session, tmp_path / "case.onnx")


def written_gelu(*, half: float = 0.5, then: float | None = None) -> bytes:
    """x * half * (1 + erf(x / sqrt(2))), and a product with another number behind it."""
    nodes = [
        node("Div", "x s", "d"),
        node("Erf", "d", "e"),
        node("Add", "e o", "a"),
        node("Mul", "x h", "m"),
        node("Mul", "m a", "y" if then is None else "g"),
    ]
    stored = {"s": np.float32(2**0.5), "o": np.float32(1), "h": np.float32(half)}
    if then is not None:
        nodes.append(node("Mul", "g t", "y"))
        stored["t"] = np.float32(then)
    return model(nodes, X, Y, stored)


@pytest.mark.parametrize(
    ("case", "wrong"),
    [({}, False), ({"half": 0.25}, True), ({"then": 3.0}, False), ({"half": 0.25, "then": 2.0}, True)],
)
def test_a_gelu_is_judged_by_its_own_numbers(case: dict[str, float], wrong: bool) -> None:
    """Not by those of the product that follows it."""
    found = {finding.rule for finding in checked(written_gelu(**case)).findings}
    assert ("gelu-of-other-constants" in found) == wrong
