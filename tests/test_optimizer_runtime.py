"""--optimizer runtime: ONNX Runtime's own optimizer answers, in the words of the user's operators."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from accelint.analyzer.check.prepared import Prepared
from accelint.analyzer.flows.optimized import check_at
from accelint.analyzer.formats import load
from accelint.rules.registry import choose
from cli import ROOT, accelint, report
from onnx import numpy_helper
from rewrite_models import onnx_bytes
from test_optimizer import CASES, model

sys.path.append(str(Path(__file__).parent.parent / "tools" / "conformance"))
CPU, QNN = "onnxruntime/cpu", "onnxruntime/qnn:sm8650"


def told(file: Path, *options: str, target: str = CPU) -> dict[str, Any]:
    return report("check", file, "--target", target, *options)["models"][0]["targets"][0]


def test_what_is_fused_goes_with_what_computes_it(tmp_path: Path) -> None:
    target = told(model(*CASES["matmul and add"], tmp_path / "m.onnx"), "--optimizer", "runtime")
    add = target["operators"][1]
    assert target["optimize"] == "default"
    assert add["removed_by"].startswith("optimizer of ONNX Runtime 1.")
    assert (add["verdict"], add["into"]) == ("accelerated", "main/0")
    assert any("ONNX Runtime 1." in note for note in target["notes"])


SAME = [
    "identity", "conv and norm", "a branch", "what fed a shape", "reshape by own sizes", "neutral",
    "transposes that cancel", "a whole shape", "pad and conv", "relu and clip", "cast before shape",
]  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_both_optimizers_say_the_same_of_every_operator(name: str, tmp_path: Path) -> None:
    prepared = Prepared(load(model(*CASES[name], tmp_path / "m.onnx")))
    ours, theirs = (check_at(prepared, choose(CPU), level) for level in ("default", "runtime"))
    assert ours.count_gone() == theirs.count_gone() > 0
    found = [
        {op.id: (op.verdict, bool(op.gone), op.into) for op in made.operators} for made in (ours, theirs)
    ]
    assert found[0] == found[1]


def test_a_real_model(tmp_path: Path) -> None:
    prepared = Prepared(load(ROOT / "fixtures" / "demo" / "encoder.onnx"))
    ours, theirs = (check_at(prepared, choose(QNN), level) for level in ("default", "runtime"))
    assert {op.id: op.verdict for op in ours.operators} == {op.id: op.verdict for op in theirs.operators}
    known = {op.id for op in theirs.operators}
    assert {item.operator for item in theirs.findings} <= known
    assert {id for part in theirs.partitions for id in part.operators} <= known


def test_calls_of_local_functions_are_told_of() -> None:
    file = ROOT / "fixtures" / "onnx" / "functions.onnx"
    asked, builtin = told(file, "--optimizer", "runtime"), told(file)
    assert [(op["id"], op["verdict"]) for op in asked["operators"]] == [
        (op["id"], op["verdict"]) for op in builtin["operators"]
    ]


def test_casts_that_only_the_cpu_needs_are_not_the_models(tmp_path: Path) -> None:
    """The CPU provider has no float16 kernel of Tanh and puts casts around it."""
    text = "g (float16[2] x) => (float16[2] y) { a=Identity(x) b=Tanh(a) c=Sin(b) y=Tanh(c) }"
    prepared = Prepared(load(model(text, {}, tmp_path / "m.onnx")))
    check_at(prepared, choose(CPU), "runtime")
    graph = prepared.by_runtime[CPU][0].prepared.model.graph
    assert [op.type for op in graph.ops()] == ["Tanh", "Sin", "Tanh"]
    assert {graph.tensor(name or "").dtype for op in graph.ops() for name in op.outputs} == {"float16"}


def test_fix_plans_with_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(
        onnx_bytes("g (float[2,3] x) => (float[2,3] y) { i=Identity(x) s=Softsign(i) y=Identity(s) }")
    )
    line = told(path, "--optimizer", "runtime", target=QNN)["commands"]["fix"].split()
    assert line[line.index("--optimizer") + 1] == "runtime"
    made = tmp_path / "fixed.onnx"
    done = accelint(*line[1:-1], made, "--json")
    assert done.returncode == 0, done.stderr
    after = told(made, "--optimizer", "runtime", target=QNN)
    assert json.loads(done.stdout)["verdict"] == {"before": "none", "after": after["verdict"]}
    assert after["verdict"] == "full"


def test_a_model_that_the_runtime_does_not_load(tmp_path: Path) -> None:
    """Its own words, and what to do; no traceback and no made-up answer."""
    text = "g (float[2,3] x) => (float[2,4] y) { y=Add(x, b) }"
    stored = onnx.load(model(text, {"b": np.ones(2, np.float32)}, tmp_path / "m.onnx"))
    stored.graph.initializer.append(numpy_helper.from_array(np.ones(2, np.float32), "b"))
    onnx.save(stored, tmp_path / "m.onnx")
    done = accelint("check", tmp_path / "m.onnx", "--target", CPU, "--optimizer", "runtime")
    assert done.returncode == 4
    assert "fails to load" in done.stdout + done.stderr
    assert "--optimizer builtin" in done.stdout + done.stderr


def test_an_optimizer_of_nothing_is_wrong_usage(tmp_path: Path) -> None:
    file = ROOT / "fixtures" / "onnx" / "conv_relu.onnx"
    done = accelint("check", file, "--target", CPU, "--optimize", "off", "--optimizer", "runtime")
    assert done.returncode == 2
    assert "leave out --optimizer runtime" in done.stderr
