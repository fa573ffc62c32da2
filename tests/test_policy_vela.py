"""What Vela leaves out of the model that it writes, and how it schedules: predicted and held against Vela."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from accelint.analyzer.check.run import check
from accelint.analyzer.conform.corpora import Item
from accelint.analyzer.conform.corpora.tflite.net import Net
from accelint.analyzer.conform.engine import run
from accelint.analyzer.formats.tflite.writer import write
from accelint.rules.registry import choose

SIZE = (1, 8, 8, 4)


def step(
    net: Net, kind: str, *reads: str, size: tuple[int, ...] = SIZE, to: str = "q8", **attrs: object
) -> str:
    result = net.result(size, to)
    net.op(kind, reads, [result], attrs)
    return result


def chain(net: Net, x: str, *sizes: int) -> str:
    """A shape as exporters compute it: the batch of ``x``, then what is stored."""
    sizes_of = net.result((4,), "i32", static=True)
    net.op("SHAPE", [x], [sizes_of])
    first = net.result((), "i32", static=True)
    net.op("STRIDED_SLICE", [sizes_of, *map(net.const, ((0,), (1,), (1,)))], [first], {"shrink_axis_mask": 1})
    shape = net.result((1 + len(sizes),), "i32", static=True)
    net.op("PACK", [first, *map(net.const, sizes)], [shape], {"values_count": 1 + len(sizes)})
    return shape


def reshape_chain(net: Net, a: str) -> list[str]:
    return [step(net, "RESHAPE", a, chain(net, a, 64, 4), size=(1, 64, 4))]


def chain_that_the_cpu_reads(net: Net, a: str) -> list[str]:
    shape = chain(net, a, 64, 4)
    filled = step(net, "FILL", shape, net.const(1.0, "f32"), size=(1, 64, 4), to="f32")
    return [step(net, "RESHAPE", a, shape, size=(1, 64, 4)), filled]


def chain_that_is_a_result(net: Net, a: str) -> list[str]:
    shape = chain(net, a, 64, 4)
    return [step(net, "RESHAPE", a, shape, size=(1, 64, 4)), shape]


def resize_chain(net: Net, a: str) -> list[str]:
    batch_and_height = chain(net, a, 16)  # never computed: what it says is not read
    return [step(net, "RESIZE_NEAREST_NEIGHBOR", a, batch_and_height, size=(1, 16, 16, 4))]


def transposed_chain(net: Net, a: str) -> list[str]:
    weights = net.weights((4, 2, 2, 4), "q8s")
    attrs = {"stride_h": 2, "stride_w": 2, "padding": "VALID"}
    return [step(net, "TRANSPOSE_CONV", chain(net, a, 16, 16, 4), weights, a, size=(1, 16, 16, 4), **attrs)]


def chain_of_a_float_reshape(net: Net, a: str) -> list[str]:
    y = net.input(SIZE, "f32")
    return [a, step(net, "RESHAPE", y, chain(net, y, 64, 4), size=(1, 64, 4), to="f32")]


def nothing_needs_it(net: Net, a: str) -> list[str]:
    step(net, "SIN", net.input(SIZE, "f32"), to="f32")
    step(net, "RELU6", a)
    return [a]


def empty_partition(net: Net, a: str) -> list[str]:
    stored = net.weights(SIZE, "q8")
    product = step(net, "MUL", stored, stored)
    return [step(net, "SIN", step(net, "DEQUANTIZE", product, to="f32"), to="f32")]


def constants_in_a_partition(net: Net, a: str) -> list[str]:
    stored = net.weights(SIZE, "q8")
    return [step(net, "SIN", step(net, "DEQUANTIZE", step(net, "RELU", stored), to="f32"), to="f32")]


def host_first(net: Net, a: str) -> list[str]:
    """The CPU's QUANTIZE of a constant runs before the NPU, so that one partition holds both neighbours."""
    return [step(net, "ADD", a, step(net, "QUANTIZE", net.weights(SIZE, "f32")))]


