"""Cost follows structure, not weights: memory and time of loading models whose weights are gigabytes of
holes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from accelint.analyzer.formats.wire import encode, tag
from onnx import TensorProto, helper

SIDE = 4096
SIZE = SIDE * SIDE * 4
"""Bytes of one weight: 64 MB."""

MEASURE = """
import json, resource, sys, time
import accelint
from accelint.analyzer.formats.onnx import proto, reader
proto.pb(), proto.native()
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before, start = peak(), time.perf_counter()
model = accelint.load(sys.argv[1])
seconds, grown = time.perf_counter() - start, (peak() - before) / 1024
last = model.graph.constant(f"w{len(model.graph) - 1}")
length = last.length if last else 0
tail = last.file.open("rb") if last else None
if tail:
    tail.seek(last.offset + last.length - 4)
    assert len(tail.read(4)) == 4
print(json.dumps({"operators": len(model.graph), "seconds": seconds, "mb": grown, "length": length}))
"""


def chain(weights: int) -> onnx.ModelProto:
    """MatMuls in a row, their weights not there yet."""
    names = ["x", *(f"y{index}" for index in range(weights))]
    nodes = [
        helper.make_node("MatMul", [names[index], f"w{index}"], [names[index + 1]])
        for index in range(weights)
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", SIDE])]
    outputs = [helper.make_tensor_value_info(names[-1], TensorProto.FLOAT, ["n", SIDE])]
    return helper.make_model(
        helper.make_graph(nodes, "g", inputs, outputs), opset_imports=[helper.make_opsetid("", 17)]
    )


def embedded(path: Path, weights: int) -> Path:
    """The chain with its weights inside, as holes of a sparse file."""
    model = chain(weights)
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    heads: list[bytes] = []
    for index in range(weights):
        tensor = (
            TensorProto(name=f"w{index}", dims=[SIDE, SIDE], data_type=1).SerializeToString()
            + tag(9, 2)
            + encode(SIZE)
        )
        heads.append(tag(5, 2) + encode(len(tensor) + SIZE) + tensor)
    total = len(graph) + sum(len(head) + SIZE for head in heads)
    with path.open("wb") as stream:
        stream.write(model.SerializeToString() + tag(7, 2) + encode(total) + graph)
        for head in heads:
            stream.write(head)
            stream.seek(SIZE, 1)
        stream.truncate()
    return path


def external(path: Path, weights: int) -> Path:
    """The chain with its weights in one external file, a hole of that size."""
    model = chain(weights)
    for index in range(weights):
        tensor = model.graph.initializer.add(
            name=f"w{index}", dims=[SIDE, SIDE], data_type=1, data_location=TensorProto.EXTERNAL
        )
        for key, value in (("location", "weights.bin"), ("offset", index * SIZE), ("length", SIZE)):
            tensor.external_data.add(key=key, value=str(value))
    with (path.parent / "weights.bin").open("wb") as stream:
        stream.truncate(weights * SIZE)
    path.write_bytes(model.SerializeToString())
    return path


def without(path: Path, weights: int) -> Path:
    """The chain with its weights as inputs."""
    model = chain(weights)
    for index in range(weights):
        model.graph.input.append(helper.make_tensor_value_info(f"w{index}", TensorProto.FLOAT, [SIDE, SIDE]))
    path.write_bytes(model.SerializeToString())
    return path


def measure(path: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("weights", [24, 40], ids=["1.5 GB", "2.5 GB"])
@pytest.mark.parametrize("make", [embedded, external], ids=["embedded", "external"])
def test_gigabytes_of_weights_cost_neither_memory_nor_time(make: type, weights: int, tmp_path: Path) -> None:
    plain = measure(without(tmp_path / "plain.onnx", weights))
    large = measure(make(tmp_path / "large.onnx", weights))
    assert large["operators"] == plain["operators"] == weights
    assert large["length"] == SIZE
    assert large["mb"] - plain["mb"] < 100
    assert large["seconds"] - plain["seconds"] < 0.5


WRITE = """
import resource, sys
import accelint
model = accelint.load(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
accelint.emit(model, sys.argv[2])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_large_model_is_written_in_little_memory(tmp_path: Path) -> None:
    source, target = embedded(tmp_path / "in.onnx", 4), tmp_path / "out.onnx"
    done = subprocess.run(
        [sys.executable, "-c", WRITE, str(source), str(target)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 100
    assert target.stat().st_size == source.stat().st_size
