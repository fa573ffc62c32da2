"""The packaged extension in VS Code's own extension host, driven as a person does it, in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import vscode_host
from cli import ROOT
from test_vscode import extension, here

pytestmark = [
    pytest.mark.skipif(vscode_host.command() is None, reason="VS Code is not here: make vscode"),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium (apt)"),
    here,
]
CONFIG = 'models = ["traced.onnx"]\ntargets = ["onnxruntime/qnn:sm8650"]\n[gates]\nmax-partitions = 1\n'
PATIENCE = 90_000
"""Milliseconds for what a machine that is busy may take."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of a user's: code, the model that it exported, and what is asked of it."""
    found = tmp_path_factory.mktemp("workspace")
    for name in ("net.py", "traced.onnx"):
        shutil.copy(ROOT / "fixtures" / "traced" / name, found / name)
    (found / "accelint.toml").write_text(CONFIG)
    return found


@pytest.fixture(scope="module")
def address(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where VS Code serves the workspace, with the extension installed from its package."""
    home = tmp_path_factory.mktemp("vscode")
    package = extension(tmp_path_factory.mktemp("extension") / "vscode")
    assert zipfile.is_zipfile(package)
    tool = home / "accelint"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m accelint "$@"\n')
    tool.chmod(0o755)
    settings = {"accelint.path": str(tool), "workbench.startupEditor": "none", "chat.disableAIFeatures": True}
    for place in ("Machine", "User"):
        (home / place).mkdir()
        (home / place / "settings.json").write_text(json.dumps(settings))
    start = [*(vscode_host.command() or []), "--config", str(home / "config.yaml")]
    start += ["--user-data-dir", str(home), "--extensions-dir", str(home / "extensions")]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home)}
    done = subprocess.run(
        [*start, "--install-extension", str(package)],
        env=environment, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert "was successfully installed" in done.stdout, done.stdout + done.stderr
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["--auth", "none", "--bind-addr", f"127.0.0.1:{port}"]
    words += ["--disable-telemetry", "--disable-update-check", "--disable-workspace-trust"]
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [*start, *words, str(workspace)], env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _until_served(port, home / "log")
        yield f"http://127.0.0.1:{port}/?folder={workspace}"
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


def _until_served(port: int, log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        found = browser.new_page(viewport={"width": 1400, "height": 900})
        found.set_default_timeout(PATIENCE)
        found.goto(address)
        found.wait_for_selector(".monaco-workbench")
        yield found
        browser.close()


def test_findings_are_among_the_problems(page: Any) -> None:
    problems = page.locator("#status\\.problems")
    page.wait_for_function("() => /[1-9]/.test(document.getElementById('status.problems')?.innerText ?? '')")
    problems.click()
    page.get_by_text("traced.onnx: onnxruntime/qnn:sm8650: 4 partitions, at most 1 allowed").wait_for()
    panel = page.locator(".markers-panel")
    panel.get_by_text(re.compile("has no Det")).first.wait_for()
    assert "net.py" in panel.inner_text()


def test_a_finding_leads_to_its_line_which_is_underlined(page: Any) -> None:
    page.locator(".markers-panel").get_by_text(re.compile("has no Sinh")).first.dblclick()
    page.locator(".squiggly-warning").nth(1).wait_for()
