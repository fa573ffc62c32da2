"""What ``accelint releases`` says: one document, and the same as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from ..check.coverage import Entry, OperatorVerdict
from ..check.history import Changes, History, Reason, Release
from ..words import counted, percent, rounded
from .purposes import Purpose, purpose_of

SCHEMA = "accelint/releases/1"
NAMED = 3
"""Operators that the text names for each reason; the JSON document has all."""


def document(entry: Entry, histories: Sequence[History], version: str) -> dict[str, Any]:
    """The table of one model as JSON."""
    about = entry.about
    return {
        "schema": SCHEMA,
        "tool": {"name": "accelint", "version": version},
        "path": str(entry.path),
        "format": about and about.format,
        "dialect": about and about.dialect,
        "operators": about and about.operators,
        "targets": [_history(item) for item in histories],
        "skipped": [
            {"target": target, "reason": why}
            for target, why in (
                *entry.skipped.items(),
                *((target, error.message) for target, error in entry.failures.items()),
            )
        ],
    }


def _history(item: History) -> dict[str, Any]:
    return {
        "target": item.target,
        "runtime": item.pack.runtime,
        "default": item.pack.version,
        "date": item.pack.date,
        "purpose": item.pack.purpose,
        "device": dict(item.pack.variants.get(item.target.partition(":")[2], {})),
        "releases": [_release(item, release) for release in item.releases],
    }


def _release(item: History, release: Release) -> dict[str, Any]:
    coverage, host = release.coverage, item.pack.host.partition("@")[0]
    return {
        "release": release.version,
        "host": f"{host}@{item.pack.host_release(release.version)}" if host else None,
        "rules_of": release.rules_of,
        "verdict": coverage.verdict,
        "phase": coverage.phase or None,
        "coverage": {
            "operators": rounded(coverage.by_operators),
            "macs": None if coverage.by_macs is None else rounded(coverage.by_macs),
        },
        "partitions": len(coverage.partitions),
        "changes": None if release.changes is None else _changes(release.changes),
    }


def _changes(changes: Changes) -> dict[str, Any]:
    return {
        "since": changes.since,
        "new": [_reason(item) for item in changes.new],
        "gone": [_reason(item) for item in changes.gone],
        "operators": [
            {**_operator(item.operator), "before": item.before, "now": item.operator.verdict.value}
            for item in changes.moved
        ],
    }


def _reason(item: Reason) -> dict[str, Any]:
    return {
        "code": item.code,
        "rule": item.rule,
        "effect": item.effect,
        "message": item.message,
        "operators": [_operator(op) for op in item.operators],
    }


def _operator(op: OperatorVerdict) -> dict[str, Any]:
    return {"id": op.id, "name": op.name, "type": op.type}


def text(document: dict[str, Any], *, changes: bool = True, named: int | None = NAMED) -> str:
    """The table for people, of a document; ``named``: how many operators of a change it names (None: all)."""
    head = f"{document['path']} ({document['format']}, {counted(document['operators'], 'operator')})"
    return (
        "\n".join([head, *(line for item in document["targets"] for line in _lines(item, changes, named))])
        + "\n"
    )


def _lines(target: dict[str, Any], changes: bool, named: int | None) -> Iterator[str]:
    words = purpose_of(target)
    releases = target["releases"]
    yield ""
    device = "; ".join(f"{key} {value}" for key, value in target["device"].items())
    told = f"{target['runtime']}, {counted(len(releases), 'release')} with data"
    yield f"{target['target']}: {told}{f' ({device})' if device else ''}"
    yield from _table([_row(release, target, words) for release in releases], words)
    if not changes:
        return
    if len(releases) == 1:
        yield "  no other release has data: what it does with the model is unknown"
        return
    found = [line for release in releases for line in _changed(release, words, named)]
    yield from found or ["  no verdict and no finding differs between these releases"]


def _table(rows: list[tuple[str, ...]], words: Purpose) -> Iterator[str]:
    head = ("release", "verdict", "operators", "MACs", "partitions", "rules")
    table = [head, *rows]
    columns = [index for index, name in enumerate(head) if words.partitions or name != "partitions"]
    widths = {index: max(len(row[index]) for row in table) for index in columns}
    for row in table:
        yield "  " + "  ".join(f"{row[index]:<{widths[index]}}" for index in columns).rstrip()


def _row(release: dict[str, Any], target: dict[str, Any], words: Purpose) -> tuple[str, ...]:
    version, macs = release["release"], release["coverage"]["macs"]
    if version == target["default"]:
        data = f"the default, data of {target['date']}"
    elif release["rules_of"] == version:
        data = "its own"
    else:
        data = f"answered with those of {release['rules_of']}"
    if release["host"]:
        data += f"; falls back to {release['host']}"
    return (
        version,
        words.of_model(release["verdict"], release["phase"]),
        percent(release["coverage"]["operators"]),
        "-" if macs is None else percent(macs),
        str(release["partitions"]),
        data,
    )


def _changed(release: dict[str, Any], words: Purpose, named: int | None) -> Iterator[str]:
    """What changed at a release; nothing where nothing did."""
    changes = release["changes"]
    if changes is None or not (changes["new"] or changes["gone"] or changes["operators"]):
        return
    yield f"  {changes['since']} -> {release['release']}"
    for sign in ("new", "gone"):
        for item in changes[sign]:
            rule = f"{item['code']} {item['rule']} ({item['effect']})"
            yield f"    {sign:<5}{rule}: {_named(item['operators'], named)}"
            yield f"         {item['message']}"
    ways = Counter((item["before"], item["now"]) for item in changes["operators"])
    for (before, now), count in ways.items():
        yield f"    {counted(count, 'operator')}: {words.of_operator(before)} -> {words.of_operator(now)}"


def _named(operators: Sequence[dict[str, Any]], most: int | None) -> str:
    shown = ", ".join(f"{op['type']} {op['name']!r}" for op in operators[:most])
    more = 0 if most is None else len(operators) - most
    return shown + (f" and {more} more" if more > 0 else "")
