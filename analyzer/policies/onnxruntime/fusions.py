"""Patterns that ONNX Runtime's compiling providers take as one operator though a part alone is not taken."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ...ir.graph import Constant, Dim, Graph, Operator, Tensor
from ...ir.view import edited


def seen_fused(graph: Graph) -> Graph:
    """The graph with each Erf that a provider sees as part of a Gelu shown as that Gelu (``GeluFusion`` of
    the QNN provider).

    The other operators of the pattern are taken on their own as well and stay as they are. The constants of
    the pattern become attributes of the Gelu, for the fusion does not look at them: ``divisor``, ``addend``
    and ``factor``.
    """
    fused = [
        (op, root) for op in graph.ops() if op.type == "Erf" and (root := _gelu_input(graph, op)) is not None
    ]
    return edited(graph, {op.id: _as_gelu(graph, op, root) for op, root in fused})


def _as_gelu(graph: Graph, op: Operator, root: str) -> Operator:
    return replace(op, type="Gelu", inputs=(root,), attrs=_constants_of_gelu(graph, op))


def _constants_of_gelu(graph: Graph, op: Operator) -> dict[str, float]:
    """The constants around an Erf that is fused, as far as they are stored as single numbers."""
    scale, add = graph.producer(op.inputs[0]), only_reader(graph, op)
    product = None if add is None else only_reader(graph, add)
    if scale is None or add is None or product is None:
        return {}
    around = (product, only_reader(graph, product), *(graph.producer(name) for name in product.inputs))
    factors = [
        value
        for item in around
        if item is not None and item.type == "Mul" and (value := _number(graph, item)) is not None
    ]
    divisor, addend = _number(graph, scale), _number(graph, add)
    if divisor and scale.type == "Mul":
        divisor = 1 / divisor
    found = {"divisor": divisor, "addend": addend, "factor": factors[0] if factors else None}
    return {name: value for name, value in found.items() if value is not None}


def _number(graph: Graph, op: Operator) -> float | None:
    """The single number among the operands."""
    stored = [
        constant
        for name in op.inputs
        if (constant := graph.constant(name)) is not None and constant.elements == 1
    ]
    return float(stored[0].read().reshape(-1)[0]) if len(stored) == 1 else None


def _gelu_input(graph: Graph, op: Operator) -> str | None:
    """What the Gelu around an Erf reads: x of x * 0.5 * (1 + erf(x / sqrt(2))), None when there is no such
    Gelu.

    The factors stand in any order, and the quotient may be a product whose first operand is x. Measured with
    onnxruntime-qnn 2.7.0.
    """
    scale = graph.producer(op.inputs[0])
    add = only_reader(graph, op)
    product = only_reader(graph, add) if add is not None and add.type == "Add" else None
    if scale is None or scale.type not in ("Div", "Mul") or product is None or product.type != "Mul":
        return None
    root = scale.inputs[0]
    halves = [graph.producer(name) for name in product.inputs]
    if any(half is not None and half.type == "Mul" and root in half.inputs for half in halves):
        return root
    last = only_reader(graph, product)
    return (
        root
        if last is not None and last.type == "Mul" and (root in product.inputs or root in last.inputs)
        else None
    )


def only_reader(graph: Graph, op: Operator) -> Operator | None:
    """The operator that alone reads the first result; None when there are others, or it is an output of the
    model.
    """
    readers = graph.consumers(op.outputs[0])
    return readers[0] if len(readers) == 1 and op.outputs[0] not in graph.outputs else None


_SIX = 6


def seen_in_rank_5(graph: Graph) -> Graph:
    """The graph with each Reshape, Transpose, Reshape through six dimensions shown in five
    (``Rank6ToRank5Fusion`` of the QNN provider).

    Source: ``qnn_node_group/reshape_transpose_rank5.cc``: a size of 1 that the transpose leaves in its place
    is taken out; each operator may have its own quantize and dequantize operators.
    """
    shapes: dict[str, tuple[Dim, ...]] = {}
    for op in graph.ops():
        if op.type == "Reshape":
            shapes.update(_shapes_in_rank_5(graph, op))
    return edited(graph, tensors=_with_shapes(graph, shapes))


def _with_shapes(graph: Graph, shapes: Mapping[str, tuple[Dim, ...]]) -> list[Tensor]:
    return [replace(graph.tensor(name), shape=shape) for name, shape in shapes.items()]


def _shapes_in_rank_5(graph: Graph, op: Operator) -> Mapping[str, tuple[Dim, ...]]:
    before = list(_handed_on(graph, op))
    transpose = _next(graph, before)
    after = [] if transpose is None or transpose.type != "Transpose" else list(_handed_on(graph, transpose))
    last = _next(graph, after)
    if (
        transpose is None
        or last is None
        or last.type != "Reshape"
        or any(graph.constant(name) is None for name in (op.inputs[1], last.inputs[1]))
    ):
        return {}
    entering, leaving = graph.find(before[0]), graph.find(after[0])
    perm = transpose.attrs.get("perm", ())
    if (
        entering is None
        or leaving is None
        or not len(entering.shape or ()) == len(leaving.shape or ()) == len(perm) == _SIX
    ):
        return {}
    one = next(
        (at for at in range(_SIX) if (entering.shape or ())[at] == (leaving.shape or ())[at] == 1), None
    )
    if one is None or perm[one] != one:
        return {}
    return {
        name: tuple(dim for at, dim in enumerate(graph.tensor(name).shape or ()) if at != one)
        for name in (*before, *after)
    }


def _handed_on(graph: Graph, op: Operator) -> Iterator[str]:
    """The operator's result, and what it becomes in the quantize and dequantize operators behind it."""
    name = op.outputs[0]
    while name is not None:
        yield name
        readers = graph.consumers(name)
        quantizes = (
            len(readers) == 1
            and readers[0].type in ("QuantizeLinear", "DequantizeLinear")
            and name not in graph.outputs
        )
        name = readers[0].outputs[0] if quantizes else None


