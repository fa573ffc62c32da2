"""In a process of its own: build a Keras v3 file in safe mode and export it as a SavedModel."""

from __future__ import annotations

from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Export ``request["model"]`` to the folder ``request["output"]``; answers with versions and layer names."""
    import keras
    import tensorflow as tf

    model = keras.saving.load_model(request["model"], compile=False, safe_mode=True)
    model.export(request["output"], format="tf_saved_model", verbose=False)
    layers = [{"name": layer.name, "class": type(layer).__name__} for layer in getattr(model, "layers", [])]
    return {"keras": keras.__version__, "tensorflow": tf.__version__, "name": model.name, "class": type(model).__name__, "layers": layers}
