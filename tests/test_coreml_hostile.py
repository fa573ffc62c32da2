"""Core ML files that are damaged, hostile or huge: one clear error with the path, and no more memory than the
structure needs.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from accelint.analyzer.errors import ModelError
from accelint.analyzer.formats import load
from accelint.analyzer.formats.coreml.schema import message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

FIXTURES = Path(__file__).parent.parent / "fixtures" / "coreml"
MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"


def copied(tmp_path: Path, name: str) -> Path:
    target = tmp_path / name
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(FIXTURES / name, target)
    return target


def rejected(path: Path, match: str) -> None:
    with pytest.raises(ModelError, match=match) as caught:
        load(path)
    assert str(path) in caught.value.message
    assert caught.value.advice


def manifest(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    data = json.loads((path / "Manifest.json").read_text())
    change(data)
    (path / "Manifest.json").write_text(json.dumps(data))


def edited(path: Path, change: Callable[[Any], None]) -> None:
    """Rewrite the specification, of a package or a single file."""
    file = path / MODEL if path.is_dir() else path
    spec = message("Model").FromString(file.read_bytes())
    change(spec)
    file.write_bytes(spec.SerializeToString())


def entry(data: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = data["itemInfoEntries"][data["rootModelIdentifier"]]
    return found


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda data: data.pop("rootModelIdentifier"), "no rootModelIdentifier"),
        (lambda data: data.pop("itemInfoEntries"), "no itemInfoEntries"),
        (lambda data: data.update(rootModelIdentifier="gone"), "no entry with a path"),
        (lambda data: entry(data).update(path="../../../etc/passwd"), "outside the model's folder"),
        (lambda data: entry(data).update(path="/etc/passwd"), "outside the model's folder"),
        (lambda data: entry(data).update(path="nothing.mlmodel"), "is missing"),
        (lambda data: entry(data).update(path="com.apple.CoreML"), "is a folder"),
        (lambda data: entry(data).update(path=7), "no entry with a path"),
    ],
)
def test_manifests(change: Callable[[dict[str, Any]], None], match: str, tmp_path: Path) -> None:
    path = copied(tmp_path, "conv_net.mlpackage")
    manifest(path, change)
    rejected(path, match)


@pytest.mark.parametrize(
    ("text", "match"),
    [("{", "is not JSON"), ("[1]", "holds no object"), ("[" * 100_000, "is not JSON"), ("", "is not JSON")],
)
def test_manifests_that_are_no_objects(text: str, match: str, tmp_path: Path) -> None:
    path = copied(tmp_path, "conv_net.mlpackage")
    (path / "Manifest.json").write_text(text)
    rejected(path, match)


def test_a_link_out_of_the_package_is_rejected(tmp_path: Path) -> None:
    path = copied(tmp_path, "conv_net.mlpackage")
    shutil.move(path / WEIGHTS, tmp_path / "weight.bin")
    (path / WEIGHTS).symlink_to(tmp_path / "weight.bin")
    rejected(path, "link out of the model's folder")


def first_blob(spec: Any) -> Any:
    block = spec.mlProgram.functions["main"].block_specializations["CoreML6"]
    return next(
        op.attributes["val"]
        for op in block.operations
        if op.type == "const" and op.attributes["val"].HasField("blobFileValue")
    )


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda value: setattr(value.blobFileValue, "fileName", "@model_path/../../../../etc/passwd"),
            "outside the model's folder",
        ),
        (
            lambda value: setattr(value.blobFileValue, "fileName", "@model_path/weights/none.bin"),
            "is missing",
        ),
        (lambda value: setattr(value.blobFileValue, "offset", 1 << 40), "metadata at byte"),
        (lambda value: setattr(value.blobFileValue, "offset", 65), "metadata at byte"),
        (lambda value: setattr(value.type.tensorType, "dataType", 11), "the model says float32"),
        (
            lambda value: setattr(value.type.tensorType.dimensions[0].constant, "size", 1 << 30),
            "has 432 bytes, and float16",
        ),
        (
            lambda value: setattr(value.type.tensorType.dimensions[0].constant, "size", (1 << 64) - 1),
            "a dimension of size",
        ),
        (lambda value: value.type.tensorType.dimensions[0].unknown.SetInParent(), "no static shape"),
    ],
)
def test_weights_that_do_not_fit(change: Callable[[Any], None], match: str, tmp_path: Path) -> None:
    path = copied(tmp_path, "conv_net.mlpackage")
    edited(path, lambda spec: change(first_blob(spec)))
    rejected(path, match)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "shorter than its header"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n" + bytes(64),
            "Git LFS pointer",
        ),
        (struct.pack("<II56x", 1, 9) + bytes(4096), "storage version 9"),
        (struct.pack("<II56x", 1, 2) + bytes(8192), "no value at byte"),
        (
            struct.pack("<II56x", 1, 2) + struct.pack("<IIQQQ32x", 0xDEADBEEF, 1, 1 << 62, 128, 0) * 100,
            "ends at",
        ),
        (struct.pack("<II56x", 1, 2), "metadata at byte"),
    ],
)
def test_damaged_weight_files(data: bytes, match: str, tmp_path: Path) -> None:
    path = copied(tmp_path, "conv_net.mlpackage")
    (path / WEIGHTS).write_bytes(data)
    rejected(path, match)


def block(spec: Any) -> Any:
    return spec.mlProgram.functions["main"].block_specializations["CoreML6"]


def conv(spec: Any) -> Any:
    return next(op for op in block(spec).operations if op.type == "conv")


def rename_function(spec: Any) -> None:
    spec.mlProgram.functions["main"].opset = "CoreML6"
    spec.mlProgram.functions["main"].block_specializations["CoreML7"].SetInParent()
    del spec.mlProgram.functions["main"].block_specializations["CoreML6"]
    spec.mlProgram.functions["main"].block_specializations["CoreML8"].SetInParent()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda spec: setattr(conv(spec).inputs["x"].arguments[0], "name", "nowhere"),
            "before it is defined",
        ),
        (lambda spec: setattr(conv(spec).inputs["x"].arguments[0], "name", "relu_0"), "before it is defined"),
        (lambda spec: setattr(conv(spec).outputs[0], "name", "x"), "two tensors named 'x'"),
        (lambda spec: setattr(conv(spec).outputs[0], "name", ""), "without a name"),
        (lambda spec: block(spec).outputs.append("nowhere"), "before it is defined"),
        (lambda spec: block(spec).operations.append(block(spec).operations[0]), "defines .* twice"),
        (lambda spec: block(spec).operations[0].attributes.pop("val"), "without a value"),
        (lambda spec: spec.mlProgram.functions.pop("main"), "without functions"),
        (rename_function, "no block for its opset"),
        (lambda spec: spec.ClearField("mlProgram"), "no model in the specification|protobuf data"),
    ],
)
def test_programs_that_are_not_whole(change: Callable[[Any], None], match: str, tmp_path: Path) -> None:
    path = copied(tmp_path, "conv_net.mlpackage")
    edited(path, change)
    rejected(path, match)


def test_an_unknown_operator_dtype_and_opset_are_about_the_model_not_the_file(tmp_path: Path) -> None:
    path = copied(tmp_path, "conv_net.mlpackage")

    def change(spec: Any) -> None:
        operation = conv(spec)
        operation.outputs[0].type.tensorType.dataType = 999
        operation.type = "conv_of_the_future"

    edited(path, change)
    graph = load(path).graph
    assert graph.ops()[0].type == "conv_of_the_future"
    assert set(graph.ops()[0].attrs["input_names"]) >= {"x", "weight", "strides"}
    assert graph.tensor("stem").dtype == "unknown"


def test_a_field_that_only_the_reader_writes(tmp_path: Path) -> None:
    """A file's own reference into itself is none: written again, the file would grow at will."""
    from accelint.analyzer.formats.coreml.schema import STORED

    path = copied(tmp_path, "conv_net.mlpackage")

    def forged(spec: Any) -> None:
        block = next(iter(spec.mlProgram.functions["main"].block_specializations.values()))
        place = next(op for op in block.operations if op.type == "const").attributes["val"]
        stored = bytes([8, 1, 16, 0, 24, 127])
        key = STORED << 3 | 2
        head = bytes(key >> 7 * at & 127 | (128 if at < 4 else 0) for at in range(5))
        place.immediateValue.tensor.floats.MergeFromString(head + bytes([len(stored)]) + stored)

    edited(path, forged)
    rejected(path, "a field that Core ML does not know")


