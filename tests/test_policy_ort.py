"""The partition policy of ONNX Runtime's compiling providers, on graphs that the runtime was shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from accelint.analyzer.check.run import check
from accelint.analyzer.formats.onnx.reader import from_bytes
from accelint.analyzer.ir.graph import Graph
from accelint.analyzer.policies.onnxruntime.fusions import seen_fused, seen_in_rank_5
from accelint.analyzer.policies.onnxruntime.policy import OrtCompile, OrtKernel
from accelint.analyzer.policies.onnxruntime.units import units
from accelint.rules.registry import choose
from onnx import TensorProto, helper, numpy_helper

QNN = {"units": "qdq", "edges": "host", "lone": ["QuantizeLinear", "DequantizeLinear"]}
FLOAT = TensorProto.FLOAT


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Any],
    outputs: dict[str, Any],
    constants: dict[str, Any] | None = None,
    opset: int = 17,
) -> Graph:
    """A graph from nodes; inputs and outputs map names to shapes (float) or (dtype, shape)."""

    def info(name: str, what: Any) -> onnx.ValueInfoProto:
        kind, shape = (
            what
            if isinstance(what, tuple) and len(what) == 2 and isinstance(what[1], list)
            else (FLOAT, what)
        )
        return helper.make_tensor_value_info(name, kind, shape)

    for index, node in enumerate(nodes):
        node.name = node.name or f"{node.op_type}{index}"
    made = helper.make_graph(
        nodes,
        "g",
        [info(*item) for item in inputs.items()],
        [info(*item) for item in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()],
    )
    return from_bytes(
        helper.make_model(
            made, opset_imports=[helper.make_opsetid("", opset)], ir_version=10
        ).SerializeToString()
    ).graph


def names(graph: Graph, partitions: tuple[tuple[str, ...], ...]) -> list[list[str]]:
    return [[graph.op(id).type for id in partition] for partition in partitions]


def node(kind: str, inputs: str, outputs: str, **attrs: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), outputs.split(), **attrs)


def supported(graph: Graph, *rejected: str) -> set[str]:
    return {op.id for op in graph.ops() if op.type not in rejected}


def chain(*kinds: str) -> Graph:
    nodes = [node(kind, f"t{index}", f"t{index + 1}") for index, kind in enumerate(kinds)]
    return graph(nodes, {"t0": [1, 4]}, {f"t{len(kinds)}": [1, 4]})


def test_a_rejected_operator_splits_a_chain() -> None:
    g = chain("Relu", "Erf", "Relu", "Abs")
    assert names(g, OrtCompile().partition(g, supported(g, "Erf"), QNN).partitions) == [
        ["Relu"],
        ["Relu", "Abs"],
    ]


def test_parallel_branches_meet_in_one_partition_when_nothing_rejected_lies_between() -> None:
    g = graph(
        [node("Relu", "x", "a"), node("Erf", "x", "b"), node("Abs", "b", "c"), node("Add", "a c", "y")],
        {"x": [1, 4]},
        {"y": [1, 4]},
    )
    assert names(g, OrtCompile().partition(g, supported(g, "Erf"), {}).partitions) == [["Relu", "Abs", "Add"]]


def test_a_rejected_reader_on_the_border_waits_so_that_partitions_stay_convex() -> None:
    """Relu -> Erf -> Add and Relu -> Add: taking Relu and Add in one partition would close a cycle through
    Erf.
    """
    g = graph(
        [node("Relu", "x", "a"), node("Erf", "a", "b"), node("Add", "a b", "y")], {"x": [1, 4]}, {"y": [1, 4]}
    )
    assert names(g, OrtCompile().partition(g, supported(g, "Erf"), {}).partitions) == [["Relu"], ["Add"]]


@pytest.mark.parametrize(
    ("options", "partitions", "rule"),
    [
        ({}, [["Relu"], ["Abs", "Neg"]], None),
        ({"min_nodes": 2}, [["Abs", "Neg"]], "partition-too-small"),
        ({"trivial": ["Relu", "Reshape"]}, [["Abs", "Neg"]], "trivial-partition"),
        ({"lone": ["Relu"]}, [["Abs", "Neg"]], "lone-operator"),
        ({"trivial": ["Abs", "Neg"], "lone": ["Neg"]}, [["Relu"]], "trivial-partition"),
    ],
)
def test_small_partitions_go_by_the_options(
    options: dict[str, Any], partitions: list[list[str]], rule: str | None
) -> None:
    g = chain("Relu", "Erf", "Abs", "Neg")
    found = OrtCompile().partition(g, supported(g, "Erf"), options)
    assert names(g, found.partitions) == partitions
    assert {why.rule for why in found.dropped.values()} == ({rule} if rule else set())


def quantized(middle: Sequence[onnx.NodeProto], *, after: float = 0.5) -> Graph:
    """x -> Q -> DQ -> the nodes from a to b -> Q -> DQ -> y."""
    nodes = [
        node("QuantizeLinear", "x s z", "xq"),
        node("DequantizeLinear", "xq s z", "a"),
        *middle,
        node("QuantizeLinear", "b s2 z", "bq"),
        node("DequantizeLinear", "bq s2 z", "y"),
    ]
    outputs = {"y": [1, 4]}
    return graph(
        nodes, {"x": [1, 4]}, outputs, {"s": np.float32(0.5), "z": np.uint8(0), "s2": np.float32(after)}
    )


def test_a_unit_is_one_operator_on_integers() -> None:
    g = quantized([node("Sigmoid", "a", "b")])
    found = units(g)
    target = g.op("main/2")
    assert found["main/2"].target is target
    assert {id for id, unit in found.items() if unit.target is target} == {"main/1", "main/2", "main/3"}
    view = OrtCompile().view(g, QNN)
    seen = view.op("main/2")
    assert [view.tensor(name or "").dtype for name in (*seen.inputs, *seen.outputs)] == ["uint8", "uint8"]
    quant = view.tensor(seen.inputs[0] or "").quant
    assert quant is not None
    assert (quant.scale, quant.zero_point) == ((0.5,), (0,))
    assert {op.id for op in view.ops()} == {"main/0", "main/2", "main/4"}


def test_a_unit_is_placed_together_and_the_edges_stay_on_the_host() -> None:
    g = quantized([node("Sigmoid", "a", "b")])
    found = OrtCompile().partition(g, supported(g), QNN)
    assert names(g, found.partitions) == [["DequantizeLinear", "Sigmoid", "QuantizeLinear"]]
    assert {id: why.rule for id, why in found.dropped.items()} == dict.fromkeys(
        ("main/0", "main/4"), "quantization-at-the-edge"
    )


def test_members_fall_back_with_their_target() -> None:
    g = quantized([node("Sigmoid", "a", "b")])
    found = OrtCompile().partition(g, supported(g, "Sigmoid"), QNN)
    assert not found.partitions
    assert {id for id, why in found.dropped.items() if why.rule == "node-unit-not-supported"} == {
        "main/1",
        "main/3",
    }


def test_a_relu_before_quantization_belongs_to_the_unit() -> None:
    g = quantized([node("Sigmoid", "a", "m"), node("Relu", "m", "b")])
    found = units(g)
    unit = found["main/2"]
    assert unit.clip is not None
    assert unit.clip.type == "Relu"
    assert found["main/3"] is unit


@pytest.mark.parametrize(
    ("middle", "after", "has_unit"),
    [
        ([node("Transpose", "a", "b", perm=[0, 1])], 0.5, True),
        (
            [node("Transpose", "a", "b", perm=[0, 1])],
            0.25,
            False,
        ),  # hands values on: the scale must not change
        ([node("Sigmoid", "a", "b")], 0.25, True),
        ([node("Identity", "a", "b")], 0.5, False),  # no unit is made of it
        ([node("Add", "a a", "b")], 0.5, True),
        ([node("Sqrt", "a", "m"), node("Neg", "m", "b")], 0.5, False),  # half a unit each
    ],
)
def test_what_makes_a_unit(middle: list[onnx.NodeProto], after: float, has_unit: bool) -> None:
    assert bool(units(quantized(middle, after=after))) is has_unit


def test_units_that_share_a_dequantize_are_both_reached() -> None:
    g = graph(
        [
            node("QuantizeLinear", "x s z", "xq"),
            node("DequantizeLinear", "xq s z", "a"),
            node("Sigmoid", "a", "b"),
            node("QuantizeLinear", "b s z", "bq"),
            node("DequantizeLinear", "bq s z", "c"),
            node("Add", "a c", "d"),
            node("QuantizeLinear", "d s z", "dq"),
            node("DequantizeLinear", "dq s z", "y"),
        ],
        {"x": [1, 4]},
        {"y": [1, 4]},
        {"s": np.float32(0.5), "z": np.uint8(0)},
    )
    (partition,) = OrtCompile().partition(g, supported(g), QNN).partitions
    assert len(partition) == 6


def test_erf_is_seen_as_gelu_only_inside_the_pattern() -> None:
    constants = {"r": np.float32(1.4142135), "one": np.float32(1), "half": np.float32(0.5)}
    nodes = [
        node("Div", "x r", "d"),
        node("Erf", "d", "e"),
        node("Add", "e one", "p"),
        node("Mul", "x p", "m"),
        node("Mul", "m half", "y"),
    ]
    g = graph(nodes, {"x": [1, 4]}, {"y": [1, 4]}, constants)
    shown = seen_fused(g).op("main/1")
    assert (shown.type, shown.inputs) == ("Gelu", ("x",))
    alone = graph([*nodes[:3], node("Mul", "d p", "y")], {"x": [1, 4]}, {"y": [1, 4]}, constants)
    assert seen_fused(alone) is alone


def test_shapes_that_need_values_carried_along_are_unknown_to_the_provider() -> None:
    """Reshape to Concat(Gather(Shape(x)), -1): the file's reader knows the result's shape, ONNX Runtime does
    not.
    """
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s i", "g"),
        node("Concat", "g m", "c", axis=0),
        node("Reshape", "x c", "r"),
        node("Relu", "r", "y"),
    ]
    constants = {"i": np.array([0], np.int64), "m": np.array([-1], np.int64)}
    g = graph(nodes, {"x": [2, 3, 4]}, {"y": None}, constants)
    assert g.tensor("r").shape == (2, 12)
    assert not OrtCompile().view(g, QNN).tensor("r").static
    direct = graph(
        [node("Shape", "x", "s"), node("Reshape", "w s", "r"), node("Relu", "r", "y")],
        {"x": [2, 6], "w": [3, 4]},
        {"y": None},
    )
    assert OrtCompile().view(direct, QNN).tensor("r").shape == (2, 6)


def test_constants_are_folded_and_kernels_place_bodies() -> None:
    g = graph([node("Constant", "", "k", value_float=1.0), node("Add", "x k", "y")], {"x": [4]}, {"y": [4]})
    assert OrtCompile().folded(g, {}) == OrtKernel().folded(g, {}) == {"main/0"}
    assert names(g, OrtKernel().partition(g, {"main/1"}, {}).partitions) == [["Add"]]
    assert OrtKernel.bodies
    assert not OrtCompile.bodies


def test_what_the_host_keeps_cannot_be_rejected() -> None:
    """A lone dequantize operator of int4 in five dimensions: compiled it would stop the session, alone it is
    not assigned.
    """
    made = graph(
        [node("DequantizeLinear", "x s", "y"), node("GlobalLpPool", "y", "out")],
        {"x": (TensorProto.INT4, [1, 2, 4, 4, 4])},
        {"out": [1, 2, 1, 1, 1]},
        {"s": np.float32(0.1)},
        opset=21,
    )
    coverage = check(made, choose("onnxruntime/qnn:sm8650"))
    assert coverage.verdict == "none"
    assert not any(finding.effect == "rejected" for finding in coverage.findings)


def reshaped(zero: int) -> Graph:
    """A reshape between a dequantize and a quantize operator whose zero points are 3 and ``zero``."""
    return graph(
        [
            node("DequantizeLinear", "x s z", "a"),
            node("Reshape", "a shape", "b"),
            node("QuantizeLinear", "b s other", "y"),
        ],
        {"x": (TensorProto.UINT8, [1, 8])},
        {"y": (TensorProto.UINT8, [8])},
        {"s": np.float32(0.1), "z": np.uint8(3), "other": np.uint8(zero), "shape": np.array([8])},
    )


@pytest.mark.parametrize("zero", [3, 4])
def test_a_unit_that_hands_on_compares_scales_only(zero: int) -> None:
    assert len(units(reshaped(zero))) == 3


def test_a_recurrent_unit_may_have_lengths() -> None:
    made = graph(
        [
            node("DequantizeLinear", "x s z", "xf"),
            node("DequantizeLinear", "w s z", "wf"),
            node("DequantizeLinear", "r s z", "rf"),
            helper.make_node("GRU", ["xf", "wf", "rf", "", "lengths"], ["yf"], hidden_size=8),
            node("QuantizeLinear", "yf s z", "y"),
        ],
        {"x": (TensorProto.UINT8, [5, 2, 4])},
        {"y": (TensorProto.UINT8, [5, 1, 2, 8])},
        {
            "s": np.float32(0.1),
            "z": np.uint8(0),
            "w": np.zeros((1, 24, 4), np.uint8),
            "r": np.zeros((1, 24, 8), np.uint8),
            "lengths": np.array([5, 3], np.int32),
        },
    )
    assert {unit.target.type for unit in units(made).values()} == {"GRU"}


def in_integers(*middle: onnx.NodeProto) -> Graph:
    """Operators from ``a`` to ``b`` between quantize and dequantize operators, the last of which writes the
    model's result.
    """
    return graph(
        [
            node("QuantizeLinear", "x s z", "xq"),
            node("DequantizeLinear", "xq s z", "a"),
            node("DequantizeLinear", "weight s z", "w"),
            *middle,
            node("QuantizeLinear", "b s z", "bq"),
            node("DequantizeLinear", "bq s z", "y"),
        ],
        {"x": [1, 4, 8, 8]},
        {"y": [1, 4, 8, 8]},
        {"s": np.float32(0.1), "z": np.uint8(3), "weight": np.zeros((4, 4, 1, 1), np.uint8)},
    )


@pytest.mark.parametrize(
    ("middle", "on_host"),
    [
        ([node("Conv", "a w", "b")], ["QuantizeLinear0"]),
        ([node("Relu", "a", "b")], ["DequantizeLinear5", "QuantizeLinear0"]),
    ],
)
def test_a_transpose_that_moves_to_the_end_takes_the_last_dequantize_from_the_edge(
    middle: list[onnx.NodeProto], on_host: list[str]
) -> None:
    found = in_integers(*middle)
    partitioning = OrtCompile().partition(found, supported(found), QNN)
    assert sorted(found.op(id).name for id in partitioning.dropped) == on_host


def test_a_dequantize_of_a_supported_and_a_rejected_unit_stays_on_the_host_too() -> None:
    made = graph(
        [
            node("DequantizeLinear", "x s z", "a"),
            node("Relu", "a", "b"),
            node("QuantizeLinear", "b s z", "y"),
            node("Sin", "a", "c"),
            node("QuantizeLinear", "c s z", "w"),
        ],
        {"x": (TensorProto.UINT8, [1, 8])},
        {"y": (TensorProto.UINT8, [1, 8]), "w": (TensorProto.UINT8, [1, 8])},
        {"s": np.float32(0.1), "z": np.uint8(3)},
    )
    for rejected in ("Relu", "Sin"):
        partitioning = OrtCompile().partition(made, supported(made, rejected), QNN)
        assert made.op("main/0").type == "DequantizeLinear"
        assert "main/0" in partitioning.dropped


@pytest.mark.parametrize(("perm", "rank"), [([0, 1, 3, 2, 4, 5], 5), ([1, 0, 2, 3, 4, 5], 6)])
def test_windows_of_six_dimensions_are_seen_in_five(perm: list[int], rank: int) -> None:
    """Swin's window partition: Reshape, Transpose, Reshape, with a batch of 1 that the transpose leaves in
    its place.
    """
    made = graph(
        [node("Reshape", "x a", "b"), node("Transpose", "b", "c", perm=perm), node("Reshape", "c d", "y")],
        {"x": [1, 8, 8, 4]},
        {"y": None if rank == 6 else [4, 16, 4]},
        {"a": np.array([1, 2, 4, 2, 4, 4]), "d": np.array([4, 16, 4])},
    )
    seen = seen_in_rank_5(made)
    assert [len(seen.tensor(name).shape or ()) for name in ("b", "c")] == [rank, rank]


@pytest.mark.parametrize(("divisor", "found"), [(2**0.5, []), (3.0, ["gelu-of-other-constants"])])
def test_a_gelu_of_other_constants_is_told(divisor: float, found: list[str]) -> None:
    made = graph(
        [
            node("Div", "x c", "a"),
            node("Erf", "a", "b"),
            node("Add", "b one", "d"),
            node("Mul", "x d", "e"),
            node("Mul", "e half", "y"),
        ],
        {"x": [1, 8]},
        {"y": [1, 8]},
        {"c": np.float32(divisor), "one": np.float32(1), "half": np.float32(0.5)},
    )
    coverage = check(made, choose("onnxruntime/qnn:sm8650"))
    assert coverage.verdict == "full"
    assert [finding.rule for finding in coverage.findings] == found


def test_a_body_reads_constants_from_outside() -> None:
    """ONNX Runtime knows the rank of what a Scan gathers though the axes of its Unsqueeze are stored outside
    of the body.
    """
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [node("Unsqueeze", "v axes", "u")], "body", [info("v", FLOAT, None)], [info("u", FLOAT, None)]
    )  # fmt: skip
    nodes = [
        helper.make_node("Scan", ["x"], ["s"], body=body, num_scan_inputs=1),
        node("Transpose", "s", "y", perm=[1, 0, 2]),
    ]
    g = graph(nodes, {"x": [3, 4]}, {"y": [1, 3, 4]}, {"axes": np.array([0])})
    assert g.tensor("s").shape is None
    assert OrtCompile().view(g, {}).tensor("s").shape == (3, 1, 4)


def test_a_transpose_that_moves_takes_a_dequantize_out_of_a_rejected_unit() -> None:
    """Segformer: patches are transposed to a sequence, quantized, and normalized by an operator that is not
    taken.
    """
    made = graph(
        [
            node("QuantizeLinear", "x s z", "xq"),
            node("DequantizeLinear", "xq s z", "a"),
            node("DequantizeLinear", "weight s z", "w"),
            node("Conv", "a w", "c"),
            node("QuantizeLinear", "c s z", "cq"),
            node("DequantizeLinear", "cq s z", "d"),
            node("Reshape", "d shape", "e"),
            node("QuantizeLinear", "e s z", "eq"),
            node("DequantizeLinear", "eq s z", "f"),
            node("Transpose", "f", "t", perm=[0, 2, 1]),
            node("QuantizeLinear", "t s z", "tq"),
            node("DequantizeLinear", "tq s z", "g"),
            node("Sigmoid", "g", "h"),
            node("QuantizeLinear", "h s z", "y"),
        ],
        {"x": [1, 4, 8, 8]},
        {"y": (TensorProto.UINT8, [1, 64, 4])},
        {
            "s": np.float32(0.1),
            "z": np.uint8(3),
            "weight": np.zeros((4, 4, 1, 1), np.uint8),
            "shape": np.array([1, 4, 64]),
        },
    )
    partitioning = OrtCompile().partition(made, supported(made, "Sigmoid"), QNN)
    assert sorted(made.op(id).name for id in partitioning.dropped) == ["QuantizeLinear0", "QuantizeLinear13"]
