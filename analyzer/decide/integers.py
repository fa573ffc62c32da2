"""Models quantized to 8 bits, as ONNX Runtime's static quantization and TensorFlow's converter make them.

Nobody ran the model, so all ranges are one placeholder; where a kernel asks for a scale of its own, it has
that.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..ir.graph import Constant, Graph, Operator, Quantization, Tensor
from .problems import NotAssumed

if TYPE_CHECKING:
    from ..ir.model import Model

SINGLE = "float32"
SCALE = 1 / 32
_KEPT = {
    "Resize": (1, 2), "Upsample": (1,), "Clip": (1, 2), "Pad": (2,), "Dropout": (1,), "OneHot": (2,),
    "BatchNormalization": (1, 2, 3, 4), "Range": (0, 1, 2),
}  # fmt: skip
"""Operands that a quantizer leaves as they are."""
_BIAS = {"Conv": 2, "ConvTranspose": 2, "Gemm": 2}


def onnx(model: Model) -> None:
    """A QuantizeLinear and a DequantizeLinear at every float32 tensor of the main graph, weights stored as
    int8 and biases as int32 behind a DequantizeLinear.
    """
    graph = model.graph
    if any(op.type in ("QuantizeLinear", "DequantizeLinear") for op in graph.ops()):
        raise NotAssumed("the model is quantized already")
    opset = graph.opsets.get("", 1)
    if opset < 10:
        raise NotAssumed(f"operator set {opset} has no QuantizeLinear")
    pairs = _Pairs(graph, 13 if opset < 19 else 19)
    captured = {name for op in graph.ops() for body in op.graphs.values() for name in body.captures()}
    kept = captured | {
        name
        for op in graph.ops()
        for index in _KEPT.get(op.type, ())
        if index < len(op.inputs) and (name := op.inputs[index])
    }
    biases = {op.inputs[2] for op in graph.ops() if _BIAS.get(op.type) and len(op.inputs) > 2}
    for tensor in [item for item in graph.tensors.values() if item.dtype == SINGLE and item.name not in kept]:
        if tensor.const is not None:
            pairs.stored(tensor, "int32" if tensor.name in biases else "int8")
        elif tensor.name in graph.outputs:
            pairs.result(tensor)
        else:
            pairs.between(tensor)


class _Pairs:
    """Quantizing operators for the tensors of one graph."""

    def __init__(self, graph: Graph, version: int) -> None:
        self.graph = graph
        self.version = version

    def stored(self, tensor: Tensor, dtype: str) -> None:
        """A constant becomes integers and a DequantizeLinear that writes it."""
        assert tensor.const is not None
        if not self.graph.consumers(tensor.name):
            return
        const = quantized(tensor.const, dtype, SCALE)
        stored = self._tensor(tensor, f"{tensor.name}/quantized", dtype, const)
        self.graph.set_tensor(replace(tensor, const=None))
        self.graph.add_op(self._op("DequantizeLinear", (stored, *self._numbers(tensor, dtype)), tensor.name))

    def between(self, tensor: Tensor) -> None:
        """Whoever reads the tensor reads it rounded."""
        if not self.graph.consumers(tensor.name):
            return
        rounded = self._tensor(tensor, f"{tensor.name}/dequantized", SINGLE)
        self.graph.rewire(tensor.name, rounded)
        for op in self._pair(tensor, tensor.name, rounded):
            self.graph.add_op(op)

    def result(self, tensor: Tensor) -> None:
        """An output of the graph keeps its name, and what writes it another one."""
        writer = self.graph.producer(tensor.name)
        if writer is None:
            return
        inner = replace(tensor, name=self.graph.fresh(f"{tensor.name}/float"))
        outputs = tuple(inner.name if name == tensor.name else name for name in writer.outputs)
        self.graph.add_tensor(inner)
        pair = self._pair(tensor, inner.name, tensor.name)
        self.graph.replace([writer], [replace(writer, outputs=outputs), *pair])

    def _pair(self, like: Tensor, source: str, result: str) -> tuple[Operator, Operator]:
        numbers = self._numbers(like, "int8")
        inner = self._tensor(like, f"{like.name}/int8", "int8")
        return (
            self._op("QuantizeLinear", (source, *numbers), inner),
            self._op("DequantizeLinear", (inner, *numbers), result),
        )

    def _numbers(self, like: Tensor, dtype: str) -> tuple[str, str]:
        """The names of a scale and a zero point; results from 0 to 1 have their own."""
        writer = self.graph.producer(like.name)
        unit = writer is not None and writer.type in ("Softmax", "Sigmoid")
        scale = _scalar(SINGLE, 1 / 256 if unit else SCALE)
        zero = _scalar(dtype, -128 if unit else 0)
        return (
            self._tensor(replace(like, shape=()), f"{like.name}/scale", SINGLE, scale),
            self._tensor(replace(like, shape=()), f"{like.name}/zero", dtype, zero),
        )

    def _tensor(self, like: Tensor, stem: str, dtype: str, const: Constant | None = None) -> str:
        name = self.graph.fresh(stem)
        self.graph.add_tensor(Tensor(name, dtype, like.shape, const))
        return name

    def _op(self, type: str, inputs: tuple[str, ...], output: str) -> Operator:
        id = self.graph.fresh_id()
        return Operator(id, type, inputs, (output,), name=id, version=self.version)


def _scalar(dtype: str, value: float) -> Constant:
    import struct

    data = struct.pack({SINGLE: "<f", "int8": "<b", "int32": "<i"}[dtype], value)
    return Constant(dtype, (), length=len(data), inline=data)


def quantized(const: Constant, dtype: str, scale: float) -> Constant:
    """The same numbers as integers, rounded when somebody reads them."""

    def load() -> bytes:
        import numpy as np

        limits = np.iinfo(dtype)
        values = np.rint(np.nan_to_num(const.read()) / scale)
        data: bytes = np.clip(values, limits.min, limits.max).astype(dtype).tobytes()
        return data

    width = 1 if dtype == "int8" else 4
    return Constant(dtype, const.shape, length=const.elements * width, loader=load)


# ---- TFLite ----------------------------------------------------------------------------------

_FIXED = {
    "SOFTMAX": (1 / 256, -128), "LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0),
    "L2_NORMALIZATION": (1 / 128, 0), "LOG_SOFTMAX": (16 / 256, 127),
}  # fmt: skip
"""Scale and zero point that the kernels ask of a result. Source: LiteRT, the kernels' Prepare."""
_SAME = {
    "RESHAPE", "TRANSPOSE", "MAX_POOL_2D", "AVERAGE_POOL_2D", "SLICE", "STRIDED_SLICE", "SPLIT", "GATHER",
    "PAD",
    "SQUEEZE", "EXPAND_DIMS", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "TILE", "SPACE_TO_DEPTH",
    "DEPTH_TO_SPACE", "MIRROR_PAD", "UNPACK", "BROADCAST_TO", "CONCATENATION", "PACK",
}  # fmt: skip
"""Operators whose results have the quantization of what they read."""
_WEIGHTS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "TRANSPOSE_CONV": 0}
"""Operators with weights that are quantized by channel, and the axis."""
_BIASES = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
_READ = {"TRANSPOSE_CONV": 2}
_SECOND = (
    "ADD", "SUB", "MUL", "SOFTMAX", "LOGISTIC", "TANH", "AVERAGE_POOL_2D", "MAX_POOL_2D", "CONCATENATION",
    "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SPACE_TO_DEPTH", "STRIDED_SLICE", "SLICE", "TRANSPOSE",
    "PAD", "MEAN",
    "GATHER", "SPLIT", "SUM", "RELU", "RELU6", "LEAKY_RELU", "MINIMUM", "MAXIMUM", "L2_NORMALIZATION", "PACK",
    "TRANSPOSE_CONV", "LOG_SOFTMAX", "REDUCE_MAX", "UNPACK",
)  # fmt: skip
_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4} | dict.fromkeys(_SECOND, 2)
"""Versions of the int8 forms. Source: LiteRT, tflite/converter/tools/versioning/op_version.cc."""


