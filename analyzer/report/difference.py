"""What changed between two reports: findings, coverage, partitions and the models' inputs and outputs.

Works on the documents of ``document``, so that a stored report is compared like a fresh one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from ...rules.verdict import OF_MODELS
from ..errors import UsageError
from ..inert import line as clean
from ..words import counted, percent

SCHEMA = "accelint/diff/1"
Row = Mapping[str, Any]


def difference(old: Row, new: Row) -> dict[str, Any]:
    """The difference of two report documents. Raises UsageError when they have no model and target in
    common.
    """
    models = [_model(*pair) for pair in _paired(old["models"], new["models"])]
    if not any(model["targets"] for model in models):
        raise UsageError("the two have no model and target in common: nothing can be compared")
    return {
        "schema": SCHEMA,
        "tools": [old["tool"]["version"], new["tool"]["version"]],
        "models": models,
        "worse": any(map(_worse, models)),
    }


def _paired(old: Sequence[Row], new: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Models of both: the only two, or those of one path, else of one file name."""
    left, right = ([row for row in rows if "error" not in row] for rows in (old, new))
    if len(left) == len(right) == 1:
        return [(left[0], right[0])]
    for name in (lambda row: row["path"], lambda row: PurePath(row["path"]).name):
        named = {name(row): row for row in left}
        if found := [(named[name(row)], row) for row in right if name(row) in named]:
            return found
    return []


def _model(old: Row, new: Row) -> dict[str, Any]:
    return {
        "old": old["path"],
        "new": new["path"],
        "contract": [*_contract("input", old, new), *_contract("output", old, new)],
        "targets": [_target(*pair) for pair in _targets(old["targets"], new["targets"])],
    }


def _targets(old: Sequence[Row], new: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Targets of both, by their names; in order where none has the other's name (two releases of one)."""
    named = {(row["target"], row.get("optimize")): row for row in old}
    found = [
        (named[row["target"], row.get("optimize")], row)
        for row in new
        if (row["target"], row.get("optimize")) in named
    ]
    if found or len(old) != len(new):
        return found
    return list(zip(old, new, strict=True))


def _contract(side: str, old: Row, new: Row) -> list[str]:
    """What an application would notice: names, order, dtypes, shapes."""
    before, after = ({item["name"]: item for item in row[f"{side}s"]} for row in (old, new))
    told = [f"{side} {name!r} is gone" for name in before if name not in after]
    told += [f"{side} {name!r} is new" for name in after if name not in before]
    for name in before.keys() & after.keys():
        told += [
            f"{side} {name!r}: {key} was {before[name][key]}, is {after[name][key]}"
            for key in ("dtype", "shape")
            if before[name][key] != after[name][key]
        ]
    if not told and list(before) != list(after):
        told.append(f"{side}s are in another order: {', '.join(map(repr, after))}")
    return sorted(told)


def _target(old: Row, new: Row) -> dict[str, Any]:
    before, after = (_by_fingerprint(row["findings"]) for row in (old, new))
    return {
        "target": new["target"],
        "runtimes": [old["runtime"], new["runtime"]],
        "verdict": [old["verdict"], new["verdict"]],
        "phase": [old.get("phase"), new.get("phase")],
        "coverage": {key: [old["coverage"][key], new["coverage"][key]] for key in ("operators", "macs")},
        "partitions": [len(old["partitions"]), len(new["partitions"])],
        "boundary_bytes": [boundary_bytes(old), boundary_bytes(new)],
        "new": [row for mark, row in after.items() if mark not in before],
        "fixed": [row for mark, row in before.items() if mark not in after],
        "kept": len(before.keys() & after.keys()),
    }


def _by_fingerprint(findings: Iterable[Row]) -> dict[str, Row]:
    return {row["fingerprint"]: row for row in findings if not row.get("ignored")}


def boundary_bytes(target: Row) -> int | None:
    """Bytes that flow into and out of all partitions; None where one is unknown."""
    moved = [part[key] for part in target["partitions"] for key in ("bytes_in", "bytes_out")]
    return None if None in moved else sum(moved)


def _worse(model: Row) -> bool:
    return bool(model["contract"]) or any(map(target_worse, model["targets"]))


def target_worse(target: Row) -> bool:
    """New findings that are more than notes, or a worse verdict, less coverage, more partitions."""
    old, new = target["verdict"]
    before, after = target["coverage"]["operators"]
    return (
        any(row["severity"] != "note" for row in target["new"])
        or OF_MODELS.index(new) > OF_MODELS.index(old)
        or after < before
        or (new == old and target["partitions"][1] > target["partitions"][0])
    )


# ---- for people ------------------------------------------------------------------------------


def text(document: Row, *, brief: bool = False, full: bool = False) -> str:
    """The difference as text. ``brief``: a line a target; ``full``: every finding and not one a cause."""
    lines = []
    for model in document["models"]:
        same = model["old"] == model["new"]
        lines.append(clean(model["new"] if same else f"{model['old']} -> {model['new']}"))
        lines += [f"  contract: {clean(line)}" for line in model["contract"]]
        for target in model["targets"]:
            lines += _lines(target, brief=brief, full=full)
    return "\n".join(lines) + "\n"


def _lines(target: Row, *, brief: bool, full: bool) -> list[str]:
    lines = [f"  {target['target']}  {summary(target)}"]
    if brief:
        return lines
    for word in ("new", "fixed"):
        for (severity, code, rule), rows in _causes(target[word]).items():
            shown = rows if full else rows[:1]
            more = f"  (and {len(rows) - 1} more)" if len(rows) > len(shown) else ""
            lines += [
                f"    {word:<5} {severity} {code} {rule}: {clean(row['message'])}{more}" for row in shown
            ]
    return lines


def _causes(findings: Sequence[Row]) -> dict[tuple[str, str, str], list[Row]]:
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in findings:
        found.setdefault((row["severity"], row["code"], clean(row["rule"])), []).append(row)
    return found


def summary(target: Row) -> str:
    """One line: what the target said before, and says now."""
    parts = [_moved(*target["verdict"])]
    if target["runtimes"][0] != target["runtimes"][1]:
        parts.insert(0, _moved(*target["runtimes"]))
    old, new = target["coverage"]["operators"]
    parts.append(f"{_moved(percent(old, 1), percent(new, 1))} of operators")
    before, after = target["partitions"]
    parts.append(
        counted(after, "partition") if before == after else f"{before} -> {counted(after, 'partition')}"
    )
    found = Counter({word: len(target[word]) for word in ("new", "fixed")})
    parts.append(
        f"{counted(found['new'], 'new finding')}, {found['fixed']} fixed, {target['kept']} as before"
    )
    return ", ".join(parts)


def _moved(old: object, new: object) -> str:
    return str(new) if old == new else f"{old} -> {new}"
