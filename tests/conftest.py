"""What tests share: the helpers beside them, the benchmarks' models and the tools are importable by name."""

from __future__ import annotations

import signal
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

for _name in ("SIGHUP", "SIGQUIT"):
    if hasattr(signal, _name):
        signal.signal(getattr(signal, _name), signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell's background job and ``nohup`` ignore these; the commands that tests start inherit that and would
ignore the tests' signals too.
"""
