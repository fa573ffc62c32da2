"""The comparison itself is held to wrong answers: whatever it lets pass would pass everywhere."""

from __future__ import annotations

import json

import numpy as np
import pytest
from accelint.analyzer.errors import UsageError
from accelint.analyzer.proof.parity import (
    PRECISIONS,
    PROMISES,
    TOLERANCES,
    Tolerance,
    compare,
    first_divergence,
    tolerance,
    ulp_distance,
)
from hypothesis import given
from hypothesis import strategies as st

SCORES = np.random.default_rng(0).normal(size=(16, 40)).astype(np.float32)
ALL = sorted(TOLERANCES)


def wrong(factor: float) -> dict[str, np.ndarray]:
    return {"y": SCORES * np.float32(factor)}


@pytest.mark.parametrize(("promise", "precision"), ALL)
def test_the_same_bits_agree_under_every_promise(promise: str, precision: str) -> None:
    found = compare({"y": SCORES}, {"y": SCORES.copy()}, promise, precision)
    assert found.agrees, found.problems
    (output,) = found.outputs
    assert (output.max_abs, output.max_rel, output.ulp, output.sqnr, output.top1, output.top5) == (
        0,
        0,
        0,
        float("inf"),
        1,
        1,
    )
    assert output.cosine == pytest.approx(1)


@pytest.mark.parametrize(("promise", "precision"), ALL)
@pytest.mark.parametrize("factor", [100.0, 2.0, 1.3, 0.5, 0.0, -1.0])
def test_a_wrong_scale_is_never_accepted(promise: str, precision: str, factor: float) -> None:
    assert not compare({"y": SCORES}, wrong(factor), promise, precision).agrees


@pytest.mark.parametrize(("promise", "precision"), ALL)
def test_a_wrong_permutation_is_never_accepted(promise: str, precision: str) -> None:
    square = SCORES[:, :16]
    assert not compare({"y": square}, {"y": square.T.copy()}, promise, precision).agrees


@pytest.mark.parametrize(("promise", "precision"), ALL)
def test_one_wrong_element_in_many_is_found(promise: str, precision: str) -> None:
    other = SCORES.copy()
    other[3, 7] += 2.0
    found = compare({"y": SCORES}, {"y": other}, promise, precision)
    assert not found.agrees
    assert promise == "bit-exact" or any("(3, 7)" in item for item in found.problems), found.problems


@pytest.mark.parametrize(("promise", "precision"), ALL)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_new_nan_or_infinity_is_found(promise: str, precision: str, value: float) -> None:
    other = SCORES.copy()
    other[0, 0] = value
    found = compare({"y": SCORES}, {"y": other}, promise, precision)
    assert not found.agrees
    assert found.outputs[0].nonfinite_moved == 1


def test_infinities_of_the_other_sign_differ() -> None:
    left, right = np.array([np.inf, 1.0], np.float32), np.array([-np.inf, 1.0], np.float32)
    assert not compare({"y": left}, {"y": right}).agrees
    assert compare({"y": left}, {"y": left.copy()}).agrees


def test_nans_in_the_same_places_agree() -> None:
    left = np.array([np.nan, 1.0, 2.0], np.float32)
    assert compare({"y": left}, {"y": left.copy()}, "bit-exact").agrees
    assert not compare({"y": left}, {"y": left[[1, 0, 2]]}, "bit-exact").agrees


@pytest.mark.parametrize("promise", ["bit-exact", "rounding"])
def test_one_unit_in_the_last_place_separates_the_promises(promise: str) -> None:
    other = {"y": np.nextafter(SCORES, np.float32(np.inf))}
    found = compare({"y": SCORES}, other, promise)
    assert found.outputs[0].ulp == 1
    assert found.agrees == (promise == "rounding")


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "bool"])
def test_bit_exact_holds_for_dtypes_without_units(dtype: str) -> None:
    left, right = np.array([0, 1, 1, 0], dtype), np.array([0, 1, 0, 0], dtype)
    assert compare({"y": left}, {"y": left.copy()}, "bit-exact").agrees
    assert not compare({"y": left}, {"y": right}, "bit-exact").agrees


