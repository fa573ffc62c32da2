"""ONNX Runtime's CoreML and NNAPI providers on whole graphs: what a pack's single-operator cases cannot
show.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from accelint.analyzer.check.coverage import Coverage
from accelint.analyzer.check.run import check
from accelint.analyzer.conform.corpora.onnx.corpus import backend_cases
from accelint.analyzer.formats.onnx.reader import from_bytes
from accelint.rules.registry import choose
from onnx import TensorProto, helper, numpy_helper

F32, U8, S8 = np.float32, np.uint8, np.int8


def node(kind: str, inputs: str, outputs: str, **attrs: Any) -> onnx.NodeProto:
    return helper.make_node(
        kind, ["" if name == "-" else name for name in inputs.split()], outputs.split(), **attrs
    )


def placed(
    target: str,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[Any]],
    outputs: dict[str, list[Any]],
    opset: int = 17,
    dtypes: dict[str, int] | None = None,
    **constants: Any,
) -> Coverage:
    kinds = dtypes or {}
    made = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), shape)
            for name, shape in inputs.items()
        ],
        [
            helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), shape)
            for name, shape in outputs.items()
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    return check(from_bytes(model.SerializeToString()), choose(target))


def verdicts(coverage: Coverage) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for op in coverage.operators:
        found.setdefault(op.type, set()).add(op.verdict.value)
    return found


def conv_unit(activation: type, weight: type, scale: Any = 0.1, zero: int = 0) -> Coverage:
    """DequantizeLinear, Conv, QuantizeLinear between the quantized ends of a model."""
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("DequantizeLinear", "w ws wz", "dw", axis=0),
        node("Conv", "d dw", "c", pads=[1, 1, 1, 1]),
        node("QuantizeLinear", "c r z", "qc"),
        node("DequantizeLinear", "qc r z", "y"),
    ]
    scales = np.asarray(scale, F32)
    return placed(
        "onnxruntime/nnapi",
        nodes,
        {"x": [1, 4, 8, 8]},
        {"y": [1, 4, 8, 8]},
        s=F32(0.1),
        r=F32(0.2),
        z=activation(3),
        w=np.ones((4, 4, 3, 3), weight),
        ws=scales,
        wz=np.full(scales.shape, zero, weight),
    )


@pytest.mark.parametrize(
    ("weight", "scale"),
    [(U8, 0.1), (S8, 0.1), (S8, [0.1, 0.2, 0.3, 0.4])],
    ids=["u8", "s8", "s8-per-channel"],
)
def test_a_quantized_convolution_of_uint8_is_one_operator_of_nnapi(weight: type, scale: Any) -> None:
    coverage = conv_unit(U8, weight, scale)
    assert verdicts(coverage) == {
        "QuantizeLinear": {"accelerated"},
        "DequantizeLinear": {"accelerated"},
        "Conv": {"accelerated"},
    }
    assert len(coverage.partitions) == 1


def test_nnapi_takes_no_int8_activations_and_no_other_zero_point_of_int8_weights() -> None:
    assert verdicts(conv_unit(S8, S8))["Conv"] == {"fallback"}
    assert verdicts(conv_unit(U8, S8, zero=1))["Conv"] == {"fallback"}


def test_a_unit_that_nnapi_does_not_know_stays_on_the_host_with_its_members() -> None:
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("MaxPool", "d", "p", kernel_shape=[2, 2]),
        node("QuantizeLinear", "p s z", "qp"),
        node("DequantizeLinear", "qp s z", "y"),
    ]
    coverage = placed(
        "onnxruntime/nnapi", nodes, {"x": [1, 4, 8, 8]}, {"y": [1, 4, 7, 7]}, s=F32(0.1), z=U8(3)
    )
    assert [op.verdict.value for op in coverage.operators] == [
        "accelerated",
        "fallback",
        "fallback",
        "fallback",
        "accelerated",
    ]


def gemm_unit(quantized: bool) -> Coverage:
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("DequantizeLinear", "w s z", "dw"),
        node("Gemm", "d dw", "g" if quantized else "y"),
    ]
    if quantized:
        nodes += [node("QuantizeLinear", "g s z", "qg"), node("DequantizeLinear", "qg s z", "y")]
    return placed(
        "onnxruntime/nnapi", nodes, {"x": [2, 4]}, {"y": [2, 3]}, s=F32(0.1), z=U8(3), w=np.ones((4, 3), U8)
    )


def test_a_quantized_gemm_with_a_float_result_stops_the_session() -> None:
    assert gemm_unit(quantized=True).verdict == "full"
    coverage = gemm_unit(quantized=False)
    assert coverage.verdict == "rejected"
    assert {item.rule for item in coverage.findings if item.effect == "rejected"} == {
        "qdq-of-gemm-without-result"
    }


def test_integers_without_a_scale_stay_inside_of_a_partition() -> None:
    """A transpose of uint8 behind a QuantizeLinear is taken, one of an input of the model is not."""
    inside = [
        node("QuantizeLinear", "x s z", "q"),
        node("Transpose", "q", "t", perm=[0, 2, 1]),
        node("DequantizeLinear", "t s z", "y"),
    ]
    assert (
        placed("onnxruntime/nnapi", inside, {"x": [1, 4, 8]}, {"y": [1, 8, 4]}, s=F32(0.1), z=U8(3)).verdict
        == "full"
    )
    outside = [node("Transpose", "x", "y", perm=[0, 2, 1])]
    coverage = placed(
        "onnxruntime/nnapi",
        outside,
        {"x": [1, 4, 8]},
        {"y": [1, 8, 4]},
        dtypes={"x": TensorProto.UINT8, "y": TensorProto.UINT8},
    )
    assert coverage.verdict == "none"


def test_a_partition_of_constants_is_not_assigned_to_nnapi() -> None:
    nodes = [node("Exp", "c", "e"), node("Mod", "e x", "m", fmod=1), node("Exp", "m", "y")]
    coverage = placed("onnxruntime/nnapi", nodes, {"x": [4]}, {"y": [4]}, c=np.ones(4, F32))
    rules = [[coverage.findings[index].rule for index in op.findings] for op in coverage.operators]
    assert rules == [["constant-partition"], ["operator-unsupported"], []]


def test_one_identity_is_too_little_for_nnapi_and_two_are_not() -> None:
    one, two = [node("Identity", "x", "y")], [node("Identity", "x", "t"), node("Identity", "t", "y")]
    assert placed("onnxruntime/nnapi", one, {"x": [4]}, {"y": [4]}).verdict == "none"
    assert placed("onnxruntime/nnapi", two, {"x": [4]}, {"y": [4]}).verdict == "full"


@pytest.mark.parametrize(
    ("attrs", "verdict"),
    [({}, "rejected"), ({"output_padding": [1, 1]}, "rejected"), ({"auto_pad": "VALID"}, "full")],
)
def test_a_transposed_convolution_without_pads_stops_coreml_before_anything_behind_is_asked(
    attrs: dict[str, Any], verdict: str
) -> None:
    nodes = [node("ConvTranspose", "x w", "y", strides=[2, 2], **attrs)]
    size = 18 if "output_padding" in attrs else 17
    coverage = placed(
        "onnxruntime/coreml:mlprogram",
        nodes,
        {"x": [1, 4, 8, 8]},
        {"y": [1, 4, size, size]},
        w=np.ones((4, 4, 3, 3), F32),
    )
    assert coverage.verdict == verdict


def test_a_cast_of_an_argmax_that_is_read_twice_stays_on_the_host() -> None:
    nodes = [node("ArgMax", "x", "a", axis=1), node("Cast", "a", "y", to=TensorProto.INT32)]
    kinds = {"y": TensorProto.INT32, "z": TensorProto.INT64}
    once = placed("onnxruntime/coreml:neuralnetwork", nodes, {"x": [2, 4]}, {"y": [2, 1]}, dtypes=kinds)
    assert verdicts(once) == {"ArgMax": {"accelerated"}, "Cast": {"accelerated"}}
    more = [*nodes, node("Mul", "a a", "z")]
    twice = placed(
        "onnxruntime/coreml:neuralnetwork", more, {"x": [2, 4]}, {"y": [2, 1], "z": [2, 1]}, dtypes=kinds
    )
    assert verdicts(twice) == {"ArgMax": {"fallback"}, "Cast": {"fallback"}, "Mul": {"fallback"}}


def test_tests_whose_values_are_no_arrays_have_constants_too() -> None:
    names = {
        case.name for case in backend_cases() if "castlike_FLOAT_to_FLOAT8E5M2" in case.name and case.build()
    }
    assert "backend/test_castlike_FLOAT_to_FLOAT8E5M2/const" in names


@pytest.mark.parametrize(
    ("clip", "zero", "verdict"),
    [("Relu", 0, "full"), ("Relu", 3, "partial"), ("Clip", 0, "full"), ("Clip", 100, "partial")],
)
def test_a_clip_belongs_to_a_unit_of_nnapi_where_the_quantization_makes_it_redundant(
    clip: str, zero: int, verdict: str
) -> None:
    """[0, 6] with a scale of 6 / 255: all of it from the zero point 0 on, a part of it from another."""
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("DequantizeLinear", "w s z", "dw"),
        node("Conv", "d dw", "c", pads=[1, 1, 1, 1]),
        node(clip, "c low high" if clip == "Clip" else "c", "r"),
        node("QuantizeLinear", "r s z", "qr"),
        node("DequantizeLinear", "qr s z", "y"),
    ]
    coverage = placed(
        "onnxruntime/nnapi", nodes, {"x": [1, 4, 8, 8]}, {"y": [1, 4, 8, 8]}, s=F32(6 / 255), z=U8(zero),
        w=np.ones((4, 4, 3, 3), U8), low=F32(0), high=F32(6),
    )  # fmt: skip
    assert coverage.verdict == verdict
    assert verdicts(coverage)["Conv"] == {"accelerated" if verdict == "full" else "fallback"}


def test_what_only_the_qnn_provider_takes_as_a_unit_leaves_its_neighbours_to_nnapi() -> None:
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("Softplus", "d", "p"),
        node("QuantizeLinear", "p s z", "qp"),
        node("DequantizeLinear", "qp s z", "y"),
    ]
    coverage = placed("onnxruntime/nnapi", nodes, {"x": [2, 4]}, {"y": [2, 4]}, s=F32(0.1), z=U8(3))
    assert [op.verdict.value for op in coverage.operators] == [
        "accelerated",
        "accelerated",
        "fallback",
        "accelerated",
        "accelerated",
    ]
