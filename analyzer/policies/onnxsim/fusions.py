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
from ...ir.view import edited

_HEADS, _SWAPPED = (0, 2, 1, 3), (0, 2, 3, 1)
_READABLE = ("float32", "float64", "float16", "int64", "int32")


def seen_fused(graph: Graph) -> Graph:
    """The graph with the last operator of each pattern shown as what it is fused into; the others stay as
    they are.
    """
    match = Matcher(graph)
    fused = {
        op.id: type
        for op in graph.ops()
        for type in _TYPES.get(op.type, ())
        if op.domain in ("", "ai.onnx") and _FUSED[type](match, op)
    }
    parts = {id: name.rpartition(":") for id, name in fused.items()}
    return edited(
        graph,
        {id: replace(graph.op(id), type=type, domain=domain) for id, (domain, _, type) in parts.items()},
    )


@dataclass(frozen=True)
class Matcher:
    """Walks up from results, passing over what does nothing, as the simplifier has removed it by then."""

    graph: Graph

    def writer(self, name: str | None, *types: str) -> Operator | None:
        """What computes a value, when it is of one of the types and everything else leaves the value
        alone.
        """
        op = self.graph.producer(self.real(name))
        return op if op is not None and op.type in types and op.domain in ("", "ai.onnx") else None

    def alone(self, name: str | None, *types: str) -> Operator | None:
        """``writer`` of a value that is read once."""
        return self.writer(name, *types) if self.uses(self.real(name)) == 1 else None

    def real(self, name: str | None) -> str | None:
        """The value behind operators that do nothing."""
        op = self.graph.producer(name)
        while op is not None and self.idle(op):
            name = op.inputs[0]
            op = self.graph.producer(name)
        return name

    def idle(self, op: Operator) -> bool:
        """Identity, a Cast to the type that the value has, and a Reshape to its shape."""
        if op.type == "Reshape":
            data, result = self.graph.find(op.inputs[0] or ""), self.graph.find(op.outputs[0] or "")
            return data is not None and result is not None and data.static and data.shape == result.shape
        if op.type != "Cast":
            return op.type == "Identity"
        kinds = [
            tensor.dtype
            for tensor in (*self.graph.input_tensors(op), *self.graph.output_tensors(op))
            if tensor is not None
        ]
        return len(set(kinds)) == 1 and kinds[0] != "unknown"

    def uses(self, name: str | None) -> int:
        """How often a value is read; once more for an output of the graph."""
        count = 1 if name in self.graph.outputs else 0
        for op in self.graph.consumers(name):
            count += self.uses(op.outputs[0]) if self.idle(op) else op.inputs.count(name)
        return count

    def constant(self, name: str | None) -> Constant | None:
        """The constant behind a name; what is dequantized is none to the simplifier."""
        tensor = self.graph.find(self.real(name) or "")
        if tensor is None or tensor.name in self.graph.facts.dequantized:
            return None
        return self.graph.constant(tensor.name)

    def number(self, name: str | None) -> float | None:
        """The single element of a constant; NaN where it is known before the model runs and not here."""
        constant = self.constant(name)
        if constant is None or (
            constant.dtype != "unknown" and (constant.elements != 1 or constant.dtype not in _READABLE)
        ):
            return None
        return float("nan") if constant.dtype == "unknown" else float(constant.read().reshape(-1)[0])

    def rank(self, name: str | None) -> int | None:
        """The number of dimensions."""
        tensor = self.graph.find(name) if name else None
        return None if tensor is None else tensor.rank

    def perm(self, op: Operator | None) -> tuple[int, ...]:
        """The order of a Transpose."""
        return () if op is None else tuple(op.attrs.get("perm", ()))

    def ints(self, op: Operator, place: int, attr: str) -> list[int] | None:
        """A list that is an attribute or a constant input."""
        if attr in op.attrs:
            return [int(value) for value in op.attrs[attr]]
        constant = self.constant(op.inputs[place]) if len(op.inputs) > place else None
        return (
            None
            if constant is None or constant.dtype == "unknown"
            else [int(value) for value in constant.read().reshape(-1)]
        )