def _next(graph: Graph, names: list[str]) -> Operator | None:
    readers = graph.consumers(names[-1]) if names else ()
    return readers[0] if len(readers) == 1 and names[-1] not in graph.outputs else None


def seen_regrouped(graph: Graph) -> Graph:
    """The graph with each Gather, Transpose, Reshape that only splits the last of five dimensions shown in
    four dimensions.

    ``GatherTransposeReshapeFusion`` of the QNN provider
    (``qnn_node_group/gather_transpose_reshape_fusion.cc``): the Gather becomes a Reshape, with a Transpose
    behind it where the indices go down the columns.
    """
    split: dict[str, _Split] = {
        op.id: found for op in graph.ops() if op.type == "Gather" and (found := _split(graph, op)) is not None
    }
    shown: dict[str, Operator | None] = {}
    tensors: list[Tensor] = []
    for id, found in split.items():
        op, turn = graph.op(id), found.transpose
        shown[id] = replace(op, type="Reshape", inputs=(op.inputs[0], f"{id}::sizes"), attrs={})
        shown[turn.id] = replace(turn, attrs={**turn.attrs, "perm": found.perm})
        tensors.append(_stored_sizes(f"{id}::sizes", found.shapes[op.outputs[0] or ""]))
        tensors += _with_shapes(graph, found.shapes)
    return edited(graph, shown, tensors)


def _stored_sizes(name: str, shape: tuple[Dim, ...]) -> Tensor:
    data = b"".join(int(size or 0).to_bytes(8, "little") for size in shape)
    return Tensor(name, "int64", (len(shape),), const=Constant("int64", (len(shape),), loader=lambda: data))


@dataclass(frozen=True)
class _Split:
    """A Gather that splits the last dimension, as it is shown: the permutation behind it, and the shapes of
    both results.
    """

    transpose: Operator
    perm: list[int]
    shapes: dict[str, tuple[Dim, ...]]


_FIVE = 5
_REGROUPED = ("float32", "float16", "int32", "uint32", "bool")
"""What both Reshape and Transpose take in the validation, which sees no casts; anything else is not fused."""
_KEPT = [0, 1, 2]
"""The dimensions that the Transpose leaves where they are: they are one dimension in the graph that is
built.
"""