def test_a_pipeline_without_stages_is_rejected(tmp_path: Path) -> None:
    spec = message("Model")(specificationVersion=4)
    spec.pipeline.SetInParent()
    path = tmp_path / "empty.mlmodel"
    path.write_bytes(spec.SerializeToString())
    rejected(path, "a pipeline without stages")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("name", ["network.mlmodel", "program.mlmodel"])
def test_cut_off_files(name: str, share: float, tmp_path: Path) -> None:
    data = (FIXTURES / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: int(len(data) * share)])
    rejected(
        path,
        "empty|no Core ML specification|not a model file|cut off|protobuf data|has no operators|Layer|layer",
    )


def test_messages_nested_beyond_reason(tmp_path: Path) -> None:
    data = b""
    for _ in range(3000):  # a pipeline in a pipeline in a pipeline ...
        for tag in (b"\x0a", b"\xd2\x0c"):  # Pipeline.models, Model.pipeline
            size, length = len(data), b""
            while size > 0x7F:
                length += bytes([size & 0x7F | 0x80])
                size >>= 7
            data = tag + length + bytes([size]) + data
    path = tmp_path / "deep.mlmodel"
    path.write_bytes(b"\x08\x04\x12\x00" + data)
    rejected(path, "nested|no Core ML specification")


SEEDS = {
    name: (FIXTURES / name).read_bytes()
    for name in ("network.mlmodel", "loops.mlmodel", "program.mlmodel", "pipeline.mlmodel")
}


@settings(
    max_examples=20000,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data(), name=st.sampled_from(sorted(SEEDS)))
