"""accelint as Python programs, notebooks and test suites call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from test_cli_check import model

import accelint
from accelint.testing import assert_accelerated

ROOT = Path(__file__).parent.parent
ENCODER = ROOT / "fixtures" / "demo" / "encoder.onnx"
QNN = "onnxruntime/qnn:sm8650"


@pytest.fixture
def static(tmp_path: Path) -> Path:
    return model(tmp_path / "static.onnx", [1, 3, 8, 8])


def test_a_check_gives_typed_results(static: Path, capfd: pytest.CaptureFixture[str]) -> None:
    report = accelint.check(static, [QNN, "onnxruntime/cpu"])
    assert [(row.target, row.verdict, row.share) for row in report] == [
        (QNN, "full", 1.0),
        ("onnxruntime/cpu", "full", 1.0),
    ]
    assert [part.operators for part in report.results[0].partitions] == [("main/0", "main/1", "main/2")]
    assert (report.results[0].agrees, report.results[0].parity) == (None, None)
    assert capfd.readouterr() == ("", ""), "nothing is printed"


def test_one_result_gives_itself_and_several_do_not(static: Path) -> None:
    assert accelint.check(ENCODER, QNN).result.findings[0].code == "ACL101"
    with pytest.raises(accelint.AccelintError, match="has 2 results"):
        _ = accelint.check([static, ENCODER], QNN).result


def test_a_model_that_was_loaded_is_checked_like_its_file(static: Path) -> None:
    loaded = accelint.load(ENCODER)
    ours, theirs = accelint.check(loaded, QNN), accelint.check(ENCODER, QNN)
    assert ours.to_json()["models"][0]["targets"] == theirs.to_json()["models"][0]["targets"]


def test_it_says_what_the_command_line_says() -> None:
    command = [
        sys.executable,
        "-m",
        "accelint",
        "check",
        str(ENCODER),
        "-t",
        "qnn,onnxruntime/nnapi",
        "-f",
        "json",
    ]
    printed = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    ours = accelint.check(str(ENCODER), [QNN, "onnxruntime/nnapi"]).to_json()
    for target in ours["models"][0]["targets"]:
        del target["flow"]  # worked out for the page that a notebook shows
    assert ours == printed


def test_errors_are_raised_or_kept(tmp_path: Path, static: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")
    with pytest.raises(accelint.AccelintError, match=r"bad\.onnx"):
        accelint.check(bad, QNN)
    report = accelint.check([bad, static], QNN, keep_errors=True)
    assert list(report.errors) == [bad]
    assert [row.verdict for row in report] == ["full"]
    with pytest.raises(accelint.AccelintError, match="no target is named"):
        accelint.check(static, "onnxruntime/npu")
    with pytest.raises(accelint.AccelintError, match="takes tf models"):
        accelint.check(static, "litert/builtins")


@pytest.mark.parametrize("name", ["r.html", "r.json", "r.sarif", "r.md", "r.csv", "r.txt", "r.xml", "r.mmd"])
def test_a_report_is_written_in_the_form_that_the_ending_names(tmp_path: Path, name: str) -> None:
    path = accelint.check(ENCODER, QNN).write(tmp_path / name)
    assert "ACL101" in path.read_text(encoding="utf-8") or name == "r.mmd"
    with pytest.raises(accelint.AccelintError, match="no report ends so"):
        accelint.check(ENCODER, QNN).write(tmp_path / "r.doc")


def test_notebooks_show_the_page_in_a_frame_of_its_own() -> None:
    shown = accelint.check(ENCODER, QNN)._repr_html_()
    assert shown.startswith("<iframe srcdoc=")
    assert 'sandbox="allow-scripts"' in shown
    assert "<script" not in shown, "escaped: it is an attribute"


def test_fix_and_verify(tmp_path: Path) -> None:
    out = tmp_path / "fixed.onnx"
    result = accelint.fix(ENCODER, QNN, out, freeze={"tokens": (1, 16)})
    assert result.changed
    assert accelint.check(out, QNN).result.verdict == result.after.verdict == "full"
    verified = accelint.verify(out, "onnxruntime/cpu").result
    assert (verified.agrees, verified.parity) == (True, True)
    with pytest.raises(accelint.AccelintError, match="is the input"):
        accelint.fix(ENCODER, QNN, ENCODER)


def test_diff(tmp_path: Path) -> None:
    frozen = tmp_path / "frozen.onnx"
    accelint.fix(ENCODER, QNN, frozen, freeze={"tokens": (1, 16)})
    found = accelint.diff(ENCODER, frozen, QNN)
    schema = json.loads((ROOT / "analyzer" / "report" / "schemas" / "diff.json").read_text())
    Draft202012Validator(schema).validate(found)
    assert found["models"][0]["targets"][0]["verdict"] == ["partial", "full"]
    before = accelint.check(ENCODER, QNN)
    assert accelint.diff(before, before)["worse"] is False


def test_importing_it_is_no_work() -> None:
    """60 ms on a quiet machine; here beside what Python itself takes, and by what is imported."""
    script = (
        "import sys; before = set(sys.modules); import accelint; "
        "heavy = {'numpy', 'onnx', 'rich', 'typer'} & set(sys.modules); "
        "print(len(set(sys.modules) - before), bool(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    count, heavy = done.stdout.split()
    assert (int(count) < 12, heavy) == (True, "False")


# ---- tests of models -------------------------------------------------------------------------


def test_the_assertion_says_what_is_missed_and_why(static: Path) -> None:
    report = assert_accelerated(static, QNN, max_partitions=1)
    assert report.result.verdict == "full"
    with pytest.raises(AssertionError) as caught:
        assert_accelerated(ENCODER, QNN, max_partitions=0, min_coverage="90%")
    words = str(caught.value)
    for part in ("1 partition, at most 0 allowed", "required: 90.0%", "ACL101 shape-not-static", "fix:"):
        assert part in words


def test_an_assertion_without_limits_wants_everything(static: Path) -> None:
    assert_accelerated(static, [QNN, "onnxruntime/nnapi"], min_coverage=0.5)
    with pytest.raises(AssertionError, match="required: full"):
        assert_accelerated(ENCODER, "onnxruntime/nnapi")


def test_nothing_accelerated_is_no_success_of_a_limit(tmp_path: Path) -> None:
    none = model(tmp_path / "none.onnx", ["batch", 3, 8, 8])
    with pytest.raises(AssertionError, match="nothing is accelerated"):
        assert_accelerated(none, QNN, max_partitions=3)


SUITE = """
def test_good(assert_accelerated):
    assert_accelerated({static!r}, "qnn", max_partitions=1)

