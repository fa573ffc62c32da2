"""What a command does not need is not imported, and not worked out, before it ends."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from cli import ROOT, accelint

FIXTURES = ROOT / "fixtures"


def imported(*words: str) -> set[str]:
    """Modules that a command imports."""
    code = (
        "import sys; from accelint.analyzer.cli import main\n"
        "sys.argv = ['accelint', *sys.argv[1:]]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=120)
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("target", ["onnxruntime/qnn", "onnxruntime/nnapi", "onnxruntime/cpu"])
def test_a_check_of_small_constants_imports_no_numpy(target: str) -> None:
    """Rules read limits, pads, shapes and axes: numbers that need no arrays."""
    model = FIXTURES / "demo" / "encoder.onnx"
    found = imported("check", str(model), "--target", target, "--format", "json")
    assert "accelint.analyzer.formats.onnx.reader" in found, "the model was not read"
    assert not {"numpy", "networkx", "rich", "onnx"} & found


def test_a_command_imports_its_own_options_only() -> None:
    found = imported("targets", "qnn")
    assert "accelint.analyzer.cli.catalogue" in found
    assert not {f"accelint.analyzer.cli.{name}" for name in ("check", "fix", "verify", "conform")} & found


def test_every_command_is_found_by_its_name() -> None:
    code = (
        "import typer; from accelint.analyzer.cli import COMMANDS, application\n"
        "assert set(typer.main.get_command(application()).commands) == set(COMMANDS)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    for name in ("check", "convert", "runtimes", "schema"):
        assert f"accelint {name}" in accelint(name, "--help").stdout.replace("python -m accelint", "accelint")


def test_the_table_of_attributes_is_what_onnx_declares() -> None:
    path = ROOT / "tools" / "derive" / "onnx_attributes.py"
    spec = importlib.util.spec_from_file_location("onnx_attributes", path)
    assert spec is not None and spec.loader is not None
    derive = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(derive)
    assert Path(derive.TARGET).read_text(encoding="utf-8") == derive.text(), f"run {path.relative_to(ROOT)}"
