"""What the packs say, without a model: the lists behind ``targets``, ``rules`` and ``explain``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..analyzer.errors import UsageError
from .folders import nearest, pack_folders
from .outline import Outline, Table, read_codes


def target_rows() -> list[dict[str, Any]]:
    """One row a target and variant; reads only the head of each pack."""
    rows: list[dict[str, Any]] = []
    for target in pack_folders():
        pack = Outline(target)
        head = {key: str(pack.head.get(key, "")) for key in ("title", "dialect", "runtime", "version", "date", "runs_here")}
        rows += [{"target": f"{target}:{variant}" if variant else target, **head} for variant in pack.variants() or [""]]
    return rows


def rule_rows(target: str | None, code: str | None, operator: str | None) -> list[dict[str, Any]]:
    """One row a rule, filtered."""
    return [
        {
            "target": pack.target, "code": rule["id"], "name": rule["name"], "ops": rule["ops"], "effect": rule["effect"],
            "severity": rule["severity"], "evidence": rule["evidence"], "source": rule["where"], "version": rule["version"],
            "message": rule["message"],
        }
        for pack in _packs(target)
        for rule in pack.rules()
        if (code is None or rule["id"].startswith(code.upper())) and (operator is None or operator in rule["ops"] or "*" in rule["ops"])
    ]  # fmt: skip


def _packs(target: str | None) -> list[Outline]:
    names = [target.partition("@")[0].partition(":")[0]] if target else list(pack_folders())
    return [Outline(name) for name in names]


def explanation(what: str, target: str | None, fixes: Mapping[str, str]) -> str:
    """The text of ``explain``; ``fixes`` maps ``code:TYPE`` and ``rule:TYPE`` to the rewrite that answers.

    Raises UsageError with the nearest names when nothing is called so.
    """
    codes = read_codes()
    packs = _packs(target)
    if what.upper() in codes:
        return _explain_code(what.upper(), codes[what.upper()], packs, fixes)
    named = [(pack, rule) for pack in packs for rule in pack.rules(what) if rule["name"] == what]
    if named:
        return "\n".join(_explain_rule(pack, rule, fixes) for pack, rule in named)
    known = [pack for pack in packs if any(what in item["ops"] for item in (*pack.supports(what), *pack.rules(what)))]
    if known:
        return "\n".join(_explain_operator(what, pack, fixes) for pack in known)
    types = {name for pack in packs for item in pack.supports() for name in item["ops"]}
    everything = {*codes, *types, *(rule["name"] for pack in packs for rule in pack.rules())}
    raise UsageError(f"nothing is called {what!r}: {nearest(what, sorted(everything))}")


def _explain_code(code: str, entry: Mapping[str, str], packs: Sequence[Outline], fixes: Mapping[str, str]) -> str:
    lines = [f"{code} {entry['name']}: {entry['title']}", "", f"Why it matters: {entry['why']}", f"What to change: {entry['change']}"]
    lines += [f"Rewrite that repairs it: {line}" for line in _repairs(code, (), fixes)]
    for pack in packs:
        found = [rule for rule in pack.rules(code) if rule["id"] == code]
        if found:
            lines += ["", _named(pack)]
            lines += [f"  {rule['name']}: {', '.join(rule['ops'][:6])}{', ...' if len(rule['ops']) > 6 else ''}" for rule in found]
    return "\n".join(lines) + "\n"


def _named(pack: Outline) -> str:
    return f"{pack.target} ({pack.head.get('runtime', '')} {pack.head.get('version', '')})"


def _explain_rule(pack: Outline, rule: Table, fixes: Mapping[str, str], operator: str = "") -> str:
    lines = [f"{rule['id']} {rule['name']} on {pack.target}: {rule['message']}", f"  operators: {', '.join(rule['ops'])}"]
    lines += [f"  when {say(table)}" for table in rule.get("when", ())]
    lines += [f"  requires {say(table)}" for table in rule.get("require", ())]
    lines += ["  always refused"] if rule.get("refuse") else []
    lines += [f"  only for {', '.join(rule['variants'])}"] if rule.get("variants") else []
    lines.append(f"  effect: {rule['effect']}; evidence: {rule['evidence']}")
    lines.append(f"  reason: {rule['reason']}")
    lines.append(f"  source: {rule['where']} {rule['version']}")
    if rule.get("advice"):
        lines.append(f"  what to change: {rule['advice']}")
    types = (operator,) if operator else () if "*" in rule["ops"] else tuple(rule["ops"])
    lines += [f"  rewrite that repairs it: {line}" for line in _repairs(rule["name"], types, fixes) or _repairs(rule["id"], types, fixes)]
    return "\n".join(lines) + "\n"


def _explain_operator(operator: str, pack: Outline, fixes: Mapping[str, str]) -> str:
    taken = [item for item in pack.supports(operator) if operator in item["ops"]]
    sources = pack.sources()
    lines = [f"{operator} on {_named(pack)}"]
    lines += [f"  {item.get('note') or 'taken'} [{sources.get(item['source'], {}).get('evidence', 'source')}]" for item in taken]
    lines += [] if taken else ["  not taken in any configuration"]
    own = [rule for rule in pack.rules(operator, "*") if operator in rule["ops"] or "*" in rule["ops"]]
    own = [rule for rule in own if operator not in rule.get("except", ())]
    lines += [] if own else ["  any configuration"]
    told = ("  " + _explain_rule(pack, rule, fixes, operator).replace("\n", "\n  ").rstrip() for rule in own)
    return "\n".join([*lines, *told]) + "\n"


def say(table: Any) -> str:
    """A condition's table in words, close to how it is written."""
    if "any_of" in table:
        return "any of: " + "; or ".join(" and ".join(map(say, item)) if isinstance(item, list) else say(item) for item in table["any_of"])
    words = []
    for key, value in table.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else say(value) if isinstance(value, dict) else value
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
