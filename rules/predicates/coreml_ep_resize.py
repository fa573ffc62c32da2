"""What ONNX Runtime's CoreML provider asks of the scales and sizes of Resize."""

from __future__ import annotations

from collections.abc import Sequence

from ...analyzer.graph import Operator

Dims = Sequence[int | str | None]


def judged(data: Dims, scales: list[float] | None, sizes: list[float] | None, op: Operator, program: bool) -> str | None:
    """What is wrong with the scales or sizes, None when nothing is."""
    if scales is not None:
        return _scales(data, scales, program)
    return None if sizes is None else _sizes(data, sizes, op, program)


def _scales(data: Dims, scales: list[float], program: bool) -> str | None:
    height, width = data[-2], data[-1]
    if any(scale != 1 for scale in scales[:-2]):
        return f"scales {scales} change more than the last two axes"
    if not isinstance(height, int) or not isinstance(width, int):
        return "scales need a known height and width"
    up = all(scale >= 1 for scale in scales[-2:])
    down = all(scale <= 1 for scale in scales[-2:])
    if up:
        return None if all(float(scale).is_integer() for scale in scales[-2:]) else f"scales {scales[-2:]} are not whole"
    if not down or not program:
        return f"scales {scales[-2:]} shrink" if not program else f"scales {scales[-2:]} grow and shrink"
    whole = all(_divides(scale, size) for scale, size in zip(scales[-2:], (height, width), strict=True))
    return None if whole else f"scales {scales[-2:]} do not divide {height}x{width}"


def _divides(scale: float, size: int) -> bool:
    factor = 1 / scale
    return abs(factor - round(factor)) < 1e-4 and size % round(factor) == 0


def _sizes(data: Dims, sizes: list[float], op: Operator, program: bool) -> str | None:
    leading, wanted = list(data[:-2]), [int(size) for size in sizes]
    axes = op.attrs.get("axes")
    if axes is None and len(wanted) == len(data) and any(old != new for old, new in zip(leading, wanted[:-2], strict=True)):
        return f"sizes {wanted} change more than the last two axes"
    if program:
        return None
    old = data[-2:]
    if not all(isinstance(size, int) and size for size in old):
        return "sizes need a known height and width"
    if any(new < int(size or 0) for size, new in zip(old, wanted[-2:], strict=True)):
        return "downsampling is not supported"
    whole = all(new % int(size or 1) == 0 for size, new in zip(old, wanted[-2:], strict=True))
    return None if whole else f"sizes {wanted[-2:]} are no multiples of {list(old)}"
