"""What an ONNX model carries: descriptions of its values, denotations of their types and axes, and the image
properties that ONNX defines (onnx/onnx, ``docs/MetadataProps.md`` and ``docs/TypeDenotation.md``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..formats.onnx.proto import prose
from .contract import Contract, Port, Preprocessing

if TYPE_CHECKING:
    from ..ir.model import Model

_TAGS = {"IMAGE": "image", "AUDIO": "audio", "TEXT": "text"}
_COLOURS = {"Gray8": "GRAY", "Rgb8": "RGB", "Bgr8": "BGR", "Rgba8": "RGBA", "Bgra8": "BGRA"}
_RANGES = {
    "NominalRange_0_255": (0.0, 255.0),
    "Normalized_0_1": (0.0, 1.0),
    "Normalized_1_1": (-1.0, 1.0),
    "NominalRange_16_235": (16.0, 235.0),
}
_AXES = {"DATA_BATCH": "N", "DATA_CHANNEL": "C"}


def carried(model: Model, found: Contract) -> Contract:
    """The contract with what the model says of its values."""
    proto = getattr(model.stored, "proto", None)
    if proto is None or not hasattr(proto, "graph"):
        return found
    properties = model.metadata.get("properties", {})
    infos = {prose(info.name): info for info in (*proto.graph.input, *proto.graph.output)}
    inputs, outputs = (
        tuple(_port(port, infos.get(port.name), properties) for port in ports)
        for ports in (found.inputs, found.outputs)
    )
    return replace(found, text=str(model.metadata.get("doc", "")), inputs=inputs, outputs=outputs)


def _port(port: Port, info: Any, properties: dict[str, str]) -> Port:
    if info is None:
        return port
    tag = _TAGS.get(prose(info.type.denotation))
    port = replace(port, text=prose(info.doc_string), tags=(tag,) if tag else ())
    if tag != "image":
        return port
    return replace(
        port,
        range=_RANGES.get(properties.get("Image.NominalPixelRange", "")),
        preprocessing=Preprocessing(
            _layout(info.type.tensor_type.shape.dim),
            _COLOURS.get(properties.get("Image.BitmapPixelFormat", ""), ""),
        ),
    )


def _layout(dims: Any) -> str:
    """The layout that the axes' denotations tell, empty where they tell none."""
    named = [prose(dim.denotation) for dim in dims]
    if len(named) != 4 or named.count("DATA_FEATURE") != 2:
        return ""
    letters = iter("HW")
    return "".join(_AXES.get(name) or next(letters, "?") for name in named)
