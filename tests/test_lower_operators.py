"""The reference evaluation of ML Programs, operator by operator: against coremltools' own evaluation of
constants, and against numpy where coremltools has none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from accelint.analyzer.formats import load
from accelint.analyzer.lower import lower

pytest.importorskip("coremltools", reason="pip install 'accelint[coreml]'")
ort = pytest.importorskip("onnxruntime", reason="pip install 'accelint[onnxruntime]'")
from mil_cases import CASES as PLAIN  # noqa: E402 (needs coremltools)
from mil_programs import Case, build, feeds, wanted  # noqa: E402
from mil_spatial_cases import CASES as SPATIAL  # noqa: E402

CASES = [*PLAIN, *SPATIAL]


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Every case's results by id; one program a release, one run each."""
    folder, found = tmp_path_factory.mktemp("programs"), {}
    for ios in sorted({case.ios for case in CASES}):
        cases = [case for case in CASES if case.ios == ios]
        package = folder / f"ios{ios}.mlpackage"
        names = build(cases, package, ios)
        file = folder / f"ios{ios}.onnx"
        lower(load(package), file)
        session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        outputs = [item.name for item in session.get_outputs()]
        values = dict(zip(outputs, session.run(None, feeds(cases)), strict=True))
        found.update(
            {case.id: [values[name] for name in row] for case, row in zip(cases, names, strict=True)}
        )
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_an_operator_computes_what_coremltools_says(case: Case, computed: dict[str, list[Any]]) -> None:
    expected, results = wanted(case), computed[case.id]
    assert len(expected) == len(results)
    for right, made in zip(expected, results, strict=True):
        assert made.shape == right.shape
        np.testing.assert_allclose(made.astype(np.float64), right.astype(np.float64), rtol=2e-5, atol=2e-5)
