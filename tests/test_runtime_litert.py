"""LiteRT on the CPU, with XNNPACK and on the GPU: the real runtime says where each operator of a real file
ran.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tflite_models as tflite
from accelint.analyzer.runtimes import Answer, Request, Session, tensors
from accelint.analyzer.runtimes.vulkan import icd

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("ai_edge_litert", reason="pip install 'accelint[litert]'")
needs_vulkan = pytest.mark.skipif(icd() is None, reason="needs software Vulkan: apt install chromium")


@pytest.fixture(scope="module")
def xnnpack() -> Iterator[Session]:
    with Session("litert/xnnpack", timeout=60) as session:
        yield session


@pytest.fixture(scope="module")
def reference() -> Iterator[Session]:
    with Session("litert/cpu", timeout=60) as session:
        yield session


@pytest.fixture(scope="module")
def gpu() -> Iterator[Session]:
    with Session("litert/gpu", timeout=60) as session:
        yield session


def devices(answer: Answer) -> list[str]:
    return [item.device for item in answer.placement]


def feed_of(folder: Path, **arrays: np.ndarray) -> Path:
    return tensors.write(folder / "in.npz", arrays)


RAMP = np.linspace(-2, 3, 60, dtype=np.float32).reshape(1, 4, 5, 3)


def test_xnnpack_names_its_operators_and_partitions(xnnpack: Session, tmp_path: Path) -> None:
    model = tflite.chain(tmp_path / "m.tflite", ["ABS", "NEG", "LOG_SOFTMAX", "CEIL", "TANH", "SQUARE"])
    answer = xnnpack.ask(Request(model))
    assert answer.ok, answer
    assert devices(answer) == [
        "accelerator",
        "accelerator",
        "cpu",
        "accelerator",
        "accelerator",
        "accelerator",
    ]
    assert [item.partition for item in answer.placement] == [0, 0, None, 1, 1, 1]
    assert answer.partitions == 2
    assert [item.id for item in answer.placement] == [f"main/{index}" for index in range(6)]
    assert [item.name for item in answer.placement] == ["t1", "t2", "t3", "t4", "t5", "t6"]
    assert answer.runtime.startswith("ai-edge-litert ")


def test_xnnpack_of_branches(xnnpack: Session, tmp_path: Path) -> None:
    """Two delegated branches around an operator that only the CPU has, joined again: one walk per piece, none
    too far.
    """
    names = dict.fromkeys(("x", "a", "b", "c", "d", "y"), (tflite.F32, (1, 4)))
    ops = [
        ("ABS", ["x"], ["a"]),
        ("LOG_SOFTMAX", ["a"], ["b"]),
        ("NEG", ["a"], ["c"]),
        ("ADD", ["b", "c"], ["d"], "AddOptions", {}),
        ("SQRT", ["d"], ["y"]),
    ]
    answer = xnnpack.ask(Request(tflite.write(tmp_path / "m.tflite", names, ops, ["x"], ["y"])))
    assert devices(answer) == ["accelerator", "cpu", "accelerator", "accelerator", "accelerator"]
    assert answer.partitions == 2
    first, second = answer.placement[0].partition, answer.placement[3].partition
    assert first != second
    assert answer.placement[2].partition in (first, second)


def test_xnnpack_operators_without_a_reader(xnnpack: Session, tmp_path: Path) -> None:
    """An assignment writes no tensor, yet it must be in the piece, or the variable were read in another. A
    dead end cannot be told.
    """
    names = dict.fromkeys(("x", "r", "s", "y", "dead"), (tflite.F32, (1, 4))) | {"h": (tflite.RESOURCE, (1,))}
    variable = ("VarHandleOptions", {"sharedName": "v", "container": ""})
    ops = [
        ("VAR_HANDLE", [], ["h"], *variable),
        ("ASSIGN_VARIABLE", ["h", "x"], [], "AssignVariableOptions", {}),
        ("READ_VARIABLE", ["h"], ["r"], "ReadVariableOptions", {}),
        ("ADD", ["r", "x"], ["s"], "AddOptions", {}),
        ("ABS", ["s"], ["y"]),
        ("NEG", ["y"], ["dead"]),
    ]
    answer = xnnpack.ask(Request(tflite.write(tmp_path / "m.tflite", names, ops, ["x"], ["y"])))
    assert devices(answer) == [*["accelerator"] * 5, "unmapped"]
    assert answer.partitions == 1


def test_bodies_of_a_loop_are_placed_with_the_readers_ids(
    xnnpack: Session, reference: Session, tmp_path: Path
) -> None:
    from accelint.analyzer.formats import load

    model = tflite.loop(tmp_path / "m.tflite")
    answer = xnnpack.ask(
        Request(model, feed_of(tmp_path, x=np.array([1, -1, 2, 0.5], np.float32)), outputs=True)
    )
    assert {item.id: item.device for item in answer.placement} == {
        "main/0": "cpu", "sg1/0": "cpu", "sg2/0": "cpu", "sg2/1": "accelerator", "sg2/2": "accelerator",
    }  # fmt: skip
    assert answer.partitions == 1
    assert answer.tensors()["y"].tolist() == [8, 0, 16, 4]
    assert {op.id for _, op in load(model).operators()} == {item.id for item in answer.placement}
    plain = reference.ask(Request(model))
    assert (plain.counts, plain.partitions) == ({"accelerator": 5}, None), "its kernels are the target"


def test_the_reference_delegates_nothing_and_computes_right(reference: Session, tmp_path: Path) -> None:
    model = tflite.chain(tmp_path / "m.tflite", ["ABS", "NEG"])
    answer = reference.ask(Request(model, feed_of(tmp_path, t0=RAMP), outputs=True, latency_runs=5))
    assert devices(answer) == ["accelerator", "accelerator"]
    np.testing.assert_array_equal(answer.tensors()["t2"], -np.abs(RAMP))
    assert answer.latency is not None
    assert 0 < answer.latency.low <= answer.latency.median <= answer.latency.high
    assert (answer.latency.runs, answer.latency.threads) == (5, 1)


def test_intermediate_tensors_are_kept_on_request(reference: Session, tmp_path: Path) -> None:
    model = tflite.chain(tmp_path / "m.tflite", ["ABS", "NEG", "ABS"])
    answer = reference.ask(
        Request(model, feed_of(tmp_path, t0=RAMP), outputs=True, options={"keep": ["t1", "t2"]})
    )
    found = answer.tensors()
    assert list(found) == ["t3", "t1", "t2"]
    np.testing.assert_array_equal(found["t2"], -np.abs(RAMP))


def test_the_first_operator_that_differs_is_located(
    reference: Session, xnnpack: Session, tmp_path: Path
) -> None:
    """Inside a delegated piece: the other model adds another constant in its second operator."""
    from accelint.analyzer.formats import load
    from accelint.analyzer.proof.locate import locate

    names = dict.fromkeys(("x", "a", "k", "b", "y"), (tflite.F32, (1, 4)))
    ops = [("ABS", ["x"], ["a"]), ("ADD", ["a", "k"], ["b"], "AddOptions", {}), ("NEG", ["b"], ["y"])]
    models = [
        tflite.write(
            tmp_path / f"{value}.tflite", names, ops, ["x"], ["y"], {"k": np.full((1, 4), value, np.float32)}
        )
        for value in (1, 2)
    ]
    feed = feed_of(tmp_path, x=np.array([[1, -2, 3, -4]], np.float32))
    found = locate(load(models[0]).graph, (reference, models[0]), (xnnpack, models[1]), feed)
    assert found is not None
    assert (found.operator.id, found.difference.max_abs) == ("main/1", 1.0)
    assert locate(load(models[0]).graph, (reference, models[0]), (xnnpack, models[0]), feed) is None


def test_a_model_that_litert_rejects(reference: Session, tmp_path: Path) -> None:
    model = tflite.chain(tmp_path / "m.tflite", ["REAL"])
    answer = reference.ask(Request(model))
    assert answer.status == "refused"
    assert "complex" in answer.reason.lower()


def test_a_dynamic_batch_follows_the_input(reference: Session, tmp_path: Path) -> None:
    model = tflite.chain(tmp_path / "m.tflite", ["ABS"], shape=(-1, 3))
    data = np.arange(12, dtype=np.float32).reshape(4, 3) - 6
    answer = reference.ask(Request(model, feed_of(tmp_path, t0=data), outputs=True))
    np.testing.assert_array_equal(answer.tensors()["t1"], np.abs(data))


def test_a_missing_input_is_told(reference: Session, tmp_path: Path) -> None:
    model = tflite.chain(tmp_path / "m.tflite", ["ABS"])
    answer = reference.ask(Request(model, feed_of(tmp_path, other=RAMP), outputs=True))
    assert answer.status == "failed"
    assert "t0" in answer.reason
    assert "other" in answer.reason


def test_a_file_that_is_no_model(reference: Session, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(b"not a flatbuffer at all")
    assert reference.ask(Request(path)).status == "refused"


@needs_vulkan
@pytest.mark.vulkan
class TestGpu:
    def test_everything_on_the_gpu(self, gpu: Session, tmp_path: Path) -> None:
        model = tflite.chain(tmp_path / "m.tflite", ["ABS", "NEG", "TANH"])
        answer = gpu.ask(
            Request(model, feed_of(tmp_path, t0=RAMP), outputs=True, options={"enforce_f32": True})
        )
        assert answer.ok, answer
        assert devices(answer) == ["accelerator"] * 3
        assert answer.partitions == 1
        np.testing.assert_allclose(answer.tensors()["t3"], np.tanh(-np.abs(RAMP)), rtol=1e-5, atol=1e-6)

    def test_only_the_largest_partition_is_supported(self, gpu: Session, tmp_path: Path) -> None:
        """``is_fully_accelerated()`` is true for this model: XNNPACK takes the rest."""
        model = tflite.chain(tmp_path / "m.tflite", ["ABS", "NEG", "LOG_SOFTMAX", "CEIL", "TANH", "SQUARE"])
        answer = gpu.ask(Request(model))
        assert devices(answer) == ["cpu", "cpu", "cpu", "accelerator", "accelerator", "accelerator"]
        assert answer.partitions == 1
        assert answer.placement[2].reason == "Operation is not supported."
        assert "largest of 2 partitions" in answer.placement[0].reason
        assert answer.notes["counts"] == {"gpu": 3, "cpu": 3}

    def test_of_many_partitions_of_one_size_the_sort_decides(
        self, gpu: Session, xnnpack: Session, tmp_path: Path
    ) -> None:
        """28 pieces: ``std::sort`` is unstable from 24 elements on. The piece on the GPU is the one whose
        bits XNNPACK does not give.
        """
        sizes = [1, 2, 3, 3] * 7
        kinds, ends = [], []
        for size in sizes:
            kinds += [*("TANH", "EXP", "SIN")[:size], "LOG_SOFTMAX"]
            ends.append(len(kinds) - 1)
        model = tflite.chain(tmp_path / "m.tflite", kinds[:-1], shape=(1, 64))
        data = np.random.default_rng(1).normal(size=(1, 64)).astype(np.float32)
        names = [f"t{index}" for index in range(1, len(kinds))]
        answer = gpu.ask(Request(model, feed_of(tmp_path, t0=data)))
        (claimed,) = {
            sum(end < item.index for end in ends) for item in answer.placement if item.device == "accelerator"
        }
        given = gpu.ask(
            Request(model, feed_of(tmp_path, t0=data), outputs=True, options={"keep": names})
        ).tensors()
        assert sizes[claimed] == 3
        assert claimed != sizes.index(3), "the first of the largest is not the one that is taken"
        assert [
            number
            for number in range(len(sizes))
            if self.differs(xnnpack, tmp_path, sizes, ends, number, data, given)
        ] == [claimed]

    @staticmethod
    def differs(
        xnnpack: Session,
        folder: Path,
        sizes: list[int],
        ends: list[int],
        number: int,
        data: np.ndarray,
        given: dict,
    ) -> bool:
        """Whether a piece's result is not what XNNPACK computes from the piece's own input."""
        partition = tflite.chain(
            folder / "piece.tflite", ["TANH", "EXP", "SIN"][: sizes[number]], shape=(1, 64)
        )
        source = given[f"t{ends[number - 1] + 1}"] if number else data
        right = xnnpack.ask(Request(partition, feed_of(folder, t0=source), outputs=True)).tensors()[
            f"t{sizes[number]}"
        ]
        return not np.array_equal(right, given[f"t{ends[number]}"])

    def test_bodies_of_a_loop(self, gpu: Session, tmp_path: Path) -> None:
        answer = gpu.ask(Request(tflite.loop(tmp_path / "m.tflite")))
        assert {item.id: item.device for item in answer.placement} == {
            "main/0": "cpu",
            "sg1/0": "accelerator",
            "sg2/0": "accelerator",
            "sg2/1": "accelerator",
            "sg2/2": "accelerator",
        }
        assert answer.placement[0].reason == "Operation is not supported."
        assert answer.partitions == 2

    def test_nothing_on_the_gpu(self, gpu: Session, tmp_path: Path) -> None:
        answer = gpu.ask(Request(tflite.chain(tmp_path / "m.tflite", ["LOG_SOFTMAX", "ZEROS_LIKE"])))
        assert devices(answer) == ["cpu", "cpu"]
        assert answer.partitions == 0

    def test_operators_of_one_type_are_told_apart(self, gpu: Session, tmp_path: Path) -> None:
        """The report names only the type and the reason; which of the four is meant takes asking each kind
        alone.
        """
        names = dict.fromkeys(("f0", "f1", "f2", "f3", "g0", "g1"), (tflite.F32, (1, 6))) | dict.fromkeys(
            ("d0", "d1"), (tflite.I64, (1, 6))
        )
        square = [
            ("MUL", [source, source], [target], "MulOptions", {})
            for source, target in (("d0", "d1"), ("f0", "f1"), ("f1", "f2"), ("g0", "g1"))
        ]
        ops = [*square[:3], ("NEG", ["f2"], ["f3"]), square[3]]
        model = tflite.write(tmp_path / "m.tflite", names, ops, ["f0", "d0", "g0"], ["f3", "d1", "g1"])
        answer = gpu.ask(Request(model))
        assert answer.ok, answer
        assert devices(answer) == ["cpu", "accelerator", "accelerator", "accelerator", "accelerator"], (
            answer.notes
        )
        assert "disagreement" not in answer.notes

    def test_one_dynamic_tensor_rejects_the_whole_model_each_time_with_the_reason(
        self, gpu: Session, tmp_path: Path
    ) -> None:
        """The runtime prints the reason once per process."""
        names = {
            "x": (tflite.F32, (2, 3)),
            "shape": (tflite.I32, (2,)),
            "y": (tflite.F32, ()),
            "z": (tflite.F32, ()),
        }
        ops = [("RESHAPE", ["x", "shape"], ["y"], "ReshapeOptions", {}), ("ABS", ["y"], ["z"])]
        model = tflite.write(tmp_path / "m.tflite", names, ops, ["x", "shape"], ["z"])
        for _ in range(2):
            answer = gpu.ask(Request(model))
            assert answer.status == "refused"
            assert "static-sized tensors" in answer.reason


def test_the_partitioner_replays_litert() -> None:
    """Greedy by readiness, not by position: from LiteRT's own graph_info_test.cc, where 0 and 2 are ready
    together.
    """
    from accelint.analyzer.partitioners.litert import largest, partitions
    from accelint.analyzer.runtimes.workers.tflite_file import Op

    ops = [Op(0, "A", (0,), (1,)), Op(1, "B", (1,), (2,)), Op(2, "A", (3,), (4,)), Op(3, "A", (2, 4), (5,))]
    assert partitions(ops, {0, 2, 3}) == [[0, 2], [3]]
    assert partitions(ops, {1}) == [[1]]
    assert partitions(ops, set()) == []
    assert partitions(ops, {0, 1, 2, 3}) == [[0, 1, 2, 3]]
    assert largest([[0], [1, 2], [3, 4]], 1) == [[1, 2]]


def test_the_partitioner_keeps_the_order_of_effects() -> None:
    from accelint.analyzer.partitioners.litert import partitions
    from accelint.analyzer.runtimes.workers.tflite_file import Op

    ops = [
        Op(0, "READ_VARIABLE", (0,), (1,), True),
        Op(1, "B", (1,), (2,)),
        Op(2, "READ_VARIABLE", (3,), (4,), True),
    ]
    assert partitions(ops, {2}) == [[2]]
    ops = [
        Op(0, "READ_VARIABLE", (9,), (1,), True),
        Op(1, "B", (1,), (2,)),
        Op(2, "ASSIGN_VARIABLE", (2,), (), True),
        Op(3, "READ_VARIABLE", (9,), (4,), True),
    ]
    assert partitions(ops, {0, 3}) == [[0], [3]]


def test_the_report_of_several_subgraphs_is_split() -> None:
    from accelint.analyzer.runtimes.workers.litert_gpu import blocks

    log = (
        "ERROR: Following operations are not supported by GPU delegate:\nCAST: Not "
        "allowed\nsecond line\nCAST: other\nCUSTOM Foo: no\n"
        "3 operations will run on the GPU, and the remaining 2 operations will run on the "
        "CPU.\nI0000 chatter\n"
        "ERROR: Following operations are not supported by GPU delegate:\nWHILE: \n"
        "No operations will run on the GPU, and all 1 operations will run on the CPU.\n"
    )
    first, second = blocks(log, {"CAST", "CUSTOM Foo", "WHILE"})
    assert first.reasons == {"CAST": ["Not allowed second line", "other"], "CUSTOM Foo": ["no"]}
    assert (first.gpu, first.cpu) == (3, 2)
    assert (second.reasons, second.gpu, second.cpu) == ({"WHILE": [""]}, 0, 1)
