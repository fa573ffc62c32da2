"""Reading and writing model files. A format is told by content, never by ending.

Each format is one module with ``read(path) -> Model`` and, where it can be written,
``write(model, path) -> None``. Modules are imported when a file of theirs is met.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ..errors import GraphError, ModelError, UsageError
from .sniff import sniff

if TYPE_CHECKING:
    from ..ir.model import Model

READERS = {
    "onnx": "onnx.reader",
    "tflite": "tflite.reader",
    "savedmodel": "tf.reader",
    "keras": "keras.reader",
    "mlmodel": "coreml.reader",
    "mlpackage": "coreml.reader",
}
WRITERS = {
    "onnx": "onnx.writer",
    "tflite": "tflite.writer",
    "mlmodel": "coreml.writer",
    "mlpackage": "coreml.writer",
}


def load(path: str | Path) -> Model:
    """Read a model file or folder of any known format.

    Raises ModelError, which names the file and what to do, for everything that is wrong with it.
    """
    path = Path(path)
    form = sniff(path)
    try:
        model = import_module(f".{READERS[form]}", __name__).read(path)
    except GraphError as error:
        raise ModelError(path, error.message, "the file is damaged: export it again") from error
    except (RecursionError, MemoryError) as error:
        raise ModelError(
            path, f"nested or sized beyond reason ({type(error).__name__})", "the file is damaged or hostile"
        ) from error
    return cast("Model", model)


def emit(model: Model, path: str | Path) -> None:
    """Write a model in its own format, atomically and never over the file it was read from."""
    writer = WRITERS.get(model.format)
    if writer is None:
        raise UsageError(
            f"{model.format} files cannot be written: convert to one of {', '.join(sorted(WRITERS))}"
        )
    import_module(f".{writer}", __name__).write(model, Path(path))
