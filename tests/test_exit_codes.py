"""Exit statuses: a command never looks better than what it found, whatever is done to its streams."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from accelint.analyzer.errors import EXIT_CODES
from cli import ROOT, accelint, report
from rewrite_models import onnx_bytes

QNN = "onnxruntime/qnn:sm8650"
FULL = "g (float[1,3] x) => (float[1,3] y) { y = Relu(x) }"
NONE = "g (float[N,3] x) => (float[N,3] y) { y = Relu(x) }"
PARTLY = "g (float[1,3] x) => (float[1,3] y) { a = Relu(x) y = Mod<fmod=1>(a, x) }"
PACK = """
[pack]
target = "onnxruntime/qnn"
dialect = "onnx"
runtime = "onnxruntime-qnn"
version = "2.7.0"
releases = ["2.6.0"]
date = "2026-11-22"
default = "fallback"
policy = "onnxruntime/compile"
[variant.sm8650]
[source.mine]
package = "mine"
version = "1"
[[support]]
ops = ["Relu"]
source = "mine"
"""


@pytest.fixture
def model(tmp_path: Path):  # type: ignore[no-untyped-def]
    def make(text: str, name: str = "model.onnx") -> Path:
        path = tmp_path / name
        path.write_bytes(onnx_bytes(text))
        return path

    return make


def test_the_table_is_the_same_in_the_readme_and_in_help() -> None:
    shown = dict(re.findall(r"^\| (\d+) \| (.+) \|$", (ROOT / "README.md").read_text(), re.M))
    assert {int(code): words for code, words in shown.items()} == dict(EXIT_CODES)
    told = " ".join(accelint("--help").stdout.split())
    assert all(f"{code} {words}" in told for code, words in EXIT_CODES.items())


@pytest.mark.parametrize(
    ("text", "options", "code"),
    [
        (FULL, [], 0),
        (FULL, ["--max-partitions", 1], 0),
        (FULL, ["--max-partitions", 0], 1),
        (PARTLY, [], 0),
        (NONE, [], 1),
        (NONE, ["--fail-on", "warning"], 1),
        (NONE, ["--fail-on", "never"], 0),
        (NONE, ["--fail-on", "never", "--max-partitions", 9], 1),
        (NONE, ["--fail-on", "never", "--min-coverage", "1%"], 1),
    ],
)
def test_nothing_accelerated_is_never_fine(model, text: str, options: list[object], code: int) -> None:  # type: ignore[no-untyped-def]
    result = accelint("check", model(text), "--target", QNN, *options)
    assert result.returncode == code, result.stdout + result.stderr
    if code and "--max-partitions" in options and text is NONE:
        assert "nothing is accelerated" in result.stderr


def test_a_rejected_model_is_never_fine(model) -> None:  # type: ignore[no-untyped-def]
    path = model("g (bfloat16[1,3] x) => (bfloat16[1,3] y) { y = Selu(x) }")
    options = ["check", path, "--target", "onnxruntime/cpu"]
    assert report(*options)["models"][0]["targets"][0]["verdict"] == "rejected"
    assert accelint(*options).returncode == 1
    assert accelint(*options, "--fail-on", "never").returncode == 0
    assert accelint(*options, "--fail-on", "never", "--max-partitions", 3).returncode == 1


@pytest.mark.parametrize(
    ("target", "known"),
    [
        ("onnxruntime/qnn@9.9", "2.7.0"),
        ("onnxruntime/qnn:sm8650@x", "2.7.0"),
        ("onnxruntime/cpu@1.99", "1.16.0, 1.16.1"),
        ("coreml/ane:m4@9.9", "16, 17, 18, 26, 27.0.1"),
    ],
)
@pytest.mark.parametrize("command", ["check", "fix", "verify", "conform"])
def test_a_version_that_is_not_known_lists_those_that_are(  # type: ignore[no-untyped-def]
    model, command: str, target: str, known: str
) -> None:
    asked = [target] if command == "conform" else [model(FULL), "--target", target]
    result = accelint(command, *asked, *(["--json"] if command == "fix" else []))
    assert result.returncode == 2, result.stderr
    assert "known versions are" in result.stderr and known in result.stderr


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("onnxruntime/qnn:sm8650@2.7.0", "2.7.0"),
        ("onnxruntime/qnn:sm8650@2.7", "2.7.0"),
        ("onnxruntime/cpu@1.24.1", "1.24.1"),
        ("onnxruntime/cpu@1", "1.32.0"),
    ],
)
def test_known_versions_and_their_beginnings(model, target: str, shown: str) -> None:  # type: ignore[no-untyped-def]
    found = report("check", model(FULL), "--target", target, code=0)["models"][0]["targets"][0]
    assert found["runtime"].endswith(f" {shown}")


@pytest.mark.parametrize("command", ["check", "fix", "verify", "conform"])
def test_a_pack_for_another_target_is_wrong_usage(model, tmp_path: Path, command: str) -> None:  # type: ignore[no-untyped-def]
    pack = tmp_path / "mine.toml"
    pack.write_text(PACK)
    asked = ["onnxruntime/cpu"] if command == "conform" else [model(FULL), "--target", "onnxruntime/cpu"]
    result = accelint(command, *asked, "--pack", pack, *(["--json"] if command == "fix" else []))
    assert result.returncode == 2
    assert "is a pack for onnxruntime/qnn and not for onnxruntime/cpu" in result.stderr
    assert accelint("check", model(FULL), "--target", QNN, "--pack", pack).returncode == 0
    assert accelint("check", model(FULL), "--target", f"{QNN}@2.6.0", "--pack", pack).returncode == 0


# ---- what nobody expected --------------------------------------------------------------------

DEFECT = """
import sys
import accelint.analyzer.flows.check_file as road
real = road.load
def load(path):
    if "bad" in str(path):
        raise ZeroDivisionError("a defect\\nin two lines")
    return real(path)
