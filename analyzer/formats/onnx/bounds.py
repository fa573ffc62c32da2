"""Whether onnx's shape inference is sure to be short and small for a model, told without running it.

Its C++ loops over the dimensions of shapes and over the values that it follows. Both can grow without bound
from a few hundred bytes: each Gather of a tensor by itself doubles a rank, each Concat with itself doubles a
list, a shape operand of 2^60 elements makes as many dimensions, and Einsum has looped for ever over an
equation of two dots. So an upper bound of every rank and of every list is worked out here, in the order of
the nodes, for the operators whose inference was read (onnx 1.17 to 1.23, ``onnx/defs``). Where one is not
bounded, an operator is not among those, or the model has functions, ``sure`` says no and ``guard`` lets a
child process do the work.
"""

from __future__ import annotations

import re
from typing import Any

RANK = 64
"""Highest rank of a tensor."""
FOLLOWED = 100_000
"""Elements of all lists that are followed."""
WORK = 5_000_000
"""Dimensions that are looked at, all nodes together, and names that bodies copy from the graph around
them.
"""
_DEPTH = 16
"""Bodies within bodies."""

_ALIKE = frozenset({
    "Abs", "Acos", "Add", "And", "ArgMax", "ArgMin", "Asin", "Atan", "AveragePool", "BatchNormalization",
    "Cast", "CastLike", "Ceil", "Celu", "Clip", "Concat", "Conv", "ConvInteger", "ConvTranspose", "Cos",
    "CumSum", "DepthToSpace", "DequantizeLinear", "Div", "Dropout", "DynamicQuantizeLinear", "Elu",
    "Equal", "Erf", "Exp", "EyeLike", "Flatten", "Floor", "GRU", "GatherElements", "Gelu", "Gemm",
    "GlobalAveragePool", "GlobalMaxPool", "Greater", "GreaterOrEqual", "GroupNormalization",
    "HardSigmoid", "HardSwish", "Hardmax", "Identity", "InstanceNormalization", "IsInf", "IsNaN", "LRN",
    "LSTM", "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax",
    "LpNormalization", "LpPool", "MatMul", "MatMulInteger", "Max", "MaxPool", "Mean", "Min", "Mish",
    "Mod", "Mul", "Neg", "NonMaxSuppression", "NonZero", "Not", "Or", "PRelu", "Pad", "Pow",
    "QLinearConv", "QLinearMatMul", "QuantizeLinear", "RMSNormalization", "RNN", "Range", "Reciprocal",
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
    "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu", "Round", "ScatterElements", "ScatterND", "Selu",
    "Shape", "Sigmoid", "Sign", "Sin", "Sinh", "Size", "Slice", "Softmax", "Softplus", "Softsign",
    "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tan", "Tanh", "ThresholdedRelu", "TopK",
    "Transpose", "Trilu", "Where", "Xor",
})  # fmt: skip
"""Operators whose results have at most the rank of their highest operand (or 4)."""
_SHAPED = {"Reshape": 1, "Expand": 1, "ConstantOfShape": 0, "Tile": 1, "Resize": 3, "Upsample": 1}
"""Operators that make a dimension of each element of this operand."""
_ELEMENTWISE = frozenset({
    "Abs", "Add", "And", "Cast", "Div", "Equal", "Greater", "Identity", "Less", "Max", "Min", "Mod",
    "Mul", "Neg", "Not", "Or", "Sub", "Where",
})  # fmt: skip
_SHRINKING = frozenset({
    "AveragePool", "Conv", "ConvInteger", "ConvTranspose", "LpPool", "MaxPool", "Pad", "QLinearConv",
    "Resize", "TopK", "Upsample",
})  # fmt: skip
"""Operators for whose results onnx infers a size below zero: a kernel longer than its operand, a k of -3."""
_PLAIN_EQUATION = re.compile(rb"[a-zA-Z]*(,[a-zA-Z]*)*(->[a-zA-Z]*)?")
_EQUATION = re.compile(
    rb"[a-zA-Z ]*(\.\.\.[a-zA-Z ]*)?(,[a-zA-Z ]*(\.\.\.[a-zA-Z ]*)?)*(->[a-zA-Z ]*(\.\.\.[a-zA-Z ]*)?)?"
)
_MICROSOFT = "com.microsoft"


def sure(proto: Any) -> bool:
    """Whether inference on a ModelProto, with values followed or not, takes little for certain."""
    return not proto.functions and _Bounds().graph(proto.graph, 0)


