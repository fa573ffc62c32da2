"""Node data in Model Explorer itself: its server, its adapters and its page, in a browser."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import exporters
import pytest
from cli import ROOT, accelint

EXPLORER = exporters.python("explorer")
pytestmark = [
    pytest.mark.skipif(EXPLORER is None, reason="Model Explorer is not here: make exporters"),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium (apt)"),
]
FLAGS = ("--no-sandbox", "--use-gl=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
"""Its page draws by WebGL."""
MODELS = {"demo/denoiser.tflite": "litert/gpu", "traced/traced.onnx": "onnxruntime/qnn:sm8650"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        yield found
        found.close()


def address(model: Path, data: Path, folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Its server with a model and node data, and where it serves them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "log"
    words = [model, f"--node_data_paths={data}", "--no_open_in_browser", "--port", port]
    words += ["--extensions", "model_explorer_onnx"]
    with log.open("w") as stream:
        server = subprocess.Popen(
            [str(EXPLORER), "-u", "-m", "model_explorer", *map(str, words)], stdout=stream, stderr=stream
        )
    end = time.monotonic() + 90
    while time.monotonic() < end:
        found = re.search(r"^http://\S+", log.read_text(), re.M)
        if found:
            return server, found[0]
        time.sleep(0.2)
    server.kill()
    raise AssertionError(log.read_text())


@pytest.mark.parametrize("name", MODELS)
def test_the_page_shows_every_nodes_verdict(browser: Any, name: str, tmp_path: Path) -> None:
    data = tmp_path / "data.json"
    accelint("check", ROOT / "fixtures" / name, "-t", MODELS[name], "-f", "model-explorer", "-o", data)
    [(_, told)] = json.loads(data.read_text()).items()
    server, url = address(ROOT / "fixtures" / name, data, tmp_path)
    try:
        page = browser.new_page(viewport={"width": 1400, "height": 2400})
        page.set_default_timeout(90_000)
        page.goto(url)
        page.get_by_text(told["name"]).first.wait_for()
        values = sorted(row["value"] for row in told["results"].values())
        assert len(set(values)) > 1
        for value in set(values):
            page.get_by_text(value, exact=True).first.wait_for()
        text = page.inner_text("body").splitlines()
        found = sorted(part for line in text for part in line.split("\t") if part in set(values))
        assert found == values
        page.close()
    finally:
        server.kill()
        server.wait(30)
