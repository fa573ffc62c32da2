"""Inputs stay within what the graph allows, and are the same for the same seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from accelint.analyzer.errors import UsageError
from accelint.analyzer.formats import load
from accelint.analyzer.ir.graph import Graph
from accelint.analyzer.runtimes import Request, Session, inputs, tensors
from onnx import helper, numpy_helper


def gather_model(path: Path, rows: int, dtype: int = onnx.TensorProto.INT64) -> Path:
    """ids -> Cast -> Unsqueeze -> Gather in a table of ``rows`` rows; and a float input and a mask."""
    info, node = helper.make_tensor_value_info, helper.make_node
    nodes = [
        node("Cast", ["ids"], ["c"], to=onnx.TensorProto.INT64), node("Unsqueeze", ["c", "axes"], ["u"]),
        node("Gather", ["table", "u"], ["g"]),
        node("Where", ["mask", "x", "x"], ["y"]),
    ]  # fmt: skip
    table = np.arange(rows * 2, dtype=np.float32).reshape(rows, 2)
    graph = helper.make_graph(
        nodes,
        "g",
        [
            info("ids", dtype, ["batch", 64]),
            info("x", 1, [3, "n"]),
            info("mask", onnx.TensorProto.BOOL, [3, 1]),
        ],
        [info("g", 1, None), info("y", 1, None)],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([0]), "axes")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


@pytest.mark.parametrize("rows", [1, 2, 7, 300])
def test_indices_reach_every_row_and_none_beyond(tmp_path: Path, rows: int) -> None:
    graph = load(gather_model(tmp_path / "m.onnx", rows)).graph
    seen: set[int] = set()
    for seed in range(60):
        ids = inputs.for_graph(graph, seed=seed, sizes={"batch": 2})["ids"]
        assert ids.dtype == np.int64
        assert ids.shape == (2, 64)
        seen |= set(ids.reshape(-1).tolist())
    assert seen == set(range(rows))


def test_boundary_indices_are_the_ends(tmp_path: Path) -> None:
    graph = load(gather_model(tmp_path / "m.onnx", 7)).graph
    feeds = inputs.for_graph(graph, boundary=True, sizes={"n": 50})
    assert {0, 6} == set(feeds["ids"].reshape(-1).tolist())
    assert feeds["x"].min() == -1
    assert feeds["x"].max() == 1
    assert 0 in feeds["x"]
    assert np.abs(feeds["x"][feeds["x"] != 0]).min() < 1e-4


def test_the_reason_of_a_limit_is_told(tmp_path: Path) -> None:
    graph = load(gather_model(tmp_path / "m.onnx", 7)).graph
    found = inputs.limit(graph, "ids")
    assert found is not None
    assert (found.low, found.high) == (0, 6)
    assert "Gather" in found.reason
    assert inputs.limit(graph, "x") is None


def test_the_same_seed_gives_the_same_values_whatever_else_the_model_has(tmp_path: Path) -> None:
    graph = load(gather_model(tmp_path / "m.onnx", 7)).graph
    first, again, other = (inputs.for_graph(graph, seed=seed, sizes={"n": 9}) for seed in (3, 3, 4))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["x"], other["x"])
    assert np.array_equal(first["x"], inputs.draw("x", "float32", (3, 9), 3))


def test_the_runtime_takes_what_is_drawn(tmp_path: Path) -> None:
    """One index too large would make the CPU provider refuse to run."""
    pytest.importorskip("onnxruntime")
    model = gather_model(tmp_path / "m.onnx", 5, onnx.TensorProto.INT32)
    graph = load(model).graph
    with Session("onnxruntime/cpu", timeout=60) as session:
        for boundary in (False, True):
            feed = tensors.write(
                tmp_path / "in.npz", inputs.for_graph(graph, boundary=boundary, sizes={"n": 4})
            )
            assert session.ask(Request(model, feed, outputs=True)).ok
        wrong = {**tensors.read(feed), "ids": np.full((1, 64), 5, np.int32)}
        assert (
            session.ask(Request(model, tensors.write(tmp_path / "in.npz", wrong), outputs=True)).status
            == "failed"
        )


@pytest.mark.parametrize(
    "dtype",
    [
        "bool",
        "int8",
        "uint8",
        "int16",
        "int32",
        "int64",
        "uint32",
        "float16",
        "float32",
        "float64",
        "complex64",
        "string",
    ],
)
def test_every_dtype(dtype: str) -> None:
    found = inputs.draw("x", dtype, (64, 4))
    assert found.shape == (64, 4)
    assert dtype == "string" or found.dtype.name == dtype
    assert len(np.unique(found)) > 1
    if found.dtype.kind in "fc":
        assert np.abs(found).max() <= 2


def inputs_graph(tmp_path: Path, **shapes: list[int | str]) -> Graph:
    """A model with a float32 input of each shape, passed through."""
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", [name], [f"{name}_out"]) for name in shapes],
        "g",
        [info(name, 1, shape) for name, shape in shapes.items()],
        [info(f"{name}_out", 1, None) for name in shapes],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10),
        tmp_path / "i.onnx",
    )
    return load(tmp_path / "i.onnx").graph


def test_a_users_archive(tmp_path: Path) -> None:
    path = tmp_path / "golden.npz"
    np.savez(path, a=np.zeros(3, np.float32), b=np.ones((2, 5), np.float32))
    assert list(inputs.load(path, inputs_graph(tmp_path, b=["n", 5], a=[3]))) == ["b", "a"]
    with pytest.raises(UsageError, match="no array for c: it holds a, b"):
        inputs.load(path, inputs_graph(tmp_path, a=[3], c=[3]))


def test_a_users_single_array(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.arange(3, dtype=np.float32))
    assert inputs.load(tmp_path / "one.npy", inputs_graph(tmp_path, x=[3]))["x"].tolist() == [0, 1, 2]
    with pytest.raises(UsageError, match="the model has 2 inputs"):
        inputs.load(tmp_path / "one.npy", inputs_graph(tmp_path, x=[3], y=[3]))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 3), np.int64), "is int64 and the model takes float32"),
        (np.zeros((2, 3)), "is float64 and the model takes float32"),
        (np.zeros((2, 4), np.float32), "is 2x4 and the model takes nx3"),
        (np.zeros(3, np.float32), "is 3 and the model takes nx3"),
        (np.zeros((), np.float32), "is a scalar and the model takes nx3"),
    ],
)
def test_an_array_that_the_input_does_not_take_is_wrong_usage(
    tmp_path: Path, array: np.ndarray[Any, Any], words: str
) -> None:
    graph = inputs_graph(tmp_path, x=["n", 3])
    np.savez(tmp_path / "in.npz", x=array)
    with pytest.raises(UsageError, match=words):
        inputs.load(tmp_path / "in.npz", graph)


def test_an_archive_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.npz: no such file"):
        inputs.load(tmp_path / "gone.npz", inputs_graph(tmp_path, x=[3]))


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04broken"])
def test_a_broken_archive_is_wrong_usage(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"bad\.npz: no NumPy archive"):
        inputs.load(path, inputs_graph(tmp_path, x=[3]))


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    path = tmp_path / "evil.npz"
    np.savez(path, x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UsageError, match=r"evil\.npz: no NumPy archive"):
        inputs.load(path, inputs_graph(tmp_path, x=[1]))


def test_tensors_travel_with_order_any_name_and_repeats(tmp_path: Path) -> None:
    pairs = [
        ("file", np.arange(2)),
        ("a/b:0", np.zeros((0, 3))),
        ("x", np.array(["é", "longer"], dtype=object)),
        ("x", np.array(3.5)),
    ]
    found = tensors.read(tensors.write(tmp_path / "t.npz", pairs))
    assert list(found) == ["file", "a/b:0", "x", "x#1"]
    assert found["a/b:0"].shape == (0, 3)
    assert found["x"].tolist() == ["é", "longer"]
    assert found["x#1"].shape == ()


def test_dtypes_that_numpy_lacks_travel_as_bits(tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    found = tensors.read(tensors.write(tmp_path / "t.npz", {"x": np.array([1, 2], ml_dtypes.bfloat16)}))
    assert found["x"].tolist() == [0x3F80, 0x4000]
