"""Is it worth it: a model of time with stated constants, calibrated by a runtime; which target to take."""

from __future__ import annotations

import json
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from accelint.analyzer.check.coverage import Coverage, OperatorVerdict, Partition
from accelint.analyzer.decide.cost import Constants, calibrated, constants_of, estimate, time_of
from accelint.rules.folders import pack_folders
from accelint.rules.registry import load_pack
from accelint.rules.verdict import Verdict
from cli import ROOT, accelint, report, schema
from hypothesis import given, settings
from hypothesis import strategies as st

DENOISER = ROOT / "fixtures" / "demo" / "denoiser.tflite"
ENCODER = ROOT / "fixtures" / "demo" / "encoder.onnx"
_COUNT = st.integers(0, 10**12)
_RATE = st.floats(0.01, 1e6)
_CONSTANTS = st.builds(Constants, _RATE, _RATE, st.floats(0.1, 1e6), _RATE, st.just("test"))


def coverage(
    fast: int, slow: int, cuts: int, moved: int | None, verdict: Verdict = Verdict.FALLBACK
) -> Coverage:
    """So many MACs in partitions and beside them."""
    operators = (
        OperatorVerdict("main/0", "a", "Conv", Verdict.ACCELERATED, macs=fast),
        OperatorVerdict("main/1", "b", "Conv", verdict, macs=slow),
    )
    first = Partition(("main/0",), moved, 0, fast)
    rest = tuple(Partition((), 0, 0, 0) for _ in range(cuts - 1))
    return Coverage("test/npu", "test 1", operators, (), (first, *rest))


@settings(max_examples=200, deadline=None)
@given(_COUNT, _COUNT, st.integers(1, 500), _COUNT, st.integers(1, 10**9), _CONSTANTS)
def test_more_of_what_costs_is_never_better(
    fast: int, slow: int, cuts: int, moved: int, more: int, by: Constants
) -> None:
    def whole(*counts: int) -> float:
        return sum(time_of(*counts, by).values())

    total = fast + slow
    least = whole(total, fast, cuts, moved)
    assert whole(total, fast, cuts, moved + more) >= least, "more bytes across boundaries"
    assert whole(total, fast, cuts + more, moved) >= least, "more partitions"
    assert whole(total + more, fast, cuts, moved) >= least, "more that falls back"
    if by.rate >= by.cpu_rate:
        assert whole(total, max(0, fast - more), cuts, moved) >= least * (1 - 1e-9), (
            "less that is accelerated"
        )


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 10**12), _COUNT, st.integers(1, 99), _COUNT, _CONSTANTS, st.floats(1e-6, 100))
def test_calibrated_constants_give_back_what_was_measured(
    fast: int, slow: int, cuts: int, moved: int, by: Constants, seconds: float
) -> None:
    found = coverage(fast, slow, cuts, moved)
    made = calibrated(found, by, seconds)
    assert made is not None
    after = estimate(found, constants_of("test/npu", {"test/*": {**_all(by), **made}}))
    assert after.accelerated == pytest.approx(seconds * 1000, rel=1e-6)


def _all(by: Constants) -> dict[str, float]:
    return {"rate": by.rate, "bandwidth": by.bandwidth, "overhead": by.overhead, "cpu-rate": by.cpu_rate}


def test_the_answers() -> None:
    by = Constants(1000, 10, 100, 10, "test")
    assert estimate(coverage(10**10, 0, 1, 10**6), by).choice == "accelerator"
    assert estimate(coverage(10**10, 0, 1, 10**11), by).choice == "cpu", "bytes outweigh"
    assert "moving tensors" in estimate(coverage(10**10, 0, 1, 10**11), by).why
    assert estimate(coverage(10**6, 0, 9, 0), by).choice == "cpu", "partitions outweigh"
    assert estimate(coverage(10, 10**10, 1, 0), by).choice == "close", "next to nothing is accelerated"
    assert estimate(coverage(10**10, 0, 1, None), by).choice == "unknown", "a size is not known"
    assert estimate(coverage(0, 0, 1, 1), by).choice == "unknown", "nothing is counted"
    assert estimate(coverage(10, 10, 1, 1, Verdict.REJECTED), by).choice == "cpu", "it does not load"


def test_every_accelerating_target_has_constants_that_say_where_they_come_from() -> None:
    home = ROOT / "analyzer" / "decide" / "costs.toml"
    rows = tomllib.loads(home.read_text(encoding="utf-8"))["cost"]
    named = [pattern for row in rows for pattern in row["targets"] if pattern != "*"]
    for target in pack_folders():
        if load_pack(target).purpose == "accelerates":
            assert any(fnmatchcase(target, pattern) for pattern in named), target
    for row in rows:
        assert row["basis"].startswith("assumption: "), "nobody measured them"
    unused = [name for name in named if not any(fnmatchcase(target, name) for target in pack_folders())]
    assert not unused


