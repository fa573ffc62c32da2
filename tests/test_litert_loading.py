"""Models that LiteRT's interpreter does not load or run: predicted, and asked of the installed runtime."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from accelint.analyzer.check.run import check
from accelint.analyzer.formats import emit, load
from accelint.analyzer.ir.model import Model
from accelint.analyzer.runtimes import Request, Session
from accelint.analyzer.runtimes.vulkan import icd
from accelint.rules.cases import build
from accelint.rules.registry import choose

R7 = "float32[1,1,1,1,1,2,4]"
FUSED = {"fused_activation_function": "TANH"}
CASES: tuple[tuple[str, dict[str, Any], str], ...] = (
    (
        "litert/xnnpack",
        {"type": "FULLY_CONNECTED", "in": [R7, "const float32[3,4]", "-"], "out": ["float32[2,3]"]},
        "load",
    ),
    (
        "litert/cpu",
        {"type": "FULLY_CONNECTED", "in": [R7, "const float32[3,4]", "-"], "out": ["float32[2,3]"]},
        "",
    ),
    (
        "litert/xnnpack",
        {"type": "MEAN", "in": [R7, "const int32[1] = 6"], "out": ["float32[1,1,1,1,1,2]"]},
        "load",
    ),
    ("litert/xnnpack", {"type": "RELU", "in": [R7], "out": [R7]}, ""),
    (
        "litert/xnnpack",
        {"type": "CONCATENATION", "attrs": {"axis": 0}, "in": [R7, R7], "out": ["float32[2,1,1,1,1,2,4]"]},
        "load",
    ),
    ("litert/xnnpack", {"type": "ABS", "in": ["int64[4]"], "out": ["int64[4]"]}, "load"),
    ("litert/xnnpack", {"type": "CEIL", "in": ["float64[4]"], "out": ["float64[4]"]}, "load"),
    (
        "litert/xnnpack",
        {"type": "SCATTER_ND", "in": ["int32[2,1]", "int16[2]", "const int32[1] = 4"], "out": ["int16[4]"]},
        "load",
    ),
    (
        "litert/xnnpack",
        {"type": "SCATTER_ND", "in": ["int32[2,1]", "int32[2]", "const int32[1] = 4"], "out": ["int32[4]"]},
        "",
    ),
    (
        "litert/xnnpack",
        {
            "type": "PADV2",
            "in": ["quant int16[1,4]", "const int32[2,2]", "const scale:1 int16[] = 0"],
            "out": ["quant int16[1,4]"],
        },
        "run",
    ),
    (
        "litert/xnnpack",
        {"type": "ADD_N", "in": ["quant int8[4]", "quant int8[4]"], "out": ["quant int8[4]"]},
        "run",
    ),
    (
        "litert/cpu",
        {
            "type": "FULLY_CONNECTED",
            "attrs": FUSED,
            "in": ["float32[1,4]", "const float32[3,4]", "-"],
            "out": ["float32[1,3]"],
        },
        "load",
    ),
    (
        "litert/cpu",
        {
            "type": "RESIZE_BILINEAR",
            "in": ["float32[1,3,3,2]", "const int32[2] = 0, 6"],
            "out": ["float32[1,1,6,2]"],
        },
        "load",
    ),
    (
        "litert/cpu",
        {"type": "ADD", "in": ["quant:0 int8[2,4]", "quant:0 int8[2,4]"], "out": ["quant:5 int8[2,4]"]},
        "load",
    ),
)


def stored(path: Path, case: dict[str, Any]) -> Path:
    path.unlink(missing_ok=True)
    graph, op = build(case, case["type"], "tflite")
    computed = [name for name in dict.fromkeys(op.inputs) if name and graph.constant(name) is None]
    graph.set_interface(computed, [name for name in op.outputs if name])
    emit(Model(path, "tflite", graph), path)
    return path


@pytest.fixture(scope="module")
def sessions() -> Any:
    pytest.importorskip("ai_edge_litert")
    with Session("litert/cpu", timeout=60) as cpu, Session("litert/xnnpack", timeout=60) as xnnpack:
        yield {"litert/cpu": cpu, "litert/xnnpack": xnnpack}


@pytest.mark.parametrize(("target", "case", "phase"), CASES)
def test_what_does_not_load_or_run(
    target: str, case: dict[str, Any], phase: str, tmp_path: Path, sessions: Any
) -> None:
    path = stored(tmp_path / "case.tflite", case)
    found = check(load(path), choose(target)).findings
    assert {finding.phase for finding in found if finding.effect == "rejected"} == ({phase} - {""})
    answer = sessions[target].ask(Request(path, outputs=True))
    assert answer.status == {"load": "refused", "run": "failed", "": "ok"}[phase], answer.reason


@pytest.mark.parametrize("target", ["litert/gpu", "litert/hexagon", "litert/nnapi:33"])
def test_delegates_of_static_sizes_prepare_every_operator_first(target: str, tmp_path: Path) -> None:
    """What the host only runs is no matter where the delegate runs it; what it prepares is."""
    case = {
        "type": "CONV_2D",
        "in": ["float32[1,4,4,4]", "const float32[4,1,1,4]", "-"],
        "out": ["float32[1,4,4,4]"],
    }
    coverage = check(load(stored(tmp_path / "case.tflite", case)), choose(target))
    assert coverage.operators[0].verdict.value == "rejected"
    assert "needs a bias" in "".join(finding.message for finding in coverage.findings)


def test_the_gpu_alone_is_said_to_fail_where_operators_fall_back(tmp_path: Path) -> None:
    lone = {"type": "ADD", "in": ["int64[1,4]", "int64[1,4]"], "out": ["int64[1,4]"]}
    whole = {"type": "ADD", "in": ["float32[1,4]", "float32[1,4]"], "out": ["float32[1,4]"]}
    notes = [
        check(load(stored(tmp_path / "x.tflite", case)), choose("litert/gpu")).notes for case in (lone, whole)
    ]
    assert "HardwareAccelerator.GPU alone fails to load" in "".join(notes[0]) and not notes[1]


def test_a_rule_about_stored_operands_is_silent_where_all_are_computed(tmp_path: Path) -> None:
    """Both on the GPU and right there; with the second one stored, the numbers are wrong."""
    for second, rules in (("int32[12]", set()), ("const int32[12]", {"stored-integers-of-lower-rank"})):
        case = {"type": "ADD", "in": ["int32[1,12]", second], "out": ["int32[1,12]"]}
        found = check(load(stored(tmp_path / "x.tflite", case)), choose("litert/gpu")).findings
        assert {finding.rule for finding in found} == rules


@pytest.mark.parametrize("target", ["litert/gpu", "litert/xnnpack"])
def test_the_transposed_convolution_of_mediapipe_is_accelerated(target: str, tmp_path: Path) -> None:
    options = struct.pack("<5i", 1, 2, 2, 0, 0)
    case = {
        "type": "Convolution2DTransposeBias",
        "domain": "custom",
        "attrs": {"custom_options": options},
        "in": ["float32[1,4,4,2]", "const float32[3,2,2,2]", "const float32[3]"],
        "out": ["float32[1,8,8,3]"],
    }
    path = stored(tmp_path / "x.tflite", case)
    assert [op.verdict.value for op in check(load(path), choose(target)).operators] == ["accelerated"]
    if target == "litert/gpu" and icd() is None:
        pytest.skip("needs software Vulkan: apt install chromium")
    pytest.importorskip("ai_edge_litert")
    with Session(target, timeout=60) as session:
        answer = session.ask(Request(path))
    assert [placed.device for placed in answer.placement] == ["accelerator"], answer.reason


def test_micro_runs_the_reciprocal_root_of_int16(tmp_path: Path) -> None:
    for dtype, expected in (("int16", "accelerated"), ("int32", "rejected")):
        case = {"type": "RSQRT", "in": [f"quant {dtype}[1,4]"], "out": [f"quant {dtype}[1,4]"]}
        coverage = check(load(stored(tmp_path / "x.tflite", case)), choose("litert/micro"))
        assert coverage.operators[0].verdict.value == expected
