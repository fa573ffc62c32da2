"""Partition policies: how each runtime partitions the operators that its accelerator takes.

A policy is one class in a module here. ``check`` asks it three things of a graph: which operators
never run because the runtime folds them, whether the operators of bodies are placed at all, and which
partitions the accelerator runs as one piece. It is told which operators the rules take and answers with
partitions and with the operators that it takes but does not place, each with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from ..errors import PackError
from ..extensions import added, load, modules
from .base import Policy

if TYPE_CHECKING:
    from .tables import Tables


def names() -> tuple[str, ...]:
    """The modules here that hold policies, and what other distributions add."""
    homes = {name: _home(name) for name in modules(__path__)}
    here = [
        name for name, home in homes.items() if home and hasattr(import_module(home, __name__), "POLICIES")
    ]
    return (*here, *added("policies"))


def policy_of(name: str, tables: Tables | None = None) -> Policy:
    """The policy that a pack names: a module here, and behind a slash the kind where it has several.

    ``onnxruntime/compile`` is ``POLICIES["compile"]`` of ``onnxruntime/policy.py``. It gets the tables of a
    version of its runtime, the latest when none are given. Raises PackError when there is none.
    """
    base, _, kind = name.partition("/")
    home = _home(base)
    kinds: Mapping[str, Any] = {}
    if home is not None:
        kinds = getattr(import_module(home, __name__), "POLICIES", {})
    elif base in added("policies"):
        kinds = load("policies", base).POLICIES
    if not kinds:
        raise PackError(f"no partition policy is named {name!r}: there are {', '.join(names())}")
    if kind not in kinds:
        known = ", ".join(f"{base}/{item}" if item else base for item in kinds)
        raise PackError(f"no partition policy is named {name!r}: there are {known}")
    from .tables import STANDARD, WithTables

    made = kinds[kind]
    return cast("Policy", made(tables or STANDARD) if issubclass(made, WithTables) else made())


def _home(base: str) -> str | None:
    """The module of a policy, relative to this package."""
    if not base.isidentifier():
        return None
    spec = find_spec(f"{__name__}.{base}")
    if spec is None:
        return None
    if not spec.submodule_search_locations:
        return f".{base}"
    return f".{base}.policy" if find_spec(f"{__name__}.{base}.policy") is not None else None
