"""ONNX to TFLite with onnx2tf, in an environment of its own. It is given a copy of the model, since it
writes over its input.
"""

from __future__ import annotations

import shutil
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .. import tensors
from ..answers import Answer, Request
from .coreml_onnx import words

if TYPE_CHECKING:
    from pathlib import Path

_STORED = {
    "none": "{stem}_float32.tflite",
    "fp16": "{stem}_float16.tflite",
    "dynamic": "{stem}_dynamic_range_quant.tflite",
    "int8": "{stem}_full_integer_quant.tflite",
    "int16x8": "{stem}_full_integer_quant_with_int16_act.tflite",
}
"""What onnx2tf calls its results."""


class Onnx2tfWorker:
    """Converts one model a request."""

    def __init__(self, folder: Path) -> None:
        self.onnx2tf = import_module("onnx2tf")
        self.folder = folder
        self.asked = 0

    def __call__(self, request: Request) -> Answer:
        """The converted file is written to ``options["output"]``; nothing is run."""
        self.asked += 1
        place = self.folder / f"model-{self.asked}"
        place.mkdir()
        copy = place / "model.onnx"
        options = request.options
        try:
            self._copied(request.model, copy)
            self.onnx2tf.convert(
                input_onnx_file_path=str(copy), output_folder_path=str(place / "made"), non_verbose=True,
                not_use_onnxsim=bool(options.get("plain")), output_signaturedefs=True,
                keep_shape_absolutely_input_names=list(options.get("inputs", ())),
                **self._quantization(request, place),
            )  # fmt: skip
        except BaseException as error:  # onnx2tf ends its process where it gives up
            if isinstance(error, KeyboardInterrupt):
                raise
            return Answer("refused", reason=words(error))
        made = place / "made" / _STORED[str(options.get("optimize", "none"))].format(stem="model")
        if not made.is_file():
            return Answer("refused", reason=f"onnx2tf wrote no {made.name}")
        shutil.copyfile(made, str(options["output"]))
        return Answer("ok")

    def _copied(self, source: Path, copy: Path) -> None:
        """With its external data taken in."""
        import onnx

        onnx.save(onnx.load(str(source)), str(copy))

    def _quantization(self, request: Request, place: Path) -> dict[str, Any]:
        """Calibration data as onnx2tf takes it: a file an input, with mean 0 and deviation 1."""
        import numpy as np

        kind = request.options.get("optimize", "none")
        if kind == "dynamic":
            return {"output_dynamic_range_quantized_tflite": True}
        if kind not in ("int8", "int16x8"):
            return {}
        given: dict[str, Any] = {"output_integer_quantized_tflite": True}
        if request.inputs is not None:
            data = []
            for index, (name, array) in enumerate(tensors.read(request.inputs).items()):
                file = place / f"calibration-{index}.npy"
                np.save(file, array.reshape(-1, *array.shape[2:]))  # samples of a batch are samples
                data.append([name, str(file), 0.0, 1.0])
            given["custom_input_op_name_np_data_path"] = data
        return given


def open(name: str, folder: Path) -> Onnx2tfWorker:
    """A worker for ``litert/onnx2tf``."""
    return Onnx2tfWorker(folder)
