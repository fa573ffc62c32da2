"""Which format a file is in, by its content: each format's package here says what it recognizes."""

from __future__ import annotations

import stat
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ModelError
from ..extensions import added, load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Set

_LFS = b"version https://git-lfs.github.com/spec/"
_ZIP = b"PK\x03\x04"
_HDF = b"\x89HDF\r\n\x1a\n"


class Found(NamedTuple):
    """A format, and the package or the distribution's module that reads it."""

    format: str
    home: Any


class Glimpse:
    """What can be seen of a file or folder without reading it whole."""

    def __init__(self, path: Path, head: bytes, *, folder: bool) -> None:
        self.path = path
        self.head = head
        self.folder = folder

    def holds(self, name: str) -> bool:
        """Whether a folder has a file of that name."""
        return self.folder and (self.path / name).is_file()

    @cached_property
    def names(self) -> Set[str]:
        """Names in a zip archive; empty for anything else. Raises ModelError for a damaged one."""
        if not self.head.startswith(_ZIP):
            return set()
        import zipfile  # every other format is told without

        try:
            with zipfile.ZipFile(self.path) as archive:
                return set(archive.namelist())
        except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
            raise ModelError(self.path, f"a damaged zip archive: {error}", "export it again") from error

    @cached_property
    def fields(self) -> Mapping[int, int]:
        """Top-level fields of a protobuf message and the wire type of each; empty when it is none."""
        from .wire import outline

        if self.folder or self.head.startswith((_ZIP, _HDF)) or self.head[4:8] == b"ORTM":
            return {}
        return outline(self.path) or {}


@cache
def homes() -> tuple[Any, ...]:
    """The packages of the formats here; those that tell by a magic number are asked first."""
    names = [found.name for found in iter_modules([str(Path(__file__).parent)]) if found.ispkg]
    found = [import_module(f".{name}", __package__) for name in names]
    return tuple(sorted(found, key=lambda home: not getattr(home, "MAGIC", False)))


def every() -> Iterator[Any]:
    """The formats here, then those that installed distributions add (``accelint.readers``)."""
    yield from homes()
    for name in added("readers"):
        yield load("readers", name)


def sniff(path: Path) -> Found:
    """The format of a model file or folder. Raises ModelError when there is none that accelint reads."""
    glimpse = _glimpse(path)
    for home in every():
        form = home.recognize(glimpse)
        if form is not None:
            return Found(form, home)
    raise _unrecognized(glimpse)


def _glimpse(path: Path) -> Glimpse:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return Glimpse(path, b"", folder=True)
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
    return Glimpse(path, head, folder=False)


def _unrecognized(glimpse: Glimpse) -> ModelError:
    """What the file is, as far as can be told, and what to do."""
    path, head = glimpse.path, glimpse.head
    if glimpse.folder:
        problem = (
            "a folder that is neither a SavedModel (saved_model.pb) nor an .mlpackage (Manifest.json) nor an "
            ".mlmodelc (coremldata.bin)"
        )
        return ModelError(path, problem, "give the model's own folder")
    if head.startswith(_HDF):
        return ModelError(path, "a Keras HDF5 file", "load it and save it as .keras or export a SavedModel")
    if any(name.endswith("/data.pkl") for name in glimpse.names):
        return ModelError(path, "a PyTorch checkpoint", "export the model with torch.onnx.export")
    if glimpse.names:
        problem = "a zip archive that is no Keras v3 file (config.json and metadata.json)"
        return ModelError(path, problem, "unpack it, or give the model inside")
    if glimpse.fields:
        problem = "protobuf data that is no ONNX model, GraphDef, SavedModel or Core ML model"
        return ModelError(path, problem, "export it again")
    known = "accelint reads ONNX, ORT, TFLite, SavedModel, Keras v3, .mlmodel, .mlpackage and .mlmodelc"
    return ModelError(path, _guess(head), known)


def _guess(head: bytes) -> str:
    if head.lstrip()[:1] in (b"{", b"<"):
        return "a text file, not a model"
    return "not a model file that accelint knows (or one that is cut off)"
