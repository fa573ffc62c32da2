"""QDQ forms of float ONNX models, as ONNX Runtime's quantizer and its QNN helpers write them, for `accelint
conform --corpus`.

    python tools/models/qdq_models.py .work/models/onnx .work/models/qdq [--kinds u8s8c,qnn16] [--limit N]

A model that the quantizer refuses is named at the end. Calibration data is random: only types and structure
matter here.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

KINDS = {
    "u8u8": ("QUInt8", "QUInt8", False),
    "u8s8c": ("QUInt8", "QInt8", True),
    "s8s8": ("QInt8", "QInt8", False),
    "u16u8": ("QUInt16", "QUInt8", False),
    "u16s8c": ("QUInt16", "QInt8", True),
    "u16s4": ("QUInt16", "QInt4", False),
    "qnn8c": ("QUInt8", "QInt8", True),
    "qnn16": ("QUInt16", "QUInt8", False),
    "qnn16c": ("QUInt16", "QInt8", True),
}
"""Types of activations and weights, and whether weights are quantized per channel; ``qnn``: by
``get_qnn_qdq_config``.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    failed = []
    for file in sorted(options.models.glob("*.onnx"))[: options.limit]:
        for kind in options.kinds.split(","):
            made = options.out / f"{file.stem}-{kind}.onnx"
            try:
                quantized(file, made, kind)
            except Exception as error:  # the quantizer raises of every kind
                made.unlink(missing_ok=True)
                failed.append(f"{made.name}: {str(error).splitlines()[0][:120]}")
    print("\n".join(["not quantized:", *failed]) if failed else "all quantized")
    return 0


def quantized(file: Path, made: Path, kind: str) -> None:
    """Write one QDQ model."""
    from onnxruntime.quantization import QuantFormat, QuantType, quant_pre_process, quantize, quantize_static
    from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config, qnn_preprocess_model

    activation, weight, per_channel = KINDS[kind]
    types = {
        "activation_type": QuantType[activation],
        "weight_type": QuantType[weight],
        "per_channel": per_channel,
    }
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        if kind.startswith("qnn"):
            source = prepared if qnn_preprocess_model(str(file), str(prepared)) else file
            quantize(str(source), str(made), get_qnn_qdq_config(str(source), reader(source), **types))
        else:
            quant_pre_process(str(file), str(prepared), skip_symbolic_shape=True)
            quantize_static(str(prepared), str(made), reader(prepared), quant_format=QuantFormat.QDQ, **types)


def reader(file: Path) -> Any:
    """Two random sets of inputs; open sizes are 1, integers are 1."""
    from onnxruntime.quantization import CalibrationDataReader

    class Random(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rewind()

        def rewind(self) -> None:
            self.left: Iterator[dict[str, Any]] = iter([inputs(file, seed) for seed in (1, 2)])

        def get_next(self) -> dict[str, Any] | None:
            return next(self.left, None)

    return Random()


def inputs(file: Path, seed: int) -> dict[str, Any]:
    import numpy as np
    import onnxruntime

    random = np.random.default_rng(seed)
    found = {}
    for item in onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"]).get_inputs():
        shape = [size if isinstance(size, int) else 1 for size in item.shape]
        whole = "int" in item.type or "bool" in item.type
        found[item.name] = (
            np.ones(shape, bool if "bool" in item.type else np.int64)
            if whole
            else random.random(shape, np.float32)
        )
    return found


if __name__ == "__main__":
    sys.exit(main())
