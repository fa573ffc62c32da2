"""What broke on models that were not made for these tests, each in the smallest form that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from accelint.analyzer.check.run import check
from accelint.analyzer.formats import load
from accelint.analyzer.formats.tflite.writer import to_bytes
from accelint.analyzer.ir.graph import Graph, Operator
from accelint.analyzer.runtimes import Request, Session, runtimes
from accelint.rules.conditions import Outcome
from accelint.rules.predicates.onnx_schema import attributes_declared
from accelint.rules.registry import choose
from accelint.rules.verdict import Answer
from cli import accelint
from onnx import helper, numpy_helper
from rewrite_models import Net

QNN = "onnxruntime/qnn:sm8650"
FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


@pytest.fixture(scope="module")
def qnn() -> Iterator[Session]:
    pytest.importorskip("onnxruntime_qnn", reason="needs onnxruntime-qnn")
    with Session(QNN, timeout=60) as session:
        yield session


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    shape: list[int],
    constants: dict[str, np.ndarray[Any, Any]] | None = None,
    opset: int = 17,
    others: dict[str, list[int]] | None = None,
) -> Path:
    """Float x (and int64 ``others``) -> nodes -> float y, shapes inferred."""
    indices = (others or {}).items()
    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info("x", FLOAT, shape),
            *(helper.make_tensor_value_info(k, INT64, v) for k, v in indices),
        ],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(onnx.shape_inference.infer_shapes(model), path)
    return path


@pytest.mark.parametrize(
    ("table", "indices", "constant"),
    [
        ([12, 1], [1, 1, 1, 12], True),
        ([12, 1], [1, 1, 1, 12], False),
        ([4, 2, 2], [2, 2, 1], False),
        ([4, 2], [1, 1, 1, 2], True),
        ([4, 2, 2, 2, 2], [2], True),
        ([4, 2, 2, 2], [2, 2], False),
        ([4], [1, 2, 1, 1, 2], True),
        ([4], [1, 2, 1, 1, 2], False),
    ],
)
def test_a_lookup_of_five_dimensions(
    tmp_path: Path, qnn: Session, table: list[int], indices: list[int], constant: bool
) -> None:
    """The attention masks of text encoders: which ranks of table and indices the HTP compiles."""
    ids = np.zeros(indices, np.int64)
    nodes = [helper.make_node("Gather", ["x", "i"], ["g"], axis=0), helper.make_node("Relu", ["g"], ["y"])]
    path = save(
        tmp_path / "m.onnx",
        nodes,
        table,
        {"i": ids} if constant else {},
        others={} if constant else {"i": indices},
    )
    predicted, answer = check(load(path), choose(QNN)).verdict, qnn.ask(Request(path))
    assert (predicted == "rejected") == (answer.status == "refused"), (
        predicted,
        answer.status,
        answer.reason,
    )


@pytest.mark.parametrize("attribute", ["num_outputs", "note", "__note"])
@pytest.mark.parametrize("opset", [17, 18])
@pytest.mark.parametrize("target", ["onnxruntime/cpu", QNN])
def test_an_attribute_of_another_operator_set(
    tmp_path: Path, target: str, opset: int, attribute: str
) -> None:
    """torch.onnx leaves num_outputs on Split when it converts down to operator set 17: the file is
    invalid.
    """
    node = helper.make_node("Split", ["x"], ["y", "z"], **{attribute: 2})
    if opset == 18 and attribute != "num_outputs":
        node.attribute.append(helper.make_attribute("num_outputs", 2))
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", FLOAT, [4, 8])],
        [helper.make_tensor_value_info(name, FLOAT, [2, 8]) for name in ("y", "z")],
    )  # fmt: skip
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8),
        tmp_path / "m.onnx",
    )
    if target == QNN:
        pytest.importorskip("onnxruntime_qnn", reason="needs onnxruntime-qnn")
    with Session(target, timeout=60) as session:
        answer = session.ask(Request(tmp_path / "m.onnx"))
    coverage = check(load(tmp_path / "m.onnx"), choose(target))
    assert (coverage.verdict == "rejected") == (answer.status == "refused"), (coverage.verdict, answer.reason)
    if answer.status == "refused":
        assert "attribute-not-in-the-operator-set" in {item.rule for item in coverage.findings}


def test_operators_without_a_schema_keep_their_attributes() -> None:
    graph = Graph("main", "onnx", {"": 17, "com.vendor": 1})
    graph.add_op(Operator("main/0", "Blur", (), (), {"radius": 2}, domain="com.vendor", version=1))
    chosen = choose(QNN)
    assert attributes_declared(graph, graph.op("main/0"), chosen.context).answer is Answer.HOLDS
    graph.add_op(Operator("main/1", "Split", (), (), {"radius": 2}, version=17))
    assert attributes_declared(graph, graph.op("main/1"), chosen.context) == Outcome(
        Answer.FAILS, "attribute radius", "axis"
    )


OPEN, CLOSED = [1, "n", 4], [1, 1, 4]


@pytest.mark.parametrize(
    ("sequence", "hidden", "cell"),
    [
        ([4, 1, 4], CLOSED, CLOSED),
        ([4, 1, 4], OPEN, CLOSED),
        ([4, 1, 4], CLOSED, OPEN),
        ([4, "n", 4], OPEN, OPEN),
        (["t", 1, 4], CLOSED, CLOSED),
    ],
)
def test_states_of_open_size(
    tmp_path: Path, qnn: Session, sequence: list[int | str], hidden: list[int | str], cell: list[int | str]
) -> None:
    """torch.onnx expands the initial states of an LSTM to a size that it computes."""
    weights = [numpy_helper.from_array(np.full((1, 16, 4), 0.1, np.float32), name) for name in ("w", "r")]
    node = helper.make_node("LSTM", ["x", "w", "r", "", "", "h", "c"], ["y"], hidden_size=4)
    shapes = {"x": sequence, "h": hidden, "c": cell}
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info("y", FLOAT, None)], weights,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(onnx.shape_inference.infer_shapes(model), tmp_path / "m.onnx")
    answer = qnn.ask(Request(tmp_path / "m.onnx"))
    verdict = check(load(tmp_path / "m.onnx"), choose(QNN)).verdict
    ran = {"full": "accelerator", "none": "cpu"}
    assert ran.get(verdict, verdict) == (answer.placement[0].device if answer.ok else "rejected"), (
        answer.reason
    )


def rms(
    *, weight_first: bool = True, data_first: bool = True, power: bool = True, divide: bool = False
) -> list[onnx.NodeProto]:
    """An RMS normalization of x with weight w, as torch.onnx writes those of language models."""
    ends = ["w", "n"] if weight_first else ["n", "w"]
    last = [helper.make_node("Mul", ends, ["y"])]
    if divide:
        last.insert(0, helper.make_node("Div", ["x", "s"], ["n"]))
    else:
        last[:0] = [
            helper.make_node("Reciprocal", ["s"], ["r"]),
            helper.make_node("Mul", ["x", "r"] if data_first else ["r", "x"], ["n"]),
        ]
    square = (
        helper.make_node("Pow", ["x", "two"], ["p"]) if power else helper.make_node("Mul", ["x", "x"], ["p"])
    )
    return [
        square,
        helper.make_node("ReduceMean", ["p", "axes"], ["m"], keepdims=1),
        helper.make_node("Add", ["m", "tiny"], ["a"]),
        helper.make_node("Sqrt", ["a"], ["s"]),
        *last,
    ]


@pytest.mark.parametrize(
    "form",
    [{}, {"weight_first": False}, {"data_first": False}, {"power": False}, {"divide": True}],
    ids=["as-exported", "weight-last", "data-last", "product", "quotient"],
)
def test_a_normalization_of_language_models(tmp_path: Path, qnn: Session, form: dict[str, bool]) -> None:
    """The HTP does not compile one order of the operands."""
    constants = {
        "two": np.float32(2),
        "tiny": np.float32(1e-6),
        "axes": np.array([-1]),
        "w": np.linspace(0.5, 1.5, 64, dtype=np.float32),
    }
    path = save(
        tmp_path / "m.onnx",
        rms(**form),
        [1, 12, 64],
        {key: np.asarray(value) for key, value in constants.items()},
        opset=18,
    )
    answer, coverage = qnn.ask(Request(path)), check(load(path), choose(QNN))
    assert (coverage.verdict == "rejected") == (answer.status == "refused") == (not form), (
        coverage.verdict,
        answer.reason,
    )


def gelu(form: str) -> list[onnx.NodeProto]:
    """Gelu by Erf of r = Relu(x) in one of the orders of its factors; ``part`` has another value in place of
    the last r.
    """
    node = helper.make_node
    scale = {"product": ("Mul", ["r", "s"]), "product-first": ("Mul", ["s", "r"])}.get(
        form, ("Div", ["r", "s"])
    )
    start = [
        node("Relu", ["x"], ["r"]),
        node(*scale, ["d"]),
        node("Erf", ["d"], ["e"]),
        node("Add", ["e", "one"], ["a"]),
    ]
    if form == "half-of-r":
        return [
            *start,
            node("Mul", ["r", "half"], ["m"]),
            node("Mul", ["a", "m"], ["g"]),
            node("Relu", ["g"], ["y"]),
        ]
    if form == "half-last":
        return [
            *start,
            node("Mul", ["r", "a"], ["m"]),
            node("Mul", ["m", "half"], ["g"]),
            node("Relu", ["g"], ["y"]),
        ]
    other = "o" if form == "part" else "r"
    end = [node("Mul", ["a", "half"], ["m"]), node("Mul", [other, "m"], ["g"]), node("Relu", ["g"], ["y"])]
    return [*start, node("Sigmoid", ["x"], ["o"]), *end] if form == "part" else [*start, *end]


@pytest.mark.parametrize(
    "form", ["half-of-r", "half-last", "half-of-sum", "product", "product-first", "part"]
)
def test_a_gelu_in_any_order_of_its_factors(tmp_path: Path, qnn: Session, form: str) -> None:
    """The provider sees the Gelu of torch's newer exporter too, and then takes its Erf."""
    constants = {
        "s": np.array(2**0.5, np.float32),
        "one": np.array(1, np.float32),
        "half": np.array(0.5, np.float32),
    }
    path = save(tmp_path / "m.onnx", gelu(form), [1, 12, 64], constants)
    answer = qnn.ask(Request(path))
    ran = {item.type: item.device for item in answer.placement}
    seen = {op.type: op.verdict for op in check(load(path), choose(QNN)).operators}
    assert (
        (seen["Erf"] == "accelerated")
        == (ran["Erf"] == "accelerator")
        == (form not in ("part", "product-first"))
    )


