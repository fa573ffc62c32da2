"""accelint releases, and the releases that accelint targets lists, through the command line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import onnx
import pytest
from accelint.rules.registry import load_pack
from cli import ROOT, accelint, report, schema
from onnx import TensorProto, helper

CPU, QNN, ANE = "onnxruntime/cpu", "onnxruntime/qnn:sm8650", "coreml/ane"
STATE = ROOT / "fixtures" / "coreml" / "state.mlpackage"
NETWORK = ROOT / "fixtures" / "coreml" / "network.mlmodel"


def model(path: Path, kind: str, opset: int, output: int = TensorProto.FLOAT, **attrs: int) -> Path:
    told = [
        helper.make_tensor_value_info(name, dtype, [1, 4])
        for name, dtype in (("x", TensorProto.FLOAT), ("y", output))
    ]
    graph = helper.make_graph(
        [helper.make_node(kind, ["x"], ["y"], name="n", **attrs)], "g", [told[0]], [told[1]]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


@pytest.fixture
def bitcast(tmp_path: Path) -> Path:
    """An operator that ONNX Runtime's CPU provider has from 1.25.0 on."""
    return model(tmp_path / "bitcast.onnx", "BitCast", 26, TensorProto.INT32, to=TensorProto.INT32)


def told(*arguments: object, code: int) -> dict[str, Any]:
    result = accelint("releases", *arguments, "--format", "json")
    assert result.returncode == code, (result.returncode, result.stderr)
    document: dict[str, Any] = json.loads(result.stdout)
    jsonschema.validate(document, schema("releases"))
    return document


def rows(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["release"]: row for row in document["targets"][0]["releases"]}


def test_every_release_with_data_is_answered_newest_first(bitcast: Path) -> None:
    found = told(bitcast, "--target", CPU, code=1)
    assert list(rows(found)) == list(reversed(load_pack(CPU).versions))
    assert rows(found)["1.24.1"]["verdict"] == "rejected"
    assert rows(found)["1.31.0"]["verdict"] == "full"


def test_what_changed_is_told_by_rule_and_operator(bitcast: Path) -> None:
    found = rows(told(bitcast, "--target", CPU, code=1))
    changes = found["1.25.0"]["changes"]
    assert changes["since"] == "1.24.4"
    gone = {item["rule"]: item for item in changes["gone"]}
    kernel = gone["bitcast-from-opset-26-until-1-25-0"]
    assert kernel["effect"] == "rejected"
    assert kernel["operators"] == [{"id": "main/0", "name": "n", "type": "BitCast"}]
    assert changes["operators"] == [
        {"id": "main/0", "name": "n", "type": "BitCast", "before": "rejected", "now": "accelerated"}
    ]
    assert found[load_pack(CPU).versions[0]]["changes"] is None
    same = found["1.31.0"]["changes"]
    assert (same["since"], same["new"], same["gone"], same["operators"]) == ("1.30.0", [], [], [])


def test_new_findings_are_told_too() -> None:
    found = rows(told(STATE, "--target", ANE, code=1))
    changes = found["17"]["changes"]
    assert [item["rule"] for item in changes["new"]] == ["opset-newer-than-os-17"]
    assert [item["rule"] for item in changes["gone"]] == ["opset-newer-than-os-16"]
    assert {item["before"] for item in found["18"]["changes"]["operators"]} == {"rejected"}


@pytest.mark.parametrize("target", [CPU, "onnxruntime/openvino"])
def test_each_row_is_what_check_says_of_that_release(bitcast: Path, target: str) -> None:
    for version, row in rows(told(bitcast, "--target", target, code=1)).items():
        if version not in ("1.24.1", "1.25.0", "1.32.0"):
            continue
        alone = report("check", bitcast, "--target", f"{target}@{version}")["models"][0]["targets"][0]
        assert row["verdict"] == alone["verdict"]
        assert row["phase"] == alone["phase"]
        assert row["coverage"] == alone["coverage"]
        assert row["partitions"] == len(alone["partitions"])


