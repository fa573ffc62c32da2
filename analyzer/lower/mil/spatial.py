"""Convolutions and pools, and the padding that they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from ...errors import NotCoveredError
from ..call import Call


def onnx_pads(pairs: Sequence[int]) -> list[int]:
    """MIL has begin and end of each axis together, ONNX all begins and then all ends."""
    return [*pairs[::2], *pairs[1::2]]


def _pads(call: Call, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> list[int]:
    """Explicit padding in ONNX's order."""
    kind = call.attr("pad_type", "valid")
    if kind == "valid":
        return [0] * (2 * len(kernel))
    if kind == "custom":
        return onnx_pads(call.numbers("pad", [0] * (2 * len(kernel))))
    if kind not in ("same", "same_lower"):
        raise NotCoveredError(f"{call.type} with the padding {kind!r}")
    begins, ends = [], []
    for size, width, stride, dilation in zip(call.dims()[2:], kernel, strides, dilations, strict=True):
        total = _total(call, size, (width - 1) * dilation + 1, stride)
        half = total // 2
        begins.append(total - half if kind == "same_lower" else half)
        ends.append(half if kind == "same_lower" else total - half)
    return begins + ends


def _total(call: Call, size: int | None, width: int, stride: int) -> int:
    """Elements that "same" pads an axis by."""
    if size is None:
        if stride == 1:
            return width - 1
        raise NotCoveredError(f"{call.type} with padding that depends on an unknown size")
    return max((-(-size // stride) - 1) * stride + width - size, 0)


def _conv(call: Call) -> None:
    weight = call.shape("weight")
    kernel = list(weight[2:])
    ones = [1] * len(kernel)
    strides, dilations = call.numbers("strides", ones), call.numbers("dilations", ones)
    call.narrow(
        call.emit.op(
            "Conv", call.wide(), call.wide("weight"), call.wide("bias") if call.has("bias") else None,
            kernel_shape=kernel, strides=strides, dilations=dilations, group=int(call.attr("groups", 1)),
            pads=_pads(call, kernel, strides, dilations),
        ),
        call.dtype(),
    )  # fmt: skip


def _conv_transpose(call: Call) -> None:
    """What the stated size asks for beyond what stride, kernel and padding give is added or cut off at the
    end.
    """
    weight = call.shape("weight")
    kernel = list(weight[2:])
    ones = [1] * len(kernel)
    strides, dilations = call.numbers("strides", ones), call.numbers("dilations", ones)
    pads, more = _transposed_pads(call, kernel, strides, dilations)
    call.narrow(
        call.emit.op(
            "ConvTranspose", call.wide(), call.wide("weight"),
            call.wide("bias") if call.has("bias") else None,
            kernel_shape=kernel, strides=strides, dilations=dilations, group=int(call.attr("groups", 1)),
            pads=pads, output_padding=more,
        ),
        call.dtype(),
    )  # fmt: skip


def _transposed_pads(
    call: Call, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[list[int], list[int]]:
    kind = call.attr("pad_type", "valid")
    asked = call.numbers("output_shape")[-len(kernel) :] if call.attr("output_shape") is not None else None
    given = call.numbers("pad", [0] * (2 * len(kernel))) if kind == "custom" else [0] * (2 * len(kernel))
    begins, ends, more = [], [], []
    for axis, (size, width, stride, dilation) in enumerate(
        zip(call.dims()[2:], kernel, strides, dilations, strict=True)
    ):
        begin, end, extra = given[2 * axis], given[2 * axis + 1], 0
        spread = (width - 1) * dilation + 1
        wanted = asked[axis] if asked is not None else None
        if kind in ("same", "same_lower"):
            begin, end = _same_transposed(spread, stride, lower=kind == "same_lower")
        if wanted is not None and size is not None:
            extra = wanted - ((size - 1) * stride + spread - begin - end)
        elif kind in ("same", "same_lower"):
            extra = stride - (spread - begin - end)
        begins.append(begin)
        ends.append(end - min(extra, 0))
        more.append(max(extra, 0))
    return begins + ends, more


def _same_transposed(spread: int, stride: int, *, lower: bool) -> tuple[int, int]:
    """What is cut off so that the result is ``stride`` times as large."""
    total = max(spread - stride, 0)
    half = total // 2
    return (total - half, half) if lower else (half, total - half)


def _window(call: Call) -> dict[str, Any]:
    kernel = call.numbers("kernel_sizes")
    strides = call.numbers("strides", [1] * len(kernel))
    return {
        "kernel_shape": kernel,
        "strides": strides,
        "pads": _pads(call, kernel, strides, [1] * len(kernel)),
        "ceil_mode": int(bool(call.attr("ceil_mode", False))),
    }


def _max_pool(call: Call) -> None:
    call.narrow(call.emit.op("MaxPool", call.wide(), **_window(call)), call.dtype())


def _avg_pool(call: Call) -> None:
    include = 0 if call.attr("exclude_padding_from_average", False) else 1
    made = call.emit.op("AveragePool", call.wide(), count_include_pad=include, **_window(call))
    call.narrow(made, call.dtype())


def _l2_pool(call: Call) -> None:
    """The root of the sum of squares."""
    window = _window(call)
    kernel = call.numbers("kernel_sizes")
    squares = call.emit.op("Mul", call.wide(), call.wide())
    mean = call.emit.op("AveragePool", squares, count_include_pad=1, **window)
    total = call.emit.op("Mul", mean, call.emit.scalar(float(prod(kernel)), "float32"))
    call.narrow(call.emit.op("Sqrt", total), call.dtype())


LOWERINGS: Mapping[str, Callable[[Call], None]] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "l2_pool": _l2_pool,
}
