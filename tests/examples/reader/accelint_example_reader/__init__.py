"""A reader of one's own: gzipped ONNX models, which no runtime loads and people ship all the same."""

import gzip
from pathlib import Path

from accelint.analyzer.errors import ModelError
from accelint.analyzer.formats.onnx.reader import from_bytes

FORMATS = ("onnx-gz",)
MOST = 1 << 30


def recognize(glimpse):
    """By the magic number of gzip."""
    return "onnx-gz" if glimpse.head[:2] == b"\x1f\x8b" else None


def read(path: Path):
    """The model in the archive; one that unpacks to more than ``MOST`` bytes is refused."""
    try:
        with gzip.open(path) as stream:
            data = stream.read(MOST + 1)
    except (OSError, EOFError) as error:
        raise ModelError(path, f"a damaged gzip archive: {error}", "pack it again") from error
    if len(data) > MOST:
        raise ModelError(path, f"unpacks to more than {MOST} bytes", "unpack it yourself")
    model = from_bytes(data, path)
    model.format = "onnx-gz"
    return model
