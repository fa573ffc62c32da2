"""Shapes of Microsoft's operators, which onnx's inference does not know: a standard operator of the same
result stands in for each.

ONNX Runtime infers them with schemas of its own (``core/graph/contrib_ops``). Quantizers write them for 16
and 4 bits before operator set 21, and its optimizer writes the activations and the normalizations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .proto import pb

DOMAIN = "com.microsoft"
STAND_INS: Mapping[str, tuple[str, Sequence[int]]] = {
    "QuantizeLinear": ("QuantizeLinear", (0, 1, 2)),
    "DequantizeLinear": ("DequantizeLinear", (0, 1, 2)),
    "Gelu": ("Identity", (0,)),
    "QuickGelu": ("Identity", (0,)),
    "FastGelu": ("Identity", (0,)),
    "BiasGelu": ("Identity", (0,)),
    "RotaryEmbedding": ("Identity", (0,)),
    "SkipLayerNormalization": ("Identity", (0,)),
    "SkipSimplifiedLayerNormalization": ("Identity", (0,)),
    "SimplifiedLayerNormalization": ("Identity", (0,)),
    "GroupNorm": ("Identity", (0,)),
    "FusedConv": ("Conv", (0, 1, 2)),
    "FusedGemm": ("Gemm", (0, 1, 2)),
    "DynamicQuantizeMatMul": ("MatMul", (0, 1)),
    "EmbedLayerNormalization": ("Gather", (2, 0)),
    "DynamicQuantizeLSTM": ("LSTM", (0, 1, 2)),
    "QLinearAdd": ("Add", (0, 3)),
    "QLinearMul": ("Mul", (0, 3)),
    "QLinearSigmoid": ("Identity", (0,)),
    "QLinearLeakyRelu": ("Identity", (0,)),
    "QLinearSoftmax": ("Identity", (0,)),
    "QLinearConcat": ("Concat", range(2, 3000, 3)),
    "QLinearAveragePool": ("AveragePool", (0,)),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", (0,)),
}
"""The standard operator whose first result has the same shape and dtype, and the inputs that it reads."""
BLOCKED = "com.microsoft.nchwc"
"""What ONNX Runtime's highest optimization level makes of convolutions for its CPU kernels, with channels in
blocks: in models that it saved. Their shapes are those of the standard operators.
"""
BLOCKED_STAND_INS: Mapping[str, tuple[str, Sequence[int]]] = {
    "AveragePool": ("AveragePool", (0,)),
    "Conv": ("Conv", (0, 1, 2)),
    "GlobalAveragePool": ("GlobalAveragePool", (0,)),
    "GlobalMaxPool": ("GlobalMaxPool", (0,)),
    "MaxPool": ("MaxPool", (0,)),
    "ReorderInput": ("Identity", (0,)),
}
_UNBLOCKED = "ReorderOutput"
"""Back to plain channels, whose number is an attribute."""
_NEAR = "SimplifiedLayerNormalization"
"""Microsoft's, and written in the standard domain."""
_TURNED: Mapping[str, tuple[str, str, Sequence[int]]] = {
    "FusedMatMul": ("...", "...", (0, 1)),
    "QGemm": ("", "", (0, 3)),
}
"""Products of operands that ``transA`` and ``transB`` turn: what precedes the letters of each operand in an
Einsum, and the inputs.
"""
GUESS = "Einsum"
"""A stand-in that may not fit where what it stands for does: onnx's takes operands of one rank."""
_OPSET = 13
"""The operator set of the stand-ins: in a model of an older one, or that imports none, each is put into a
local function of that set, since Microsoft's operators do not depend on the standard operator set.
"""
_TURNS = ("transA", "transB", "transBatchA", "transBatchB")
_COLUMNS: Mapping[str, str] = {"MatMulNBits": "N"}
"""Products with a packed matrix: the attribute that counts its columns, ``K`` counts the rows."""


def with_stand_ins(data: bytes) -> tuple[bytes, list[tuple[int, Any]]] | None:
    """The serialized model with stand-ins, and the nodes that they replace by position; None when it has
    none.
    """
    if DOMAIN.encode() not in data and _NEAR.encode() not in data:
        return None
    proto = pb().ModelProto.FromString(data)
    replaced = []
    opset = max((item.version for item in proto.opset_import if item.domain in ("", "ai.onnx")), default=0)
    for index, node in enumerate(proto.graph.node):
        if _replaceable(node):
            replaced.append((index, pb().NodeProto.FromString(node.SerializeToString())))
            _stand_in(proto.graph, node)
            if opset < _OPSET and node.domain == "":
                _in_a_function(proto, node, index)
    return (bytes(proto.SerializeToString()), replaced) if replaced else None


def _replaceable(node: Any) -> bool:
    if node.domain == BLOCKED:
        return node.op_type in BLOCKED_STAND_INS or node.op_type == _UNBLOCKED
    ours = node.domain == DOMAIN and node.op_type in (*STAND_INS, *_TURNED, *_COLUMNS)
    return ours or node.op_type == _NEAR


def restored(data: bytes, replaced: list[tuple[int, Any]]) -> bytes:
    """The inferred model with its own nodes again, without what the stand-ins needed."""
    proto = pb().ModelProto.FromString(data)
    for index, node in replaced:
        proto.graph.node[index].CopyFrom(node)
        _second_results(proto.graph, node)
    for items, name in (
        (proto.graph.value_info, "name"),
        (proto.functions, "domain"),
        (proto.opset_import, "domain"),
    ):
        for item in [item for item in items if getattr(item, name).startswith(_MADE)]:
            items.remove(item)
    return bytes(proto.SerializeToString())


