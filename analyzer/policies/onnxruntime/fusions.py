"""Patterns that ONNX Runtime's compiling providers run as one operator; parts alone are not supported."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ...ir.graph import Constant, Dim, Graph, Operator, Tensor
from ...ir.match import ANY, Match, Scope, alone, any_order, constant, find, number, op, through, value
from ...ir.view import edited
from ..tables import STANDARD, Book, Tables

# ---- Gelu ------------------------------------------------------------------------------------

_X = value("x")
_ERF = alone("Erf", op(("Div", "Mul"), _X, number("divisor") | ANY, name="scale"), name="erf")
_CDF = alone("Add", any_order(_ERF, number("addend") | ANY))
_HALF = number("factor") | ANY
GELU = (
    op("Mul", any_order(op("Mul", any_order(_X, _HALF)), _CDF))
    | op("Mul", any_order(alone("Mul", any_order(_X, _CDF)), _HALF))
    | op("Mul", any_order(alone("Mul", any_order(_HALF, _CDF)), _X))
)
"""x * 0.5 * (1 + erf(x / sqrt(2))), the factors in any order (``GeluFusion``). The provider does not look at
the numbers, and the quotient may be a product whose first operand is x. Measured with onnxruntime-qnn 2.7.0.
"""


def seen_fused(graph: Graph) -> Graph:
    """The graph with each Erf that the QNN provider sees as part of a Gelu shown as that Gelu.

    The other operators of the pattern are supported on their own as well and stay as they are. The numbers of
    the pattern become attributes of the Gelu: ``divisor``, ``addend`` and ``factor``.
    """
    fused: dict[str, Operator | None] = {}
    for match in find(graph, GELU):
        erf = match.op("erf")
        fused.setdefault(
            erf.id, replace(erf, type="Gelu", inputs=(match.value("x"),), attrs=_numbers_of_gelu(match))
        )
    return edited(graph, fused)


def _numbers_of_gelu(match: Match) -> dict[str, float]:
    found = {name: match.number(name) for name in ("divisor", "addend", "factor")}
    if match.op("scale").type == "Mul" and found["divisor"]:
        found["divisor"] = 1 / found["divisor"]
    return {name: number for name, number in found.items() if number is not None}


# ---- six dimensions --------------------------------------------------------------------------

_SIX = 6
_QDQ = ("QuantizeLinear", "DequantizeLinear")
_ENTERS = through(_QDQ, alone("Reshape", ANY, constant()), "before")
IN_SIX = op("Reshape", through(_QDQ, alone("Transpose", _ENTERS, name="transpose"), "after"), constant())
"""Reshape, Transpose, Reshape, each with quantize and dequantize operators of its own behind it
(``Rank6ToRank5Fusion``, ``qnn_node_group/reshape_transpose_rank5.cc``).
"""


def seen_in_rank_5(graph: Graph) -> Graph:
    """The graph with each Reshape, Transpose, Reshape through six dimensions shown in five: a size of 1 that
    the transpose leaves in its place is taken out.
    """
    return edited(graph, tensors=[tensor for match in find(graph, IN_SIX) for tensor in _in_rank_5(match)])


def _in_rank_5(match: Match) -> list[Tensor]:
    graph, before, after = match.scope.graph, match.passed("before"), match.passed("after")
    entering, leaving = _shape(graph, before[0]), _shape(graph, after[0])
    perm = match.op("transpose").attrs.get("perm", ())
    if not len(entering) == len(leaving) == len(perm) == _SIX:
        return []
    one = next((at for at in range(_SIX) if entering[at] == leaving[at] == 1), None)
    if one is None or perm[one] != one:
        return []
    return [
        replace(
            graph.tensor(name), shape=tuple(dim for at, dim in enumerate(_shape(graph, name)) if at != one)
        )
        for name in (*before, *after)
    ]


# ---- five dimensions regrouped ---------------------------------------------------------------

_GATHER = alone("Gather", value("data"), constant("indices"), name="gather")
REGROUPED = op("Reshape", alone("Transpose", _GATHER, name="transpose"))
"""Gather, Transpose, Reshape (``GatherTransposeReshapeFusion``,
``qnn_node_group/gather_transpose_reshape_fusion.cc``).
"""


def seen_regrouped(graph: Graph, tables: Tables = STANDARD) -> Graph:
    """The graph with each Gather, Transpose, Reshape that only splits the last of five dimensions shown in
    four: the Gather becomes a Reshape, with a Transpose behind it where the indices go down the columns.
    """
    shown: dict[str, Operator | None] = {}
    tensors: list[Tensor] = []
    book = tables["onnxruntime/fusions"]
    for found in filter(None, (_split(match, book) for match in find(graph, REGROUPED))):
        gather, turn = found.gather, found.transpose
        shown[gather.id] = replace(
            gather, type="Reshape", inputs=(gather.inputs[0], f"{gather.id}::sizes"), attrs={}
        )
        shown[turn.id] = replace(turn, attrs={**turn.attrs, "perm": found.perm})
        tensors.append(_stored_sizes(f"{gather.id}::sizes", found.sizes))
        tensors += [
            replace(tensor, shape=shape)
            for item, shape in ((gather, found.sizes), (turn, tuple(found.sizes[at] for at in found.perm)))
            if (tensor := graph.find(item.outputs[0] or "")) is not None
        ]
    return edited(graph, shown, tensors)


def _stored_sizes(name: str, shape: tuple[Dim, ...]) -> Tensor:
    data = b"".join(int(size or 0).to_bytes(8, "little") for size in shape)
    return Tensor(name, "int64", (len(shape),), const=Constant("int64", (len(shape),), loader=lambda: data))


@dataclass(frozen=True)
class _Split:
    """A Gather that splits the last dimension, as it is shown: its sizes, and the permutation behind it."""

    gather: Operator
    transpose: Operator
    sizes: tuple[Dim, ...]
    perm: list[int]


_FIVE = 5
_KEPT = [0, 1, 2]
"""The dimensions that the Transpose leaves where they are: they are one dimension in the graph that is
built.
"""


def _split(match: Match, book: Book) -> _Split | None:
    graph, gather, transpose = match.scope.graph, match.op("gather"), match.op("transpose")
    data, indices = graph.find(match.value("data")), match.constant("indices")
    if data is None or data.dtype not in book.types("regrouped-dtypes"):
        return None
    if len(_shape(graph, match.root.outputs[0])) > book.limit("regrouped-rank"):
        return None
    entering, perm = data.shape or (), list(transpose.attrs.get("perm", ()))
    if len(entering) != _FIVE or not all(isinstance(dim, int) and dim > 0 for dim in entering):
        return None
    if gather.attrs.get("axis", 0) not in (-1, 4) or indices is None or not _counts(indices, entering[-1]):
        return None
    if perm[:3] != _KEPT or sorted(perm[3:]) != [3, 4, 5]:
        return None
    sizes: tuple[Dim, ...] = (math.prod(int(dim) for dim in entering[:3] if dim), entering[3], *indices.shape)
    return _Split(gather, transpose, sizes, [0, *(place - 2 for place in perm[3:])])


def _counts(indices: Constant, size: Dim) -> bool:
    """Whether the indices are all numbers up to the size, along the rows or down the columns of a table."""
    if (
        len(indices.shape) != 2
        or indices.dtype not in ("int64", "int32")
        or indices.elements != size
        or not size
    ):
        return False
    rows, columns = indices.shape
    table = indices.numbers()
    down = [table[row * columns + column] for column in range(columns) for row in range(rows)]
    return list(range(indices.elements)) in (table, down)


def _shape(graph: Graph, name: str | None) -> tuple[Dim, ...]:
    tensor = graph.find(name or "")
    return () if tensor is None or tensor.shape is None else tensor.shape


# ---- RMS normalization -----------------------------------------------------------------------


def _over_the_last(scope: Scope, mean: Operator) -> bool:
    rank = scope.rank(mean.inputs[0]) or 0
    return scope.ints(mean, 1, "axes") in ([-1], [rank - 1])


_MEAN_SQUARE = op("ReduceMean", op("Pow", _X, number(2)), where=_over_the_last)
_ROOT = op("Sqrt", op("Add", _MEAN_SQUARE, ANY))
RMS_WEIGHT_FIRST = op("Mul", constant(), op("Mul", _X, op("Reciprocal", _ROOT) | op("Div", number(1), _ROOT)))
"""A constant times ``x * 1/Sqrt(ReduceMean(Pow(x, 2)) + e)``, with every operand in this order.

The compiler of the HTP does not finish graphs with it (1002), whether the inverse is a Reciprocal or 1
divided by the root; any other order of the operands, x divided by the root, another exponent, x * x for
the power or a mean over other than the last dimension is compiled. Measured with onnxruntime-qnn 2.7.0.
"""


def weight_before_rms(graph: Graph, op: Operator) -> bool:
    """Whether it is the product in which the weight stands before the normalization."""
    return RMS_WEIGHT_FIRST.match(graph, op) is not None
