"""Load then emit on the whole ONNX backend suite: nothing changes, and ONNX Runtime notices nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
import onnx_suite
import pytest
from accelint.analyzer.formats.onnx.reader import from_bytes, read
from accelint.analyzer.formats.onnx.writer import to_bytes, write
from accelint.analyzer.ir.graph import Constant

if TYPE_CHECKING:
    from accelint.analyzer.ir.graph import Graph

STEP = 2
"""ONNX Runtime is asked about every second model, to save time."""


@pytest.fixture(scope="module")
def suite() -> list[onnx_suite.Case]:
    return onnx_suite.collect()


def touch(graph: Graph) -> None:
    """Make every operator a new object, so that the writer has to build each again."""
    for op in graph.ops():
        for body in op.graphs.values():
            touch(body)
        attrs = dict(op.attrs)
        graph.update(op, attrs=attrs)
    for tensor in tuple(graph.tensors.values()):
        graph.set_tensor(replace(tensor))


def same_nodes(one: onnx.ModelProto, other: onnx.ModelProto) -> bool:
    """Equal but for the types within, which an edited graph tells more of."""
    for proto in (one, other):
        todo = [proto.graph, *proto.functions]
        while todo:
            graph = todo.pop()
            del graph.value_info[:]
            for info in () if graph is proto.graph or not hasattr(graph, "initializer") else graph.output:
                info.ClearField("type")
            todo += [
                attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")
            ]
    return one == other


def test_every_model_is_emitted_as_it_was_loaded(suite: list[onnx_suite.Case], tmp_path: Path) -> None:
    assert len(suite) > 1900
    wrong: list[str] = []
    source, target = tmp_path / "in.onnx", tmp_path / "out.onnx"
    for case in suite:
        expected = onnx.ModelProto.FromString(case.data)
        if onnx.ModelProto.FromString(to_bytes(from_bytes(case.data))) != expected:
            wrong.append(f"{case.name} in memory")
        source.write_bytes(case.data)
        write(read(source), target)
        if onnx.ModelProto.FromString(target.read_bytes()) != expected:
            wrong.append(f"{case.name} as a file")
    assert not wrong


def test_every_model_is_built_again_from_equal_operators(suite: list[onnx_suite.Case]) -> None:
    wrong: list[str] = []
    for case in suite:
        model = from_bytes(case.data)
        for graph in (model.graph, *model.functions.values()):
            touch(graph)
        stored = onnx.ModelProto.FromString(case.data)
        built = onnx.ModelProto.FromString(to_bytes(model))
        forget_added_types(built.graph, stored.graph)
        if not same_nodes(built, stored):
            wrong.append(case.name)
    assert not wrong


def forget_added_types(built: onnx.GraphProto, stored: onnx.GraphProto) -> None:
    """Values of a body that the file gives no type are written with the one that is known by then."""
    for new, old in zip(built.node, stored.node, strict=False):
        bodies = {item.name: item.g for item in old.attribute if item.HasField("g")}
        for item in new.attribute:
            if item.name in bodies:
                body = bodies[item.name]
                forget_added_types(item.g, body)
                for mine, theirs in ((item.g.input, body.input), (item.g.output, body.output)):
                    for info, other in zip(mine, theirs, strict=False):
                        if not other.HasField("type"):
                            info.ClearField("type")


def plain(value: Any) -> Any:
    """A value that compares by content."""
    if isinstance(value, Constant):
        return value.dtype, value.shape, value.raw()
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return "nan" if value != value else value


def outline(graph: Graph) -> Any:
    """All that a graph says, by content."""
    ops = [
        (
            op.type,
            op.domain,
            op.version,
            op.inputs,
            op.outputs,
            {name: plain(value) for name, value in op.attrs.items()},
            {name: outline(body) for name, body in op.graphs.items()},
        )
        for op in graph.ops()
    ]
    return (
        ops,
        graph.inputs,
        graph.outputs,
        {name: plain(tensor.const) for name, tensor in graph.tensors.items()},
    )


def types(graph: Graph) -> dict[str, Any]:
    return {name: (tensor.dtype, tensor.shape) for name, tensor in graph.tensors.items()}


def test_a_model_built_from_its_graph_alone_reads_back_equal(suite: list[onnx_suite.Case]) -> None:
    wrong: list[str] = []
    for case in suite:
        model = from_bytes(case.data)
        before = {name: outline(graph) for name, graph in (("main", model.graph), *model.functions.items())}
        model.stored = None
        again = from_bytes(to_bytes(model))
        after = {name: outline(graph) for name, graph in (("main", again.graph), *again.functions.items())}
        if before != after or types(model.graph) != types(again.graph):
            wrong.append(case.name)
    assert not wrong


def test_onnx_runtime_gives_the_same_bits() -> None:
    """For the emitted model, and for one that is built from the graph alone with no stored record."""
    command = [sys.executable, str(Path(onnx_suite.__file__)), "0", str(STEP)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    answers = dict(json.loads(line) for line in done.stdout.splitlines())
    assert done.returncode == 0, f"the worker ended after {list(answers)[-1:]}: {done.stderr[-500:]}"
    assert [f"{name}: {answer}" for name, answer in answers.items() if answer.startswith("different")] == []
    counts = Counter(answer.partition(":")[0] for answer in answers.values())
    assert counts["same"] >= 600, counts
