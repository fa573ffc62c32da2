"""What each field of a pack may hold. A pack may come from anybody: every value has its kind, and the loader
says everything that does not fit before anything reads a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from .verdict import EFFECTS, EVIDENCE, PHASES, PURPOSES, SEVERITIES

LONGEST = 4000
"""Characters of a text."""
LONGEST_NAME = 200
MOST_ITEMS = 10_000
"""Items of a list."""
DEEPEST = 8
"""Tables and lists in each other, inside a parameter or an example."""


@dataclass(frozen=True)
class Kind:
    """What a value may be, in words and as a test."""

    words: str
    fits: Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST


def _name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable()


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63


def _number(value: Any) -> bool:
    return _whole(value) or (isinstance(value, float) and isfinite(value))


def _scalar(value: Any) -> bool:
    return isinstance(value, bool) or _number(value) or _text(value)


def _table(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_name, value))


def _many(fits: Callable[[Any], bool], least: int = 0) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, list) and least <= len(value) <= MOST_ITEMS and all(map(fits, value))
    )


def _either(*tests: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: any(fits(value) for fits in tests)


def _plain(value: Any, depth: int = DEEPEST) -> bool:
    """A parameter: a scalar, or a list or table of parameters."""
    if isinstance(value, list | dict):
        inner = value.values() if isinstance(value, dict) else value
        keyed = isinstance(value, list) or all(map(_text, value))
        return depth > 0 and keyed and all(_plain(item, depth - 1) for item in inner)
    return _scalar(value)


def one_of(*words: str) -> Kind:
    """One of these texts."""
    return Kind(f"one of {', '.join(words)}", lambda value: isinstance(value, str) and value in words)


TEXT = Kind(f"text of at most {LONGEST} characters", _text)
NAME = Kind(f"a printable name of at most {LONGEST_NAME} characters", _name)
NAMES = Kind("a list of names", _many(_name))
TEXTS = Kind("a list of texts", _many(_text))
WHOLE = Kind("a whole number", _whole)
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
TABLE = Kind("a table", _table)
TABLES = Kind("a list of tables", _many(_table))
PLAIN = Kind(f"a value, list or table at most {DEEPEST} deep", _plain)
CONDITIONS = Kind("a table or a list of tables", _either(_table, _many(_table)))
Kinds = Mapping[str, Kind]

TOP: Kinds = {"pack": TABLE, "source": TABLE, "variant": TABLE, "support": TABLES, "rule": TABLES}
PACK: Kinds = {
    **dict.fromkeys(("target", "dialect", "runtime", "policy", "extends", "host"), NAME),
    **dict.fromkeys(("title", "version", "date", "runs_here", "precision", "notes", "partial"), TEXT),
    "default": one_of(*EFFECTS),
    "purpose": one_of(*PURPOSES),
    "baseline": NAME,
    "phase": one_of(*PHASES),
    "host_prepares": FLAG,
    "hosts": TABLE,
    "policy_options": TABLE,
    "predicates": NAMES,
    "releases": NAMES,
    "drop": TABLES,
}
DROP: Kinds = {"rule": NAME, "reason": TEXT}
SOURCE: Kinds = {
    **dict.fromkeys(("url", "package", "version", "date", "device"), TEXT),
    "evidence": one_of(*EVIDENCE),
}
SUPPORT: Kinds = {
    "ops": NAMES,
    "source": NAME,
    "note": TEXT,
    "variants": NAMES,
    "since": TEXT,
    "until": TEXT,
}
RULE: Kinds = {
    **dict.fromkeys(("id", "name", "identity", "source"), NAME),
    **dict.fromkeys(("ops", "except", "variants"), NAMES),
    **dict.fromkeys(("message", "quote", "reason", "since", "until", "advice"), TEXT),
    **dict.fromkeys(("when", "require"), CONDITIONS),
    "refuse": FLAG,
    "effect": one_of(*EFFECTS),
    "phase": one_of(*PHASES),
    "scope": one_of("operator", "model"),
    "severity": one_of(*SEVERITIES),
    "evidence": one_of(*EVIDENCE),
    "lifecycle": one_of("preview", "stable", "deprecated"),
    "examples": TABLE,
}
CASE: Kinds = {
    **dict.fromkeys(("before", "type", "domain"), TEXT),
    **dict.fromkeys(("readers", "in", "out"), TEXTS),
    "version": WHOLE,
    **dict.fromkeys(("passes", "inner"), FLAG),
    "ir": WHOLE,
    "attrs": PLAIN,
    "graphs": PLAIN,
}
OPTIONS: Kinds = {
    **dict.fromkeys(
        ("min_nodes", "max_partitions"),
        Kind("a whole number, or the name of a table", _either(_whole, _name)),
    ),
    **dict.fromkeys(("units", "selectors", "edges", "constants", "results", "fp16"), NAME),
    "fusions": NAMES,
    **dict.fromkeys(
        ("lone", "trivial"), Kind("a list of names, or the name of a table", _either(_name, _many(_name)))
    ),
}
"""What policies ask of a pack's ``policy_options`` and a variant's parameters; any other is ``PLAIN``."""

_PLACE = Kind("a position, a name or a list of positions", _either(_whole, _name, _many(_whole, 1)))
_LIMIT = Kind("a value or the subject to compare with", _either(_scalar, _table))
_BOUND = Kind("a number or the subject to compare with", _either(_number, _table))
_VALUES = Kind("a list of values", _many(_scalar, 1))
CONDITION: Kinds = {
    **dict.fromkeys(("attr", "op", "of", "absent", "only", "unknown"), NAME),
    **dict.fromkeys(("input", "output", "axis", "index"), _PLACE),
    **dict.fromkeys(("eq", "not_eq"), _LIMIT),
    **dict.fromkeys(("one_of", "none_of"), _VALUES),
    **dict.fromkeys(("at_least", "at_most", "multiple_of"), _BOUND),
    **dict.fromkeys(("some", "present"), FLAG),
    "between": Kind("two numbers", lambda value: _many(_number, 2)(value) and len(value) == 2),
    "same_as": TABLE,
    "default": Kind("a value or a list of values", _either(_scalar, _many(_scalar))),
}
ARGUMENT = Kind("a value or a list of values", _either(_scalar, _many(_scalar)))


def misfits(table: Mapping[str, Any], kinds: Kinds, other: Kind | None = None) -> dict[str, str]:
    """Key -> what is wrong with it, for every key of a table; keys without a kind are unknown unless there is
    one for ``other`` keys.
    """
    found: dict[str, str] = {}
    for key, value in table.items():
        kind = kinds.get(key, other)
        if kind is None:
            found[key] = "unknown key"
        elif not kind.fits(value):
            found[key] = f"is {_shown(value)}, and has to be {kind.words}"
    return found


def _shown(value: Any) -> str:
    text = repr(value) if _scalar(value) or isinstance(value, float) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:60]}..."
