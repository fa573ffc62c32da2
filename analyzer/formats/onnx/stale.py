"""Results whose stored shape is not the one that their operator gives.

ONNX Runtime keeps neither: it warns ("Falling back to lenient merge") and goes on with what both have in
common (``Graph::MergeShapeInfo`` in core/graph/graph.cc, ``UnionShapeInfo`` of onnx): nothing where they
differ in the number of dimensions, else the sizes that are equal. Exporters that do not know an output's
shape store an empty one, which reads as that of a scalar; a batch size that was edited in the inputs alone
leaves the old one in every result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from ...errors import AccelintError
from ...ir.numbers import numbers

if TYPE_CHECKING:
    from ...ir.graph import Graph, Operator, Shape

    Rule = Callable[[Graph, Operator], Shape]


AS_STORED = "as stored"
"""A size that the operator gives and that is not worked out here: it is taken to be what is stored."""
LONGEST = 16
"""Dimensions of a stored target of Reshape that are looked at."""


def forget_stale(graph: Graph) -> None:
    """Take from each stored shape what its operator contradicts; in the order of the file, as ONNX Runtime
    goes: what follows is compared with what is left.
    """
    changed = set()
    for op in graph.ops():
        rule = None if op.domain else RULES.get(op.type)
        name = op.outputs[0] if rule is not None and op.outputs else None
        tensor = graph.find(name) if name else None
        if rule is None or tensor is None or tensor.shape is None or tensor.const is not None:
            continue
        given = rule(graph, op)
        if given is not None and _contradict(given, tensor.shape):
            graph.set_tensor(replace(tensor, shape=_common(given, tensor.shape)))
            changed.add(tensor.name)
    if changed:
        plain = {key: pair for key, pair in graph.facts.plain_shapes.items() if key not in changed}
        graph.facts = replace(graph.facts, plain_shapes=plain)


def _contradict(given: tuple[int | str | None, ...], stored: tuple[int | str | None, ...]) -> bool:
    return len(given) != len(stored) or any(
        isinstance(one, int) and isinstance(other, int) and one != other
        for one, other in zip(given, stored, strict=True)
    )


def _common(given: tuple[int | str | None, ...], stored: tuple[int | str | None, ...]) -> Shape:
    if len(given) != len(stored):
        return None
    return tuple(
        other if one in (other, AS_STORED) else None for one, other in zip(given, stored, strict=True)
    )


# ---- what operators give: None, or a size that is None, where that is not told here -------------


def _known(graph: Graph, op: Operator, index: int = 0) -> Shape:
    name = op.inputs[index] if index < len(op.inputs) else None
    tensor = graph.find(name) if name else None
    return None if tensor is None else tensor.shape


def _rank_of_first(graph: Graph, op: Operator) -> Shape:
    shape = _known(graph, op)
    return None if shape is None else (AS_STORED,) * len(shape)


def _window(graph: Graph, op: Operator) -> Shape:
    """What works on windows: batch, and channels where they are plain."""
    shape, weight = _known(graph, op), _known(graph, op, 1)
    if shape is None or len(shape) < 2:
        return None
    channels = shape[1] if op.type.endswith("Pool") else AS_STORED
    if op.type == "Conv":
        channels = weight[0] if weight else AS_STORED
    return (shape[0], channels, *(AS_STORED for _ in shape[2:]))


def _broadcast(graph: Graph, op: Operator) -> Shape:
    shapes = [_known(graph, op, index) for index in range(len(op.inputs))]
    return _wide([shape for shape in shapes if shape is not None]) if shapes and None not in shapes else None


def _wide(shapes: list[tuple[int | str | None, ...]]) -> tuple[int | str | None, ...]:
    rank = max(len(shape) for shape in shapes)
    wide = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    sizes: list[int | str | None] = []
    for column in zip(*wide, strict=True):
        large = [size for size in column if isinstance(size, int) and size != 1]
        sizes.append(large[0] if large else 1 if all(size == 1 for size in column) else None)
    return tuple(sizes)


def _concat(graph: Graph, op: Operator) -> Shape:
    shapes = [_known(graph, op, index) for index in range(len(op.inputs))]
    axis, first = op.attrs.get("axis"), shapes[0] if shapes else None
    if not first or not isinstance(axis, int) or not -len(first) <= axis < len(first):
        return None
    if any(shape is None or len(shape) != len(first) for shape in shapes):
        return None
    parts = [shape[axis] for shape in shapes if shape is not None]
    whole = sum(part for part in parts if isinstance(part, int))
    sizes: list[int | str | None] = list(first)
    sizes[axis] = whole if all(isinstance(part, int) for part in parts) else None
    return tuple(sizes)


def _transpose(graph: Graph, op: Operator) -> Shape:
    shape = _known(graph, op)
    if shape is None:
        return None
    perm = op.attrs.get("perm") or tuple(reversed(range(len(shape))))
    fits = isinstance(perm, tuple) and all(isinstance(axis, int) for axis in perm)
    return tuple(shape[axis] for axis in perm) if fits and sorted(perm) == list(range(len(shape))) else None


def _reshape(graph: Graph, op: Operator) -> Shape:
    shape, target = _known(graph, op), graph.constant(op.input(1))
    if target is None or target.dtype != "int64" or len(target.shape) != 1 or target.elements > LONGEST:
        return None
    try:
        wanted = numbers(target)
    except (AccelintError, OSError):
        return None
    if op.attrs.get("allowzero", 0):
        return None
    before = shape or ()
    sizes: list[int | str | None] = [
        (before[axis] if axis < len(before) else None) if size == 0 else None if size < 0 else size
        for axis, size in enumerate(wanted)
    ]
    rest = [size for size in sizes if isinstance(size, int)]
    known = [size for size in before if isinstance(size, int)]
    divisor: int = prod(rest)
    if -1 in wanted and len(known) == len(before) > 0 and len(rest) == len(sizes) - 1 and divisor:
        elements: int = prod(known)
        sizes[wanted.index(-1)] = elements // divisor
    return tuple(sizes)


def _matmul(graph: Graph, op: Operator) -> Shape:
    left, right = _known(graph, op), _known(graph, op, 1)
    if left is None or right is None or len(left) < 2 or len(right) < 2:
        return None
    return (*_wide([left[:-2], right[:-2]]), left[-2], right[-1])


def _gemm(graph: Graph, op: Operator) -> Shape:
    left, right = _known(graph, op), _known(graph, op, 1)
    if left is None or right is None or len(left) != 2 or len(right) != 2:
        return None
    return (left[1 if op.attrs.get("transA") else 0], right[0 if op.attrs.get("transB") else 1])


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(
        (
            "Abs", "BatchNormalization", "Cast", "Ceil", "Celu", "Clip", "DequantizeLinear", "Dropout", "Elu",
            "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization",
            "LayerNormalization", "LeakyRelu", "Log", "LogSoftmax", "Mish", "Neg", "QuantizeLinear",
            "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Softmax", "Softplus", "Softsign",
            "Sqrt", "Tan", "Tanh", "Acos", "Asin", "Atan", "Cos", "Cosh", "LRN", "Not", "PRelu", "Sin",
            "Sinh",
            "ThresholdedRelu", "CumSum", "Trilu", "IsNaN", "LpNormalization", "MeanVarianceNormalization",
            "GroupNormalization", "RMSNormalization",
        ),
        _known,
    ),
    **dict.fromkeys(("Pad", "Resize", "Slice"), _rank_of_first),
    **dict.fromkeys(
        (
            "AveragePool", "Conv", "ConvTranspose", "DepthToSpace", "GlobalAveragePool", "GlobalMaxPool",
            "MaxPool", "SpaceToDepth",
        ),
        _window,
    ),
    "Concat": _concat,
    **dict.fromkeys(("Add", "Div", "Max", "Min", "Mul", "Pow", "Sub", "Where"), _broadcast),
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Reshape": _reshape,
    "Transpose": _transpose,
}  # fmt: skip
