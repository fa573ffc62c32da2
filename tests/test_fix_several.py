"""fix: one file for several targets, better for some and worse for none; and a repaired file is repaired
again without change.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import onnx.parser
import pytest
from accelint.analyzer.flows.fix import deliver, fix
from accelint.analyzer.flows.several import fitness
from accelint.analyzer.formats import load
from accelint.rules.registry import choose
from cli import ROOT, accelint

REPORTED = ROOT / "fixtures" / "reported"
NNAPI, COREML, CPU = "onnxruntime/nnapi", "onnxruntime/coreml:mlprogram", "onnxruntime/cpu"


def fixed(model: Path, out: Path, *targets: str, code: int = 0) -> dict[str, Any]:
    options = [part for target in targets for part in ("--target", target)]
    result = accelint("fix", model, *options, "-o", out, "--json")
    assert result.returncode == code, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_one_file_is_better_for_one_target_and_worse_for_none(tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    document = fixed(REPORTED / "onnx" / "01-nnapi-split18-sizes.onnx", out, NNAPI, COREML, CPU)
    rows = {row["target"]: row for row in document["targets"]}
    assert rows[NNAPI]["verdict"] == {"before": "rejected", "after": "full"}
    assert rows[COREML]["verdict"] == {"before": "full", "after": "full"}
    assert {step["target"] for step in document["steps"] if step["kept"]} == {NNAPI}
    assert "as predicted" in rows[CPU]["runtime"] and rows[NNAPI]["runtime"] is None
    for target in rows:
        again = fixed(out, tmp_path / "again.onnx", target)
        assert not again["changed"] and again["verdict"]["after"] == rows[target]["verdict"]["after"]


def test_the_report_in_words_has_a_line_for_each_target(tmp_path: Path) -> None:
    model = REPORTED / "onnx" / "01-nnapi-split18-sizes.onnx"
    result = accelint("fix", model, "-t", NNAPI, "-t", COREML, "-o", tmp_path / "out.onnx")
    assert result.returncode == 0
    assert f"\n{NNAPI}: the model is rejected" in result.stdout and f"\n{COREML}: 0 findings" in result.stdout
    assert f"[bit-exact] for {NNAPI} at" in result.stdout


KNOWN_SIZE = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N,3,4] x) => (float[N,3,4] y) <int64 i = {2}> {
  s = Shape (x)
  g = Gather (s, i)
  f = Cast <to: int = 1> (g)
  y = Mul (x, f)
}"""


@pytest.mark.parametrize(("further", "changed"), [((), True), (("onnxruntime/qnn:sm8650",), False)])
def test_what_helps_one_target_and_hurts_another_is_not_done(
    further: tuple[str, ...], changed: bool, tmp_path: Path
) -> None:
    """A size that is folded leaves WebGPU the whole model, and QNN none of it."""
    model = tmp_path / "size.onnx"
    onnx.save(onnx.parser.parse_model(KNOWN_SIZE), model)
    targets = [choose(target) for target in further]
    result = fix(load(model), choose("onnxruntime/webgpu"), unproved=True, further=targets)
    assert result.changed == changed and result.after.verdict == ("full" if changed else "partial")
    told = [step.reason for step in result.steps if not step.kept]
    assert bool(further) == any(reason.startswith("onnxruntime/qnn:sm8650 would be worse") for reason in told)


def test_targets_of_several_dialects_are_wrong_usage(tmp_path: Path) -> None:
    model = REPORTED / "onnx" / "01-nnapi-split18-sizes.onnx"
    result = accelint("fix", model, "-t", NNAPI, "-t", "litert/gpu", "-o", tmp_path / "out.onnx")
    assert result.returncode == 2 and "litert/gpu" in result.stderr


SAMPLE = [
    ("onnx/01c-num-outputs-split.onnx", "onnxruntime/qnn:sm8650"),
    ("onnx/12-qnn-rmsnorm-scale.onnx", "onnxruntime/qnn:sm8650"),
    ("onnx/15-coreml-yolo26-fp16.onnx", COREML),
    ("onnx/10-coreml-dynamic-int8.onnx", NNAPI),
    ("onnx/19-coreml-squeeze-no-shape.onnx", COREML),
    ("tflite/c14_leaky_int8.tflite", "litert/ethos-u:u55"),
    ("tflite/c10_fc_rank7.tflite", "litert/gpu"),
    ("tflite/c15_detection.tflite", "litert/gpu"),
]


@pytest.mark.parametrize(("name", "target"), SAMPLE)
def test_no_model_gets_worse_and_a_repaired_one_stays_as_it_is(
    name: str, target: str, tmp_path: Path
) -> None:
    """What is written loads, is no worse, is proved, and is not changed when it is fixed again."""
    file, chosen = REPORTED / name, choose(target)
    first = fix(load(file), chosen)
    assert fitness(first.after) <= fitness(first.before)
    assert all(step.proof is None or step.proof.status == "proved" for step in first.kept)
    out = tmp_path / f"out{file.suffix}"
    deliver(first, chosen, out)
    second = fix(load(out), chosen)
    assert not second.changed and fitness(second.before) == fitness(first.after)
