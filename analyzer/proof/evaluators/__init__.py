"""Dialects whose own runtime is not here, evaluated by the runtime of another: one module a dialect, named
after it.

Such a module has

- ``RUNTIME``: the runtime that computes, as ``onnxruntime/cpu``;
- ``WORDS``: what its numbers are, for reports ("reference evaluation, not Core ML");
- ``translate(model, folder) -> Path``: a file for that runtime in ``folder``, inputs and outputs under the
  names of the model; raises UsageError, with the operators in words, for what it cannot express.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from ...runtimes import catalog


@dataclass(frozen=True)
class Evaluator:
    """One module of this folder."""

    runtime: str
    words: str
    translate: Callable[[Path, Path], Path]


@cache
def evaluator(dialect: str) -> Evaluator | None:
    """What evaluates a dialect that no runtime computes here; None where one does, or nothing can."""
    if catalog.reference(dialect) is not None:
        return None
    if dialect not in {item.name for item in iter_modules([str(Path(__file__).parent)])}:
        return None
    module = import_module(f".{dialect}", __package__)
    return Evaluator(module.RUNTIME, module.WORDS, module.translate)


def runtime_of(dialect: str) -> str | None:
    """The runtime that computes a dialect's reference, its own or an evaluator's; None where there is
    none.
    """
    own = catalog.reference(dialect)
    if own is not None:
        return own
    found = evaluator(dialect)
    return None if found is None else found.runtime
