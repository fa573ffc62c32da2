"""Distributions that add to accelint are installed and used without touching its files: docs/extending.md."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "tests" / "examples"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the four examples installed in it."""
    target = tmp_path_factory.mktemp("site")
    sources = tmp_path_factory.mktemp("sources")
    for name in ("provider", "rewrite", "reader", "report"):
        copy = sources / name
        subprocess.run(["cp", "-r", str(EXAMPLES / name), str(copy)], check=True)
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
        command += ["--disable-pip-version-check", "--target", str(target), str(copy)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return target


def accelint(site: Path | None, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"PYTHONPATH": str(site)} if site else {})}
    done = subprocess.run(
        [sys.executable, "-m", "accelint", *map(str, arguments)],
        capture_output=True, text=True, env=environment, check=False, timeout=120,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


def doubled(path: Path, *more: onnx.NodeProto) -> Path:
    factor = numpy_helper.from_array(np.array(2.0, np.float32), "two")
    nodes = [helper.make_node("Mul", ["x", "two"], ["h"], "double"), helper.make_node("Relu", ["h"], ["y"])]
    graph = helper.make_graph(
        [*nodes, *more],
        "main",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (2, 3))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (2, 3))],
        [factor],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_provider_is_checked_listed_and_asked(site: Path, tmp_path: Path) -> None:
    model = doubled(tmp_path / "m.onnx")
    assert accelint(None, "check", model, "--target", "example/evaluator").returncode == 2
    told = accelint(site, "check", model, "--target", "example/evaluator", "--format", "json")
    target = document(told)["models"][0]["targets"][0]
    assert (target["verdict"], len(target["partitions"])) == ("full", 1)
    assert "example/evaluator" in accelint(site, "targets").stdout
    assert re.search(r"^example/evaluator +ready", accelint(site, "runtimes").stdout, re.M)
    asked = accelint(site, "verify", model, "--target", "example/evaluator", "--format", "json")
    assert asked.returncode == 0, asked.stdout + asked.stderr
    told = document(asked)["models"][0]["targets"][0]
    assert {row["device"] for row in told["placement"]} == {"accelerator"}
    assert told["parity"]["agrees"] is True


def test_a_providers_rejection_is_predicted_by_its_own_predicate(site: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(size=(1, 2, 3)), "r": rng.normal(size=(1, 2, 2))}
    for activation, verdict in (("Tanh", "full"), ("Elu", "rejected")):
        node = helper.make_node("RNN", ["x", "w", "r"], ["y"], hidden_size=2, activations=[activation])
        graph = helper.make_graph(
            [node],
            "main",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, (5, 1, 3))],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, (5, 1, 1, 2))],
            [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
        )
        path = tmp_path / f"{activation}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        checked = document(accelint(site, "check", path, "--target", "example/evaluator", "--format", "json"))
        assert checked["models"][0]["targets"][0]["verdict"] == verdict
        asked = accelint(site, "verify", path, "--target", "example/evaluator", "--format", "json")
        placed = document(asked)["models"][0]["targets"][0].get("placement")
        assert bool(placed) is (verdict == "full"), asked.stdout


def test_a_rewrite_is_among_the_others(site: Path, tmp_path: Path) -> None:
    code = (
        "from accelint import load\nfrom accelint.rewrites.engine import run\n"
        "from accelint.rewrites.registry import rewrite\nimport sys\n"
        "model = load(sys.argv[1])\nprint(run(model.graph, [rewrite('example-double-as-sum')]))\n"
        "print([op.type for op in model.graph.ops()])"
    )
    model = doubled(tmp_path / "m.onnx")
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(model)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "['Add', 'Relu']"


def test_a_reader_reads_what_accelint_does_not(site: Path, tmp_path: Path) -> None:
    packed = tmp_path / "m.onnx.gz"
    packed.write_bytes(gzip.compress(doubled(tmp_path / "m.onnx").read_bytes()))
    assert accelint(None, "check", packed, "--target", "onnxruntime/cpu").returncode == 3
    told = accelint(site, "check", packed, "--target", "onnxruntime/cpu", "--format", "json")
    model = document(told)["models"][0]
    assert (model["format"], model["dialect"], model["operators"]) == ("onnx-gz", "onnx", 2)
    packed.write_bytes(packed.read_bytes()[:-9])
    assert accelint(site, "check", packed, "--target", "onnxruntime/cpu").returncode == 3


def test_a_report_form_is_written(site: Path, tmp_path: Path) -> None:
    model = doubled(tmp_path / "m.onnx")
    assert (
        accelint(None, "check", model, "--target", "onnxruntime/cpu", "--format", "verdicts").returncode == 2
    )
    told = accelint(site, "check", model, "--target", "onnxruntime/cpu", "--format", "verdicts")
    assert told.stdout.split("\t")[1:3] == ["onnxruntime/cpu", "full"]


def test_one_that_cannot_be_imported_is_named(site: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    (broken / "acme-1.0.dist-info").mkdir(parents=True)
    (broken / "acme-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n"
    )
    (broken / "acme-1.0.dist-info" / "entry_points.txt").write_text(
        "[accelint.reports]\nbad = acme_nowhere\n"
    )
    told = accelint(broken, "check", doubled(tmp_path / "m.onnx"), "--target", "onnxruntime/cpu", "-f", "bad")
    assert told.returncode == 2
    assert "acme adds 'bad' to accelint.reports" in told.stderr
    assert "uninstall acme" in told.stderr


def test_the_page_names_every_group_and_every_example() -> None:
    from accelint.analyzer.extensions import KINDS

    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    assert all(f"accelint.{kind}" in page for kind in KINDS)
    assert all(f"tests/examples/{folder.name}" in page for folder in EXAMPLES.iterdir() if folder.is_dir())
