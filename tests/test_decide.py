"""Decisions: one table over targets and models, what to fix first."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from cli import ROOT, accelint, report
from forms_models import big

ENCODER = ROOT / "fixtures" / "demo" / "encoder.onnx"
DENOISER = ROOT / "fixtures" / "demo" / "denoiser.tflite"


def matrix(*arguments: object, columns: int = 200) -> list[str]:
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(columns)
    try:
        return accelint("check", *arguments, "--matrix", "-q").stdout.splitlines()
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before


def test_one_table_over_models_and_targets() -> None:
    """A named pack also takes what can be converted for it; nothing converts these models for this one."""
    head, *rows = matrix(ENCODER, DENOISER, "-t", "webgpu,nnapi,litert/builtins")
    assert " ".join(head.split()) == "model target verdict operators MACs partitions boundary errors"
    assert [name for row in rows for name in row.split() if name.startswith(("onnxr", "litert/"))] == [
        "onnxruntime/webgpu", "onnxruntime/nnapi", "litert/nnapi:31",
    ]  # fmt: skip
    assert [("encoder" in row, "denoiser" in row) for row in rows] == [(1, 0), (0, 0), (0, 1)]
    assert rows[0].split()[2:] == ["partial", "73%", "2", "unknown"], "a size is dynamic"


def test_errors_are_counted_in_the_table() -> None:
    _, *rows = matrix(DENOISER, "-t", "litert/nnapi:31,litert/micro")
    assert [("denoiser" in row, "litert/micro" in row) for row in rows] == [(1, 0), (0, 1)]
    assert "fails to load" in rows[1] and rows[1].split()[-1] == "2"


@pytest.mark.parametrize("columns", [40, 70])
def test_a_narrow_terminal_has_no_line_that_is_cut(columns: int) -> None:
    lines = matrix(ENCODER, "-t", "onnxruntime/*", columns=columns)
    assert max(map(len, lines)) <= columns
    assert any("onnxruntime/webgpu" in line for line in lines)
    assert "operators" in " ".join(lines)


@pytest.mark.parametrize(
    ("key", "value", "falling"),
    [
        ("coverage", lambda target: target["coverage"]["operators"], True),
        ("partitions", lambda target: len(target["partitions"]) or 1_000, False),
        ("errors", lambda target: sum(item["severity"] == "error" for item in target["findings"]), False),
    ],
)
def test_targets_are_sorted(key: str, value: Any, falling: bool) -> None:
    document = report("check", DENOISER, "-t", "litert/micro,litert/gpu,litert/xnnpack", "--sort", key)
    found = [value(target) for target in document["models"][0]["targets"]]
    assert found == sorted(found, reverse=falling)
    assert len(set(found)) > 1


def fixed(path: Path, target: str) -> dict[str, Any]:
    found: dict[str, Any] = report("check", path, "-t", target, "--fix-first")["models"][0]["targets"][0]
    return found


def test_what_to_fix_first_is_what_a_check_without_it_says() -> None:
    """The last line of the list is the model without any cause, the first what brings most."""
    target = fixed(ENCODER, "onnxruntime/xnnpack")
    gains = target["fix_first"]
    causes = {(item["code"], item["rule"]) for item in target["findings"] if item["severity"] != "note"}
    assert {(gain["code"], gain["rule"]) for gain in gains} == causes
    assert gains[-1]["together"]["verdict"] == "full"
    shares = [gain["alone"]["coverage"]["operators"] for gain in gains]
    assert shares[0] == max(shares) > target["coverage"]["operators"]
    together = [gain["together"]["accelerated"] for gain in gains]
    assert together == sorted(together), "with more causes gone, no fewer operators are supported"
    lacked = {gain["type"] for gain in gains if gain["rule"] == "operator-unsupported"}
    assert "Add" in lacked, "each type that a target lacks is a cause of its own"


def test_partitions_are_made_anew_without_a_cause() -> None:
    """Without its int64 rules the whole encoder is one partition on WebGPU."""
    target = fixed(ENCODER, "onnxruntime/webgpu")
    assert len(target["partitions"]) == 2
    assert [gain["together"]["partitions"] for gain in target["fix_first"]] == [3, 1]


def test_what_no_rule_decides_has_no_gain() -> None:
    """How many partitions a delegate takes is decided by its partitioner, not by a rule of the target."""
    target = fixed(DENOISER, "litert/gpu")
    policy = [gain for gain in target["fix_first"] if gain["rule"] == "too-many-partitions"]
    assert [(gain["alone"], gain["together"]) for gain in policy] == [(None, None)]
    assert target["fix_first"][0]["alone"], "there are causes that are rules"
    text = accelint("check", DENOISER, "-t", "litert/gpu", "--fix-first").stdout
    assert "too-many-partitions" in text and "not a rule of the target that could be left out" in text


def test_20_000_operators_are_answered_in_time(tmp_path: Path) -> None:
    path = big(tmp_path / "big.onnx")
    began = time.monotonic()
    text = accelint("check", path, "-t", "onnxruntime/nnapi", "--fix-first").stdout
    assert "what to fix first" in text
    assert time.monotonic() - began < 30
