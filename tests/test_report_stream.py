"""The JSON report is written in pieces that together are the JSON of the document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from accelint.analyzer.check.coverage import Entry
from accelint.analyzer.flows.check_file import check_file
from accelint.analyzer.report import render
from accelint.analyzer.report.document import document
from accelint.analyzer.report.rows import BATCH, Rows
from accelint.rules.registry import choose

from accelint import __version__

FIXTURES = Path(__file__).parent.parent / "fixtures"


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[Entry]:
    missing = tmp_path_factory.mktemp("none") / "none.onnx"
    chosen = [choose("onnxruntime/qnn:sm8650"), choose("onnxruntime/nnapi")]
    models = [FIXTURES / "onnx" / "bodies.onnx", FIXTURES / "onnx" / "defaults.onnx", missing]
    return [check_file(path, chosen) for path in models]


def test_the_chunks_are_the_document(entries: list[Entry]) -> None:
    whole = document(entries, __version__)
    assert [model.get("operators") for model in whole["models"]][-1] is None, "an error has no operators"
    assert any(target["findings"] for model in whole["models"] for target in model.get("targets", ()))
    assert "".join(render(entries, __version__, "json")) == json.dumps(whole, ensure_ascii=False) + "\n"
    head = {"schema": whole["schema"], "tool": whole["tool"]}
    lines = "".join(render(entries, __version__, "jsonl")).splitlines()
    assert [json.loads(line) for line in lines] == [{**head, **model} for model in whole["models"]]


def test_rows_are_held_some_at_a_time() -> None:
    rows = Rows(lambda number: {"n": number}, range(2 * BATCH + 1))
    assert len(rows) == 2 * BATCH + 1
    assert list(rows.encoded(lambda batch: f"{len(batch)}")) == [f"{BATCH}", f"{BATCH}", "1"]
    assert [row["n"] for row in rows] == list(range(2 * BATCH + 1)), "gone through again, made again"
    assert list(Rows(dict, ()).encoded(str)) == []


def test_rows_of_the_same_items_are_encoded_once() -> None:
    items = [object() for _ in range(3)]
    made: list[object] = []

    def encode(batch: list[dict[str, int]]) -> str:
        made.append(batch)
        return str(batch)

    texts: dict[tuple[int, ...], str] = {}
    for chosen in (items, list(items), items[::-1]):
        rows = Rows(lambda item: {"id": id(item)}, chosen, texts)
        assert list(rows.encoded(encode)) == [str(list(rows))]
    assert len(made) == 2, "other items, or another order, are encoded by themselves"


def test_a_report_without_operators_is_valid(tmp_path: Path) -> None:
    chunks = list(render([Entry(tmp_path / "m.onnx")][:0], __version__, "json"))
    assert json.loads("".join(chunks))["models"] == []
