"""What policies know of a runtime, as data: sets of operator types and dtypes, limits, and the words for
operators that are not placed.

A TOML file beside the policy holds its tables, each with a source, a range of versions and examples for every
member (``docs/packs.md``). Reading is strict: all problems of a file come in one ``PackError``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from ...rules.outline import read_codes
from ...rules.pack import SourceNote, version_key
from ...rules.tables import read_tables
from ...rules.verdict import EVIDENCE
from ..errors import PackError
from .base import Dropped

Raw = Mapping[str, Any]

_HERE = Path(__file__).parent
_TOP = {"head", "source", "table", "reason"}
_HEAD = {
    "dialect": str,
    "runtime": str,
    "policy": str,
    "options": dict,
    "opset": int,
    "tensors": dict,
    "forms": dict,
}
_SOURCE = {"url": str, "package": str, "version": str, "date": str, "evidence": str}
_FACT = {"name": str, "source": str, "since": str, "until": str, "note": str, "examples": list}
_TABLE = {**_FACT, "members": (list, dict), "limit": int}
_REASON = {**_FACT, "id": str, "rule": str, "message": str}
_EXAMPLE = {
    **dict.fromkeys(("graph", "outputs", "left", "for", "except", "others"), list),
    **dict.fromkeys(("tensors", "forms", "bodies", "options"), dict),
    **dict.fromkeys(("policy", "of", "gives", "otherwise"), str),
    "opset": int,
}
_OF = ("groups", "view")
F = TypeVar("F", bound="Fact")


@dataclass(frozen=True, slots=True)
class Fact:
    """What tables and reasons share: where it comes from, for which versions, and examples that show it."""

    name: str
    source: SourceNote
    since: str = ""
    until: str = ""
    note: str = ""
    examples: tuple[Raw, ...] = ()


@dataclass(frozen=True, slots=True)
class Table(Fact):
    """Operator types or dtypes, each of one kind (``""`` where there is one kind only), or a limit."""

    kinds: Mapping[str, tuple[str, ...]] | None = None
    limit: int | None = None

    def members(self) -> Iterator[tuple[str, str]]:
        """Every member with its kind."""
        for kind, names in (self.kinds or {}).items():
            yield from ((name, kind) for name in names)

    def without(self, member: str) -> Table:
        """The table when a member is dropped from it."""
        kinds = {
            kind: tuple(name for name in names if name != member)
            for kind, names in (self.kinds or {}).items()
        }
        return replace(self, kinds=kinds)

    def at(self, limit: int) -> Table:
        """The table with another limit."""
        return replace(self, limit=limit)

    def having(self, member: str, kind: str) -> Table:
        """The table when a member is added to it."""
        kinds = self.kinds or {}
        return replace(self, kinds={**kinds, kind: (*kinds[kind], member)})


@dataclass(frozen=True, slots=True)
class Reason(Fact):
    """Why operators that the rules take are not placed: a finding code, a rule's name and a message."""

    code: str = ""
    rule: str = ""
    message: str = ""


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

    def limit(self, name: str) -> int:
        """The number that a table is."""
        limit = self.tables[name].limit
        assert limit is not None, name
        return limit

    def dropped(self, name: str, /, **words: object) -> Dropped:
        """A reason, with its message about this case."""
        reason = self.reasons[name]
        if words:
            return Dropped(reason.code, reason.rule, reason.message.format(**words))
        return self._dropped.setdefault(name, Dropped(reason.code, reason.rule, reason.message))

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
            runtime = table_file(name).head["runtime"]
            book = self._books[name] = _book(name, self.version if self.runtime == runtime else "")
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


@dataclass(frozen=True, slots=True)
class TableFile:
    """What a file holds, for all versions."""

    name: str
    head: Raw
    tables: tuple[Table, ...]
    reasons: tuple[Reason, ...]


@cache
def table_file(name: str) -> TableFile:
    """The file of that name, as ``qnn/half``. Raises PackError with all problems."""
    return read_file(_HERE / f"{name}.toml", name)


def table_files() -> list[str]:
    """The names of all files of tables."""
    return sorted(file.relative_to(_HERE).with_suffix("").as_posix() for file in _HERE.rglob("*.toml"))


@cache
def _book(name: str, version: str) -> Book:
    """The book of a version; versions between which nothing changed have one."""
    file = table_file(name)
    tables, reasons = in_force(file.tables, version), in_force(file.reasons, version)
    latest = _book(name, "") if version else None
    if latest is not None and latest.tables == tables and latest.reasons == reasons:
        return latest
    return Book(tables, reasons)


def in_force(facts: tuple[F, ...], version: str) -> dict[str, F]:
    """One fact for each name: the last that begins at or before the version, else the first there is.

    No version is the latest.
    """
    found: dict[str, F] = {}
    for fact in sorted(facts, key=_begin):
        begun = not version or version_key(fact.since) <= version_key(version)
        if begun or fact.name not in found:
            found[fact.name] = fact
    return found


# ---- reading ---------------------------------------------------------------------------------


