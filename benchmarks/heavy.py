"""Models whose weights are holes in sparse files: gigabytes that cost no disk."""

from __future__ import annotations

import shutil
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parent.parent / "fixtures"
BLOB = Path("Data") / "com.apple.CoreML" / "weights" / "weight.bin"
SPECIFICATION = Path("Data") / "com.apple.CoreML" / "model.mlmodel"


def tflite_with(path: Path, size: int) -> None:
    """A TFLite model whose last buffer has ``size`` bytes."""
    from accelint.analyzer.conform.corpora.tflite.net import Net
    from accelint.analyzer.formats.tflite.writer import to_bytes
    from accelint.analyzer.ir.graph import Constant, Tensor

    net = Net()
    weights = net.weights((4,), "f32")
    net.op("ADD", [net.input((4,), "f32"), weights], [net.result((4,), "f32")])
    elements = size // 4
    huge = Constant("float32", (elements,), Path("/dev/zero"), 0, 0)
    net.graph.set_tensor(Tensor(weights, "float32", (elements,), replace(huge, length=4)))
    data = bytearray(to_bytes(net.model()))
    at = len(data) - 8
    assert data[at : at + 4] == (4).to_bytes(4, "little"), "the last buffer does not hold four bytes"
    data[at : at + 4] = (4 * elements).to_bytes(4, "little")
    with path.open("wb") as stream:
        stream.write(data)
        stream.truncate(at + 4 + 4 * elements)


def coreml_with(path: Path, size: int) -> None:
    """A copy of a Core ML package whose last layer reads ``size`` bytes of its weights file."""
    from accelint.analyzer.formats.coreml.schema import message

    shutil.copytree(FIXTURES / "coreml" / "conv_net.mlpackage", path)
    rows = size // 2 // 128 * 128
    blob = path / BLOB
    start = blob.stat().st_size + -blob.stat().st_size % 64
    with blob.open("r+b") as stream:
        stream.seek(start)
        stream.write(struct.pack("<IIQQQ32x", 0xDEADBEEF, 1, rows * 2, start + 64, 0))
        stream.truncate(start + 64 + rows * 2)
    spec: Any = message("Model")()
    spec.ParseFromString((path / SPECIFICATION).read_bytes())
    for function in spec.mlProgram.functions.values():
        for block in function.block_specializations.values():
            for op in block.operations:
                if op.type == "const" and op.outputs[0].name == "head_weight_0":
                    op.attributes["val"].blobFileValue.offset = start
                    op.attributes["val"].type.tensorType.dimensions[0].constant.size = rows // 128
    (path / SPECIFICATION).write_bytes(spec.SerializeToString())


def tflite_pair(folder: Path, size: int) -> tuple[Path, Path]:
    """The same TFLite graph with 16 bytes and with ``size`` bytes of weights."""
    tflite_with(folder / "light.tflite", 16)
    tflite_with(folder / "heavy.tflite", size)
    return folder / "light.tflite", folder / "heavy.tflite"


def coreml_pair(folder: Path, size: int) -> tuple[Path, Path]:
    """The same Core ML graph with its own weights and with ``size`` bytes."""
    coreml_with(folder / "heavy.mlpackage", size)
    return FIXTURES / "coreml" / "conv_net.mlpackage", folder / "heavy.mlpackage"
