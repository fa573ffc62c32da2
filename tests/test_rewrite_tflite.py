"""Every TFLite rewrite: it settles, keeps the graph valid and its interface, and keeps its promise on
LiteRT's own kernels.
"""

from __future__ import annotations

from typing import Any

import pytest
from accelint.analyzer.ir.model import Model
from accelint.analyzer.proof.parity import compare
from accelint.rewrites.engine import Miss, run
from accelint.rewrites.planner import tidy
from accelint.rewrites.registry import rewrite, rewrites
from rewrite_cases_tflite import APPLIES, NEAR, masked
from rewrite_models import LiteRT, Net

IDS = [item.id for item in rewrites("tflite")]
CASES = [(id, name) for id, cases in APPLIES.items() for name in cases]
MISSES = [(id, index) for id, misses in NEAR.items() for index in range(len(misses))]


def built(build: Any) -> Any:
    net = Net()
    outputs = build(net)
    if isinstance(outputs, Model):
        return outputs
    return net.model(*([outputs] if isinstance(outputs, str) else outputs))


def interface(model: Any) -> list[tuple[str, str, object]]:
    graph = model.graph
    return [
        (name, graph.tensor(name).dtype, graph.tensor(name).shape) for name in (*graph.inputs, *graph.outputs)
    ]


def agrees(before: Any, after: Any, promise: str) -> None:
    reference, changed = LiteRT(before), LiteRT(after)
    whole = any(
        item["dtype"].__name__.startswith("int") for item in reference.interpreter.get_input_details()
    )
    for seed, boundary in ((1, False), (2, False), (3, True)):
        feeds = reference.feeds(seed, boundary=boundary, low=0 if whole else -4, high=1 if whole else 4)
        expected, found = reference.run(feeds), changed.run(feeds)
        named = [{str(index): array for index, array in enumerate(arrays)} for arrays in (expected, found)]
        result = compare(named[0], named[1], promise)
        assert result.agrees, (boundary, result.problems)


@pytest.mark.parametrize(("id", "name"), CASES, ids=[f"{id}-{name}" for id, name in CASES])
def test_it_applies_settles_and_keeps_its_promise(id: str, name: str) -> None:
    model, before = built(APPLIES[id][name]), built(APPLIES[id][name])
    item = rewrite(id)
    stated = interface(model)
    assert run(model.graph, [item]).get(id, 0) >= 1, "it does not apply"
    assert run(model.graph, [item]) == {}, "it does not settle"
    model.graph.validate()
    assert interface(model) == stated
    agrees(before, model, str(item.parity))
    tidy(model.graph, rewrites("tflite"))
    model.graph.validate()
    assert interface(model) == stated
    agrees(before, model, str(item.parity))


@pytest.mark.parametrize(("id", "index"), MISSES)
def test_it_says_why_it_does_not_apply(id: str, index: int) -> None:
    build, words = NEAR[id][index]
    graph = built(build).graph
    item = rewrite(id)
    ops = [op for op in graph.ops() if item.speaks_of(op)]
    assert ops
    found = item.match(graph, ops[-1])
    assert isinstance(found, Miss) and words in found.reason, found
    before = list(graph.ops())
    assert item.attempt(graph, ops[-1]) is not None
    assert list(graph.ops()) == before


def test_a_scalar_result_is_left_alone() -> None:
    """The GPU delegate refuses a whole model for a RESHAPE to no dimensions."""
    graph = built(masked((4, 5), [2, 3], [3, 4], [1, 1], (), shrink_axis_mask=3)).graph
    found = rewrite("plain-strided-slice").match(graph, graph.ops()[0])
    assert isinstance(found, Miss) and "no dimensions" in found.reason


@pytest.mark.parametrize(
    ("id", "type", "after"),
    [
        ("expand-squeeze-to-reshape", "EXPAND_DIMS", (1, 2, 3)),
        ("broadcast-to-tile", "BROADCAST_TO", (2, 3)),
        ("remove-idle-tflite", "RESHAPE", (2, 3)),
        ("merge-reshapes", "RESHAPE", (3, 2)),
    ],
)
def test_shapes_that_are_computed_are_not_believed(id: str, type: str, after: tuple[int, ...]) -> None:
    """The file states a size for them, and the model may run with another."""
    net = Net()
    x = (
        net.op("EXPAND_DIMS", [net.input("x", (3,)), net.const(0, "int32")], (1, 3))
        if type == "BROADCAST_TO"
        else net.input("x", (2, 3))
    )
    if id == "merge-reshapes":
        x = net.op("RESHAPE", [x, net.const([6], "int32")], (6,))
    shape = net.input("shape", () if type == "EXPAND_DIMS" else (2,), "int32")
    graph = net.model(net.op("NEG", [net.op(type, [x, shape], after)], after)).graph
    op = next(op for op in graph.ops() if op.inputs[1:] == ("shape",))
    found = rewrite(id).match(graph, op)
    assert isinstance(found, Miss) and "computed when the model runs" in found.reason


def test_every_rewrite_has_cases() -> None:
    assert set(IDS) == set(APPLIES) == set(NEAR)


@pytest.mark.parametrize(
    "id", [item.id for item in rewrites("tflite") if item.id in ("transpose-on-views", "merge-dimensions")]
)
def test_what_is_made_has_few_dimensions(id: str) -> None:
    for build in APPLIES[id].values():
        graph = built(build).graph
        run(graph, [rewrite(id)])
        for op in graph.ops():
            if op.type != "RESHAPE":
                assert all(
                    len(tensor.shape or ()) <= 4
                    for tensor in (*graph.input_tensors(op), *graph.output_tensors(op))
                    if tensor
                )


def test_a_pixel_shuffle_ends_without_six_dimensions() -> None:
    model = built(APPLIES["transpose-on-views"]["pixel shuffle"])
    run(model.graph, rewrites("tflite"))
    model.graph.prune()
    assert [op.type for op in model.graph.ops()] == ["RESHAPE", "TRANSPOSE", "RESHAPE"]
    assert max(len(tensor.shape or ()) for tensor in model.graph.tensors.values()) == 4
