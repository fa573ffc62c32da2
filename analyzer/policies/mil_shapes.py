"""A flexible Core ML program at its default shapes: what its description says of inputs, carried through the
operators whose results follow from shapes and stored values alone.

What is not carried stays as the file says it. Sizes that the file gives are never replaced.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from ..ir.graph import Constant, Graph, Operator, Shape, Tensor
from ..ir.view import edited

Dims = tuple[int, ...]
_FEW = 64
"""Elements of an integer tensor whose values are followed."""


def at_default(graph: Graph) -> Graph:
    """The graph with its flexible inputs at their default shapes; the graph itself where none is flexible."""
    starts = {name: _default(graph.tensor(name)) for name in graph.inputs}
    known = {name: shape for name, shape in starts.items() if shape is not None}
    return edited(graph, tensors=_Walk(graph, known).tensors()) if known else graph


def _default(tensor: Tensor) -> Shape:
    """The default shape of a flexible input, None for any other."""
    default = tensor.attrs.get("default_shape")
    if not default or "flexible" not in tensor.attrs:
        return None
    known = tuple(default)
    if tensor.attrs.get("image") and len(known) == 2:
        return (*tensor.shape[:-2], *known) if tensor.shape is not None and len(tensor.shape) > 2 else None
    return _merged(tensor.shape, known)


def _merged(stored: Shape, found: Sequence[int | None]) -> Shape:
    """The stored shape with found sizes where it has none; None where the two disagree."""
    if stored is None:
        return tuple(found)
    if len(stored) != len(found):
        return None
    pairs = list(zip(stored, found, strict=True))
    if any(isinstance(one, int) and isinstance(two, int) and one != two for one, two in pairs):
        return None
    return tuple(one if isinstance(one, int) else two for one, two in pairs)


class _Walk:
    """Shapes and small integer values, operator by operator."""

    def __init__(self, graph: Graph, known: Mapping[str, Shape]) -> None:
        self.graph = graph
        self.shapes: dict[str, Shape] = dict(known)
        self.values: dict[str, Dims] = {}
        for op in graph.ops():
            self._step(op)

    def tensors(self) -> list[Tensor]:
        """The tensors whose shapes are better known than in the file."""
        found = ((self.graph.tensor(name), shape) for name, shape in self.shapes.items())
        return [replace(tensor, shape=shape) for tensor, shape in found if shape != tensor.shape]

    def _step(self, op: Operator) -> None:
        seen = _Operands(self, op)
        value = _known(_VALUES.get(op.type), seen)
        written = [name for name in op.outputs if name is not None]
        if value is not None and len(value) <= _FEW and written:
            self.values[written[0]] = value
        for name, dims in zip(written, _known(_results, seen) or [], strict=False):
            merged = None if dims is None else _merged(self.graph.tensor(name).shape, dims)
            if merged is not None and all(
                dim is None or (isinstance(dim, int) and dim >= 0) for dim in merged
            ):
                self.shapes[name] = merged


def _known(ask: Callable[[_Operands], Any] | None, seen: _Operands) -> Any:
    """An answer about an operator, None where there is none."""
    try:
        return None if ask is None else ask(seen)
    except (IndexError, KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None  # what it reads is not known, or it does not fit its own schema


class Unknown(ValueError):
    """A size or value that is not known."""


class _Operands:
    """The parameters of one operator as far as they are known."""

    def __init__(self, walk: _Walk, op: Operator) -> None:
        self.walk = walk
        self.op = op
        self.names: tuple[str, ...] = tuple(op.attrs.get("input_names", ()))

    def tensor(self, parameter: str) -> str:
        """The name of the tensor of a parameter. Raises ValueError when there is none."""
        name = self.op.inputs[self.names.index(parameter)]
        if name is None:
            raise Unknown(parameter)
        return name

    def many(self, parameter: str) -> list[str]:
        """The tensors of a parameter that lists several."""
        pairs = zip(self.names, self.op.inputs, strict=False)
        return [name for key, name in pairs if key == parameter and name is not None]

    def dims_of(self, name: str) -> Dims:
        """The sizes of a tensor. Raises ValueError when one is not known."""
        tensor = self.walk.graph.find(name)
        shape = self.walk.shapes.get(name, None if tensor is None else tensor.shape)
        if shape is None or not all(isinstance(dim, int) for dim in shape):
            raise Unknown(name)
        return cast("Dims", tuple(shape))

    def dims(self, parameter: str = "x") -> Dims:
        """The sizes of a parameter's tensor."""
        return self.dims_of(self.tensor(parameter))

    def value_of(self, name: str) -> Dims:
        """The integers of a tensor. Raises ValueError when they are not known."""
        if name in self.walk.values:
            return self.walk.values[name]
        constant = self.walk.graph.constant(name)
        if constant is None or constant.elements > _FEW:
            raise Unknown(name)
        return tuple(int(item) for item in constant.numbers())

    def get(self, key: str, default: Any = None) -> Any:
        """A parameter's value: an attribute, or a tensor of known integers; ``default`` when it is absent."""
        if key in self.op.attrs:
            value = self.op.attrs[key]
            return tuple(value.numbers()) if isinstance(value, Constant) else value
        if key in self.names and self.op.inputs[self.names.index(key)] is not None:
            return self.value_of(self.tensor(key))
        return default

    def listed(self, key: str, default: Sequence[int] = ()) -> Dims:
        """A parameter's value as integers."""
        value = self.get(key, tuple(default))
        return tuple(int(item) for item in value) if isinstance(value, (tuple, list)) else (int(value),)

    def one(self, key: str, default: int | None = None) -> int:
        """A parameter's only integer."""
        value = self.get(key, default)
        if value is None:
            raise Unknown(key)
        return int(value[0]) if isinstance(value, (tuple, list)) else int(value)


