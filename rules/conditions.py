"""The vocabulary of packs: conditions, compiled from TOML tables once and asked for many operators.

A condition is one table: a subject (``attr``, ``input``, ``output``, ``op`` or ``call``) and one test, or
``any_of`` with alternatives, each a condition or a list of conditions that must all hold. Nothing nests
deeper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..analyzer.ir.graph import Graph, Operator
from .fields import ARGUMENT, CONDITION, misfits
from .subjects import (
    ABSENT,
    OPERATOR_FACTS,
    TENSOR_FACTS,
    UNKNOWN,
    Reach,
    Subject,
    Values,
    attr_subject,
    operator_subject,
    tensor_subject,
)
from .verdict import Answer


@dataclass(frozen=True, slots=True)
class Context:
    """What a condition may look at beside the graph and the operator: the pack's parameters for the chosen
    variant.

    ``host`` is the release that the accelerator comes with, where it counts its own ones otherwise.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer of one condition, with the value seen and the limit, for the message."""

    answer: Answer
    seen: str = ""
    limit: str = ""


Check = Callable[[Graph, Operator, Context], Outcome]
HOLDS = Outcome(Answer.HOLDS)
VACANT = Outcome(Answer.HOLDS, "no such tensor")
"""Holds of none, since no tensor is of the kind that is asked about, or it was omitted: a requirement has
nothing to object to, and a rule has nothing to speak of.
"""


@dataclass(frozen=True, slots=True)
class Condition:
    """One compiled condition and the table it came from."""

    check: Check
    table: Mapping[str, Any]
    reach: Reach = Reach.WIDE
    """What the outcome follows from: of operators that do not differ in it, one need be asked."""


class Conditions(Sequence[Condition]):
    """Conditions of a rule that is known to be well formed, compiled when an operator is asked about: a model
    has few of the types that a pack speaks of.
    """

    def __init__(self, tables: Sequence[Mapping[str, Any]], predicates: Mapping[str, Any]) -> None:
        self._tables = tables
        self._predicates = predicates
        self._made: tuple[Condition, ...] | None = None

    def __len__(self) -> int:
        return len(self._tables)

    def __iter__(self) -> Iterator[Condition]:
        return iter(self._compiled())

    def __getitem__(self, index: Any) -> Any:
        return self._compiled()[index]

    def _compiled(self) -> tuple[Condition, ...]:
        if self._made is None:
            self._made = tuple(compile_condition(table, self._predicates) for table in self._tables)
        return self._made


class ConditionError(ValueError):
    """A condition's table is malformed."""


SUBJECT_KEYS = ("attr", "input", "output", "op", "call", "any_of")
Test = Callable[[Any, Any], bool]
TESTS: Mapping[str, tuple[str, Test]] = {
    "eq": ("{}", lambda value, limit: bool(value == limit)),
    "not_eq": ("all but {}", lambda value, limit: bool(value != limit)),
    "one_of": ("{}", lambda value, limit: value in limit),
    "none_of": ("all but {}", lambda value, limit: value not in limit),
    "between": ("{}", lambda value, limit: bool(limit[0] <= value <= limit[1])),
    "at_least": ("at least {}", lambda value, limit: bool(value >= limit)),
    "at_most": ("at most {}", lambda value, limit: bool(value <= limit)),
    "multiple_of": ("a multiple of {}", lambda value, limit: bool(limit) and value % limit == 0),
    "same_as": ("the same as {}", lambda value, limit: bool(value == limit)),
}
RELATIONS = ("eq", "not_eq", "at_least", "at_most", "multiple_of", "same_as")
"""Tests whose limit may be another subject."""
_SUBJECT_OPTIONS = {
    "attr": {"default", "index", "of", "absent"},
    "input": {"of", "axis", "index", "absent", "only"},
    "output": {"of", "axis", "index", "absent"},
    "op": set(),
}


def compile_condition(table: Mapping[str, Any], predicates: Mapping[str, Any]) -> Condition:
    """Compile one table. Raises ConditionError saying what is wrong with it."""
    if not isinstance(table, Mapping):
        raise ConditionError(f"a condition is a table, not a {type(table).__name__}")
    subjects = [key for key in SUBJECT_KEYS if key in table]
    if len(subjects) != 1:
        raise ConditionError(f"a condition has exactly one of {', '.join(SUBJECT_KEYS)}: {_short(table)}")
    if subjects == ["any_of"]:
        return _any_of(table, predicates)
    if subjects == ["call"]:
        return _call(table, predicates)
    return _plain(table)


def _typed(table: Mapping[str, Any]) -> None:
    """Raises ConditionError for fields that do not hold what they may, all of them."""
    wrong = misfits(table, CONDITION)
    if wrong:
        raise ConditionError("; ".join(f"{key} {what}" for key, what in wrong.items()))


def _short(table: Mapping[str, Any]) -> str:
    text = str(dict(table))
    return text if len(text) <= 200 else f"{text[:200]}..."