_MADE = "com.microsoft::"
_SUMS: Mapping[str, int] = {
    "SkipLayerNormalization": 3,
    "SkipSimplifiedLayerNormalization": 3,
    "EmbedLayerNormalization": 2,
}
"""Results that are like the first: the sum before a normalization."""


def _second_results(graph: Any, node: Any) -> None:
    known = {info.name: info.type for info in (*graph.value_info, *graph.output)}
    first, place = known.get(node.output[0]), _SUMS.get(node.op_type, 0)
    if first is None or not place:
        return
    if len(node.output) > place and node.output[place] and node.output[place] not in known:
        graph.value_info.add(name=node.output[place]).type.CopyFrom(first)
    if (
        node.op_type == "EmbedLayerNormalization"
        and len(node.output) > 1
        and node.output[1]
        and node.output[1] not in known
    ):
        mask = graph.value_info.add(name=node.output[1]).type.tensor_type
        mask.elem_type = 6
        mask.shape.dim.extend(first.tensor_type.shape.dim[:1])


def _stand_in(graph: Any, node: Any) -> None:
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    if node.domain == BLOCKED:
        _plain(graph, node, attributes)
    elif node.op_type in _TURNED:
        _product(graph, node, attributes)
    elif node.op_type in _COLUMNS:
        matrix = graph.value_info.add(name=f"{_MADE}{node.output[0]}")
        matrix.type.tensor_type.elem_type = 1
        for size in (attributes.get("K", 0), attributes.get(_COLUMNS[node.op_type], 0)):
            matrix.type.tensor_type.shape.dim.add(dim_value=size)
        _become(node, "MatMul", [node.input[0], matrix.name], keep=False)
    else:
        kind, places = STAND_INS[node.op_type]
        inputs = [node.input[place] for place in places if place < len(node.input)]
        if kind == "Gather":
            del node.output[1:]
        _become(node, kind, inputs, keep=kind not in ("Identity", "Gather"))


def _plain(graph: Any, node: Any, attributes: Mapping[str, int]) -> None:
    """An operator on blocked channels; the way back is a convolution to as many channels, by one element."""
    if node.op_type in BLOCKED_STAND_INS:
        kind, places = BLOCKED_STAND_INS[node.op_type]
        inputs = [node.input[place] for place in places if place < len(node.input)]
        _become(node, kind, inputs, keep=kind != "Identity")
        return
    filters = graph.value_info.add(name=f"{_MADE}{node.output[0]}")
    filters.type.tensor_type.elem_type = 1
    for size in (attributes.get("channels", 0), None, 1, 1):
        filters.type.tensor_type.shape.dim.add(**({} if size is None else {"dim_value": size}))
    _become(node, "Conv", [node.input[0], filters.name], keep=False)


def _in_a_function(proto: Any, node: Any, index: int) -> None:
    """Replace a stand-in by a call of a local function that holds it alone."""
    call = f"StandIn{index}"
    function = proto.functions.add(name=call, domain=_MADE)
    function.opset_import.add(domain="", version=_OPSET)
    body = function.node.add()
    body.CopyFrom(node)
    if not any(item.domain == _MADE for item in proto.opset_import):
        proto.opset_import.add(domain=_MADE, version=1)
    used = list(dict.fromkeys(name for name in node.input if name))
    function.input.extend(used)
    function.output.extend(node.output)
    del node.attribute[:], node.input[:]
    node.input.extend(used)
    node.op_type, node.domain = call, _MADE


def _product(graph: Any, node: Any, attributes: Mapping[str, int]) -> None:
    """A MatMul of stored weights, which are turned here, or else an Einsum, which onnx infers for operands of
    one rank; where the result of quantized operands is not quantized, its dtype is not theirs and nothing
    stands in.
    """
    before, after, places = _TURNED[node.op_type]
    if node.op_type == "QGemm" and len(node.input) < 9:
        return
    inputs = [node.input[place] for place in places]
    if (turned := _turned_weights(graph, node.output[0], inputs[1], attributes)) is not None:
        _become(node, "MatMul", [inputs[0], turned], keep=False)
        return
    if node.op_type == "FusedMatMul" and not any(attributes.get(key) for key in _TURNS):
        _become(node, "MatMul", inputs, keep=False)
        return
    left = "ji" if attributes.get("transA") else "ij"
    right = "kj" if attributes.get("transB") else "jk"
    _become(node, GUESS, inputs, keep=False)
    node.attribute.add(name="equation", type=3, s=f"{before}{left},{after}{right}->{before}ik".encode())


def _turned_weights(graph: Any, result: str, name: str, attributes: Mapping[str, int]) -> str | None:
    """The name of a tensor of the weights' shape as MatMul reads them; None where they are not stored, or
    another operand is turned as well.
    """
    stored = next((item for item in graph.initializer if item.name == name and len(item.dims) > 1), None)
    if stored is None or any(attributes.get(key) for key in ("transA", "transBatchA", "transBatchB")):
        return None
    rows, columns = stored.dims[-2:]
    matrix = (columns, rows) if attributes.get("transB") else (rows, columns)
    turned = graph.value_info.add(name=f"{_MADE}{result}")
    turned.type.tensor_type.elem_type = stored.data_type
    for size in (*stored.dims[:-2], *matrix):
        turned.type.tensor_type.shape.dim.add(dim_value=size)
    return str(turned.name)


def _become(node: Any, kind: str, inputs: list[str], *, keep: bool) -> None:
    if not keep:
        del node.attribute[:]
    if kind == "Identity":
        del node.output[1:]
    node.op_type, node.domain = kind, ""
    del node.input[:]
    node.input.extend(inputs)
