"""Small ML Programs with one operator each, as graphs: what the measured cases are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ....ir.graph import Constant, Graph, Operator, Tensor

IMAGE = (1, 64, 32, 32)
"""N, C, H, W where nothing else is said."""
ONE = Constant("float16", (), inline=b"\x00\x3c")
"""1.0 in float16."""
HALF = 0x3800
"""The bits of 0.5 in float16."""
Shape = tuple[int, ...]
Open = tuple[int | None, ...]
"""A shape with sizes that only the run tells."""


@dataclass(slots=True)
class Program:
    """A small ML Program under construction; ``asked`` are the ids of the operators that the case is
    about.
    """

    graph: Graph = field(default_factory=lambda: Graph("main", "mil", {"ios": 18}))
    asked: list[str] = field(default_factory=list)

    def input(self, *shape: int, dtype: str = "float16") -> str:
        """A new input of the program."""
        name = f"x{len(self.graph.inputs)}" if self.graph.inputs else "x"
        self.graph.add_tensor(Tensor(name, dtype, shape))
        self.graph.set_interface((*self.graph.inputs, name), self.graph.outputs)
        return name

    def const(self, *shape: int, dtype: str = "float16", values: Sequence[int] | None = None) -> str:
        """A constant: the given values, or zeros that are made when they are read."""
        name = f"c{len(self.graph.tensors)}"
        width = {"float16": 2, "int32": 4, "bool": 1, "int8": 1, "float32": 4}[dtype]
        count = 1
        for dim in shape:
            count *= dim
        loader = None if values is not None else lambda: bytes(count * width)
        inline = (
            None
            if values is None
            else b"".join(value.to_bytes(width, "little", signed=True) for value in values)
        )
        self.graph.add_tensor(
            Tensor(name, dtype, shape, Constant(dtype, shape, inline=inline, loader=loader))
        )
        return name

    def op(
        self,
        kind: str,
        shape: Open,
        /,
        *,
        dtype: str = "float16",
        asked: bool = True,
        attrs: Mapping[str, Any] | None = None,
        more: Sequence[tuple[Open, str]] = (),
        **inputs: str | Sequence[str],
    ) -> str:
        """An operator that reads ``inputs`` by parameter and writes one tensor, and ``more``; returns the
        first one's name.
        """
        index = len(self.graph)
        names = [
            (key, name)
            for key, value in inputs.items()
            for name in ([value] if isinstance(value, str) else value)
        ]
        outputs = [f"y{index}", *(f"y{index}_{place}" for place in range(1, len(more) + 1))]
        for name, (dims, kind_of) in zip(outputs, [(shape, dtype), *more], strict=True):
            self.graph.add_tensor(Tensor(name, kind_of, dims))
        attributes = {**(attrs or {}), "input_names": tuple(key for key, _ in names)}
        op = Operator(
            f"main/{index}",
            kind,
            tuple(name for _, name in names),
            tuple(outputs),
            attributes,
            f"{kind}_{index}",
            version=18,
        )
        self.graph.add_op(op)
        if asked:
            self.asked.append(op.id)
        self.graph.set_interface(self.graph.inputs, outputs)
        return outputs[0]


Build = Callable[[Program], object]


def unary(kind: str, shape: Shape = IMAGE, **attrs: Any) -> Build:
    """One operator on one tensor of the same shape."""
    return lambda p: p.op(kind, shape, x=p.input(*shape), attrs=attrs)


def binary(
    kind: str, left: Shape = IMAGE, right: Shape = IMAGE, dtype: str = "float16", result: str = ""
) -> Build:
    """One operator on two computed tensors that broadcast."""
    shape = tuple(
        max(pair)
        for pair in zip(
            (1,) * (len(right) - len(left)) + left, (1,) * (len(left) - len(right)) + right, strict=True
        )
    )
    return lambda p: p.op(
        kind, shape, dtype=result or dtype, x=p.input(*left, dtype=dtype), y=p.input(*right, dtype=dtype)
    )


def compared(kind: str) -> Build:
    """A comparison inside a float16 program."""

    def build(p: Program) -> None:
        x, y = p.input(*IMAGE), p.input(*IMAGE)
        mask = p.op(kind, IMAGE, dtype="bool", x=x, y=y)
        p.op("select", IMAGE, asked=False, cond=mask, a=x, b=y)

    return build


def conjunction(p: Program) -> None:
    """logical_and of two comparisons."""
    x, y = p.input(*IMAGE), p.input(*IMAGE)
    left = p.op("greater", IMAGE, dtype="bool", asked=False, x=x, y=y)
    right = p.op("less", IMAGE, dtype="bool", asked=False, x=x, y=y)
    both = p.op("logical_and", IMAGE, dtype="bool", x=left, y=right)
    p.op("select", IMAGE, asked=False, cond=both, a=x, b=y)


def selection(p: Program) -> None:
    """select by a comparison."""
    x, y = p.input(*IMAGE), p.input(*IMAGE)
    mask = p.op("greater", IMAGE, dtype="bool", asked=False, x=x, y=y)
    p.op("select", IMAGE, cond=mask, a=x, b=y)


def edged(inner: Callable[[Program, str, str], str]) -> Build:
    """A float16 operator between casts from and to float32, as a model with float32 inputs and outputs has
    it.
    """

    def build(p: Program) -> None:
        x = p.op("cast", IMAGE, asked=False, x=p.input(*IMAGE, dtype="float32"), attrs={"dtype": "fp16"})
        y = p.op("cast", IMAGE, asked=False, x=p.input(*IMAGE, dtype="float32"), attrs={"dtype": "fp16"})
        p.op("cast", IMAGE, dtype="float32", asked=False, x=inner(p, x, y), attrs={"dtype": "fp32"})

    return build


def cast(source: str, target: str) -> Build:
    """A cast."""
    names = {"float16": "fp16", "float32": "fp32"}
    return lambda p: p.op(
        "cast",
        IMAGE,
        dtype=target,
        x=p.input(*IMAGE, dtype=source),
        attrs={"dtype": names.get(target, target)},
    )


def conv(
    *kernel: int,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    dynamic: bool = False,
    channels: int = 64,
) -> Build:
    """A convolution of ``channels`` channels to as many, with "same" padding."""
    rank = len(kernel)

    def build(p: Program) -> None:
        x = p.input(1, channels, *(64,) * rank)
        shape = (channels, channels // groups, *kernel)
        weight = p.input(*shape) if dynamic else p.const(*shape)
        attrs = {
            "strides": (stride,) * rank,
            "dilations": (dilation,) * rank,
            "groups": groups,
            "pad_type": "same",
            "pad": (0,) * 2 * rank,
        }
        p.op("conv", (1, channels, *(-(-64 // stride),) * rank), x=x, weight=weight, attrs=attrs)

    return build


def conv_transpose(*kernel: int, strides: Shape = ()) -> Build:
    """A transposed convolution with "same" padding."""
    rank = len(kernel)
    steps = strides or (1,) * rank

    def build(p: Program) -> None:
        attrs = {
            "strides": steps,
            "dilations": (1,) * rank,
            "groups": 1,
            "pad_type": "same",
            "pad": (0,) * 2 * rank,
        }
        shape = (1, 32, *(16 * step for step in steps))
        p.op(
            "conv_transpose",
            shape,
            x=p.input(1, 64, *(16,) * rank),
            weight=p.const(64, 32, *kernel),
            attrs=attrs,
        )

    return build


def pool(kind: str, *kernel: int) -> Build:
    """A pool with stride 1 and "same" padding."""
    rank = len(kernel)
    attrs: dict[str, Any] = {
        "kernel_sizes": kernel,
        "strides": (1,) * rank,
        "pad_type": "same",
        "pad": (0,) * 2 * rank,
        "ceil_mode": False,
    }
    if kind == "avg_pool":
        attrs["exclude_padding_from_average"] = False
    shape = (1, 64, *(32,) * rank)
    return lambda p: p.op(kind, shape, x=p.input(*shape), attrs=attrs)


def matmul(
    left: Shape,
    right: Shape,
    out: Shape,
    *,
    constant: bool = False,
    dtype: str = "float16",
    transposed: bool = False,
) -> Build:
    """A matrix product with a constant or computed right operand."""

    def build(p: Program) -> None:
        y = p.const(*right, dtype=dtype) if constant else p.input(*right, dtype=dtype)
        p.op(
            "matmul",
            out,
            dtype=dtype,
            x=p.input(*left, dtype=dtype),
            y=y,
            attrs={"transpose_x": False, "transpose_y": transposed},
        )

    return build


def linear(p: Program) -> None:
    """linear of 256 features."""
    p.op("linear", (64, 256), x=p.input(64, 256), weight=p.const(256, 256), bias=p.const(256))


def reduced(kind: str, *axes: int, dtype: str = "float16") -> Build:
    """A reduction that keeps its dimensions."""
    shape = tuple(1 if axis in axes else dim for axis, dim in enumerate(IMAGE))
    attrs = {"axis": axes[0]} if "arg" in kind else {"axes": axes}
    return lambda p: p.op(kind, shape, dtype=dtype, x=p.input(*IMAGE), attrs={**attrs, "keep_dims": True})


def norm(kind: str, *axes: int) -> Build:
    """A normalization with constant scale and offset."""

    def build(p: Program) -> None:
        x = p.input(*IMAGE)
        if kind == "layer_norm":
            shape = tuple(IMAGE[axis] for axis in axes)
            p.op(
                kind,
                IMAGE,
                x=x,
                gamma=p.const(*shape),
                beta=p.const(*shape),
                attrs={"axes": axes, "epsilon": 1e-5},
            )
            return
        statistics: dict[str, Any] = (
            {"mean": p.const(64), "variance": p.const(64)} if kind == "batch_norm" else {}
        )
        p.op(kind, IMAGE, x=x, **statistics, gamma=p.const(64), beta=p.const(64), attrs={"epsilon": 1e-5})

    return build


def gather(axis: int) -> Build:
    """gather with constant indices."""
    shape = tuple(3 if place == axis else dim for place, dim in enumerate(IMAGE))
    attrs = {"axis": axis, "batch_dims": 0, "validate_indices": False}
    return lambda p: p.op(
        "gather", shape, x=p.input(*IMAGE), indices=p.const(3, dtype="int32", values=(5, 2, 9)), attrs=attrs
    )


def gather_computed(p: Program) -> None:
    """gather with indices that are an input of the program."""
    attrs = {"axis": 0, "batch_dims": 0, "validate_indices": False}
    p.op("gather", (4, 128), x=p.input(64, 128), indices=p.input(4, dtype="int32"), attrs=attrs)


def embedding(p: Program) -> None:
    """A table looked up by token ids."""
    attrs = {"axis": 0, "batch_dims": 0, "validate_indices": False}
    p.op("gather", (1, 16, 128), x=p.const(1000, 128), indices=p.input(1, 16, dtype="int32"), attrs=attrs)


def gathered(kind: str, *, about: str) -> Build:
    """gather_along_axis or gather_nd, whose int32 indices are cast to int16 first; ``about`` is the operator
    asked about.
    """
    rows = (1, 64, 4, 32) if kind == "gather_along_axis" else (4, 1)
    shape = rows if kind == "gather_along_axis" else (4, 64, 32, 32)
    attrs = (
        {"axis": 2, "validate_indices": False}
        if kind == "gather_along_axis"
        else {"batch_dims": 0, "validate_indices": False}
    )

    def build(p: Program) -> None:
        x = p.input(*IMAGE)
        narrow = p.op(
            "cast",
            rows,
            dtype="int16",
            asked=about == "cast",
            x=p.input(*rows, dtype="int32"),
            attrs={"dtype": "int16"},
        )
        p.op(kind, shape, asked=about != "cast", x=x, indices=narrow, attrs=attrs)

    return build


def scatter(kind: str) -> Build:
    """A scatter with constant indices."""

    def build(p: Program) -> None:
        data = p.input(64, 32)
        rows = (4,) if kind == "scatter" else (4, 32)
        attrs = {"axis": 0, "mode": "update", "validate_indices": False}
        p.op(
            kind,
            (64, 32),
            data=data,
            indices=p.const(*rows, dtype="int32"),
            updates=p.input(4, 32),
            attrs=attrs,
        )

    return build


def sliced(begin: Shape, end: Shape, stride: Shape) -> Build:
    """slice_by_index with constant bounds."""
    shape = tuple(-(-(high - low) // step) for low, high, step in zip(begin, end, stride, strict=True))

    def build(p: Program) -> None:
        bounds: dict[str, Any] = {
            "begin": p.const(4, dtype="int32", values=begin),
            "end": p.const(4, dtype="int32", values=end),
        }
        p.op("slice_by_index", shape, x=p.input(*IMAGE), **bounds, attrs={"stride": stride})

    return build


def sliced_by_size(*, dynamic: bool) -> Build:
    """slice_by_size, its begin constant or an input."""

    def build(p: Program) -> None:
        begin = p.input(4, dtype="int32") if dynamic else p.const(4, dtype="int32", values=(0, 8, 0, 0))
        p.op(
            "slice_by_size",
            (1, 16, 32, 32),
            x=p.input(*IMAGE),
            begin=begin,
            size=p.const(4, dtype="int32", values=(1, 16, 32, 32)),
        )

    return build


def joined(axis: int, *, interleave: bool = False) -> Build:
    """concat of two tensors."""
    shape = tuple(dim * 2 if place == axis else dim for place, dim in enumerate(IMAGE))
    return lambda p: p.op(
        "concat",
        shape,
        values=(p.input(*IMAGE), p.input(*IMAGE)),
        attrs={"axis": axis, "interleave": interleave},
    )


def padded(mode: str, pads: Sequence[int]) -> Build:
    """pad of the last axes."""
    before = len(IMAGE) - len(pads) // 2
    shape = tuple(
        dim + (sum(pads[2 * (i - before) : 2 * (i - before) + 2]) if i >= before else 0)
        for i, dim in enumerate(IMAGE)
    )

    def build(p: Program) -> None:
        amounts = p.const(len(pads), dtype="int32", values=pads)
        p.op("pad", shape, x=p.input(*IMAGE), pad=amounts, attrs={"mode": mode, "constant_val": 0.0})

    return build


def shaped(kind: str, shape: Shape, source: Shape = IMAGE, **attrs: Any) -> Build:
    """An operator that changes the shape by its attributes alone."""
    return lambda p: p.op(kind, shape, x=p.input(*source), attrs=attrs)


def reshaped(source: Shape, shape: Shape) -> Build:
    """reshape to constant sizes."""
    return lambda p: p.op(
        "reshape", shape, x=p.input(*source), shape=p.const(len(shape), dtype="int32", values=shape)
    )


def tiled(p: Program) -> None:
    """tile by 2 along W."""
    p.op("tile", (1, 64, 32, 64), x=p.input(*IMAGE), reps=p.const(4, dtype="int32", values=(1, 1, 1, 2)))


def split(p: Program) -> None:
    """split of C in two."""
    half = (1, 32, 32, 32)
    p.op("split", half, more=[(half, "float16")], x=p.input(*IMAGE), attrs={"num_splits": 2, "axis": 1})


def squeezed(p: Program) -> None:
    """squeeze, then expand_dims."""
    flat = p.op("squeeze", (1, 64, 32), x=p.input(1, 64, 1, 32), attrs={"axes": (2,)})
    p.op("expand_dims", (1, 64, 1, 32), x=flat, attrs={"axes": (2,)})


def topk(k: int, axis: int, source: Shape = IMAGE) -> Build:
    """topk with values and indices."""
    shape = tuple(k if place == axis else dim for place, dim in enumerate(source))
    attrs = {
        "k": k,
        "axis": axis,
        "ascending": False,
        "sort": True,
        "return_indices": True,
        "output_indices_dtype": "int32",
    }
    return lambda p: p.op("topk", shape, more=[(shape, "int32")], x=p.input(*source), attrs=attrs)


def attention(*, mask: bool) -> Build:
    """scaled_dot_product_attention of 16 heads."""
    shape = (1, 16, 128, 64)

    def build(p: Program) -> None:
        inputs: dict[str, Any] = {key: p.input(*shape) for key in ("query", "key", "value")}
        if mask:
            inputs["attn_mask"] = p.input(1, 1, 128, 128)
        p.op("scaled_dot_product_attention", shape, **inputs)

    return build


def recurrent(kind: str) -> Build:
    """A recurrent operator of 8 steps and 32 units."""
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[kind]

    def build(p: Program) -> None:
        given: dict[str, Any] = {
            "initial_h": p.input(1, 32),
            **({"initial_c": p.input(1, 32)} if kind == "lstm" else {}),
        }
        given.update({"weight_ih": p.const(gates * 32, 16), "weight_hh": p.const(gates * 32, 32)})
        more: list[tuple[Open, str]] = [((1, 32), "float16")] * (2 if kind == "lstm" else 1)
        attrs = {"direction": "forward", "output_sequence": True}
        p.op(kind, (8, 1, 32), more=more, x=p.input(8, 1, 16), **given, attrs=attrs)

    return build


def log_softmax(p: Program) -> None:
    """x - log(sum(exp(x))) along C."""
    x = p.input(*IMAGE)
    total = p.op("reduce_log_sum_exp", (1, 1, 32, 32), x=x, attrs={"axes": (1,), "keep_dims": True})
    p.op("sub", IMAGE, x=x, y=total)


def quantized(p: Program) -> None:
    """quantize, then dequantize."""
    small = p.op(
        "quantize",
        IMAGE,
        dtype="int8",
        input=p.input(*IMAGE),
        scale=p.const(values=(HALF,)),
        attrs={"output_dtype": "int8"},
    )
    p.op("dequantize", IMAGE, input=small, scale=p.const(values=(HALF,)))


def quantized_output(p: Program) -> None:
    """quantize at the end of a program, whose int8 result is cast for the output."""
    small = p.op(
        "quantize",
        IMAGE,
        dtype="int8",
        asked=False,
        input=p.input(*IMAGE),
        scale=p.const(values=(HALF,)),
        attrs={"output_dtype": "int8"},
    )
    p.op("cast", IMAGE, dtype="float32", x=small, attrs={"dtype": "fp32"})


def powered(p: Program) -> None:
    """x to a constant power."""
    p.op("pow", IMAGE, x=p.input(*IMAGE), y=p.const(values=(HALF,)))


def resampled(kind: str) -> Build:
    """affine or resample."""
    sampling = {"sampling_mode": "bilinear", "padding_mode": "constant", "padding_value": 0.0}
    where = {"coordinates_mode": "normalized_minus_one_to_one", "align_corners": True}

    def build(p: Program) -> None:
        x = p.input(*IMAGE)
        if kind == "affine":
            sizes = {"output_height": 32, "output_width": 32}
            p.op(kind, IMAGE, x=x, transform_matrix=p.const(1, 6), attrs={**sampling, **where, **sizes})
        else:
            p.op(kind, IMAGE, x=x, coordinates=p.input(1, 32, 32, 2), attrs={**sampling, **where})

    return build


def resized(p: Program) -> None:
    """resize (iOS 17) to half the size."""
    attrs = {"resized_dims": 2, "interpolation_mode": "LINEAR", "sampling_mode": "DEFAULT"}
    p.op(
        "resize",
        (1, 64, 16, 16),
        x=p.input(*IMAGE),
        shape=p.const(2, dtype="int32", values=(16, 16)),
        attrs=attrs,
    )


def cropped(p: Program) -> None:
    """crop_resize of one box."""
    attrs: dict[str, Any] = {
        "target_height": 8,
        "target_width": 8,
        "normalized_coordinates": True,
        "spatial_scale": 1.0,
        "pad_value": 0.0,
    }
    attrs.update({"box_coordinate_mode": "CORNERS_HEIGHT_FIRST", "sampling_mode": "DEFAULT"})
    p.op(
        "crop_resize",
        (1, 64, 8, 8),
        x=p.input(*IMAGE),
        boxes=p.const(1, 4),
        box_indices=p.const(1, dtype="int32"),
        attrs=attrs,
    )


def suppressed(p: Program) -> None:
    """non_maximum_suppression of 100 boxes."""
    attrs = {"iou_threshold": 0.5, "score_threshold": 0.1, "max_boxes": 10, "per_class_suppression": False}
    more: list[tuple[Open, str]] = [((1, 10, 4), "float16"), ((1, 10), "int32"), ((1,), "int32")]
    p.op(
        "non_maximum_suppression",
        (1, 10, 4),
        more=more,
        boxes=p.input(1, 100, 4),
        scores=p.input(1, 100, 4),
        attrs=attrs,
    )


def sweep(one: Callable[[int], Build], values: Sequence[int]) -> list[Build]:
    """One program for each value."""
    return [one(value) for value in values]