def read_file(path: Path, name: str) -> TableFile:
    """Read a file of tables. Raises PackError that lists every problem with its place."""
    try:
        data = read_tables(path)
    except (ValueError, OSError) as error:
        raise PackError(f"{path}: not readable as TOML: {error}") from error
    reader = _Reader()
    reader.keys("", data, dict.fromkeys(_TOP, object))
    head = data.get("head", {})
    reader.keys("head", head, _HEAD)
    reader.needs("head", head, ("runtime", "policy"))
    sources = {key: reader.source(f"source.{key}", table) for key, table in data.get("source", {}).items()}
    tables = tuple(
        reader.table(f"table[{index}]", item, sources) for index, item in enumerate(data.get("table", ()))
    )
    reasons = tuple(
        reader.reason(f"reason[{index}]", item, sources) for index, item in enumerate(data.get("reason", ()))
    )
    reader.ranges(tables)
    reader.ranges(reasons)
    if reader.problems:
        raise PackError(f"{path} has {len(reader.problems)} problems:\n  " + "\n  ".join(reader.problems))
    return TableFile(name, head, tables, reasons)


class _Reader:
    """Collects every problem of a file, so that one message lists them all."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def add(self, where: str, what: str) -> None:
        self.problems.append(f"{where}: {what}")

    def keys(self, where: str, table: Any, known: Mapping[str, Any]) -> None:
        if not isinstance(table, dict):
            self.add(where, "not a table")
            return
        for key, value in table.items():
            place = f"{where}.{key}" if where else key
            if key not in known:
                self.add(place, "unknown key")
            elif not isinstance(value, known[key]) or isinstance(value, bool):
                self.add(place, f"{type(value).__name__} is not supported here")

    def needs(self, where: str, table: Any, names: tuple[str, ...]) -> None:
        missing = [name for name in names if not (isinstance(table, dict) and table.get(name))]
        if missing:
            self.add(where, f"{', '.join(missing)} missing")

    def source(self, where: str, table: Any) -> SourceNote:
        self.keys(where, table, _SOURCE)
        note = table if isinstance(table, dict) else {}
        if not (note.get("url") or note.get("package")) or not note.get("version"):
            self.add(where, "needs url or package, and version")
        if note.get("evidence") not in EVIDENCE:
            self.add(where, f"evidence is one of {', '.join(EVIDENCE)}")
        return SourceNote(where.partition(".")[2], **{key: str(note[key]) for key in _SOURCE if key in note})

    def fact(self, where: str, item: Any, sources: Mapping[str, SourceNote]) -> dict[str, Any]:
        """The values of a ``Fact``."""
        table = item if isinstance(item, dict) else {}
        self.needs(where, table, ("name", "source", "since"))
        if table.get("source") not in sources:
            self.add(where, f"source {table.get('source')!r} is not one of {', '.join(sources) or 'none'}")
        examples = table.get("examples", ())
        for index, example in enumerate(examples if isinstance(examples, list) else ()):
            place = f"{where}.examples[{index}]"
            self.keys(place, example, _EXAMPLE)
            self.needs(place, example, ("graph", "gives"))
            if isinstance(example, dict) and example.get("of", "groups") not in _OF:
                self.add(place, f"of is one of {', '.join(_OF)}")
        return {
            "name": str(table.get("name", "")),
            "source": sources.get(str(table.get("source")), SourceNote("")),
            "since": str(table.get("since", "")),
            "until": str(table.get("until", "")),
            "note": str(table.get("note", "")),
            "examples": tuple(examples),
        }

    def table(self, where: str, item: Any, sources: Mapping[str, SourceNote]) -> Table:
        where = _named(where, item)
        self.keys(where, item, _TABLE)
        fact = self.fact(where, item, sources)
        if not isinstance(item, dict) or ("members" in item) == ("limit" in item):
            self.add(where, "a table has members, or a limit")
            return Table(**fact)
        if not fact["examples"]:
            self.add(where, "no example")
        return Table(**fact, kinds=self._kinds(where, item.get("members")), limit=item.get("limit"))

    def _kinds(self, where: str, members: Any) -> Mapping[str, tuple[str, ...]] | None:
        if members is None:
            return None
        kinds = members if isinstance(members, dict) else {"": members}
        seen: set[str] = set()
        for kind, names in kinds.items():
            place = f"{where}.members" + (f".{kind}" if kind else "")
            if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
                self.add(place, "not a list of names")
                continue
            again = sorted({name for name in names if name in seen or names.count(name) > 1})
            if again:
                self.add(place, f"{', '.join(again)} listed twice")
            seen.update(names)
        return {
            kind: tuple(str(name) for name in names)
            for kind, names in kinds.items()
            if isinstance(names, list)
        }

    def reason(self, where: str, item: Any, sources: Mapping[str, SourceNote]) -> Reason:
        where = _named(where, item)
        self.keys(where, item, _REASON)
        self.needs(where, item, ("id", "message"))
        fact = self.fact(where, item, sources)
        table = item if isinstance(item, dict) else {}
        if table.get("id") not in read_codes():
            self.add(where, f"{table.get('id')!r} is no code of codes.toml")
        rule = str(table.get("rule", fact["name"]))
        return Reason(**fact, code=str(table.get("id", "")), rule=rule, message=str(table.get("message", "")))

    def ranges(self, facts: tuple[Fact, ...]) -> None:
        """Facts of one name follow each other: each ends where the next begins, the last has no end."""
        names = {fact.name: sorted((f for f in facts if f.name == fact.name), key=_begin) for fact in facts}
        for name, row in names.items():
            for fact, later in zip(row, [*row[1:], None], strict=True):
                end = later.since if later is not None else ""
                if fact.until != end:
                    self.add(
                        name, f"from {fact.since} on it ends at {fact.until!r}, the next begins at {end!r}"
                    )


def _begin(fact: Fact) -> tuple[int, ...]:
    return version_key(fact.since)


def _named(where: str, item: Any) -> str:
    return f"{where} ({item.get('name', 'unnamed')})" if isinstance(item, dict) else where
