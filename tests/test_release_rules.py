"""What began or ended with a release: through the command line, and asked of the installed runtime where that
can tell.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from accelint.analyzer.flows.optimized import release_of
from accelint.rules.registry import choose
from accelint.rules.versions import version_key
from cli import ROOT, accelint, report
from onnx import TensorProto, helper, numpy_helper

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
CPU, NNAPI, XNNPACK = "onnxruntime/cpu", "onnxruntime/nnapi", "onnxruntime/xnnpack"
PROGRAM, NETWORK = "onnxruntime/coreml:mlprogram", "onnxruntime/coreml:neuralnetwork"
INSTALLED = version_key(onnxruntime.__version__)
SCHEMAS = json.loads((ROOT / "rules" / "predicates" / "ort_schemas.json").read_text(encoding="utf-8"))


def saved(
    path: Path,
    nodes: list[onnx.NodeProto],
    opset: int = 17,
    kind: int = FLOAT,
    shape: tuple[int, ...] = (2, 4),
) -> Path:
    ends = [helper.make_tensor_value_info(name, kind, shape if name == "x" else None) for name in "xy"]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), path)
    return path


def answer(path: Path, target: str, *options: str) -> dict[str, Any]:
    """The target's part of the report, whatever the exit code."""
    result = accelint("check", path, "--target", target, "--format", "json", *options)
    assert result.returncode in (0, 1), result.stderr
    found: dict[str, Any] = json.loads(result.stdout)["models"][0]["targets"][0]
    return found


def verdicts(path: Path, *targets: str) -> list[str]:
    return [answer(path, target)["verdict"] for target in targets]


