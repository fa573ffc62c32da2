"""Which kernels LiteRT's interpreter has: an operator without one, or newer than it, keeps the whole model
from loading.

Read from ``tflite/core/kernels/register.cc`` (google-ai-edge/LiteRT, commit f67457790c9c) and asked of
ai-edge-litert 2.3.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log2

from ...analyzer.ir.graph import Graph, Operator
from ..conditions import Context, Outcome
from ..subjects import UNKNOWN, constant_values
from ..versions import version_key
from . import holds_if, predicate

_BY_NEWEST: Mapping[int, str] = {
    1: """
        ADD_N ASSIGN_VARIABLE ATAN2 BITCAST BITWISE_XOR BROADCAST_ARGS BUCKETIZE CALL_ONCE CEIL COMPLEX_ABS
        CONV_3D
        CONV_3D_TRANSPOSE CUMSUM DENSIFY DILATE ELU EMBEDDING_LOOKUP_SPARSE EXPAND_DIMS FLOOR HARD_SWISH
        HASHTABLE
        HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_LOOKUP HASHTABLE_SIZE IF IMAG L2_POOL_2D
        LOCAL_RESPONSE_NORMALIZATION
        LOGICAL_AND LOGICAL_NOT LOGICAL_OR LSH_PROJECTION MATRIX_DIAG MATRIX_SET_DIAG MULTINOMIAL NEG
        NON_MAX_SUPPRESSION_V4
        NON_MAX_SUPPRESSION_V5 ONE_HOT POW PRELU RANDOM_STANDARD_NORMAL RANDOM_UNIFORM RANK READ_VARIABLE
        REAL REDUCE_ALL
        REDUCE_ANY REDUCE_WINDOW RELU_0_TO_1 RELU_N1_TO_1 RESHAPE REVERSE_SEQUENCE RFFT2D RIGHT_SHIFT ROUND
        SCATTER_ND
        SEGMENT_SUM SHAPE SKIP_GRAM SQUARE STABLEHLO_ADD STABLEHLO_AND STABLEHLO_CASE STABLEHLO_COMPOSITE
        STABLEHLO_GATHER
        STABLEHLO_MAXIMUM STABLEHLO_MINIMUM STABLEHLO_MULTIPLY STABLEHLO_PAD STABLEHLO_REDUCE_WINDOW
        STABLEHLO_RNG_BIT_GENERATOR
        STABLEHLO_SCATTER STABLEHLO_SHIFT_LEFT UNIQUE UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_MIN
        UNSORTED_SEGMENT_PROD
        UNSORTED_SEGMENT_SUM VAR_HANDLE WHILE ZEROS_LIKE
    """,
    2: """
        COS DEPTH_TO_SPACE DIV EXP FAKE_QUANT FLOOR_MOD GREATER L2_NORMALIZATION LEAKY_RELU LESS_EQUAL LOG
        LOG_SOFTMAX RANGE
        REDUCE_PROD SELECT_V2 SIGN SIN SPACE_TO_DEPTH SQRT SQUARED_DIFFERENCE SQUEEZE SUM WHERE
    """,
    3: """
        ARG_MAX ARG_MIN AVERAGE_POOL_2D BIDIRECTIONAL_SEQUENCE_LSTM BIDIRECTIONAL_SEQUENCE_RNN FLOOR_DIV
        GELU GREATER_EQUAL LESS
        LOGISTIC MAX_POOL_2D MEAN MIRROR_PAD REDUCE_MAX REDUCE_MIN RELU RELU6 RNN RSQRT SPARSE_TO_DENSE
        SPLIT_V TANH TILE
        TOPK_V2 UNIDIRECTIONAL_SEQUENCE_RNN
    """,
    4: """
        BATCH_MATMUL BATCH_TO_SPACE_ND BROADCAST_TO LSTM MAXIMUM MINIMUM NOT_EQUAL RESIZE_BILINEAR
        RESIZE_NEAREST_NEIGHBOR
        REVERSE_V2 SELECT SOFTMAX SPACE_TO_BATCH_ND SVDF UNIDIRECTIONAL_SEQUENCE_LSTM
    """,
    5: """
        ABS EMBEDDING_LOOKUP EQUAL FILL PACK SPLIT SUB TRANSPOSE_CONV
    """,
    6: """
        ADD DYNAMIC_UPDATE_SLICE GATHER_ND PAD PADV2 QUANTIZE UNPACK
    """,
    7: """
        CONCATENATION DEPTHWISE_CONV_2D
    """,
    8: """
        CONV_2D GATHER MUL SLICE STRIDED_SLICE
    """,
    9: """
        CAST DEQUANTIZE TRANSPOSE
    """,
    14: """
        FULLY_CONNECTED
    """,
}
NEWEST: Mapping[str, int] = {name: version for version, names in _BY_NEWEST.items() for name in names.split()}
"""Newest version of each builtin operator that has a kernel; the oldest is 1."""
OLDEST: Mapping[str, int] = {"BROADCAST_TO": 2}
BEFORE: tuple[tuple[str, Mapping[str, int]], ...] = (
    (
        "2.2.0",
        {
            "CONCATENATION": 6, "DEQUANTIZE": 8, "PAD": 5, "GATHER": 7, "SPLIT": 4, "CAST": 8, "PADV2": 5,
            "PACK": 4, "UNPACK": 5, "FILL": 4, "SPLIT_V": 2, "REVERSE_V2": 3, "GATHER_ND": 5,
            "BROADCAST_TO": 3,
        },
    ),
    (
        "2.1.6",
        {
            "ADD": 5, "CONCATENATION": 5, "MUL": 7, "SOFTMAX": 3, "TRANSPOSE": 7, "SLICE": 7, "SIN": 1,
            "COS": 1, "GELU": 2, "DYNAMIC_UPDATE_SLICE": 5,
        },
    ),
    ("2.1.3", {"DEQUANTIZE": 7, "UNPACK": 4, "QUANTIZE": 4}),
    ("2.1.2", {"CONCATENATION": 4, "EMBEDDING_LOOKUP": 4, "DYNAMIC_UPDATE_SLICE": 4}),
    (
        "2.1.0",
        {
            "DEQUANTIZE": 6, "FULLY_CONNECTED": 13, "CAST": 7, "SLICE": 6, "EQUAL": 4, "NOT_EQUAL": 3,
            "QUANTIZE": 3,
        },
    ),
    ("2.0.2", {"PAD": 4, "PADV2": 4, "SQRT": 1}),
)  # fmt: skip
"""Newest versions in releases before the one named, newest first; asked of every release from 1.3.0 to 2.3.0
(``tools/derive/litert_versions.py``).
"""


@predicate("litert_kernel")
def litert_kernel(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The interpreter has a kernel for the builtin operator in its version; custom operators pass."""
    newest, oldest = _newest(op.type, context), OLDEST.get(op.type, 1)
    limit = f"a kernel of {op.type} up to version {newest}" if newest else "a builtin operator with a kernel"
    return holds_if(
        bool(op.domain) or oldest <= op.version <= newest, f"{op.type} version {op.version}", limit
    )


