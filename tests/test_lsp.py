"""``accelint lsp`` as editors meet it: pygls's client over pipes, and headless Neovim."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import onnx
import pytest
from cli import ROOT, accelint
from lsp_client import Editor, editor
from lsprotocol import types

QNN, NNAPI = "onnxruntime/qnn:sm8650", "onnxruntime/nnapi"
TRACED = ROOT / "fixtures" / "traced"
CONFIG = f"""models = ["*.onnx", "gone.onnx"]
targets = ["{QNN}", "{NNAPI}"]

[gates]
max-partitions = 1

[target."*/nnapi"]
max-partitions = 9
min-coverage = "95%"
"""
SINH, DET = 15, 16
"""Lines of net.py, from 0 on."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A model with the line of each operator, its code, and a configuration that names it."""
    for name in ("net.py", "traced.onnx"):
        shutil.copy(TRACED / name, tmp_path)
    (tmp_path / "accelint.toml").write_text(CONFIG)
    return tmp_path


def edited(work: Callable[[Editor], Coroutine[Any, Any, None]], folder: Path, **more: Any) -> None:
    """Do something in an editor that has a folder open."""

    async def main() -> None:
        async with editor(folder, **more) as client:
            await work(client)

    asyncio.run(main())


def test_findings_gates_and_unreadable_models_stand_at_their_lines(project: Path) -> None:
    config, code = project / "accelint.toml", project / "net.py"

    async def work(client: Editor) -> None:
        await client.until(lambda: client.at(code))
        (sinh, other) = client.at(code, SINH)
        assert sinh.startswith(f"{QNN}: 3 operators: ") and "no Sinh (x3)" in sinh and NNAPI in other
        assert "no Det" in client.at(code, DET)[0]
        found = next(item for item in client.diagnostics[code] if item.range.start.line == SINH)
        line = code.read_text().splitlines()[SINH]
        assert line[found.range.start.character : found.range.end.character] == "x = torch.sinh(x * 0.1)"
        assert (found.code, found.source) == ("ACL201", "accelint")
        assert found.severity is types.DiagnosticSeverity.Warning
        (models,) = client.at(config, 0)
        assert "gone.onnx" in models
        spot = next(item.range for item in client.diagnostics[config] if item.range.start.line == 0)
        assert CONFIG.splitlines()[0][spot.start.character : spot.end.character] == '"gone.onnx"'
        assert client.at(config, 4) == [f"traced.onnx: {QNN}: 4 partitions, at most 1 allowed"]
        assert client.at(config, 7) == []
        assert client.at(config, 8) == [f"traced.onnx: {NNAPI}: coverage by ops is 60.0%, required: 95.0%"]
        kinds = [value["kind"] for value in client.progress]
        assert kinds == ["begin", "end"] and "checking" in client.progress[0]["title"]

    edited(work, project)


def test_a_configuration_is_checked_while_it_is_written(project: Path) -> None:
    config = project / "accelint.toml"

    async def work(client: Editor) -> None:
        client.opened(config)
        await client.until(lambda: client.at(config))
        wrong = (
            CONFIG.replace("max-partitions = 9", "max-partition = 9") + '"zürich" = 1\n[[ignore]]\ncode = 3\n'
        )

        def write(text: str) -> None:
            about = types.VersionedTextDocumentIdentifier(2, config.as_uri())
            whole = types.TextDocumentContentChangeWholeDocument(text)
            client.text_document_did_change(types.DidChangeTextDocumentParams(about, [whole]))

        write(wrong)
        await client.until(lambda: client.at(config, 7))
        assert client.at(config, 7) == ["target.*/nnapi.max-partition: unknown key; is max-partitions meant?"]
        assert "target.*/nnapi.zürich: unknown key" in client.at(config, 9)[0]
        assert client.at(config, 10) == ["ignore[0].reason is missing", *client.at(config, 10)[1:]]
        assert client.at(config, 11) == ["ignore[0].code has to be text"]
        assert client.at(config, 4), "what the models miss stays while the text is written"
        write(CONFIG + "models = = 1\n")
        await client.until(lambda: any("no valid TOML" in text for text in client.at(config, 9)))
        write(CONFIG)
        await client.until(lambda: not client.at(config, 9))

    edited(work, project)


