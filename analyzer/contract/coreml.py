"""What a Core ML model carries: descriptions, image types, class labels, and the preprocessing of its
NeuralNetwork (apple/coremltools, ``mlmodel/format/{Model,FeatureTypes,NeuralNetwork}.proto``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .carried import FEW
from .contract import Contract, Port, Preprocessing

if TYPE_CHECKING:
    from ..ir.model import Model

_COLOURS = {10: "GRAY", 20: "RGB", 30: "BGR", 40: "GRAY"}
"""``ImageFeatureType.ColorSpace``."""
_NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")


def carried(model: Model, found: Contract) -> Contract:
    """The contract with what the description says."""
    spec = getattr(model.stored, "spec", None)
    if spec is None:
        return found
    kind = spec.WhichOneof("Type")
    network = getattr(spec, kind) if kind in _NETWORKS else None
    told = {item.name: item for item in (*spec.description.input, *spec.description.output)}
    inputs = tuple(_port(port, told.get(port.name), network) for port in found.inputs)
    outputs = tuple(_port(port, told.get(port.name), None) for port in found.outputs)
    return replace(
        found,
        text=spec.description.metadata.shortDescription,
        inputs=inputs,
        outputs=_labelled(outputs, spec, kind),
    )


def _port(port: Port, item: Any, network: Any) -> Port:
    if item is None:
        return port
    port = replace(port, text=item.shortDescription)
    if item.type.WhichOneof("Type") != "imageType":
        return port
    image = item.type.imageType
    made = Preprocessing(
        "NCHW" if port.shape is not None and len(port.shape) == 4 else "",
        _COLOURS.get(image.colorSpace, ""),
        (image.height, image.width) if image.height and image.width else None,
    )
    made = replace(made, **_scaling(network, port.name, made.colour)) if network is not None else made
    return replace(port, tags=("image",), range=(0.0, 255.0), preprocessing=made)


def _scaling(network: Any, name: str, colour: str) -> dict[str, Any]:
    """Scale and bias of the preprocessing that the runtime does itself for that feature."""
    for item in network.preprocessing:
        if item.featureName not in ("", name):
            continue
        kind = item.WhichOneof("preprocessor")
        if kind == "scaler":
            scaler = item.scaler
            gray = (scaler.grayBias,)
            order = {"BGR": (scaler.blueBias, scaler.greenBias, scaler.redBias), "GRAY": gray}
            bias = order.get(colour, (scaler.redBias, scaler.greenBias, scaler.blueBias))
            return {"scale": (scaler.channelScale or 1.0,), "bias": bias}
        if kind == "meanImage":
            return {"bias": ()}
    return {}


def _labelled(ports: tuple[Port, ...], spec: Any, kind: str) -> tuple[Port, ...]:
    """Outputs of a classifier with its labels."""
    if kind != "neuralNetworkClassifier":
        return ports
    labels = tuple(spec.neuralNetworkClassifier.stringClassLabels.vector)
    name = spec.description.predictedProbabilitiesName
    return tuple(
        replace(port, tags=("probabilities",), labels=labels[:FEW], label_count=len(labels))
        if port.name == name
        else port
        for port in ports
    )