def _newest(type_: str, context: Context) -> int:
    """The newest version with a kernel in the release that is asked about."""
    newest, asked = NEWEST.get(type_, 0), version_key(context.version)
    for release, older in BEFORE:
        if asked and asked < version_key(release):
            newest = older.get(type_, newest)
    return newest


@predicate("litert_quantized_dimension")
def litert_quantized_dimension(graph: Graph, op: Operator, context: Context) -> Outcome:
    """The axis of every quantization is one of its tensor's: the interpreter's builder looks at each tensor
    with dimensions, also where there is one scale.
    """
    for tensor in (*graph.input_tensors(op), *graph.output_tensors(op)):
        axis = None if tensor is None or tensor.quant is None else tensor.quant.axis
        if axis is not None and tensor is not None and tensor.rank and not 0 <= axis < tensor.rank:
            return holds_if(
                False, f"quantized_dimension {axis} of {tensor.name}", f"in the range [0, {tensor.rank})"
            )
    return holds_if(True, "", "")


@predicate("litert_listed_inputs")
def litert_listed_inputs(graph: Graph, op: Operator, context: Context) -> Outcome:
    """No input stands in the file as left out (-1)."""
    gone = [index for index, name in enumerate(op.inputs) if name is None]
    return holds_if(not gone, f"input {gone[0] if gone else 0} is -1", "a tensor or fewer inputs")


@predicate("litert_mirrored")
def litert_mirrored(graph: Graph, op: Operator, context: Context) -> Outcome:
    """No padding is longer than what it mirrors: the dimension, less one for REFLECT."""
    tensors = graph.input_tensors(op)
    stored = graph.constant(op.inputs[1]) if len(op.inputs) > 1 and op.inputs[1] else None
    shape = tensors[0].shape if tensors and tensors[0] is not None else None
    paddings = [] if stored is None else constant_values(stored)
    if stored is None or shape is None or UNKNOWN in paddings or len(paddings) != 2 * len(shape):
        return holds_if(True, "", "")
    edge = 1 if op.attrs.get("mode", "REFLECT") == "REFLECT" else 0
    for index, value in enumerate(paddings):
        size = shape[index // 2]
        if isinstance(size, int) and value > size - edge:
            return holds_if(False, f"padding {value} of dimension {index // 2}", str(size - edge))
    return holds_if(True, "", "")


@predicate("litert_filters")
def litert_filters(graph: Graph, op: Operator, context: Context) -> Outcome:
    """CONV_2D: the filters are a multiple of the groups, which the channels of input and filter tell."""
    data, weights = (None if tensor is None else tensor.shape for tensor in graph.input_tensors(op)[:2])
    if not data or not weights or len(data) != 4 or len(weights) != 4:
        return holds_if(True, "", "")
    channels, inside, filters = data[3], weights[3], weights[0]
    if not (isinstance(channels, int) and isinstance(inside, int) and isinstance(filters, int)) or not inside:
        return holds_if(True, "", "")
    groups = max(channels // inside, 1)
    return holds_if(filters % groups == 0, f"{filters} filters in {groups} groups", f"a multiple of {groups}")


@predicate("litert_shifts")
def litert_shifts(graph: Graph, op: Operator, context: Context) -> Outcome:
    """ADD and SUB with scales that are powers of two: one operand has the scale of the result, none a larger
    one.
    """
    limit = "one operand has the scale of the result, none a larger one"
    tensors = (*graph.input_tensors(op)[:2], *graph.output_tensors(op)[:1])
    scales = [tensor.quant.scale[0] for tensor in tensors if tensor and tensor.quant and tensor.quant.scale]
    if len(scales) != 3 or min(scales) <= 0:
        return holds_if(None, "unknown scales", limit)
    shifts = [round(log2(scale) - log2(scales[2])) for scale in scales[:2]]
    seen = f"scales {scales[0]:g} and {scales[1]:g} of {scales[2]:g}"
    return holds_if(0 in shifts and max(shifts) <= 0, seen, limit)
