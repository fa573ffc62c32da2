"""What ONNX Runtime's OpenVINO provider is handed, on graphs whose placement onnxruntime-openvino 1.24.1
showed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from accelint.analyzer.check.coverage import Coverage
from accelint.analyzer.check.run import check
from accelint.analyzer.formats.onnx.reader import from_bytes
from accelint.rules.registry import choose
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def node(kind: str, inputs: str, outputs: str, **attrs: Any) -> onnx.NodeProto:
    return helper.make_node(
        kind, inputs.split(), outputs.split(), name=f"{kind}_{outputs.split()[0]}", **attrs
    )


def info(name: str, shape: Sequence[Any] | None, dtype: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def judged(
    nodes: Sequence[onnx.NodeProto], inputs: list[Any], outputs: list[Any], opset: int = 18, **constants: Any
) -> Coverage:
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    made = helper.make_graph(nodes, "g", inputs, outputs, stored)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    return check(from_bytes(model.SerializeToString()), choose("onnxruntime/openvino"))


def verdicts(coverage: Coverage) -> dict[str, str]:
    return {op.name: op.verdict.value for op in coverage.operators}


def rules(coverage: Coverage) -> set[str]:
    return {item.rule for item in coverage.findings}


def test_a_rejection_counts_only_in_a_partition_that_is_assigned() -> None:
    wrap = node("Pad", "x p", "y", mode="wrap")
    alone = judged([wrap], [info("x", [2, 3])], [info("y", [4, 5])], opset=19, p=np.array([1, 1, 1, 1]))
    assert alone.verdict == "none"
    after = judged(
        [node("Relu", "x", "r"), node("Pad", "r p", "y", mode="wrap")],
        [info("x", [2, 3])],
        [info("y", [4, 5])],
        19,
        p=np.array([1, 1, 1, 1]),
    )
    assert after.verdict == "rejected"
    assert "pad-mode" in rules(after)


def test_an_input_named_axes_keeps_unsqueeze_on_the_host() -> None:
    for name, expected in (("axes", "none"), ("places", "full")):
        found = judged(
            [node("Unsqueeze", f"x {name}", "y")],
            [info("x", [2])],
            [info("y", [1, 2])],
            **{name: np.array([0])},
        )
        assert found.verdict == expected


def test_only_graphs_whose_inputs_have_shapes_are_assigned_whole() -> None:
    nodes = [node("Relu", "x", "r"), node("Sigmoid", "r", "y")]
    assert judged(nodes, [info("x", ["N"])], [info("y", ["N"])]).verdict == "full"
    open_ = judged(nodes, [info("x", None)], [info("y", None)])
    assert open_.verdict == "none"
    assert rules(open_) == {"input-without-a-shape"}


def test_a_lone_expand_is_assigned_in_half_precision_only() -> None:
    for dtype, expected in ((FLOAT, "none"), (TensorProto.FLOAT16, "full")):
        found = judged(
            [node("Expand", "x s", "y")],
            [info("x", [1, 3], dtype)],
            [info("y", [2, 3], dtype)],
            s=np.array([2, 3]),
        )
        assert found.verdict == expected


def test_functions_are_offered_inlined_after_the_partitions_were_made() -> None:
    nodes = [
        node("Relu", "x", "a"),
        node("Sigmoid", "a", "b"),
        node("Mish", "b", "c"),
        node("Relu", "c", "d"),
        node("Sigmoid", "d", "y"),
    ]
    found = judged(nodes, [info("x", [2, 3])], [info("y", [2, 3])])
    assert found.verdict == "full"
    assert [len(partition.operators) for partition in found.partitions] == [2, 2, 1]


def test_partitions_beside_the_host_stay_there() -> None:
    kinds = ("IsNaN", "Cast", "Mish", "IsNaN", "Cast", "Relu")
    nodes = [
        node(kind, f"t{at}", f"t{at + 1}", **({"to": FLOAT} if kind == "Cast" else {}))
        for at, kind in enumerate(kinds)
    ]
    found = judged(nodes, [info("t0", [2, 3])], [info("t6", [2, 3])])
    assert [op.verdict.value for op in found.operators] == ["fallback"] * 4 + ["accelerated"] * 2
    assert {"lone-operator", "parts-beside-the-host"} <= rules(found)


def test_scalar_castlike_is_supported_as_a_cast() -> None:
    nodes = [node("CastLike", "one x", "c"), node("Add", "x c", "a"), node("Relu", "a", "y")]
    found = judged(nodes, [info("x", [2, 3]), info("one", [], INT64)], [info("y", [2, 3])])
    assert found.verdict == "full"
    assert len(found.partitions) == 2


def branch(name: str, *kinds: str) -> onnx.GraphProto:
    nodes = [
        node(kind, f"{name}{index}" if index else "x", f"{name}{index + 1}")
        for index, kind in enumerate(kinds)
    ]
    return helper.make_graph(nodes, name, [], [info(f"{name}{len(kinds)}", [2, 3])])


def test_bodies_go_with_the_operator_that_holds_them() -> None:
    nodes = [node("If", "c", "r", then_branch=branch("t", "Relu", "Exp"), else_branch=branch("e", "Sigmoid"))]
    found = judged(nodes, [info("c", [1], BOOL), info("x", [2, 3])], [info("r", [2, 3])])
    assert found.verdict == "full"
    assert len(found.operators) == 4


def test_a_partition_in_a_body_fails_session_creation_when_its_holder_is_supported() -> None:
    inner = helper.make_graph(
        [node("Relu", "s", "a"), node("Exp", "a", "b"), node("Identity", "k", "kk")],
        "body",
        [info("i", [], INT64), info("k", [], BOOL), info("s", [2, 3])],
        [info("kk", [], BOOL), info("b", [2, 3])],
    )
    found = judged(
        [node("Loop", "n c x", "y", body=inner)],
        [info("n", [], INT64), info("c", [], BOOL), info("x", [2, 3])],
        [info("y", [2, 3])],
    )
    assert found.verdict == "rejected"
    assert "partition-in-a-subgraph" in rules(found)


@pytest.mark.parametrize(
    ("dtype", "kind", "expected"),
    [
        (TensorProto.INT4, "Relu", "rejected"),
        (TensorProto.INT4, "Transpose", "full"),
        (FLOAT, "Relu", "full"),
    ],
)
def test_four_bits_from_outside_are_moved_but_not_computed_with(dtype: int, kind: str, expected: str) -> None:
    entry = [node("DequantizeLinear", "x s z", "d")] if dtype != FLOAT else [node("Identity", "x", "d")]
    nodes = [
        *entry,
        node(kind, "d", "r"),
        node("QuantizeLinear", "r s z", "p"),
        node("DequantizeLinear", "p s z", "y"),
    ]
    zero = helper.make_tensor("z", TensorProto.INT4, [], [0])
    made = helper.make_graph(
        nodes,
        "g",
        [info("x", [3, 3], dtype)],
        [info("y", [3, 3])],
        [numpy_helper.from_array(np.float32(0.5), "s"), zero],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    assert check(from_bytes(model.SerializeToString()), choose("onnxruntime/openvino")).verdict == expected


def test_a_lone_operator_that_joins_a_later_partition_can_close_a_cycle() -> None:
    """The first Where feeds IsInf on the host and the partition behind it, which it is joined to."""
    nodes = [
        node("IsNaN", "x", "n"), node("Where", "n one x", "a"),
        node("IsInf", "a", "i"), node("Where", "i one a", "w"), node("Relu", "w", "y"),
    ]  # fmt: skip
    found = judged(nodes, [info("x", [2, 3])], [info("y", [2, 3])], one=np.float32([1]))
    assert found.verdict == "rejected"
    assert "cyclic-partitions" in rules(found)


def test_a_channel_shuffle_of_unknown_size_fails_session_creation() -> None:
    nodes = [
        node("Relu", "x", "r"), node("Reshape", "r split", "a"),
        node("Transpose", "a", "b", perm=[0, 2, 1, 3]), node("Reshape", "b join", "y"),
    ]  # fmt: skip
    shapes = {"split": np.array([1, -1, 12, 16]), "join": np.array([1, 12, -1])}
    assert judged(nodes, [info("x", ["N", 4, 12, 16])], [info("y", None)], **shapes).verdict == "rejected"
    assert judged(nodes, [info("x", [2, 4, 12, 16])], [info("y", None)], **shapes).verdict == "full"


def test_gathered_parts_are_compared_with_the_data_before_a_slice() -> None:
    nodes = [
        node("Relu", "x", "r"),
        node("Slice", "r from to axis", "s"),
        node("GatherElements", "s i", "y", axis=1),
    ]
    stored = {"to": np.array([5]), "axis": np.array([2])}
    ends = [info("x", [1, 9, 6]), info("i", [1, "M", 4], INT64)], [info("y", None)]
    assert judged(nodes, *ends, **{"from": np.array([0])}, **stored).verdict == "rejected"
    assert judged(nodes, *ends, **{"from": np.array([1])}, **stored).verdict == "full"
    plain = [node("Relu", "x", "r"), node("GatherElements", "r i", "y", axis=1)]
    assert judged(plain, *ends).verdict == "rejected"
    assert (
        judged(plain, [info("x", [1, 9, 4]), info("i", [1, "M", 4], INT64)], [info("y", None)]).verdict
        == "full"
    )


@pytest.mark.parametrize(("opset", "expected"), [(15, "rejected"), (16, "partial")])
def test_comparisons_of_old_operator_sets_have_no_shape(opset: int, expected: str) -> None:
    """ONNX Runtime has no inference for them, and a partition that reads what follows has an input without a
    rank.
    """
    nodes = [
        node("GreaterOrEqual", "x c", "b"), node("Cast", "b", "f", to=FLOAT), node("IsNaN", "f", "n"),
        node("Cast", "n", "g", to=FLOAT), node("Relu", "g", "y"),
    ]  # fmt: skip
    assert judged(nodes, [info("x", [2, 3])], [info("y", [2, 3])], opset, c=np.float32(0)).verdict == expected


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        (node("Identity", "d", "m"), "rejected"),
        (node("Add", "d zero", "m"), "rejected"),
        (node("Concat", "d", "m", axis=1), "rejected"),
        (node("Relu", "d", "m"), "full"),
        (node("Transpose", "d", "m", perm=[0, 2, 1]), "full"),
    ],
)
def test_a_concat_quantized_twice_ends_the_process(between: onnx.NodeProto, expected: str) -> None:
    nodes = [
        node("Concat", "x x2", "k", axis=1),
        node("QuantizeLinear", "k s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        between,
        node("QuantizeLinear", "m s z", "p"),
        node("DequantizeLinear", "p s z", "y"),
    ]
    stored = {"s": np.float32(0.1), "z": np.uint8(3), "zero": np.zeros((1,), np.float32)}
    assert (
        judged(nodes, [info("x", [1, 2, 4]), info("x2", [1, 2, 4])], [info("y", None)], **stored).verdict
        == expected
    )


@pytest.mark.parametrize(
    ("pads", "zero", "reader", "expected"),
    [
        ([0, 0, 4, 0, 0, 0], 3, "Sigmoid", "rejected"),
        ([0, 0, 4, 0, 0, 0], 0, "Sigmoid", "full"),
        ([0, 0, 4, 0, 0, 0], 3, None, "full"),
        ([0, 1, 4, 0, 0, 0], 3, "Sigmoid", "full"),
        ([1, 0, 0, 0, 0, 0], 3, "Sigmoid", "full"),
        ([0, 0, -1, 0, 0, 0], 3, "Sigmoid", "full"),
    ],
)
def test_a_pad_of_a_dequantized_tensor_with_other_readers_stops_the_session(
    pads: list[int], zero: int, reader: str | None, expected: str
) -> None:
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("Pad", "d p", "w"),
        node("Relu", "w", "y"),
    ]
    nodes += [node(reader, "d", "y2")] if reader else []
    stored = {"s": np.float32(0.1), "z": np.uint8(zero), "p": np.array(pads)}
    outputs = [info("y", None), *([info("y2", None)] if reader else [])]
    assert judged(nodes, [info("x", [1, 8, 31])], outputs, **stored).verdict == expected


def test_a_constant_operator_that_is_quantized_has_no_input_to_look_behind() -> None:
    value = node("Constant", "", "c", value=onnx.numpy_helper.from_array(np.ones((1, 4), np.float32)))
    del value.input[:]
    nodes = [
        value,
        node("QuantizeLinear", "c s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("Add", "x d", "y"),
    ]
    stored = {"s": np.float32(0.1), "z": np.uint8(3)}
    assert judged(nodes, [info("x", [1, 4])], [info("y", None)], **stored).verdict == "full"


def test_what_is_left_to_a_host_without_a_kernel_stops_the_session() -> None:
    """TopK opens a small graph, which is not assigned; the CPU provider has none for bytes."""
    for dtype, expected in ((TensorProto.UINT8, "rejected"), (FLOAT, "none")):
        nodes = [node("TopK", "x k", "v i")]
        found = judged(
            nodes, [info("x", [8], dtype)], [info("v", [2], dtype), info("i", [2], INT64)], k=np.array([2])
        )
        assert found.verdict == expected
