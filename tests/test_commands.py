"""Commands that a report prints: on one line, quoted for a shell, and each of them does what it says."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from accelint.analyzer.check.coverage import Entry
from accelint.analyzer.conform.corpora import corpus
from accelint.analyzer.flows.check_file import check_file
from accelint.analyzer.report.commands import commands, quoted
from accelint.rules.registry import choose
from cli import ROOT, accelint, report
from onnx import TensorProto, helper
from rewrite_models import onnx_bytes

FIXTURES = ROOT / "fixtures"
QNN, GPU = "onnxruntime/qnn:sm8650", "litert/gpu"
TROUBLED = """g (float[2,3,4,6] q, float[2,3,6,5] k) => (float[2,3,4,5] y) <int64 axis={3}> {
  s = Einsum<equation="...ij,...jk->...ik">(q, k)
  y = CumSum<exclusive=1>(s, axis)
}"""
BATCHED = "g (float[batch,3] x) => (float[batch,3] y) { y = Tanh(x) }"
UNSAFE = "g (float[2,3] x) => (float[2,3] y) { y = Sinh(x) }"
PACK = """
[pack]
target = "onnxruntime/qnn"
extends = "onnxruntime_qnn"
version = "2.7.0"
releases = ["2.6.0"]
date = "2026-11-22"
"""


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The line as somebody pastes it into a shell, where ``accelint`` is this one."""
    tool = shlex.join([sys.executable, "-m", "accelint"])
    script = f'accelint() {{ {tool} "$@"; }}\n{line}\n'
    paths = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", "")]))
    return subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        errors="replace",
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        timeout=300,
        check=False,
    )


def works(line: str, folder: Path) -> None:
    """The command ends well, or says that nothing is accelerated still or that the reference runtime cannot
    run the model; its output is there.
    """
    assert line.isprintable()
    assert "\n" not in line
    before = set(folder.iterdir())
    result = run(line, folder)
    unproved = result.returncode == 5 and "changes were not proved" in result.stderr
    assert unproved or result.returncode in (0, 1), (line, result.returncode, result.stdout, result.stderr)
    made = set(folder.iterdir()) - before
    assert made, (line, result.stdout)
    for path in made:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize("word", ["plain", "a b", "it's", "$HOME", "a\nb", "\x1b[31m", "‮x", "*?", "-x", ""])
def test_a_shell_takes_a_quoted_word_apart_as_it_was(word: str, tmp_path: Path) -> None:
    shown = quoted(word)
    assert shown.isprintable()
    assert run(f"printf %s {shown} | od -An -tx1", tmp_path).stdout.split() == [
        f"{byte:02x}" for byte in os.fsencode(word)
    ]


NAMES = ["plain.onnx", "with space.onnx", "it's $HOME.onnx", "two\nlines.onnx", "-dash.onnx", "‮turned.onnx"]


@pytest.mark.parametrize("name", NAMES)
def test_a_fix_line_works_whatever_the_model_is_called(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / name).write_bytes(onnx_bytes(TROUBLED))
    given = f"./{name}" if name.startswith("-") else name
    result = accelint("check", given, "--target", QNN, cwd=folder)
    lines = re.findall(r"^ +fix: (.*)$", result.stdout, re.M)
    assert lines
    assert {line.split()[:2] == ["accelint", "fix"] for line in lines} == {True}
    for line in sorted(set(lines)):
        works(line, folder)


def test_a_line_stays_whole_on_a_narrow_terminal(tmp_path: Path) -> None:
    import pty

    path = tmp_path / f"{'long-' * 20}name.onnx"
    path.write_bytes(onnx_bytes(TROUBLED))
    main, other = pty.openpty()
    command = [sys.executable, "-m", "accelint", "check", str(path), "--target", QNN]
    environment = {**os.environ, "COLUMNS": "60", "TERM": "dumb", "NO_COLOR": "1"}
    process = subprocess.Popen(command, stdout=other, stderr=subprocess.DEVNULL, env=environment)
    os.close(other)
    shown = b""
    try:
        while chunk := os.read(main, 4096):
            shown += chunk
    except OSError:  # the end of a pseudo-terminal
        pass
    os.close(main)
    process.wait(60)
    text = shown.decode().replace("\r\n", "\n")
    assert re.search(r"^ +fix: accelint fix .*-name\.onnx --target \S+ -o \S+\.fixed\.onnx$", text, re.M), (
        text
    )