def test_any_change_of_bytes_is_read_or_rejected(data: st.DataObject, name: str, tmp_path: Path) -> None:
    mutated = bytearray(SEEDS[name])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        action = data.draw(st.sampled_from(["set", "drop", "insert", "repeat"]))
        if action == "set":
            mutated[at] = data.draw(st.integers(0, 255))
        elif action == "drop":
            del mutated[at : at + data.draw(st.integers(1, 8))]
        elif action == "insert":
            mutated[at:at] = data.draw(st.binary(min_size=1, max_size=8))
        else:
            mutated[at:at] = mutated[at : at + data.draw(st.integers(1, 64))]
    path = tmp_path / "mutated.mlmodel"
    path.write_bytes(mutated)
    try:
        model = load(path)
    except ModelError as error:
        assert str(path) in error.message
        return
    for graph in model.graphs.values():
        graph.validate()


@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(at=st.integers(0, 10_000), value=st.integers(0, 255), file=st.sampled_from([MODEL, WEIGHTS]))
def test_any_change_of_a_package_is_read_or_rejected(at: int, value: int, file: str, tmp_path: Path) -> None:
    path = copied(tmp_path, "palettized.mlpackage")
    mutated = bytearray((path / file).read_bytes())
    mutated[at % len(mutated)] = value
    (path / file).write_bytes(mutated)
    try:
        model = load(path)
    except ModelError as error:
        assert str(path) in error.message
        return
    model.graph.validate()


MEASURE = """
import resource, sys, time
from pathlib import Path
from accelint.analyzer.formats import load
load(Path(sys.argv[1]))
start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model = load(Path(sys.argv[2]))
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(time.process_time() - start, grown, len(model.graph))
"""


def cost(path: Path) -> tuple[float, float]:
    """CPU seconds and added MiB of reading a model in a fresh process that has read a small one."""
    command = [sys.executable, "-c", MEASURE, str(FIXTURES / "conv_net.mlpackage"), str(path)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    seconds, added, _ = answer.stdout.split()
    return float(seconds), float(added)


def test_a_large_weight_file_costs_nothing(tmp_path: Path) -> None:
    path = copied(tmp_path, "conv_net.mlpackage")
    rows = 768 << 20
    start = (path / WEIGHTS).stat().st_size + -(path / WEIGHTS).stat().st_size % 64
    with (path / WEIGHTS).open("r+b") as stream:
        stream.seek(start)
        stream.write(struct.pack("<IIQQQ32x", 0xDEADBEEF, 1, rows * 2, start + 64, 0))
        stream.truncate(start + 64 + rows * 2)

    def change(spec: Any) -> None:
        value = next(
            op.attributes["val"]
            for op in block(spec).operations
            if op.type == "const" and op.outputs[0].name == "head_weight_0"
        )
        value.blobFileValue.offset = start
        value.type.tensorType.dimensions[0].constant.size = rows // 128

    edited(path, change)
    seconds, added = cost(path)
    const = load(path).graph.tensor("head_weight_0").const
    assert const is not None
    assert const.length == 3 << 29
    assert seconds < 0.5
    assert added < 100


def test_large_weights_in_the_specification_cost_nothing(tmp_path: Path) -> None:
    """1.5 GiB of an inner product's weights in the middle of an .mlmodel, written as a hole in a sparse
    file.
    """
    spec = message("Model").FromString((FIXTURES / "network.mlmodel").read_bytes())
    layer = spec.neuralNetworkClassifier.layers[4].innerProduct
    layer.weights.ClearField("floatValue")
    layer.weights.float16Value = b"MARK" * 512
    data = spec.SerializeToString(deterministic=True)
    path = tmp_path / "large.mlmodel"
    hole = 3 << 29
    widened = widen(data, b"MARK" * 512, hole)
    with path.open("wb") as stream:
        stream.write(widened[0])
        stream.seek(hole, os.SEEK_CUR)
        stream.write(widened[1])
    assert path.stat().st_size > hole
    seconds, added = cost(path)
    weights = load(path).graph.op("main/4").attrs["weights"]
    assert weights.length == hole
    assert weights.dtype == "float16"
    assert seconds < 0.5
    assert added < 100


def widen(data: bytes, payload: bytes, size: int) -> tuple[bytes, bytes]:
    """The bytes before and after ``payload``, with the lengths of every message around it grown to hold
    ``size`` bytes instead.
    """
    from accelint.analyzer.formats.wire import encode as number
    from accelint.analyzer.formats.wire import fields

    at = data.index(payload)

    def grow(start: int, end: int) -> tuple[bytes, bytes, int]:
        for field, kind, tag_at, inner, stop in fields(data, start, end):
            if kind == 2 and inner <= at < stop:
                exact = inner == at and stop == at + len(payload)
                head, tail, length = (b"", b"", size) if exact else grow(inner, stop)
                tag = number(field << 3 | 2) + number(length)
                return (
                    data[start:tag_at] + tag + head,
                    tail + data[stop:end],
                    tag_at - start + len(tag) + length + end - stop,
                )
        raise AssertionError("the payload is in no field")

    before, after, _ = grow(0, len(data))
    return before, after
