"""-q and -v on every command that prints, and targets that conform takes by the names that people know."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from cli import ROOT, accelint

MODEL = ROOT / "fixtures" / "demo" / "encoder.onnx"

TARGET = "NNAPIExecutionProvider"


def lines(*arguments: object, code: int | None = 0) -> list[str]:
    result = accelint(*arguments)
    assert code is None or result.returncode == code, result.stderr
    return result.stdout.splitlines()


@pytest.mark.parametrize(
    "command",
    [
        ["targets", "ane"],
        ["rules", "-t", "coreml/ane"],
        ["explain", "RESIZE_BILINEAR", "-t", "litert/gpu"],
    ],
    ids=" ".join,
)
def test_a_list_is_shorter_and_longer(command: list[str]) -> None:
    brief, usual, full = (lines(*command, *option) for option in (["-q"], [], ["-v"]))
    sizes = [sum(map(len, found)) for found in (brief, usual, full)]
    assert 0 < sizes[0] <= sizes[1] <= sizes[2] and sizes[0] < sizes[2]


def test_names_alone_can_be_given_to_other_commands() -> None:
    names = lines("targets", "-q", "ane")
    assert "coreml/ane:m4" in names and all(len(name.split()) == 1 for name in names)
    ready = lines("runtimes", "-q")
    assert "onnxruntime/cpu" in ready and all(len(name.split()) == 1 for name in ready)
    assert any("runs onnx models" in line for line in lines("runtimes", "-v"))


def test_explain_leaves_out_sources_or_adds_the_cases() -> None:
    brief = "\n".join(lines("explain", "stride-over-18", "-t", "coreml/ane", "-q"))
    assert "source:" not in brief and "reason:" not in brief and "supported:" in brief
    assert "case, not supported: " in "\n".join(lines("explain", "stride-over-18", "-t", "coreml/ane", "-v"))


def test_fix_says_the_outcome_or_everything(tmp_path: Path) -> None:
    options = ["fix", MODEL, "-t", "onnxruntime/qnn", "-o", tmp_path / "fixed.onnx"]
    brief, usual, full = (lines(*options, *option, code=None) for option in (["-q"], [], ["-v"]))
    cut = {line for line in usual if line.endswith("...")}
    assert len(brief) == 3 and set(brief) < set(usual) and set(usual) - cut <= set(full)


def test_releases_says_the_table_or_every_operator() -> None:
    options = ["releases", MODEL, "-t", "onnxruntime/qnn", "--fail-on", "never"]
    brief, usual, full = (lines(*options, *option) for option in (["-q"], [], ["-v"]))
    assert brief == usual[: len(brief)] and len(brief) < len(usual) <= len(full)


@pytest.mark.parametrize(
    "command",
    [
        ["check", MODEL, "-t", "qnn"],
        ["verify", MODEL, "-t", "onnxruntime/cpu"],
        ["fix", MODEL, "-t", "qnn", "--diff"],
        ["convert", MODEL, "--to", "tflite", "-o", "out"],
        ["releases", MODEL, "-t", "qnn"],
        ["conform", "qnn"],
        ["targets"],
        ["rules"],
        ["explain", "Conv"],
        ["runtimes"],
    ],
    ids=lambda command: command[0],
)
def test_both_contradict_each_other(command: list[object]) -> None:
    result = accelint(*command, "-q", "-v")
    assert result.returncode == 2 and "contradict each other" in result.stderr


def recorded(tmp_path: Path) -> Path:
    """Some models of the answers that ONNX Runtime's NNAPI provider gave."""
    with gzip.open(
        ROOT / "fixtures" / "recorded" / "onnxruntime_nnapi.json.gz", "rt", encoding="utf-8"
    ) as file:
        answers = json.load(file)
    some = dict(list(answers.items())[:120])
    path = tmp_path / "nnapi.json"
    path.write_text(json.dumps(some), encoding="utf-8")
    return path


def test_conform_takes_known_names_and_says_one_line_a_corpus(tmp_path: Path) -> None:
    path = recorded(tmp_path)
    brief, usual, full = (
        lines("conform", TARGET, "--corpus", path, *option) for option in (["-q"], [], ["-v"])
    )
    assert len(brief) == 1 and brief[0] == usual[0] and len(usual) > 1
    assert set(usual) <= set(full)


def test_conform_of_several_targets_or_none_names_them() -> None:
    several = accelint("conform", "coreml")
    assert several.returncode == 2 and "onnxruntime/coreml:mlprogram" in several.stderr
    missed = accelint("conform", "qn")
    assert missed.returncode == 2 and "did you mean qnn" in missed.stderr


@pytest.mark.parametrize(
    "text",
    [
        "", "[1]", "{}", '{"_meta": 1}', '{"_meta": {}, "a.onnx": []}',
        '{"_meta": {}, "a.onnx": {"nodes": 1}}',
        '{"_meta": {}, "a.onnx": {"supported": [[1]], "partitions": []}}',
        '{"_meta": {}, "a.onnx": {"supported": [], "partitions": [["x"]]}}',
        '{"_meta": {}, "a.onnx": {"error": "e", "clamped": 1}}', "[" * 100_000,
    ],
    ids=range(10),
)  # fmt: skip
def test_what_is_no_record_of_answers_is_wrong_usage(text: str, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    result = accelint("conform", TARGET, "--corpus", path)
    assert result.returncode == 2 and "no record of a provider's answers" in result.stderr


def test_an_empty_path_is_not_this_folder(tmp_path: Path) -> None:
    result = accelint("check", "", "-t", "qnn", cwd=tmp_path)
    assert result.returncode == 2 and "is empty" in result.stderr


def test_corpora_of_one_name_keep_their_figures_apart(tmp_path: Path) -> None:
    for place in ("first", "second"):
        (tmp_path / place).mkdir()
        recorded(tmp_path / place)
    one, two = (next((tmp_path / place).iterdir()) for place in ("first", "second"))
    out = tmp_path / "figures.json"
    printed = lines(
        "conform", TARGET, "-q", "--corpus", one, "--corpus", two, "--corpus", one, "--output", out
    )
    labels = [f"first/{one.name}", f"second/{two.name}"]
    assert [line.partition(":")[0] for line in printed] == labels
    assert list(json.loads(out.read_text())["corpora"]) == labels
