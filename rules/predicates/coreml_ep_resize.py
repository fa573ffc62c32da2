"""What ONNX Runtime's CoreML provider asks of the scales and sizes of Resize (``resize_op_builder.cc``)."""

from __future__ import annotations

from collections.abc import Sequence

from ...analyzer.ir.graph import Operator

Dims = Sequence[int | str | None]


def judged(
    data: Dims, scales: list[float] | None, sizes: list[float] | None, op: Operator, program: bool
) -> str | None:
    """What is wrong with the scales or sizes, None when nothing is. Sizes come first, as they do in the
    provider.
    """
    axes = [int(axis) % len(data) for axis in op.attrs.get("axes", ())] or list(range(len(data)))
    if sizes is not None:
        wanted = [int(size) for size in sizes]
        return _sizes(data, wanted, axes, program) or _half_pixel(op, wanted[-2:])
    if scales is None:
        return None
    return _scales(data, scales, axes, program) or _half_pixel(
        op, [round(int(data[i] or 0) * scales[i]) for i in (-2, -1)]
    )


def _half_pixel(op: Operator, wanted: Sequence[int]) -> str | None:
    """``pytorch_half_pixel`` is ``half_pixel`` where no result has the size 1."""
    if (
        op.attrs.get("coordinate_transformation_mode") not in ("pytorch_half_pixel", b"pytorch_half_pixel")
        or min(wanted) > 1
    ):
        return None
    return f"pytorch_half_pixel to {list(wanted)}: each size is over 1"


def _scales(data: Dims, scales: list[float], axes: Sequence[int], program: bool) -> str | None:
    height, width = data[-2], data[-1]
    if not isinstance(height, int) or not isinstance(width, int):
        return "scales need a known height and width"
    if any(scale != 1 for axis, scale in zip(axes, scales, strict=False) if axis < len(data) - 2):
        return f"scales {scales} change more than the last two axes"
    if all(scale >= 1 for scale in scales[-2:]):
        return (
            None
            if all(float(scale).is_integer() for scale in scales[-2:])
            else f"scales {scales[-2:]} are not whole"
        )
    if not program:
        return f"scales {scales[-2:]} shrink"
    if any(scale > 1 for scale in scales[-2:]):
        return f"scales {scales[-2:]} grow and shrink"
    whole = all(divides(scale, size) for scale, size in zip(scales[-2:], (height, width), strict=True))
    return None if whole else f"scales {scales[-2:]} do not divide {height}x{width}"


def divides(scale: float, size: int | str | None) -> bool:
    """``ReciprocalIsAFactorOfN``: a scale between 0 and 1, both excluded, whose reciprocal is a whole factor
    of the size.
    """
    if not isinstance(size, int) or not 0 < scale < 1:
        return False
    return abs(1 / scale - round(1 / scale)) < 1e-4 and size % round(1 / scale) == 0


def _sizes(data: Dims, wanted: Sequence[int], axes: Sequence[int], program: bool) -> str | None:
    """The provider compares the sizes with the leading sizes of the data one by one, whatever the axes
    are.
    """
    if any(old != new for axis, old, new in zip(axes, data, wanted, strict=False) if axis < len(data) - 2):
        return f"sizes {list(wanted)} change more than the last two axes"
    if program:
        return None
    if not all(isinstance(size, int) for size in data):
        return "sizes need a known input"
    whole = all(new % int(size or 1) == 0 for size, new in zip(data[-2:], wanted[-2:], strict=True))
    return None if whole else f"sizes {list(wanted[-2:])} are no multiples of {list(data[-2:])}"
