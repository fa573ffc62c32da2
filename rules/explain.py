"""The text of ``accelint explain``: what packs say about a code, a rule or an operator type, without a
model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from ..analyzer.errors import UsageError
from .folders import nearest, pack_folders
from .outline import Outline, Table, read_codes
from .renamed import current_name, former_names
from .wording import say

_OTHERWISE = {
    "fallback": "otherwise it falls back to the CPU",
    "rejected": "otherwise the model fails to load or compile",
    "unknown": "otherwise unknown: not measured",
    "note": "otherwise it runs, with a note",
}
_ALWAYS = {
    "fallback": "it falls back to the CPU",
    "rejected": "the model fails to load or compile",
    "unknown": "unknown: not measured",
    "note": "it runs, with a note",
}


class _Target:
    """The packs asked about, the variant when one is named, and how much is said of each rule."""

    def __init__(self, name: str | None, *, reasons: bool, cases: bool) -> None:
        self.reasons, self.cases = reasons, cases
        base, _, variant = (name or "").partition("@")[0].partition(":")
        self._one = name is not None
        self.packs = [Outline(base)] if name else [Outline(each) for each in pack_folders()]
        self.variant = variant
        if variant and variant not in self.packs[0].variants():
            raise UsageError(
                f"{base} has no variant {variant!r}: {nearest(variant, self.packs[0].variants())}"
            )

    def named(self, pack: Outline) -> str:
        name = f"{pack.target}:{self.variant}" if self.variant else pack.target
        return f"{name} ({pack.head.get('runtime', '')} {pack.head.get('version', '')})"

    def types(self) -> list[str]:
        """Operator types that a named target knows or has rules for; empty (any) when all targets are
        asked.
        """
        return sorted(known(self.packs[0])) if self._one else []

    def keeps(self, rule: Table) -> bool:
        return not self.variant or not rule.get("variants") or self.variant in rule["variants"]


def known(pack: Outline) -> set[str]:
    """Operator types that the pack names."""
    return {name for item in (*pack.supports(), *pack.rules()) for name in item["ops"]} - {"*"}


def explanation(
    what: str, target: str | None, fixes: Mapping[str, str], *, reasons: bool = True, cases: bool = False
) -> str:
    """The text of ``explain``; ``fixes`` maps ``code:TYPE`` and ``rule:TYPE`` to the rewrite that answers.
    With or without the runtime's reasons and the sources, and the cases of each rule.

    Raises UsageError with the nearest names when nothing is called so.
    """
    codes = read_codes()
    asked = _Target(target, reasons=reasons, cases=cases)
    if what.upper() in codes:
        return _code(what.upper(), codes[what.upper()], asked, fixes)
    named = [
        (pack, rule)
        for pack in asked.packs
        for called in (current_name(pack.target, what),)
        for rule in pack.rules(called)
        if rule["name"] == called and asked.keeps(rule)
    ]
    if named:
        return "\n".join(_whole_rule(pack, rule, asked, fixes) for pack, rule in named)
    known = [
        pack
        for pack in asked.packs
        if any(what in item["ops"] for item in (*pack.supports(what), *pack.rules(what)))
    ]
    if known:
        return "\n".join(_operator(what, pack, asked, fixes) for pack in known)
    types = {name for pack in asked.packs for item in pack.supports() for name in item["ops"]}
    if target and what in {
        name for each in pack_folders() for item in Outline(each).supports(what) for name in item["ops"]
    }:
        return (
            f"{what} on {asked.named(asked.packs[0])}\n  not known to the target: "
            f"{_ALWAYS.get(_default(asked.packs[0]), '')}\n"
        )
    everything = {*codes, *types, *(rule["name"] for pack in asked.packs for rule in pack.rules())}
    raise UsageError(f"unknown name {what!r}: {nearest(what, sorted(everything))}")


def _default(pack: Outline) -> str:
    return str(pack.head.get("default", ""))


def _code(code: str, entry: Mapping[str, str], asked: _Target, fixes: Mapping[str, str]) -> str:
    lines = [f"{code} {entry['name']}: {entry['title']}", "", f"Why it matters: {entry['why']}"]
    lines += _change(entry)
    lines += [f"Rewrite that repairs it: {line}" for line in _repairs(code, asked.types(), fixes)]
    for pack in asked.packs:
        found = [rule for rule in pack.rules(code) if rule["id"] == code and asked.keeps(rule)]
        if found:
            lines += ["", asked.named(pack)]
            lines += [f"  {rule['name']}: {_some(rule['ops'], 6)}" for rule in found]
    return "\n".join(lines) + "\n"


def _change(entry: Mapping[str, str]) -> list[str]:
    """What to change in general, and where the frameworks have words for it."""
    lines = [f"What to change: {entry['change']}"]
    lines += [f"  in PyTorch: {entry['pytorch']}"] if "pytorch" in entry else []
    return lines + ([f"  in Keras: {entry['keras']}"] if "keras" in entry else [])


def _some(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _whole_rule(pack: Outline, rule: Table, asked: _Target, fixes: Mapping[str, str]) -> str:
    entry = read_codes()[rule["id"]]
    lines = [
        f"{rule['id']} {rule['name']} on {asked.named(pack)}: {rule['message']}",
        f"  operators: {', '.join(rule['ops'])}",
    ]
    former = former_names(pack.target, rule["name"])
    lines += [f"  formerly: {', '.join(former)}"] if former else []
    lines += [f"  {line}" for line in _limits(rule, asked)]
    lines += [f"  why it matters: {entry['why']}"]
    lines += [
        f"  {line[0].lower()}{line[1:]}"
        for line in _change({**entry, "change": rule.get("advice") or entry["change"]})
    ]
    types = sorted(known(pack)) if "*" in rule["ops"] else rule["ops"]
    lines += [f"  rewrite that repairs it: {line}" for line in _rule_repairs(rule, types, fixes)]
    return "\n".join(lines) + "\n"


def _limits(rule: Table, asked: _Target) -> list[str]:
    """What a rule asks for, what happens otherwise, the runtime's reason and where it was read or
    measured.
    """
    lines = [f"when {' and '.join(map(say, rule['when']))}"] if rule.get("when") else []
    if rule.get("refuse"):
        lines.append(f"always: {_ALWAYS[rule['effect']]}")
    else:
        lines += [f"supported: {'; and '.join(map(say, rule['require']))}", _OTHERWISE[rule["effect"]]]
    lines += [_LIFECYCLES[rule["lifecycle"]]] if rule.get("lifecycle") in _LIFECYCLES else []
    lines += [f"only for {', '.join(rule['variants'])}"] if rule.get("variants") else []
    lines += [f"from {rule['since']} on"] if rule.get("since") else []
    lines += [f"before {rule['until']}"] if rule.get("until") else []
    if asked.reasons:
        lines += [
            f"reason: {rule['reason']}",
            f"source: {rule['where']} {rule['version']} [{rule['evidence']}]",
        ]
    return lines + (list(_cases(rule)) if asked.cases else [])


_LIFECYCLES = {
    "preview": "in preview: it counts only with --preview",
    "deprecated": "deprecated: it goes with the next release of the rules",
}
_CASES = {"holds": "supported", "fails": "not supported", "unknown": "unknown"}


def _cases(rule: Table) -> Iterable[str]:
    """The cases on both sides of the limit, which the rule is tested with."""
    for answer, cases in rule.get("examples", {}).items():
        yield from (f"case, {_CASES[answer]}: {json.dumps(case)}" for case in cases)


def _operator(operator: str, pack: Outline, asked: _Target, fixes: Mapping[str, str]) -> str:
    supported = [item for item in pack.supports(operator) if operator in item["ops"]]
    sources = pack.sources()
    lines = [f"{operator} on {asked.named(pack)}"]
    lines += [
        f"  {item.get('note') or 'supported'} [{sources.get(item['source'], {}).get('evidence', 'source')}]"
        for item in supported
    ]
    lines += [] if supported else ["  not supported in any configuration"]
    rules = [
        rule
        for rule in pack.rules(operator, "*")
        if asked.keeps(rule) and operator not in rule.get("except", ())
    ]
    own = [rule for rule in rules if operator in rule["ops"]]
    general = [rule for rule in rules if operator not in rule["ops"] and "*" in rule["ops"]]
    lines += (
        []
        if own or not supported
        else ["  any configuration that the general limits allow" if general else "  any configuration"]
    )
    for title, found in (("limits of this operator", own), ("limits of every operator", general)):
        lines += [f"  {title}:"] if found else []
        lines += [f"    {line}" for rule in found for line in _operator_rule(rule, operator, asked, fixes)]
    lines += _advice(own or general, operator, fixes)
    return "\n".join(lines) + "\n"


def _operator_rule(rule: Table, operator: str, asked: _Target, fixes: Mapping[str, str]) -> Iterable[str]:
    yield f"{rule['id']} {rule['name']}"
    yield from (f"  {line}" for line in _limits(rule, asked))
    if rule.get("advice"):
        yield f"  what to change: {rule['advice']}"
    yield from (f"  rewrite that repairs it: {line}" for line in _rule_repairs(rule, (operator,), fixes))


def _advice(rules: Sequence[Table], operator: str, fixes: Mapping[str, str]) -> list[str]:
    """Each kind of trouble once: why it matters and what to change at export time."""
    codes = read_codes()
    lines: list[str] = []
    for code in dict.fromkeys(rule["id"] for rule in rules if rule["effect"] != "note"):
        entry = codes[code]
        lines += [f"  {code} {entry['title']}: {entry['why']}", *(f"    {line}" for line in _change(entry))]
    if not rules:
        lines += [f"  rewrite that replaces it: {line}" for line in _repairs("ACL201", (operator,), fixes)]
    return lines


def _rule_repairs(rule: Table, types: Sequence[str], fixes: Mapping[str, str]) -> list[str]:
    return _repairs(rule["name"], types, fixes) or _repairs(rule["id"], types, fixes)


def _repairs(answer: str, ops: Sequence[str], fixes: Mapping[str, str]) -> list[str]:
    """``rewrite (TYPE, TYPE)`` for each rewrite that answers a code or rule at the given types, or at any."""
    found: dict[str, list[str]] = {}
    for key, rewrite in fixes.items():
        name, _, type = key.partition(":")
        if name == answer and (not ops or type in ops):
            found.setdefault(rewrite, []).append(type)
    return [f"{rewrite} ({', '.join(types)})" for rewrite, types in found.items()]
