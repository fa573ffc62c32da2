"""Models with half-precision numbers, as converters make them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..ir.graph import Constant, Graph, Operator, Tensor

if TYPE_CHECKING:
    from ..ir.model import Model

SINGLE, HALF = "float32", "float16"
_KEPT = {"Resize": (1, 2), "Upsample": (1,)}
"""Operands that stay float32 by their operator's schema."""
_TYPES = {"Cast": "to", "EyeLike": "dtype", "RandomNormal": "dtype", "RandomUniform": "dtype"}
_TYPES |= {"RandomNormalLike": "dtype", "RandomUniformLike": "dtype", "Multinomial": "dtype"}
"""Attributes that name the type of the result, by ONNX's number: 1 is float32, 10 float16."""


def onnx(model: Model) -> None:
    """Every float32 tensor, constant, input and output is float16."""
    graphs = {id(graph): graph for graph in (model.graph, *model.graphs.values())}
    graphs |= {id(owner): owner for owner, _ in model.operators()}
    graphs |= {id(body): body for body in model.functions.values()}
    for graph in graphs.values():
        kept = {
            op.inputs[index]
            for op in graph.ops()
            for index in _KEPT.get(op.type, ())
            if index < len(op.inputs)
        }
        for tensor in list(graph.tensors.values()):
            if tensor.dtype == SINGLE and tensor.name not in kept:
                const = None if tensor.const is None else half(tensor.const)
                graph.set_tensor(replace(tensor, dtype=HALF, const=const))
        for op in graph.ops():
            _attributes(graph, op, kept)


def _attributes(graph: Graph, op: Operator, kept: set[str | None]) -> None:
    if kept.intersection(op.outputs):
        return
    name = _TYPES.get(op.type)
    attrs = dict(op.attrs)
    if name and attrs.get(name) == 1:
        attrs[name] = 10
    value = attrs.get("value")
    if isinstance(value, Constant) and value.dtype == SINGLE:
        attrs["value"] = half(value)
    if attrs != dict(op.attrs):
        graph.update(op, attrs=attrs)


def tflite(model: Model) -> None:
    """Weights are float16 behind a DEQUANTIZE, which is what TensorFlow's converter makes."""
    graphs = {id(owner): owner for owner, _ in model.operators()}
    for graph in graphs.values():
        for tensor in list(graph.tensors.values()):
            if tensor.dtype != SINGLE or tensor.const is None or not graph.consumers(tensor.name):
                continue
            stored = Tensor(graph.fresh(f"{tensor.name}/half"), HALF, tensor.shape, half(tensor.const))
            graph.set_tensor(replace(tensor, const=None))
            graph.add_tensor(stored)
            id_ = graph.fresh_id()
            graph.add_op(Operator(id_, "DEQUANTIZE", (stored.name,), (tensor.name,), name=id_, version=3))


def half(const: Constant) -> Constant:
    """The same numbers, rounded when somebody reads them."""

    def load() -> bytes:
        import numpy as np

        with np.errstate(over="ignore"):
            return const.read().astype(np.float16).tobytes()

    return Constant(HALF, const.shape, length=const.elements * 2, loader=load)
