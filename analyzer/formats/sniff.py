"""Which format a file is in, by its content."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

from ..errors import ModelError

_LFS = b"version https://git-lfs.github.com/spec/"


def sniff(path: Path) -> str:
    """The format of a model file or folder. Raises ModelError when there is none that accelint reads."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _sniff_folder(path)
        if not stat.S_ISREG(mode):
            raise ModelError(path, "neither a file nor a folder", "save the model to a file")
        with path.open("rb") as stream:
            head = stream.read(4096)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelError(path, "no such file or folder", "check the path") from error
    except (OSError, ValueError) as error:
        raise ModelError(
            path,
            f"cannot be opened: {getattr(error, 'strerror', error)}",
            "check the path and its permissions",
        ) from error
    if not head:
        raise ModelError(path, "the file is empty", "export it again")
    if head.startswith(_LFS):
        raise ModelError(path, "a Git LFS pointer, not the model", "run 'git lfs pull'")
    if head[4:8] == b"TFL3":
        return "tflite"
    if head[4:8] == b"ORTM":
        raise ModelError(
            path, "a model in ONNX Runtime's own format", "give the ONNX file that it was made from"
        )
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
    problem = "a folder that is neither a SavedModel (saved_model.pb) nor an .mlpackage (Manifest.json)"
    raise ModelError(path, problem, "give the model's own folder")


def _sniff_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise ModelError(path, f"a damaged zip archive: {error}", "export it again") from error
    if {"metadata.json", "config.json"} <= names:
        return "keras"
    if any(name.endswith("/data.pkl") for name in names):
        raise ModelError(path, "a PyTorch checkpoint", "export the model with torch.onnx.export")
    raise ModelError(
        path,
        "a zip archive that is no Keras v3 file (config.json and metadata.json)",
        "unpack it, or give the model inside",
    )


def _sniff_protobuf(path: Path, head: bytes) -> str:
    from .wire import outline

    fields = outline(path)
    if fields is None:
        raise ModelError(
            path, _guess(head), "accelint reads ONNX, TFLite, SavedModel, Keras v3, .mlmodel and .mlpackage"
        )
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
    raise ModelError(
        path, "protobuf data that is no ONNX model, GraphDef, SavedModel or Core ML model", "export it again"
    )


def _guess(head: bytes) -> str:
    if head.lstrip()[:1] in (b"{", b"<"):
        return "a text file, not a model"
    return "not a model file that accelint knows (or one that is cut off)"