Results = list[Dims | None]


def _results(seen: _Operands) -> Results:
    kind = seen.op.type
    if kind in _SAME:
        return [seen.dims()]
    if kind in _BROADCAST:
        return [_broadcast([seen.dims_of(name) for name in seen.op.inputs if name])]
    if kind.startswith("reduce_"):
        return [_reduced(seen)]
    shape = _SHAPES.get(kind)
    return [] if shape is None else shape(seen)


_SAME = frozenset(
    (
        "relu", "relu6", "leaky_relu", "elu", "clip", "thresholded_relu", "sigmoid", "sigmoid_hard",
        "tanh", "scaled_tanh", "silu", "softplus", "softsign", "gelu", "linear_activation", "prelu",
        "clamped_relu", "threshold", "abs", "sign", "exp", "exp2", "log", "sqrt", "rsqrt", "inverse",
        "square", "erf", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "atanh", "floor",
        "ceil", "round", "logical_not", "cast", "identity", "softmax", "layer_norm", "batch_norm",
        "instance_norm", "l2_norm", "local_response_norm", "cumsum", "reverse", "band_part", "argsort",
    )
)  # fmt: skip
_BROADCAST = frozenset(
    (
        "add", "sub", "mul", "real_div", "floor_div", "mod", "pow", "maximum", "minimum", "equal",
        "not_equal", "greater", "greater_equal", "less", "less_equal", "logical_and", "logical_or",
        "logical_xor", "select",
    )
)  # fmt: skip


def _broadcast(shapes: Sequence[Dims]) -> Dims:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    found = [max(column) for column in zip(*padded, strict=True)]
    if any(dim not in (1, most) for row in padded for dim, most in zip(row, found, strict=True)):
        raise Unknown("broadcast")
    return tuple(found)


def _reduced(seen: _Operands) -> Dims:
    dims = seen.dims()
    axes = seen.listed("axes") if "axes" in (*seen.op.attrs, *seen.names) else ()
    axes = (seen.one("axis"),) if "axis" in seen.op.attrs else axes or tuple(range(len(dims)))
    gone = {axis % len(dims) for axis in axes}
    if seen.get("keep_dims", False):
        return tuple(1 if axis in gone else dim for axis, dim in enumerate(dims))
    return tuple(dim for axis, dim in enumerate(dims) if axis not in gone)


