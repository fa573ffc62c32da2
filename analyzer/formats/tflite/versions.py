"""Which version an operator must have, and which ones the reference resolver knows.

Facts from LiteRT at commit f67457790c9c: ``tflite/converter/tools/versioning/op_version.cc`` (the converter
gives an operator the lowest version that has what it uses) and ``tflite/core/kernels/register.cc`` (the
highest version of each kernel).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .schema import schema

if TYPE_CHECKING:
    from ...ir.graph import Graph, Operator, Tensor

FLOAT8 = ("float8e4m3fn", "float8e5m2")

HIGHEST: Mapping[str, int] = {
    "ABS": 5,
    "RELU": 3,
    "RELU6": 3,
    "TANH": 3,
    "LOGISTIC": 3,
    "AVERAGE_POOL_2D": 3,
    "MAX_POOL_2D": 3,
    "CONV_2D": 8,
    "DEPTHWISE_CONV_2D": 7,
    "SVDF": 4,
    "RNN": 3,
    "BIDIRECTIONAL_SEQUENCE_RNN": 3,
    "UNIDIRECTIONAL_SEQUENCE_RNN": 3,
    "EMBEDDING_LOOKUP": 5,
    "FULLY_CONNECTED": 14,
    "SOFTMAX": 4,
    "CONCATENATION": 7,
    "ADD": 6,
    "SPACE_TO_BATCH_ND": 4,
    "BATCH_TO_SPACE_ND": 4,
    "MUL": 8,
    "L2_NORMALIZATION": 2,
    "LSTM": 4,
    "BIDIRECTIONAL_SEQUENCE_LSTM": 3,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 4,
    "PAD": 6,
    "PADV2": 6,
    "RESIZE_BILINEAR": 4,
    "RESIZE_NEAREST_NEIGHBOR": 4,
    "SPACE_TO_DEPTH": 2,
    "DEPTH_TO_SPACE": 2,
    "GATHER": 8,
    "TRANSPOSE": 9,
    "MEAN": 3,
    "DIV": 2,
    "SUB": 5,
    "SPLIT": 5,
    "SPLIT_V": 3,
    "SQUEEZE": 2,
    "STRIDED_SLICE": 8,
    "EXP": 2,
    "TOPK_V2": 3,
    "LOG": 2,
    "LOG_SOFTMAX": 2,
    "CAST": 9,
    "DEQUANTIZE": 9,
    "MAXIMUM": 4,
    "MINIMUM": 4,
    "ARG_MAX": 3,
    "ARG_MIN": 3,
    "GREATER": 2,
    "GREATER_EQUAL": 3,
    "LESS": 3,
    "LESS_EQUAL": 2,
    "SELECT": 4,
    "SELECT_V2": 2,
    "SLICE": 8,
    "SIN": 2,
    "COS": 2,
    "TRANSPOSE_CONV": 5,
    "TILE": 3,
    "SUM": 2,
    "REDUCE_PROD": 2,
    "REDUCE_MAX": 3,
    "REDUCE_MIN": 3,
    "SPARSE_TO_DENSE": 3,
    "EQUAL": 5,
    "NOT_EQUAL": 4,
    "SQRT": 2,
    "RSQRT": 3,
    "FAKE_QUANT": 2,
    "PACK": 5,
    "UNPACK": 6,
    "FLOOR_DIV": 3,
    "FLOOR_MOD": 2,
    "RANGE": 2,
    "LEAKY_RELU": 2,
    "SQUARED_DIFFERENCE": 2,
    "FILL": 5,
    "MIRROR_PAD": 3,
    "REVERSE_V2": 4,
    "GATHER_ND": 6,
    "WHERE": 2,
    "QUANTIZE": 6,
    "BATCH_MATMUL": 4,
    "BROADCAST_TO": 4,
    "GELU": 3,
    "DYNAMIC_UPDATE_SLICE": 6,
    "SIGN": 2,
}
"""The highest version that the reference resolver has; 1 where an operator is not listed."""


@dataclass(frozen=True)
class Signature:
    """What an operator's version depends on; an omitted input has the dtype ``""``."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    attrs: Mapping[str, Any]
    quantized: bool = False
    per_channel: bool = False
    grouped: bool = False
    sparse: bool = False
    rescaled: bool = False
    """Whether scale0 * scale1 / output scale is 1 or more."""

    def input(self, index: int) -> str:
        """The dtype of an input, ``""`` where there is none."""
        return self.inputs[index] if index < len(self.inputs) else ""

    def rank(self, index: int = 0) -> int:
        """The rank of an input."""
        return len(self.shapes[index])

    def all(self, dtype: str, *more: str) -> bool:
        """Whether the first two inputs and the first output have these dtypes (one for all, or three)."""
        wanted = (dtype, *more) if more else (dtype,) * 3
        return (self.input(0), self.input(1), self.outputs[0]) == wanted

    @property
    def wide_broadcast(self) -> bool:
        """Whether the first two inputs differ in shape and one has more than 4 dimensions."""
        return len(self.shapes) > 1 and self.shapes[0] != self.shapes[1] and max(map(len, self.shapes)) > 4

    @property
    def hybrid(self) -> bool:
        """Whether a float operator has int8 weights."""
        return self.all("float32", "int8", "float32")


