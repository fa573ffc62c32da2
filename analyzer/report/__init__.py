"""Reports: one document, several ways to write it.

``document`` builds the versioned JSON document (``accelint schema``); every form is a view of it.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .. import inert
from ..errors import UsageError
from ..extensions import added, load, modules

_HERE = Path(__file__).parent / "forms"
EXACT = ("json", "jsonl")
"""Forms whose strings are the model's own; all others are made of a document whose strings are inert."""


def names() -> tuple[str, ...]:
    """The forms here, and those that installed distributions add (``accelint.reports``)."""
    return (*(name.replace("_", "-") for name in modules([str(_HERE)])), *added("reports"))


def render(document: dict[str, Any], form: str) -> str:
    """The report in one form. Raises UsageError on an unknown one."""
    module = form.replace("-", "_")
    home: Any = None
    if module.isidentifier() and find_spec(f"{__name__}.forms.{module}") is not None:
        home = import_module(f".forms.{module}", __name__)
    home = home or load("reports", form)
    if home is None:
        raise UsageError(f"no report format is named {form!r}: there are {', '.join(names())}")
    exact = form in EXACT
    text: str = home.render(document if exact else inert.tree(document))
    return inert.json_text(text) if exact else text