def ends_rms_norm(match: Matcher, op: Operator) -> bool:
    """The product at the end of an RMSNormalization over the last axis: weight * x / sqrt(mean(x * x) +
    epsilon).
    """
    return match.graph.opsets.get("", 0) >= 23 and any(
        _is_norm(match, op.inputs[at], op.inputs[1 - at]) for at in (0, 1)
    )


def _is_norm(match: Matcher, norm: str | None, scale: str | None) -> bool:
    down = match.alone(norm, "Cast")
    if down is None:
        return _normalized(match, norm) is not None
    up = match.writer(_normalized(match, down.inputs[0]), "Cast")
    if up is None or up.attrs.get("to") != 1:
        return False
    kinds = {
        tensor.dtype
        for name in (up.inputs[0], scale)
        if name and (tensor := match.graph.find(name)) is not None
    }
    cast = match.graph.find(down.outputs[0] or "")
    return cast is not None and kinds == {cast.dtype} and len(match.graph.consumers(up.outputs[0])) == 2


def _normalized(match: Matcher, norm: str | None) -> str | None:
    """The x of x / sqrt(v), x * reciprocal(sqrt(v)) and x * (1 / sqrt(v)), None where there is no such x."""
    op = match.alone(norm, "Div", "Mul")
    if op is None:
        return None
    for at in (0,) if op.type == "Div" else (0, 1):
        x, root = match.real(op.inputs[at]), op.inputs[1 - at]
        if op.type == "Mul":
            inverse = match.alone(root, "Reciprocal", "Div")
            if inverse is None or (inverse.type == "Div" and match.number(inverse.inputs[0]) != 1):
                continue
            root = inverse.inputs[-1]
        if x is not None and _mean_square(match, root) == x:
            return x
    return None


def _mean_square(match: Matcher, root: str | None) -> str | None:
    """The x of sqrt(mean(x * x) + epsilon) over the last axis, dimensions kept."""
    sqrt = match.alone(root, "Sqrt")
    add = None if sqrt is None else match.alone(sqrt.inputs[0], "Add")
    means = (
        []
        if add is None
        else [(match.alone(add.inputs[at], "ReduceMean"), add.inputs[1 - at]) for at in (0, 1)]
    )
    mean, epsilon = next(((mean, other) for mean, other in means if mean is not None), (None, None))
    square = None if mean is None else match.alone(mean.inputs[0], "Mul", "Pow")
    if mean is None or square is None or match.number(epsilon) is None or mean.attrs.get("keepdims", 1) != 1:
        return None
    x, rank = match.real(square.inputs[0]), match.rank(square.inputs[0])
    twice = match.real(square.inputs[1]) == x if square.type == "Mul" else match.number(square.inputs[1]) == 2
    axes = match.ints(mean, 1, "axes")
    return x if twice and axes in ([-1], [None if rank is None else rank - 1]) else None


def ends_attention(match: Matcher, op: Operator) -> bool:
    """The reshape at the end of a self-attention without mask, whose three projections read one tensor of
    rank 3.
    """
    values = _weighted(match, op)
    if values is None:
        return False
    scores, value = values
    scaled = _scaled(match, scores)
    if scaled is None:
        return False
    splits = [
        _split(match, scaled[0], _HEADS),
        _split(match, scaled[1], _SWAPPED) or _swapped_apart(match, scaled[1]),
        _split(match, value, _HEADS),
    ]
    heads = [item for item in splits if item is not None]
    if len(heads) != 3 or len({item[1] for item in heads}) != 1 or heads[0][2] != heads[1][2]:
        return False
    parts = [_projected(match, item[0]) for item in heads]
    found = [item for item in parts if item is not None]
    if (
        len(found) != 3
        or len({item.biased for item in found}) != 1
        or len({item.source for item in found}) != 1
    ):
        return False
    source = found[0].source
    return match.rank(source) in (3, None) and not _joined_first(
        match, source, found, stored=all(item[3] for item in heads)
    )


