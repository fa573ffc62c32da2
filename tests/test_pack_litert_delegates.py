"""The packs of LiteRT's NNAPI, Core ML and Hexagon delegates and of LiteRT for Microcontrollers: variants and
partitions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from accelint.analyzer.check.run import check
from accelint.analyzer.formats import load
from accelint.analyzer.ir.graph import Graph, Operator, Tensor
from accelint.analyzer.policies.litert import LiteRTDelegate
from accelint.rules.cases import build
from accelint.rules.conditions import Context
from accelint.rules.predicates import load_predicates
from accelint.rules.registry import choose
from accelint.rules.verdict import Answer

FIXTURES = Path(__file__).parent.parent / "fixtures" / "tflite"
PREDICATES = load_predicates(("litert_inputs", "litert_nnapi", "litert_coreml"))
SCALES = ["scale:0.5 uint8[1,4]", "const scale:0.5 uint8[8,4]"]


def ask(name: str, case: Mapping[str, Any], **arguments: object) -> Answer:
    graph, op = build(case, "ADD", "tflite")
    return PREDICATES[name](graph, op, Context(), **arguments).answer


@pytest.mark.parametrize(
    ("inputs", "answer"),
    [
        (["float32[1,4,4,3]", "float32[3]"], Answer.HOLDS),
        (["float32[1,4,4,3]", "float32[1,4,4,1]"], Answer.HOLDS),
        (["float32[2,4,4,3]", "const float32[1]"], Answer.HOLDS),
        (["float32[2,4,4,3]", "float32[1]"], Answer.FAILS),
        (["float32[1,4,4,3]", "float32[1,1,4,3]"], Answer.FAILS),
        (["float32[1,4,4,3]", "float32[2]"], Answer.FAILS),
        (["float32[1,1,4,4,3]", "float32[3]"], Answer.FAILS),
        (["float32", "float32[3]"], Answer.UNKNOWN),
    ],
)
def test_core_ml_broadcasts_by_batch_plane_and_channel(inputs: Sequence[str], answer: Answer) -> None:
    assert ask("coreml_delegate_broadcast", {"in": inputs}) is answer


@pytest.mark.parametrize(
    ("inputs", "answer"), [(["float32[4]", "-"], Answer.HOLDS), (["float32[4]"], Answer.FAILS)]
)
def test_omitted_inputs_are_counted(inputs: Sequence[str], answer: Answer) -> None:
    assert ask("litert_inputs", {"in": inputs}, one_of=[2]) is answer


@pytest.mark.parametrize(("sides", "answer"), [((16, 16), Answer.HOLDS), ((16, 17), Answer.FAILS)])
def test_a_window_is_counted_in_elements(sides: tuple[int, int], answer: Answer) -> None:
    assert (
        ask("nnapi_window", {"attrs": {"filter_height": sides[0], "filter_width": sides[1]}}, most=256)
        is answer
    )


@pytest.mark.parametrize(
    ("result", "answer"),
    [
        ("scale:0.26 uint8[1,8]", Answer.HOLDS),
        ("scale:0.25 uint8[1,8]", Answer.FAILS),
        ("quant:1 uint8[1,8]", Answer.UNKNOWN),
    ],
)
def test_the_scale_of_a_result_is_above_the_product(result: str, answer: Answer) -> None:
    assert ask("nnapi_restricted_scales", {"in": SCALES, "out": [result]}) is answer


def rejections(target: str, case: Mapping[str, Any]) -> set[str]:
    """Names of the rules of a target that one operator does not satisfy."""
    chosen = choose(target)
    graph, op = build(case, str(case["type"]), "tflite")
    return {rule.name for rule, _ in chosen.failures(graph, op)}


@pytest.mark.parametrize(
    ("case", "first"),
    [
        ({"type": "TRANSPOSE", "in": ["float32[1,4]", "const int32[2] = 1, 0"]}, "28"),
        ({"type": "ABS", "in": ["float32[1,4]"]}, "29"),
        ({"type": "ELU", "in": ["float32[1,4]"]}, "30"),
        (
            {"type": "MUL", "in": ["int32[4]", "int32[4]"], "attrs": {"fused_activation_function": "NONE"}},
            "30",
        ),
        ({"type": "DEQUANTIZE", "in": ["quant int8[4]"]}, "29"),
        ({"type": "BATCH_MATMUL", "in": ["float32[2,2]", "float32[2,2]"]}, "33"),
        ({"type": "REVERSE_V2", "in": ["float32[4]", "const int32[1] = 0"]}, "33"),
    ],
    ids=lambda value: value["type"] if isinstance(value, Mapping) else value,
)
def test_nnapi_takes_an_operator_from_one_android_level_on(case: Mapping[str, Any], first: str) -> None:
    supported = [
        level
        for level in ("27", "28", "29", "30", "31", "33", "34")
        if not rejections(f"litert/nnapi:{level}", case)
    ]
    assert supported == [level for level in ("27", "28", "29", "30", "31", "33", "34") if level >= first]


def chain(*kinds: str) -> Graph:
    graph = Graph("main", "tflite", {"": 1})
    for index in range(len(kinds) + 1):
        graph.add_tensor(Tensor(f"t{index}", "float32", (1, 4)))
    for index, kind in enumerate(kinds):
        graph.add_op(Operator(f"main/{index}", kind, (f"t{index}",), (f"t{index + 1}",)))
    graph.set_interface(["t0"], [f"t{len(kinds)}"])
    return graph


def test_core_ml_leaves_a_partition_of_one_operator_to_the_host() -> None:
    graph = chain("RELU", "ABS", "RELU", "TANH")
    found = LiteRTDelegate().partition(
        graph, {"main/0", "main/2", "main/3"}, choose("litert/coreml").pack.policy_options
    )
    assert found.partitions == (("main/2", "main/3"),)
    assert {id: why.rule for id, why in found.dropped.items()} == {"main/0": "partition-too-small"}


def test_a_whole_model_of_one_operator_is_assigned_to_core_ml() -> None:
    found = LiteRTDelegate().partition(chain("RELU"), {"main/0"}, choose("litert/coreml").pack.policy_options)
    assert found.partitions == (("main/0",),)


def test_nnapi_takes_three_partitions() -> None:
    graph = chain("RELU", "COS", "RELU", "COS", "RELU", "COS", "RELU", "TANH")
    found = LiteRTDelegate().partition(
        graph, {"main/0", "main/2", "main/4", "main/6", "main/7"}, choose("litert/nnapi").pack.policy_options
    )
    assert len(found.partitions) == 3
    assert ("main/6", "main/7") in found.partitions
    assert {why.rule for why in found.dropped.values()} == {"too-many-partitions"}


@pytest.mark.parametrize(
    ("model", "target", "status"),
    [
        ("conv_net_int8", "litert/hexagon", "partial"),
        ("conv_net", "litert/hexagon", "none"),
        ("conv_net", "litert/nnapi", "full"),
        ("conv_net_int8", "litert/coreml", "none"),
        ("conv_net_int8", "litert/micro", "full"),
        ("conv_net_float16", "litert/micro", "rejected"),
        ("hybrid", "litert/micro", "rejected"),
    ],
)
def test_models_of_each_kind(model: str, target: str, status: str) -> None:
    loaded = load(FIXTURES / f"{model}.tflite")
    assert check(loaded, choose(target)).verdict == status
