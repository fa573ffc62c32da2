"""Which conversions there are: a module ``<source>_to_<target>`` here, or one that a distribution adds.

A road declares ``SOURCE`` and ``TARGET`` (dialects), ``FORMAT`` and ``FOLDER`` (how the result is stored),
``TITLE`` (what the vendor calls the converter), ``DEFAULTS`` (options that convert as the vendor does when
nothing is asked for) and ``convert(source, options) -> Converted``; one whose converter has an environment
of its own declares ``ready()`` as well, without which ``check`` does not convert. ``BY_NAME``: ``check``
converts for a target that is named and not for all of a family, since the model has targets of its own.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from ..extensions import added, load, modules


@cache
def roads() -> tuple[Any, ...]:
    """Every road; ours come before those of other distributions (``accelint.converters``)."""
    names = [name for name in modules([str(Path(__file__).parent)]) if "_to_" in name]
    ours = [import_module(f".{name}", __package__) for name in names]
    return (*ours, *(load("converters", name) for name in added("converters")))


def between(source: str, target: str) -> Any | None:
    """The road from one dialect to another, None when there is none, or its converter's environment is not
    here.
    """
    found = (road for road in roads() if (source, target) == (road.SOURCE, road.TARGET))
    return next((road for road in found if getattr(road, "ready", _always)()), None)


def to_format(source: str, form: str) -> Any | None:
    """The road from a dialect to a format, whether its converter is here or not."""
    return next((road for road in roads() if (source, form) == (road.SOURCE, road.FORMAT)), None)


def _always() -> bool:
    return True


def formats() -> tuple[str, ...]:
    """Formats that models are converted to."""
    return tuple(dict.fromkeys(road.FORMAT for road in roads()))
