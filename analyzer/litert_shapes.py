"""Shapes in TFLite models, worked out by LiteRT's own kernels: the model is loaded and its tensors are allocated, nothing is run."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..rewrites.freeze import learn
from .errors import RuntimeFailure

if TYPE_CHECKING:
    from .model import Model


def infer_litert(model: Model) -> None:
    """Write every shape that LiteRT knows before the model runs into the main graph.

    Raises RuntimeFailure, with the runtime's words, when LiteRT is missing or cannot plan the model in these shapes.
    """
    from .formats.tflite_writer import tensors_in_order, to_bytes
    from .runtimes import Request, Session

    with tempfile.TemporaryDirectory(prefix="accelint-") as folder, Session("litert/cpu") as session:
        file = Path(folder) / "model.tflite"
        file.write_bytes(to_bytes(model))
        answer = session.ask(Request(file, placement=False, options={"shapes": True}))
    if not answer.ok:
        advice = f": {answer.advice}" if answer.advice else ""
        raise RuntimeFailure(f"LiteRT cannot work out the shapes of {model.path}: {answer.reason}{advice}")
    shapes = {int(index): tuple(shape) for index, shape in answer.notes["shapes"]}
    for index, tensor in enumerate(tensors_in_order(model)):
        if index in shapes and not tensor.static:
            learn(model.graph, tensor.name, tensor.dtype, shapes[index])
