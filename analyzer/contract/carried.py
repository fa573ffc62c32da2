"""The contract that a model has: its interface, and what it carries in the words of its format.

TFLite has metadata, Core ML descriptions, image types and the preprocessing of NeuralNetwork files, ONNX
denotations and image properties. A contract that accelint stored in the file comes first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .contract import Contract, Port, parse

if TYPE_CHECKING:
    from ..ir.graph import Graph, Tensor
    from ..ir.model import Model

KEY = "accelint.contract"
"""The property, user-defined entry or metadata buffer that holds a contract."""
_READERS = {"onnx": "onnx", "ort": "onnx", "tflite": "tflite", "mlmodel": "coreml", "mlpackage": "coreml"}
FEW = 8
"""Labels that are written out."""


def contract_of(model: Model) -> Contract:
    """What the model promises. Raises ModelError where what it carries is broken, UsageError where a
    contract that is stored in it is.
    """
    graph = model.graph
    found = Contract(
        model.format,
        tuple(_port(graph, name) for name in graph.inputs if not _is_state(graph.tensor(name))),
        tuple(_port(graph, name) for name in graph.outputs),
        tuple(_states(graph)),
        opsets={name or "ai.onnx": version for name, version in graph.opsets.items()}
        if _is_onnx(model)
        else {},
    )
    if reader := _READERS.get(model.format):
        found = import_module(f".{reader}", __package__).carried(model, found)
    stored = stored_in(model)
    return found if stored is None else _told(found, stored)


def stored_in(model: Model) -> Contract | None:
    """The contract that accelint wrote into the file, None where there is none. Raises UsageError."""
    words = model.metadata.get("properties", {}).get(KEY)
    kept = model.metadata.get("metadata", {}).get(KEY)
    if kept is not None:
        words = kept.raw().decode("utf-8", "replace").rstrip("\0")
    return parse(words, f"the contract in {model.path}") if words else None


def _is_onnx(model: Model) -> bool:
    return model.dialect == "onnx"


def _port(graph: Graph, name: str) -> Port:
    tensor: Tensor = graph.tensor(name)
    quant = tensor.quant
    port = Port(_outer(tensor), tensor.dtype, tensor.shape)
    if quant is None:
        return port
    axis = quant.axis if len(quant.scale) > 1 else None
    return replace(port, scale=quant.scale, zero_point=quant.zero_point, axis=axis)


def _outer(tensor: Tensor) -> str:
    return str(tensor.attrs.get("name", tensor.name))


def _states(graph: Graph) -> Iterable[Port]:
    """Values that live between calls: variables of TFLite, states of Core ML."""
    for tensor in graph.tensors.values():
        if _is_state(tensor):
            yield Port(_outer(tensor), tensor.dtype, tensor.shape, tags=("state",))


def _is_state(tensor: Tensor) -> bool:
    return bool(tensor.attrs.get("is_variable") or tensor.attrs.get("state"))


def _told(found: Contract, stored: Contract) -> Contract:
    """The model's interface with the meaning that the stored contract gives to ports of the same name."""
    inputs, outputs, states = (
        tuple(_meaning(port, next((item for item in told if item.name == port.name), None)) for port in ports)
        for ports, told in (
            (found.inputs, stored.inputs), (found.outputs, stored.outputs), (found.states, stored.states)
        )
    )  # fmt: skip
    return replace(found, text=stored.text or found.text, inputs=inputs, outputs=outputs, states=states)


def _meaning(port: Port, told: Port | None) -> Port:
    if told is None:
        return port
    kept: dict[str, Any] = {
        name: getattr(told, name) or getattr(port, name)
        for name in ("range", "text", "tags", "labels", "label_count")
    }
    return replace(port, preprocessing=merged(port.preprocessing, told.preprocessing), **kept)


def merged(under: Any, over: Any) -> Any:
    """Preprocessing with what ``over`` knows in place of what ``under`` does."""
    names = type(under).__slots__
    return type(under)(**{name: getattr(over, name) or getattr(under, name) for name in names})
