"""The pack coreml/convertible-onnx against onnxsim itself, on cases of the generated corpus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from accelint.analyzer.check.run import check
from accelint.analyzer.conform.corpora.onnx.corpus import Case, cases
from accelint.analyzer.formats.onnx.reader import from_bytes
from accelint.analyzer.runtimes import Request, Session, runtimes
from accelint.rules.registry import choose

HERE = next(item for item in runtimes() if item.name == "coreml/convertible-onnx")
CONVERTS = [
    "Abs/base/float32",
    "Add/base/int64",
    "Cast/base/float32",
    "Conv/base/float32",
    "Reshape/to2-(0, -1)/float32",
    "Softmax/base/float32",
    "Ceil/rank3-2-attrs0+const0/float32",
    "MatMul/base/float32",
    "Where/base/float32",
]
REJECTED = [
    "Acos/base/float32",
    "Abs/base/uint8",
    "Relu/base/int32",
    "Relu/symbolic-first1/float32",
    "Reshape/to3-(0, 0)/float32/v7",
    "Tile/dynamic/float32",
    "Abs/rank6-1-attrs0/float32",
]


@pytest.fixture(scope="module")
def found() -> dict[str, Case]:
    wanted = set(CONVERTS) | set(REJECTED)
    return {case.name: case for case in cases() if case.name in wanted}


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    if not HERE.available:
        pytest.skip(f"needs {HERE.missing}: {HERE.command}")
    with Session("coreml/convertible-onnx:ios18", timeout=120) as opened:
        yield opened


@pytest.mark.parametrize("name", CONVERTS + REJECTED)
def test_as_onnxsim_answers(name: str, found: dict[str, Case], session: Session, tmp_path: Path) -> None:
    if name not in found:
        pytest.fail(f"the corpus has no {name}")
    data = found[name].build()
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    answer = session.ask(Request(path))
    assert answer.status == ("ok" if name in CONVERTS else "refused"), answer.reason
    verdict = check(from_bytes(data, path), choose("coreml/convertible-onnx:ios18")).verdict
    assert verdict == ("full" if answer.ok else "rejected")


def test_onnx_models_find_the_pack_of_their_dialect() -> None:
    from accelint.rules.registry import in_dialect

    chosen = in_dialect(choose("coreml/convertible:ios17"), "onnx")
    assert chosen is not None
    assert chosen.target == "coreml/convertible-onnx:ios17"
    assert chosen.version == chosen.pack.version == "0.8.1"