def test_a_release_without_rules_of_its_own_names_whose_answer_it_is(tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx", "Relu", 17)
    found = rows(told(path, "--target", CPU, code=0))
    assert found[load_pack(CPU).version]["rules_of"] == load_pack(CPU).version
    assert (found["1.24.4"]["rules_of"], found["1.24.1"]["rules_of"]) == ("1.24.4", "1.24.4")
    assert found["1.25.0"]["rules_of"] != found["1.24.1"]["rules_of"]
    text = accelint("releases", path, "--target", CPU).stdout
    assert "answered with those of 1.24.4" in text
    assert f"the default, data of {load_pack(CPU).date}" in text


def test_one_release_with_data_is_said_to_be_the_only_one(tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx", "Relu", 17)
    text = accelint("releases", path, "--target", "coreml/convertible-onnx").stdout
    assert "1 release with data" in text
    assert "no other release has data" in text
    assert "no other release has data" not in accelint("releases", path, "--target", CPU).stdout


def test_a_network_is_answered_for_the_releases_of_its_own_pack() -> None:
    found = told(NETWORK, "--target", ANE, code=0)
    assert found["targets"][0]["target"].startswith("coreml/ane-nn")
    assert list(rows(found)) == list(reversed(load_pack("coreml/ane-nn").versions))


def test_a_target_that_takes_no_such_model_is_said(tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx", "Relu", 17)
    result = accelint("releases", path, "--target", f"{CPU},litert/builtins")
    assert result.returncode == 0
    assert "not checked for litert/builtins" in result.stderr
    assert accelint("releases", path, "--target", f"{CPU},litert/builtins", "--quiet").stderr == ""


def test_exit_codes(bitcast: Path, tmp_path: Path) -> None:
    def code(*arguments: object) -> int:
        result: subprocess.CompletedProcess[str] = accelint("releases", *arguments)
        return result.returncode

    assert code(bitcast, "--target", CPU) == 1
    assert code(bitcast, "--target", CPU, "--fail-on", "never") == 0
    assert code(bitcast, "--target", f"{CPU}@1.25.0") == 2
    assert code(bitcast, "--target", "litert/builtins") == 2
    assert code(tmp_path / "none.onnx", "--target", CPU) == 3


def test_targets_lists_the_releases_that_a_version_may_name(tmp_path: Path) -> None:
    for row in json.loads(accelint("targets", "--json").stdout):
        pack = load_pack(row["target"].partition(":")[0])
        assert row["releases"] == list(reversed(pack.versions)), row["target"]
    line = next(item for item in accelint("targets", CPU).stdout.splitlines() if item.startswith(CPU))
    assert f"releases: {', '.join(reversed(load_pack(CPU).versions))}" in line
    path = model(tmp_path / "m.onnx", "Relu", 17)
    assert accelint("check", path, "--target", f"{CPU}@1.26.0").returncode == 0
    assert accelint("check", path, "--target", f"{CPU}@1.2.0").returncode == 2


def test_the_optimization_level_is_that_of_check(tmp_path: Path) -> None:
    told_ = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    nodes = [helper.make_node("Dropout", ["x"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    graph = helper.make_graph(nodes, "g", told_[:1], told_[1:])
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    target, found = "onnxruntime/nnapi", []
    for given in ((), ("--optimize", "off")):
        row = rows(told(path, "--target", target, *given, code=0))[load_pack(target).version]
        alone = report("check", path, "--target", target, *given)["models"][0]["targets"][0]
        assert row["coverage"] == alone["coverage"]
        assert row["partitions"] == len(alone["partitions"])
        found.append(row["coverage"]["operators"])
    assert found == [1.0, 0.5]


def test_the_host_has_the_release_that_was_asked_for_and_the_device_is_said(tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx", "Relu", 17)
    found = told(path, "--target", f"{QNN},onnxruntime/openvino", code=0)
    qnn, openvino = found["targets"]
    assert qnn["device"]["product"] == "Snapdragon 8 Gen 3"
    hosts = {row["release"]: row["host"] for row in qnn["releases"]}
    assert hosts["2.7.0"] == hosts["2.4.0"] == "onnxruntime/cpu@1.32.0"
    assert [row["host"] for row in openvino["releases"]] == ["onnxruntime/cpu@1.24.1"]
    text = accelint("releases", path, "--target", QNN).stdout
    assert "product Snapdragon 8 Gen 3" in text
    assert "falls back to onnxruntime/cpu@1.32.0" in text


def test_a_release_that_has_no_kernel_or_no_such_operator_set_is_told(tmp_path: Path) -> None:
    """ONNX Runtime 1.20 has no bfloat16 kernel and no operator set 23; kernels of 1.20.0 are known."""
    newest = rows(told(model(tmp_path / "m.onnx", "Relu", 23), "--target", CPU, code=1))
    assert newest["1.23.0"]["verdict"] == "full"
    assert (newest["1.20.0"]["verdict"], newest["1.20.0"]["phase"]) == ("rejected", "load")
    assert newest["1.22.1"]["verdict"] == "rejected"