def _subject(table: Mapping[str, Any]) -> Subject:
    of = table.get("of")
    if "attr" in table:
        if of not in (None, "length", "present"):
            raise ConditionError(f"an attr has of = length or present, not {of!r}")
        return attr_subject(table["attr"], table.get("default", ABSENT), table.get("index"), of)
    if "op" in table:
        if table["op"] not in OPERATOR_FACTS:
            raise ConditionError(f"op is one of {', '.join(OPERATOR_FACTS)}, not {table['op']!r}")
        return operator_subject(table["op"])
    side = "input" if "input" in table else "output"
    if of is None or (of != "present" and of not in TENSOR_FACTS):
        raise ConditionError(f"{side} needs of = present or one of {', '.join(TENSOR_FACTS)}, not {of!r}")
    if table.get("only") not in (None, "computed", "stored"):
        raise ConditionError(f"only is computed or stored, not {table['only']!r}")
    return tensor_subject(side, table[side], of, table.get("axis"), table.get("index"), table.get("only"))


def _kind(table: Mapping[str, Any]) -> str:
    return next(key for key in SUBJECT_KEYS if key in table)


def _plain(table: Mapping[str, Any]) -> Condition:
    _typed(table)
    tests = [key for key in TESTS if key in table]
    if "present" in table and not tests:
        table = {**table, "of": "present", "eq": table["present"]}
        table.pop("present")
        tests = ["eq"]
    if len(tests) != 1:
        raise ConditionError(
            f"a condition has exactly one test of {', '.join(TESTS)}, present: {_short(table)}"
        )
    test = tests[0]
    allowed = {_kind(table), test, "some", "unknown", *_SUBJECT_OPTIONS[_kind(table)]}
    extra = sorted(set(table) - allowed)
    if extra:
        raise ConditionError(f"unknown key {', '.join(extra)} in {_short(table)}")
    if table.get("unknown", "fails") != "fails":
        raise ConditionError('unknown may only be "fails": nothing unknown counts as supported')
    if table.get("absent", "holds") not in ("holds", "fails", "unknown"):
        raise ConditionError("absent is holds, fails or unknown")
    return _comparison(table, test)


def _other(limit: Mapping[str, Any], test: str) -> Subject:
    """The subject that a relation compares with."""
    if test not in RELATIONS:
        raise ConditionError(f"the limit of {test} is a value, not a subject")
    _typed(limit)
    subjects = [key for key in ("attr", "input", "output", "op") if key in limit]
    if len(subjects) != 1:
        raise ConditionError(
            f"the subject to compare with has one of attr, input, output, op: {_short(limit)}"
        )
    extra = sorted(set(limit) - {_kind(limit), *_SUBJECT_OPTIONS.get(_kind(limit), set())})
    if extra:
        raise ConditionError(f"unknown key {', '.join(extra)} in {_short(limit)}")
    return _subject(limit)


def _comparison(table: Mapping[str, Any], test: str) -> Condition:
    subject = _subject(table)
    words, compare = TESTS[test]
    limit = table[test]
    other = _other(limit, test) if isinstance(limit, Mapping) else None
    if test == "between" and (not isinstance(limit, list) or len(limit) != 2):
        raise ConditionError(f"between has two limits: {limit!r}")
    if test in ("one_of", "none_of") and not isinstance(limit, list):
        raise ConditionError(f"{test} has a list: {limit!r}")
    some = bool(table.get("some", False))
    when_unknown = Answer.FAILS if table.get("unknown") == "fails" else Answer.UNKNOWN
    absent = table.get("absent", "unknown" if subject.kind == "attr" else "holds")
    tensors = subject.kind != "attr" and "absent" not in table and table.get("of") != "present"
    when_absent = {"holds": Answer.HOLDS, "fails": Answer.FAILS, "unknown": Answer.UNKNOWN}[absent]

    def one(value: Any, bound: Any) -> Answer:
        if value is ABSENT:
            return when_absent
        if value is UNKNOWN or bound is UNKNOWN or bound is ABSENT:
            return when_unknown
        try:
            return Answer.HOLDS if compare(value, bound) else Answer.FAILS
        except TypeError:
            return Answer.UNKNOWN

    def check(graph: Graph, op: Operator, context: Context) -> Outcome:
        values = subject.read(graph, op)
        bounds = [limit] if other is None else other.read(graph, op)
        if len(bounds) == 1:
            pairs = [(value, bounds[0]) for value in values]
        elif len(bounds) == len(values):
            pairs = list(zip(values, bounds, strict=True))
        else:
            return Outcome(
                Answer.FAILS, f"{subject.text} {_listed(values)}", words.format(_bound(other, bounds))
            )
        answers = [one(value, bound) for value, bound in pairs]
        answer = _some(answers) if some else _every(answers)
        if answer is Answer.HOLDS:
            return VACANT if tensors and not any(value is not ABSENT for value in values) else HOLDS
        shown = answers if some else [item is answer for item in answers]
        seen = [label for label, show in zip(subject.labels(graph, op), shown, strict=True) if show]
        return Outcome(
            answer,
            _seen(subject.text, seen),
            words.format(_bound(other, bounds) if other else _limit(table, test)),
        )

    return Condition(check, table, max(subject.reach, Reach.LOCAL if other is None else other.reach))


