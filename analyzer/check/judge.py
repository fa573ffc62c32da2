"""One operator against the rules of a target: its verdict, and every reason that bears on it."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter

from ...rules.conditions import Outcome
from ...rules.pack import Answered, Chosen, Failure, Ranked, Rule
from ...rules.subjects import operator_key
from ...rules.verdict import Answer, Verdict
from ..ir.graph import Graph, Operator
from .coverage import Finding
from .kinds import Kind, Kinds


@dataclass(frozen=True, slots=True)
class _Known:
    """What the rules that cannot tell operators of one kind apart say of them, and the other rules."""

    answered: list[Answered]
    others: Ranked
    conclusion: _Conclusion


@dataclass(frozen=True, slots=True)
class _Conclusion:
    """A verdict and what bears on it; ``listed`` is False for a type that the target does not know.

    ``failures`` has what is told of every operator of a kind alike, None where it names the operator.
    """

    verdict: Verdict
    bearing: list[Answered]
    listed: bool
    failures: list[Failure | None]

    @property
    def told(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.bearing) or not self.listed


class Judge:
    """The rules of one target, asked about the operators of one graph; the answers of rules that cannot tell
    two operators apart are kept.
    """

    def __init__(self, kinds: Kinds, chosen: Chosen) -> None:
        self._kinds = kinds
        self._chosen = chosen
        self._known: dict[Kind, _Known] = {}

    def verdict(self, op: Operator) -> tuple[Verdict, list[Finding]]:
        """The verdict of one operator by the rules alone, with every reason that bears on it."""
        kind = self._kinds.of(op)
        known = self._known.get(kind)
        if known is None:
            known = self._known[kind] = self._ask(op, kind)
        conclusion, chosen = known.conclusion, self._chosen
        if not known.others:
            return conclusion.verdict, _findings(op, chosen, conclusion) if conclusion.told else []
        more = chosen.asked(known.others, self._kinds.graph, op)
        if more:
            conclusion = _concluded(op, chosen, sorted([*known.answered, *more], key=itemgetter(0)))
        return conclusion.verdict, _findings(op, chosen, conclusion)

    def _ask(self, op: Operator, kind: Kind) -> _Known:
        graph, context = self._kinds.graph, self._chosen.context
        near, others = self._chosen.split(op, kind.reach)
        others = tuple(item for item in others if not item[1].silent(graph, op, context, kind.reach))
        answered = self._chosen.asked(near, graph, op)
        return _Known(answered, others, _concluded(op, self._chosen, answered))


def judge(graph: Graph, op: Operator, chosen: Chosen) -> tuple[Verdict, list[Finding]]:
    """The verdict of one operator by the rules alone, with every reason that bears on it."""
    return Judge(Kinds(graph), chosen).verdict(op)


def _concluded(op: Operator, chosen: Chosen, answered: list[Answered]) -> _Conclusion:
    rejected = any(
        rule.scope == "model" and rule.effect == "rejected" and outcome.answer is Answer.FAILS
        for _, rule, outcome in answered
    )
    if operator_key(op) not in chosen.known and not rejected:
        failing = [item for item in answered if item[2].answer is Answer.FAILS]
        return _conclusion(op, Verdict(chosen.pack.default), failing, listed=bool(failing))
    own = _weigh(answered)
    verdict = Verdict.REJECTED if rejected else own
    bearing = [item for item in answered if _bears(item[1], item[2], verdict)]
    if own is Verdict.FALLBACK:  # the model is rejected for another reason than what the accelerator refuses
        bearing = [item for item in bearing if _bears(item[1], item[2], own)]
    return _conclusion(op, verdict, bearing)


def _conclusion(
    op: Operator, verdict: Verdict, bearing: list[Answered], *, listed: bool = True
) -> _Conclusion:
    failures = [None if rule.names_operator else rule.failure(op, outcome) for _, rule, outcome in bearing]
    return _Conclusion(verdict, bearing, listed, failures)


def _findings(op: Operator, chosen: Chosen, conclusion: _Conclusion) -> list[Finding]:
    if not conclusion.listed:
        return [_unlisted(op, chosen)]
    return [
        _finding(op, rule, failure or rule.failure(op, outcome), chosen)
        for (_, rule, outcome), failure in zip(conclusion.bearing, conclusion.failures, strict=True)
    ]


def _bears(rule: Rule, failure: Outcome, verdict: Verdict) -> bool:
    """Whether a failure says something about the verdict.

    What is unknown explains nothing once something is known; an operator that stays on the host cannot make
    the accelerator reject.
    """
    if verdict is Verdict.FALLBACK:
        return failure.answer is Answer.FAILS and (rule.effect != "rejected" or rule.scope == "model")
    return verdict is Verdict.UNKNOWN or failure.answer is Answer.FAILS


_UNDECIDED = {
    ("fallback", Answer.UNKNOWN),
    ("rejected", Answer.UNKNOWN),
    ("unknown", Answer.UNKNOWN),
    ("unknown", Answer.FAILS),
}


def _weigh(answered: list[Answered]) -> Verdict:
    """Fallback comes before rejection: an operator that is never assigned cannot make the accelerator
    reject.
    """
    effects = {(rule.effect, outcome.answer) for _, rule, outcome in answered if rule.scope != "model"}
    if ("fallback", Answer.FAILS) in effects:
        return Verdict.FALLBACK
    if ("fallback", Answer.UNKNOWN) not in effects and ("rejected", Answer.FAILS) in effects:
        return Verdict.REJECTED
    if effects & _UNDECIDED:
        return Verdict.UNKNOWN
    if any(
        rule.scope == "model" and outcome.answer is Answer.UNKNOWN and rule.effect != "note"
        for _, rule, outcome in answered
    ):
        return Verdict.UNKNOWN
    return Verdict.ACCELERATED


def _finding(op: Operator, rule: Rule, failure: Failure, chosen: Chosen) -> Finding:
    message = (
        failure.message
        if failure.answer is Answer.FAILS
        else f"unknown whether the limit is met: {failure.message}"
    )
    return Finding(
        code=rule.code,
        rule=rule.name,
        severity=rule.severity,
        operator=op.id,
        message=message,
        seen=failure.seen,
        limit=failure.limit,
        evidence=rule.evidence,
        source=rule.source.shown,
        effect=rule.effect,
        phase=(rule.phase or chosen.pack.phase) if rule.effect == "rejected" else "",
    )


def _unlisted(op: Operator, chosen: Chosen) -> Finding:
    custom = op.domain not in ("", "ai.onnx")
    words = f"{chosen.pack.title} has no {operator_key(op)}"
    if chosen.pack.dialect == "onnx" and (of_the_user(op) or op.domain == _EXTENSIONS):
        words += "; no session loads the model unless the application registers its library"
    code, rule = ("ACL204", "custom-operator") if custom else ("ACL201", "operator-unsupported")
    return Finding(
        code, rule, "error" if chosen.pack.default == "rejected" else "warning", op.id,
        words, evidence="source", source=chosen.pack.title,
        effect=chosen.pack.default, phase=chosen.pack.phase if chosen.pack.default == "rejected" else "",
    )  # fmt: skip


_OWN = ("ai.onnx", "com.microsoft")
_EXTENSIONS = "com.microsoft.extensions"


def of_the_user(op: Operator) -> bool:
    """Whether an operator's domain is neither ONNX's nor ONNX Runtime's: an application may register it.

    Microsoft's extensions are registered too, but a session that does not say so has none of them.
    """
    return bool(op.domain) and not op.domain.startswith(_OWN)
