"""Core ML by release and by unit: programs that no unit loads, what hangs or crashes the Neural Engine's
compiler, masks beyond float16, and models that are no network. Right values come from reports
(``fixtures/reported/coreml``).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from accelint.analyzer.check.coverage import Coverage
from accelint.analyzer.flows.check_file import check_file
from accelint.analyzer.ir.graph import Constant, Graph, Operator, Tensor
from accelint.analyzer.policies.mil_shapes import at_default
from accelint.rules.conditions import Context
from accelint.rules.magnitudes import known_magnitude, largest
from accelint.rules.predicates.coreml import no_scale_over_a_table
from accelint.rules.registry import choose
from accelint.rules.verdict import Answer
from cli import ROOT, accelint, report

CASES = ROOT / "fixtures" / "reported" / "coreml"
UNITS = ("ane:m4", "ane:a17", "gpu", "cpu")


def answer(name: str, target: str) -> Coverage:
    (coverage,) = check_file(next(CASES.glob(f"{name}.*")), [choose(f"coreml/{target}")]).coverages
    return coverage


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    ("name", "release", "rule"),
    [
        ("a02_in_is_out_edited", "26", "output-that-is-an-input"),
        ("a02_in_is_out_edited", "18", ""),
        ("a03_rank0", "17", "dimension-added-to-a-scalar"),
        ("a03_rank0", "18", ""),
        ("a08_pad_reflect_d2", "17", "pad-outside-the-last-two-axes"),
        ("a08_pad_reflect_d2", "27.0.1", "pad-outside-the-last-two-axes"),
    ],
)
def test_what_no_unit_loads_is_rejected_in_the_releases_that_it_is_true_of(
    name: str, release: str, rule: str, unit: str
) -> None:
    coverage = answer(name, f"{unit}@{release}")
    assert (coverage.verdict == "rejected") is bool(rule)
    told = [(item.rule, item.phase) for item in coverage.findings if item.effect == "rejected"]
    assert told == ([(rule, "load")] if rule else [])


@pytest.mark.parametrize(
    ("name", "target", "verdict", "rules"),
    [
        ("a04_state_width_270", "ane:m4@18", "partial", {"state-width-not-a-multiple-of-32"}),
        ("a04_state_width_270", "gpu@18", "full", set()),
        ("a13_conv_stride5", "ane:m4", "full", {"stride-that-compiles-slowly"}),
        ("a13_conv_stride5", "gpu", "full", set()),
        ("a26_mask_mul_finfo_min", "ane:m4", "full", {"infinite-mask"}),
        ("a26_mask_mul_finfo_min", "cpu", "full", {"infinite-mask"}),
        ("s_identity", "gpu", "full", set()),
        ("a15_classifier", "cpu", "full", set()),
        ("a17_nn_batched_matmul", "ane:m4", "none", {"batched-matmul-layer"}),
        ("a17_nn_batched_matmul", "gpu", "full", set()),
        ("a17_nn_batched_matmul", "cpu", "full", set()),
        ("glmRegressor", "ane:m4", "none", {"pipeline-stage"}),
        ("glmRegressor", "gpu", "none", {"model-without-layers"}),
        ("glmRegressor", "cpu", "full", set()),
    ],
)
def test_each_unit_answers_as_reported(name: str, target: str, verdict: str, rules: set[str]) -> None:
    coverage = answer(name, target)
    assert (coverage.verdict, {item.rule for item in coverage.findings}) == (verdict, rules)


def test_a_kind_of_model_that_nothing_accelerates_is_no_finding_and_a_layer_is_one() -> None:
    told = accelint("check", CASES / "glmRegressor.mlmodel", "--target", "coreml/ane:m4")
    assert told.returncode == 0 and "it runs on the CPU" in told.stdout
    assert (
        accelint("check", CASES / "a17_nn_batched_matmul.mlmodel", "--target", "coreml/ane:m4").returncode
        == 1
    )
    asked = ("check", CASES / "glmRegressor.mlmodel", "--target", "coreml/ane:m4", "--max-partitions", 1)
    assert accelint(*asked).returncode == 1  # whoever asks for a partition does not get one


def test_advice_is_in_the_message() -> None:
    (model,) = report("check", CASES / "a04_state_width_270.mlpackage", "--target", "coreml/ane:m4@18")[
        "models"
    ]
    (target,) = model["targets"]
    assert {item["message"].endswith("use CPU and GPU") for item in target["findings"]} == {True}


# ---- magnitudes --------------------------------------------------------------------------------


def constant(*values: float, dtype: str = "float16") -> Constant:
    import struct

    code = {"float16": "e", "float32": "f"}[dtype]
    return Constant(dtype, (len(values),), inline=struct.pack(f"<{len(values)}{code}", *values))


def test_the_largest_value_of_a_stored_mask_is_found_whatever_its_size(tmp_path: Path) -> None:
    import numpy as np

    values = np.zeros(3_000_000, np.float16)
    values[2_999_999] = -np.inf
    file = tmp_path / "weights.bin"
    file.write_bytes(b"\0" * 64 + values.tobytes())
    stored = Constant("float16", (3_000_000,), file=file, offset=64, length=values.nbytes)
    assert largest(stored) == float("inf")
    assert largest(Constant("float16", (2_999_999,), file=file, offset=64, length=values.nbytes - 2)) == 0
    assert largest(constant(3.0, -7.5)) == 7.5
    assert largest(Constant("float16", (4,), file=file, offset=file.stat().st_size, length=8)) is None


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (("sigmoid", "mul"), 40000.0),  # a mask between 0 and 1 times a stored value
        (("relu", "mul"), None),  # nothing is known of the input
        (("sigmoid", "cast", "sub"), 40001.0),
        (("softmax", "reshape", "mul"), 40000.0),
    ],
)
def test_bounds_follow_from_operators(types: tuple[str, ...], expected: float | None) -> None:
    graph = Graph("main", "mil")
    graph.add_tensor(Tensor("x", "float16", (4,)))
    graph.add_tensor(Tensor("big", "float16", (1,), constant(-40000.0)))
    name = "x"
    for index, kind in enumerate(types):
        graph.add_tensor(Tensor(f"t{index}", "float16", (4,)))
        reads = (name, "big") if kind in ("mul", "sub") else (name,)
        graph.add_op(Operator(f"main/{index}", kind, reads, (f"t{index}",)))
        name = f"t{index}"
    assert known_magnitude(graph, graph.tensor(name)) == expected


def test_scales_over_a_table_are_seen_behind_the_weight() -> None:
    graph = Graph("main", "mil")
    for name in ("x", "table", "weight", "y"):
        graph.add_tensor(Tensor(name, "float16", (4, 4)))
    graph.add_op(Operator("main/0", "constexpr_lut_to_dense", (), ("table",)))
    graph.add_op(Operator("main/1", "constexpr_blockwise_shift_scale", ("table",), ("weight",)))
    linear = Operator("main/2", "linear", ("x", "weight"), ("y",))
    graph.add_op(linear)
    assert no_scale_over_a_table(graph, linear, Context()).answer is Answer.FAILS
    plain = Operator("main/3", "linear", ("x", "table"), ("y2",))
    graph.add_tensor(Tensor("y2", "float16", (4, 4)))
    graph.add_op(plain)
    assert no_scale_over_a_table(graph, plain, Context()).answer is Answer.HOLDS


# ---- default shapes ----------------------------------------------------------------------------


def flexible() -> Graph:
    """A chain as coremltools writes it for a RangeDim: the shape is taken apart and put together again."""
    graph = Graph("main", "mil")
    attrs = {"flexible": "range", "default_shape": (1, 3, 10, 8), "bounds": ((1, 1), (3, 3), (4, 64), (8, 8))}
    graph.add_tensor(Tensor("x", "float16", (1, 3, None, 8), attrs=attrs))
    graph.set_interface(["x"], [])

    def op(
        kind: str,
        reads: dict[str, str],
        shape: tuple[int | None, ...],
        dtype: str = "float16",
        **more: object,
    ) -> str:
        name = f"{kind}{len(graph)}"
        graph.add_tensor(Tensor(name, dtype, shape))
        held = {**more, "input_names": tuple(key.rstrip("_") for key in reads)}
        graph.add_op(Operator(f"main/{len(graph)}", kind, tuple(reads.values()), (name,), held))
        return name

    def stored(name: str, values: tuple[int, ...], scalar: bool = False) -> str:
        import struct

        data = struct.pack(f"<{len(values)}i", *values)
        const = Constant("int32", () if scalar else (len(values),), inline=data)
        graph.add_tensor(Tensor(name, "int32", const.shape, const))
        return name

    weight = Constant("float16", (5, 3, 3, 3), inline=b"\0" * 270)
    graph.add_tensor(Tensor("w", "float16", weight.shape, weight))
    conv = op("conv", {"x": "x", "weight": "w"}, (1, 5, None, 6), strides=(1, 1), pad_type="valid")
    shape = op("shape", {"x": conv}, (4,), "int32")
    rows = op("gather", {"x": shape, "indices": stored("two", (2,), scalar=True)}, (), "int32", axis=0)
    row = op("expand_dims", {"x": rows}, (1,), "int32", axes=(0,))
    to = op(
        "concat",
        {"values": stored("one", (1,)), "values_": row, "values__": stored("rest", (30,))},
        (3,),
        "int32",
        axis=0,
    )
    flat = op("reshape", {"x": conv, "shape": to}, (1, None, 30))
    op("matmul", {"x": flat, "y": flat}, (1, None, None), transpose_y=True)
    return graph


def test_default_shapes_are_carried_through_shape_arithmetic() -> None:
    graph = flexible()
    view = at_default(graph)
    found = {op.type: view.tensor(op.outputs[0]).shape for op in view.ops()}
    assert found["conv"] == (1, 5, 8, 6)
    assert found["reshape"] == (1, 8, 30)
    assert found["matmul"] == (1, 8, 8)
    assert graph.tensor("x").shape == (1, 3, None, 8)  # the model itself is as it was


def test_a_shape_that_is_not_told_stays_open() -> None:
    graph = flexible()
    last = graph.ops()[-1]
    graph.add_tensor(Tensor("open", "float16", (None, 4)))
    graph.add_op(Operator("main/open", "non_zero", (last.outputs[0],), ("open",), {"input_names": ("x",)}))
    assert at_default(graph).tensor("open").shape == (None, 4)


def test_a_model_with_static_shapes_is_looked_at_as_it_is() -> None:
    graph = Graph("main", "mil")
    graph.add_tensor(Tensor("x", "float16", (1, 8)))
    graph.set_interface(["x"], ["x"])
    assert at_default(graph) is graph
