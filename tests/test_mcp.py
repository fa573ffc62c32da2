"""``accelint mcp`` as assistants meet it: the mcp package's own client over pipes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import onnx
import pytest
from cli import ROOT
from forms_models import big, hostile
from mcp import Client, StdioServerParameters

QNN = "onnxruntime/qnn:sm8650"
TRACED = ROOT / "fixtures" / "traced"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("net.py", "traced.onnx"):
        shutil.copy(TRACED / name, tmp_path)
    return tmp_path


def asked(work: Callable[[Client], Coroutine[Any, Any, None]], root: Path, *options: str) -> None:
    """Do something with a client of a server in a folder."""
    words = ["-m", "accelint", "mcp", "--root", str(root), *options]

    async def main() -> None:
        async with Client(
            StdioServerParameters(command=sys.executable, args=words, env={**os.environ})
        ) as client:
            await work(client)

    asyncio.run(main())


async def call(client: Client, tool: str, **arguments: Any) -> tuple[bool, str]:
    """Whether a call was answered, and what was said; no answer is long."""
    result: Any = await client.call_tool(tool, arguments)
    (said,) = result.content
    assert len(said.text) < 21_000
    return not result.is_error, said.text


def test_models_are_checked_explained_and_fixed(project: Path) -> None:
    async def work(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert {"check", "explain", "fix", "targets", "releases", "recommend"} <= set(tools)
        assert all(tool.description for tool in tools.values())
        assert [name for name, tool in tools.items() if not tool.annotations.read_only_hint] == ["fix"]
        good, said = await call(client, "check", models=["*.onnx"], targets=["qnn"])
        (model,) = json.loads(said)["models"]
        (row,) = model["targets"]
        assert good and (row["verdict"], row["partitions"]) == ("partial", 4)
        assert row["coverage"]["operators"] == 0.6
        cause = row["root_causes"][0]
        assert (cause["code"], cause["count"]) == ("ACL201", 3) and "no Sinh" in cause["message"]
        assert cause["made_at"] == f"{project}/net.py:16"
        good, said = await call(client, "explain", what="Resize", target="onnxruntime/nnapi")
        assert good and said.startswith("Resize on onnxruntime/nnapi")
        good, said = await call(client, "targets", name="pixel-9")
        assert good and "litert/gpu" in said
        good, said = await call(client, "releases", model="traced.onnx", target="onnxruntime/cpu")
        assert good and "1.30" in said
        good, said = await call(client, "recommend", model="traced.onnx", devices=["qnn", "pixel-9"])
        assert good and said.startswith("traced.onnx: ") and "onnxruntime/qnn:sm8650" in said
        good, said = await call(client, "fix", model="traced.onnx", target=QNN, approximate=True)
        assert good and "coverage: partial 60% -> " in said and "written: traced.fixed.onnx" in said
        fixed = onnx.load(project / "traced.fixed.onnx")
        assert "Sinh" not in {node.op_type for node in fixed.graph.node}

    asked(work, project)


def test_hostile_paths_names_and_sizes(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    shutil.copy(TRACED / "traced.onnx", outside / "secret.onnx")
    (project / "link.onnx").symlink_to(outside / "secret.onnx")
    (project / "notes.txt").write_text("kept")
    (project / "bad.onnx").write_bytes(b"\x08\xff" * 100)
    hostile(project / "hostile.onnx")
    big(project / "big.onnx", count=4000, lines=3000)
    before = (project / "traced.onnx").read_bytes()

    async def work(client: Client) -> None:
        secret = str(outside / "secret.onnx")
        for path in ("../x.onnx", secret, "link.onnx", "/etc/passwd", "a/../../x", "", "a\0b"):
            good, said = await call(client, "check", models=[path], targets=["qnn"])
            assert not good and "Traceback" not in said and "verdict" not in said, (path, said)
        odd = ["-", "--help", "gone.onnx", "x" * 200, "*.onnx"]
        good, said = await call(client, "check", models=odd, targets=["qnn", "nnapi"])
        assert good and said.isprintable(), said
        models = {Path(model["path"]).name: model for model in json.loads(said)["models"]}
        assert models["traced.onnx"]["targets"] and not models["link.onnx"]["targets"]
        assert "leads out of" in models["link.onnx"]["errors"][0]
        assert all(models[name]["errors"] for name in ("-", "--help", "gone.onnx", "bad.onnx", "x" * 200))
        assert all("root_causes_left_out" in row for row in models["big.onnx"]["targets"])
        good, said = await call(client, "check", models=["x" * 5000], targets=["qnn"])
        assert "Traceback" not in said and "verdict" not in said
        good, said = await call(client, "check", models=["traced.onnx"], targets=["--help"])
        assert not good and "--help" in said
        good, said = await call(client, "explain", what="--help")
        assert not good and "unknown name" in said
        for output in ("traced.onnx", "notes.txt", "../y.onnx", str(outside / "y.onnx"), "new.txt"):
            good, said = await call(client, "fix", model="traced.onnx", target=QNN, output=output)
            assert not good, (output, said)
        good, said = await call(client, "check", models=["x"] * 1000, targets=["qnn"])
        assert not good and "at most 20 models" in said
        good, said = await call(client, "check", models=["traced.onnx"], targets=["qnn"])
        assert good, "the server goes on"

    asked(work, project)
    assert (project / "traced.onnx").read_bytes() == before
    assert (project / "notes.txt").read_text() == "kept" and not list(outside.glob("y*"))


def test_what_takes_too_long_is_an_answer(project: Path) -> None:
    async def work(client: Client) -> None:
        good, said = await call(client, "check", models=["traced.onnx"], targets=["qnn"])
        assert not good and "did not finish in 0.05 s" in said

    asked(work, project, "--timeout", "0.05")


def test_without_mcp_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['mcp'] = None\n"
        "from accelint.analyzer.cli import main\nsys.argv = ['accelint', 'mcp']\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 4
    assert done.stderr == "accelint: accelint mcp needs the package 'mcp': pip install 'accelint[mcp]'\n"