def tflite(model: Model) -> None:
    """Every float32 tensor is int8, biases are int32, inputs and outputs included: a full-integer model."""
    graphs = {id(owner): owner for owner, _ in model.operators()}
    if any(tensor.quant is not None for graph in graphs.values() for tensor in graph.tensors.values()):
        raise NotAssumed("the model is quantized already")
    for graph in graphs.values():
        plain = Quantization((SCALE,), (0,))
        axes = {op.input(1): _WEIGHTS[op.type] for op in graph.ops() if op.type in _WEIGHTS}
        quants = {name: _quant(op, plain) for op in graph.ops() for name in op.outputs if name}
        for op in graph.ops():
            if op.type in _SAME:
                source = op.inputs[1] if op.type == "SPLIT" else op.inputs[0]
                quants.update((name, quants.get(source or "", plain)) for name in op.outputs if name)
        for name, axis in axes.items():
            tensor = graph.find(name or "")
            if tensor is not None and tensor.const is not None and len(tensor.const.shape) > axis:
                channels = tensor.const.shape[axis]
                quants[tensor.name] = Quantization((SCALE,) * channels, (0,) * channels, axis)
        biases = {
            name: _of_bias(quants.get(op.input(_READ.get(op.type, 0)) or "", plain), weights)
            for op in graph.ops()
            if (name := op.input(_BIASES.get(op.type, -1)))
            for weights in [quants.get(op.input(1) or "", plain)]
        }
        for tensor in [item for item in graph.tensors.values() if item.dtype == SINGLE]:
            dtype = "int32" if tensor.name in biases else "int8"
            quant = biases.get(tensor.name) or quants.get(tensor.name, plain)
            const = None if tensor.const is None else quantized(tensor.const, dtype, quant.scale[0])
            graph.set_tensor(replace(tensor, dtype=dtype, const=const, quant=quant))
        for op in graph.ops():
            version = max(op.version, _VERSIONS.get(op.type, 1))
            if version != op.version:
                graph.update(op, version=version)


def _quant(op: Operator, plain: Quantization) -> Quantization:
    scale = _FIXED.get(op.type)
    return plain if scale is None else Quantization((scale[0],), (scale[1],))


def _of_bias(read: Quantization, weights: Quantization) -> Quantization:
    """A bias is added to products of what is read and the weights: their scales multiply."""
    axis = None if weights.axis is None else 0
    return Quantization(tuple(read.scale[0] * item for item in weights.scale), weights.zero_point, axis)