def test_a_batch_is_frozen_by_the_command_and_other_sizes_are_the_users(tmp_path: Path) -> None:
    batched, sized = tmp_path / "batched.onnx", tmp_path / "sized.onnx"
    batched.write_bytes(onnx_bytes(BATCHED))
    sized.write_bytes(onnx_bytes(BATCHED.replace("batch,3", "batch,steps")))
    found = report("check", batched, "--target", QNN)["models"][0]["targets"][0]
    assert "--freeze x=1x3" in found["commands"]["freeze"]
    assert "advice" not in found
    works(found["commands"]["freeze"], tmp_path)
    other = report("check", sized, "--target", QNN)["models"][0]["targets"][0]
    assert "freeze" not in other.get("commands", {})
    assert "steps" in other["advice"]
    text = accelint("check", sized, "--target", QNN).stdout
    assert "fix: accelint" not in text
    assert "(steps)" in text


def test_names_of_inputs_are_quoted_too(tmp_path: Path) -> None:
    path = tmp_path / "odd.onnx"
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4]) for name in ("-in put;$x", "y")]
    graph = helper.make_graph([helper.make_node("Tanh", ["-in put;$x"], ["y"])], "g", value[:1], value[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    works(report("check", path, "--target", QNN)["models"][0]["targets"][0]["commands"]["freeze"], tmp_path)


def test_a_command_says_all_that_was_asked_for(tmp_path: Path) -> None:
    """A pack of the user's, another release, and the level that the rewrite needs."""
    path, pack = tmp_path / "m.onnx", tmp_path / "my pack.toml"
    pack.write_text(PACK)
    path.write_bytes(onnx_bytes(UNSAFE))
    found = report("check", path, "--target", f"{QNN}@2.6.0", "--pack", pack)["models"][0]["targets"][0]
    assert {item["fix_level"] for item in found["findings"]} == {"unsafe"}
    assert set(found["commands"]) == {"fix_unsafe"}
    words = shlex.split(found["commands"]["fix_unsafe"])
    assert words[words.index("--pack") + 1] == str(pack)
    assert words[words.index("--target") + 1] == f"{QNN}@2.6.0"
    assert words[words.index("--fix-level") + 1] == "unsafe"
    works(found["commands"]["fix_unsafe"], tmp_path)


def test_a_fix_line_appears_only_where_the_rewrite_matches(tmp_path: Path) -> None:
    """A diagonal is an Einsum that no MatMul computes: the type that the rewrite speaks of, and no fix."""
    diagonal = 'g (float[3,3] a) => (float[3] y) { y = Einsum<equation="ii->i">(a) }'
    fixes = {}
    for name, text in {"yes": TROUBLED, "no": diagonal}.items():
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(onnx_bytes(text))
        found = report("check", path, "--target", QNN)["models"][0]["targets"][0]
        kinds = {op["id"]: op["type"] for op in found["operators"]}
        fixes[name] = {item["fix"] for item in found["findings"] if kinds[item["operator"]] == "Einsum"}
        assert ("commands" in found) == (name == "yes")
    assert fixes == {"yes": {"einsum-to-matmul"}, "no": {None}}


# ---- over a corpus ---------------------------------------------------------------------------

CORPORA = [
    *((path, QNN) for path in sorted((FIXTURES / "onnx").glob("*.onnx"))),
    *((path, GPU) for path in sorted((FIXTURES / "tflite").glob("*.tflite"))),
    (FIXTURES / "demo" / "denoiser.tflite", GPU),
]
SAMPLES = {"onnx": (QNN, ".onnx"), "tflite": (GPU, ".tflite")}
SAMPLE = 300
"""Generated models of each dialect that are looked at; one is run for each rewrite."""


def lines_of(entry: Entry) -> dict[str, str]:
    assert entry.error is None, entry.error
    return commands(entry, entry.coverages[0])


@pytest.mark.parametrize(("path", "target"), CORPORA, ids=lambda item: getattr(item, "name", ""))
def test_the_commands_of_the_fixtures_work(path: Path, target: str, tmp_path: Path) -> None:
    for line in lines_of(check_file(path, [choose(target)])).values():
        works(line, tmp_path)


@pytest.mark.parametrize("dialect", SAMPLES)
def test_the_commands_of_generated_models_work(dialect: str, tmp_path: Path) -> None:
    target, suffix = SAMPLES[dialect]
    chosen, seen = choose(target), set()
    for item in corpus(dialect, "generated", limit=SAMPLE):
        assert item.data is not None
        path = tmp_path / f"{len(seen)}{suffix}"
        path.write_bytes(item.data)
        entry = check_file(path, [chosen])
        found = {(finding.fix, finding.safe) for finding in entry.coverages[0].findings} - seen
        lines = lines_of(entry)
        if not lines or not any(fix for fix, _ in found):
            continue
        seen |= found
        for line in lines.values():
            works(line, tmp_path)
    assert len({fix for fix, _ in seen if fix}) >= 5
