"""What broke on models that were not made for these tests, each in the smallest form that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from accelint.analyzer.check import check
from accelint.analyzer.formats import load
from accelint.analyzer.runtimes import Request, Session
from accelint.rules.registry import choose
from onnx import helper, numpy_helper

QNN = "onnxruntime/qnn:sm8650"
FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


@pytest.fixture(scope="module")
def qnn() -> Iterator[Session]:
    pytest.importorskip("onnxruntime_qnn", reason="needs onnxruntime-qnn")
    with Session(QNN, timeout=60) as session:
        yield session


def save(
    path: Path, nodes: list[onnx.NodeProto], shape: list[int], constants: dict[str, np.ndarray[Any, Any]] | None = None, opset: int = 17,
    others: dict[str, list[int]] | None = None,
) -> Path:  # fmt: skip
    """Float x (and int64 ``others``) -> nodes -> float y, shapes inferred."""
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", FLOAT, shape), *(helper.make_tensor_value_info(k, INT64, v) for k, v in (others or {}).items())],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(onnx.shape_inference.infer_shapes(model), path)
    return path


@pytest.mark.parametrize(
    ("table", "indices", "constant"),
    [
        ([12, 1], [1, 1, 1, 12], True), ([12, 1], [1, 1, 1, 12], False), ([4, 2, 2], [2, 2, 1], False), ([4, 2], [1, 1, 1, 2], True),
        ([4, 2, 2, 2, 2], [2], True), ([4, 2, 2, 2], [2, 2], False), ([4], [1, 2, 1, 1, 2], True), ([4], [1, 2, 1, 1, 2], False),
    ],
)  # fmt: skip
def test_a_lookup_of_five_dimensions(tmp_path: Path, qnn: Session, table: list[int], indices: list[int], constant: bool) -> None:
    """The attention masks of text encoders: which ranks of table and indices the HTP compiles."""
    ids = np.zeros(indices, np.int64)
    nodes = [helper.make_node("Gather", ["x", "i"], ["g"], axis=0), helper.make_node("Relu", ["g"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, table, {"i": ids} if constant else {}, others={} if constant else {"i": indices})
    predicted, answer = check(load(path), choose(QNN)).verdict, qnn.ask(Request(path))
    assert (predicted == "rejected") == (answer.status == "refused"), (predicted, answer.status, answer.reason)