@pytest.mark.parametrize("watches", [True, False])
def test_what_changes_is_checked_again(project: Path, watches: bool) -> None:
    config, code = project / "accelint.toml", project / "net.py"

    async def work(client: Editor) -> None:
        await client.until(lambda: client.at(code))
        assert bool(client.watched) == watches
        model = onnx.load(project / "traced.onnx")
        for node in model.graph.node:
            node.op_type = "Relu" if node.op_type == "Sinh" else node.op_type
        onnx.save(model, project / "traced.onnx")
        if watches:
            client.changed(project / "traced.onnx")
        await client.until(lambda: not client.at(code, SINH))
        assert client.at(code, DET)
        config.write_text('models = "traced.onnx"\ntargets = ["onnxruntime/cpu"]\n')
        client.saved(config)
        await client.until(lambda: code in client.diagnostics and not client.at(code))
        assert not client.at(config)
        config.write_text('models = "traced.onnx"\ntargets = ["onnxruntime/cpu", "nothing/such"]\n')
        client.saved(config)
        await client.until(lambda: client.at(config, 1))
        assert "nothing/such" in client.at(config, 1)[0]
        place = client.diagnostics[config][0].range.start.character
        assert place == config.read_text().splitlines()[1].index('"nothing')

    edited(work, project, watches=watches)


def test_hover_has_the_table_of_targets_and_explanations(project: Path) -> None:
    config, code = project / "accelint.toml", project / "net.py"

    async def work(client: Editor) -> None:
        await client.until(lambda: client.at(code))
        row = f"| traced.onnx | {QNN} | partial | 60% | 4 | 2 |"
        told = await client.hover(config, 0, 12)
        assert row in told and f"| {NNAPI} |" in told
        told = await client.hover(config, 1, 14)
        assert row in told and NNAPI not in told
        assert NNAPI in await client.hover(config, 6, 12)
        assert "at most this many partitions" in await client.hover(config, 4, 2)
        assert await client.hover(config, 2, 0) == ""
        told = await client.hover(code, DET, 12)
        assert row in told and "ACL201 operator-unsupported" in told and "Why it matters" in told
        assert await client.hover(code, 0, 0) == ""

    edited(work, project)


def test_actions_fix_a_model_and_ignore_a_finding(project: Path) -> None:
    config, code, fixed = (project / name for name in ("accelint.toml", "net.py", "traced.fixed.onnx"))
    before = (project / "traced.onnx").read_bytes()

    async def work(client: Editor) -> None:
        await client.until(lambda: client.at(code))
        offered = {item.title: item for item in await client.actions(code, SINH)}
        title = f"accelint: fix traced.onnx for {NNAPI} with approximations: writes traced.fixed.onnx"
        assert title in offered, list(offered)
        command = offered[title].command
        assert command is not None and command.arguments
        with pytest.raises(Exception, match="no finding offers that fix"):
            foreign = {**command.arguments[0], "words": ["fix", "x", "-o", str(config)]}
            await client.run(types.Command("", command.command, arguments=[foreign]))
        answer = await client.run(command)
        assert answer["written"] == str(fixed), answer
        assert "Sinh" not in {node.op_type for node in onnx.load(fixed).graph.node}
        assert (project / "traced.onnx").read_bytes() == before
        assert any("coverage: partial 60% -> " in text for text in client.messages)
        assert {value["kind"] for value in client.progress} == {"begin", "end"}
        edit = offered[f"accelint: ignore ACL201 operator-unsupported on {QNN} in accelint.toml"].edit
        assert edit is not None and edit.changes is not None
        (change,) = edit.changes[config.as_uri()]
        assert change.range.start.line == len(CONFIG.splitlines())
        config.write_text(CONFIG + change.new_text)
        (entry,) = tomllib.loads(config.read_text())["ignore"]
        assert entry["target"] == QNN and entry["model"] == "traced.onnx" and entry["reason"]
        client.saved(config)
        told = f"{QNN}: 3 operators"
        await client.until(lambda: not any(text.startswith(told) for text in client.at(code)))
        assert any(text.startswith(f"{NNAPI}: 3 operators") for text in client.at(code))

    edited(work, project)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the worker in /proc")