Rules = tuple[tuple[int, Callable[[Signature], Any]], ...]


def _by_dtype(versions: Mapping[str, int], index: int = 0) -> Rules:
    """Rules on the dtype of one input."""
    return tuple(
        (version, lambda s, dtype=dtype: s.input(index) == dtype) for dtype, version in versions.items()
    )


def _float8(version: int, index: int = 0) -> Rules:
    return ((version, lambda s: s.input(index) in FLOAT8),)


def _either(version: int, *dtypes: str) -> Rules:
    """A rule that the input or the output has one of these dtypes."""
    return ((version, lambda s: s.input(0) in dtypes or s.outputs[0] in dtypes),)


def _hybrid_recurrent(weights: int) -> Rules:
    def quantized(s: Signature) -> bool:
        return s.input(weights) == "int8" and s.outputs[0] == "float32"

    return ((3, lambda s: quantized(s) and s.attrs.get("asymmetric_quantize_inputs")), (2, quantized))


def _hybrid_lstm(s: Signature) -> bool:
    return bool(s.attrs["kernel_type"] == "FULL" and s.input(2) == "int8" and s.outputs[0] == "float32")


INT8: Rules = _by_dtype({"int8": 2})
INT8_INT16: Rules = _by_dtype({"int16": 3, "int8": 2})
HALF: Rules = _by_dtype({"float16": 2})