def _weighted(match: Matcher, op: Operator) -> tuple[str | None, str | None] | None:
    """Scores and values of reshape(transpose(softmax(scores) @ values))."""
    back = match.alone(op.inputs[0], "Transpose")
    product = (
        match.alone(back.inputs[0], "MatMul") if back is not None and match.perm(back) == _HEADS else None
    )
    if product is None:
        return None
    for at in (0, 1):
        softmax = match.alone(product.inputs[at], "Softmax")
        if softmax is not None and softmax.attrs.get("axis", -1) in (-1, 3):
            return softmax.inputs[0], product.inputs[1 - at]
    return None


def _scaled(match: Matcher, scores: str | None) -> tuple[str | None, str | None] | None:
    """Queries and keys of a product that is scaled by a constant, behind or before it (then both by the
    same).
    """
    op = match.alone(scores, "Div", "Mul", "MatMul")
    if op is None:
        return None
    if op.type != "MatMul":
        places = (0,) if op.type == "Div" else (0, 1)
        product = next((op.inputs[at] for at in places if match.number(op.inputs[1 - at]) is not None), None)
        inner = match.alone(product, "MatMul")
        return None if inner is None else (inner.inputs[0], inner.inputs[1])
    sides = [_factor(match, name) for name in op.inputs]
    found = [side for side in sides if side is not None]
    same = len(found) == 2 and not abs(found[0][1] - found[1][1]) > 1e-6 * max(
        abs(found[0][1]), abs(found[1][1])
    )
    return (found[0][0], found[1][0]) if same else None


def _factor(match: Matcher, name: str | None) -> tuple[str | None, float] | None:
    op = match.alone(name, "Mul")
    for at in (0, 1) if op is not None else ():
        factor = match.number(op.inputs[1 - at]) if op is not None else None
        if op is not None and factor is not None:
            return op.inputs[at], factor
    return None


def _split(
    match: Matcher, name: str | None, order: tuple[int, ...]
) -> tuple[str | None, int, int, bool] | None:
    """What is split in heads: its name, the heads, their size, and whether the file stores the shape."""
    turn = match.alone(name, "Transpose")
    shape = match.alone(turn.inputs[0], "Reshape") if turn is not None and match.perm(turn) == order else None
    if shape is None:
        return None
    constant, result = match.constant(shape.inputs[1]), match.graph.find(shape.outputs[0] or "")
    shape_tensor = match.graph.find(match.real(shape.inputs[1]) or "")
    stored = shape_tensor is not None and shape_tensor.name not in match.graph.facts.folded
    told: Sequence[Any] = result.shape if result is not None and result.shape is not None else ()
    sizes = match.ints(shape, 1, "shape") or told
    if (
        constant is None
        or len(sizes) != 4
        or not all(isinstance(size, int) and size > 0 for size in sizes[2:])
    ):
        return None
    return shape.inputs[0], int(sizes[2]), int(sizes[3]), stored


def _swapped_apart(match: Matcher, name: str | None) -> tuple[str | None, int, int, bool] | None:
    """Keys that are split like queries and turned in three dimensions or in four."""
    turn = match.alone(name, "Transpose")
    if turn is not None:
        return _split(match, turn.inputs[0], _HEADS) if match.perm(turn) == (0, 1, 3, 2) else None
    last = match.alone(name, "Reshape")
    middle = match.alone(last.inputs[0], "Transpose") if last is not None else None
    first = (
        match.alone(middle.inputs[0], "Reshape")
        if middle is not None and match.perm(middle) == (0, 2, 1)
        else None
    )
    return None if first is None else _split(match, first.inputs[0], _HEADS)