@pytest.mark.parametrize(("precision", "steps"), [("fp32", 1), ("fp16", 2), ("int8", 2)])
def test_quantized_outputs_may_be_a_step_off(precision: str, steps: int) -> None:
    left = np.arange(-60, 60, dtype=np.int8).reshape(4, 30)
    assert compare({"y": left}, {"y": left + np.int8(steps)}, "rounding", precision).agrees
    assert not compare({"y": left}, {"y": left + np.int8(steps + 1)}, "rounding", precision).agrees
    assert not compare({"y": left}, {"y": left + np.int8(1)}, "bit-exact", precision).agrees


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint32"])
def test_indices_and_classes_are_never_a_step_off(dtype: str) -> None:
    left = np.arange(5, 25).astype(dtype)
    assert not compare({"y": left}, {"y": left + left.dtype.type(1)}, "approximate", "int8").agrees


def test_a_flipped_boolean_is_never_a_rounding() -> None:
    left = np.array([True, False, True])
    assert not compare({"y": left}, {"y": ~left}, "approximate", "int8").agrees


def test_noise_of_a_precision_passes_its_own_bounds_only() -> None:
    half = {"y": SCORES.astype(np.float16).astype(np.float32)}
    assert compare({"y": SCORES}, half, "rounding", "fp16").agrees
    assert not compare({"y": SCORES}, half, "rounding", "fp32").agrees


def test_a_small_drift_of_everything_fails_by_its_noise() -> None:
    """Each element within its own bound, all of them off in the same direction."""
    bounds = Tolerance(relative=2e-2, absolute=0.0, sqnr=60.0)
    found = compare({"y": SCORES}, wrong(1.01), bounds=bounds)
    assert [item.split(":")[1].strip()[:15] for item in found.problems] == ["signal-to-noise"]


def test_changed_classes_are_reported_with_the_confidence() -> None:
    left = np.eye(6, dtype=np.float32) * 0.5 + 0.1
    right = left.copy()
    right[0] = right[0, [1, 0, 2, 3, 4, 5]]
    (output,) = compare({"y": left}, {"y": right}).outputs
    assert output.top1 == pytest.approx(5 / 6)
    assert output.confidence == pytest.approx(0.5)


@pytest.mark.parametrize(("ahead", "agrees"), [(1e-3, 1.0), (0.2, 0.0)])
def test_classes_that_are_closer_than_the_tolerance_are_tied(ahead: float, agrees: float) -> None:
    left = np.array([[0.3 + ahead, 0.3, 0.1, 0.1, 0.1, 0.1]], np.float32)
    right = left[:, [1, 0, 2, 3, 4, 5]]
    assert compare({"y": left}, {"y": right}, "rounding", "fp16").outputs[0].top1 == agrees
    assert compare({"y": left}, {"y": right}, "bit-exact").outputs[0].top1 == 0


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"z": SCORES}, "now called 'z'"),
        ({"y": SCORES.astype(np.float64)}, "from float32 to float64"),
        ({"y": SCORES.reshape(8, 80)}, "from shape (16, 40) to (8, 80)"),
        ({"y": SCORES, "extra": SCORES}, "'extra' is new"),
    ],
)
def test_a_changed_interface_is_a_contract_change(other: dict[str, np.ndarray], words: str) -> None:
    found = compare({"y": SCORES}, other)
    assert not found.agrees
    assert any(words in item for item in found.contract), found.contract
    promised = compare({"y": SCORES}, other, "contract")
    assert promised.agrees, promised.problems
    assert any(words in item for item in promised.contract), "promised, yet still reported"


def test_a_contract_promise_does_not_excuse_wrong_values() -> None:
    assert not compare({"y": SCORES}, {"z": SCORES * 2}, "contract").agrees
    assert not compare({"y": SCORES}, {"z": SCORES[:8]}, "contract").agrees


def test_reordered_outputs_are_a_contract_change_and_paired_by_name() -> None:
    found = compare({"a": SCORES, "b": -SCORES}, {"b": -SCORES, "a": SCORES})
    assert all(item.agrees for item in found.outputs)
    assert "order" in found.contract[0]
    assert not found.agrees


def test_a_missing_output_and_nothing_to_compare() -> None:
    found = compare({"a": SCORES, "b": SCORES}, {"a": SCORES})
    assert "output 'b' is gone" in found.contract
    assert not found.agrees
    assert not compare({}, {}).agrees
    assert not compare({"a": SCORES}, {}, "contract").agrees


def test_renaming_on_purpose() -> None:
    assert compare({"a": SCORES}, {"z": SCORES}, rename={"a": "z"}).agrees


def test_strings_are_compared_as_text() -> None:
    left = np.array(["a", "bc"])
    assert compare({"y": left}, {"y": left.astype(object)}).agrees
    assert not compare({"y": left}, {"y": np.array(["a", "bd"])}).agrees


