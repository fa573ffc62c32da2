"""Files of tables: TOML beside a policy holds what the policy knows of a runtime, each table with a source, a
range of versions and examples for every member (``docs/packs.md``).

Reading is strict: all problems of a file come in one ``PackError``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from ...rules.outline import read_codes
from ...rules.pack import SourceNote
from ...rules.tables import read_tables
from ...rules.verdict import EVIDENCE, PHASES
from ...rules.versions import version_key
from ..errors import PackError

Raw = Mapping[str, Any]

_HERE = Path(__file__).parent
_TOP = {"head", "source", "table", "reason"}
_HEAD = {
    "dialect": str,
    "runtime": str,
    "policy": str,
    "of": str,
    "options": dict,
    "opset": int,
    "tensors": dict,
    "forms": dict,
}
_SOURCE = {"url": str, "package": str, "version": str, "date": str, "evidence": str}
_FACT = {"name": str, "source": str, "since": str, "until": str, "note": str, "examples": list}
_TABLE = {**_FACT, "members": (list, dict), "limit": int}
_REASON = {**_FACT, "id": str, "rule": str, "message": str, "phase": str}
_EXAMPLE = {
    **dict.fromkeys(("graph", "outputs", "left", "for", "except", "others", "facts"), list),
    **dict.fromkeys(("tensors", "forms", "bodies", "options"), dict),
    **dict.fromkeys(("policy", "of", "gives", "otherwise"), str),
    "opset": int,
}
_OF = ("partitions", "view", "optimized")
F = TypeVar("F", bound="Fact")


@dataclass(frozen=True, eq=False, repr=False)
class Fact:
    """What tables and reasons share: where it comes from, for which versions, and examples that show it."""

    name: str
    source: SourceNote
    since: str = ""
    until: str = ""
    note: str = ""
    examples: tuple[Raw, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
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


@dataclass(frozen=True, eq=False, repr=False)
class Reason(Fact):
    """Why operators that the rules support are not placed: a finding code, a rule's name and a message, and
    the phase in which the runtime rejects the model for it, where that is not the pack's.
    """

    code: str = ""
    rule: str = ""
    message: str = ""
    phase: str = ""


@dataclass(frozen=True, eq=False, repr=False)
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
    optimizer = isinstance(head, dict) and head.get("of") == "optimized"
    reader.needs("head", head, ("runtime",) if optimizer else ("runtime", "policy"))
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
            self.needs(place, example, ("graph",))
            if isinstance(example, dict) and "gives" not in example:
                self.add(place, "gives missing")
            if isinstance(example, dict) and example.get("of", "partitions") not in _OF:
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
        phase = str(table.get("phase", ""))
        if phase and phase not in PHASES:
            self.add(where, f"{phase!r} is no phase: {', '.join(PHASES)}")
        rule = str(table.get("rule", fact["name"]))
        code, message = str(table.get("id", "")), str(table.get("message", ""))
        return Reason(**fact, code=code, rule=rule, message=message, phase=phase)

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
