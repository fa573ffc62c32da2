"""What once found a fault stays harmless, and a few seconds of the fuzzer find none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RUN = [sys.executable, str(ROOT / "tools" / "fuzz" / "run.py")]
SEEDS = sorted(path for path in (ROOT / "tests" / "fuzz_seeds").iterdir())
TARGETS = {
    "onnx": "onnxruntime/qnn",
    "tflite": "litert/gpu",
    "mlpackage": "coreml/ane",
    "mlmodel": "coreml/ane",
}


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.name)
def test_what_found_a_fault_once(path: Path, tmp_path: Path) -> None:
    form = path.name.partition("-")[0]
    model, target = str(path), TARGETS.get(form, "onnxruntime/qnn")
    commands = [["check", model, "-t", target]]
    if form in ("onnx", "tflite"):
        commands.append(["fix", model, "-t", target, "-o", str(tmp_path / f"out.{form}")])
    if form == "pack":
        model = str(ROOT / "fixtures" / "onnx" / "conv_relu.onnx")
        commands = [["check", model, "-t", target, "--pack", str(path)]]
    for command in commands:
        result = subprocess.run([sys.executable, "-m", "accelint", *command], capture_output=True, timeout=60)
        text = (result.stdout + result.stderr).decode()
        assert result.returncode in (0, 1, 2, 3, 4, 5), text
        assert "Traceback" not in text and "\x1b" not in text


def test_a_few_inputs_of_every_format() -> None:
    result = subprocess.run(
        [*RUN, "--inputs", "300", "--seed", "77"], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stdout + result.stderr
    for form in ("onnx", "tflite", "savedmodel", "graphdef", "keras", "mlpackage", "mlmodel", "pack"):
        assert f"{form} accepted" in result.stdout, result.stdout


def test_the_fuzzer_sees_a_fault(tmp_path: Path) -> None:
    """Its oracle is no ornament: other errors and raw control characters are told."""
    program = """
import sys
sys.path.insert(0, sys.argv[1])
import subject
from accelint.analyzer.errors import ModelError
from pathlib import Path
from random import Random

def broken(path):
    raise IndexError("x")

subject.load = broken
try:
    subject.used(Path("x"), "onnx", Random(0))
except IndexError as error:
    print(subject.signature(error))
for text in ("\\x1b", "\\u202e", "\\x9b", "\\ud800"):
    try:
        subject._inert(text, "a report")
    except subject.Fault as fault:
        print(fault.kind)
"""
    result = subprocess.run(
        [sys.executable, "-c", program, str(ROOT / "tools" / "fuzz")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.stdout.count("raw control character") == 4, result.stderr
    assert "IndexError" in result.stdout