def worth(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = report("check", *arguments, "--worth")["models"][0]["targets"][0]["worth"]
    return found


def test_the_configuration_sets_constants(tmp_path: Path) -> None:
    file = tmp_path / "accelint.toml"
    file.write_text(
        '[costs."litert/*"]\noverhead = 0.001\nrate = 9000\nbandwidth = 900\nbasis = "our board"\n'
    )
    assert worth(DENOISER, "-t", "litert/intel-npu", "--isolated")["choice"] == "cpu"
    found = worth(DENOISER, "-t", "litert/intel-npu", "--config", file)
    assert found["choice"] == "accelerator"
    assert "rate, bandwidth, overhead: our board; the others: assumption" in found["constants"]["basis"]
    assert sum(found["parts_ms"].values()) == pytest.approx(found["accelerator_ms"])
    file.write_text('[costs."litert/*"]\nrate = 0\nspeed = 1\n')
    result = accelint("check", DENOISER, "-t", "litert/gpu", "--worth", "--config", file)
    assert (
        result.returncode == 2 and "has to be a number above 0" in result.stderr and "speed" in result.stderr
    )
    shown = json.loads(accelint("schema", "config").stdout)
    assert not jsonschema.Draft202012Validator(shown).is_valid({"costs": {"a": {"rate": 0}}})


def test_a_measurement_of_the_runtime_is_what_the_model_says_then(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    file = tmp_path / "measured.toml"
    told = report(
        "verify", DENOISER, "-t", "litert/xnnpack", "--latency", "5", "--no-parity", "--calibrate", file
    )
    median = told["models"][0]["targets"][0]["latency_ms"]["median"]
    (tmp_path / "accelint.toml").write_text('extends = "measured.toml"\n')
    found = worth(DENOISER, "-t", "litert/xnnpack", "--config", tmp_path / "accelint.toml")
    assert found["accelerator_ms"] == pytest.approx(median, rel=0.01)
    assert "rate, bandwidth, overhead: measured 2" in found["constants"]["basis"]
    again = accelint(
        "verify", DENOISER, "-t", "litert/cpu", "--latency", "5", "--no-parity", "--calibrate", file
    )
    assert again.returncode == 0, again.stderr
    costs = tomllib.loads(file.read_text())["costs"]
    assert list(costs) == ["litert/*", "litert/xnnpack"], "what holds for all comes first"
    assert list(costs["litert/*"]) == ["cpu-rate", "basis"]
    own = tmp_path / "accelint.toml"
    wrong = accelint("verify", DENOISER, "-t", "litert/xnnpack", "--latency", "1", "--calibrate", own)
    assert wrong.returncode == 2 and own.read_text() == 'extends = "measured.toml"\n'
    assert accelint("verify", DENOISER, "-t", "litert/xnnpack", "--calibrate", file).returncode == 2


# ---- recommend -------------------------------------------------------------------------------


def recommended(*arguments: object, code: int) -> dict[str, Any]:
    result = accelint("recommend", *arguments, "--format", "json")
    assert result.returncode == code, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    jsonschema.validate(document, schema("recommend"))
    return document


def test_targets_are_ranked_for_devices() -> None:
    document = recommended(ENCODER, "-d", "snapdragon-8-gen-3,iphone-15", code=0)
    assert document["recommended"] == document["targets"][0]["target"] == "onnxruntime/coreml:mlprogram"
    assert document["targets"][0]["devices"] == ["iphone-15"]
    shares = [target["result"]["coverage"]["operators"] for target in document["targets"]]
    assert shares == sorted(shares, reverse=True), "no size is known, so coverage ranks"
    assert "--assume" in document["why"]


def test_the_release_is_the_newest_that_does_best() -> None:
    for target in recommended(ENCODER, "-d", "onnxruntime/*", code=0)["targets"]:
        by_release = {row["release"]: row["result"]["coverage"]["operators"] for row in target["releases"]}
        assert by_release[target["release"]] == max(by_release.values())
        assert by_release[target["since"]] == by_release[target["release"]]


def test_the_answer_may_be_the_cpu() -> None:
    document = recommended(DENOISER, "-d", "litert/gpu,litert/nnapi", code=1)
    assert document["recommended"] is None and document["why"].startswith("stay on the CPU")
    text = accelint("recommend", DENOISER, "-d", "litert/gpu").stdout
    assert "starting partitions" in text and "assumption: " in text
    wrong = accelint("recommend", DENOISER, "-d", "no-such-phone")
    assert wrong.returncode == 2 and "no target is named" in wrong.stderr
