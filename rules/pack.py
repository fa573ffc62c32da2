"""A pack: the rules of one target, as data with sources."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..analyzer.ir.graph import Graph, Operator
from .conditions import VACANT, Condition, Context, Outcome
from .renamed import first_name
from .subjects import Reach, operator_key
from .verdict import Answer
from .versions import version_key as version_key


@dataclass(frozen=True, slots=True)
class SourceNote:
    """Where facts come from: an address or package, its version, the date it was read and the class of
    evidence; the device where it is the device's own answer.
    """

    name: str
    url: str = ""
    package: str = ""
    version: str = ""
    date: str = ""
    evidence: str = "source"
    device: str = ""

    @property
    def shown(self) -> str:
        """In a finding: the address, or the package with its version, and the device with the date."""
        where = self.url or f"{self.package} {self.version}"
        return f"{self.device}, {where}, {self.date}" if self.device else where


@dataclass(frozen=True, slots=True)
class Failure:
    """One requirement that does not hold, or is not known to."""

    answer: Answer
    message: str
    seen: str
    limit: str


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One unit of a pack: a set of operator types, when it applies, what it requires, and what failing
    does.
    """

    code: str
    name: str
    ops: tuple[str, ...]
    message: str
    source: SourceNote
    reason: str
    when: Sequence[Condition] = ()
    require: Sequence[Condition] = ()
    refuse: bool = False
    effect: str = "fallback"
    phase: str = ""
    """Where the runtime rejects the model (``verdict.PHASES``); empty: where the pack says."""
    scope: str = "operator"
    severity: str = "warning"
    evidence: str = "source"
    since: str = ""
    until: str = ""
    variants: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    advice: str = ""
    lifecycle: str = "stable"
    """``preview``, ``stable`` or ``deprecated``: rules in preview count only where they are asked for."""
    identity: str = ""
    """What it limits, where that outlives the name: rules that are derived anew with each release are named
    by their limit's value.
    """
    cases: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict, repr=False)

    @property
    def reach(self) -> Reach:
        """What its outcomes follow from."""
        return max((condition.reach for condition in (*self.when, *self.require)), default=Reach.LOCAL)

    @property
    def names_operator(self) -> bool:
        """Whether the message has the operator's own name, which no two operators share."""
        return "{name" in self.message

    def applies(self, graph: Graph, op: Operator, context: Context) -> Answer:
        """Whether the rule speaks of this operator: every ``when`` holds."""
        unknown = False
        for condition in self.when:
            outcome = condition.check(graph, op, context)
            answer = outcome.answer
            if answer is Answer.FAILS or outcome is VACANT:
                return Answer.FAILS
            unknown |= answer is Answer.UNKNOWN
        return Answer.UNKNOWN if unknown else Answer.HOLDS

    def silent(self, graph: Graph, op: Operator, context: Context, reach: Reach) -> bool:
        """Whether a condition that looks no further than ``reach`` keeps the rule from applying, so that it
        says nothing of any operator that does not differ within that.
        """
        return any(
            condition.check(graph, op, context).answer is Answer.FAILS
            for condition in self.when
            if condition.reach <= reach
        )

    def outcomes(self, graph: Graph, op: Operator, context: Context) -> list[Outcome]:
        """Requirements that fail or are unknown; where it is unknown whether the rule applies at all, every
        outcome is.
        """
        applies = self.applies(graph, op, context)
        if applies is Answer.FAILS:
            return []
        found = (
            [Outcome(Answer.FAILS)]
            if self.refuse
            else [item.check(graph, op, context) for item in self.require]
        )
        bad = [outcome for outcome in found if outcome.answer is not Answer.HOLDS]
        return (
            bad
            if applies is Answer.HOLDS
            else [Outcome(Answer.UNKNOWN, item.seen, item.limit) for item in bad]
        )

    def failures(self, graph: Graph, op: Operator, context: Context) -> list[Failure]:
        """Every requirement that fails or is unknown, with the value seen and the limit; empty when the rule
        is content.
        """
        return [self.failure(op, outcome) for outcome in self.outcomes(graph, op, context)]

    def failure(self, op: Operator, outcome: Outcome) -> Failure:
        """An outcome in the rule's words."""
        words = {
            "type": op.type,
            "name": op.label,
            "seen": outcome.seen or "unknown",
            "limit": outcome.limit,
            "version": str(op.version),
        }
        message = _agreeing(self.message, outcome.limit).format_map(_Attributes(words, op))
        return Failure(outcome.answer, message, outcome.seen, outcome.limit)


def _agreeing(message: str, limit: str) -> str:
    """The template with the noun after a limit of one in the singular: ``1 dimension``."""
    return _PLURAL.sub(r"{limit} \1", message) if limit == "1" else message


