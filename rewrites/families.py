"""Which modules may hold rewrites, found by their folders, and what these answer; told without importing
any of them.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from pkgutil import iter_modules

_HERE = Path(__file__).parent


@cache
def families() -> dict[str, tuple[str, ...]]:
    """Dialect -> the modules in its folder. One with rewrites lists them in ``REWRITES``; their order is
    declared by ``after``, never by names of modules.
    """
    dialects = [item.name for item in iter_modules([str(_HERE)]) if item.ispkg]
    return {
        name: tuple(f"{name}.{item.name}" for item in iter_modules([str(_HERE / name)])) for name in dialects
    }


ANSWERS = _HERE / "answers.json"


def stored_answers() -> dict[str, str]:
    """What ``registry.answers`` gives, from what is stored."""
    return {key: next(iter(found)) for key, found in candidates().items()}


@cache
def candidates() -> dict[str, dict[str, str]]:
    """``CODE:TYPE`` and ``rule-name:TYPE`` -> the rewrites of ours that say they repair that finding at
    operators of that type, in order, with the module of each.

    As ``tools/docs/support_pages.py`` stored it; a test compares it with what the modules list.
    """
    found: dict[str, dict[str, str]] = json.loads(ANSWERS.read_text(encoding="utf-8"))
    return found
