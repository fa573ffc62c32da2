"""Public reports rebuilt as small models: each has the answer that the report, or the runtime, gives.

``fixtures/reported/reported.json`` says of each what is right and how it is known.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli import accelint
from tf_models import needs_tensorflow

HOME = Path(__file__).parent.parent / "fixtures" / "reported"
CASES: list[dict[str, Any]] = json.loads((HOME / "reported.json").read_text(encoding="utf-8"))


def name_of(case: dict[str, Any]) -> str:
    return " ".join([case["file"].partition("/")[2], case["target"], *case.get("options", ())])


def marks(case: dict[str, Any]) -> list[pytest.MarkDecorator]:
    """What is known to be judged wrong today must fail, so that its repair is noticed."""
    wrong = [pytest.mark.xfail(reason=case["not_yet"], strict=True)] if "not_yet" in case else []
    return wrong + ([needs_tensorflow] if case.get("tensorflow") else [])


def cases() -> list[Any]:
    return [pytest.param(case, id=name_of(case), marks=marks(case)) for case in CASES]


@pytest.mark.parametrize("case", cases())
def test_the_answer_is_the_one_that_is_known(case: dict[str, Any]) -> None:
    options = case.get("options", ())
    done = accelint("check", HOME / case["file"], "--target", case["target"], *options, "--format", "json")
    if "exit" in case:
        assert done.returncode == case["exit"], done.stderr
    if "exit_in" in case:
        assert done.returncode in case["exit_in"], done.stderr
    if done.returncode == 2:
        return
    target = json.loads(done.stdout)["models"][0]["targets"][0]
    findings = target["findings"]
    for key in ("verdict", "phase", "accelerated"):
        if key in case:
            assert target[key] == case[key], findings
    if "not_verdict" in case:
        assert target["verdict"] != case["not_verdict"]
    if "running" in case:
        assert target["accelerated"] + target["fallback"] == case["running"]
    codes = {item["code"] for item in findings}
    assert codes >= set(case.get("codes", ())), findings
    assert not codes & set(case.get("no_codes", ())), findings
    left = {item["type"] for item in target["operators"] if item["verdict"] == "fallback"}
    assert left >= set(case.get("fallback_types", ()))
    if "says" in case:
        words = [item["message"] for item in findings] + target["notes"]
        assert any(case["says"] in text for text in words), words
    if case.get("no_fix"):
        assert not [item for item in findings if item["fix"]], findings
    if "fixes" in case:
        assert {item["fix"] for item in findings if item["fix"]} == set(case["fixes"]), findings


REPAIRED = [
    ("tflite/c14_leaky_int8.tflite", "litert/hexagon", (), "leaky-relu-to-maximum"),
    (
        "onnx/10-coreml-dynamic-int8.onnx",
        "onnxruntime/coreml:mlprogram",
        ("--fix-level", "unsafe"),
        "float-for-dynamic-integers",
    ),
    (
        "onnx/18-qnn-select-scatter-function.onnx",
        "onnxruntime/qnn:sm8650",
        ("--optimize", "off"),
        "inline-functions",
    ),
    ("onnx/21b-fix-stale-opset14.onnx", "onnxruntime/qnn:sm8650", ("--optimize", "off"), "clean-up"),
]
"""What was reported and can be repaired: the file, the target, how it is fixed, and what repairs it."""


@pytest.mark.parametrize(
    ("file", "target", "options", "by"), REPAIRED, ids=[case[0].partition("/")[2] for case in REPAIRED]
)
def test_what_can_be_repaired_is(
    file: str, target: str, options: tuple[str, ...], by: str, tmp_path: Path
) -> None:
    fixed = tmp_path / Path(file).name
    done = accelint("fix", HOME / file, "--target", target, *options, "-o", fixed, "--json")
    told = json.loads(done.stdout)
    kept = [step for step in told["steps"] if step["kept"]]
    assert by in [step["rewrite"] for step in kept], told
    assert all(step["proof"].startswith("proved: largest difference") for step in kept), kept
    level = [item for item in options if item in ("--optimize", "off")]
    again = accelint("check", fixed, "--target", target, *level, "--format", "json")
    assert json.loads(again.stdout)["models"][0]["targets"][0]["verdict"] == "full"


def test_lookups_in_batches_are_repaired_as_far_as_the_proof_goes(tmp_path: Path) -> None:
    """Lookups by int64 positions in batches go to the GPU as lookups of rows; casts to int64 stay."""
    fixed = tmp_path / "c21_yolo_post.tflite"
    done = accelint("fix", HOME / "tflite" / fixed.name, "--target", "litert/gpu", "-o", fixed, "--json")
    told = json.loads(done.stdout)
    (step,) = (item for item in told["steps"] if item["rewrite"] == "gather-in-batches")
    assert step["kept"] and len(step["places"]) == 3, told
    assert step["proof"].startswith("proved: largest difference 0 "), step
    again = accelint("check", fixed, "--target", "litert/gpu", "--format", "json")
    target = json.loads(again.stdout)["models"][0]["targets"][0]
    rules = {item["rule"] for item in target["findings"]}
    assert not rules & {"indices-not-1d", "gathered-by-int64"}, rules
