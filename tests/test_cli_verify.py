"""accelint verify, conform, runtimes, fix and convert on real runtimes, through the command line."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from accelint.analyzer.proof.agreement import compare_placement
from accelint.analyzer.runtimes import Answer, Placed
from accelint.analyzer.runtimes.vulkan import icd
from cli import accelint, report
from onnx import TensorProto, helper

FIXTURES = Path(__file__).parent.parent / "fixtures"
ENCODER = FIXTURES / "demo" / "encoder.onnx"
DENOISER = FIXTURES / "demo" / "denoiser.tflite"
QNN = "onnxruntime/qnn:sm8650"
needs_vulkan = pytest.mark.skipif(icd() is None, reason="no Vulkan driver: apt install chromium")


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fixed") / "encoder.onnx"
    result = accelint("fix", ENCODER, "--target", QNN, "--freeze", "tokens=1x16", "-o", out)
    assert result.returncode == 0, result.stderr
    return out


def test_freezing_makes_the_encoder_run_on_the_npu(fixed: Path) -> None:
    before = report("check", ENCODER, "--target", QNN)["models"][0]["targets"][0]
    after = report("verify", fixed, "--target", QNN, "--against", ENCODER, "--optimize", "off", code=0)[
        "models"
    ][0]["targets"][0]
    assert before["coverage"]["macs"] in (0, None)
    assert after["coverage"]["macs"] == 1.0
    devices = {row["type"]: row["device"] for row in after["placement"]}
    assert devices["MatMul"] == devices["Softmax"] == devices["LayerNormalization"] == "accelerator"
    assert after["parity"]["ok"]
    assert after["contradictions"] == []


def test_verify_catches_another_model(fixed: Path, tmp_path: Path) -> None:
    model = onnx.load(fixed)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == 2:
            array = onnx.numpy_helper.to_array(tensor) * np.float32(1.5)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    other = tmp_path / "other.onnx"
    onnx.save(model, other)
    result = accelint("verify", fixed, "--target", QNN, "--against", other)
    assert result.returncode == 5
    assert "parity FAILS" in result.stdout
    assert "first divergence at main/" in result.stdout


def test_verify_with_the_users_inputs_and_latency(fixed: Path, tmp_path: Path) -> None:
    golden = tmp_path / "golden.npz"
    np.savez(golden, tokens=np.arange(16, dtype=np.int64).reshape(1, 16))
    target = report(
        "verify", fixed, "--target", "onnxruntime/cpu", "--inputs", golden, "--latency", 3, code=0
    )["models"][0]["targets"][0]
    assert target["latency_ms"]["runs"] == 3
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, words=np.zeros(3))
    result = accelint("verify", fixed, "--target", QNN, "--inputs", wrong)
    assert result.returncode == 2
    assert "has no array for tokens" in result.stderr


def test_every_set_of_inputs_is_compared_and_the_runs_of_both_models_are_interleaved(
    fixed: Path, tmp_path: Path
) -> None:
    golden = tmp_path / "golden"
    golden.mkdir()
    for seed in range(2):
        np.savez(golden / f"{seed}.npz", tokens=np.random.default_rng(seed).integers(0, 16, (1, 16)))
    options = [
        "--against",
        ENCODER,
        "--inputs",
        "random",
        "--inputs",
        "boundary",
        "--inputs",
        golden,
        "--latency",
        2,
    ]
    target = report("verify", fixed, "--target", "onnxruntime/cpu", *options, code=0)["models"][0]["targets"][
        0
    ]
    assert [row["inputs"] for row in target["parity"]["sets"]] == [
        "random, seed 0", "boundary values", str(golden / "0.npz"), str(golden / "1.npz"),
    ]  # fmt: skip
    assert all(row["ok"] for row in target["parity"]["sets"])
    assert (
        target["latency_ms"]["against"]["low"]
        <= target["latency_ms"]["against"]["ratio"]
        <= target["latency_ms"]["against"]["high"]
    )
    assert target["latency_ms"]["threads"] == 1
    text = accelint("verify", fixed, "--target", "onnxruntime/cpu", *options).stdout
    assert "parity holds with boundary values" in text
    assert "the reference model took" in text
    assert "predicted runs, ran\n" in text
    empty = tmp_path / "empty"
    empty.mkdir()
    assert accelint("verify", fixed, "--target", "onnxruntime/cpu", "--inputs", empty).returncode == 2


def test_a_set_that_differs_fails_although_others_agree(tmp_path: Path) -> None:
    """Relu and the identity agree on positive inputs alone."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    for kind in ("Relu", "Identity"):
        graph = helper.make_graph([helper.make_node(kind, ["x"], ["y"])], "g", value[:1], value[1:])
        onnx.save(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9),
            tmp_path / f"{kind}.onnx",
        )
    for name, first in (("a", 1.0), ("b", -1.0)):
        np.save(tmp_path / f"{name}.npy", np.array([[first, 2, 3, 4]], np.float32))
    options = [
        "--target",
        "onnxruntime/cpu",
        "--against",
        tmp_path / "Identity.onnx",
        "--inputs",
        tmp_path / "a.npy",
    ]
    assert accelint("verify", tmp_path / "Relu.onnx", *options).returncode == 0
    result = accelint("verify", tmp_path / "Relu.onnx", *options, "--inputs", tmp_path / "b.npy")
    assert result.returncode == 5
    assert "parity holds with" in result.stdout
    assert "parity FAILS with" in result.stdout


