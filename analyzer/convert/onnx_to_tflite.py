"""ONNX models to TFLite with onnx2tf."""

from __future__ import annotations

from pathlib import Path

from ..formats import load
from ..ir.model import Model
from . import of_onnx
from .options import Options
from .tf_to_tflite import Converted

SOURCE, TARGET, FORMAT, FOLDER = "onnx", "tflite", "tflite", False
TITLE = "onnx2tf"
RUNTIME = "litert/onnx2tf"
BY_NAME = True
DEFAULTS = Options()


def ready() -> bool:
    """Whether onnx2tf's environment is here."""
    return of_onnx.ready(RUNTIME)


def convert(source: Path | Model, options: Options | None = None, output: Path | None = None) -> Converted:
    """Convert with onnx2tf, which is given a copy; names, order and shapes of inputs and outputs are kept.

    Raises what ``of_onnx.convert`` raises.
    """
    options = options or DEFAULTS
    model = source if isinstance(source, Model) else load(source)
    fed = [name for name in model.graph.inputs if model.graph.tensor(name).const is None]
    asked = {"optimize": options.optimize, "inputs": fed}
    return of_onnx.convert(model, options, output, ".tflite", RUNTIME, asked)
