"""The sizes that ONNX Runtime carries through a graph, held against ONNX Runtime itself."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install 'accelint[onnxruntime]'")


def test_shapes_are_those_of_the_runtime(tmp_path: Path) -> None:
    """One in sixteen of the backend node tests and their forms with constants; `python
    tools/conformance/ort_shapes.py` asks about all.
    """
    import ort_shapes

    wrong = []
    count = 0
    for name, path in ort_shapes.models([], 240, tmp_path):
        for kind, *told in ort_shapes.compare(path, tmp_path / "asked.onnx"):
            count += 1
            if kind != "equal":
                wrong.append((name, kind, *told))
    assert count > 500
    assert wrong == []


@pytest.mark.parametrize(
    ("mine", "theirs", "kind"),
    [
        ((2, None), (2, 3), "less"),
        ((2, 3), (2, None), "more"),
        ((2, 3), (2, 4), "other"),
        ((2,), (2, 3), "other"),
        (None, (2,), "less"),
        ((2, "N"), (2, None), "equal"),
        (None, (), "equal"),
        ((), (), "equal"),
    ],
)
def test_the_comparison_tells_wrong_shapes(
    mine: tuple[object, ...] | None, theirs: tuple[object, ...] | None, kind: str
) -> None:
    import ort_shapes

    assert ort_shapes.judged(mine, theirs) == kind