def test_verify_with_the_optimizations_that_applications_have() -> None:
    target = report("verify", ENCODER, "--target", "onnxruntime/cpu", "--optimize", "default")["models"][0][
        "targets"
    ][0]
    assert target["runtime_status"] == "ok"
    assert any(row["device"] in ("unmapped", "folded") for row in target["placement"])
    assert accelint("verify", DENOISER, "--target", "litert/xnnpack", "--optimize", "default").returncode == 2


def test_a_wrong_number_of_partitions_is_a_contradiction(tmp_path: Path) -> None:
    """A right count contradicts nothing on the real runtime; a wrong one is told although every operator is
    where it was predicted.
    """
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    nodes = [
        helper.make_node("Tanh", ["x"], ["a"]),
        helper.make_node("Mod", ["a", "x"], ["b"], fmod=1),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    path = tmp_path / "two.onnx"
    graph = helper.make_graph(nodes, "g", value[:1], value[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    target = report("verify", path, "--target", QNN)["models"][0]["targets"][0]
    assert target["actual_partitions"] == len(target["partitions"]) == 2
    coverage = SimpleNamespace(
        operators=(), partitions=(SimpleNamespace(operators=["main/0"]),), verdict="partial"
    )
    answer = Answer("ok", placement=(Placed(0, "", "Tanh", "accelerator"),), partitions=2)
    agreement, wrong = compare_placement(coverage, answer)  # type: ignore[arg-type]
    assert wrong == ("1 partition was predicted and the runtime made 2",)
    assert agreement == {"partitions_predicted": 1, "partitions_actual": 2}


def test_a_pack_that_is_wrong_is_contradicted(tmp_path: Path) -> None:
    path = tmp_path / "tanh.onnx"
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Tanh", ["x"], ["y"])], "g", value[:1], value[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    pack = tmp_path / "mine.toml"
    pack.write_text(
        """
[pack]
target = "onnxruntime/qnn"
dialect = "onnx"
runtime = "onnxruntime-qnn"
version = "2.7.0"
date = "2026-11-22"
default = "fallback"
policy = "onnxruntime/compile"
[variant.sm8650]
[source.mine]
package = "mine"
version = "1"
[[support]]
ops = ["Relu"]
source = "mine"
"""
    )
    assert accelint("check", path, "--target", QNN, "--pack", pack, "--require-full").returncode == 1
    result = accelint("verify", path, "--target", QNN, "--pack", pack)
    assert result.returncode == 4
    assert "was predicted fallback and ran on the accelerator" in result.stderr
    assert accelint("verify", path, "--target", QNN).returncode == 0


@needs_vulkan
@pytest.mark.vulkan
def test_the_denoiser_moves_to_the_gpu(tmp_path: Path) -> None:
    out = tmp_path / "denoiser.tflite"
    before = report("verify", DENOISER, "--target", "litert/gpu", code=0)["models"][0]["targets"][0]
    assert 0 < before["accelerated"] < before["accelerated"] + before["fallback"]
    assert accelint("fix", DENOISER, "--target", "litert/gpu", "-o", out).returncode == 0
    after = report("verify", out, "--target", "litert/gpu", "--against", DENOISER, code=0)["models"][0][
        "targets"
    ][0]
    assert after["verdict"] == "full"
    assert {row["device"] for row in after["placement"]} == {"accelerator"}
    assert after["parity"]["ok"]


def test_fix_tells_what_it_did_and_writes_nothing_without_output() -> None:
    result = accelint("fix", DENOISER, "--target", "litert/gpu", "--diff", "--json")
    assert result.returncode == 0
    done = json.loads(result.stdout)
    assert done["output"] is None
    assert any(step["kept"] and step["proof"].startswith("proved") for step in done["steps"])
    assert accelint("fix", DENOISER, "--target", "litert/gpu").returncode == 2


def test_rules_for_another_version_of_the_runtime_are_a_finding(tmp_path: Path) -> None:
    """A user's pack for the version before: told by conform in text, JSON and page, and by verify."""
    pack = tmp_path / "old.toml"
    head = (
        '[pack]\ntarget = "litert/xnnpack"\nextends = "litert_xnnpack"\ndialect = '
        '"tflite"\nruntime = "ai-edge-litert"\nversion = "2.0.9"\n'
    )
    pack.write_text(head + 'date = "2025-11-22"\ndefault = "fallback"\npolicy = "litert"\n')
    out, page = tmp_path / "out.json", tmp_path / "page.md"
    options = [
        "conform",
        "litert/xnnpack",
        "--quick",
        "--cache",
        tmp_path / "cache",
        "--output",
        out,
        "--page",
        page,
    ]
    result = accelint(*options, "--pack", pack)
    assert result.returncode == 0
    assert "warning ACL901 stale-data" in result.stderr
    told = json.loads(out.read_text())
    assert [item["code"] for item in told["findings"]] == ["ACL901"]
    assert told["findings"][0]["limit"] == "ai-edge-litert 2.0.9"
    assert "newer" in told["findings"][0]["message"]
    assert "warning: ACL901" in page.read_text()
    verified = report("verify", DENOISER, "--target", "litert/xnnpack", "--pack", pack)["models"][0][
        "targets"
    ][0]
    assert verified["drift"]["code"] == "ACL901"
    assert accelint(*options).stderr == ""
    assert json.loads(out.read_text())["findings"] == []
    assert (
        "drift"
        not in report("verify", DENOISER, "--target", "litert/xnnpack", code=0)["models"][0]["targets"][0]
    )


def test_a_pack_extends_another_and_drops_a_rule_of_it(tmp_path: Path) -> None:
    pack = tmp_path / "mine.toml"
    pack.write_text(
        """
[pack]
target = "litert/gpu"
extends = "litert_gpu"
dialect = "tflite"
runtime = "ai-edge-litert"
version = "2.3.0"
date = "2026-11-27"
default = "fallback"
policy = "litert"
drop = [{ rule = "more-than-4-dimensions", reason = "our fork of the delegate takes six" }]
[source.ours]
package = "our-delegate"
version = "1"
date = "2026-11-27"
evidence = "measured"
[[rule]]
id = "ACL201"
name = "no-gelu-in-our-fork"
ops = ["GELU"]
message = "our fork has no {type}"
refuse = true
source = "ours"
reason = "not built in"
examples.fails = [{ in = ["float32[1,4]"] }]
"""
    )
    rules = {
        item["rule"]
        for item in report("check", DENOISER, "-t", "litert/gpu")["models"][0]["targets"][0]["findings"]
    }
    mine = {
        item["rule"]
        for item in report("check", DENOISER, "-t", "litert/gpu", "--pack", pack)["models"][0]["targets"][0][
            "findings"
        ]
    }
    assert "more-than-4-dimensions" in rules
    assert "more-than-4-dimensions" not in mine
    assert {"no-gelu-in-our-fork", "transposed-1d"} <= mine


def test_conform_counts_and_can_be_resumed(tmp_path: Path) -> None:
    options = ["conform", "litert/xnnpack", "--limit", 40, "--cache", tmp_path, "--jobs", 1]
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    assert accelint(*options, "--output", first).returncode == 0
    kept = next(tmp_path.glob("*.jsonl"))
    lines = kept.read_text().splitlines()
    kept.write_text("\n".join(lines[:10]) + '\n{"model": "cut o')
    assert accelint(*options, "--output", second, "--page", tmp_path / "page.md").returncode == 0
    run, again = (json.loads(path.read_text())["corpora"]["generated"] for path in (first, second))
    assert run == again
    assert run["operators"] > 20
    assert sum(count for row in run["confusion"].values() for count in row.values()) == run["operators"]
    assert "predicted" in (tmp_path / "page.md").read_text()


@pytest.mark.parametrize(
    ("record", "target"),
    [("coreml_mlprogram", "coreml:mlprogram"), ("coreml_nn", "coreml:neuralnetwork"), ("nnapi", "nnapi")],
)
def test_the_recorded_answers_agree_with_the_packs(record: str, target: str, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    path = FIXTURES / "recorded" / f"onnxruntime_{record}.json.gz"
    assert accelint("conform", f"onnxruntime/{target}", "--corpus", path, "--output", out).returncode == 0
    run = next(iter(json.loads(out.read_text())["corpora"].values()))
    assert run["operators"] > 10_000
    assert run["agreement"] >= 0.995
    assert run["false_accelerated"] <= 0.002
    assert run["partitions"]["groups_right"] >= 0.98 * run["partitions"]["groups_told"]


def test_runtimes_are_listed_with_what_is_missing() -> None:
    rows = {row["name"]: row for row in json.loads(accelint("runtimes", "--json").stdout)}
    assert rows["onnxruntime/cpu"]["available"]
    assert not rows["coreml/ane"]["available"]
    assert "macOS" in rows["coreml/ane"]["missing"]


def test_verify_of_a_target_that_cannot_run_here_says_so() -> None:
    result = accelint("verify", ENCODER, "--target", "onnxruntime/nnapi")
    assert result.returncode in (2, 4)
    assert "onnxruntime/nnapi" in result.stderr


def test_a_terminal_shows_what_is_under_way_and_a_pipe_does_not() -> None:
    """The command under a pseudo-terminal, whose standard error shows the bar."""
    command = [sys.executable, "-m", "accelint", "verify", str(ENCODER), "--target", "onnxruntime/cpu"]
    main, other = pty.openpty()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=other, env={**os.environ, "TERM": "xterm"}
    )
    os.close(other)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a pseudo-terminal is an error
        while chunk := os.read(main, 4096):
            shown += chunk
    os.close(main)
    assert process.wait(60) == 0
    assert b"asking onnxruntime/cpu" in shown
    assert accelint("verify", ENCODER, "--target", "onnxruntime/cpu").stderr == ""
