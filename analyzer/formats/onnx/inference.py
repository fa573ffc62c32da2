"""onnx's shape inference in C++, over bytes."""

from __future__ import annotations

from typing import Any

from . import guard
from .contrib import restored, with_stand_ins


def infer_shapes(model: bytes, *, values: bool = True, proto: Any = None, checked: bool = False) -> bytes:
    """The serialized model with every type and shape that onnx can infer, values propagated unless told;
    raises what onnx raises, and what ``guard`` raises. ``proto`` is the model, where there is one;
    ``checked`` raises what is wrong with an operator as well.
    """
    adapted = with_stand_ins(model)
    if adapted is None:
        return guard.infer_shapes(model, values=values, proto=proto, strict=checked, types=checked)
    inferred = guard.infer_shapes(adapted[0], values=values, strict=checked, types=checked)
    return restored(inferred, adapted[1])
