"""Shapes of Microsoft's operators, which onnx's inference does not know: a standard operator of the same result stands in for each.

ONNX Runtime infers them with schemas of its own (``core/graph/contrib_ops``). Quantizers write them for 16 and 4 bits before
operator set 21, and its optimizer writes the activations and the normalizations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .onnx_proto import pb

DOMAIN = "com.microsoft"
STAND_INS: Mapping[str, tuple[str, int]] = {
    "QuantizeLinear": ("QuantizeLinear", 3), "DequantizeLinear": ("DequantizeLinear", 3), "Gelu": ("Identity", 1),
    "QuickGelu": ("Identity", 1), "FastGelu": ("Identity", 1), "BiasGelu": ("Identity", 1), "RotaryEmbedding": ("Identity", 1),
    "SkipLayerNormalization": ("Identity", 1), "SkipSimplifiedLayerNormalization": ("Identity", 1), "FusedConv": ("Conv", 3),
    "QLinearAdd": ("Add", 2), "QLinearMul": ("Mul", 2), "QLinearSigmoid": ("Identity", 1), "QLinearLeakyRelu": ("Identity", 1),
    "QLinearSoftmax": ("Identity", 1),
}  # fmt: skip
"""The standard operator whose first result has the same shape, and how many inputs it shares; dtypes agree as well."""
_OPERANDS: Mapping[str, tuple[int, ...]] = {"QLinearAdd": (0, 3), "QLinearMul": (0, 3)}
"""Positions of those inputs, where they are not the first."""


def with_stand_ins(data: bytes) -> tuple[bytes, list[tuple[int, Any]]] | None:
    """The serialized model with stand-ins, and the nodes that they replace by position; None when it has none."""
    if DOMAIN.encode() not in data:
        return None
    proto = pb().ModelProto.FromString(data)
    replaced = []
    for index, node in enumerate(proto.graph.node):
        if node.domain == DOMAIN and node.op_type in STAND_INS:
            replaced.append((index, pb().NodeProto.FromString(node.SerializeToString())))
            _stand_in(node)
    return (bytes(proto.SerializeToString()), replaced) if replaced else None


def restored(data: bytes, replaced: list[tuple[int, Any]]) -> bytes:
    """The inferred model with its own nodes again."""
    proto = pb().ModelProto.FromString(data)
    for index, node in replaced:
        proto.graph.node[index].CopyFrom(node)
    return bytes(proto.SerializeToString())


def _stand_in(node: Any) -> None:
    kind, count = STAND_INS[node.op_type]
    places = _OPERANDS.get(node.op_type, range(count))
    inputs = [node.input[place] for place in places if place < len(node.input)]
    if kind == "Identity":
        del node.attribute[:]
        del node.output[1:]
    node.op_type, node.domain = kind, ""
    del node.input[:]
    node.input.extend(inputs)
