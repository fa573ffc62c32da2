"""`make numbers` and `make phases` on a few models of real runtimes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from accelint.analyzer.runtimes import find
from accelint.analyzer.runtimes.catalog import info

TOOLS = Path(__file__).parents[1] / "tools" / "conformance"


def _run(tool: str, target: str, folder: Path, *more: str) -> str:
    if not info(find(target.removesuffix(":alone"))[0]).available:
        pytest.skip(f"{target} is not here")
    page = folder / "page.md"
    command = [sys.executable, str(TOOLS / tool), target, "--cache", str(folder), "--page", str(page), *more]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stderr
    return page.read_text(encoding="utf-8")


def _cells(page: str, target: str) -> list[str]:
    row = next(line for line in page.splitlines() if line.startswith(f"| {target} |"))
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_numbers_that_a_rule_says_are_wrong_are_counted_as_said(tmp_path: Path) -> None:
    page = _run("wrong_numbers.py", "litert/gpu", tmp_path, "--ops", "LEAKY_RELU", "--limit", "6")
    cells = _cells(page, "litert/gpu")
    models, compared, agree, said = map(int, cells[2:6])
    assert models == 6 and compared >= agree + said
    assert agree > 0


def test_a_difference_that_a_rule_says_is_told_and_no_other_is_left(tmp_path: Path) -> None:
    page = _run("wrong_numbers.py", "litert/gpu", tmp_path, "--ops", "SPACE_TO_DEPTH", "--limit", "40")
    cells = _cells(page, "litert/gpu")
    assert int(cells[5]) > 0 and cells[-1] == "0", page
    assert "| space-and-depth-of-batches |" in page


def test_answers_are_kept_and_pages_made_of_them(tmp_path: Path) -> None:
    first = _run("phases.py", "litert/xnnpack", tmp_path, "--ops", "TRANSPOSE,RESHAPE", "--limit", "12")
    rows = [json.loads(line) for line in next(tmp_path.glob("*.jsonl")).read_text().splitlines()]
    assert len(rows) == 12 and {row["status"] for row in rows} >= {"ok"}
    again = _run(
        "phases.py", "litert/xnnpack", tmp_path, "--ops", "TRANSPOSE,RESHAPE", "--limit", "12", "--kept"
    )
    assert _cells(again, "litert/xnnpack") == _cells(first, "litert/xnnpack")


def test_the_gpu_alone_does_not_load_what_falls_back(tmp_path: Path) -> None:
    page = _run("phases.py", "litert/gpu:alone", tmp_path, "--ops", "UNIQUE,ABS", "--limit", "8")
    predicted = _cells(page, "litert/gpu:alone")[3]
    assert predicted.startswith(tuple("12345678")) and "100" in predicted
