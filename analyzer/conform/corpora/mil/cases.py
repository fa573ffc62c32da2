"""The measured single-operator ML Programs of the Neural Engine, built again from their names.

``rules/packs/coreml_ane/cases.tsv`` says of each case which devices support it; here stands what each name
means. Shapes and parameters that the measurement does not name are small ones of the same kind.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from .programs import (  # fmt: skip
    IMAGE,
    ONE,
    Build,
    Program,
    attention,
    binary,
    cast,
    compared,
    conjunction,
    conv,
    conv_transpose,
    cropped,
    edged,
    embedding,
    gather,
    gather_computed,
    gathered,
    joined,
    linear,
    log_softmax,
    matmul,
    norm,
    padded,
    pool,
    powered,
    quantized,
    quantized_output,
    recurrent,
    reduced,
    resampled,
    reshaped,
    resized,
    scatter,
    selection,
    shaped,
    sliced,
    sliced_by_size,
    split,
    squeezed,
    suppressed,
    sweep,
    tiled,
    topk,
    unary,
)

TABLE = Path(__file__).resolve().parents[4] / "rules" / "packs" / "coreml_ane" / "cases.tsv"


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of the table: the devices that support the case, in the words of the table."""

    name: str
    type: str
    ane: str
    gpu: str


def read_table(path: Path = TABLE) -> list[Measured]:
    """Every measured case."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader((line for line in stream if not line.startswith("#")), delimiter="\t")
        return [
            Measured(row["case"], row["mil_op"], row["ane_supported_CPU_AND_NE"], row["gpu_supported_ALL"])
            for row in rows
        ]


def programs(name: str) -> list[Program]:
    """The programs of a case: one, or several for a sweep. Raises KeyError for a name that is not known."""
    built = []
    for build in BUILDERS[name]:
        program = Program()
        build(program)
        built.append(program)
    return built


def said(measured: Measured, device: str, program: Program, id: str) -> str:
    """What the table says of an operator on ``ane`` or ``gpu``: a verdict, or nothing where the case was not
    run there.
    """
    words = measured.ane if device == "ane" else measured.gpu
    if words.startswith("op yes"):  # the operator is supported, the cast of its indices is not
        return "fallback" if program.graph.op(id).type == "cast" else "accelerated"
    return {"yes": "accelerated", "no": "fallback", "not run": ""}.get(words, "unknown")


def _same_name(*names: str) -> dict[str, list[Build]]:
    """Cases that are one unary operator of their own name."""
    return {name: [unary(name)] for name in names}


def _relu(*shape: int) -> list[Build]:
    return [unary("relu", shape)]


BUILDERS: dict[str, list[Build]] = {
    # unary and activation
    **_same_name(
        "abs",
        "acos",
        "asin",
        "atan",
        "atanh",
        "ceil",
        "cos",
        "cosh",
        "erf",
        "exp",
        "exp2",
        "floor",
        "relu",
        "relu6",
        "round",
        "sigmoid",
        "sign",
        "silu",
        "sin",
        "sinh",
        "softplus",
        "softsign",
        "sqrt",
        "square",
        "tan",
        "tanh",
    ),
    "clip": [unary("clip", alpha=-1.0, beta=1.0)],
    "elu": [unary("elu", alpha=1.0)],
    "gelu_exact": [unary("gelu", mode="EXACT")],
    "gelu_sigmoid": [unary("gelu", mode="SIGMOID_APPROXIMATION")],
    "gelu_tanh": [unary("gelu", mode="TANH_APPROXIMATION")],
    "hard_sigmoid": [unary("sigmoid_hard", alpha=0.2, beta=0.5)],
    "inverse": [unary("inverse", epsilon=1e-4)],
    "leaky_relu": [unary("leaky_relu", alpha=0.1)],
    "linear_act": [unary("linear_activation", alpha=2.0, beta=1.0)],
    "log": [unary("log", epsilon=1e-6)],
    "prelu_folded_to_leaky_relu": [unary("leaky_relu", alpha=0.25)],
    "rsqrt": [unary("rsqrt", epsilon=1e-6)],
    "scaled_tanh": [unary("scaled_tanh", alpha=1.0, beta=1.0)],
    "thresholded_relu": [unary("thresholded_relu", alpha=1.0)],
    "relu_c65536": _relu(1, 65536, 1, 1),
    "relu_c65537": _relu(1, 65537, 1, 1),
    "relu_h65536": _relu(1, 1, 65536, 1),
    "relu_h65537": _relu(1, 1, 65537, 1),
    "relu_w16384": _relu(1, 1, 1, 16384),
    "relu_w16385": _relu(1, 1, 1, 16385),
    "relu_w65536": _relu(1, 1, 1, 65536),
    "relu_w65537": _relu(1, 1, 1, 65537),
    "relu_n64": _relu(64, 64, 32, 32),
    "relu_r1": _relu(64),
    "relu_r2": _relu(64, 64),
    "relu_r3": _relu(16, 64, 64),
    "relu_r5": _relu(1, 8, 4, 16, 16),
    "relu_f32": [edged(lambda p, x, y: p.op("relu", IMAGE, x=x))],
    "sw_relu_n2_16": sweep(lambda n: unary("relu", (n, 64, 32, 32)), (2, 4, 8, 16)),
    # binary
    **{
        name: [binary(name)]
        for name in ("add", "floor_div", "maximum", "minimum", "mod", "mul", "pow", "real_div", "sub")
    },
    "add_bc_batch": [binary("add", (4, 64, 32, 32), (1, 64, 32, 32))],
    "add_bc_both": [binary("add", (1, 64, 1, 32), (1, 1, 32, 1))],
    "add_bc_ch": [binary("add", IMAGE, (1, 64, 1, 1))],
    "add_bc_hw": [binary("add", IMAGE, (1, 1, 32, 32))],
    "add_bc_w": [binary("add", IMAGE, (1, 1, 1, 32))],
    "add_f32": [edged(lambda p, x, y: p.op("add", IMAGE, x=x, y=y))],
    "add_i32": [binary("add", dtype="int32")],
    "mul_i32": [binary("mul", dtype="int32")],
    "pow_const": [powered],
    "pow_half": [powered],
    **{
        name: [compared(name)]
        for name in ("equal", "greater", "greater_equal", "less", "less_equal", "not_equal")
    },
    "logical_and": [conjunction],
    "select": [selection],
    # casts and quantization
    "cast_f16_f32": [cast("float16", "float32")],
    "cast_f16_i32": [cast("float16", "int32")],
    "cast_i32_f16": [cast("int32", "float16")],
    "cast_to_i8_final": [cast("float16", "int8")],
    "q_dq_i8": [quantized],
    "quantize_i8_output": [quantized_output],
    # convolutions
    "conv1d": [conv(3)],
    "conv1x1": [conv(1, 1)],
    "conv3d": [conv(3, 3, 3, channels=8)],
    "conv3x3": [conv(3, 3)],
    "conv3x3_d2": [conv(3, 3, dilation=2)],
    "conv3x3_dw": [conv(3, 3, groups=64)],
    "conv7x7_s2": [conv(7, 7, stride=2)],
    "conv_dynw": [conv(3, 3, dynamic=True)],
    "conv_s5": [conv(5, 5, stride=5)],
    "conv_k17x17": [conv(17, 17)],
    "conv_k1x16": [conv(1, 16)],
    "conv_k1x31": [conv(1, 31)],
    "conv_transpose": [conv_transpose(4, 4, strides=(2, 2))],
    "conv_transpose_1d": [conv_transpose(3)],
    "conv_transpose_3d": [conv_transpose(3, 3, 3)],
    "conv_transpose_k3s2": [conv_transpose(3, 3, strides=(2, 2))],
    "sw_conv_g2_32": sweep(lambda groups: conv(3, 3, groups=groups), (2, 4, 8, 16, 32)),
    "sw_conv_k13_15": sweep(lambda k: conv(k, k), (13, 14, 15)),
    "sw_conv_k16x16": [conv(16, 16)],
    "sw_conv_k17x1": [conv(17, 1)],
    "sw_conv_k31x1": [conv(31, 1)],
    "sw_conv_k32x1": [conv(32, 1)],
    "sw_conv_k64x1": [conv(64, 1)],
    "sw_conv_k1x17_64": sweep(lambda k: conv(1, k), (17, 32, 64)),
    "sw_conv_s2_8": sweep(lambda s: conv(3, 3, stride=s), (2, 3, 4, 6, 8)),
    # products
    "linear": [linear],
    "matmul_const": [matmul((64, 256), (256, 256), (64, 256), constant=True)],
    "matmul_dyn": [matmul((64, 256), (256, 256), (64, 256))],
    "matmul_dyn_tr": [matmul((64, 256), (128, 256), (64, 128), transposed=True)],
    "matmul_batched4d": [matmul((1, 8, 64, 64), (1, 8, 64, 64), (1, 8, 64, 64))],
    "matmul_bc": [matmul((1, 8, 64, 64), (1, 1, 64, 64), (1, 8, 64, 64))],
    "matmul_f32": [
        edged(
            lambda p, x, y: p.op(
                "matmul", IMAGE, x=x, y=y, attrs={"transpose_x": False, "transpose_y": False}
            )
        )
    ],
    "matmul_i32": [matmul((64, 64), (64, 64), (64, 64), dtype="int32")],
    "matmul_k40000": [matmul((1, 40000), (40000, 8), (1, 8), constant=True)],
    "sw_matmul_k16384_32768": sweep(lambda k: matmul((1, k), (k, 8), (1, 8), constant=True), (16384, 32768)),
    "sw_matmul_k65536": [matmul((1, 65536), (65536, 8), (1, 8), constant=True)],
    "sdpa": [attention(mask=False)],
    "sdpa_mask": [attention(mask=True)],
    # pools
    "avg_pool": [pool("avg_pool", 2, 2)],
    "avg_pool3d": [pool("avg_pool", 2, 2, 2)],
    "l2_pool": [pool("l2_pool", 2, 2)],
    "max_pool": [pool("max_pool", 2, 2)],
    "max_pool_1x9": [pool("max_pool", 1, 9)],
    "max_pool_k15": [pool("max_pool", 15, 15)],
    "max_pool_k9": [pool("max_pool", 9, 9)],
    "sw_avgpool_k4_14": sweep(lambda k: pool("avg_pool", k, k), tuple(range(4, 15))),
    "sw_maxpool_k4_8": sweep(lambda k: pool("max_pool", k, k), tuple(range(4, 9))),
    "sw_maxpool_k9_14": sweep(lambda k: pool("max_pool", k, k), tuple(range(9, 15))),
    # normalization, softmax, reductions
    "batch_norm": [norm("batch_norm")],
    "instance_norm": [norm("instance_norm")],
    "layer_norm_c": [norm("layer_norm", 1)],
    "layer_norm_chw": [norm("layer_norm", 1, 2, 3)],
    "layer_norm_hw": [norm("layer_norm", 2, 3)],
    "layer_norm_w": [norm("layer_norm", 3)],
    "l2_norm": [unary("l2_norm", epsilon=1e-6)],
    "lrn": [unary("local_response_norm", size=5, alpha=1e-4, beta=0.75, k=1.0)],
    "softmax_c": [unary("softmax", axis=1)],
    "softmax_h": [unary("softmax", axis=2)],
    "softmax_n": [unary("softmax", (4, 64, 32, 32), axis=0)],
    "softmax_w": [unary("softmax", axis=3)],
    "log_softmax": [log_softmax],
    "global_avg": [reduced("reduce_mean", 2, 3)],
    **{
        f"reduce_{kind}_c": [reduced(f"reduce_{kind}", 1)]
        for kind in (
            "l1_norm",
            "l2_norm",
            "log_sum",
            "log_sum_exp",
            "max",
            "mean",
            "min",
            "prod",
            "sum",
            "sum_square",
        )
    },
    "reduce_sum_all": [reduced("reduce_sum", 0, 1, 2, 3)],
    "reduce_sum_w": [reduced("reduce_sum", 3)],
    "reduce_argmax_c": [reduced("reduce_argmax", 1, dtype="int32")],
    "reduce_argmax_w": [reduced("reduce_argmax", 3, dtype="int32")],
    "argmax_flat": [
        lambda p: p.op(
            "reduce_argmax", (1,), dtype="int32", x=p.input(4096), attrs={"axis": 0, "keep_dims": True}
        )
    ],
    "argsort_w": [
        lambda p: p.op(
            "argsort", IMAGE, dtype="int32", x=p.input(*IMAGE), attrs={"axis": 3, "ascending": True}
        )
    ],
    "cumsum_c": [unary("cumsum", axis=1, exclusive=False, reverse=False)],
    "cumsum_w": [unary("cumsum", axis=3, exclusive=False, reverse=False)],
    "topk_c": [topk(4, 1)],
    "topk_w": [topk(4, 3)],
    "topk_large": [topk(40, 1, (1, 32000))],
    # gather, scatter, slices
    "gather_c_constidx": [gather(1)],
    "gather_w_constidx": [gather(3)],
    "gather_dyn": [gather_computed],
    "embedding_i32_input": [embedding],
    "gather_along_axis_op": [gathered("gather_along_axis", about="op")],
    "gather_along_axis_indexcast": [gathered("gather_along_axis", about="cast")],
    "gather_nd_op": [gathered("gather_nd", about="op")],
    "gather_nd_indexcast": [gathered("gather_nd", about="cast")],
    "scatter": [scatter("scatter")],
    "scatter_along_axis": [scatter("scatter_along_axis")],
    "slice_c": [sliced((0, 8, 0, 0), (1, 24, 32, 32), (1, 1, 1, 1))],
    "slice_w_stride2": [sliced((0, 0, 0, 0), (1, 64, 32, 32), (1, 1, 1, 2))],
    "slice_by_size_const": [sliced_by_size(dynamic=False)],
    "slice_dyn_begin": [sliced_by_size(dynamic=True)],
    "one_hot": [
        lambda p: p.op(
            "one_hot",
            (8, 16),
            indices=p.input(8, dtype="int32"),
            one_hot_vector_size=p.const(dtype="int32", values=(16,)),
            attrs={"axis": -1, "on_value": ONE, "off_value": ONE},
        )
    ],
    "nonzero": [lambda p: p.op("non_zero", (None, 2), dtype="int32", x=p.input(16, 16))],
    "range_1d": [
        lambda p: p.op(
            "range_1d",
            (16,),
            dtype="int32",
            start=p.const(dtype="int32", values=(0,)),
            end=p.const(dtype="int32", values=(16,)),
            step=p.const(dtype="int32", values=(1,)),
        )
    ],
    "band_part": [unary("band_part", (1, 1, 32, 32), lower=-1, upper=0)],
    "sliding_windows": [shaped("sliding_windows", (1, 64, 32, 31, 2), axis=3, size=2, stride=1)],
    "fill_like": [lambda p: p.op("fill_like", IMAGE, ref_tensor=p.input(*IMAGE), attrs={"value": 1.0})],
    # joins and layout
    "concat_c": [joined(1)],
    "concat_interleave": [joined(1, interleave=True)],
    "concat_n": [joined(0)],
    "concat_w": [joined(3)],
    "stack": [
        lambda p: p.op(
            "stack", (1, 64, 2, 32), values=(p.input(1, 64, 32), p.input(1, 64, 32)), attrs={"axis": 2}
        )
    ],
    "split_c": [split],
    "squeeze_expand": [squeezed],
    "tile": [tiled],
    "reverse_w": [unary("reverse", axes=(3,))],
    "reshape": [reshaped(IMAGE, (1, 64, 1024, 1))],
    "reshape_split_c": [reshaped(IMAGE, (1, 8, 8, 1024))],
    "transpose_cw": [shaped("transpose", (1, 32, 32, 64), perm=(0, 3, 2, 1))],
    "transpose_hw": [shaped("transpose", IMAGE, perm=(0, 1, 3, 2))],
    "transpose_nc": [shaped("transpose", (64, 4, 32, 32), (4, 64, 32, 32), perm=(1, 0, 2, 3))],
    "transpose_r5": [shaped("transpose", (1, 4, 8, 16, 16), (1, 8, 4, 16, 16), perm=(0, 2, 1, 3, 4))],
    "pad_c": [padded("constant", (1, 1, 0, 0, 0, 0))],
    "pad_const": [padded("constant", (1, 1, 1, 1))],
    "pad_reflect": [padded("reflect", (1, 1, 1, 1))],
    "pad_replicate": [padded("replicate", (1, 1, 1, 1))],
    "space_to_depth": [shaped("space_to_depth", (1, 256, 16, 16), block_size=2)],
    "depth_to_space": [shaped("depth_to_space", (1, 16, 64, 64), block_size=2)],
    "pixel_shuffle": [shaped("pixel_shuffle", (1, 16, 64, 64), upscale_factor=2)],
    "pixel_unshuffle": [shaped("pixel_unshuffle", (1, 256, 16, 16), downscale_factor=2)],
    "space_to_batch": [
        shaped("space_to_batch", (4, 64, 16, 16), block_shape=(2, 2), paddings=((0, 0), (0, 0)))
    ],
    "batch_to_space": [
        shaped("batch_to_space", (1, 64, 64, 64), (4, 64, 32, 32), block_shape=(2, 2), crops=((0, 0), (0, 0)))
    ],
    # images
    "upsample_bilinear": [
        shaped(
            "upsample_bilinear",
            (1, 64, 64, 64),
            scale_factor_height=2.0,
            scale_factor_width=2.0,
            align_corners=False,
        )
    ],
    "upsample_bilinear_ac": [
        shaped(
            "upsample_bilinear",
            (1, 64, 64, 64),
            scale_factor_height=2.0,
            scale_factor_width=2.0,
            align_corners=True,
        )
    ],
    "upsample_nearest_x2": [
        shaped("upsample_nearest_neighbor", (1, 64, 64, 64), scale_factor_height=2, scale_factor_width=2)
    ],
    "upsample_nearest_x3": [
        shaped("upsample_nearest_neighbor", (1, 64, 96, 96), scale_factor_height=3, scale_factor_width=3)
    ],
    "upsample_nearest_frac": [
        shaped("upsample_nearest_neighbor", (1, 64, 48, 48), scale_factor_height=1.5, scale_factor_width=1.5)
    ],
    "resize_bilinear": [
        shaped(
            "resize_bilinear",
            (1, 64, 48, 48),
            target_size_height=48,
            target_size_width=48,
            sampling_mode="DEFAULT",
        )
    ],
    "resize_nearest": [
        shaped("resize_nearest_neighbor", (1, 64, 64, 64), target_size_height=64, target_size_width=64)
    ],
    "resize_down_ios17": [resized],
    "affine": [resampled("affine")],
    "resample": [resampled("resample")],
    "crop_resize": [cropped],
    "nms": [suppressed],
    # recurrent, random
    "lstm": [recurrent("lstm")],
    "gru": [recurrent("gru")],
    "rnn": [recurrent("rnn")],
    "random_normal": [
        lambda p: p.op(
            "random_normal",
            (4, 16),
            shape=p.const(2, dtype="int32", values=(4, 16)),
            attrs={"mean": ONE, "stddev": ONE, "seed": 1},
        )
    ],
}
"""What each case's name means."""
