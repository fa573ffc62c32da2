"""ONNX Runtime on the CPU and on QNN: placement by the file's own nodes, refusals and crashes as answers."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from accelint.analyzer.runtimes import Answer, Request, Session, tensors
from accelint.analyzer.runtimes.socs import SOCS
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytest.importorskip("onnxruntime", reason="pip install 'accelint[onnxruntime]'")
qnn_here = pytest.mark.skipif(
    subprocess.run(
        [sys.executable, "-c", "import onnxruntime_qnn"], capture_output=True, check=False
    ).returncode
    != 0,
    reason="needs onnxruntime-qnn: pip install 'accelint[qnn]'",
)
node, info = helper.make_node, helper.make_tensor_value_info


def save(
    path: Path,
    nodes: Sequence[Any],
    shape: Sequence[int | str],
    outputs: Sequence[str],
    constants: dict[str, np.ndarray] | None = None,
    opset: int = 20,
    functions: Sequence[Any] = (),
    inputs: Sequence[Any] = (),
) -> Path:
    graph = helper.make_graph(
        list(nodes), "anything", [info("x", onnx.TensorProto.FLOAT, shape), *inputs],
        [info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid("mine", 1)] if functions else [])]
    model = helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=10)
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def cpu() -> Iterator[Session]:
    with Session("onnxruntime/cpu", timeout=60) as session:
        yield session


@pytest.fixture(scope="module")
def qnn() -> Iterator[Session]:
    with Session("onnxruntime/qnn:sm8650", timeout=120) as session:
        yield session


def where(answer: Answer) -> dict[str, str]:
    return {item.id: item.device for item in answer.placement}


RAMP = np.linspace(-2, 3, 18, dtype=np.float32).reshape(2, 3, 3)


def test_nodes_without_names_are_mapped_by_position(cpu: Session, tmp_path: Path) -> None:
    model = save(
        tmp_path / "m.onnx",
        [node("Relu", ["x"], ["a"]), node("Neg", ["a"], ["b"]), node("Relu", ["b"], ["y"])],
        [2, 3, 3],
        ["y"],
    )
    answer = cpu.ask(
        Request(model, tensors.write(tmp_path / "in.npz", {"x": RAMP}), outputs=True, latency_runs=3)
    )
    assert [(item.id, item.name, item.type, item.device) for item in answer.placement] == [
        ("main/0", "a", "Relu", "accelerator"),
        ("main/1", "b", "Neg", "accelerator"),
        ("main/2", "y", "Relu", "accelerator"),
    ]
    assert answer.partitions is None, "a provider with kernels has no partitions"
    np.testing.assert_array_equal(answer.tensors()["y"], np.zeros_like(RAMP))
    assert answer.latency is not None
    assert answer.latency.runs == 3


def test_bodies_functions_and_decomposed_operators(cpu: Session, tmp_path: Path) -> None:
    then = helper.make_graph([node("Relu", ["x"], ["t"])], "then", [], [info("t", 1, None)])
    other = helper.make_graph([node("Neg", ["x"], ["e"], name="named")], "else", [], [info("e", 1, None)])
    function = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 20)]
    )
    nodes = [
        node("If", ["c"], ["i"], then_branch=then, else_branch=other),
        node("Twice", ["i"], ["j"], domain="mine"),
        node("HardSwish", ["j"], ["y"]),
    ]
    model = save(
        tmp_path / "m.onnx",
        nodes,
        [2, 3, 3],
        ["y"],
        functions=[function],
        inputs=[info("c", onnx.TensorProto.BOOL, [])],
    )
    found = where(cpu.ask(Request(model)))
    assert found == dict.fromkeys(
        ["main/0", "main/1", "main/2", "main/0/then_branch/0", "main/0/else_branch/0"], "accelerator"
    )


def test_constants_are_folded(cpu: Session, tmp_path: Path) -> None:
    one = numpy_helper.from_array(np.array([1.0], np.float32))
    model = save(
        tmp_path / "m.onnx",
        [node("Constant", [], ["k"], value=one), node("Add", ["x", "k"], ["y"])],
        [2],
        ["y"],
    )
    assert where(cpu.ask(Request(model))) == {"main/0": "folded", "main/1": "accelerator"}


def test_what_the_default_level_merges_is_followed(cpu: Session, tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], ["a"], name="mm"), node("Add", ["a", "b"], ["y"], name="bias")]
    model = save(
        tmp_path / "m.onnx",
        nodes,
        [2, 3],
        ["y"],
        {"w": np.ones((3, 4), np.float32), "b": np.ones(4, np.float32)},
    )
    assert where(cpu.ask(Request(model))) == {"main/0": "accelerator", "main/1": "accelerator"}
    answer = cpu.ask(Request(model, options={"optimize": "default"}))
    assert [(item.device, item.reason) for item in answer.placement] == [
        ("accelerator", "merged into another node")
    ] * 2


def test_merged_folded_and_eliminated_nodes(cpu: Session, tmp_path: Path) -> None:
    """Conv takes BatchNormalization in, Identity goes, a chain of constants is computed once."""
    ones = np.ones(4, np.float32)
    nodes = [
        node("Conv", ["x", "w"], ["a"]),
        node("BatchNormalization", ["a", "s", "b", "m", "v"], ["c"]),
        node("Identity", ["c"], ["d"]),
        node("Neg", ["s"], ["n"]),
        node("Reshape", ["n", "shape"], ["r"]),
        node("Add", ["d", "r"], ["y"]),
    ]
    constants = {
        "w": np.ones((4, 3, 3, 3), np.float32),
        **dict.fromkeys("sbmv", ones),
        "shape": np.array([4, 1, 1]),
    }
    answer = cpu.ask(
        Request(
            save(tmp_path / "m.onnx", nodes, [1, 3, 5, 5], ["y"], constants), options={"optimize": "default"}
        )
    )
    assert where(answer) == {
        "main/0": "accelerator",
        "main/1": "accelerator",
        "main/2": "accelerator",
        "main/3": "folded",
        "main/4": "folded",
        "main/5": "accelerator",
    }


def test_intermediate_tensors_on_request(cpu: Session, tmp_path: Path) -> None:
    model = save(
        tmp_path / "m.onnx", [node("Abs", ["x"], ["a"]), node("Neg", ["a"], ["y"])], [2, 3, 3], ["y"]
    )
    answer = cpu.ask(
        Request(model, tensors.write(tmp_path / "in.npz", {"x": RAMP}), outputs=True, options={"keep": ["a"]})
    )
    assert list(answer.tensors()) == ["y", "a"]
    np.testing.assert_array_equal(answer.tensors()["a"], np.abs(RAMP))


def test_external_data_stays_where_it_is(cpu: Session, tmp_path: Path) -> None:
    weight = np.arange(9, dtype=np.float32).reshape(3, 3)
    model = save(tmp_path / "m.onnx", [node("MatMul", ["x", "w"], ["y"])], [2, 3], ["y"], {"w": weight})
    onnx.save(
        onnx.load(model),
        tmp_path / "big.onnx",
        save_as_external_data=True,
        location="big.bin",
        size_threshold=0,
    )
    feed = tensors.write(tmp_path / "in.npz", {"x": np.eye(2, 3, dtype=np.float32)})
    answer = cpu.ask(Request(tmp_path / "big.onnx", feed, outputs=True))
    assert answer.ok, answer
    np.testing.assert_array_equal(answer.tensors()["y"], weight[:2])


def test_a_rejection_carries_the_runtimes_words(cpu: Session, tmp_path: Path) -> None:
    model = save(tmp_path / "m.onnx", [node("Nonsense", ["x"], ["y"])], [2], ["y"])
    answer = cpu.ask(Request(model))
    assert answer.status == "refused"
    assert "Nonsense" in answer.reason


def test_a_wrong_input_shape_is_a_failed_run_not_a_rejection(cpu: Session, tmp_path: Path) -> None:
    model = save(tmp_path / "m.onnx", [node("Relu", ["x"], ["y"])], [2, 3], ["y"])
    answer = cpu.ask(
        Request(
            model, tensors.write(tmp_path / "in.npz", {"x": np.zeros((5, 5, 5), np.float32)}), outputs=True
        )
    )
    assert answer.status == "failed"
    assert answer.counts == {"accelerator": 1}


def test_every_output_keeps_its_name_and_order(cpu: Session, tmp_path: Path) -> None:
    model = save(
        tmp_path / "m.onnx", [node("Abs", ["x"], ["z/b"]), node("Neg", ["x"], ["file"])], [2], ["z/b", "file"]
    )
    answer = cpu.ask(
        Request(model, tensors.write(tmp_path / "in.npz", {"x": np.array([-1, 2], np.float32)}), outputs=True)
    )
    assert {name: value.tolist() for name, value in answer.tensors().items()} == {
        "z/b": [1, 2],
        "file": [1, -2],
    }
    assert list(answer.tensors()) == ["z/b", "file"]


@qnn_here
class TestQnn:
    def test_partitions_and_fallback(self, qnn: Session, tmp_path: Path) -> None:
        nodes = [
            node("Relu", ["x"], ["a"]),
            node("Det", ["a"], ["b"]),
            node("Sqrt", ["b"], ["c"]),
            node("Gelu", ["c"], ["y"]),
        ]
        answer = qnn.ask(Request(save(tmp_path / "m.onnx", nodes, [2, 3, 3], ["y"])))
        assert [(item.device, item.partition) for item in answer.placement] == [
            ("accelerator", 0), ("cpu", None), ("accelerator", 1), ("accelerator", 1)
        ]  # fmt: skip
        assert answer.partitions == 2
        assert answer.placement[1].reason == "on CPUExecutionProvider"
        assert answer.runtime.startswith("onnxruntime-qnn ")

    def test_nodes_that_change_their_layout_keep_their_place(self, qnn: Session, tmp_path: Path) -> None:
        """QNN renames a Conv to ``name_token_1`` when it makes it channels-last."""
        nodes = [node("Conv", ["x", "w"], ["a"], name="c_token_1"), node("Relu", ["a"], ["y"], name="c")]
        model = save(
            tmp_path / "m.onnx", nodes, [1, 3, 7, 7], ["y"], {"w": np.ones((4, 3, 3, 3), np.float32)}
        )
        answer = qnn.ask(Request(model))
        assert [(item.name, item.device) for item in answer.placement] == [
            ("c_token_1", "accelerator"),
            ("c", "accelerator"),
        ]
        assert answer.notes["added"] == 2

    def test_a_function_that_is_split_runs_on_the_cpu_in_part(self, qnn: Session, tmp_path: Path) -> None:
        function = helper.make_function(
            "mine",
            "ReluDet",
            ["a"],
            ["c"],
            [node("Relu", ["a"], ["b"]), node("Det", ["b"], ["c"])],
            [helper.make_opsetid("", 20)],
        )
        nodes = [
            node("Abs", ["x"], ["a"]),
            node("ReluDet", ["a"], ["b"], domain="mine"),
            node("Sqrt", ["b"], ["y"]),
        ]
        answer = qnn.ask(Request(save(tmp_path / "m.onnx", nodes, [2, 3, 3], ["y"], functions=[function])))
        assert where(answer) == {"main/0": "accelerator", "main/1": "cpu", "main/2": "accelerator"}
        assert answer.placement[1].reason == "1 of its 2 operators on CPUExecutionProvider"

    def test_bodies_go_with_the_operator_that_holds_them(self, qnn: Session, tmp_path: Path) -> None:
        """QNN takes a whole If; its branches are then not listed by themselves."""
        bodies = {
            name: helper.make_graph([node(kind, ["x"], [name])], name, [], [info(name, 1, [2, 3])])
            for name, kind in (("then_branch", "Relu"), ("else_branch", "Neg"))
        }
        graph = helper.make_graph(
            [node("If", ["c"], ["i"], **bodies), node("Abs", ["i"], ["y"])],
            "g",
            [info("c", onnx.TensorProto.BOOL, []), info("x", 1, [2, 3])],
            [info("y", 1, [2, 3])],
        )
        onnx.save(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10),
            tmp_path / "m.onnx",
        )
        answer = qnn.ask(Request(tmp_path / "m.onnx"))
        assert where(answer) == dict.fromkeys(
            ["main/0", "main/1", "main/0/then_branch/0", "main/0/else_branch/0"], "accelerator"
        )
        assert {item.partition for item in answer.placement} == {0}

    def test_a_dynamic_shape_falls_back(self, qnn: Session, tmp_path: Path) -> None:
        answer = qnn.ask(
            Request(
                save(
                    tmp_path / "m.onnx",
                    [node("Relu", ["x"], ["a"]), node("Abs", ["a"], ["y"])],
                    ["batch", 3],
                    ["y"],
                )
            )
        )
        assert answer.counts == {"cpu": 2}
        assert answer.partitions == 0

    def test_repeated_names_are_rejected_as_the_user_would_see_it(self, qnn: Session, tmp_path: Path) -> None:
        model = save(
            tmp_path / "m.onnx",
            [node("Relu", ["x"], ["a"], name="same"), node("Abs", ["a"], ["y"], name="same")],
            [2, 3],
            ["y"],
        )
        answer = qnn.ask(Request(model))
        assert answer.status == "refused"
        assert "same node name" in answer.reason

    def test_stft_crashes_the_runtime_and_the_next_model_is_answered(
        self, qnn: Session, tmp_path: Path
    ) -> None:
        """With sizes that are no constants but an output whose shape is known."""
        sizes = [info(name, onnx.TensorProto.INT64, []) for name in ("step", "length")]
        stft = save(
            tmp_path / "stft.onnx",
            [node("STFT", ["x", "step", "", "length"], ["y"])],
            [1, 128, 1],
            ["y"],
            opset=17,
            inputs=sizes,
        )
        model = onnx.load(stft)
        model.graph.output[0].CopyFrom(info("y", onnx.TensorProto.FLOAT, [1, 15, 9, 2]))
        onnx.save(model, stft)
        answer = qnn.ask(Request(stft))
        assert (answer.status, answer.signal) == ("crashed", "SIGSEGV")
        assert qnn.ask(Request(save(tmp_path / "m.onnx", [node("Relu", ["x"], ["y"])], [2, 3], ["y"]))).ok

    def test_a_whole_model_rejection(self, qnn: Session, tmp_path: Path) -> None:
        model = save(
            tmp_path / "m.onnx",
            [node("GroupNormalization", ["x", "s", "b"], ["y"], num_groups=1)],
            [2, 3, 4, 4],
            ["y"],
            {"s": np.ones(3, np.float32), "b": np.zeros(3, np.float32)},
            opset=21,
        )
        answer = qnn.ask(Request(model))
        assert answer.status == "refused"
        assert answer.reason.startswith("FAIL: Node 'y_token_1' OpType:GroupNormalization")

    def test_the_simulation_computes(self, qnn: Session, cpu: Session, tmp_path: Path) -> None:
        model = save(
            tmp_path / "m.onnx",
            [node("Tanh", ["x"], ["a"]), node("Mul", ["a", "x"], ["y"])],
            [2, 3, 3],
            ["y"],
        )
        feed = tensors.write(tmp_path / "in.npz", {"x": RAMP})
        mine, other = (session.ask(Request(model, feed, outputs=True)) for session in (cpu, qnn))
        assert other.counts == {"accelerator": 2}
        np.testing.assert_allclose(other.tensors()["y"], mine.tensors()["y"], rtol=5e-3, atol=5e-3)


def test_every_chip_has_a_number_and_an_architecture() -> None:
    assert next(iter(SOCS)) == "sm8650"
    assert (SOCS["sm8650"].model, SOCS["sm8650"].arch) == (57, 75)
    assert all(
        name == name.lower() and soc.arch in (68, 69, 73, 75, 79, 81) and soc.model > 0
        for name, soc in SOCS.items()
    )
    assert len({(soc.model) for soc in SOCS.values()}) == len(SOCS)


def test_the_first_operator_that_differs_is_located(cpu: Session, tmp_path: Path) -> None:
    """The other model computes its second operator with another constant; everything after it differs too."""
    from accelint.analyzer.formats import load
    from accelint.analyzer.proof.locate import locate

    nodes = [
        node("Abs", ["x"], ["a"]),
        node("Mul", ["a", "k"], ["b"]),
        node("Neg", ["b"], ["c"]),
        node("Exp", ["c"], ["y"]),
    ]
    models = [
        save(tmp_path / f"{value}.onnx", nodes, [2, 3, 3], ["y"], {"k": np.array(value, np.float32)})
        for value in (1.0, 1.5)
    ]
    feed = tensors.write(tmp_path / "in.npz", {"x": RAMP})
    found = locate(load(models[0]).graph, (cpu, models[0]), (cpu, models[1]), feed)
    assert found is not None
    assert (found.operator.id, found.operator.type) == ("main/1", "Mul")
    assert found.difference.max_rel == pytest.approx(0.5)
    assert locate(load(models[0]).graph, (cpu, models[0]), (cpu, models[0]), feed) is None


def test_a_model_with_more_to_do_is_slower(cpu: Session, tmp_path: Path) -> None:
    from accelint.analyzer.proof.latency import compare

    weight = {"w": np.eye(256, dtype=np.float32)}
    names = ["x", *(f"t{index}" for index in range(29)), "y"]
    chain = [node("MatMul", [source, "w"], [target]) for source, target in itertools.pairwise(names)]
    long = save(tmp_path / "long.onnx", chain, [256, 256], ["y"], weight)
    short = save(tmp_path / "short.onnx", [node("MatMul", ["x", "w"], ["y"])], [256, 256], ["y"], weight)
    found = compare(cpu, (long, None), (short, None), rounds=3, runs=5)
    assert found.low <= found.ratio <= found.high
    assert found.ratio > 5
    assert len(found.first) == len(found.second) == 3
