"""Reading packs: strict, and complete about what is wrong with a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..analyzer.errors import PackError
from .conditions import Condition, ConditionError, compile_condition
from .outline import read_codes
from .pack import Pack, Rule, SourceNote, Support
from .predicates import load_predicates
from .tables import read_tables
from .verdict import EFFECTS, EVIDENCE, SEVERITIES

_HERE = Path(__file__).parent
_PACK_KEYS = {
    "target",
    "title",
    "dialect",
    "runtime",
    "version",
    "date",
    "default",
    "policy",
    "policy_options",
    "predicates",
    "extends",
    "drop",
    "runs_here",
    "host",
    "precision",
    "notes",
    "releases",
}
_TOP_KEYS = {"pack", "source", "variant", "support", "rule"}
_RULE_KEYS = {
    "id",
    "name",
    "identity",
    "ops",
    "except",
    "message",
    "when",
    "require",
    "refuse",
    "effect",
    "scope",
    "severity",
    "source",
    "quote",
    "reason",
    "evidence",
    "since",
    "until",
    "variants",
    "advice",
    "examples",
}
_SUPPORT_KEYS = {"ops", "source", "note", "variants", "since", "until"}
_SOURCE_KEYS = {"url", "package", "version", "date", "evidence"}
_CASE_KEYS = {"before", "readers", "type", "domain", "version", "attrs", "in", "out", "graphs"}
_ANSWERS = {"holds", "fails", "unknown"}


class _Problems:
    """Collects every problem of a pack, so that one message lists them all."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, where: str, what: str) -> None:
        self.found.append(f"{where}: {what}")

    def unknown_keys(self, where: str, table: Mapping[str, Any], known: set[str]) -> None:
        for key in table:
            if key not in known:
                self.add(f"{where}.{key}", "unknown key")


def read_pack(path: Path, folder: Path | None = None) -> Pack:
    """Read a pack from a folder of TOML files (``pack.toml`` first) or from one file.

    ``folder`` is where packs that this one extends are looked for. Raises PackError with all problems.
    """
    files = _files(path)
    problems = _Problems()
    merged = _merge(files, problems)
    head = merged["pack"]
    problems.unknown_keys("pack", head, _PACK_KEYS)
    for key in ("target", "dialect", "runtime", "version", "default", "policy"):
        if not head.get(key) and "extends" not in head:
            problems.add("pack", f"{key} is missing")
    base = read_pack((folder or _HERE / "packs") / head["extends"]) if "extends" in head else None
    sources = {**(base.sources if base else {}), **_sources(merged["source"], problems)}
    predicates = load_predicates(tuple(head.get("predicates", ())))
    codes = read_codes()
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
    _check_whole(rules, supports, problems)
    if problems.found:
        raise PackError(f"{path} has {len(problems.found)} problems:\n  " + "\n  ".join(problems.found))

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
        policy=inherit("policy", ""),
        policy_options=inherit("policy_options", {}),
        runs_here=inherit("runs_here", ""),
        host=inherit("host", ""),
        releases=tuple(inherit("releases", ())),
        precision=inherit("precision", ""),
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
    return [head, *sorted(file for file in path.glob("*.toml") if file != head)]


def _merge(files: list[Path], problems: _Problems) -> dict[str, Any]:
    merged: dict[str, Any] = {"pack": {}, "source": {}, "variant": {}, "rule": [], "support": []}
    for file in files:
        try:
            data = read_tables(file)
        except (ValueError, OSError) as error:  # what is no TOML or no UTF-8 is a ValueError
            raise PackError(f"{file}: not readable as TOML: {error}") from error
        problems.unknown_keys(file.name, data, _TOP_KEYS)
        for key in ("pack", "source", "variant"):
            merged[key].update(data.get(key, {}))
        for key in ("rule", "support"):
            merged[key] += [
                (f"{file.name}: {key}[{index}]", table) for index, table in enumerate(data.get(key, []))
            ]
    if not merged["pack"]:
        raise PackError(f"{files[0]}: there is no [pack] table")
    return merged


