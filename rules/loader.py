"""Reading packs: strict, and complete about what is wrong with a file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..analyzer.errors import AccelintError, PackError
from . import fields
from .conditions import Condition, ConditionError, Conditions, compile_condition
from .outline import read_codes
from .pack import Pack, Rule, SourceNote, Support, unsafe_message
from .predicates import load_predicates
from .tables import read_tables

_HERE = Path(__file__).parent
_ANSWERS = {"holds", "fails", "unknown"}
MOST_FILES = 500
"""TOML files of one pack."""
MOST_TOLD = 200
"""Problems in one message."""
MOST_BASES = 4
"""Packs that extend each other."""


class _Problems:
    """Collects every problem of a pack, so that one message lists them all."""

    looking = True

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, where: str, what: str) -> None:
        self.found.append(f"{where}: {what}")

    def conditions(self, where: str, tables: Any, predicates: Mapping[str, Any]) -> Sequence[Condition]:
        """The conditions of a rule, compiled; each that is malformed is a problem."""
        compiled: list[Condition] = []
        for index, table in enumerate(tables if isinstance(tables, list) else [tables]):
            try:
                compiled.append(compile_condition(table, predicates))
            except ConditionError as error:
                self.add(f"{where}[{index}]", str(error))
        return tuple(compiled)

    def typed(
        self, where: str, table: Mapping[str, Any], kinds: fields.Kinds, other: fields.Kind | None = None
    ) -> dict[str, Any]:
        """The fields of a table that hold what they may; every other one is a problem."""
        wrong = fields.misfits(table, kinds, other)
        for key, what in wrong.items():
            self.add(f"{where}.{key}"[:300], what)
        return {key: value for key, value in table.items() if key not in wrong}


class _Shipped(_Problems):
    """Looks for nothing: the tests read every shipped pack strictly, and the files are those that they read.
    What is strict takes half of a small check.
    """

    looking = False

    def typed(
        self, where: str, table: Mapping[str, Any], kinds: fields.Kinds, other: fields.Kind | None = None
    ) -> dict[str, Any]:
        return dict(table)

    def conditions(self, where: str, tables: Any, predicates: Mapping[str, Any]) -> Sequence[Condition]:
        return Conditions(tables if isinstance(tables, list) else [tables], predicates)


def read_shipped(path: Path) -> Pack:
    """Read a pack that accelint ships, without looking for problems."""
    return _read(path, _HERE / "packs", (), _Shipped())


def read_pack(path: Path, folder: Path | None = None, *, above: tuple[Path, ...] = ()) -> Pack:
    """Read a pack from a folder of TOML files (``pack.toml`` first) or from one file.

    ``folder`` is where packs that this one extends are looked for, ``above`` are those that extend it.
    Raises PackError with all problems.
    """
    return _read(path, folder or _HERE / "packs", above, _Problems())


def _read(path: Path, folder: Path, above: tuple[Path, ...], problems: _Problems) -> Pack:
    files = _files(path)
    merged = _merge(files, problems)
    head = merged["pack"]
    for key in ("target", "dialect", "runtime", "version", "default", "policy"):
        if not head.get(key) and ("extends" not in head or key == "target"):
            problems.add("pack", f"{key} is missing")
    base = _base(head, folder, (*above, path), problems)
    sources = {**(base.sources if base else {}), **_sources(merged["source"], problems)}
    predicates = _predicates(head, problems)
    codes = read_codes() if problems.looking else {}
    dropped = {item.get("rule", ""): item.get("reason", "") for item in head.get("drop", ())}
    inherited = [rule for rule in (base.rules if base else ()) if rule.name not in dropped]
    for name, reason in dropped.items():
        if base is None or name not in {rule.name for rule in base.rules} or not reason:
            problems.add(
                "pack.drop", f"{name!r} is no rule of the pack that this one extends, or has no reason"
            )
    rules = inherited + [
        rule
        for file, table in merged["rule"]
        if (rule := _rule(file, table, sources, predicates, codes, problems))
    ]
    supports = list(base.supports if base else ()) + [
        _support(file, table, sources, problems) for file, table in merged["support"]
    ]
    if problems.looking:
        _check_whole(rules, supports, problems)
    if problems.found:
        count = len(problems.found)
        told = [*problems.found[:MOST_TOLD], *(["..."] if count > MOST_TOLD else [])]
        raise PackError(f"{path} has {count} problem{'s' * (count > 1)}:\n  " + "\n  ".join(told))

    def inherit(key: str, default: Any) -> Any:
        return head.get(key, getattr(base, key) if base else default)

    return Pack(
        target=head["target"],
        title=inherit("title", head["target"]),
        dialect=inherit("dialect", ""),
        runtime=inherit("runtime", ""),
        version=inherit("version", ""),
        date=inherit("date", ""),
        default=inherit("default", "fallback"),
        phase=inherit("phase", "compile"),
        policy=inherit("policy", ""),
        policy_options=inherit("policy_options", {}),
        runs_here=inherit("runs_here", ""),
        host=inherit("host", ""),
        hosts=inherit("hosts", {}),
        partial=inherit("partial", ""),
        host_prepares=inherit("host_prepares", False),
        releases=tuple(inherit("releases", ())),
        precision=inherit("precision", ""),
        purpose=inherit("purpose", "accelerates"),
        baseline=inherit("baseline", ""),
        notes=inherit("notes", ""),
        sources=sources,
        variants=merged["variant"] or (base.variants if base else {}),
        rules=tuple(rules),
        supports=tuple(supports),
    )


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    head = path / "pack.toml"
    if not head.is_file():
        raise PackError(f"{path}: no pack.toml: a pack is a TOML file, or a folder with pack.toml in it")
    files = [head, *sorted(file for file in path.glob("*.toml") if file != head and file.is_file())]
    if len(files) > MOST_FILES:
        raise PackError(f"{path}: {len(files)} TOML files, and a pack has at most {MOST_FILES}")
    return files


def _base(head: Mapping[str, Any], folder: Path, above: tuple[Path, ...], problems: _Problems) -> Pack | None:
    """The pack that this one extends: a folder of that name beside the shipped packs, and nothing else."""
    name = head.get("extends")
    if name is None:
        return None
    place = folder / name
    known = _NAMED.fullmatch(name) is not None and (place / "pack.toml").is_file()
    if not known or place.resolve().parent != folder.resolve():
        problems.add("pack.extends", f"there is no pack {name!r} to extend")
        return None
    if place.resolve() in {item.resolve() for item in above} or len(above) > MOST_BASES:
        problems.add("pack.extends", f"{name!r} is extended in a circle, or through more than {MOST_BASES}")
        return None
    return _read(place, folder, above, type(problems)())


_NAMED = re.compile(r"[A-Za-z0-9_]+")


def _predicates(head: Mapping[str, Any], problems: _Problems) -> Mapping[str, Any]:
    try:
        return load_predicates(tuple(head.get("predicates", ())))
    except AccelintError as error:
        problems.add("pack.predicates", error.message)
        return load_predicates(())


def _merge(files: list[Path], problems: _Problems) -> dict[str, Any]:
    """The tables of all files; what is not of its kind is left out, and a problem."""
    merged: dict[str, Any] = {"pack": {}, "source": {}, "variant": {}, "rule": [], "support": []}
    for file in files:
        try:
            data = read_tables(file)
        except (ValueError, OSError) as error:  # what is no TOML or no UTF-8 is a ValueError
            raise PackError(f"{file}: not readable as TOML: {error}") from error
        data = problems.typed(file.name, data, fields.TOP)
        for key in ("pack", "source", "variant"):
            merged[key].update(data.get(key, {}))
        for key in ("rule", "support"):
            merged[key] += [
                (f"{file.name}: {key}[{index}]", table) for index, table in enumerate(data.get(key, []))
            ]
    if not merged["pack"]:
        raise PackError(f"{files[0]}: there is no [pack] table")
    head = problems.typed("pack", merged["pack"], fields.PACK)
    for key, kinds, other in (("policy_options", fields.OPTIONS, fields.PLAIN), ("hosts", {}, fields.NAME)):
        if key in head:
            head[key] = problems.typed(f"pack.{key}", head[key], kinds, other)
    head["drop"] = [problems.typed("pack.drop", item, fields.DROP) for item in head.get("drop", ())]
    merged["pack"] = head
    merged["source"] = _tables_of("source", merged["source"], fields.SOURCE, None, problems)
    merged["variant"] = _tables_of("variant", merged["variant"], fields.OPTIONS, fields.PLAIN, problems)
    return merged


def _tables_of(
    key: str, tables: Mapping[str, Any], kinds: fields.Kinds, other: fields.Kind | None, problems: _Problems
) -> dict[str, dict[str, Any]]:
    named = problems.typed(key, tables, {}, fields.TABLE)
    return {name: problems.typed(f"{key}.{name}", table, kinds, other) for name, table in named.items()}


def _sources(tables: Mapping[str, Any], problems: _Problems) -> dict[str, SourceNote]:
    notes: dict[str, SourceNote] = {}
    for name, table in tables.items():
        if not (table.get("url") or table.get("package")) or not table.get("version"):
            problems.add(f"source.{name}", "needs url or package, and version")
        if (table.get("evidence") == "device") != bool(table.get("device") and table.get("date")):
            problems.add(f"source.{name}", "evidence device needs device and date, which go with no other")
        notes[name] = SourceNote(name, **table)
    return notes


def _support(
    where: str, table: Mapping[str, Any], sources: Mapping[str, SourceNote], problems: _Problems
) -> Support:
    table = problems.typed(where, table, fields.SUPPORT)
    if not table.get("ops"):
        problems.add(where, "ops is missing")
    return Support(
        ops=tuple(table.get("ops", ())),
        source=_source(where, table, sources, problems),
        note=table.get("note", ""),
        variants=tuple(table.get("variants", ())),
        since=table.get("since", ""),
        until=table.get("until", ""),
    )


def _source(
    where: str, table: Mapping[str, Any], sources: Mapping[str, SourceNote], problems: _Problems
) -> SourceNote:
    name = table.get("source", "")
    if name not in sources:
        problems.add(where, f"source {name!r} is not one of {', '.join(sources) or 'none'}")
        return SourceNote(name)
    return sources[name]


def _rule(
    where: str,
    table: Mapping[str, Any],
    sources: Mapping[str, SourceNote],
    predicates: Mapping[str, Any],
    codes: Mapping[str, Any],
    problems: _Problems,
) -> Rule | None:
    where = f"{where} ({str(table.get('name', 'unnamed'))[:100]})"
    table = problems.typed(where, table, fields.RULE)
    if problems.looking and not _whole(where, table, codes, problems):
        return None
    source = _source(where, table, sources, problems)
    effect = table.get("effect", "fallback")
    return Rule(
        code=table["id"],
        name=table["name"],
        identity=table.get("identity", ""),
        ops=tuple(table["ops"]),
        exclude=tuple(table.get("except", ())),
        message=table["message"],
        source=source,
        reason=table.get("quote") or table.get("reason", ""),
        when=problems.conditions(f"{where}.when", table.get("when", []), predicates),
        require=problems.conditions(f"{where}.require", table.get("require", []), predicates),
        refuse=bool(table.get("refuse")),
        effect=effect,
        phase=table.get("phase", ""),
        scope=table.get("scope", "operator"),
        severity=table.get("severity", {"rejected": "error", "note": "note"}.get(effect, "warning")),
        evidence=table.get("evidence", source.evidence),
        since=str(table.get("since", "")),
        until=str(table.get("until", "")),
        variants=tuple(table.get("variants", ())),
        advice=table.get("advice", ""),
        lifecycle=table.get("lifecycle", "stable"),
        cases=_cases(where, table, problems),
    )


def _whole(where: str, table: Mapping[str, Any], codes: Mapping[str, Any], problems: _Problems) -> bool:
    """Whether a rule has what every rule has; what else it lacks is a problem too."""
    missing = [key for key in ("id", "name", "ops", "message", "source") if not table.get(key)]
    if missing:
        problems.add(where, f"{', '.join(missing)} missing")
        return False
    if table["id"] not in codes:
        problems.add(where, f"{table['id']} is no code of codes.toml")
    if bool(table.get("require")) == bool(table.get("refuse")):
        problems.add(where, "a rule has require, or refuse = true")
    if not (table.get("quote") or table.get("reason")):
        problems.add(where, "a rule has a quote of its source or a reason")
    if table.get("phase") and table.get("effect") != "rejected":
        problems.add(where, "phase is of rules whose effect is rejected")
    bad = unsafe_message(table["message"])
    if bad:
        problems.add(f"{where}.message", bad)
    return True


def _cases(
    where: str, table: Mapping[str, Any], problems: _Problems
) -> dict[str, tuple[Mapping[str, Any], ...]]:
    if not problems.looking:
        return {answer: tuple(cases) for answer, cases in table.get("examples", {}).items()}
    examples: dict[str, tuple[Mapping[str, Any], ...]] = {}
    for answer, cases in table.get("examples", {}).items():
        if answer not in _ANSWERS or not fields.TABLES.fits(cases):
            problems.add(f"{where}.examples", f"{answer!r}: lists of cases under holds, fails or unknown")
            continue
        places = (f"{where}.examples.{answer}[{index}]" for index in range(len(cases)))
        examples[answer] = tuple(
            problems.typed(place, case, fields.CASE) for place, case in zip(places, cases, strict=True)
        )
    if not examples.get("fails"):
        problems.add(where, "no case that fails")
    if not examples.get("holds") and not (table.get("refuse") and not table.get("when")):
        problems.add(where, "no case that holds")
    return examples


def _check_whole(rules: list[Rule], supports: list[Support], problems: _Problems) -> None:
    known = {name for support in supports for name in support.ops}
    names: set[str] = set()
    for rule in rules:
        if rule.name in names:
            problems.add(rule.name, "two rules have this name")
        names.add(rule.name)
        stray = [name for name in rule.ops if name != "*" and name not in known]
        if stray and not rule.refuse:
            problems.add(rule.name, f"{', '.join(stray)} not in any [[support]] of the pack")
