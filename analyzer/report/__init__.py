"""Reports: one document, several ways to write it.

``document`` builds the versioned JSON document (``accelint schema``); every form is a view of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import inert
from ..check.coverage import OperatorVerdict
from ..errors import UsageError
from ..extensions import added, load, modules
from .document import Listing, document
from .rows import Rows, Texts

if TYPE_CHECKING:
    from ..check.coverage import Entry

_HERE = Path(__file__).parent / "forms"


def names() -> tuple[str, ...]:
    """The forms here, and those that installed distributions add (``accelint.reports``)."""
    return (*(name.replace("_", "-") for name in modules([str(_HERE)])), *added("reports"))


def render(entries: Sequence[Entry], version: str, form: str) -> Iterator[str]:
    """The report in one form, in pieces. Raises UsageError on an unknown one, before anything is made."""
    return _chunks(known(form), entries, version)


def _chunks(home: Any, entries: Sequence[Entry], version: str) -> Iterator[str]:
    """A form with ``chunks`` is JSON and gets the model's own strings; one with ``render`` a document whose
    strings are inert.
    """
    if hasattr(home, "chunks"):
        return map(inert.json_text, home.chunks(document(entries, version, _rows(entries))))
    text: str = home.render(inert.tree(document(entries, version)))
    return iter((text,))


def _rows(entries: Sequence[Entry]) -> Listing:
    """Rows that are made as a form goes through them; those of operators are encoded once for targets that
    say the same of them.
    """
    texts: Texts | None = {} if any(len(entry.coverages) > 1 for entry in entries) else None

    def rows(make: Callable[[Any], dict[str, Any]], items: Sequence[Any]) -> Rows:
        return Rows(make, items, texts if items and isinstance(items[0], OperatorVerdict) else None)

    return rows


def known(form: str) -> Any:
    """The module of a form. Raises UsageError on an unknown one."""
    module = form.replace("-", "_")
    home: Any = None
    if module.isidentifier() and find_spec(f"{__name__}.forms.{module}") is not None:
        home = import_module(f".forms.{module}", __name__)
    home = home or load("reports", form)
    if home is None:
        raise UsageError(f"no report format is named {form!r}: there are {', '.join(names())}")
    return home
