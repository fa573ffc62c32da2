"""Core ML files as graphs: what an operator reads, its parameters, functions, bodies, states, stages and
weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from accelint.analyzer.formats import load
from accelint.analyzer.formats.coreml.schema import operators

if TYPE_CHECKING:
    from accelint.analyzer.ir.graph import Graph, Operator
    from accelint.analyzer.ir.model import Model

FIXTURES = Path(__file__).parent.parent / "fixtures" / "coreml"
READABLE = sorted(path.name for path in FIXTURES.iterdir() if path.name != "trees.mlmodel")


def read(name: str) -> Model:
    return load(FIXTURES / name)


def one(graph: Graph, kind: str) -> Operator:
    (op,) = [op for op in graph.ops() if op.type == kind]
    return op


@pytest.mark.parametrize("name", READABLE)
def test_every_fixture_is_a_valid_graph(name: str) -> None:
    model = read(name)
    assert model.format == name.rpartition(".")[2]
    for graph in model.graphs.values():
        graph.validate()
        assert len(graph) > 0
    assert len({op.id for _, op in model.operators()}) == sum(1 for _ in model.operators())


def test_parameters_become_inputs_and_attributes() -> None:
    graph = read("conv_net.mlpackage").graph
    conv = one(graph, "conv")
    assert conv.id == "main/7"
    assert conv.name == "stem"
    assert conv.version == 16
    assert conv.inputs == ("x", "stem_weight_0", "stem_bias_0")
    assert conv.attrs["input_names"] == ("x", "weight", "bias")
    settings = {key: value for key, value in conv.attrs.items() if key != "input_names"}
    assert settings == {
        "strides": (2, 2),
        "pad_type": "same",
        "pad": (0, 0, 0, 0),
        "dilations": (1, 1),
        "groups": 1,
    }
    assert graph.tensor("stem").shape == (1, 8, 8, 8)
    assert graph.tensor("stem").dtype == "float16"
    assert one(graph, "softmax").attrs["axis"] == -1
    assert graph.attrs["opset"] == "CoreML6"


def test_weights_stay_in_their_file_and_have_their_values() -> None:
    graph = read("conv_net.mlpackage").graph
    weight = graph.tensor("stem_weight_0").const
    assert weight is not None
    assert weight.file is not None
    assert weight.file.name == "weight.bin"
    assert weight.inline is None
    expected = np.random.default_rng(0).normal(size=(8, 3, 3, 3)).astype(np.float16)
    np.testing.assert_array_equal(weight.read(), expected)


def test_small_values_stand_in_the_specification() -> None:
    shape = read("conv_net.mlpackage").graph.tensor("reshape_0_shape_0").const
    assert shape is not None
    assert shape.read().tolist() == [1, 128]


def test_functions_are_entry_graphs_and_the_default_one_is_main() -> None:
    model = read("functions.mlpackage")
    assert list(model.graphs) == ["decode", "encode"]
    assert model.graph is model.graphs["encode"]
    weights = [graph.tensor("mix_weight_0").const for graph in model.graphs.values()]
    assert weights[0] is not None
    assert weights[1] is not None
    assert weights[0].offset == weights[1].offset


def test_bodies_capture_and_keep_their_block_inputs() -> None:
    graph = read("control_flow.mlpackage").graph
    loop = one(graph, "while_loop")
    assert list(loop.graphs) == ["condition", "body"]
    body = loop.graphs["body"]
    assert [body.tensor(name).dtype for name in body.inputs] == ["int32", "float32"]
    cond = one(body, "cond")
    assert list(cond.graphs) == ["true", "false"]
    assert one(cond.graphs["true"], "mul").id == "main/1/body/4/true/1"
    assert cond.graphs["true"].captures() == [body.inputs[1]]


def test_states_are_inputs_that_are_read_and_written() -> None:
    graph = read("state.mlpackage").graph
    assert graph.tensor("cache").attrs["state"] is True
    assert graph.tensor("cache").shape == (1, 4)
    write = one(graph, "write_state")
    assert write.inputs == ("cache", "total")
    assert write.outputs == ()


def test_flexible_inputs_tell_their_shapes() -> None:
    graph = read("flexible.mlpackage").graph
    image, rows = graph.tensor("image"), graph.tensor("rows")
    assert image.shape == (1, 3, None, 8)
    assert image.attrs["flexible"] == "enumerated"
    assert image.attrs["default_shape"] == (1, 3, 16, 8)
    assert rows.attrs["bounds"] == ((1, 32), (4, 4))


@pytest.mark.parametrize(
    ("name", "kind", "inputs", "dtypes"),
    [
        ("palettized", "constexpr_lut_to_dense", ("indices", "lut"), ("uint4", "float16")),
        ("three_bits", "constexpr_lut_to_dense", ("indices", "lut"), ("uint3", "float16")),
        (
            "quantized",
            "constexpr_affine_dequantize",
            ("quantized_data", "zero_point", "scale"),
            ("int8", "int8", "float16"),
        ),
        ("blockwise", "constexpr_blockwise_shift_scale", ("data", "scale"), ("int4", "float16")),
        ("sparse", "constexpr_sparse_to_dense", ("nonzero_data", "mask"), ("float16", "uint8")),
    ],
)
def test_compressed_weights(name: str, kind: str, inputs: tuple[str, ...], dtypes: tuple[str, ...]) -> None:
    graph = read(f"{name}.mlpackage").graph
    compressed = [op for op in graph.ops() if op.type == kind]
    assert len(compressed) == 2
    for op in compressed:
        assert op.attrs["input_names"] == inputs
        assert tuple(graph.tensor(item or "").dtype for item in op.inputs) == dtypes
        assert all(graph.tensor(item or "").const is not None for item in op.inputs)


def test_classifier_labels_are_an_attribute() -> None:
    assert one(read("classifier.mlpackage").graph, "classify").attrs["classes"] == ("cat", "dog", "newt")


def test_network_layers_keep_their_parameters() -> None:
    graph = read("network.mlmodel").graph
    assert graph.dialect == "nn"
    assert [op.type for op in graph.ops()] == [
        "convolution",
        "activation",
        "pooling",
        "flatten",
        "innerProduct",
        "softmax",
    ]
    conv, act = graph.op("main/0"), graph.op("main/1")
    assert conv.attrs["kernelSize"] == (3, 3)
    assert conv.attrs["ConvolutionPaddingType"] == "same"
    assert conv.attrs["same.asymmetryMode"] == "BOTTOM_RIGHT_HEAVY"
    assert conv.attrs["weights"].read().shape == (216,)
    assert act.attrs["NonlinearityType"] == "leakyReLU"
    assert act.attrs["leakyReLU.alpha"] == pytest.approx(0.1)
    inner = graph.op("main/4").attrs["weights"]
    assert inner.file is not None
    np.testing.assert_array_equal(
        inner.read(),
        np.random.default_rng(1).normal(size=(4, 128)).astype(np.float16).astype(np.float32).reshape(-1),
    )


def test_a_name_that_is_written_again_gets_one_tensor_for_each_value() -> None:
    graph = read("loops.mlmodel").graph
    loop, branch = one(graph, "loop"), one(graph, "branch")
    assert "value#1" in loop.outputs
    assert one(graph, "reduceSum").inputs == ("value#1",)
    assert [op.inputs for op in branch.graphs["ifBranch"].ops()] == [("value#1",)]
    assert branch.outputs == ("y",)


def test_a_pipeline_has_one_graph_for_each_stage() -> None:
    model = read("pipeline.mlmodel")
    assert list(model.graphs) == ["network", "suppress"]
    assert model.graph.name == "network"
    assert [op.type for op in model.graphs["suppress"].ops()] == ["nonMaximumSuppression"]


def test_a_program_in_a_single_file() -> None:
    model = read("program.mlmodel")
    assert model.dialect == "mil"
    assert [op.type for op in model.graph.ops()] == ["read_state", "add", "write_state", "read_state", "mul"]


def test_the_parameter_table_holds_every_operator_of_coremltools() -> None:
    table = operators()
    assert len(table) == 170
    assert table["conv"].inputs == ("x", "weight", "bias")
    assert table["conv"].attrs == {"strides", "pad_type", "pad", "dilations", "groups"}
    assert not any(set(entry.inputs) & entry.attrs for entry in table.values())
