"""accelint check, targets, explain and rules through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from accelint.rules.wording import say
from cli import accelint, report
from onnx import TensorProto, helper

QNN = "onnxruntime/qnn:sm8650"


@pytest.fixture
def static(tmp_path: Path) -> Path:
    return model(tmp_path / "static.onnx", [1, 3, 8, 8])


@pytest.fixture
def dynamic(tmp_path: Path) -> Path:
    return model(tmp_path / "dynamic.onnx", ["batch", 3, 8, 8])


def model(path: Path, shape: list[int | str], kinds: tuple[str, ...] = ("Relu", "Sigmoid", "Tanh")) -> Path:
    names = ["x", *(f"t{index}" for index in range(len(kinds)))]
    nodes = [
        helper.make_node(kind, [names[index]], [names[index + 1]], name=f"n{index}")
        for index, kind in enumerate(kinds)
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(names[-1], TensorProto.FLOAT, shape)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def test_a_static_model_is_full(static: Path) -> None:
    target = report("check", static, "--target", QNN, code=0)["models"][0]["targets"][0]
    assert target["verdict"] == "full"
    assert target["coverage"]["operators"] == 1.0
    assert [op["verdict"] for op in target["operators"]] == ["accelerated"] * 3
    assert [part["operators"] for part in target["partitions"]] == [["main/0", "main/1", "main/2"]]
    assert target["partitions"][0]["bytes_in"] == target["partitions"][0]["bytes_out"] == 3 * 8 * 8 * 4


def test_a_dynamic_model_falls_back_for_its_shapes(dynamic: Path) -> None:
    target = report("check", dynamic, "--target", QNN, code=1)["models"][0]["targets"][0]
    assert target["verdict"] == "none"
    assert {finding["code"] for finding in target["findings"]} == {"ACL101"}


def test_the_text_names_the_root_cause_once(dynamic: Path) -> None:
    text = accelint("check", dynamic, "--target", QNN).stdout
    assert text.count("ACL101") == 1
    assert "root: x[batch,3,8,8]" in text
    assert "--freeze x=1x3x8x8" in text


def test_several_models_and_targets_are_reported_in_order(
    static: Path, dynamic: Path, tmp_path: Path
) -> None:
    missing = tmp_path / "missing.onnx"
    document = report(
        "check", dynamic, missing, static, "--target", QNN, "--target", "onnxruntime/qnn:sm8550", code=3
    )
    assert [Path(entry["path"]).name for entry in document["models"]] == [
        "dynamic.onnx",
        "missing.onnx",
        "static.onnx",
    ]
    assert document["models"][1]["error"]["kind"] == "unreadable"
    assert [target["target"] for target in document["models"][2]["targets"]] == [
        QNN,
        "onnxruntime/qnn:sm8550",
    ]
    assert document["summary"]["unreadable"] == 1


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--fail-on", "warning"], 1),
        (["--fail-on", "error"], 1),
        (["--fail-on", "never"], 0),
        (["--min-coverage", "50%"], 1),
        (["--min-coverage", "0", "--fail-on", "never"], 0),
        (["--require-full"], 1),
        (["--max-partitions", "0", "--fail-on", "never"], 1),
    ],
)
def test_gates_set_the_exit_code(dynamic: Path, options: list[str], code: int) -> None:
    assert accelint("check", dynamic, "--target", QNN, *options).returncode == code


def test_partition_gate(static: Path) -> None:
    result = accelint("check", static, "--target", QNN, "--max-partitions", "0")
    assert result.returncode == 1
    assert "1 partition, at most 0" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--target", "onnxruntime/qmn"], "did you mean onnxruntime/qnn"),
        (["--target", "onnxruntime/qnn:sm8651"], "did you mean onnxruntime/qnn:sm8650"),
        (["--target", QNN, "--min-coverage", "lots"], "write 95%"),
        (["--target", QNN, "--format", "yaml"], "there are brief, csv, dot, full"),
        (["--target", "litert/builtins"], "takes tf models"),
        (["--target", QNN, "--pack", "nowhere.toml"], "pack"),
    ],
)
def test_wrong_usage_is_exit_code_2_with_a_hint(static: Path, arguments: list[str], hint: str) -> None:
    result = accelint("check", static, *arguments)
    assert result.returncode == 2, result.stderr
    assert hint in result.stderr
    assert result.stdout == ""


def test_output_goes_to_a_file_whole_or_not_at_all(static: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    assert accelint("check", static, "--target", QNN, "--format", "json", "--output", out).returncode == 0
    assert json.loads(out.read_text())["schema"] == "accelint/report/1"
    rejected = accelint(
        "check", static, "--target", QNN, "--output", tmp_path / "no" / "such" / "report.json"
    )
    assert rejected.returncode == 2
    assert not (tmp_path / "no").exists()


def test_names_from_the_model_cannot_drive_the_terminal(tmp_path: Path) -> None:
    path = model(tmp_path / "escape.onnx", ["\x1b[31mN[bold]", 3, 8, 8])
    text = accelint("check", path, "--target", QNN).stdout
    assert "\x1b" not in text
    assert "[bold]" in text


def test_a_fingerprint_survives_a_shift_of_indexes(tmp_path: Path) -> None:
    first = report("check", model(tmp_path / "a.onnx", ["N", 4], ("Relu", "Tanh")), "--target", QNN)
    graph = onnx.load(tmp_path / "a.onnx")
    graph.graph.node.insert(0, helper.make_node("Identity", ["x"], ["unused"], name="early"))
    onnx.save(graph, tmp_path / "b.onnx")
    second = report("check", tmp_path / "b.onnx", "--target", QNN)

    def prints(document: dict[str, object]) -> set[str]:
        return {item["fingerprint"] for item in document["models"][0]["targets"][0]["findings"]}  # type: ignore[index]

    assert prints(first) <= prints(second)
    assert prints(first)


def test_targets_and_rules_are_listed_as_json() -> None:
    targets = json.loads(accelint("targets", "--json").stdout)
    assert QNN in {row["target"] for row in targets}
    rules = json.loads(accelint("rules", "--target", "onnxruntime/qnn", "--code", "ACL1", "--json").stdout)
    assert rules
    assert all(row["code"].startswith("ACL1") for row in rules)


def test_targets_and_rules_are_filtered() -> None:
    names = [row["target"] for row in json.loads(accelint("targets", "qnn", "--json").stdout)]
    assert QNN in names
    assert all("qnn" in name for name in names)
    rows = json.loads(accelint("targets", "--dialect", "tflite", "--askable", "--json").stdout)
    assert {"litert/gpu", "litert/xnnpack"} <= {row["target"] for row in rows}
    assert not any(row["target"].startswith("litert/hexagon") for row in rows)
    rules = json.loads(
        accelint(
            "rules", "--target", "onnxruntime/qnn", "--effect", "rejected", "--evidence", "measured", "--json"
        ).stdout
    )
    assert rules
    assert {row["effect"] for row in rules} == {"rejected"}


def test_explain_keeps_to_the_variant_and_speaks_of_the_frameworks() -> None:
    resize = accelint("explain", "Resize", "--target", "onnxruntime/coreml:mlprogram").stdout
    assert "resize-rank\n" in resize
    assert "resize-rank-neural-network" not in resize
    assert "the rank of input 0 is 3 to 5" in resize
    assert "in PyTorch:" in resize
    assert "{seen}" not in resize
    gpu = accelint("explain", "ACL401", "--target", "litert/gpu").stdout
    assert "transpose-on-views (TRANSPOSE)" in gpu
    assert "transpose-on-views-onnx" not in gpu
    assert accelint("explain", "Resize", "--target", "onnxruntime/coreml:mlprogam").returncode == 2
    assert "not known to the target" in accelint("explain", "Erf", "--target", "onnxruntime/nnapi").stdout


def test_conditions_are_said_as_clauses() -> None:
    said = {
        "the rank of input 0 is 3 to 5": {"input": 0, "of": "rank", "between": [3, 5]},
        "mode (default nearest) is nearest or linear": {
            "attr": "mode",
            "default": "nearest",
            "one_of": ["nearest", "linear"],
        },
        "every input is of a static shape (unknown counts as not supported)": {
            "input": "all",
            "of": "static",
            "eq": True,
            "unknown": "fails",
        },
        "inputs 1 and 2 are stored in the file (required)": {
            "input": [1, 2],
            "of": "const",
            "eq": True,
            "absent": "fails",
        },
        "some size on axis 1 and 2 of output 0 is not 1": {
            "output": 0,
            "of": "dim",
            "axis": [1, 2],
            "not_eq": 1,
            "some": True,
        },
        "the dtype of input 1 is the same as the dtype of input 0": {
            "input": 1,
            "of": "dtype",
            "same_as": {"input": 0, "of": "dtype"},
        },
        "group (default 1) is 1; or input 1 is computed": {
            "any_of": [{"attr": "group", "default": 1, "eq": 1}, {"input": 1, "of": "const", "eq": False}]
        },
        "the operator is not inside a subgraph": {"op": "in_body", "eq": False},
        "input 2 is omitted": {"input": 2, "present": False},
    }
    assert {say(table) for table in said.values()} == set(said)


def test_explain_a_code_an_operator_and_a_wrong_word() -> None:
    assert "What to change" in accelint("explain", "ACL101").stdout
    conv = accelint("explain", "CONV_2D", "--target", "litert/gpu").stdout
    assert "source:" in conv
    wrong = accelint("explain", "CONV_2DD", "--target", "litert/gpu")
    assert wrong.returncode == 2
    assert "did you mean CONV_2D" in wrong.stderr


def test_optimized_folds_the_shapes_that_torch_exports_compute(tmp_path: Path) -> None:
    """x.reshape(x.shape[0], -1) as the TorchScript exporter writes it: kept as stored, folded before ONNX
    Runtime's providers are asked.
    """
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Shape", ["a"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["b"]),
        helper.make_node("Unsqueeze", ["b", "axes"], ["u"]),
        helper.make_node("Concat", ["u", "rest"], ["c"], axis=0),
        helper.make_node("Reshape", ["a", "c"], ["y"]),
    ]
    constants = [
        helper.make_tensor("zero", TensorProto.INT64, [], [0]),
        helper.make_tensor("axes", TensorProto.INT64, [1], [0]),
        helper.make_tensor("rest", TensorProto.INT64, [1], [-1]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 12])
    graph = helper.make_graph(nodes, "g", [x], [y], constants)
    path = tmp_path / "reshape.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    stored = report("check", path, "--target", QNN, "--optimize", "off")["models"][0]["targets"][0]
    optimized = report("check", path, "--target", QNN)["models"][0]["targets"][0]
    assert report("check", path, "--target", QNN, "--optimized")["models"][0]["targets"][0] == optimized
    assert (stored["optimize"], optimized["optimize"]) == ("off", "default")
    assert stored["verdict"] == "partial"
    assert optimized["verdict"] == "full"
    assert [item["verdict"] for item in optimized["operators"]] == [
        "accelerated",
        "folded",
        "folded",
        "folded",
        "folded",
        "accelerated",
    ]
    assert accelint("check", path, "--target", "coreml/ane:m1", "--optimized").returncode == 2
