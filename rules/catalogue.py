"""What the packs say, without a model: the lists behind ``targets``, ``rules`` and ``explain``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from ..analyzer.errors import UsageError
from .loader import read_codes
from .pack import Pack, Rule
from .registry import choose, load_pack, nearest, pack_folders


def target_rows() -> list[dict[str, Any]]:
    """One row a target and variant; reads only the head of each pack."""
    rows: list[dict[str, Any]] = []
    for target, folder in pack_folders().items():
        with (folder / "pack.toml").open("rb") as stream:
            data = tomllib.load(stream)
        head = _head(data["pack"], folder.parent)
        for variant in data.get("variant") or [""]:
            rows.append({"target": f"{target}:{variant}" if variant else target, **head})
    return rows


def _head(head: dict[str, Any], packs: Any) -> dict[str, Any]:
    base: dict[str, Any] = {}
    if "extends" in head:
        with (packs / head["extends"] / "pack.toml").open("rb") as stream:
            base = tomllib.load(stream)["pack"]
    keys = ("title", "dialect", "runtime", "version", "date", "runs_here")
    return {key: str(head.get(key, base.get(key, ""))) for key in keys}


def rule_rows(target: str | None, code: str | None, operator: str | None) -> list[dict[str, Any]]:
    """One row a rule, filtered."""
    return [
        {
            "target": pack.target, "code": rule.code, "name": rule.name, "ops": list(rule.ops), "effect": rule.effect,
            "severity": rule.severity, "evidence": rule.evidence, "source": rule.source.url or rule.source.package,
            "version": rule.source.version, "message": rule.message,
        }
        for pack in _packs(target)
        for rule in pack.rules
        if (code is None or rule.code.startswith(code.upper())) and (operator is None or operator in rule.ops or "*" in rule.ops)
    ]  # fmt: skip


def _packs(target: str | None) -> list[Pack]:
    return [choose(target).pack] if target else [load_pack(name) for name in pack_folders()]


def explanation(what: str, target: str | None, fixes: Mapping[str, str]) -> str:
    """The text of ``explain``; ``fixes`` maps ``code:TYPE`` and ``rule:TYPE`` to the rewrites that answer them.

    Raises UsageError with the nearest names when nothing is called so.
    """
    codes = read_codes()
    if what.upper() in codes:
        return _explain_code(what.upper(), codes[what.upper()], target, fixes)
    packs = _packs(target)
    named = [(pack, rule) for pack in packs for rule in pack.rules if rule.name == what]
    if named:
        return "\n".join(_explain_rule(pack, rule, fixes) for pack, rule in named)
    known = [pack for pack in packs if what in pack.known or any(what in rule.ops for rule in pack.rules)]
    if known:
        return "\n".join(_explain_operator(what, pack, fixes) for pack in known)
    everything = [*codes, *{name for pack in packs for name in pack.known}, *{rule.name for pack in packs for rule in pack.rules}]
    raise UsageError(f"nothing is called {what!r}: {nearest(what, sorted(everything))}")


def _explain_code(code: str, entry: dict[str, str], target: str | None, fixes: Mapping[str, str]) -> str:
    lines = [f"{code} {entry['name']}: {entry['title']}", "", f"Why it matters: {entry['why']}", f"What to change: {entry['change']}"]
    lines += [f"Rewrite that repairs it: {line}" for line in _repairs(code, (), fixes)]
    for pack in _packs(target):
        found = [rule for rule in pack.rules if rule.code == code]
        if found:
            lines += ["", f"{pack.target} ({pack.runtime} {pack.version})"]
            lines += [f"  {rule.name}: {', '.join(rule.ops[:6])}{', ...' if len(rule.ops) > 6 else ''}" for rule in found]
    return "\n".join(lines) + "\n"


def _explain_rule(pack: Pack, rule: Rule, fixes: Mapping[str, str], operator: str = "") -> str:
    lines = [f"{rule.code} {rule.name} on {pack.target}: {rule.message}", f"  operators: {', '.join(rule.ops)}"]
    lines += [f"  when {_say(condition.table)}" for condition in rule.when]
    lines += [f"  requires {_say(condition.table)}" for condition in rule.require]
    lines += ["  always refused"] if rule.refuse else []
    lines.append(f"  effect: {rule.effect}; evidence: {rule.evidence}")
    lines.append(f"  reason: {rule.reason}")
    lines.append(f"  source: {rule.source.url or rule.source.package} {rule.source.version}")
    if rule.advice:
        lines.append(f"  what to change: {rule.advice}")
    types = (operator,) if operator else tuple(pack.known) if "*" in rule.ops else rule.ops
    lines += [f"  rewrite that repairs it: {line}" for line in _repairs(rule.name, types, fixes) or _repairs(rule.code, types, fixes)]
    return "\n".join(lines) + "\n"


def _explain_operator(operator: str, pack: Pack, fixes: Mapping[str, str]) -> str:
    lines = [f"{operator} on {pack.target} ({pack.runtime} {pack.version})"]
    if operator not in pack.known:
        lines.append("  not taken in any configuration")
    lines += [f"  {support.note or 'taken'} [{support.source.evidence}]" for support in pack.supports if operator in support.ops]
    own = [rule for rule in pack.rules if (operator in rule.ops or "*" in rule.ops) and operator not in rule.exclude]
    if not own:
        lines.append("  any configuration")
    return (
        "\n".join(lines)
        + "\n"
        + "".join("  " + _explain_rule(pack, rule, fixes, operator).replace("\n", "\n  ").rstrip() + "\n" for rule in own)
    )


def _say(table: Any) -> str:
    """A condition's table in words, close to how it is written."""
    if "any_of" in table:
        return "any of: " + "; or ".join(
            " and ".join(map(_say, item)) if isinstance(item, list) else _say(item) for item in table["any_of"]
        )
    words = []
    for key, value in table.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else _say(value) if isinstance(value, dict) else value
        words.append(f"{key.replace('_', ' ')} {shown}")
    return " ".join(words)


def _repairs(answer: str, ops: Sequence[str], fixes: Mapping[str, str]) -> list[str]:
    """``rewrite (TYPE, TYPE)`` for each rewrite that answers a code or rule at the given types, or at any."""
    found: dict[str, list[str]] = {}
    for key, rewrite in fixes.items():
        name, _, type = key.partition(":")
        if name == answer and (not ops or type in ops):
            found.setdefault(rewrite, []).append(type)
    return [f"{rewrite} ({', '.join(types)})" for rewrite, types in found.items()]
