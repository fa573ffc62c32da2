"""Exports as users have them: `fix` makes a model whole that was cut, and its numbers stay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli import ROOT, accelint

EXPORTS = [
    ("tflite/gru_while.tflite", "litert/gpu", "while-unrolled"),
    ("tflite/conditional.tflite", "litert/gpu", "if-to-select"),
]


@pytest.mark.parametrize(("name", "target", "rewrite"), EXPORTS)
def test_an_export_becomes_whole(name: str, target: str, rewrite: str, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    path = ROOT / "fixtures" / name
    done = accelint("fix", path, "--target", target, "-o", tmp_path / path.name, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"] == {"before": "partial", "after": "full"}
    kept = {step["rewrite"]: step for step in found["steps"] if step["kept"]}
    assert kept[rewrite]["proof"].startswith("proved")