def _sources(tables: Mapping[str, Any], problems: _Problems) -> dict[str, SourceNote]:
    notes: dict[str, SourceNote] = {}
    for name, table in tables.items():
        problems.unknown_keys(f"source.{name}", table, _SOURCE_KEYS)
        if not (table.get("url") or table.get("package")) or not table.get("version"):
            problems.add(f"source.{name}", "needs url or package, and version")
        if table.get("evidence", "source") not in EVIDENCE:
            problems.add(f"source.{name}", f"evidence is one of {', '.join(EVIDENCE)}")
        notes[name] = SourceNote(name, **{key: str(table[key]) for key in _SOURCE_KEYS if key in table})
    return notes


def _support(
    where: str, table: Mapping[str, Any], sources: Mapping[str, SourceNote], problems: _Problems
) -> Support:
    problems.unknown_keys(where, table, _SUPPORT_KEYS)
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


def _conditions(
    where: str, tables: Any, predicates: Mapping[str, Any], problems: _Problems
) -> tuple[Condition, ...]:
    compiled: list[Condition] = []
    for index, table in enumerate(tables if isinstance(tables, list) else [tables]):
        try:
            compiled.append(compile_condition(table, predicates))
        except (ConditionError, AttributeError, TypeError) as error:
            problems.add(f"{where}[{index}]", str(error))
    return tuple(compiled)


def _rule(
    where: str,
    table: Mapping[str, Any],
    sources: Mapping[str, SourceNote],
    predicates: Mapping[str, Any],
    codes: Mapping[str, Any],
    problems: _Problems,
) -> Rule | None:
    where = f"{where} ({table.get('name', 'unnamed')})"
    problems.unknown_keys(where, table, _RULE_KEYS)
    missing = [key for key in ("id", "name", "ops", "message", "source") if not table.get(key)]
    if missing:
        problems.add(where, f"{', '.join(missing)} missing")
        return None
    if table["id"] not in codes:
        problems.add(where, f"{table['id']} is no code of codes.toml")
    if bool(table.get("require")) == bool(table.get("refuse")):
        problems.add(where, "a rule has require, or refuse = true")
    if not (table.get("quote") or table.get("reason")):
        problems.add(where, "a rule has a quote of its source or a reason")
    for key, allowed in (
        ("effect", EFFECTS),
        ("severity", SEVERITIES),
        ("evidence", EVIDENCE),
        ("scope", ("operator", "model")),
    ):
        if key in table and table[key] not in allowed:
            problems.add(where, f"{key} is one of {', '.join(allowed)}")
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
        when=_conditions(f"{where}.when", table.get("when", []), predicates, problems),
        require=_conditions(f"{where}.require", table.get("require", []), predicates, problems),
        refuse=bool(table.get("refuse")),
        effect=effect,
        scope=table.get("scope", "operator"),
        severity=table.get("severity", {"rejected": "error", "note": "note"}.get(effect, "warning")),
        evidence=table.get("evidence", source.evidence),
        since=str(table.get("since", "")),
        until=str(table.get("until", "")),
        variants=tuple(table.get("variants", ())),
        advice=table.get("advice", ""),
        cases=_cases(where, table, problems),
    )


def _cases(
    where: str, table: Mapping[str, Any], problems: _Problems
) -> dict[str, tuple[Mapping[str, Any], ...]]:
    examples = table.get("examples", {})
    for answer, cases in examples.items():
        if answer not in _ANSWERS or not isinstance(cases, list):
            problems.add(f"{where}.examples", f"{answer!r}: lists of cases under holds, fails or unknown")
            continue
        for index, case in enumerate(cases):
            problems.unknown_keys(f"{where}.examples.{answer}[{index}]", case, _CASE_KEYS)
    if not examples.get("fails"):
        problems.add(where, "no case that fails")
    if not examples.get("holds") and not (table.get("refuse") and not table.get("when")):
        problems.add(where, "no case that holds")
    return {
        answer: tuple(cases)
        for answer, cases in examples.items()
        if answer in _ANSWERS and isinstance(cases, list)
    }


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