def between(net: Net, a: str) -> list[str]:
    """What the CPU computes waits for the NPU: two partitions, the independent operators in the first."""
    aside = step(net, "SIN", step(net, "DEQUANTIZE", a, to="f32"), to="f32")
    back = step(net, "QUANTIZE", aside)
    return [step(net, "ADD", back, step(net, "ADD", step(net, "RELU6", a), a))]


def host_last(net: Net, a: str) -> list[str]:
    """Three results of the CPU on the way: all of them run after the NPU."""
    aside = []
    for _ in range(3):
        a = step(net, "RELU6", a)
        aside.append(step(net, "SIN", step(net, "DEQUANTIZE", a, to="f32"), to="f32"))
    return [*aside, a]


Case = Callable[[Net, str], list[str]]
CASES: dict[Case, tuple[int, set[str], set[str]]] = {
    reshape_chain: (1, {"SHAPE", "STRIDED_SLICE", "PACK"}, set()),
    chain_that_the_cpu_reads: (1, set(), {"SHAPE", "STRIDED_SLICE", "PACK", "FILL"}),
    chain_that_is_a_result: (1, set(), {"SHAPE", "STRIDED_SLICE", "PACK"}),
    resize_chain: (1, {"SHAPE", "STRIDED_SLICE", "PACK"}, set()),
    transposed_chain: (2, set(), {"SHAPE", "STRIDED_SLICE", "PACK"}),
    chain_of_a_float_reshape: (1, set(), {"SHAPE", "STRIDED_SLICE", "PACK", "RESHAPE"}),
    nothing_needs_it: (1, {"SIN", "RELU6"}, set()),
    empty_partition: (0, {"MUL"}, {"DEQUANTIZE", "SIN"}),
    constants_in_a_partition: (1, set(), {"DEQUANTIZE", "SIN"}),
    host_first: (1, set(), {"QUANTIZE"}),
    between: (2, set(), {"DEQUANTIZE", "SIN", "QUANTIZE"}),
    host_last: (1, set(), {"DEQUANTIZE", "SIN"}),
}
"""Model -> partitions, types that never run, types on the CPU."""


def net_of(case: Case) -> Net:
    net = Net(case.__name__)
    a = step(net, "RELU", net.input(SIZE, "q8"))
    results = case(net, a)
    net.finish(results)
    return net


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_never_runs_and_where_the_model_is_cut(case: Case) -> None:
    partitions, never, left = CASES[case]
    coverage = check(net_of(case).graph, choose("litert/ethos-u:u55"))
    by_type = {
        verdict: {op.type for op in coverage.operators if op.verdict == verdict}
        for verdict in ("folded", "fallback")
    }
    nothing_reads_the_first = {"RELU"} if case in (empty_partition, constants_in_a_partition) else set()
    assert by_type["folded"] - nothing_reads_the_first == never - left
    assert by_type["fallback"] == left
    assert len(coverage.partitions) == partitions
    assert not [finding for finding in coverage.findings if finding.operator in _never_run(coverage)]


def _never_run(coverage: object) -> set[str]:
    return {op.id for op in coverage.operators if op.verdict == "folded"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("core", ["u55", "u85"])
def test_vela_does_so(core: str, tmp_path: Path) -> None:
    pytest.importorskip("ethosu.vela", reason="pip install 'accelint[ethos-u]'")
    items = []
    for case in CASES:
        path = tmp_path / f"{case.__name__}.tflite"
        write(net_of(case).model(), path)
        items.append(Item(path.name, path=path))
    for outcome in run(choose(f"litert/ethos-u:{core}"), items, tmp_path / "answers.jsonl", jobs=1):
        wrong = [item for item in outcome.operators if item.predicted != item.actual]
        assert not wrong and outcome.status == "ok", (outcome.name, wrong, outcome.reason)
        assert outcome.unmapped == 0, outcome.name
        assert outcome.partitions[0] == outcome.partitions[1], outcome.name