_PLURAL = re.compile(r"\{limit\} (dimension|input|operand|element|column|channel)s\b")


def unsafe_message(message: str) -> str:
    """What is wrong with a rule's message, or nothing: it may name values, ``{seen}``."""
    from string import Formatter

    try:
        parts = [(name, form, conversion) for _, name, form, conversion in Formatter().parse(message)]
    except ValueError as error:
        return f"is no template: {error}"
    for name, form, conversion in parts:
        if name is not None and (form or conversion or not name.isidentifier()):
            return (
                f"names {name!r}; a message names values as {{seen}}, without attributes, indexes and formats"
            )
    return ""


LONGEST_VALUE = 1000
"""Characters of an attribute's value in a message."""


class _Attributes(dict[str, str]):
    """Lets a message name attributes: ``{kernel_shape}``."""

    def __init__(self, words: Mapping[str, str], op: Operator) -> None:
        super().__init__(words)
        self._op = op

    def __missing__(self, key: str) -> str:
        value = self._op.attrs.get(key, "unset")
        text = str(value[:LONGEST_VALUE] if isinstance(value, tuple | str | bytes) else value)
        return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


@dataclass(frozen=True, slots=True)
class Support:
    """Operator types that the target knows; ``note`` says what is accepted where no rule limits it."""

    ops: tuple[str, ...]
    source: SourceNote
    note: str = ""
    variants: tuple[str, ...] = ()
    since: str = ""
    until: str = ""


@dataclass(frozen=True, eq=False)
class Pack:
    """The rules of one target.

    ``target`` has no variant (``onnxruntime/qnn``); ``variants`` maps each to its parameters, the first is
    the default. ``policy`` names the partition policy in ``analyzer/policies`` and ``policy_options`` its
    thresholds.
    """

    target: str
    title: str
    dialect: str
    runtime: str
    version: str
    date: str
    default: str
    policy: str
    sources: Mapping[str, SourceNote]
    rules: tuple[Rule, ...]
    supports: tuple[Support, ...]
    policy_options: Mapping[str, Any] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    phase: str = "compile"
    """Where the runtime rejects a model that a rule of the pack rejects, unless the rule says."""
    runs_here: str = ""
    host: str = ""
    """The target that what is left goes to, where it may refuse that: the host's release is that of the
    runtime, or the one after an ``@`` (``onnxruntime/cpu@1.27.0``), or by ``hosts``.
    """
    hosts: Mapping[str, str] = field(default_factory=dict)
    """First release of the runtime -> release of the host that it was measured with, oldest first."""
    partial: str = ""
    """What a report notes where some operators fall back."""
    host_prepares: bool = False
    """The host prepares every operator before the accelerator is asked, so that it may refuse any."""
    releases: tuple[str, ...] = ()
    """Versions that the rules are known for besides ``version`` and those at which a rule begins or ends."""
    precision: str = ""
    file: Path | None = None
    """Where the user keeps it; None for those of accelint and of other distributions."""
    purpose: str = "accelerates"
    baseline: str = ""
    """The target whose operators need nothing extra: those that only this one has are noted."""
    notes: str = ""
    conformance: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def known(self) -> frozenset[str]:
        """Every operator type that the target knows in some configuration."""
        return frozenset(name for support in self.supports for name in support.ops)

    @cached_property
    def versions(self) -> tuple[str, ...]:
        """The runtime versions that the pack tells apart, oldest first."""
        timed: tuple[Rule | Support, ...] = (*self.rules, *self.supports)
        found = {self.version, *self.releases, *(edge for item in timed for edge in (item.since, item.until))}
        return tuple(sorted(found - {""}, key=version_key))

    def release(self, version: str) -> str | None:
        """The known version that a written one means: the newest that begins so (``1.31`` is 1.31.1), or the
        written one where it is a part of a known one (``18.2`` of 18); None when it is neither.
        """
        asked = version_key(version)
        known = [(version_key(item), item) for item in self.versions]
        if version in self.versions or not asked:
            return version if version in self.versions else None
        begins = [item for key, item in known if key[: len(asked)] == asked]
        if begins:
            return begins[-1]
        return version if any(key and asked[: len(key)] == key for key, _ in known) else None

    @property
    def pairs(self) -> bool:
        """Whether its releases are not its host's."""
        return bool(self.hosts) or "@" in self.host

    def host_release(self, version: str) -> str:
        """The host's release for one of the runtime's; empty without a host."""
        if not self.host:
            return ""
        fixed = self.host.partition("@")[2]
        asked = version_key(version)
        paired = [host for first, host in self.hosts.items() if version_key(first) <= asked]
        return fixed or (paired or [*self.hosts.values()][:1] or [version])[-1]

    def identity(self, rule: str) -> str:
        """What fingerprints are made of: what the rule of that name limits, or the first name that it had.

        Rules of partition policies, which no pack lists, go by their names.
        """
        return self._identities.get(rule) or first_name(self.target, rule)

    @cached_property
    def _identities(self) -> dict[str, str]:
        return {rule.name: rule.identity for rule in self.rules if rule.identity}

    def chosen(self, variant: str = "", version: str = "") -> Chosen:
        """The pack narrowed to a variant and a runtime version."""
        return Chosen(self, variant or next(iter(self.variants), ""), version or self.version)


