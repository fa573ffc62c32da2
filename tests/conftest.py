"""What tests share: the helpers beside them, the benchmarks' models and the tools are importable by name."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = (
    "tests",
    "benchmarks",
    "tools/derive",
    "tools/conformance",
    "tools/models",
    "tools/docs",
    "tools/dev",
)
sys.path[:0] = [str(ROOT / folder) for folder in FOLDERS]
