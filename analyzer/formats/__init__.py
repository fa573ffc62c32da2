"""Reading and writing model files. A format is told by content, never by ending.

Each format is one package here: its ``__init__`` says which formats it has (``FORMATS``), which it can write
(``WRITABLE``) and what it recognizes (``recognize``); ``reader.read(path) -> Model`` reads and
``writer.write(model, path)`` writes. A reader that a distribution adds is one module with all of these.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..errors import GraphError, ModelError, UsageError
from .sniff import every, sniff

if TYPE_CHECKING:
    from ..ir.model import Model


def load(path: str | Path) -> Model:
    """Read a model file or folder of any known format.

    Raises ModelError, which names the file and what to do, for everything that is wrong with it.
    """
    path = Path(path)
    try:
        model = _part(sniff(path).home, "read").read(path)
    except GraphError as error:
        raise ModelError(path, error.message, "the file is damaged: export it again") from error
    except (RecursionError, MemoryError) as error:
        problem = f"nested or sized beyond reason ({type(error).__name__})"
        raise ModelError(
            path, problem, "the file is damaged or hostile, or --memory is too little"
        ) from error
    except OSError as error:  # a file that the model names: too long, unreadable, gone
        problem = f"a file of it cannot be read: {error.strerror or error}"
        raise ModelError(path, problem, "check the model's files and their names") from error
    return cast("Model", model)


def emit(model: Model, path: str | Path) -> None:
    """Write a model in its own format, atomically and never over the file it was read from."""
    known: list[str] = []
    for home in every():
        writable = getattr(home, "WRITABLE", ())
        if model.format in writable:
            _part(home, "write").write(model, Path(path))
            return
        known += writable
    raise UsageError(f"{model.format} files cannot be written: convert to one of {', '.join(sorted(known))}")


def _part(home: Any, what: str) -> Any:
    """What has ``read`` or ``write``: a distribution's module itself, or the module in a package here."""
    if hasattr(home, what):
        return home
    return import_module(f"{home.__name__}.{'reader' if what == 'read' else 'writer'}")