@dataclass(frozen=True)
class Projection:
    """A product with a stored matrix: what it reads, whether a bias follows, whether that bias is zero, and
    the matrix's shape.
    """

    source: str | None
    biased: bool
    idle: bool
    shape: tuple[int, ...]
    product: Operator


def _projected(match: Matcher, name: str | None) -> Projection | None:
    op = match.alone(name, "Add", "MatMul", "Gemm")
    if op is None:
        return None
    biases, product, idle = ([op.inputs[2]] if op.type == "Gemm" and len(op.inputs) > 2 else []), op, False
    if op.type == "Add":
        found = [(match.alone(op.inputs[at], "MatMul"), op.inputs[1 - at]) for at in (0, 1)]
        inner, bias = next(((item, other) for item, other in found if item is not None), (None, None))
        if inner is None:
            return None
        product, idle = inner, _is_zero(match, bias)
        biases = [] if idle else [bias]
    plain = product.type == "MatMul" or (
        not product.attrs.get("transA", 0) and product.attrs.get("alpha", 1.0) == 1.0
    )
    weights, stored = match.constant(product.inputs[1]), [match.constant(name) for name in biases]
    if not plain or not _is_float(weights, 2) or not all(_is_float(item, 1) for item in stored):
        return None
    source = match.real(product.inputs[0])
    flat = match.writer(source, "Reshape") if product.type == "Gemm" else None
    return Projection(
        match.real(flat.inputs[0]) if flat is not None else source,
        bool(biases),
        idle,
        weights.shape if weights else (),
        product,
    )


def _is_float(constant: Constant | None, rank: int) -> bool:
    return constant is not None and (
        constant.dtype == "unknown" or (constant.dtype == "float32" and len(constant.shape) == rank)
    )


def _is_zero(match: Matcher, name: str | None) -> bool:
    """Zeros that the file stores right there: behind an Identity they are seen too late."""
    constant, tensor = match.graph.constant(name), match.graph.find(name or "")
    plain = (
        tensor is not None
        and tensor.name not in match.graph.facts.folded
        and constant is not None
        and constant.dtype == "float32"
    )
    return plain and constant is not None and constant.elements <= 65536 and not constant.read().any()


def _joined_first(match: Matcher, source: str | None, parts: list[Projection], *, stored: bool) -> bool:
    """The three products become one with a Split before an Attention is looked for (``fuse_qkv``).

    It wants matrices of one shape and no other reader of a source that is computed. An added zero is removed
    in the same sweep, still reads the product there, and lets the Attention win where its shapes are stored.
    A Shape of the source is gone after the first sweep, at whose end products with a bias became Gemm.
    """
    if match.graph.producer(source) is None or any(part.product.type != "MatMul" for part in parts):
        return False
    if (
        match.uses(source) != 3
        or len({part.shape for part in parts}) != 1
        or (stored and any(part.idle for part in parts))
    ):
        return False
    tensor = match.graph.find(source or "")
    measured = tensor is not None and tensor.name in match.graph.facts.measured
    return not measured or not (stored or any(part.biased for part in parts))


def ends_grouped_attention(match: Matcher, op: Operator) -> bool:
    """The reshape at the end of a causal attention whose keys and values are repeated for groups of
    queries.
    """
    values = _weighted(match, op)
    add = match.alone(values[0], "Add") if values is not None else None
    if add is None or values is None or _repeated(match, values[1]) is None:
        return False
    for at in (0, 1):
        scaled = _scaled(match, add.inputs[at])
        turn = match.alone(scaled[1], "Transpose") if scaled is not None else None
        if (
            scaled is None
            or turn is None
            or match.perm(turn) != (0, 1, 3, 2)
            or _repeated(match, turn.inputs[0]) is None
        ):
            continue
        if _split(match, scaled[0], _HEADS) is not None and _is_causal(match.constant(add.inputs[1 - at])):
            return True
    return False