def _split(graph: Graph, op: Operator) -> _Split | None:
    transpose = only_reader(graph, op)
    last = only_reader(graph, transpose) if transpose is not None and transpose.type == "Transpose" else None
    if (
        transpose is None
        or last is None
        or last.type != "Reshape"
        or len(_shape(graph, last.outputs[0])) > _FIVE
    ):
        return None
    data = graph.find(op.inputs[0] or "")
    if data is None or data.dtype not in _REGROUPED:
        return None
    entering, perm = _shape(graph, op.inputs[0]), list(transpose.attrs.get("perm", ()))
    indices = graph.constant(op.inputs[1])
    if (
        len(entering) != _FIVE
        or not all(isinstance(dim, int) and dim > 0 for dim in entering)
        or op.attrs.get("axis", 0) not in (-1, 4)
    ):
        return None
    if (
        indices is None
        or not _counts(indices, entering[-1])
        or perm[:3] != _KEPT
        or sorted(perm[3:]) != [3, 4, 5]
    ):
        return None
    sizes: tuple[Dim, ...] = (math.prod(int(dim) for dim in entering[:3] if dim), entering[3], *indices.shape)
    turned = [0, *(place - 2 for place in perm[3:])]
    return _Split(
        transpose,
        turned,
        {op.outputs[0] or "": sizes, transpose.outputs[0] or "": tuple(sizes[place] for place in turned)},
    )


def _counts(indices: Constant, size: Dim) -> bool:
    """Whether the indices are all numbers up to the size, along the rows or down the columns of a table."""
    if (
        len(indices.shape) != 2
        or indices.dtype not in ("int64", "int32")
        or indices.elements != size
        or not size
    ):
        return False
    table = indices.read().reshape(indices.shape)
    count = list(range(indices.elements))
    return count in (table.reshape(-1).tolist(), table.T.reshape(-1).tolist())


def _shape(graph: Graph, name: str | None) -> tuple[Dim, ...]:
    tensor = graph.find(name or "")
    return () if tensor is None or tensor.shape is None else tensor.shape


_RMS = ("Mul", 1), ("", 0), ("Sqrt", 0), ("Add", 0), ("ReduceMean", 0), ("Pow", 0)
"""The operators of an RMS normalization from its end, and the operand of each that leads to the one before;
"" is the inverse.
"""


def weight_before_rms(graph: Graph, op: Operator) -> bool:
    """Whether it is a constant times ``x * 1/Sqrt(ReduceMean(Pow(x, 2)) + e)``, with every operand in this
    order.

    The compiler of the HTP does not finish graphs with it (1002), whether the inverse is a Reciprocal or 1
    divided by the root; any other order of the operands, x divided by the root, another exponent, x * x for
    the power or a mean over other than the last dimension is compiled. Measured with onnxruntime-qnn 2.7.0.
    """
    if op.type != "Mul" or len(op.inputs) != 2 or graph.constant(op.inputs[0]) is None:
        return False
    data, name = None, op.inputs[1]
    for type, place in _RMS:
        step = graph.producer(name) if name else None
        if step is None or step.domain not in ("", "ai.onnx"):
            return False
        place += step.type == "Div"
        if (step.type != type if type else not _inverts(graph, step)) or len(step.inputs) <= place:
            return False
        if (step.type == "ReduceMean" and not _over_the_last(graph, step)) or (
            step.type == "Pow" and _number(graph, step) != _SQUARE
        ):
            return False
        data = step.inputs[0] if type == "Mul" else data
        name = step.inputs[place]
    return name == data


_SQUARE = 2


def _inverts(graph: Graph, op: Operator) -> bool:
    """Whether it is a Reciprocal, or 1 divided by something."""
    return op.type == "Reciprocal" or (
        op.type == "Div" and graph.constant(op.inputs[0]) is not None and _number(graph, op) == 1
    )


def _over_the_last(graph: Graph, op: Operator) -> bool:
    stored = graph.constant(op.inputs[1]) if len(op.inputs) > 1 and op.inputs[1] else None
    axes = op.attrs.get("axes", ()) if stored is None else stored.read().reshape(-1).tolist()
    return list(axes) in ([-1], [len(_shape(graph, op.inputs[0])) - 1])
