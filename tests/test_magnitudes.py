"""The largest number of a stored constant, told without numpy, against numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from accelint.analyzer.ir.payloads import Constant
from accelint.rules.magnitudes import FLOAT16, largest


def of(values: np.ndarray) -> float | None:
    data = values.tobytes()
    return largest(Constant(str(values.dtype), values.shape, length=len(data), inline=data))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("size", [3, 5000])
def test_it_bounds_what_numpy_finds_from_above(dtype: str, size: int) -> None:
    rng = np.random.default_rng(size)
    for scale in (1e-3, 1.0, 300.0, 1e4):
        values = (rng.normal(size=size) * scale).astype(dtype)
        exact = float(np.max(np.abs(values)))
        found = of(values)
        assert found is not None
        assert exact <= found <= exact * 1.07


@pytest.mark.parametrize(
    ("top", "within"), [(65504.0, True), (65505.0, False), (-65504.0, True), (-7e4, False)]
)
def test_the_limit_of_float16_is_told_exactly(top: float, within: bool) -> None:
    values = np.linspace(-1, 1, 4096, dtype=np.float32)
    values[7] = top
    found = of(values)
    assert found is not None
    assert (found <= FLOAT16) is within


def test_no_number_and_infinity_are_infinite() -> None:
    values = np.zeros(2000, np.float32)
    for odd in (np.nan, np.inf, -np.inf):
        values[3] = odd
        assert of(values) == math.inf
    assert of(np.zeros(0, np.float32)) == 0.0
