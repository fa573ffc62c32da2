"""Named Python predicates for what the vocabulary cannot say.

A predicate has at most 20 lines and its own unit test, and is registered by decorator::

    @predicate("resize_scale_is_2_4_8")
    def resize_scale_is_2_4_8(graph: Graph, op: Operator, context: Context) -> Outcome:
        \"\"\"H and W grow by the same factor, 2, 4 or 8.\"\"\"

Modules here are imported only when a pack names them in ``predicates``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import TypeVar

from ...analyzer.errors import PackError
from ...analyzer.extensions import load
from ..conditions import Outcome
from ..subjects import Reach
from ..verdict import Answer

Function = TypeVar("Function", bound=Callable[..., Outcome])
REGISTRY: dict[str, Callable[..., Outcome]] = {}


def predicate(name: str, reach: Reach = Reach.WIDE) -> Callable[[Function], Function]:
    """Register a predicate under a name that packs ``call``; ``reach`` promises that it looks no further."""

    def register(function: Function) -> Function:
        function.__dict__["reach"] = reach
        if name in REGISTRY and REGISTRY[name].__qualname__ != function.__qualname__:
            raise ValueError(f"two predicates are named {name!r}")
        REGISTRY[name] = function
        return function

    return register


def load_predicates(modules: tuple[str, ...]) -> dict[str, Callable[..., Outcome]]:
    """Import the named modules, of this package or of a distribution (``accelint.predicates``).

    Returns every predicate registered so far.
    Raises PackError for any other name: a pack file cannot bring code of its own.
    """
    for module in modules:
        if module.isidentifier() and find_spec(f"{__name__}.{module}") is not None:
            import_module(f".{module}", __name__)
        elif load("predicates", module) is None:
            raise PackError(
                f"there are no predicates {module!r}: a pack calls what accelint.rules.predicates or an "
                f"installed distribution has, it brings no code"
            )
    return REGISTRY


def holds_if(condition: bool | None, seen: str, limit: str) -> Outcome:
    """The outcome of a yes/no question; None is unknown."""
    if condition is None:
        return Outcome(Answer.UNKNOWN, seen, limit)
    return Outcome(Answer.HOLDS if condition else Answer.FAILS, seen, limit)
