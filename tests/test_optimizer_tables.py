"""The examples of the tables that the first level's passes work by, beside ONNX Runtime: what its own passes
leave of the same graphs.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest
from accelint.analyzer.formats.onnx.writer import write
from accelint.analyzer.ir.model import Model
from accelint.analyzer.policies.examples import Example, examples_of
from accelint.analyzer.policies.tablefiles import Table, table_file

sys.path.append(str(Path(__file__).parent.parent / "tools" / "conformance"))
import level1

BOOK = table_file("onnxruntime/level1")
NOT_LOADED = {
    "combined-dtypes": {"bfloat16", "float64"},  # no Conv on the CPU
    "clip-dtypes": {"float64", "int32"},  # as the table says
    "gemm-dtypes": {"bfloat16"},  # no Gemm on the CPU
}
"""Graphs that ONNX Runtime 1.31.1 does not load; what is known of them was read in its source."""


def theirs(example: Example, path: Path) -> Counter[str] | str:
    """What ONNX Runtime leaves of an example's graph, or why it does not load it."""
    graph = example.graph()
    write(Model(path, "onnx", graph, {"main": graph}, {}), path)
    return level1.reference(path)


@pytest.mark.parametrize("table", BOOK.tables, ids=[table.name for table in BOOK.tables])
def test_onnx_runtime_leaves_the_same(table: Table, tmp_path: Path) -> None:
    rejected = set()
    for place, example in enumerate(examples_of(BOOK, table)):
        found, told = theirs(example, tmp_path / f"{place}.onnx"), Counter(example.gives.split())
        if isinstance(found, str):
            rejected.add(example.name)
        elif not any(level1.has_body(op) and op not in found for op in told):  # else it is decomposed
            assert found == told, (example.name, example.table["graph"])
    assert rejected == NOT_LOADED.get(table.name, set())