def test_bad(assert_accelerated):
    assert_accelerated({encoder!r}, "qnn")

def test_looked_at(accelint_report):
    report = accelint_report({encoder!r}, ["qnn", "onnxruntime/nnapi"])
    assert {{row.verdict for row in report}} == {{"partial"}}
"""


def test_the_plug_in_in_a_suite_of_a_stranger(tmp_path: Path, static: Path) -> None:
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "test_models.py").write_text(SUITE.format(static=str(static), encoder=str(ENCODER)))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "accelint.pytest_plugin"]
    command += ["--accelint-report", "all.html", "--accelint-report", "all.json"]
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # it is there already where accelint is installed
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=env, timeout=300)
    assert "1 failed, 2 passed" in done.stdout, done.stdout + done.stderr
    assert "required: full" in done.stdout
    assert "testing.py:" not in done.stdout, "the trace ends in the test"
    document = json.loads((folder / "all.json").read_text())
    assert [len(row["targets"]) for row in document["models"]] == [1, 1, 2]
    assert (folder / "all.html").stat().st_size > 10_000


def test_the_page_is_made_of_the_docstrings() -> None:
    script = "import sys; sys.path.insert(0, 'tools/docs'); import api; print(api.page(), end='')"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == (ROOT / "docs" / "api.md").read_text(), "run python tools/docs/api.py"
