"""Resizing and sampling."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...errors import NotCoveredError
from ..call import Call

SAMPLED = {
    "STRICT_ALIGN_CORNERS": "align_corners",
    "ALIGN_CORNERS": "align_corners",
    "DEFAULT": "asymmetric",
    "OFFSET_CORNERS": "half_pixel",
    "UNALIGN_CORNERS": "half_pixel",
}
"""MIL's sampling modes as ONNX's: DEFAULT has grid points at i * in / out. Source: coremltools,
ops/defs/iOS15/image_resizing.py.
"""


def _resized(call: Call, sizes: Sequence[int], mode: str, coordinates: str) -> None:
    """The last axes get these sizes."""
    rank = call.rank()
    whole = [*call.shape()[: rank - len(sizes)], *sizes]
    made = call.emit.op(
        "Resize", call.wide(), None, None, call.emit.ints(whole), mode=mode,
        coordinate_transformation_mode=coordinates, nearest_mode="floor" if mode == "nearest" else None,
    )  # fmt: skip
    call.narrow(made, call.dtype())


def _bilinear(call: Call) -> None:
    sizes = [int(call.attr("target_size_height", 1)), int(call.attr("target_size_width", 1))]
    _resized(call, sizes, "linear", SAMPLED[call.attr("sampling_mode", "DEFAULT")])


def _nearest(call: Call) -> None:
    sizes = [int(call.attr("target_size_height", 1)), int(call.attr("target_size_width", 1))]
    _resized(call, sizes, "nearest", "asymmetric")


def _resize(call: Call) -> None:
    shape, count = call.whole("shape"), int(call.attr("resized_dims"))
    own = call.shape()[call.rank() - count :]
    sizes = [asked or size for asked, size in zip(shape[len(shape) - count :], own, strict=True)]
    linear = call.attr("interpolation_mode", "LINEAR") == "LINEAR"
    sampled = SAMPLED[call.attr("sampling_mode", "DEFAULT")]
    _resized(call, sizes, "linear" if linear else "nearest", sampled)


def _scaled(call: Call) -> list[int]:
    height, width = call.shape()[-2:]
    factors = (call.attr("scale_factor_height", 1), call.attr("scale_factor_width", 1))
    return [int(height * factors[0]), int(width * factors[1])]


def _upsample_nearest(call: Call) -> None:
    _resized(call, _scaled(call), "nearest", "asymmetric")


def _upsample_bilinear(call: Call) -> None:
    """Without aligned corners the default is asymmetric, and half-pixel centres have to be asked for."""
    aligned = bool(call.attr("align_corners", True))
    half = call.attr("half_pixel_centers")
    halves = (not aligned) if half is None else bool(half)
    mode = "align_corners" if aligned else "half_pixel" if halves else "asymmetric"
    _resized(call, _scaled(call), "linear", mode)


_PADDING = {"constant": "zeros", "border": "border", "reflection": "reflection"}


def _resample(call: Call) -> None:
    """GridSample, which has coordinates from -1 to 1."""
    if call.attr("padding_mode") not in _PADDING or call.attr("padding_value", 0.0):
        raise NotCoveredError(f"resample with the padding {call.attr('padding_mode')!r}, or with a value")
    emit, aligned = call.emit, bool(call.attr("align_corners"))
    grid = call.widen(call["coordinates"], call.dtype("coordinates"))
    if call.dtype("coordinates") == "int32":
        grid = emit.cast(grid, "float32")
    grid = _normalized(call, grid, str(call.attr("coordinates_mode")), aligned=aligned)
    made = emit.op(
        "GridSample", call.wide(), grid,
        mode="linear" if call.attr("sampling_mode") == "bilinear" else "nearest",
        padding_mode=_PADDING[call.attr("padding_mode")], align_corners=int(aligned),
    )  # fmt: skip
    call.narrow(made, call.dtype())


def _normalized(call: Call, grid: str, mode: str, *, aligned: bool) -> str:
    emit = call.emit
    if mode == "normalized_minus_one_to_one":
        return grid
    if mode == "normalized_zero_to_one":
        return _scaled_and_moved(call, grid, np.array([2.0, 2.0]), -1.0)
    height, width = call.shape()[-2:]
    if aligned:
        return _scaled_and_moved(call, grid, 2.0 / np.maximum(np.array([width - 1, height - 1]), 1), -1.0)
    halves = emit.op("Add", grid, emit.scalar(0.5, "float32"))
    return _scaled_and_moved(call, halves, 2.0 / np.array([width, height]), -1.0)


def _scaled_and_moved(call: Call, grid: str, factors: object, moved: float) -> str:
    scaled = call.emit.op("Mul", grid, call.emit.constant(np.asarray(factors, np.float32)))
    return call.emit.op("Add", scaled, call.emit.scalar(moved, "float32"))


def _affine(call: Call) -> None:
    """A grid from a constant or computed matrix, sampled with zeros around the image."""
    if (
        call.attr("coordinates_mode") != "normalized_minus_one_to_one"
        or call.attr("sampling_mode") != "bilinear"
    ):
        raise NotCoveredError(
            "affine with other coordinates than from -1 to 1, or another sampling than bilinear"
        )
    emit, batch = call.emit, call.shape()[0]
    height, width = int(call.attr("output_height")), int(call.attr("output_width"))
    aligned = bool(call.attr("align_corners", False))
    matrix = emit.reshape(call.wide("transform_matrix"), [-1, 2, 3])
    theta = emit.op("Expand", matrix, emit.ints([batch, 2, 3]))
    size = emit.ints([batch, call.shape()[1], height, width])
    grid = emit.op("AffineGrid", theta, size, align_corners=int(aligned))
    made = emit.op(
        "GridSample", call.wide(), grid, mode="linear", padding_mode="zeros", align_corners=int(aligned)
    )
    call.narrow(made, call.dtype())


LOWERINGS: Mapping[str, Callable[[Call], None]] = {
    "resize_bilinear": _bilinear,
    "resize_nearest_neighbor": _nearest,
    "resize": _resize,
    "upsample_nearest_neighbor": _upsample_nearest,
    "upsample_bilinear": _upsample_bilinear,
    "resample": _resample,
    "affine": _affine,
}
