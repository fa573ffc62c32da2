"""In a process of its own: build a Keras v3 file in safe mode and export it as a SavedModel."""

from __future__ import annotations

from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Export ``request["model"]`` to the folder ``request["output"]``; answers with versions and layer names.

    ``request["shapes"]`` fixes shapes by input name.
    """
    import keras
    import tensorflow as tf

    model = keras.saving.load_model(request["model"], compile=False, safe_mode=True)
    signature = _signature(keras, model, request.get("shapes") or {})
    model.export(request["output"], format="tf_saved_model", verbose=False, input_signature=signature)
    layers = [{"name": layer.name, "class": type(layer).__name__} for layer in getattr(model, "layers", [])]
    return {
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "name": model.name,
        "class": type(model).__name__,
        "layers": layers,
    }


def _signature(keras: Any, model: Any, shapes: dict[str, list[int | None]]) -> Any:
    """The model's own input specs with the fixed shapes, None when there is nothing to fix.

    Keras exports every batch as open, also one that the model states (``keras.Input(..., batch_size=1)``);
    its converters to TFLite keep the stated one, and so does this.
    """
    stated = {
        item.name: list(item.shape)
        for item in keras.tree.flatten(getattr(model, "inputs", None) or [])
        if item.shape[:1] != (None,)
    }
    fixes = {**{name: shape for name, shape in stated.items() if shape}, **shapes}
    if not fixes:
        return None
    from keras.src.export.export_utils import get_input_signature

    def fixed(spec: Any) -> Any:
        shape = fixes.get(spec.name, spec.shape)
        return keras.layers.InputSpec(shape=shape, dtype=spec.dtype, name=spec.name)

    return keras.tree.map_structure(fixed, get_input_signature(model))
