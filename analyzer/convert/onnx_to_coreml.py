"""ONNX models to ML Programs with onnxsim."""

from __future__ import annotations

from pathlib import Path

from ..ir.model import Model
from . import of_onnx
from .options import Options
from .tf_to_tflite import Converted

SOURCE, TARGET, FORMAT, FOLDER = "onnx", "mil", "mlpackage", True
TITLE = "onnxsim"
RUNTIME = "coreml/onnxsim"
BY_NAME = True
DEFAULTS = Options(optimize="fp16")
"""float16 is all that the Neural Engine computes in, and what coremltools writes when nothing is asked
for.
"""


def ready() -> bool:
    """Whether onnxsim's environment is here."""
    return of_onnx.ready(RUNTIME)


def convert(source: Path | Model, options: Options | None = None, output: Path | None = None) -> Converted:
    """Convert with onnxsim for the oldest system that the options name; float16 unless they say otherwise.

    Raises what ``of_onnx.convert`` raises.
    """
    options = options or DEFAULTS
    runtime = f"{RUNTIME}:{options.deployment.lower()}"
    asked = {"precision": "float16" if options.optimize == "fp16" else "float32"}
    return of_onnx.convert(source, options, output, ".mlpackage", runtime, asked)