def test_a_worker_that_is_killed_or_hangs_leaves_the_server(project: Path) -> None:
    config, code = project / "accelint.toml", project / "net.py"

    async def work(client: Editor) -> None:
        assert client._server is not None
        threads = Path(f"/proc/{client._server.pid}/task")

        def workers() -> list[int]:
            return [int(word) for file in threads.glob("*/children") for word in file.read_text().split()]

        await client.until(workers)
        os.kill(workers()[0], signal.SIGSTOP)
        assert "at most this many" in await client.hover(config, 4, 2), "answers while a worker hangs"
        os.kill(workers()[0], signal.SIGKILL)
        await client.until(lambda: any("SIGKILL" in text for text in client.at(config)))
        client.saved(config)
        await client.until(lambda: client.at(code))
        assert not any("SIGKILL" in text for text in client.at(config))

    edited(work, project)


def test_a_check_ends_at_its_time_limit(project: Path) -> None:
    async def work(client: Editor) -> None:
        told = "did not finish in 0.05 s"
        await client.until(lambda: any(told in text for text in client.at(project / "accelint.toml")))

    edited(work, project, options=["--timeout", "0.05"])


def test_without_pygls_the_extra_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['pygls'] = None\n"
        "from accelint.analyzer.cli import main\nsys.argv = ['accelint', 'lsp']\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 4
    assert done.stderr == "accelint: accelint lsp needs the package 'pygls': pip install 'accelint[lsp]'\n"


def test_a_check_does_not_import_the_server(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "accelint", "check", "traced.onnx", "-t", QNN],
        cwd=project, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert not re.search(r"\| +(pygls|lsprotocol|mcp|pydantic|tree_sitter|asyncio)", done.stderr)


# ---- Neovim ----------------------------------------------------------------------------------

LUA = """
local wanted = 7
vim.cmd('edit accelint.toml')
local ok = vim.wait(25000, function()
  return #vim.diagnostic.get(nil) >= wanted
end, 100)
local rows = {}
for _, item in ipairs(vim.diagnostic.get(nil)) do
  local name = vim.fn.fnamemodify(vim.api.nvim_buf_get_name(item.bufnr), ':t')
  table.insert(rows, {file = name, line = item.lnum, message = item.message})
end
local clients = {}
for _, client in pairs(vim.lsp.get_active_clients()) do table.insert(clients, client.name) end
vim.fn.writefile({vim.json.encode({ok = ok, rows = rows, clients = clients})}, 'seen.json')
vim.cmd('qa!')
"""


@pytest.mark.skipif(shutil.which("nvim") is None, reason="Neovim is not here: apt install neovim")
def test_neovim_shows_them_with_the_configuration_of_the_docs(project: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "editors.md").read_text()
    found = re.search(r"```lua\n(.*?)```", page, re.DOTALL)
    assert found is not None
    bin = tmp_path / "bin"
    bin.mkdir()
    tool = bin / "accelint"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m accelint "$@"\n')
    tool.chmod(0o755)
    (project / "init.lua").write_text(found[1])
    (project / "drive.lua").write_text(LUA)
    done = subprocess.run(
        ["nvim", "--headless", "-u", "init.lua", "-n", "-i", "NONE", "-c", "luafile drive.lua"],
        cwd=project, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    seen = json.loads((project / "seen.json").read_text()) if (project / "seen.json").is_file() else done
    assert seen["ok"], (seen, done.stderr)
    assert seen["clients"] == ["accelint"]
    on_config = {(row["line"], row["message"]) for row in seen["rows"] if row["file"] == "accelint.toml"}
    assert (4, f"traced.onnx: {QNN}: 4 partitions, at most 1 allowed") in on_config
    on_code = {row["line"] for row in seen["rows"] if row["file"] == "net.py"}
    assert on_code == {SINH, DET}, seen


def test_the_command_is_in_the_help() -> None:
    assert "Language Server Protocol" in accelint("lsp", "--help").stdout