def malformed(proto: Any) -> str:
    """What onnx is known not to survive: an equation outside the grammar that ONNX documents; empty when
    there is nothing.
    """
    todo = [proto.graph, *proto.functions]
    while todo:
        for node in todo.pop().node:
            for item in node.attribute:
                todo += [item.g, *item.graphs] if item.type in (5, 10) else []
                if node.op_type == "Einsum" and item.name == "equation" and not _is_equation(item.s):
                    return (
                        f"the equation {item.s[:60].decode('utf-8', 'replace')!r} of an Einsum is malformed"
                    )
    return ""


def _is_equation(text: bytes) -> bool:
    return len(text) < 4096 and _EQUATION.fullmatch(text) is not None


class _Bounds:
    """Upper bounds by tensor, filled in the order of the nodes.

    A tensor that is not in ``ranks`` has no shape that onnx would know; one that is not in ``lengths`` has
    no bound on its number of elements (of a list or scalar), which matters only where that becomes a rank.
    """

    def __init__(self) -> None:
        self.ranks: dict[str, int] = {}
        self.lengths: dict[str, int] = {}
        self.steps: dict[str, int] = {}
        self.shape_of: dict[str, str] = {}
        self.negative: set[str] = set()
        """Tensors that may have a size below zero, with which onnx's Slice ends the process."""
        self.work = self.followed = self.names = 0

    def graph(self, graph: Any, depth: int) -> bool:
        """Take in a graph and its bodies; False when something has no bound."""
        if depth > _DEPTH:
            return False
        self.work += self.names  # a body begins with a copy of all names around it
        for info in (*graph.input, *graph.value_info, *graph.output):
            if not self._stated(info):
                return False
        for tensor in graph.initializer:
            if min(tensor.dims, default=0) < 0:
                return False
            self._value(tensor.name, tensor)
        for sparse in graph.sparse_initializer:
            self.ranks[sparse.values.name] = len(sparse.dims)
        self.names += len(graph.node) + len(graph.initializer)
        return all(self._node(node, depth) for node in graph.node) and self._within()

    def _within(self) -> bool:
        return self.work <= WORK and self.followed <= FOLLOWED

    def _stated(self, info: Any) -> bool:
        kind = info.type.tensor_type
        if not info.type.HasField("tensor_type") or not kind.HasField("shape"):
            return info.type.WhichOneof("value") in (None, "tensor_type")
        rank = len(kind.shape.dim)
        self.ranks[info.name] = max(rank, self.ranks.get(info.name, 0))
        if rank == 0 or (rank == 1 and kind.shape.dim[0].HasField("dim_value")):
            length = kind.shape.dim[0].dim_value if rank else 1
            self.lengths[info.name] = max(length, self.lengths.get(info.name, 0))
        return rank <= RANK and all(dim.dim_value >= 0 for dim in kind.shape.dim)

    def _value(self, name: str, tensor: Any) -> None:
        self.ranks[name] = len(tensor.dims)
        if len(tensor.dims) <= 1:
            self.lengths[name] = max(tensor.dims[0], 0) if tensor.dims else 1
            if self.lengths[name] <= 1:
                self.steps[name] = _first(tensor)

    def _node(self, node: Any, depth: int) -> bool:
        if node.domain not in ("", "ai.onnx"):
            return self._foreign(node)
        kind = node.op_type
        if kind == "Constant":
            return self._constant(node)
        if kind in ("If", "Loop", "Scan"):
            return self._bodies(node, depth)
        rank = self._rank(node, kind)
        if rank is None or rank > RANK or (kind == "Slice" and not self._slice(node, depth)):
            return False
        if kind in _SHRINKING or (kind != "Shape" and not self.negative.isdisjoint(node.input)):
            self.negative.update(node.output)
        return self._set(node, max(rank, self._length(node, kind) is not None), self._length(node, kind))

    def _set(self, node: Any, rank: int, length: int | None) -> bool:
        for name in node.output:
            self.ranks[name] = max(rank, self.ranks.get(name, 0))
            if length is not None:
                self.lengths[name] = max(length, self.lengths.get(name, 0))
                self.followed += length
        self.work += rank * (len(node.output) + len(node.input)) + 1
        return self.work <= WORK

    def _rank(self, node: Any, kind: str) -> int | None:
        """Of the results, None where nothing bounds it."""
        highest = max((self.ranks.get(name, 0) for name in node.input), default=0)
        if kind in _ALIKE:
            return max(highest, 4)
        if kind in _SHAPED:
            return self._shaped(node, kind, highest)
        if kind in ("Gather", "GatherND"):
            return sum(self.ranks.get(name, 0) for name in node.input)
        if kind == "OneHot":
            return highest + 1
        if kind == "Unsqueeze":
            added = self._axes(node)
            return None if added is None else highest + added
        if kind == "Einsum":
            return 52 if self._plain_equation(node) else None
        return None

    def _shaped(self, node: Any, kind: str, highest: int) -> int | None:
        place = _SHAPED[kind]
        if len(node.input) <= place or not node.input[place]:
            attributes = [len(item.ints) + len(item.floats) for item in node.attribute]
            return max([highest, *attributes])
        length = self.lengths.get(node.input[place])
        return None if length is None else max(highest, length)

    def _axes(self, node: Any) -> int | None:
        if len(node.input) > 1:
            return self.lengths.get(node.input[1])
        return sum(len(item.ints) for item in node.attribute if item.name == "axes")

    def _plain_equation(self, node: Any) -> bool:
        texts: list[bytes] = [item.s for item in node.attribute if item.name == "equation"]
        if len(texts) != 1 or _PLAIN_EQUATION.fullmatch(texts[0]) is None or len(texts[0]) > 256:
            return False
        operands: int = len(node.input)
        return texts[0].partition(b"->")[0].count(b",") + 1 == operands

    def _slice(self, node: Any, depth: int) -> bool:
        operands = node.input[:1] if depth == 0 else self.negative  # a body has its own names for them
        return self._steps(node) and self.negative.isdisjoint(operands)

    def _steps(self, node: Any) -> bool:
        """Steps are added to an int in C++: one that is large or unknown may never pass the end."""
        return len(node.input) < 5 or not node.input[4] or 0 < abs(self.steps.get(node.input[4], 0)) < 1 << 16

    def _length(self, node: Any, kind: str) -> int | None:
        """How many elements a list or scalar that the operator gives has at most, None where that is
        unknown.
        """
        given = [self.lengths.get(name) for name in node.input if name]
        if kind == "Shape" and node.input:
            self.shape_of[node.output[0]] = node.input[0]
            return max(self.ranks.get(node.input[0], 0), 1)
        if kind == "Size":
            return 1
        if kind == "ConstantOfShape" and node.input:
            return self.lengths.get(self.shape_of.get(node.input[0], ""))
        if kind == "Gather" and len(given) == 2:
            return given[1] if given[0] is not None else None
        if kind in ("Slice", "Squeeze", "Unsqueeze") and given:
            return given[0]
        if kind == "Concat" and None not in given:
            return sum(filter(None, given))
        if kind in _ELEMENTWISE and given and None not in given:
            return max(filter(None, given), default=1)
        return None

    def _constant(self, node: Any) -> bool:
        for item in node.attribute:
            if item.HasField("t"):
                self._value(node.output[0], item.t)
            elif item.type in (6, 7, 8):
                self.lengths[node.output[0]] = len(item.ints) + len(item.floats) + len(item.strings)
                self.ranks[node.output[0]] = 1
            else:
                self.lengths[node.output[0]], self.ranks[node.output[0]] = 1, 0
                self.steps[node.output[0]] = item.i
        return self.ranks.get(next(iter(node.output), ""), 0) <= RANK

    def _foreign(self, node: Any) -> bool:
        """onnx knows no shape of it; of some of Microsoft's, what stands in for them (``contrib``)."""
        if node.domain.startswith("ai.onnx"):
            return False
        if node.domain != _MICROSOFT:
            return True
        ranks = [self.ranks.get(name, 0) for name in node.input]
        rank = sum(ranks) if node.op_type == "EmbedLayerNormalization" else max([4, *ranks])
        return rank <= RANK and self._set(node, rank, None)

    def _bodies(self, node: Any, depth: int) -> bool:
        """Inferred once a node: what is carried into a body has at most the ranks of what the node reads."""
        highest = max((self.ranks.get(name, 0) for name in node.input), default=0)
        for item in node.attribute:
            if item.type == 10:
                return False
            if item.type != 5:
                continue
            for info in item.g.input:
                self.ranks[info.name] = max(highest, self.ranks.get(info.name, 0))
                self.lengths.pop(info.name, None)
            if not self.graph(item.g, depth + 1):
                return False
            highest = max([highest, *(self.ranks.get(info.name, 0) for info in item.g.output)])
        return highest < RANK and self._set(node, highest + 1, None)


def _first(tensor: Any) -> int:
    """The one number of a small tensor of whole numbers, 0 for any other."""
    if tensor.data_type not in (6, 7):
        return 0
    stored = (*tensor.int64_data, *tensor.int32_data)
    return stored[0] if stored else int.from_bytes(tensor.raw_data, "little", signed=True)