road.load = load
from accelint.analyzer.cli import main
main()
"""


def with_a_defect(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line of an accelint with a defect at models whose name has "bad" in it."""
    command = [sys.executable, "-c", DEFECT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)


def test_a_defect_at_one_model_is_told_beside_the_others(model) -> None:  # type: ignore[no-untyped-def]
    models = [model(FULL, "first.onnx"), model(FULL, "bad.onnx"), model(NONE, "last.onnx")]
    result = with_a_defect("check", *models, "--target", QNN)
    assert result.returncode == 70
    assert "Traceback" not in result.stderr
    assert "first.onnx" in result.stdout
    assert "last.onnx" in result.stdout
    assert "ZeroDivisionError: a defect in two lines" in result.stdout
    shown = with_a_defect("check", *models, "--target", QNN, "--debug")
    assert shown.returncode == 70
    assert "Traceback" in shown.stderr
    assert "in load" in shown.stderr


def test_a_defect_of_a_command_is_one_line(model) -> None:  # type: ignore[no-untyped-def]
    broken = DEFECT.replace(
        "road.load = load", "import accelint.analyzer.flows.targets as targets; targets.choose = None"
    )
    for options in ([], ["--debug"]):
        command = [sys.executable, "-c", broken, *options, "check", str(model(FULL)), "--target", QNN]
        result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        assert result.returncode == 70
        assert result.stderr.startswith("accelint: internal error: TypeError: 'NoneType'")
        assert ("Traceback" in result.stderr) == bool(options)
        assert options or len(result.stderr.splitlines()) == 1


# ---- streams ---------------------------------------------------------------------------------


def in_a_shell(text: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    words = shlex.join([sys.executable, "-m", "accelint", *map(str, arguments)])
    return subprocess.run(
        ["bash", "-c", text.replace("ACCELINT", words)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        timeout=300,
        check=False,
    )


CLOSED = ["ACCELINT >&-", "ACCELINT <&-", "ACCELINT >&- <&-", "ACCELINT <&- >&- 2>&-"]
GONE = ["ACCELINT | true; exit ${PIPESTATUS[0]}", "ACCELINT 2>&1 | true; exit ${PIPESTATUS[0]}"]


@pytest.mark.parametrize("how", CLOSED + GONE)
@pytest.mark.parametrize(("text", "code"), [(FULL, 0), (NONE, 1)])
def test_a_closed_stream_changes_no_answer(model, how: str, text: str, code: int) -> None:  # type: ignore[no-untyped-def]
    path = model(text)
    for form in ("text", "json"):
        result = in_a_shell(how, "check", path, "--target", QNN, "--format", form)
        assert result.returncode == code
        assert result.stderr == ""


@pytest.mark.parametrize("how", [CLOSED[0], CLOSED[1], CLOSED[3], GONE[0]])
def test_a_closed_stream_changes_no_answer_of_a_runtime(model, tmp_path: Path, how: str) -> None:  # type: ignore[no-untyped-def]
    """Workers get pipes whose numbers must not be those of the closed streams."""
    out = tmp_path / "report.json"
    result = in_a_shell(
        how, "verify", model(FULL), "--target", "onnxruntime/cpu", "--format", "json", "--output", out
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert '"parity"' in out.read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_standard_output_is_said(model) -> None:  # type: ignore[no-untyped-def]
    result = in_a_shell("ACCELINT > /dev/full", "check", model(FULL), "--target", QNN)
    assert result.returncode == 2
    assert result.stderr.startswith("accelint: standard output cannot be written (No space left on device)")
    assert len(result.stderr.splitlines()) == 1