def test_sizes_that_do_not_fit_are_wrong_usage(tmp_path: Path) -> None:
    """An image model with open channels: inputs of one channel prove nothing about the target."""
    weight = numpy_helper.from_array(np.ones((2, 3, 1, 1), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", FLOAT, ["batch", "channels", 4, 4])],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [weight],
    )
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    for arguments, code, words in (
        ([], 2, "does not run with batch=1, channels=1: give sizes that fit with --size"),
        (["--size", "channel=3"], 2, "did you mean channels?"), (["--size", "channels=3"], 0, ""),
    ):  # fmt: skip
        result = accelint("verify", path, "--target", "onnxruntime/cpu", *arguments)
        assert result.returncode == code, result.stderr
        assert words in result.stderr


def test_what_a_repair_promises_is_what_the_written_file_gets(tmp_path: Path, qnn: Session) -> None:
    """Sizes that onnx infers through Slice and ONNX Runtime does not: once they are folded, nothing stays on
    the CPU.
    """
    nodes = [
        helper.make_node("Shape", ["table"], ["shape"]),
        helper.make_node("Slice", ["shape", "two", "four"], ["size"]),
        helper.make_node("Concat", ["ones", "size"], ["sizes"], axis=0),
        helper.make_node("Resize", ["table", "", "", "sizes"], ["grid"]),
        helper.make_node("Reshape", ["grid", "flat"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["places"], perm=[0, 2, 1]),
        helper.make_node("Reshape", ["x", "flat"], ["pixels"]),
        helper.make_node("Transpose", ["pixels"], ["tokens"], perm=[0, 2, 1]),
        helper.make_node("Add", ["tokens", "places"], ["y"]),
    ]
    constants: dict[str, np.ndarray[Any, Any]] = {
        "two": np.array([2]), "four": np.array([4]), "ones": np.array([1, 2]), "flat": np.array([1, 2, -1]),
        "table": np.random.default_rng(0).random((1, 2, 4, 4), np.float32),
    }  # fmt: skip
    path = save(tmp_path / "m.onnx", nodes, ["n", 2, "h", "w"], constants)  # type: ignore[list-item]
    done = accelint("fix", path, "--target", QNN, "--freeze", "x=1x2x4x4", "-o", tmp_path / "fixed.onnx")
    coverage = next(line for line in done.stdout.splitlines() if line.startswith("coverage: "))
    fixed = check(load(tmp_path / "fixed.onnx"), choose(QNN))
    assert coverage.endswith(f"{fixed.verdict} {fixed.by_operators:.0%} of operators")
    verified = accelint("verify", tmp_path / "fixed.onnx", "--target", QNN, "--against", path)
    assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.mark.vulkan
@pytest.mark.skipif(
    "litert/gpu" not in {item.name for item in runtimes() if item.available}, reason="litert/gpu is not here"
)
def test_wrong_numbers_of_the_gpu_are_repaired(tmp_path: Path) -> None:
    """A sequence mask: stored integers come first and have fewer dimensions, and the delegate compares with
    others.
    """
    net = Net()
    length = net.input("length", (1, 1), "int32")
    y = net.op("LESS", [net.const(np.arange(12), "int32"), length], (1, 12), "bool")
    path = tmp_path / "m.tflite"
    path.write_bytes(to_bytes(net.model(y)))
    np.savez(tmp_path / "five.npz", length=np.array([[5]], np.int32))
    before = accelint("verify", path, "--target", "litert/gpu", "--inputs", tmp_path / "five.npz")
    assert "ACL701" in before.stdout and before.returncode == 5
    accelint("fix", path, "--target", "litert/gpu", "-o", tmp_path / "fixed.tflite")
    after = accelint(
        "verify",
        tmp_path / "fixed.tflite",
        "--target",
        "litert/gpu",
        "--against",
        path,
        "--inputs",
        tmp_path / "five.npz",
    )
    assert after.returncode == 0, after.stdout + after.stderr


def test_what_clean_ups_show_is_repaired_with_the_rest(tmp_path: Path, qnn: Session) -> None:
    """T5 shares the weights of its normalizations through Identity: only where that is gone is the second one
    seen to stop the session.
    """
    nodes = [helper.make_node("Identity", ["w"], ["w2"])]
    for before, weight, after in (("x", "w", "h"), ("h", "w2", "y")):
        nodes += [
            helper.make_node("Pow", [before, "two"], [f"{after}p"]),
            helper.make_node("ReduceMean", [f"{after}p"], [f"{after}m"], axes=[-1]),
            helper.make_node("Add", [f"{after}m", "e"], [f"{after}a"]),
            helper.make_node("Sqrt", [f"{after}a"], [f"{after}s"]),
            helper.make_node("Reciprocal", [f"{after}s"], [f"{after}r"]),
            helper.make_node("Mul", [before, f"{after}r"], [f"{after}n"]),
            helper.make_node("Mul", [weight, f"{after}n"], [after]),
        ]
    constants = {"w": np.linspace(0.5, 2, 32, dtype=np.float32), "two": np.float32(2), "e": np.float32(1e-5)}
    path = save(
        tmp_path / "m.onnx", nodes, [1, 4, 32], {name: np.asarray(value) for name, value in constants.items()}
    )
    assert not qnn.ask(Request(path)).ok
    accelint("fix", path, "--target", QNN, "-o", tmp_path / "fixed.onnx")
    verified = accelint("verify", tmp_path / "fixed.onnx", "--target", QNN, "--against", path)
    assert verified.returncode == 0 and "full" in verified.stdout, verified.stdout + verified.stderr
