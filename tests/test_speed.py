"""Time and memory keep their proportions, with slack for a busy machine; ``make bench`` has the figures."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest
from accelint.analyzer.check.prepared import Prepared
from accelint.analyzer.check.run import check
from accelint.analyzer.flows.optimized import check_optimized
from accelint.analyzer.formats import load
from accelint.analyzer.formats.wire import encode
from accelint.rules.folders import shipped
from accelint.rules.registry import choose
from cli import ROOT, accelint
from counted import Calls
from onnx import TensorProto, helper

ONNX_TARGETS = [target for target in shipped() if choose(target).pack.dialect == "onnx"]
TEN = [f"onnxruntime/qnn:{chip}" for chip in ("sm8650", "sm8550", "sm8750", "sm8450", "sm8350")] + [
    "onnxruntime/nnapi", "onnxruntime/coreml", "onnxruntime/xnnpack", "onnxruntime/webgpu",
    "onnxruntime/openvino",
]  # fmt: skip


def chain(path: Path, blocks: int) -> Path:
    """``blocks`` times ten operators, one after the other."""
    nodes = []
    shape = [1, 8, 16, 16]
    types = ("Relu", "Sigmoid", "Tanh", "Neg", "Abs", "Exp", "Sqrt", "Floor", "Erf", "Softplus")
    values = []
    for index in range(10 * blocks):
        nodes.append(helper.make_node(types[index % 10], [f"t{index}"], [f"t{index + 1}"]))
        values.append(helper.make_tensor_value_info(f"t{index + 1}", TensorProto.FLOAT, shape))
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("t0", TensorProto.FLOAT, shape)],
        [values[-1]],
        value_info=values[:-1],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def cpu(target: str, prepared: Prepared) -> float:
    """CPU seconds of one check; the cyclic collector runs for the command line's checks neither."""
    chosen = choose(target)
    gc.disable()
    try:
        start = time.process_time()
        check(prepared, chosen)
        return time.process_time() - start
    finally:
        gc.enable()


@pytest.mark.parametrize("target", ONNX_TARGETS)
def test_time_grows_with_the_operators(target: str, tmp_path: Path) -> None:
    """Eight times the operators take eight times as long, not sixty-four."""
    small, large = load(chain(tmp_path / "s.onnx", 40)), load(chain(tmp_path / "l.onnx", 320))
    chosen = choose(target)
    check(Prepared(small), chosen)
    spent = []
    for model in (small, large):
        with Calls() as calls:
            check(Prepared(model), chosen)
        spent.append(calls.count)
    assert spent[1] < 12 * spent[0], spent


def test_nine_more_targets_cost_less_than_nine_checks(tmp_path: Path) -> None:
    model = load(chain(tmp_path / "m.onnx", 200))
    for target in TEN:
        cpu(target, Prepared(model))
    alone = sum(cpu(target, Prepared(model)) for target in TEN)
    prepared = Prepared(model)
    assert sum(cpu(target, prepared) for target in TEN) < 0.8 * alone


def test_variants_that_a_policy_cannot_tell_apart_share_its_partitions(tmp_path: Path) -> None:
    """The chips of one architecture are asked about once; the oldest, whose arithmetic differs, again."""
    prepared = Prepared(load(chain(tmp_path / "m.onnx", 2)))
    for target in TEN[:4]:
        check(prepared, choose(target))
    partitions = [len(items) for items in prepared._partitioned.values()]
    assert partitions == [1]
    check(prepared, choose(TEN[4]))
    assert [len(items) for items in prepared._partitioned.values()] == [2]


@pytest.mark.parametrize("target", TEN)
def test_what_is_shared_changes_no_answer(target: str, tmp_path: Path) -> None:
    model = load(ROOT / "fixtures" / "demo" / "encoder.onnx")
    prepared = Prepared(model)
    for other in TEN:
        check(prepared, choose(other))
    again, alone = check(prepared, choose(target)), check(load(model.path), choose(target))
    assert again == alone


def test_both_levels_are_told_from_one_reading(tmp_path: Path) -> None:
    """Folding for the optimized level leaves the graph as it was."""
    for name in ("onnx/bodies.onnx", "demo/encoder.onnx"):
        model, chosen = load(ROOT / "fixtures" / name), choose("onnxruntime/qnn")
        prepared = Prepared(model)
        stored = check(prepared, chosen)
        optimized = check_optimized(prepared, chosen)
        assert check(prepared, chosen) == stored == check(load(model.path), chosen)
        assert check_optimized(prepared, choose("onnxruntime/nnapi")).operators
        assert optimized == check_optimized(load(model.path), chosen)


@pytest.mark.parametrize("attribute", [False, True], ids=["initializer", "attribute"])
def test_external_data_is_found_without_reading_weights(attribute: bool, tmp_path: Path) -> None:
    """An existing output is looked for among a model's files by its structure: a gigabyte stays unread."""
    held = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[16, 16], data_location=1)
    for key, value in (("location", "w.bin"), ("offset", "0"), ("length", "1024")):
        held.external_data.add(key=key, value=value)
    (tmp_path / "w.bin").write_bytes(bytes(1024))
    nodes = [helper.make_node("Constant", [], ["w"], value=held)] if attribute else []
    graph = helper.make_graph(
        [*nodes, helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 16])],
        [] if attribute else [held],
    )
    model = tmp_path / "m.onnx"
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
    size = 1 << 30
    head = TensorProto(name="big", data_type=TensorProto.FLOAT, dims=[size // 4]).SerializeToString()
    inner = head + b"\x4a" + encode(size)
    initializer = b"\x2a" + encode(len(inner) + size) + inner
    with model.open("wb") as stream:
        stream.write(data + b"\x3a" + encode(len(initializer) + size) + initializer)
        stream.truncate(stream.tell() + size)
    out = accelint("check", model, "-t", "onnxruntime/cpu", "--output", tmp_path / "w.bin")
    assert out.returncode == 2 and "is part of the input" in out.stderr
    code = (
        "import sys; from pathlib import Path\n"
        "from accelint.analyzer.formats.onnx.external import data_files\n"
        "assert [file.name for file in data_files(Path(sys.argv[1]))] == ['w.bin']\n"
        "print([line for line in open('/proc/self/status') if line.startswith('VmHWM')][0].split()[1])"
    )
    if Path("/proc/self/status").exists():
        done = subprocess.run([sys.executable, "-c", code, model], capture_output=True, text=True, check=True)
        assert int(done.stdout) < 100_000, f"{done.stdout} kB"


def test_memory_of_twenty_thousand_operators(tmp_path: Path) -> None:
    """Kilobytes an operator, the report included: 2.2 when this was written."""
    path = chain(tmp_path / "m.onnx", 2000)
    code = (
        "import gc, sys, resource; gc.disable(); from pathlib import Path\n"
        "from accelint.analyzer.flows.check_file import check_file\n"
        "from accelint.analyzer.report import render\n"
        "from accelint.rules.registry import choose\n"
        "chosen = choose('onnxruntime/qnn')\n"
        "before = int(open('/proc/self/statm').read().split()[1])\n"
        "entry = check_file(Path(sys.argv[1]), [chosen])\n"
        "Path(sys.argv[2]).write_text(str(sum(map(len, render([entry], '0', 'json')))))\n"
        "peak = [line for line in open('/proc/self/status') if line.startswith('VmHWM')][0].split()[1]\n"
        "print(int(peak) - before * resource.getpagesize() // 1024)"
    )
    if not Path("/proc/self/statm").exists():
        pytest.skip("the peak of a process is read from /proc")
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "out")],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert int(done.stdout) < 65_000, f"{done.stdout} kB"
