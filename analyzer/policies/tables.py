"""What policies know of a runtime, for one version of it: sets of operator types and dtypes, limits, and the
words for operators that are not placed.

``tablefiles`` reads them, when a policy first asks for a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from ...rules.folders import nearest
from ..errors import PackError
from .base import Dropped

if TYPE_CHECKING:
    from .tablefiles import Reason, Table


class Book:
    """The tables and reasons of one file that are in force for one version."""

    def __init__(self, tables: Mapping[str, Table], reasons: Mapping[str, Reason]) -> None:
        self.tables = tables
        self.reasons = reasons
        self._types: dict[str, frozenset[str]] = {}
        self._kinds: dict[str, dict[str, str]] = {}
        self._dropped: dict[str, Dropped] = {}

    def types(self, name: str) -> frozenset[str]:
        """The members of a table."""
        found = self._types.get(name)
        if found is None:
            found = self._types[name] = frozenset(self.kinds(name))
        return found

    def kinds(self, name: str) -> Mapping[str, str]:
        """Member -> kind."""
        found = self._kinds.get(name)
        if found is None:
            found = self._kinds[name] = dict(self.tables[name].members())
        return found

    def named(self, name: str) -> Table:
        """The table that a pack's option names. Raises PackError when there is none."""
        if name not in self.tables:
            near = nearest(name, list(self.tables))
            raise PackError(f"policy_options: no table is named {name!r}: {near}")
        return self.tables[name]

    def limit(self, name: str) -> int:
        """The number that a table is."""
        limit = self.tables[name].limit
        assert limit is not None, name
        return limit

    def dropped(self, name: str, /, **words: object) -> Dropped:
        """A reason, with its message about this case."""
        reason = self.reasons[name]
        if words:
            return Dropped(reason.code, reason.rule, reason.message.format(**words), reason.phase)
        return self._dropped.setdefault(name, Dropped(reason.code, reason.rule, reason.message, reason.phase))

    def changed(self, table: Table) -> Book:
        """The same with another table of that name."""
        return Book({**self.tables, table.name: table}, self.reasons)


class Tables:
    """The tables of all policies for a version of a runtime, each file read when it is asked for.

    Another runtime than that of a file counts its versions otherwise: it gets the file's latest tables.
    """

    def __init__(
        self, runtime: str = "", version: str = "", changed: Mapping[str, Book] | None = None
    ) -> None:
        self.runtime = runtime
        self.version = version
        self._books: dict[str, Book] = dict(changed or {})

    def __getitem__(self, name: str) -> Book:
        book = self._books.get(name)
        if book is None:
            book = self._books[name] = _book(name, self.runtime, self.version)
        return book

    def same(self, other: Tables) -> bool:
        """Whether all that was looked at here is the same there."""
        return self is other or all(other[name] is book for name, book in self._books.items())


@cache
def tables_for(runtime: str, version: str) -> Tables:
    """The tables for a version of a runtime."""
    return Tables(runtime, version)


STANDARD = Tables()
"""The latest tables."""


class WithTables:
    """A policy that is handed its tables."""

    def __init__(self, tables: Tables = STANDARD) -> None:
        self.tables = tables


@cache
def _book(name: str, runtime: str, version: str) -> Book:
    """The book of a version; versions between which nothing changed have one."""
    from .tablefiles import in_force, table_file

    file = table_file(name)
    if runtime != file.head["runtime"] and (runtime or version):
        return _book(name, "", "")
    tables, reasons = in_force(file.tables, version), in_force(file.reasons, version)
    latest = _book(name, "", "") if version else None
    if latest is not None and latest.tables == tables and latest.reasons == reasons:
        return latest
    return Book(tables, reasons)