def _every(answers: list[Answer]) -> Answer:
    if Answer.FAILS in answers:
        return Answer.FAILS
    return Answer.UNKNOWN if Answer.UNKNOWN in answers else Answer.HOLDS


def _some(answers: list[Answer]) -> Answer:
    if Answer.HOLDS in answers:
        return Answer.HOLDS
    return Answer.UNKNOWN if Answer.UNKNOWN in answers else Answer.FAILS


def _seen(text: str, labels: list[str]) -> str:
    kept = list(dict.fromkeys(labels))
    return ", ".join(kept[:4]) + (", ..." if len(kept) > 4 else "") if kept else f"no {text}"


def _listed(values: Values) -> str:
    shown = [str(value) for value in values[:8]] + (["..."] if len(values) > 8 else [])
    return shown[0] if len(shown) == 1 else f"[{', '.join(shown)}]"


def _bound(other: Subject | None, bounds: Values) -> str:
    return _listed(bounds) if other is None else f"{other.text} ({_listed(bounds)})"


_FLAGS = {
    "static": ("a dynamic shape", "a static shape"),
    "const": ("computed", "a constant"),
    "present": ("absent", "present"),
}


def _limit(table: Mapping[str, Any], test: str) -> str:
    limit = table[test]
    if test == "between":
        return f"{limit[0]}..{limit[1]}"
    if isinstance(limit, list):
        words = [str(item) for item in limit]
        return (
            ", ".join(words[:-1]) + f" or {words[-1]}"
            if test == "one_of" and len(words) > 1
            else ", ".join(words)
        )
    if isinstance(limit, bool) and table.get("of") in _FLAGS:
        return _FLAGS[table["of"]][limit]
    return str(limit).lower() if isinstance(limit, bool) else str(limit)


def _any_of(table: Mapping[str, Any], predicates: Mapping[str, Any]) -> Condition:
    if set(table) != {"any_of"} or not isinstance(table["any_of"], list) or len(table["any_of"]) < 2:
        raise ConditionError("any_of stands alone and lists at least two alternatives")
    alternatives: list[tuple[Condition, ...]] = []
    for item in table["any_of"]:
        parts = item if isinstance(item, list) else [item]
        if not parts or not all(isinstance(part, Mapping) for part in parts):
            raise ConditionError("an alternative of any_of is a condition or a list of conditions")
        if any("any_of" in part for part in parts):
            raise ConditionError("any_of does not nest")
        alternatives.append(tuple(compile_condition(part, predicates) for part in parts))

    def check(graph: Graph, op: Operator, context: Context) -> Outcome:
        failed: list[Outcome] = []
        answers: list[Answer] = []
        for alternative in alternatives:
            outcomes = [condition.check(graph, op, context) for condition in alternative]
            answers.append(_every([outcome.answer for outcome in outcomes]))
            if answers[-1] is Answer.HOLDS:
                return HOLDS
            failed += [outcome for outcome in outcomes if outcome.answer is not Answer.HOLDS][:1]
        seen = "; ".join(dict.fromkeys(outcome.seen for outcome in failed if outcome.seen))
        limit = " or ".join(dict.fromkeys(outcome.limit for outcome in failed if outcome.limit))
        return Outcome(_some(answers), seen, limit)

    reach = max(part.reach for alternative in alternatives for part in alternative)
    return Condition(check, table, reach)


_MALFORMED = (IndexError, KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError)
"""What a predicate meets in a hostile model: too few inputs, attributes of another type, lists of another
length.
"""


def _fit(name: str, predicate: Any, arguments: Mapping[str, Any]) -> None:
    """Raises ConditionError for arguments that a predicate does not take, or that it lacks."""
    wrong = misfits(arguments, {}, ARGUMENT)
    code = predicate.__code__
    named = code.co_varnames[3 : code.co_argcount + code.co_kwonlyargcount]
    given = len(named) - len(predicate.__defaults__ or ()) - len(predicate.__kwdefaults__ or ())
    extra = [key for key in arguments if key not in named]
    missing = [key for key in named[:given] if key not in arguments]
    words = [
        *(f"{key} {what}" for key, what in wrong.items()),
        *(f"{key} is no argument of {name}" for key in extra),
        *(f"{name} needs {key}" for key in missing),
    ]
    if words:
        raise ConditionError("; ".join(words))


def _call(table: Mapping[str, Any], predicates: Mapping[str, Any]) -> Condition:
    name = table["call"]
    predicate = predicates.get(name) if isinstance(name, str) else None
    if predicate is None:
        raise ConditionError(f"no predicate is named {str(name)[:100]!r}")
    arguments = {key: value for key, value in table.items() if key != "call"}
    _fit(name, predicate, arguments)

    def check(graph: Graph, op: Operator, context: Context) -> Outcome:
        try:
            outcome: Outcome = predicate(graph, op, context, **arguments)
        except _MALFORMED as error:
            return Outcome(
                Answer.UNKNOWN,
                f"an operator that does not fit its own schema ({type(error).__name__})",
                "a well-formed operator",
            )
        return outcome

    return Condition(check, table, getattr(predicate, "reach", Reach.WIDE))
