"""The TensorFlow models that are too large to commit, built once per test run in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FIXTURES = ROOT / "fixtures" / "tf"

needs_tensorflow = pytest.mark.skipif(
    find_spec("tensorflow") is None, reason="needs tensorflow: pip install 'accelint[tensorflow]'"
)


@cache
def built(base: Path) -> Path:
    """A folder with everything that ``fixtures/make_tf.py --all`` makes."""
    folder = base / "tensorflow-models"
    if not (folder / "done").exists():
        subprocess.run(
            [sys.executable, str(ROOT / "fixtures" / "make_tf.py"), "--all", str(folder)],
            check=True,
            capture_output=True,
        )
        (folder / "done").touch()
    return folder
