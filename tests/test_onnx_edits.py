"""Random edits that keep the meaning: the written model reads back as the edited graph and computes the same
bits.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from accelint.analyzer.formats.onnx.reader import from_bytes, read
from accelint.analyzer.formats.onnx.writer import to_bytes
from accelint.analyzer.ir.graph import Operator, Tensor
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from accelint.analyzer.ir.graph import Graph
    from accelint.analyzer.ir.model import Model

ONNX = Path(__file__).parent.parent / "fixtures" / "onnx"
FEEDS: dict[str, dict[str, Any]] = {
    "conv_relu.onnx": {"x": np.linspace(-1, 1, 768, dtype=np.float32).reshape(1, 3, 16, 16)},
    "bodies.onnx": {"x": np.float32([0.1, 0.2, 0.3, 0.4]), "n": np.array(3)},
    "defaults.onnx": {"x": np.float32([[1, 2, 3], [4, 5, 6]])},
    "qdq.onnx": {"x": np.linspace(-1, 1, 256, dtype=np.float32).reshape(1, 4, 8, 8)},
    "external/model.onnx": {"x": np.linspace(-1, 1, 16, dtype=np.float32).reshape(2, 8)},
}


def runs(data: bytes, feeds: dict[str, Any]) -> list[bytes]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return [value.tobytes() for value in session.run(None, feeds)]


def graphs(model: Model) -> list[Graph]:
    found = {id(graph): graph for graph, _ in model.operators()}
    return list(found.values())


def insert_identity(graph: Graph, op: Operator, slot: int) -> None:
    """Read one input through an Identity."""
    name = op.inputs[slot]
    if name is None or graph.tensor(name).dtype == "int4":  # ONNX Runtime has no Identity for it
        return
    through, read_from = graph.fresh("through"), graph.tensor(name)
    identity = Operator(
        graph.fresh_id(), "Identity", (name,), (through,), name=through, version=graph.opsets[""]
    )
    inputs = tuple(through if index == slot else item for index, item in enumerate(op.inputs))
    graph.replace(
        (op,), (identity, replace(op, inputs=inputs)), (Tensor(through, read_from.dtype, read_from.shape),)
    )


def copy_constant(graph: Graph, op: Operator, slot: int) -> None:
    """Read a constant from a tensor of its own, in the graph of the operator."""
    name = op.inputs[slot]
    value = graph.constant(name)
    if name is None or value is None:
        return
    own = graph.fresh("own")
    inputs = tuple(own if index == slot else item for index, item in enumerate(op.inputs))
    graph.replace((op,), (replace(op, inputs=inputs),), (Tensor(own, value.dtype, value.shape, value),))


def rename(graph: Graph, op: Operator, slot: int) -> None:
    graph.update(op, name=f"{op.name}_{slot}")


def prune(graph: Graph, op: Operator, slot: int) -> None:
    graph.prune()


EDITS = [insert_identity, copy_constant, rename, prune]


def outline(graph: Graph) -> list[Any]:
    return [
        (op.type, op.name, op.inputs, op.outputs, [outline(body) for body in op.graphs.values()])
        for op in graph.ops()
    ]


@pytest.mark.parametrize("name", FEEDS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    edits=st.lists(
        st.tuples(st.sampled_from(EDITS), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=8
    )
)
def test_edits_that_keep_the_meaning_keep_the_bits(name: str, edits: list[tuple[Any, int, int]]) -> None:
    model = read(ONNX / name)
    before = runs(to_bytes(model), FEEDS[name])
    for edit, place, slot in edits:
        owners = [(graph, op) for graph in graphs(model) for op in graph.ops() if op.inputs]
        graph, op = owners[place % len(owners)]
        edit(graph, op, slot % len(op.inputs))
    for graph in graphs(model):
        graph.validate()
    data = to_bytes(model)
    onnx.checker.check_model(onnx.ModelProto.FromString(data), full_check=True)
    assert runs(data, FEEDS[name]) == before
    assert outline(from_bytes(data).graph) == outline(model.graph)
