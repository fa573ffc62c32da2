"""onnx's shape inference in C++, over bytes."""

from __future__ import annotations

from .contrib import restored, with_stand_ins
from .proto import native


def infer_shapes(model: bytes, *, values: bool = True) -> bytes:
    """The serialized model with every type and shape that onnx can infer, values propagated unless told;
    raises what onnx raises.
    """
    adapted = with_stand_ins(model)
    inferred = native().shape_inference.infer_shapes(
        model if adapted is None else adapted[0], False, False, values
    )
    assert isinstance(inferred, bytes)
    return inferred if adapted is None else restored(inferred, adapted[1])
