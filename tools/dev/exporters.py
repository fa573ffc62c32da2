"""Build the environments in which the tests export models of PyTorch and JAX, and that of Model Explorer,
which reads node data: ``python exporters.py``.

They lie in the user's cache folder, apart from accelint's own environment, as a user's project would. What
is there with the same pins stays; what cannot be built is skipped by the tests.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import platformdirs

PINS = {
    "torch": ("torch==2.13.0", "onnx==1.23.2", "onnxscript==0.7.2", "onnx-ir==1.1.0"),
    "explorer": ("ai-edge-model-explorer==0.1.34", "model-explorer-onnx==0.4.2", "onnx==1.23.2"),
    "jax": ("jax==0.10.2", "flax==0.12.8", "jax2onnx==0.17.1", "onnx==1.23.2"),
}
IMPORTED = {"explorer": "model_explorer"}
"""What is imported to see that an environment works, where it is not called as the environment."""
STAMP = "exporters.json"
PATIENCE = 300
"""Seconds for each step: from a far index, PyTorch is gigabytes, and nobody waits for them to run tests."""


def folder(name: str) -> Path:
    """Of one environment."""
    return Path(platformdirs.user_cache_dir("accelint", appauthor=False)) / "exporters" / name


def python(name: str) -> Path | None:
    """The interpreter of a finished environment with these pins, else None."""
    home = folder(name)
    try:
        same = json.loads((home / STAMP).read_text(encoding="utf-8")) == list(PINS[name])
    except (OSError, ValueError):
        return None
    return home / "bin" / "python" if same else None


def build(name: str) -> bool:
    """Whether it could be built."""
    home = folder(name)
    own = home / "bin" / "python"
    commands = [
        [sys.executable, "-m", "venv", "--clear", str(home)],
        [str(own), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PINS[name]],
        [str(own), "-c", f"import {IMPORTED.get(name, name)}"],
    ]
    try:
        if any(subprocess.run(command, check=False, timeout=PATIENCE).returncode for command in commands):
            return False
    except subprocess.TimeoutExpired:
        return False
    (home / STAMP).write_text(json.dumps(PINS[name]), encoding="utf-8")
    return True


if __name__ == "__main__":
    for wanted in PINS:
        if python(wanted) is None and not build(wanted):
            print(f"{wanted}: not here, its tests are skipped")