RULES: Mapping[str, Rules] = {
    "CONV_2D": (
        (
            8,
            lambda s: (
                s.all("int16", "int8", "int16") and s.attrs.get("quantized_bias_type", "FLOAT32") != "FLOAT32"
            ),
        ),
        (6, lambda s: s.grouped),
        (3, lambda s: s.all("int8")),
        (7, lambda s: s.all("int8", "int4", "int8")),
        (5, lambda s: s.hybrid and s.per_channel),
        (2, lambda s: s.hybrid),
    ),
    "DEPTHWISE_CONV_2D": (
        (6, lambda s: s.hybrid and s.per_channel),
        (4, lambda s: s.hybrid),
        (3, lambda s: s.all("int8")),
        (7, lambda s: s.all("int8", "int4", "int8")),
        (2, lambda s: (s.attrs["dilation_w_factor"], s.attrs["dilation_h_factor"]) != (1, 1)),
    ),
    "EMBEDDING_LOOKUP": (
        (4, lambda s: s.input(1) == "int4" or s.per_channel),
        (5, lambda s: s.input(1) == "int2"),
    ),
    "FAKE_QUANT": ((2, lambda s: s.attrs["narrow_range"]),),
    "FULLY_CONNECTED": (
        (14, lambda s: s.input(1) == "int2"),
        (13, lambda s: s.all("int16", "int4", "int16")),
        (12, lambda s: s.hybrid and s.per_channel),
        (
            11,
            lambda s: (
                s.all("int16", "int8", "int16") and s.attrs.get("quantized_bias_type", "FLOAT32") != "FLOAT32"
            ),
        ),
        (8, lambda s: s.sparse),
        (7, lambda s: s.all("int16")),
        (6, lambda s: len(s.inputs) == 2),
        (5, lambda s: s.attrs["keep_num_dims"]),
        (4, lambda s: s.all("int8")),
        (10, lambda s: s.all("int8", "int4", "int8")),
        (9, lambda s: s.hybrid and s.attrs["asymmetric_quantize_inputs"]),
        (3, lambda s: s.hybrid),
        (2, lambda s: s.attrs["weights_format"] != "DEFAULT"),
    ),
    "GATHER": (
        *_float8(8),
        *_by_dtype({"int4": 7}),
        *_by_dtype({"int16": 6}, 1),
        (5, lambda s: s.attrs["batch_dims"] != 0),
        *_by_dtype({"int16": 4, "bool": 3, "int8": 2}),
    ),
    "SVDF": (
        (3, lambda s: s.input(0) == "int8"),
        (4, lambda s: s.hybrid and s.attrs["asymmetric_quantize_inputs"]),
        (2, lambda s: s.hybrid),
    ),
    "SIGN": _by_dtype({"int32": 2}),
    "SIN": HALF,
    "COS": HALF,
    "MUL": (
        *_by_dtype({"float16": 8}),
        (7, lambda s: (s.input(0) == "int16" and not s.quantized) or s.input(0) == "uint32"),
        *_by_dtype({"complex64": 6, "int64": 5, "int16": 4}),
        (3, lambda s: s.rescaled),
        *INT8,
    ),
    "MAX_POOL_2D": INT8_INT16,
    "AVERAGE_POOL_2D": INT8_INT16,
    "TRANSPOSE": (
        *_by_dtype({"float16": 9}),
        (8, lambda s: s.rank() > 6 or s.input(0) == "bfloat16"),
        *_by_dtype({"int4": 7}),
        (6, lambda s: s.rank() > 5),
        *_by_dtype({"int16": 5}),
        (4, lambda s: s.rank() > 4),
        *_by_dtype({"bool": 3, "int8": 2}),
    ),
    "TRANSPOSE_CONV": (
        (
            5,
            lambda s: (
                s.input(2) == s.outputs[0] == "int16"
                and s.attrs.get("quantized_bias_type", "FLOAT32") != "FLOAT32"
            ),
        ),
        (4, lambda s: s.attrs["fused_activation_function"] != "NONE"),
        (3, lambda s: len(s.inputs) == 4 and s.input(3)),
        *_by_dtype({"int8": 2}, 1),
    ),
    "LSTM": (
        (4, lambda s: _hybrid_lstm(s) and s.attrs["asymmetric_quantize_inputs"]),
        (3, lambda s: _hybrid_lstm(s)),
        (2, lambda s: s.attrs["kernel_type"] == "BASIC"),
    ),
    "SPLIT": (*_float8(5, 1), *_by_dtype({"int16": 4, "int32": 3, "int8": 2}, 1)),
    "SPARSE_TO_DENSE": _by_dtype({"int8": 3, "uint8": 3, "int64": 2}, 2),
    "SLICE": (
        *_by_dtype({"float16": 8, "int4": 7, "uint32": 6}),
        (5, lambda s: s.rank() > 4),
        *_by_dtype({"int16": 4, "string": 3, "int8": 2}),
    ),
    "UNPACK": (
        *_float8(6),
        *_by_dtype({"int8": 2, "uint8": 2, "bool": 3, "int16": 4, "float16": 5, "bfloat16": 5}),
    ),
    "DEQUANTIZE": (
        *_float8(9),
        *_by_dtype({"uint4": 8, "int2": 7, "int4": 6, "int16": 3, "float16": 3}),
        (5, lambda s: s.input(0) == "int8" and s.per_channel),
        *INT8,
    ),
    "QUANTIZE": (
        (5, lambda s: "uint4" in (s.input(0), s.outputs[0])),
        (4, lambda s: "int4" in (s.input(0), s.outputs[0])),
        (3, lambda s: s.per_channel),
        (2, lambda s: s.outputs[0] == "int16"),
    ),
    "FLOOR_DIV": _by_dtype({"int16": 3, "int8": 3, "float32": 2}),
    "FLOOR_MOD": _by_dtype({"int16": 2, "int8": 2}),
    "L2_NORMALIZATION": INT8,
    "ABS": (
        *_by_dtype({"int32": 5}),
        (3, lambda s: s.input(0) == "int16" and s.quantized),
        *_by_dtype({"int16": 4, "int8": 2, "uint8": 2}),
    ),
    "RELU": _by_dtype({"int16": 3, "int8": 2, "uint8": 2}),
    "STRIDED_SLICE": (
        (8, lambda s: s.attrs["offset"]),
        *_by_dtype({"uint32": 7}),
        (6, lambda s: s.attrs["ellipsis_mask"] or s.attrs["new_axis_mask"]),
        *_by_dtype({"string": 5}),
        (4, lambda s: s.rank() > 4),
        *_by_dtype({"bool": 3, "int8": 2}),
    ),
    "REVERSE_V2": (*_float8(4), *_by_dtype({"int8": 3, "bool": 2})),
    "RESIZE_BILINEAR": (*_by_dtype({"int16": 4}), (3, lambda s: s.attrs["half_pixel_centers"]), *INT8),
    "RESIZE_NEAREST_NEIGHBOR": (
        *_by_dtype({"int16": 4}),
        (3, lambda s: s.attrs["half_pixel_centers"] or s.attrs["align_corners"]),
        *INT8,
    ),
    "MAXIMUM": (*_by_dtype({"int16": 4}), (3, lambda s: s.wide_broadcast), *INT8),
    "MINIMUM": (*_by_dtype({"int16": 4}), (3, lambda s: s.wide_broadcast), *INT8),
    "PACK": (*_float8(5), *_by_dtype({"int8": 2, "int16": 3, "uint32": 4})),
    "TILE": _by_dtype({"int8": 3, "string": 2}),
    "SQUEEZE": _by_dtype({"string": 2}),
    "SPACE_TO_BATCH_ND": (*_by_dtype({"int16": 4}), (3, lambda s: s.rank() != 4), *INT8),
    "BATCH_TO_SPACE_ND": (*_by_dtype({"int16": 4}), (3, lambda s: s.rank() != 4), *INT8),
    "ADD": (
        *_by_dtype({"float16": 6}),
        (5, lambda s: s.input(0) == "int16" and not s.quantized),
        *_by_dtype({"int64": 4}),
        (3, lambda s: s.input(0) == "int16" and not s.attrs["pot_scale_int16"]),
        *INT8,
    ),
    "SUB": (
        (5, lambda s: s.input(0) == "int16" and not s.attrs["pot_scale_int16"]),
        *_by_dtype({"int64": 4}),
        (3, lambda s: s.wide_broadcast),
        *INT8,
    ),
    "GATHER_ND": (
        *_float8(6),
        *_by_dtype({"bool": 5}),
        *_by_dtype({"int16": 4}, 1),
        *_by_dtype({"int16": 3, "string": 2}),
    ),
    "DIV": ((2, lambda s: s.wide_broadcast),),
    "TANH": INT8_INT16,
    "LOGISTIC": INT8_INT16,
    "FILL": (*_float8(5, 1), *_by_dtype({"float16": 4, "int8": 3, "int16": 3, "bool": 2, "string": 2}, 1)),
    "EQUAL": _by_dtype({"int16": 5, "string": 3, "int8": 2}),
    "NOT_EQUAL": _by_dtype({"int16": 4, "string": 3, "int8": 2}),
    "LEAKY_RELU": _by_dtype({"int16": 2}),
    "RANGE": _by_dtype({"int64": 2}),
    "BATCH_MATMUL": (*INT8_INT16, (4, lambda s: s.hybrid and s.attrs["asymmetric_quantize_inputs"])),
    "PAD": (*_float8(6), *_by_dtype({"bool": 5}), (4, lambda s: s.rank() > 4), *INT8_INT16),
    "PADV2": (*_float8(6), *_by_dtype({"bool": 5}), (4, lambda s: s.rank() > 4), *INT8_INT16),
    "CONCATENATION": (*_float8(7), *_by_dtype({"float16": 6, "int4": 5, "uint32": 4, "int16": 3, "int8": 2})),
    "SOFTMAX": (*_by_dtype({"float16": 4}), *INT8_INT16),
    "MEAN": INT8_INT16,
    "MIRROR_PAD": INT8_INT16,
    "REDUCE_MAX": INT8_INT16,
    "REDUCE_MIN": INT8_INT16,
    "RELU6": INT8_INT16,
    "RSQRT": INT8_INT16,
    "RNN": _hybrid_recurrent(1),
    "UNIDIRECTIONAL_SEQUENCE_RNN": _hybrid_recurrent(1),
    "BIDIRECTIONAL_SEQUENCE_RNN": _hybrid_recurrent(1),
    "BIDIRECTIONAL_SEQUENCE_LSTM": _hybrid_recurrent(2),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (
        (4, lambda s: s.attrs["diagonal_recurrent_tensors"]),
        *_hybrid_recurrent(2),
    ),
    "ARG_MAX": _by_dtype({"bool": 3, "int8": 2}),
    "ARG_MIN": _by_dtype({"bool": 3, "int8": 2}),
    "SELECT": (*_by_dtype({"uint32": 4}), (3, lambda s: any(len(shape) == 5 for shape in s.shapes)), *INT8),
    "LESS": INT8_INT16,
    "GREATER_EQUAL": INT8_INT16,
    "SELECT_V2": _by_dtype({"uint32": 2}),
    "SPLIT_V": (*_float8(3), *INT8),
    "TOPK_V2": ((3, lambda s: "int16" in (*s.inputs, *s.outputs)), *INT8),
    "EXP": _by_dtype({"int8": 2, "int16": 2}),
    "LOG": _by_dtype({"int8": 2, "int16": 2}),
    "REDUCE_PROD": _by_dtype({"int8": 2, "int16": 2}),
    "SQRT": _by_dtype({"int8": 2, "int16": 2}),
    "DYNAMIC_UPDATE_SLICE": (
        *_by_dtype({"bfloat16": 6, "int4": 5, "int16": 4, "float16": 3}),
        *_by_dtype({"int64": 2}, 2),
    ),
    "BROADCAST_TO": (*_float8(4), *_by_dtype({"int8": 3, "int16": 3}), (2, lambda _: True)),
    "CAST": (
        *(_either(9, *FLOAT8)),
        *(_either(8, "int2", "uint4")),
        *(_either(7, "bfloat16")),
        *(_either(6, "int4")),
        *(_either(5, "float64", "float16")),
        *(_either(4, "uint16")),
        *(_either(3, "int8")),
        *(_either(2, "uint32")),
    ),
    "WHERE": ((2, lambda s: s.input(0) != "bool"),),
    "GELU": _by_dtype({"float16": 3, "int8": 2, "uint8": 2}),
    **dict.fromkeys(
        (
            "SPACE_TO_DEPTH",
            "SUM",
            "LOG_SOFTMAX",
            "GREATER",
            "LESS_EQUAL",
            "SQUARED_DIFFERENCE",
            "DEPTH_TO_SPACE",
        ),
        INT8,
    ),
}
"""Version and condition, the first that holds counts; 1 where none does."""


