"""accelint: will this model run on the accelerator, what stops it, and what change makes it run?

The face of the package: it re-exports and nothing else. Names are imported when they are
first used, so ``import accelint`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Graph": "analyzer.ir.graph",
    "Operator": "analyzer.ir.graph",
    "Tensor": "analyzer.ir.graph",
    "Model": "analyzer.ir.model",
    "AccelintError": "analyzer.errors",
    "load": "analyzer.formats",
    "emit": "analyzer.formats",
    "check": "analyzer.api",
    "fix": "analyzer.api",
    "verify": "analyzer.api",
    "diff": "analyzer.api",
    "Report": "analyzer.api",
    "Result": "analyzer.api",
    "Coverage": "analyzer.check.coverage",
    "Finding": "analyzer.check.coverage",
    "Verdict": "rules.verdict",
    "Pack": "rules.pack",
    "load_pack": "rules.registry",
}

__all__ = ["__version__", *_HOME]

if TYPE_CHECKING:
    from .analyzer.api import Report as Report
    from .analyzer.api import Result as Result
    from .analyzer.api import check as check
    from .analyzer.api import diff as diff
    from .analyzer.api import fix as fix
    from .analyzer.api import verify as verify
    from .analyzer.check.coverage import Coverage as Coverage
    from .analyzer.check.coverage import Finding as Finding
    from .analyzer.errors import AccelintError as AccelintError
    from .analyzer.formats import emit as emit
    from .analyzer.formats import load as load
    from .analyzer.ir.graph import Graph as Graph
    from .analyzer.ir.graph import Operator as Operator
    from .analyzer.ir.graph import Tensor as Tensor
    from .analyzer.ir.model import Model as Model
    from .rules.pack import Pack as Pack
    from .rules.registry import load_pack as load_pack
    from .rules.verdict import Verdict as Verdict


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'accelint' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{home}", __name__), name)
