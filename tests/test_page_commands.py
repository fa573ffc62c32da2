"""Every command on every page is run as somebody pastes it, or the page says why it is not."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import page_commands
import pytest
import typer.main
from accelint.analyzer.cli import COMMANDS, application
from cli import ROOT
from page_commands import Line, every_page, lines, made_by, pages, read_by, spans

ENCODER = "fixtures/demo/encoder.onnx"
MODELS = {
    "model.onnx": ENCODER,
    "old.onnx": ENCODER,
    "new.onnx": ENCODER,
    "model.tflite": "fixtures/tflite/conv_net.tflite",
}
REPORTS = ("last-week.json", "today.json")
"""With the models, files that pages name as a reader's own."""
LISTS = ("targets", "rules", "explain", "schema", "runtimes", "config")
"""Commands that need no model: they are run also where a sentence names them."""
NAMES = ("accelint runtimes add", "accelint explain")
"""The name of a command that needs more words, in a sentence about it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has: a checkout's fixtures, models of his own, and two reports."""
    found = tmp_path_factory.mktemp("pages")
    (found / "bin").mkdir()
    script = found / "bin" / "accelint"
    script.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-m", "accelint"])} "$@"\n')
    script.chmod(0o755)
    (found / "fixtures").symlink_to(ROOT / "fixtures")
    shutil.copytree(ROOT / "fixtures" / "onnx", found / "models")
    for name, model in MODELS.items():
        shutil.copy(ROOT / model, found / name)
    for name in REPORTS:
        run(f"accelint check model.onnx --target qnn --format json --output {name}", found)
    return found


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The line as somebody pastes it."""
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env={**os.environ, "PATH": path, "COLUMNS": "200"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


DONE: dict[str, str] = {}
"""What each line printed: the same line on another page is not run again."""


def works(line: Line, folder: Path) -> None:
    if line.text not in DONE:
        done = run(line.text, folder)
        assert done.returncode in (0, 1), (line.text, done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, done.stderr
        DONE[line.text] = done.stdout + done.stderr
        missing = [name for name in made_by(line.text) if not (folder / name).exists()]
        assert not missing, (line.text, DONE[line.text])
    assert line.prints in " ".join(DONE[line.text].split()), (line.text, line.prints, DONE[line.text])


@pytest.mark.parametrize("page", [page for page in pages() if any(not line.why for line in lines(page))])
def test_the_commands_of_a_page_work(page: str, folder: Path) -> None:
    for line in lines(page):
        if not line.why:
            works(line, folder)


@pytest.mark.parametrize("page", pages())
def test_a_page_makes_the_files_that_its_commands_read(page: str) -> None:
    there = {*MODELS, *REPORTS}
    for line in lines(page):
        for name in read_by(line.text):
            known = name in there or name.startswith("models") or any(ROOT.glob(name))
            assert line.why or known, f"{line.text}: nothing before it makes {name}"
        there.update(made_by(line.text))


def test_the_commands_within_sentences_work(folder: Path) -> None:
    """Those without a placeholder, of what lists and explains."""
    found = {
        text
        for page in pages()
        for text in spans(page)
        if text.split()[1] in LISTS and text == text.lower() and text not in NAMES
    }
    assert len(found) > 8
    for text in sorted(found):
        works(Line(text), folder)


@cache
def options(command: str) -> frozenset[str]:
    """The options of a command, those of its own commands included."""
    tool = typer.main.get_command(application())
    found, left = set(), [tool.commands[command]]  # type: ignore[attr-defined]
    while left:
        one = left.pop()
        left += getattr(one, "commands", {}).values()
        found |= {word for item in one.params for word in (*item.opts, *item.secondary_opts)}
    return frozenset(found) | {"--help", "-h"}


@pytest.mark.parametrize("page", every_page())
def test_commands_and_options_that_a_page_names_exist(page: str) -> None:
    for text in [*spans(page), *(line.text for line in lines(page))]:
        words = text[text.index("accelint") :].split()[1:]
        if words[0].startswith("-"):
            continue
        assert words[0] in COMMANDS, text
        given = [word.partition("=")[0].rstrip(",") for word in words if word.startswith("-") and word != "-"]
        assert set(given) <= options(words[0]), (text, set(given) - options(words[0]))


def test_each_way_of_marking_is_read() -> None:
    text = (
        "# A\n\n<!-- not run: needs a device -->\n\n    accelint verify m.onnx --target x\n\nThen\n\n"
        "    accelint check m.onnx \\\n      --target y\n\n<!-- prints: 3 of 4 -->\n\n"
        "```\n$ accelint check n.onnx\n```\n\n```yaml\nargs: accelint check n.onnx\n```\n"
    )
    found = page_commands._lines(text)
    assert [line.why for line in found] == ["needs a device", "", ""]
    assert [line.prints for line in found] == ["", "3 of 4", ""]
    assert found[2].text == "accelint check n.onnx"


def test_few_commands_are_not_run() -> None:
    marked = [(page, line.why) for page in pages() for line in lines(page) if line.why]
    run_here = [line for page in pages() for line in lines(page) if not line.why]
    assert len(marked) * 4 < len(run_here), marked