def failure(path: Path, *, optimize: bool = True) -> str:
    """What the installed ONNX Runtime says when it does not load the model; empty when it does."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        return str(error)
    return ""


def test_an_attribute_of_a_later_release_fails_to_load(tmp_path: Path) -> None:
    """One that the installed runtime does not know, and its own release."""
    row = SCHEMAS["operators"]["GroupQueryAttention"]["attributes"]
    later = {name: since for name, since in row.items() if version_key(since) > INSTALLED}
    attribute, since = next(iter(later.items()), ("strange", ""))
    node = helper.make_node(
        "GroupQueryAttention", ["x"] * 7, ["y", "p", "q"], domain="com.microsoft", num_heads=1, kv_num_heads=1
    )
    node.attribute.append(helper.make_attribute(attribute, 1.0))
    path = saved(tmp_path / "m.onnx", [node])
    assert f"Unrecognized attribute: {attribute}" in failure(path)

    def rules(release: str) -> set[str]:
        return {item["rule"] for item in answer(path, f"{CPU}@{release}")["findings"]}

    assert "attribute-not-in-the-operator-set" in rules(onnxruntime.__version__)
    assert not since or "attribute-not-in-the-operator-set" not in rules(since)


def test_every_provider_reads_the_file_with_its_release(tmp_path: Path) -> None:
    node = helper.make_node("GatherBlockQuantized", ["x", "x", "x"], ["y"], domain="com.microsoft", bits=8)
    path = saved(tmp_path / "m.onnx", [node])
    for target in (CPU, NNAPI, PROGRAM, XNNPACK):
        rules = [
            {item["rule"] for item in answer(path, f"{target}@{release}")["findings"]}
            for release in ("1.22.1", "1.23.0")
        ]
        assert ["attribute-not-in-the-operator-set" in found for found in rules] == [True, False], target


@pytest.mark.parametrize(("kind", "optimize"), [("CastLike", True), ("Cast", False)])
def test_a_float16_cast_between_operators_in_float32(tmp_path: Path, kind: str, optimize: bool) -> None:
    cast = (
        helper.make_node("Cast", ["a"], ["b"], to=HALF)
        if kind == "Cast"
        else helper.make_node("CastLike", ["a", "x"], ["b"])
    )
    nodes = [helper.make_node("Neg", ["x"], ["a"]), cast, helper.make_node("Neg", ["b"], ["y"])]
    path = saved(tmp_path / "m.onnx", nodes, kind=HALF)
    level = () if optimize else ("--optimize", "off")
    old, new = (answer(path, f"{CPU}@{release}", *level) for release in ("1.30.0", "1.31.0"))
    assert (old["verdict"], old["phase"], new["verdict"]) == ("rejected", "load", "full")
    if INSTALLED >= (1, 31):
        assert not failure(path, optimize=optimize)
    else:
        assert "InsertedPrecisionFreeCast" in failure(path, optimize=optimize)


def test_a_float16_cast_beside_a_float16_kernel_loads(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Neg", ["x"], ["a"]),
        helper.make_node("CastLike", ["a", "x"], ["b"]),
        helper.make_node("Transpose", ["b"], ["c"]),
        helper.make_node("Neg", ["c"], ["y"]),
    ]
    path = saved(tmp_path / "m.onnx", nodes, kind=HALF)
    assert verdicts(path, f"{CPU}@1.30.0") == ["full"]
    assert not failure(path)


def test_the_standard_operator_set_counts_where_no_operator_is_of_it(tmp_path: Path) -> None:
    """ONNX Runtime looks at what a file imports, not at what its operators need."""
    node = helper.make_node("BiasGelu", ["x", "x"], ["y"], domain="com.microsoft")
    path = saved(tmp_path / "m.onnx", [node], opset=20, shape=(4,))
    assert verdicts(path, f"{CPU}@1.16.3", f"{CPU}@1.17.0") == ["rejected", "full"]
    newest = saved(tmp_path / "n.onnx", [node], opset=60, shape=(4,))
    assert verdicts(newest, CPU) == ["rejected"]
    assert "official released onnx opset" in failure(newest)


def test_a_body_without_types_has_those_of_its_operands(tmp_path: Path) -> None:
    """onnx writes bodies of functions so: each input by its name alone."""
    untyped = [onnx.ValueInfoProto(name=name) for name in ("s", "e")]
    body = helper.make_graph(
        [helper.make_node("Add", ["s", "e"], ["t"]), helper.make_node("Cast", ["t"], ["u"], to=FLOAT)],
        "body",
        untyped,
        [onnx.ValueInfoProto(name="u"), onnx.ValueInfoProto(name="t")],
    )
    scan = helper.make_node("Scan", ["x0", "x"], ["z", "y"], body=body, num_scan_inputs=1)
    take = helper.make_node("ReduceSum", ["x", "zero"], ["x0"], keepdims=0)
    path = saved(tmp_path / "m.onnx", [take, scan])
    stored = onnx.load(path)
    stored.graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.int64), "zero"))
    onnx.save(stored, path)
    assert verdicts(path, CPU) == ["full"]
    assert not failure(path)


def test_what_the_mobile_providers_took_up_later(tmp_path: Path) -> None:
    exp = saved(tmp_path / "exp.onnx", [helper.make_node(kind, [a], [b]) for kind, a, b in (
        ("Exp", "x", "a"), ("Exp", "a", "y"))])  # fmt: skip
    assert verdicts(exp, f"{PROGRAM}@1.23.2", f"{PROGRAM}@1.24.1", PROGRAM) == ["none", "full", "full"]
    split = [helper.make_node("Split", ["x"], ["y", "z"], axis=1)]
    split_path = saved(tmp_path / "split.onnx", split)
    assert verdicts(split_path, f"{NNAPI}@1.16.3", f"{NNAPI}@1.17.0") == ["none", "full"]
    pool = saved(
        tmp_path / "pool.onnx", [helper.make_node("GlobalAveragePool", ["x"], ["y"])], 22, shape=(1, 4, 8, 8)
    )
    assert verdicts(pool, f"{NNAPI}@1.22.1", f"{NNAPI}@1.23.0") == ["none", "full"]
    assert verdicts(pool, f"{NETWORK}@1.22.1", f"{NETWORK}@1.23.0") == ["none", "full"]


def test_matmul_and_convolution_of_xnnpack_by_release(tmp_path: Path) -> None:
    def weighted(kind: str, shape: tuple[int, ...], weight: tuple[int, ...]) -> Path:
        path = saved(tmp_path / f"{kind}.onnx", [helper.make_node(kind, ["x", "w"], ["y"])], shape=shape)
        proto = onnx.load(path)
        proto.graph.initializer.append(numpy_helper.from_array(np.ones(weight, np.float32), "w"))
        onnx.save(proto, path)
        return path

    matmul = weighted("MatMul", (1, 2, 4), (4, 8))
    assert verdicts(matmul, f"{XNNPACK}@1.22.1", f"{XNNPACK}@1.23.0") == ["none", "full"]
    conv = weighted("Conv", (1, 4, 8), (4, 4, 3))
    assert verdicts(conv, f"{XNNPACK}@1.17.3", f"{XNNPACK}@1.18.0") == ["none", "full"]


@pytest.mark.parametrize("target", [NNAPI, NETWORK])
def test_values_beside_the_file_before_1_23(tmp_path: Path, target: str) -> None:
    node = helper.make_node("Add", ["x", "w"], ["y"])
    path = saved(tmp_path / "m.onnx", [node], shape=(1, 4))
    proto = onnx.load(path)
    proto.graph.initializer.append(numpy_helper.from_array(np.ones((1, 4), np.float32), "w"))
    onnx.save(proto, path)
    assert verdicts(path, f"{target}@1.22.1") == ["full"]
    onnx.save(proto, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    assert verdicts(path, f"{target}@1.22.1", f"{target}@1.23.0") == ["none", "full"]


def test_an_unknown_release_is_an_error_with_those_that_are_known(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"])])
    for target, unknown in ((CPU, "1.33.0"), (NNAPI, "1.15.1"), ("onnxruntime/qnn", "2.3.0")):
        result = accelint("check", path, "--target", f"{target}@{unknown}")
        known = json.loads(accelint("targets", target, "--json").stdout)[0]["releases"]
        assert result.returncode == 2
        assert unknown in result.stderr
        assert all(release in result.stderr for release in known), target


def test_the_passes_are_those_of_the_hosts_release(tmp_path: Path) -> None:
    """The provider counts its own releases: 2.7.0 works in ONNX Runtime 1.32.0."""
    nodes = [helper.make_node("Dropout", ["x"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    path = saved(tmp_path / "m.onnx", nodes)
    found = {name: release_of(choose(name)) for name in ("onnxruntime/qnn", "onnxruntime/openvino", CPU)}
    assert found == {"onnxruntime/qnn": "1.32.0", "onnxruntime/openvino": "1.24.1", CPU: "1.32.0"}
    assert report("check", path, "--target", "onnxruntime/qnn@2.4.0", code=0)
