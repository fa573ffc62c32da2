"""What onnxsim's simplifier fuses into operators that its Core ML translation does not know.

Read from onnxsim 0.8.1, which ships its passes: ``passes/fuse_rms_norm.h``, ``fuse_attention.h``,
``fuse_gqa.h``, ``fuse_rope.h``, ``fuse_qkv.h``, and onnx-optimizer's ``fuse_consecutive_log_softmax.h``. The
graph that is asked about has shape arithmetic folded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...ir.graph import Constant, Graph, Operator
from ...ir.match import ANY, Match, Pattern, Scope, alone, any_order, constant, find, maybe, number, op, value
from ...ir.view import edited
from ..tables import Book
from .seen import Seen

_X, _SOURCE = value("x"), value("source")
_HEADS, _SWAPPED, _LAST_TWO, _TURNED = (0, 2, 1, 3), (0, 2, 3, 1), (0, 1, 3, 2), (0, 2, 1)


def seen_fused(graph: Graph, book: Book) -> Graph:
    """The graph with the last operator of each pattern shown as what it is fused into; the others stay as
    they are.
    """
    scope, opset = Seen(graph, readable=book.types("single-values")), graph.opsets.get("", 0)
    standard = book.limit("standard-from")
    shown = {
        match.root.id: replace(match.root, type=fusion.type, domain=fusion.domain)
        for fusion in FUSIONS
        if not fusion.standard or opset >= standard
        for match in find(scope, fusion.pattern)
        if fusion.holds(match)
    }
    return edited(graph, shown)


# ---- tests of single operators ---------------------------------------------------------------


def _perm(*order: int) -> Callable[[Scope, Operator], bool]:
    return lambda scope, op: tuple(op.attrs.get("perm", ())) == order


def _axes(*axes: int) -> Callable[[Scope, Operator], bool]:
    return lambda scope, op: scope.ints(op, 1, "axes") == list(axes)


def _keeps_the_last(scope: Scope, mean: Operator) -> bool:
    """Over the last axis, whose dimension is kept."""
    rank = scope.rank(mean.inputs[0]) or 0
    return mean.attrs.get("keepdims", 1) == 1 and scope.ints(mean, 1, "axes") in ([-1], [rank - 1])


def _of_two(scope: Scope, op: Operator) -> bool:
    return len(op.inputs) == 2


# ---- RMSNormalization ------------------------------------------------------------------------


def _normalized(x: Pattern) -> Pattern:
    """x / sqrt(mean(x * x) + epsilon)."""
    square = alone("Mul", x, x) | alone("Pow", x, number(2))
    mean = alone("ReduceMean", square, where=_keeps_the_last)
    root = alone("Sqrt", alone("Add", any_order(mean, number())))
    inverse = alone("Reciprocal", root) | alone("Div", number(1), root)
    return alone("Div", x, root) | alone("Mul", any_order(x, inverse))


_WIDENED = op("Cast", value("narrow"), attrs={"to": 1}, name="up")
RMS_NORM = op(
    "Mul", any_order(_normalized(_X) | alone("Cast", _normalized(_WIDENED), name="down"), value("scale"))
)
"""The product with a weight at the end, computed in float32 where the rest is not."""


def _narrows_as_it_widened(match: Match) -> bool:
    if "up" not in match:
        return True
    up, down = match.op("up"), match.scope.tensor(match.op("down").outputs[0])
    around = (match.scope.tensor(match.value(name)) for name in ("narrow", "scale"))
    kinds = {tensor.dtype for tensor in around if tensor is not None}
    return down is not None and kinds == {down.dtype} and len(match.scope.graph.consumers(up.outputs[0])) == 2


# ---- attention -------------------------------------------------------------------------------


def _weighted(scores: Pattern, values: Pattern) -> Pattern:
    """reshape(transpose(softmax(scores) @ values))."""
    softmax = alone("Softmax", scores, where=lambda scope, op: op.attrs.get("axis", -1) in (-1, 3))
    return op(
        "Reshape", alone("Transpose", alone("MatMul", any_order(softmax, values)), where=_perm(*_HEADS))
    )


def _scaled(queries: Pattern, keys: Pattern) -> Pattern:
    """The product of queries and keys, scaled behind or before (then both by a number)."""
    product = alone("MatMul", queries, keys)
    before = (alone("Mul", any_order(side, number(name))) for side, name in ((queries, "f"), (keys, "g")))
    return (
        alone("Div", product, number())
        | alone("Mul", any_order(product, number()))
        | alone("MatMul", *before)
    )


def _scaled_alike(match: Match) -> bool:
    one, other = match.number("f"), match.number("g")
    return one is None or other is None or not abs(one - other) > 1e-6 * max(abs(one), abs(other))


def _heads(scope: Scope, shape: Operator) -> tuple[int, int] | None:
    """How many heads a Reshape makes, and of which size."""
    result = scope.tensor(shape.outputs[0])
    told: Sequence[Any] = result.shape if result is not None and result.shape is not None else ()
    sizes = scope.ints(shape, 1, "shape") or told
    if len(sizes) != 4 or not all(isinstance(size, int) and size > 0 for size in sizes[2:]):
        return None
    return int(sizes[2]), int(sizes[3])


def _split(source: Pattern, order: tuple[int, ...], name: str = "") -> Pattern:
    """Split in heads, which are then turned."""
    apart = alone(
        "Reshape", source, constant(), name=name, where=lambda scope, op: _heads(scope, op) is not None
    )
    return alone("Transpose", apart, where=_perm(*order))


def _split_keys(source: Pattern, name: str) -> Pattern:
    """Split and turned at once, or split like queries and turned in four dimensions or in three."""
    plain = _split(source, _HEADS, name)
    in_three = alone("Transpose", alone("Reshape", plain), where=_perm(*_TURNED))
    return (
        _split(source, _SWAPPED, name)
        | alone("Transpose", plain, where=_perm(*_LAST_TWO))
        | alone("Reshape", in_three)
    )


def _is_float(constant: Constant | None, rank: int) -> bool:
    return constant is not None and (
        constant.dtype == "unknown" or (constant.dtype == "float32" and len(constant.shape) == rank)
    )


_MATRIX = {"where": lambda constant: _is_float(constant, 2)}
_ROW = {"where": lambda constant: _is_float(constant, 1)}
_FLAT = op("Reshape", _SOURCE) | value("source", lambda scope, name: not scope.written_by(name, "Reshape"))


def _plain_gemm(scope: Scope, op: Operator) -> bool:
    return not op.attrs.get("transA", 0) and op.attrs.get("alpha", 1.0) == 1.0


def _projected(name: str) -> Pattern:
    """The product of the source and a stored matrix, with a stored bias or none."""
    product = alone("MatMul", _SOURCE, constant(f"{name}.matrix", **_MATRIX), name=f"{name}.product")
    return (
        product
        | alone("Add", any_order(product, constant(f"{name}.bias")), name=f"{name}.add")
        | alone(
            "Gemm",
            _FLAT,
            constant(f"{name}.matrix", **_MATRIX),
            maybe(constant(f"{name}.bias", **_ROW)),
            name=f"{name}.product",
            where=_plain_gemm,
        )
    )


_NAMES = ("queries", "keys", "values")
ATTENTION = _weighted(
    _scaled(_split(_projected("queries"), _HEADS, "queries"), _split_keys(_projected("keys"), "keys")),
    _split(_projected("values"), _HEADS, "values"),
)
"""Self-attention without mask, whose three projections read one tensor of rank 3."""


@dataclass(frozen=True)
class _Projection:
    """One of the three: whether a bias follows, and whether it was one of zeros, which is none."""

    product: Operator
    shape: tuple[int, ...]
    biased: bool
    zero: bool


def _projection(match: Match, name: str) -> _Projection | None:
    product, matrix, bias = match.op(f"{name}.product"), match.constant(f"{name}.matrix"), f"{name}.bias"
    zero = f"{name}.add" in match and _adds_zeros(match, match.op(f"{name}.add"), product)
    if bias in match and not zero and not _is_float(match.constant(bias), 1):
        return None
    shape = () if matrix is None else matrix.shape
    return _Projection(product, shape, bias in match and not zero, zero)


_READ = 1 << 16
"""Elements up to which a constant is looked at for zeros: reading costs, and a bias has no more."""


def _adds_zeros(match: Match, add: Operator, product: Operator) -> bool:
    """Zeros that the file stores right there: behind an Identity they are seen too late."""
    scope = match.scope
    other = next((name for name in add.inputs if scope.real(name) != product.outputs[0]), None)
    tensor, constant = scope.tensor(other), scope.graph.constant(other)
    if tensor is None or constant is None or constant.dtype != "float32":
        return False
    if tensor.name in scope.graph.facts.folded:
        return False
    return constant.elements <= _READ and not any(constant.numbers())


def _is_attention(match: Match) -> bool:
    """Heads of one count, queries and keys of one size, biases everywhere or nowhere."""
    found = [_projection(match, name) for name in _NAMES]
    parts = [part for part in found if part is not None]
    (count, size), keys, values = (_heads(match.scope, match.op(name)) or (0, 0) for name in _NAMES)
    if len(parts) != 3 or not count == keys[0] == values[0] or size != keys[1]:
        return False
    if len({part.biased for part in parts}) != 1 or not _scaled_alike(match):
        return False
    return match.scope.rank(match.value("source")) in (3, None) and not _joined_first(match, parts)


def _joined_first(match: Match, parts: Sequence[_Projection]) -> bool:
    """The three products become one with a Split before an Attention is looked for (``fuse_qkv``).

    It wants matrices of one shape and no other reader of a source that is computed. An added zero is removed
    in the same sweep, still reads the product there, and lets the Attention win where its shapes are stored.
    A Shape of the source is gone after the first sweep, at whose end products with a bias became Gemm.
    """
    scope, source = match.scope, match.value("source")
    stored = all(_stores_its_shape(match, match.op(name)) for name in _NAMES)
    if scope.graph.producer(source) is None or any(part.product.type != "MatMul" for part in parts):
        return False
    if scope.uses(source) != 3 or len({part.shape for part in parts}) != 1:
        return False
    if stored and any(part.zero for part in parts):
        return False
    tensor = scope.tensor(source)
    measured = tensor is not None and tensor.name in scope.graph.facts.measured
    return not measured or not (stored or any(part.biased for part in parts))


def _stores_its_shape(match: Match, shape: Operator) -> bool:
    """Whether the file has the sizes, and nothing computes them ahead of time."""
    tensor = match.scope.tensor(match.scope.real(shape.inputs[1]))
    return tensor is not None and tensor.name not in match.scope.graph.facts.folded


# ---- grouped attention -----------------------------------------------------------------------


def _is_causal(constant: Constant) -> bool:
    """Zero on and below the diagonal and minus infinity above it, in ``[1, 1, n, n]``."""
    shape = constant.shape
    if constant.dtype != "float32" or len(shape) != 4 or shape[:2] != (1, 1) or shape[2] != shape[3]:
        return False
    import numpy as np

    return bool((constant.read()[0, 0] == np.where(np.tri(shape[3], dtype=bool), 0.0, -np.inf)).all())


def _repeated() -> Pattern:
    """Heads that are repeated for groups of queries."""
    opened = alone("Unsqueeze", _split(ANY, _HEADS), where=_axes(2))
    return alone("Reshape", alone("Expand", opened))


_GROUPED_SCORES = _scaled(_split(ANY, _HEADS), alone("Transpose", _repeated(), where=_perm(*_LAST_TWO)))
GROUPED_ATTENTION = _weighted(
    alone("Add", any_order(_GROUPED_SCORES, constant(where=_is_causal))), _repeated()
)
"""Causal attention whose keys and values are repeated."""


# ---- rotary embeddings and logarithms --------------------------------------------------------


def _angle(function: str) -> Pattern:
    """The cosine or sine of an angle that is doubled, with a dimension for the heads."""
    doubled = op("Concat", value("angle"), value("angle"), where=_of_two)
    return op("Unsqueeze", op(function, doubled), where=_axes(1))


_TURNED_HALVES = alone("Concat", alone("Neg", alone("Slice", _X)), alone("Slice", _X), where=_of_two)
ROTARY = op(
    "Add",
    any_order(
        alone("Mul", any_order(_X, _angle("Cos"))), alone("Mul", any_order(_TURNED_HALVES, _angle("Sin")))
    ),
)
"""x * cos + concat(-second half, first half) * sin."""

LOG_SOFTMAX = op("Log", alone("Softmax", where=lambda scope, op: "axis" in op.attrs))
"""Of a Softmax whose axis is stored."""


@dataclass(frozen=True)
class Fusion:
    """A pattern, what its last operator becomes, and what it asks beside the pattern."""

    type: str
    pattern: Pattern
    holds: Callable[[Match], bool] = lambda match: True
    domain: str = ""
    standard: bool = False
    """It becomes an operator that the ONNX standard has in newer operator sets only."""


FUSIONS = (
    Fusion("RMSNormalization", RMS_NORM, _narrows_as_it_widened, standard=True),
    Fusion("Attention", ATTENTION, _is_attention, "com.microsoft"),
    Fusion("GroupQueryAttention", GROUPED_ATTENTION, _scaled_alike, "com.microsoft"),
    Fusion("RotaryEmbedding", ROTARY, lambda match: match.scope.rank(match.value("x")) == 4, standard=True),
    Fusion("LogSoftmax", LOG_SOFTMAX),
)