def _repeated(match: Matcher, name: str | None) -> tuple[str | None, int, int, bool] | None:
    merge = match.alone(name, "Reshape")
    expand = match.alone(merge.inputs[0], "Expand") if merge is not None else None
    open_ = match.alone(expand.inputs[0], "Unsqueeze") if expand is not None else None
    return (
        _split(match, open_.inputs[0], _HEADS)
        if open_ is not None and match.ints(open_, 1, "axes") == [2]
        else None
    )


def _is_causal(constant: Constant | None) -> bool:
    """Zero on and below the diagonal and minus infinity above it, in ``[1, 1, n, n]``."""
    if (
        constant is None
        or constant.dtype != "float32"
        or len(constant.shape) != 4
        or constant.shape[:2] != (1, 1)
    ):
        return False
    import numpy as np

    size = constant.shape[3]
    wanted = np.where(np.tri(size, dtype=bool), 0.0, -np.inf)
    return constant.shape[2] == size and bool((constant.read()[0, 0] == wanted).all())


def ends_rotary(match: Matcher, op: Operator) -> bool:
    """The sum at the end of a rotary embedding: x * cos + concat(-second half, first half) * sin."""
    return match.graph.opsets.get("", 0) >= 23 and any(
        _is_rotary(match, op.inputs[at], op.inputs[1 - at]) for at in (0, 1)
    )


def _is_rotary(match: Matcher, plain: str | None, turned: str | None) -> bool:
    left, right = match.alone(plain, "Mul"), match.alone(turned, "Mul")
    for at in (0, 1) if left is not None and right is not None else ():
        halves = match.alone(right.inputs[at], "Concat") if right is not None else None
        negated = (
            match.alone(halves.inputs[0], "Neg") if halves is not None and len(halves.inputs) == 2 else None
        )
        second = match.alone(negated.inputs[0], "Slice") if negated is not None else None
        first = match.alone(halves.inputs[1], "Slice") if halves is not None and second is not None else None
        if (
            first is None
            or second is None
            or left is None
            or right is None
            or first.inputs[0] != second.inputs[0]
        ):
            continue
        angles = [
            _angle(match, left.inputs[place], "Cos")
            for place in (0, 1)
            if left.inputs[1 - place] == first.inputs[0]
        ]
        if (
            angles
            and angles[0] is not None
            and angles[0] == _angle(match, right.inputs[1 - at], "Sin")
            and match.rank(first.inputs[0]) == 4
        ):
            return True
    return False


def _angle(match: Matcher, name: str | None, function: str) -> str | None:
    """The angle whose cosine or sine is doubled and given a dimension for the heads."""
    open_ = match.writer(name, "Unsqueeze")
    value = (
        match.writer(open_.inputs[0], function)
        if open_ is not None and match.ints(open_, 1, "axes") == [1]
        else None
    )
    twice = match.writer(value.inputs[0], "Concat") if value is not None else None
    return (
        twice.inputs[0]
        if twice is not None and len(twice.inputs) == 2 and twice.inputs[0] == twice.inputs[1]
        else None
    )


def ends_log_softmax(match: Matcher, op: Operator) -> bool:
    """The logarithm of a Softmax with a stored axis, which nothing else reads."""
    softmax = match.alone(op.inputs[0], "Softmax")
    return softmax is not None and "axis" in softmax.attrs


_FUSED: dict[str, Callable[[Matcher, Operator], bool]] = {
    "RMSNormalization": ends_rms_norm,
    "com.microsoft:Attention": ends_attention,
    "com.microsoft:GroupQueryAttention": ends_grouped_attention,
    "RotaryEmbedding": ends_rotary,
    "LogSoftmax": ends_log_softmax,
}
_TYPES = {
    "Mul": ("RMSNormalization",), "Reshape": ("com.microsoft:Attention", "com.microsoft:GroupQueryAttention"),
    "Add": ("RotaryEmbedding",), "Log": ("LogSoftmax",),
}  # fmt: skip
"""The types that patterns end with."""
