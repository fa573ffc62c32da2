"""Every ONNX rewrite: it settles, keeps the graph valid and its interface, and keeps its promise on ONNX
Runtime.
"""

from __future__ import annotations

from typing import Any

import onnx
import pytest
from accelint.analyzer.formats.onnx.reader import from_bytes
from accelint.analyzer.formats.onnx.writer import to_bytes
from accelint.analyzer.proof.parity import compare
from accelint.rewrites.engine import Miss, run
from accelint.rewrites.planner import tidy
from accelint.rewrites.registry import rewrite, rewrites
from rewrite_cases_onnx import APPLIES, NEAR
from rewrite_models import feeds_of, onnx_bytes, ort

IDS = [item.id for item in rewrites("onnx")]
CASES = [(id, name) for id, cases in APPLIES.items() for name in cases]
MISSES = [(id, index) for id, misses in NEAR.items() for index in range(len(misses))]


def content(case: Any, *, checked: bool = True) -> bytes:
    text, opset = case if isinstance(case, tuple) else (case, 17)
    return onnx_bytes(text, opset, checked=checked)


def interface(model: Any) -> list[tuple[str, str, object]]:
    graph = model.graph
    return [
        (name, graph.tensor(name).dtype, graph.tensor(name).shape) for name in (*graph.inputs, *graph.outputs)
    ]


def agrees(before: bytes, after: Any, promise: str) -> None:
    data = to_bytes(after)
    onnx.checker.check_model(onnx.load_model_from_string(data), full_check=True)
    reference, changed = ort(before), ort(data)
    names = [item.name for item in reference.get_outputs()]
    for seed, boundary in ((1, False), (2, False), (3, True)):
        feeds = feeds_of(reference, seed, {"N": 4}, boundary=boundary)
        expected, found = (
            dict(zip(names, session.run(None, feeds), strict=True)) for session in (reference, changed)
        )
        precision = "fp16" if any(array.dtype == "float16" for array in expected.values()) else "fp32"
        precision = "int8" if b"DynamicQuantize" in before else precision
        result = compare(expected, found, promise, precision)
        assert result.agrees, (boundary, result.problems)


@pytest.mark.parametrize(("id", "name"), CASES, ids=[f"{id}-{name}" for id, name in CASES])
def test_it_applies_settles_and_keeps_its_promise(id: str, name: str) -> None:
    data = content(APPLIES[id][name])
    model = from_bytes(data)
    item = rewrite(id)
    stated = interface(model)
    assert run(model.graph, [item]).get(id, 0) >= 1, "it does not apply"
    assert run(model.graph, [item]) == {}, "it does not settle"
    model.graph.validate()
    assert interface(model) == stated
    agrees(data, model, str(item.parity))
    tidy(model.graph, rewrites("onnx"))
    model.graph.validate()
    assert interface(model) == stated
    agrees(data, model, str(item.parity))


@pytest.mark.parametrize(("id", "index"), MISSES)
def test_it_says_why_it_does_not_apply(id: str, index: int) -> None:
    case, words = NEAR[id][index]
    graph = from_bytes(content(case, checked=False)).graph
    item = rewrite(id)
    ops = [op for op in graph.ops() if item.speaks_of(op)]
    assert ops
    found = item.match(graph, ops[-1])
    assert isinstance(found, Miss) and words in found.reason, found
    before = list(graph.ops())
    assert item.attempt(graph, ops[-1]) is not None
    assert list(graph.ops()) == before


def test_every_rewrite_has_cases() -> None:
    assert set(IDS) == set(APPLIES) == set(NEAR)


@pytest.mark.parametrize("id", ["transpose-on-views-onnx", "merge-dimensions-onnx"])
def test_what_is_made_has_few_dimensions(id: str) -> None:
    for case in APPLIES[id].values():
        graph = from_bytes(content(case)).graph
        run(graph, [rewrite(id)])
        for op in graph.ops():
            if op.type != "Reshape":
                assert all(
                    len(tensor.shape or ()) <= 4
                    for tensor in (*graph.input_tensors(op), *graph.output_tensors(op))
                    if tensor
                )


def test_erf_by_tanh_is_as_close_as_its_title_says() -> None:
    import math

    import numpy as np

    data = content(APPLIES["erf-to-tanh"]["plain"])
    model = from_bytes(data)
    run(model.graph, [rewrite("erf-to-tanh")])
    x = np.linspace(-5, 5, 30).astype(np.float32)
    worst = 0.0
    for start in np.linspace(0, 0.3, 40):
        values = (x + start).astype(np.float32).reshape(2, 3, 5)
        found = ort(model).run(None, {"x": values})[0]
        worst = max(worst, float(np.abs(found - np.vectorize(math.erf)(values)).max()))
    assert 1e-4 < worst < 4e-4


def test_rewrites_one_after_the_other_give_each_node_a_name() -> None:
    data = onnx_bytes("g (bool[2,3] x) => (bool[2,1,3] y) <int64[1] a={1}> { y = Unsqueeze(x, a) }")
    model = from_bytes(data)
    run(model.graph, [rewrite("bools-as-integers")])
    run(model.graph, [rewrite("moves-as-wide-numbers")])
    names = [op.name for op in model.graph.ops()]
    assert [op.type for op in model.graph.ops()].count("Cast") == 4 and len(set(names)) == len(names)
    agrees(data, model, "bit-exact")
