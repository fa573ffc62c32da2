"""Which format a file is in, by its content."""

from __future__ import annotations

import zipfile
from pathlib import Path

from ..errors import ModelError

_LFS = b"version https://git-lfs.github.com/spec/"


def sniff(path: Path) -> str:
    """The format of a model file or folder. Raises ModelError when there is none that accelint reads."""
    if not path.exists():
        raise ModelError(path, "no such file or folder", "check the path")
    if path.is_dir():
        return _sniff_folder(path)
    try:
        with path.open("rb") as stream:
            head = stream.read(4096)
    except OSError as error:
        raise ModelError(path, f"cannot be opened: {error.strerror}", "check the permissions") from error
    if not head:
        raise ModelError(path, "the file is empty", "export it again")
    if head.startswith(_LFS):
        raise ModelError(path, "a Git LFS pointer, not the model", "run 'git lfs pull'")
    if head[4:8] == b"TFL3":
        return "tflite"
    if head.startswith(b"PK\x03\x04"):
        return _sniff_zip(path)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        raise ModelError(path, "a Keras HDF5 file", "load it and save it as .keras or export a SavedModel")
    return _sniff_protobuf(path, head)


def _sniff_folder(path: Path) -> str:
    if (path / "saved_model.pb").is_file() or (path / "saved_model.pbtxt").is_file():
        return "savedmodel"
    if (path / "Manifest.json").is_file():
        return "mlpackage"
    raise ModelError(path, "a folder that is neither a SavedModel (saved_model.pb) nor an .mlpackage (Manifest.json)", "give the model's own folder")


def _sniff_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise ModelError(path, f"a damaged zip archive: {error}", "export it again") from error
    if {"metadata.json", "config.json"} <= names:
        return "keras"
    raise ModelError(path, "a zip archive that is no Keras v3 file (config.json and metadata.json)", "unpack it, or give the model inside")


def _sniff_protobuf(path: Path, head: bytes) -> str:
    from .wire import outline

    fields = outline(path)
    if fields is None:
        raise ModelError(path, _guess(head), "accelint reads ONNX, TFLite, SavedModel, Keras v3, .mlmodel and .mlpackage")
    # A SavedModel has meta_graphs=2; a GraphDef has node=1 (length-delimited); Core ML has
    # specificationVersion=1 (varint), description=2 and a model type at 200..3000; ONNX has
    # ir_version=1 (varint) and graph=7.
    if fields.get(1) == 0 and any(200 <= number <= 3000 for number in fields):
        return "mlmodel"
    if 7 in fields and fields[7] == 2 and fields.get(1, 0) == 0:
        return "onnx"
    if fields.get(1) == 2 and set(fields) <= {1, 2, 3, 4}:
        return "savedmodel"
    if fields.get(2) == 2 and set(fields) <= {1, 2}:
        return "savedmodel"
    raise ModelError(path, "protobuf data that is no ONNX model, GraphDef, SavedModel or Core ML model", "export it again")


def _guess(head: bytes) -> str:
    if head.lstrip()[:1] in (b"{", b"<"):
        return "a text file, not a model"
    return "not a model file that accelint knows (or one that is cut off)"
