"""Numbers and names on the command line that cannot be meant are wrong usage, never an answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from accelint.analyzer.runtimes import environments
from cli import ROOT, accelint

MODEL = ROOT / "fixtures" / "demo" / "encoder.onnx"
VERIFY = ["verify", MODEL, "-t", "onnxruntime/cpu"]


@pytest.mark.parametrize(
    "command",
    [
        [*VERIFY, "--tolerance", "nan"],
        [*VERIFY, "--tolerance", "inf"],
        [*VERIFY, "--tolerance", "-1"],
        [*VERIFY, "--tolerance", "1,2,3"],
        [*VERIFY, "--timeout", "nan"],
        [*VERIFY, "--timeout", "0"],
        [*VERIFY, "--seed", "-5"],
        [*VERIFY, "--latency", "-3"],
        ["conform", "qnn", "--limit", "0"],
        ["conform", "qnn", "--jobs", "-2"],
        ["conform", "qnn", "--timeout", "-1"],
        ["conform", "qnn", "--seed", "-1"],
        ["conform", "qnn", "--output", "figures", "--page", "./figures"],
        ["check", MODEL, "-t", "qnn", "--max-partitions", "-3"],
        ["convert", MODEL, "--to", "tflite", "-o", "out", "--batch", "0"],
        ["runtimes", "remove", ".."],
        ["runtimes", "remove", ""],
        ["runtimes", "add", "."],
    ],
    ids=lambda command: " ".join(str(word) for word in command[-2:]),
)
def test_it_is_wrong_usage(command: list[object]) -> None:
    result = accelint(*command)
    assert result.returncode == 2 and result.stderr and not result.stdout


def test_only_the_environment_of_a_runtime_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    home = environments.folder("onnxruntime/openvino")
    assert home.is_relative_to(tmp_path)
    (home / "bin").mkdir(parents=True)
    for name in (".", "..", "", "../..", "openvino"):
        assert accelint("runtimes", "remove", name).returncode == 2
    assert home.is_dir()
    assert accelint("runtimes", "remove", "onnxruntime/openvino").stdout.endswith(": removed\n")
    assert not home.exists()
    assert "has no environment" in accelint("runtimes", "remove", "onnxruntime/openvino").stdout
