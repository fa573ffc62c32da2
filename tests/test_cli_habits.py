"""The habits of a user: targets by the names that people know, lists of models, several reports."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import onnx
import pytest
from accelint.analyzer.processes.spread import Ended, spread
from accelint.analyzer.words import counted, percent, rounded
from accelint.rules.aliases import resolve
from accelint.rules.registry import choose
from cli import ROOT, accelint, report
from onnx import TensorProto, helper
from test_cli_check import model

QNN = "onnxruntime/qnn:sm8650"
TFLITE = sorted((ROOT / "fixtures" / "tflite").glob("*.tflite"))[0]


@pytest.fixture
def static(tmp_path: Path) -> Path:
    return model(tmp_path / "static.onnx", [1, 3, 8, 8])


def targets(document: dict[str, object], index: int = 0) -> list[str]:
    return [row["target"] for row in document["models"][index]["targets"]]  # type: ignore[index]


# ---- targets ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("NNAPIExecutionProvider", ["onnxruntime/nnapi"]),
        ("QNNExecutionProvider", [QNN]),
        ("CoreMLExecutionProvider", ["onnxruntime/coreml:mlprogram"]),
        ("qnn:sm8550", ["onnxruntime/qnn:sm8550"]),
        ("sm8550", ["onnxruntime/qnn:sm8550"]),
        ("nnapi", ["onnxruntime/nnapi"]),
        ("xnnpack", ["onnxruntime/xnnpack"]),
        ("Snapdragon 8 Gen 3", [QNN]),
        ("snapdragon_8_gen_3", [QNN]),
        ("pixel-9", ["onnxruntime/nnapi", "onnxruntime/xnnpack"]),
        ("iphone-15", ["onnxruntime/coreml:mlprogram"]),
        ("onnxruntime/qnn:sm87*", ["onnxruntime/qnn:sm8750"]),
        (f"{QNN},nnapi,{QNN}", [QNN, "onnxruntime/nnapi"]),
        (
            "onnxruntime/*",
            [
                "onnxruntime/coreml:mlprogram",
                "onnxruntime/cpu",
                "onnxruntime/nnapi",
                "onnxruntime/openvino",
                QNN,
                "onnxruntime/webgpu",
                "onnxruntime/xnnpack",
            ],
        ),
    ],
)
def test_targets_by_the_names_that_people_know(static: Path, word: str, found: list[str]) -> None:
    assert targets(report("check", static, "--target", word, "--fail-on", "never")) == found


def test_targets_are_repeated_and_listed(static: Path) -> None:
    document = report("check", static, "-t", "qnn, onnxruntime/nnapi", "-t", "onnxruntime/webgpu")
    assert targets(document) == [QNN, "onnxruntime/nnapi", "onnxruntime/webgpu"]


def test_all_takes_what_fits_the_dialect_and_says_what_was_skipped(static: Path) -> None:
    document = report("check", static, TFLITE, "-t", "all", "--fail-on", "never")
    onnx, tflite = targets(document), targets(document, 1)
    assert {name.split("/")[0] for name in tflite} == {"litert"}
    assert "coreml/convertible-onnx:ios15" in onnx
    assert len(onnx) == len(set(onnx))
    skipped = {row["target"]: row["reason"] for row in document["models"][0]["skipped"]}
    assert "takes tflite models" in skipped["litert/gpu"]
    assert not set(skipped) & set(onnx)


def test_auto_is_what_is_installed(static: Path) -> None:
    ready = {row["name"] for row in json.loads(accelint("runtimes", "--json").stdout) if row["available"]}
    found = {name.partition(":")[0] for name in targets(report("check", static, "-t", "auto"))}
    assert found == {name for name in ready if name.startswith("onnxruntime/")} | (
        {"coreml/convertible-onnx"} & ready
    )


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("pixl-9", "did you mean pixel-9"),
        ("snapdragon-8-gen-9", "snapdragon-8-gen-3"),
        ("QMNExecutionProvider", "qnnexecutionprovider"),
        ("onnxruntime/qmn", "did you mean onnxruntime/qnn"),
        ("litret/*", "litert/*"),
        ("qnn:sm8651", "onnxruntime/qnn:sm8650"),
        ("", "give a target"),
        (",", "give a target"),
    ],
)
def test_a_miss_names_the_nearest(static: Path, word: str, hint: str) -> None:
    result = accelint("check", static, "--target", word)
    assert result.returncode == 2
    assert hint in result.stderr
    assert result.stdout == ""


def test_every_known_name_means_targets_that_exist_and_has_its_source() -> None:
    table = tomllib.loads((ROOT / "rules" / "aliases.toml").read_text())
    seen: set[str] = set()
    for entry in table["alias"]:
        assert entry["source"] in table["source"]
        for target in entry["targets"]:
            assert choose(target).target.startswith(target)
        for name in entry["names"]:
            assert name.lower() not in seen, f"{name} is listed twice"
            seen.add(name.lower())
            assert resolve(name) == entry["targets"]
    assert all(note["url"] and note["says"] for note in table["source"].values())


def test_a_call_where_nothing_fits_is_wrong_usage() -> None:
    result = accelint("check", TFLITE, "--target", "onnxruntime/cpu,onnxruntime/webgpu")
    assert result.returncode == 2
    assert "takes onnx models" in result.stderr
    assert result.stdout == ""


def test_a_model_that_no_target_takes_is_said(static: Path) -> None:
    result = accelint("check", static, TFLITE, "--target", "qnn")
    assert result.returncode == 0
    assert f"{TFLITE}: not checked for any target: the model is tflite" in result.stderr


# ---- models ----------------------------------------------------------------------------------


def checked(*arguments: object, stdin: str | None = None, code: int = 0) -> list[str]:
    command = [sys.executable, "-m", "accelint", "check", *map(str, arguments), "-t", QNN, "-f", "json"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, input=stdin, timeout=300)
    assert result.returncode == code, result.stderr
    return [Path(row["path"]).name for row in json.loads(result.stdout)["models"]] if result.stdout else []


def test_models_are_files_folders_globs_and_lists(tmp_path: Path) -> None:
    (tmp_path / "deep" / ".git").mkdir(parents=True)
    first = model(tmp_path / "b.onnx", [1, 4])
    second = model(tmp_path / "deep" / "a[1].onnx", [1, 4])
    model(tmp_path / "deep" / ".git" / "hidden.onnx", [1, 4])
    (tmp_path / "readme.txt").write_text("no model")
    assert checked(tmp_path) == ["b.onnx", "a[1].onnx"]
    assert checked(second) == ["a[1].onnx"]
    assert checked(f"{tmp_path}/*.onnx") == ["b.onnx"]
    assert checked(f"{tmp_path}/**/*.onnx") == ["b.onnx", "a[1].onnx"]
    assert checked("-", stdin=f"{second}\n\n{first}\r\n") == ["a[1].onnx", "b.onnx"]
    assert checked("-", stdin=f"{second}\0{first}\0") == ["a[1].onnx", "b.onnx"]
    assert checked("-", first, stdin=f"{tmp_path}\n") == ["b.onnx", "a[1].onnx"]


def test_models_that_are_folders_are_found_in_folders(tmp_path: Path) -> None:
    package = next((ROOT / "fixtures" / "coreml").glob("*.mlpackage"))
    shutil.copytree(package, tmp_path / "in" / package.name)
    document = report("check", tmp_path / "in", "--target", "coreml/ane", "--fail-on", "never")
    assert [Path(row["path"]).name for row in document["models"]] == [package.name]


@pytest.mark.parametrize("name", ["nothing*.onnx", "empty"])
def test_what_names_no_model_is_wrong_usage(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    result = accelint("check", tmp_path / name, "--target", QNN)
    assert result.returncode == 2
    assert result.stdout == ""


def test_an_empty_or_closed_list_is_wrong_usage() -> None:
    assert checked("-", stdin="", code=2) == []
    closed = subprocess.run(
        [sys.executable, "-m", "accelint", "check", "-", "-t", QNN],
        preexec_fn=lambda: os.close(0),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert closed.returncode == 2
    assert "standard input names no models" in closed.stderr


# ---- several at a time -----------------------------------------------------------------------


def test_parallel_gives_the_same_report_in_the_same_order(tmp_path: Path) -> None:
    for index in range(7):
        model(
            tmp_path / f"m{index}.onnx",
            [1 if index % 2 else "n", 4],
            ("Relu", "Tanh", "Erf")[: index % 3 + 1],
        )
    (tmp_path / "m3.onnx").write_bytes(b"no model at all")
    call = ("check", tmp_path, "-t", f"{QNN},nnapi,litert/gpu", "-f", "json")
    serial, parallel = accelint(*call, "-j", "1"), accelint(*call, "-j", "3")
    assert serial.returncode == parallel.returncode == 3
    assert serial.stdout == parallel.stdout
    assert serial.stderr == parallel.stderr
    rows = json.loads(parallel.stdout)["models"]
    assert [("error" in row) for row in rows] == [False, False, False, True, False, False, False]


def _fate(item: int) -> int:
    if item == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if item == 3:
        raise ValueError("three")
    return item * item


def test_the_end_of_one_process_is_the_answer_of_one_item() -> None:
    answers = list(spread(_fate, range(8), 2))
    assert isinstance(answers[2], Ended)
    assert "SIGKILL" in str(answers[2])
    assert isinstance(answers[3], ValueError)
    assert [answer for answer in answers if isinstance(answer, int)] == [0, 1, 16, 25, 36, 49]


# ---- reports ---------------------------------------------------------------------------------


def test_several_reports_in_one_run(static: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "r.json", tmp_path / "r.txt"
    both = ("-f", "json", "-o", first, "-f", "text", "--output", second)
    result = accelint("check", static, "-t", QNN, *both)
    assert (result.returncode, result.stdout) == (0, "")
    assert json.loads(first.read_text())["schema"] == "accelint/report/1"
    assert "3 of 3 operators" in second.read_text()
    mixed = accelint("check", static, "-t", QNN, "--format", "text", "--format=json", "--output", first)
    assert "3 of 3 operators" in mixed.stdout
    assert json.loads(first.read_text())["models"]
    flipped = accelint("check", static, "-t", QNN, "-f", "json", "-f", "text", "-o", "-", "-o", second)
    assert json.loads(flipped.stdout)["models"]


@pytest.mark.parametrize(
    "options",
    [
        ["-f", "json", "-f", "text"],
        ["-f", "json", "-o", "{0}", "-o", "{0}.2"],
        ["-f", "json", "-o", "{0}", "-f", "text", "-o", "{0}"],
        ["-f", "json", "-o", "-", "-f", "text", "-o", "-"],
        ["-q", "-v"],
    ],
)
def test_reports_that_collide_are_wrong_usage(static: Path, tmp_path: Path, options: list[str]) -> None:
    result = accelint("check", static, "-t", QNN, *(item.format(tmp_path / "out") for item in options))
    assert result.returncode == 2, result.stdout
    assert result.stdout == ""
    assert not (tmp_path / "out").exists()


def test_quiet_is_a_line_a_target_and_verbose_has_every_operator(tmp_path: Path) -> None:
    path = model(tmp_path / "many.onnx", ["n", 4], ("Relu",) * 9)
    brief = accelint("check", path, "-t", "qnn,nnapi", "-q").stdout.splitlines()
    assert len(brief) == 3
    usual = accelint("check", path, "-t", QNN).stdout
    full = accelint("check", path, "-t", QNN, "-v").stdout
    assert "main/8" not in usual
    assert "main/8" in full
    assert "source: " in full


@pytest.mark.parametrize(
    ("text", "code"),
    [("95", 1), ("95%", 1), ("0.95", 1), ("50", 0), ("50%", 0), ("1", 1), ("101", 2), ("-1", 2), ("nan", 2)],
)
def test_a_share_may_be_written_in_three_ways(tmp_path: Path, text: str, code: int) -> None:
    path = model(tmp_path / "part.onnx", [1, 4], ("Relu", "Erf", "Sign", "Tanh"))
    document = report("check", path, "-t", "onnxruntime/nnapi")
    assert 0.5 <= document["models"][0]["targets"][0]["coverage"]["operators"] < 0.95
    assert accelint("check", path, "-t", "onnxruntime/nnapi", "--min-coverage", text).returncode == code


def test_completion_can_be_shown_for_a_shell() -> None:
    help = accelint("--help").stdout
    assert "--install-completion" in help
    environment = {**os.environ, "_ACCELINT_COMPLETE": "source_bash"}
    code = "from accelint.analyzer.cli import application; application()(prog_name='accelint', args=[])"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60
    )
    assert "complete" in told.stdout


# ---- numbers in words ------------------------------------------------------------------------


def test_shares_are_never_rounded_to_all_or_nothing() -> None:
    assert [percent(share) for share in (0, 0.004, 0.5, 0.996, 1)] == ["0%", "0.4%", "50%", "99.6%", "100%"]
    assert percent(0.9999) == "99.99%"
    assert percent(1 - 1e-9) == "over 99.99%"
    assert percent(1e-9) == "under 0.01%"
    assert percent(0.99999, 2) == "99.999%"
    assert [rounded(share) for share in (0, 1e-9, 1 - 1e-9, 1)] == [0.0, 1e-6, 1 - 1e-6, 1.0]
    assert [counted(number, "copy", "copies") for number in (0, 1, 2)] == ["0 copies", "1 copy", "2 copies"]


def test_fix_and_verify_take_known_names_that_mean_one_target_for_the_model(tmp_path: Path) -> None:
    path = model(tmp_path / "open.onnx", ["n", 4])
    out = tmp_path / "out.onnx"
    fixed = accelint("fix", path, "-t", "nnapi", "--freeze", "n=1", "-o", out)
    assert (fixed.returncode, "onnxruntime/nnapi" in fixed.stdout) == (0, True), fixed.stderr
    several = accelint("fix", path, "-t", "onnxruntime/*", "-o", out)
    assert several.returncode == 2
    assert "onnxruntime/qnn:sm8650" in several.stderr
    none = accelint("verify", path, "-t", "ane,litert/gpu")
    assert none.returncode == 2
    assert "no target that takes onnx models" in none.stderr
    assert accelint("verify", out, "-t", "CPUExecutionProvider").returncode == 0


def test_rules_and_explain_take_known_names() -> None:
    rows = json.loads(
        accelint("rules", "--target", "NNAPIExecutionProvider", "--code", "ACL1", "--json").stdout
    )
    assert {row["target"] for row in rows} == {"onnxruntime/nnapi"}
    assert "Resize on onnxruntime/nnapi" in accelint("explain", "Resize", "--target", "nnapi").stdout
    both = accelint("explain", "ACL101", "--target", "nnapi").stdout
    assert "onnxruntime/nnapi" in both
    assert "litert/nnapi" in both
    assert accelint("explain", "NoSuchThing", "--target", "nnapi").returncode == 2
    assert "pixel-9" in json.loads(accelint("targets", "litert/gpu", "--json").stdout)[0]["names"]


def _share(_: int) -> int:
    from accelint.analyzer.processes import memory

    return memory.limit()


def test_processes_share_the_limit_of_memory() -> None:
    from accelint.analyzer.processes import memory

    assert set(spread(_share, range(4), 2)) == {memory.limit() // 2}


def test_the_readme_installs_from_a_checkout_with_extras_that_exist() -> None:
    readme = (ROOT / "README.md").read_text()
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    named = set(re.findall(r"\[([a-z-]+)\]", readme.split("## Install")[1].split("\n## ")[0]))
    assert named == extras - {"dev", "fuzz", "docs"}
    assert "pip install .  " in readme
    assert "pip install accelint " not in readme


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads the children of a process from /proc")
def test_a_killed_process_of_several_tells_nothing_about_its_model(tmp_path: Path) -> None:
    """Ended from outside (6), as everywhere, and the other model is reported."""
    for name, count in (("large", 120_000), ("small", 1)):
        nodes = [helper.make_node("Relu", [f"t{index}"], [f"t{index + 1}"]) for index in range(count)]
        ends = (helper.make_tensor_value_info(end, TensorProto.FLOAT, [1, 4]) for end in ("t0", f"t{count}"))
        graph = helper.make_graph(nodes, "g", [next(ends)], [next(ends)])
        onnx.save(helper.make_model(graph), tmp_path / f"{name}.onnx")
    call = [sys.executable, "-m", "accelint", "check", str(tmp_path), "-t", QNN, "-j", "2", "-f", "json"]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not (started := children.read_text().split()):
            time.sleep(0.005)
        os.kill(int(started[0]), signal.SIGKILL)
        printed = process.communicate()[0]
    assert process.returncode == 6
    large, small = json.loads(printed)["models"]
    assert large["error"]["kind"] == "killed" and "SIGKILL from outside" in large["error"]["message"]
    assert "error" not in small
