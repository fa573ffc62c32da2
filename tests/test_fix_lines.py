"""Fix lines keep their word: one is printed where following it removes the finding, and not where a rewrite
matches and leads nowhere.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from accelint.analyzer.flows.fix import deliver, fix
from accelint.analyzer.flows.left import NONE, UNSAFE
from accelint.analyzer.formats import load
from accelint.rules.registry import choose
from cli import accelint, report
from rewrite_cases_onnx import APPLIES
from rewrite_models import onnx_bytes

NNAPI, QNN = "onnxruntime/nnapi", "onnxruntime/qnn:sm8650"
SHRINK = "g (float[2,3] x) => (float[2,3] y) { s = Shrink<lambd=0.5>(x) y = Relu(s) }"
"""NNAPI has neither Shrink nor what the rewrite makes of it (Where); the HTP has."""
MANY = 40
"""Pairs of operators that make a model larger than what is tried as a whole."""


def saved(text: str, folder: Path) -> Path:
    path = folder / "m.onnx"
    path.write_bytes(onnx_bytes(text))
    return path


def told(path: Path, target: str) -> dict[str, Any]:
    found: dict[str, Any] = report("check", path, "--target", target)["models"][0]["targets"][0]
    return found


def long(op: str) -> str:
    """The operator between many others."""
    chain = [f"a{index} = Relu(t{index}) t{index + 1} = Abs(a{index})" for index in range(MANY)]
    return f"g (float[2,3] x) => (float[2,3] y) {{ t0 = {op}(x) {' '.join(chain)} y = {op}(t{MANY}) }}"


@pytest.mark.parametrize("text", [SHRINK, long("Shrink<lambd=0.5>")], ids=["whole", "around"])
def test_a_rewrite_that_leads_nowhere_has_no_line(text: str, tmp_path: Path) -> None:
    path = saved(text, tmp_path)
    there, nowhere = told(path, QNN), told(path, NNAPI)
    shrinks = [item for item in nowhere["findings"] if "Shrink" in item["message"]]
    assert shrinks and not any(item["fix"] for item in shrinks)
    assert "fix" not in nowhere.get("commands", {})
    lined = [item for item in there["findings"] if item["fix"]]
    assert {item["fix"] for item in lined} == {"shrink-to-where"} and len(lined) == len(shrinks)
    made = tmp_path / "fixed.onnx"
    line = shlex.split(there["commands"]["fix"])
    done = accelint(*line[1:-1], made, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"]["after"] == "full"
    assert not [item for item in told(made, QNN)["findings"] if item["rule"] == lined[0]["rule"]]


def test_a_trial_leaves_the_model_and_its_prediction_alone(tmp_path: Path) -> None:
    path = saved(SHRINK, tmp_path)
    both = report("check", path, "--target", QNN, "--target", NNAPI)["models"][0]["targets"]
    alone = [told(path, QNN), told(path, NNAPI)]
    assert [item["operators"] for item in both] == [item["operators"] for item in alone]
    assert [item["findings"] for item in both] == [item["findings"] for item in alone]


LEFT = """g (float[2,3] x) => (float[2,3] y) {
  s = Shrink<lambd=0.5>(x)
  h = Sinh(s)
  o = Einsum<equation="ij,ij->ij">(h, h)
  d = Asinh(o)
  y = Add(o, d)
}"""


def test_what_is_left_says_what_held_the_closest_rewrite_back(tmp_path: Path) -> None:
    path = saved(LEFT, tmp_path)
    done = accelint("fix", path, "--target", NNAPI, "--json")
    found = {item["operator"]: item for item in json.loads(done.stdout)["left"]}
    assert found["s"]["rewrite"] == "shrink-to-where"
    assert found["s"]["reason"].startswith("it does not improve the placement; of what it makes: ")
    assert "casts to int32 or float32" in found["s"]["reason"], "no number becomes a bool there"
    assert (found["h"]["rewrite"], found["h"]["reason"]) == ("sinh-parts", UNSAFE)
    assert (found["d"]["rewrite"], found["d"]["reason"]) == (None, NONE)
    shown = accelint("fix", path, "--target", NNAPI, "-o", tmp_path / "out.onnx").stdout
    assert f"       shrink-to-where: {found['s']['reason']}\n" in shown
    assert f"       {NONE}\n" in shown and f"       sinh-parts: {UNSAFE}\n" in shown


REPEATED = sorted(id for id in APPLIES if id.endswith("parts"))
"""Rewrites that make several operators of one: more than others, these could fire again."""


@pytest.mark.parametrize("id", REPEATED)
def test_a_repaired_file_is_repaired_again_without_change(id: str, tmp_path: Path) -> None:
    for number, case in enumerate(list(APPLIES[id].values())[:1]):
        text, opset = (case, 17) if isinstance(case, str) else case
        path, once = tmp_path / f"{number}.onnx", tmp_path / f"{number}.fixed.onnx"
        path.write_bytes(onnx_bytes(text, opset))
        deliver(fix(load(path), choose(QNN)), choose(QNN), once)
        again = fix(load(once), choose(QNN))
        assert not again.changed and again.before.verdict == again.after.verdict