def test_zero_reference_and_empty_outputs() -> None:
    zero = np.zeros(4, np.float32)
    assert compare({"y": zero}, {"y": zero.copy()}).agrees
    assert not compare({"y": zero}, {"y": zero + 1e-3}).agrees
    assert compare({"y": zero[:0]}, {"y": zero[:0]}).agrees


def test_a_scalar() -> None:
    assert compare({"y": np.float32(2)}, {"y": np.float32(2)}).agrees  # type: ignore[dict-item]
    assert not compare({"y": np.array(2.0, np.float32)}, {"y": np.array(3.0, np.float32)}).agrees


def test_complex_outputs() -> None:
    left = np.array([1 + 2j, 3 - 1j], np.complex64)
    assert compare({"y": left}, {"y": left.copy()}).agrees
    assert not compare({"y": left}, {"y": left.conj()}).agrees


def test_the_user_sets_bounds() -> None:
    loose = tolerance("rounding", "fp32", relative=0.5, absolute=0.5, sqnr=0.0)
    assert compare({"y": SCORES}, wrong(1.2), bounds=loose).agrees
    with pytest.raises(UsageError, match="rtol"):
        tolerance("rounding", "fp32", rtol=1)
    with pytest.raises(UsageError, match="rounding"):
        tolerance("good", "fp32")


def test_every_promise_has_bounds_at_every_precision() -> None:
    for promise in PROMISES:
        for precision in PRECISIONS:
            assert tolerance(promise, precision).relative < 0.2


def test_bounds_widen_with_weaker_promises_and_precisions() -> None:
    for precision in PRECISIONS:
        exact, rounded, close = (
            tolerance(promise, precision) for promise in ("bit-exact", "rounding", "approximate")
        )
        assert exact.relative < rounded.relative < close.relative
        assert exact.sqnr > rounded.sqnr > close.sqnr


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(0, 40))
def test_ulp_counts_representable_steps(start: float, steps: int) -> None:
    value = np.float32(start)
    for _ in range(steps):
        value = np.nextafter(value, np.float32(3.4e38))
    found = ulp_distance(np.array([start], np.float32), np.array([value], np.float32))
    assert found == steps or value >= np.float32(3.4e38)


def test_ulp_across_zero_and_of_other_dtypes() -> None:
    tiny = np.float32(1e-45)
    assert ulp_distance(np.array([tiny]), np.array([-tiny])) == 2
    assert ulp_distance(np.array([0.0], np.float32), np.array([-0.0], np.float32)) == 0
    assert ulp_distance(np.array([1.0], np.float16), np.array([1.0009765625], np.float16)) == 1
    assert ulp_distance(np.array([1.0]), np.array([np.nextafter(1.0, 2)])) == 1
    assert ulp_distance(np.array([1]), np.array([1])) is None


def test_the_first_divergence_is_the_first_in_order() -> None:
    left = {"a": SCORES, "b": SCORES, "c": SCORES}
    right = {"a": SCORES, "b": SCORES * 3, "c": SCORES * 9}
    found = first_divergence(left, right, ["a", "missing", "b", "c"])
    assert found is not None
    assert found.name == "b"
    assert first_divergence(left, dict(left), ["a", "b", "c"]) is None


def test_the_result_is_plain_json() -> None:
    found = compare({"y": SCORES}, {"y": SCORES})
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert data["agrees"] is True
    assert data["outputs"][0]["sqnr"] == "inf"


def test_what_the_reference_kernels_differ_by_is_allowed_twice() -> None:
    """Kernels that disagree by two steps with each other may be four apart from a third; five is a fault."""
    right = np.arange(-60, 60, dtype=np.int8)
    for steps, agrees in ((4, True), (5, False)):
        found = compare({"y": right}, {"y": right + np.int8(steps)}, "rounding", "int8", spread={"y": 2.0})
        assert found.agrees == agrees
    assert not compare({"y": right}, {"y": right + np.int8(4)}, "rounding", "int8").agrees
    floats = np.linspace(-1, 1, 64, dtype=np.float32)
    for away, agrees in ((0.15, True), (0.4, False)):
        other = floats + np.where(np.arange(64) == 7, np.float32(away), np.float32(0))
        assert compare({"y": floats}, {"y": other}, "rounding", "int8", spread={"y": 0.06}).agrees == agrees