Ranked = tuple[tuple[int, Rule], ...]
"""Rules of one operator type, with their rank in the pack."""
Answered = tuple[int, Rule, Outcome]
"""A rule with its rank, and one of its requirements that fails or is unknown."""


class Chosen:
    """A pack for one variant and version: what a check asks."""

    def __init__(self, pack: Pack, variant: str, version: str, *, preview: bool = False) -> None:
        self.pack = pack
        self.preview = preview
        self.by_name = True
        self.variant = variant
        self.version = version
        self.context = Context(
            dict(pack.variants.get(variant, {})), version, pack.host_release(version) if pack.pairs else ""
        )
        self.rules = tuple(
            rule for rule in pack.rules if (preview or rule.lifecycle != "preview") and self._in_force(rule)
        )
        self.known = frozenset(
            name for support in pack.supports if self._in_force(support) for name in support.ops
        )
        self._by_type: dict[str, tuple[Rule, ...]] = {}
        self._split: dict[tuple[str, Reach], tuple[Ranked, Ranked]] = {}

    @property
    def target(self) -> str:
        """The target as the user writes it: ``onnxruntime/qnn:sm8650``."""
        return f"{self.pack.target}:{self.variant}" if self.variant else self.pack.target

    @property
    def host(self) -> str:
        """What is left goes there: ``onnxruntime/cpu@1.31.1``; empty where nothing is known to refuse it."""
        name = self.pack.host.partition("@")[0]
        return name and f"{name}@{self.pack.host_release(self.version)}"

    def without(self, names: Set[str], types: Set[str] = frozenset()) -> Chosen:
        """The same, but for the rules of those names, and as if it had operators of those types."""
        fewer = Chosen(self.pack, self.variant, self.version, preview=self.preview)
        fewer.rules = tuple(rule for rule in fewer.rules if rule.name not in names)
        fewer.known |= types
        return fewer

    def called(self, *, by_name: bool) -> Chosen:
        """The same; ``by_name``: a user gave its name, and not that of a family with others in it."""
        self.by_name = by_name
        return self

    def previewed(self) -> Chosen:
        """The same with the rules in preview."""
        if all(rule.lifecycle != "preview" for rule in self.pack.rules):
            return self
        return Chosen(self.pack, self.variant, self.version, preview=True)

    def rules_for(self, op: Operator) -> tuple[Rule, ...]:
        """Rules that speak of the operator's type, in the pack's order."""
        key = operator_key(op)
        found = self._by_type.get(key)
        if found is None:
            found = tuple(
                rule
                for rule in self.rules
                if (key in rule.ops or "*" in rule.ops) and key not in rule.exclude
            )
            self._by_type[key] = found
        return found

    def split(self, op: Operator, reach: Reach) -> tuple[Ranked, Ranked]:
        """The rules of the operator's type that look no further than ``reach``, and the others, each with its
        rank in the pack.
        """
        key = (operator_key(op), reach)
        found = self._split.get(key)
        if found is None:
            ranked = tuple(enumerate(self.rules_for(op)))
            found = self._split[key] = (
                tuple(item for item in ranked if item[1].reach <= reach),
                tuple(item for item in ranked if item[1].reach > reach),
            )
        return found

    def asked(self, rules: Ranked, graph: Graph, op: Operator) -> list[Answered]:
        """Every failing or unknown requirement of some rules."""
        context = self.context
        return [(rank, rule, item) for rank, rule in rules for item in rule.outcomes(graph, op, context)]

    def failures(self, graph: Graph, op: Operator) -> list[tuple[Rule, Failure]]:
        """Every failing or unknown requirement of every rule, in words."""
        ranked = tuple(enumerate(self.rules_for(op)))
        return [(rule, rule.failure(op, outcome)) for _, rule, outcome in self.asked(ranked, graph, op)]

    def _in_force(self, item: Rule | Support) -> bool:
        if item.variants and self.variant not in item.variants:
            return False
        if not item.since and not item.until:
            return True
        at = version_key(self.version)
        return (not item.since or at >= version_key(item.since)) and (
            not item.until or at < version_key(item.until)
        )