def _window(dim: int, size: int, stride: int, pads: tuple[int, int], kind: str, *, up: bool = False) -> int:
    """The size after a window slid along an axis."""
    if kind == "same":
        return -(-dim // stride)
    free = dim + sum(pads) - size
    return (-(-free // stride) if up else free // stride) + 1


def _slid(seen: _Operands, sizes: Dims, dilations: Dims) -> Dims:
    spatial = seen.dims()[2:]
    strides = seen.listed("strides") or (1,) * len(spatial)
    pad = seen.listed("pad") or (0,) * (2 * len(spatial))
    kind, up = str(seen.get("pad_type", "valid")), bool(seen.get("ceil_mode", False))
    kind = "same" if kind.startswith("same") else kind
    pads = [(0, 0) if kind == "valid" else (pad[2 * axis], pad[2 * axis + 1]) for axis in range(len(spatial))]
    return tuple(
        _window(dim, (sizes[axis] - 1) * dilations[axis] + 1, strides[axis], pads[axis], kind, up=up)
        for axis, dim in enumerate(spatial)
    )


def _conv(seen: _Operands) -> Results:
    weight, dims = seen.dims("weight"), seen.dims()
    dilations = seen.listed("dilations") or (1,) * (len(dims) - 2)
    return [(dims[0], weight[0], *_slid(seen, weight[2:], dilations))]


def _pool(seen: _Operands) -> Results:
    dims, sizes = seen.dims(), seen.listed("kernel_sizes")
    return [(*dims[:2], *_slid(seen, sizes, (1,) * len(sizes)))]


def _linear(seen: _Operands) -> Results:
    return [(*seen.dims()[:-1], seen.dims("weight")[0])]


def _matmul(seen: _Operands) -> Results:
    one, two = seen.dims(), seen.dims("y")
    if min(len(one), len(two)) < 2:
        raise Unknown("matmul")
    rows = one[-1] if seen.get("transpose_x", False) else one[-2]
    columns = two[-2] if seen.get("transpose_y", False) else two[-1]
    return [(*_broadcast([one[:-2], two[:-2]] if len(one) > 2 or len(two) > 2 else [()]), rows, columns)]


def _concat(seen: _Operands) -> Results:
    shapes = [seen.dims_of(name) for name in seen.many("values")]
    axis = seen.one("axis") % len(shapes[0])
    return [tuple(sum(s[axis] for s in shapes) if i == axis else dim for i, dim in enumerate(shapes[0]))]


def _stack(seen: _Operands) -> Results:
    names = seen.many("values")
    dims = seen.dims_of(names[0])
    axis = seen.one("axis") % (len(dims) + 1)
    return [(*dims[:axis], len(names), *dims[axis:])]


def _split(seen: _Operands) -> Results:
    dims = seen.dims()
    axis, count = seen.one("axis") % len(dims), len(seen.op.outputs)
    sizes = seen.listed("split_sizes") or (dims[axis] // count,) * count
    return [(*dims[:axis], size, *dims[axis + 1 :]) for size in sizes]


def _transpose(seen: _Operands) -> Results:
    dims = seen.dims()
    return [tuple(dims[axis] for axis in seen.listed("perm"))]


def _reshape(seen: _Operands) -> Results:
    dims, wanted = seen.dims(), seen.listed("shape")
    asked = [dims[at] if size == 0 and at < len(dims) else size for at, size in enumerate(wanted)]
    known = math.prod(size for size in asked if size != -1)
    return [tuple(math.prod(dims) // known if size == -1 else size for size in asked)]


def _expand_dims(seen: _Operands) -> Results:
    dims, axes = list(seen.dims()), seen.listed("axes")
    rank = len(dims) + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        dims.insert(axis, 1)
    return [tuple(dims)]


def _squeeze(seen: _Operands) -> Results:
    dims = seen.dims()
    axes = {axis % len(dims) for axis in seen.listed("axes")} or {
        at for at, dim in enumerate(dims) if dim == 1
    }
    return [tuple(dim for axis, dim in enumerate(dims) if axis not in axes)]


def _sliced(seen: _Operands) -> list[tuple[range, bool]]:
    """What ``slice_by_index`` takes of each axis, and whether the axis goes."""
    dims, begin, end = seen.dims(), seen.listed("begin"), seen.listed("end")
    strides = seen.listed("stride") or (1,) * len(dims)
    masks = [seen.get(key) or (False,) * len(dims) for key in ("begin_mask", "end_mask", "squeeze_mask")]
    found: list[tuple[range, bool]] = []
    for axis, dim in enumerate(dims):
        first = None if masks[0][axis] else begin[axis]
        last = None if masks[1][axis] else end[axis]
        if masks[2][axis]:
            at = (first or 0) % dim
            found.append((range(at, at + 1), True))
        else:
            found.append((range(dim)[slice(first, last, strides[axis])], False))
    return found


def _slice_by_index(seen: _Operands) -> Results:
    return [tuple(len(sizes) for sizes, gone in _sliced(seen) if not gone)]


def _slice_by_size(seen: _Operands) -> Results:
    dims, begin, size = seen.dims(), seen.listed("begin"), seen.listed("size")
    return [tuple(d - b if s == -1 else s for d, b, s in zip(dims, begin, size, strict=True))]


def _pad(seen: _Operands) -> Results:
    dims, pad = seen.dims(), seen.listed("pad")
    first = len(dims) - len(pad) // 2
    pairs = [(0, 0)] * first + [(pad[at], pad[at + 1]) for at in range(0, len(pad), 2)]
    return [tuple(dim + sum(pair) for dim, pair in zip(dims, pairs, strict=True))]


def _tile(seen: _Operands) -> Results:
    return [tuple(dim * reps for dim, reps in zip(seen.dims(), seen.listed("reps"), strict=True))]


def _upsample(seen: _Operands) -> Results:
    *rest, height, width = seen.dims()
    factors = [float(seen.get(f"scale_factor_{axis}", 1)) for axis in ("height", "width")]
    return [(*rest, math.floor(height * factors[0]), math.floor(width * factors[1]))]


def _resize(seen: _Operands) -> Results:
    sizes = [seen.one(f"target_size_{axis}") for axis in ("height", "width")]
    return [(*seen.dims()[:-2], *sizes)]


def _gather(seen: _Operands) -> Results:
    dims, axis = seen.dims(), seen.one("axis", 0)
    axis %= len(dims)
    return [(*dims[:axis], *seen.dims("indices"), *dims[axis + 1 :])]


def _attention(seen: _Operands) -> Results:
    return [(*seen.dims("query")[:-1], seen.dims("value")[-1])]


def _blocks(seen: _Operands, key: str, *, up: bool) -> Results:
    *rest, channels, height, width = seen.dims()
    size = seen.one(key)
    if up:
        return [(*rest, channels // size**2, height * size, width * size)]
    return [(*rest, channels * size**2, height // size, width // size)]


def _topk(seen: _Operands) -> Results:
    dims, axis = list(seen.dims()), seen.one("axis", -1)
    dims[axis] = seen.one("k", 1)
    return [tuple(dims), tuple(dims)]


_SHAPES: Mapping[str, Callable[[_Operands], Results]] = {
    "conv": _conv,
    "conv_transpose": lambda seen: [seen.listed("output_shape") or None],
    **dict.fromkeys(("max_pool", "avg_pool", "l2_pool"), _pool),
    "linear": _linear,
    "matmul": _matmul,
    "concat": _concat,
    "stack": _stack,
    "split": _split,
    "transpose": _transpose,
    "reshape": _reshape,
    "expand_dims": _expand_dims,
    "squeeze": _squeeze,
    "slice_by_index": _slice_by_index,
    "slice_by_size": _slice_by_size,
    "pad": _pad,
    "tile": _tile,
    **dict.fromkeys(("upsample_nearest_neighbor", "upsample_bilinear"), _upsample),
    **dict.fromkeys(("resize_nearest_neighbor", "resize_bilinear"), _resize),
    "gather": _gather,
    "gather_along_axis": lambda seen: [seen.dims("indices")],
    "scaled_dot_product_attention": _attention,
    "space_to_depth": lambda seen: _blocks(seen, "block_size", up=False),
    "depth_to_space": lambda seen: _blocks(seen, "block_size", up=True),
    "pixel_shuffle": lambda seen: _blocks(seen, "upscale_factor", up=True),
    "pixel_unshuffle": lambda seen: _blocks(seen, "downscale_factor", up=False),
    "topk": _topk,
    "fill": lambda seen: [seen.listed("shape")],
    "fill_like": lambda seen: [seen.dims("ref_tensor")],
    "shape": lambda seen: [(len(seen.dims()),)],
    **dict.fromkeys(("quantize", "dequantize"), lambda seen: [seen.dims("input")]),
}


def _value_of_gather(seen: _Operands) -> Dims:
    held = seen.value_of(seen.tensor("x"))
    return tuple(held[index] for index in seen.value_of(seen.tensor("indices")))


def _value_of_slice(seen: _Operands) -> Dims:
    held, (sizes, _) = seen.value_of(seen.tensor("x")), _sliced(seen)[0]
    return tuple(held[at] for at in sizes)


def _paired(compute: Callable[[int, int], int]) -> Callable[[_Operands], Dims]:
    """The value of an operator that computes element by element."""

    def value(seen: _Operands) -> Dims:
        one, two = seen.value_of(seen.tensor("x")), seen.value_of(seen.tensor("y"))
        count = max(len(one), len(two))
        one, two = (side * count if len(side) == 1 else side for side in (one, two))
        return tuple(compute(a, b) for a, b in zip(one, two, strict=True))

    return value


def _joined(seen: _Operands) -> Dims:
    return tuple(value for name in seen.many("values") for value in seen.value_of(name))


def _kept(seen: _Operands) -> Dims:
    return seen.value_of(seen.tensor("x"))


_VALUES: Mapping[str, Callable[[_Operands], Dims]] = {
    "shape": lambda seen: seen.dims(),
    "gather": _value_of_gather,
    "slice_by_index": _value_of_slice,
    **dict.fromkeys(("concat", "stack"), _joined),
    **dict.fromkeys(("cast", "expand_dims", "squeeze", "identity", "reshape"), _kept),
    "add": _paired(lambda a, b: a + b),
    "sub": _paired(lambda a, b: a - b),
    "mul": _paired(lambda a, b: a * b),
    "floor_div": _paired(lambda a, b: a // b),
    "mod": _paired(lambda a, b: a % b),
    "maximum": _paired(max),
    "minimum": _paired(min),
}
"""Operators of shape arithmetic, whose values are followed."""
