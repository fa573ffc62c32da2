"""A contract written into the model that it is of: a property of ONNX, a user-defined entry of Core ML, a
metadata buffer of TFLite. The rest of the file stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UsageError
from ..ir.payloads import Constant
from .carried import KEY
from .contract import Contract, text

if TYPE_CHECKING:
    from ..ir.model import Model


def store(model: Model, contract: Contract) -> None:
    """Put the contract into the model's metadata, from which its writer carries it. Raises UsageError for a
    format that has no place for it.
    """
    words = text(contract)
    if model.format in ("onnx", "mlmodel", "mlpackage"):
        model.metadata.setdefault("properties", {})[KEY] = words
    elif model.format == "tflite":
        data = words.encode()
        model.metadata.setdefault("metadata", {})[KEY] = Constant("uint8", (len(data),), inline=data)
    else:
        raise UsageError(
            f"a {model.format} file has no place for a contract: keep it in a file beside the model"
        )