def signature_of(
    inputs: Sequence[Tensor | None], outputs: Sequence[Tensor | None], attrs: Mapping[str, Any]
) -> Signature:
    """The signature of an operator that reads and writes these tensors."""
    shapes = tuple(tuple(item.attrs.get("stored_shape", item.shape or ())) if item else () for item in inputs)
    ends = (*inputs[:2], *outputs[:1])
    scales = [item.quant.scale[0] for item in ends if item and item.quant and item.quant.scale]
    weights = inputs[1] if len(inputs) > 1 else None
    return Signature(
        inputs=tuple(item.dtype if item else "" for item in inputs),
        outputs=tuple(item.dtype if item else "" for item in outputs),
        shapes=shapes,
        attrs=attrs,
        quantized=bool(inputs and inputs[0] and inputs[0].quant),
        per_channel=any(
            item is not None and item.quant is not None and len(item.quant.scale) > 1 for item in ends
        ),
        grouped=len(shapes) > 1 and len(shapes[0]) == len(shapes[1]) == 4 and shapes[0][3] != shapes[1][3],
        sparse=weights is not None and "sparsity" in weights.attrs,
        rescaled=len(scales) == 3 and 0 not in scales and scales[0] * scales[1] >= scales[2],
    )


def lowest_version(graph: Graph, op: Operator) -> int:
    """The version that an operator of this graph needs; options that it does not give have the schema's
    defaults.
    """
    attrs = schema().option_defaults(op.type) | dict(op.attrs)
    return version_of(op.type, signature_of(graph.input_tensors(op), graph.output_tensors(op), attrs))


def version_of(type_: str, signature: Signature) -> int:
    """The version that the converter would give the operator."""
    return next((version for version, holds in RULES.get(type_, ()) if holds(signature)), 1)
