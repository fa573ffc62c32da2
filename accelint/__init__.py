"""accelint: will this model run on the accelerator, what stops it, and what change makes it run?

The face of the package: it re-exports and nothing else. Names are imported when they are
first used, so ``import accelint`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Graph": "analyzer.graph",
    "Operator": "analyzer.graph",
    "Tensor": "analyzer.graph",
    "Model": "analyzer.model",
    "AccelintError": "analyzer.errors",
    "load": "analyzer.formats",
    "emit": "analyzer.formats",
    "check": "analyzer.check",
    "Coverage": "analyzer.check",
    "Finding": "analyzer.check",
    "Verdict": "rules.verdict",
    "Pack": "rules.pack",
    "load_pack": "rules.registry",
}

__all__ = ["__version__", *_HOME]

if TYPE_CHECKING:
    from .analyzer.check import Coverage, Finding, check
    from .analyzer.errors import AccelintError
    from .analyzer.formats import emit, load
    from .analyzer.graph import Graph, Operator, Tensor
    from .analyzer.model import Model
    from .rules.pack import Pack
    from .rules.registry import load_pack
    from .rules.verdict import Verdict


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'accelint' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{home}", __name__), name)
