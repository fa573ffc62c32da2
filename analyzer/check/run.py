"""check: every operator against the rules of a target, then the groups that the runtime would make of
them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...rules.pack import Chosen, Failure, Rule
from ...rules.registry import choose
from ...rules.subjects import operator_key
from ...rules.verdict import Answer, Verdict
from ..ir.graph import Graph, Operator
from ..ir.model import Model
from ..policies import BottomUp, BranchWise, Dropped, Policy, Viewing, policy_of
from .cost import boundary, macs


@dataclass(frozen=True, slots=True)
class Finding:
    """One diagnostic about one operator. ``fix`` names the rewrite that repairs it, where there is one."""

    code: str
    rule: str
    severity: str
    operator: str
    message: str
    seen: str = ""
    limit: str = ""
    evidence: str = ""
    source: str = ""
    effect: str = "fallback"
    fix: str | None = None
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class OperatorVerdict:
    """What becomes of one operator; ``findings`` index into the coverage's findings."""

    id: str
    name: str
    type: str
    verdict: Verdict
    findings: tuple[int, ...] = ()
    macs: int | None = 0
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Partition:
    """Operators that the accelerator runs as one piece, with the bytes that cross its boundary (None:
    unknown).
    """

    operators: tuple[str, ...]
    bytes_in: int | None = None
    bytes_out: int | None = None
    macs: int | None = None


@dataclass(frozen=True)
class Coverage:
    """The answer of a check: verdicts, findings and partitions of one model on one target."""

    target: str
    runtime: str
    operators: tuple[OperatorVerdict, ...]
    findings: tuple[Finding, ...]
    partitions: tuple[Partition, ...]
    notes: tuple[str, ...] = field(default=())

    def count(self, verdict: Verdict) -> int:
        """Operators with that verdict."""
        return sum(1 for op in self.operators if op.verdict is verdict)

    @property
    def running(self) -> int:
        """Operators that run at all: all but the folded ones."""
        return len(self.operators) - self.count(Verdict.FOLDED)

    @property
    def verdict(self) -> str:
        """``full``, ``partial``, ``none``, ``rejected`` or ``unknown``, of the whole model."""
        accelerated, unknown = self.count(Verdict.ACCELERATED), self.count(Verdict.UNKNOWN)
        if self.count(Verdict.REJECTED):
            return "rejected"
        if accelerated == self.running:
            return "full"
        if accelerated:
            return "partial"
        return "unknown" if unknown else "none"

    @property
    def by_operators(self) -> float:
        """Share of the running operators that is accelerated, 1.0 when none run."""
        return self.count(Verdict.ACCELERATED) / self.running if self.running else 1.0

    @property
    def by_macs(self) -> float | None:
        """Share of the multiply-accumulates that is accelerated; None when a count is unknown or there are
        none.
        """
        counts = [(op.macs, op.verdict) for op in self.operators]
        if any(count is None for count, _ in counts):
            return None
        total = sum(count or 0 for count, _ in counts)
        return (
            sum(count or 0 for count, verdict in counts if verdict is Verdict.ACCELERATED) / total
            if total
            else None
        )

    def with_fixes(self, fixes: Mapping[str, str]) -> Coverage:
        """The same coverage, each finding naming the rewrite that answers its rule or code at operators of
        its type (``rule:TYPE``).
        """
        types = {op.id: op.type for op in self.operators}
        keys = [
            (f"{item.rule}:{types.get(item.operator)}", f"{item.code}:{types.get(item.operator)}")
            for item in self.findings
        ]
        findings = tuple(
            replace(item, fix=fixes.get(rule) or fixes.get(code))
            for item, (rule, code) in zip(self.findings, keys, strict=True)
        )
        return replace(self, findings=findings)


def check(model: Model | Graph, chosen: Chosen) -> Coverage:
    """Predict what becomes of every operator of a model on a target. The pack's dialect must be the graph's.

    ONNX models are checked with their local functions inlined, as runtimes take them; verdicts are those of
    the calls.
    """
    if isinstance(model, Model) and model.dialect == "onnx" and model.functions:
        return _check_inlined(model, chosen)
    graphs = [model] if isinstance(model, Graph) else list(model.graphs.values()) or [model.graph]
    return _check_graphs(graphs, chosen)


def _check_inlined(model: Model, chosen: Chosen) -> Coverage:
    from ..formats.onnx.inline import inlined
    from .inlining import lifted

    flat, origins = inlined(model)
    flat.graph.attrs["inlined"] = True
    return lifted(_check_graphs([flat.graph], chosen), model, origins)


def _check_graphs(graphs: Iterable[Graph], chosen: Chosen) -> Coverage:
    state = _Check(chosen, policy_of(chosen.pack.policy))
    for graph in graphs:
        state.graph(graph, placed=True)
    return state.coverage()


class _Check:
    """One check in progress."""

    def __init__(self, chosen: Chosen, policy: Policy) -> None:
        self.chosen = chosen
        self.policy = policy
        self.options = {**chosen.pack.policy_options, **chosen.context.parameters}
        self.verdicts: dict[str, OperatorVerdict] = {}
        self.findings: list[Finding] = []
        self.partitions: list[Partition] = []
        self.rejected = False
        self.lasting = {
            rule.name for rule in chosen.pack.rules if rule.scope == "model" and rule.effect == "rejected"
        }
        self.seen: set[int] = set()
        self.left: list[tuple[Graph, Operator]] = []

    def graph(self, graph: Graph, *, placed: bool) -> None:
        """Check one graph and the bodies in it; operators of a graph that is not placed run on the host."""
        if id(graph) in self.seen:
            return
        self.seen.add(id(graph))
        folded = self.policy.folded(graph, self.options)
        seen = self.policy.view(graph, self.options) if isinstance(self.policy, Viewing) else graph
        shown = {op.id: op for op in seen.ops()}
        for op in graph.ops():
            self._operator(seen, shown.get(op.id), op, folded=op.id in folded, placed=placed)
            self.left.append((graph, op))
        first = isinstance(self.policy, BottomUp)
        if first:
            self._bodies(graph, placed=placed)
        if placed:
            self._group(graph)
        if first:
            self._held(graph)
        else:
            self._bodies(graph, placed=placed)

    def _bodies(self, graph: Graph, *, placed: bool) -> None:
        for op in graph.ops():
            for body in op.graphs.values():
                self.graph(body, placed=placed and self.policy.bodies)

    def _held(self, graph: Graph) -> None:
        """Bodies go with the operator that holds them, unless a group was made in one before: that cannot be
        compiled.
        """
        for op in graph.ops():
            if not op.graphs or self.verdicts[op.id].verdict is not Verdict.ACCELERATED:
                continue
            inner = {id for body in op.graphs.values() for id in _inside(body)}
            if any(id in inner for part in self.partitions for id in part.operators):
                words = (
                    f"its bodies were handed over before {op.type} itself: the group in "
                    f"them cannot be compiled, and the session stops"
                )
                self._refuse(op, Dropped("ACL703", "group-in-a-body", words))
            else:
                inner -= {id for id in inner if self.verdicts[id].verdict is Verdict.FOLDED}
                self.verdicts.update(
                    (id, replace(self.verdicts[id], verdict=Verdict.ACCELERATED, findings=())) for id in inner
                )

    def _operator(
        self, graph: Graph, shown: Operator | None, op: Operator, *, folded: bool, placed: bool
    ) -> None:
        """``shown`` is the operator as the runtime sees it, None when it is placed with its neighbours or not
        at all.
        """
        if folded:
            self._record(graph, op, Verdict.FOLDED, [])
        elif not placed:
            words = f"{op.type} is inside a body, which the host runs"
            self._record(
                graph, op, Verdict.FALLBACK, [self._made(op, Dropped("ACL203", "inside-a-body", words))]
            )
        elif shown is None:
            self._record(graph, op, Verdict.ACCELERATED, [])
        else:
            verdict, findings = judge(graph, shown, self.chosen)
            if op.graphs and verdict is not Verdict.FALLBACK and isinstance(self.policy, BranchWise):
                inner = self._of_bodies(op)
                verdict, findings = _worst(verdict, inner), findings + self._held_up(op, inner)
            self._record(graph, op, verdict, findings)

    def _of_bodies(self, op: Operator) -> dict[str, Verdict]:
        """Type -> verdict of the operators of the bodies, by the rules alone."""
        found: dict[str, Verdict] = {}
        for body in op.graphs.values():
            folded = self.policy.folded(body, self.options)
            seen = self.policy.view(body, self.options) if isinstance(self.policy, Viewing) else body
            for inner in seen.ops():
                if inner.id not in folded:
                    verdict = judge(seen, inner, self.chosen)[0]
                    verdict = _worst(verdict, self._of_bodies(inner)) if inner.graphs else verdict
                    found[inner.type] = _worst(verdict, {"": found.get(inner.type, verdict)})
        return found

    def _held_up(self, op: Operator, inner: Mapping[str, Verdict]) -> list[Finding]:
        """What in the bodies keeps an operator from being taken, or makes the runtime refuse it."""
        found: list[Finding] = []
        for verdict, rule, words in _OF_BODIES:
            types = ", ".join(sorted(name for name, met in inner.items() if met is verdict))
            if types:
                made = self._made(
                    op,
                    Dropped(
                        "ACL203",
                        rule,
                        f"{op.type} is taken with all that is in its bodies, and {types} {words}",
                    ),
                )
                found.append(
                    replace(made, severity="error", effect="rejected")
                    if verdict is Verdict.REJECTED
                    else made
                )
        return found

    def _record(self, graph: Graph, op: Operator, verdict: Verdict, findings: Iterable[Finding]) -> None:
        start = len(self.findings)
        self.findings += findings
        cost = 0 if verdict is Verdict.FOLDED else macs(graph, op)
        indexes = tuple(range(start, len(self.findings)))
        self.verdicts[op.id] = OperatorVerdict(
            op.id, op.label, operator_key(op), verdict, indexes, cost, op.source.code
        )

    def _group(self, graph: Graph) -> None:
        taken = {
            op.id
            for op in graph.ops()
            if self.verdicts[op.id].verdict in (Verdict.ACCELERATED, Verdict.REJECTED)
        }
        grouping = self.policy.groups(graph, taken, self.options)
        for id, why in grouping.dropped.items():
            self._drop(graph.op(id), why)
        self.rejected |= any(self.verdicts[id].verdict is Verdict.REJECTED for id in taken)
        for id, why in grouping.refused.items():
            self._refuse(graph.op(id), why)
        for group in grouping.groups:
            entering, leaving = boundary(graph, group)
            self.partitions.append(Partition(group, entering, leaving, self._macs(group)))

    def _refuse(self, op: Operator, why: Dropped) -> None:
        """The runtime refuses the model because of what is handed over with an operator."""
        self.rejected = True
        self.findings.append(replace(self._made(op, why), severity="error", effect="rejected"))
        old = self.verdicts[op.id]
        self.verdicts[op.id] = replace(old, findings=(*old.findings, len(self.findings) - 1))

    def _drop(self, op: Operator, why: Dropped) -> None:
        """An operator that is taken and not handed over stays on the host; what the accelerator would refuse
        in it matters no more.

        A refusal of the file as such (``scope = "model"``) stands.
        """
        old = self.verdicts[op.id]
        if any(self._of_the_file(self.findings[index]) for index in old.findings):
            return
        for index in old.findings:
            if self.findings[index].effect == "rejected":
                self.findings[index] = replace(self.findings[index], effect="note", severity="note")
        self.findings.append(self._made(op, why))
        self.verdicts[op.id] = replace(
            old, verdict=Verdict.FALLBACK, findings=(*old.findings, len(self.findings) - 1)
        )

    def _of_the_file(self, finding: Finding) -> bool:
        return finding.effect == "rejected" and finding.rule in self.lasting

    def _macs(self, group: Iterable[str]) -> int | None:
        counts = [self.verdicts[id].macs for id in group]
        return None if None in counts else sum(count or 0 for count in counts)

    def _made(self, op: Operator, why: Dropped) -> Finding:
        return Finding(
            why.code,
            why.rule,
            "warning",
            op.id,
            why.message,
            evidence="source",
            source=self.chosen.pack.title,
            fingerprint=fingerprint(self.chosen.target, why.rule, op),
        )

    def _host(self) -> None:
        """What is left goes to the host, which may have no kernel for it: then the session stops."""
        if self.rejected or not self.chosen.pack.host:
            return
        host = choose(self.chosen.pack.host)
        for graph, op in self.left:
            refusal = _refusal(graph, op, host) if self.verdicts[op.id].verdict is Verdict.FALLBACK else None
            if refusal is not None:
                words = (
                    f"it is left to {host.pack.title}, which refuses it, and the session "
                    f"stops: {refusal.message}"
                )
                self._refuse(op, Dropped("ACL703", "refused-by-the-host", words))

    def coverage(self) -> Coverage:
        """What was found; a rejection of any operator rejects every operator, since none of the model
        runs.
        """
        self._host()
        operators = tuple(self.verdicts.values())
        partitions = tuple(self.partitions)
        if self.rejected:
            operators = tuple(
                op if op.verdict is Verdict.FOLDED else replace(op, verdict=Verdict.REJECTED)
                for op in operators
            )
            partitions = ()
        pack = self.chosen.pack
        return Coverage(
            self.chosen.target,
            f"{pack.runtime} {self.chosen.version}",
            operators,
            tuple(self.findings),
            partitions,
        )


_OF_BODIES = (
    (Verdict.FALLBACK, "operator-of-a-body", "is not taken"),
    (Verdict.UNKNOWN, "operator-of-a-body", "is not known to be taken"),
    (Verdict.REJECTED, "operator-of-a-body-refused", "cannot be compiled"),
)
_RANK = (Verdict.FALLBACK, Verdict.UNKNOWN, Verdict.REJECTED)


def _worst(own: Verdict, inner: Mapping[str, Verdict]) -> Verdict:
    """What an operator with bodies comes to: taken when all in them are taken."""
    met = {own, *inner.values()}
    return next((verdict for verdict in _RANK if verdict in met), own)


def _refusal(graph: Graph, op: Operator, host: Chosen) -> Finding | None:
    """Why the host stops at an operator, by the rules that are not about files; an operator of another domain
    may be registered there.
    """
    verdict, findings = judge(graph, op, host)
    of_files = {rule.name for rule in host.rules_for(op) if rule.scope == "model"}
    registrable = op.domain not in ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
    gone = {*of_files, *(["custom-operator"] if registrable else [])}
    found = [item for item in findings if item.effect == "rejected" and item.rule not in gone]
    return found[0] if found and verdict is Verdict.REJECTED else None


def _inside(graph: Graph) -> Iterator[str]:
    """Ids of the operators of a body and of the bodies in it."""
    for op in graph.ops():
        yield op.id
        for body in op.graphs.values():
            yield from _inside(body)


def judge(graph: Graph, op: Operator, chosen: Chosen) -> tuple[Verdict, list[Finding]]:
    """The verdict of one operator by the rules alone, with every reason that bears on it."""
    failures = chosen.failures(graph, op)
    refused = any(
        rule.scope == "model" and rule.effect == "rejected" and failure.answer is Answer.FAILS
        for rule, failure in failures
    )
    if operator_key(op) not in chosen.known and not refused:
        known = [
            _finding(op, rule, failure, chosen)
            for rule, failure in failures
            if failure.answer is Answer.FAILS
        ]
        return Verdict(chosen.pack.default), known or [_unlisted(op, chosen)]
    verdict = Verdict.REJECTED if refused else _weigh(failures)
    return verdict, [
        _finding(op, rule, failure, chosen) for rule, failure in failures if _bears(rule, failure, verdict)
    ]


def _bears(rule: Rule, failure: Failure, verdict: Verdict) -> bool:
    """Whether a failure says something about the verdict.

    What is unknown explains nothing once something is known; an operator that stays on the host cannot make
    the accelerator refuse.
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


def _weigh(failures: list[tuple[Rule, Failure]]) -> Verdict:
    """Fallback comes before rejection: an operator that is never handed over cannot make the accelerator
    refuse.
    """
    effects = {(rule.effect, failure.answer) for rule, failure in failures if rule.scope != "model"}
    if ("fallback", Answer.FAILS) in effects:
        return Verdict.FALLBACK
    if ("fallback", Answer.UNKNOWN) not in effects and ("rejected", Answer.FAILS) in effects:
        return Verdict.REJECTED
    if effects & _UNDECIDED:
        return Verdict.UNKNOWN
    if any(
        rule.scope == "model" and failure.answer is Answer.UNKNOWN and rule.effect != "note"
        for rule, failure in failures
    ):
        return Verdict.UNKNOWN
    return Verdict.ACCELERATED


def _finding(op: Operator, rule: Rule, failure: Failure, chosen: Chosen) -> Finding:
    message = (
        failure.message
        if failure.answer is Answer.FAILS
        else f"not known whether it holds: {failure.message}"
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
        source=rule.source.url or f"{rule.source.package} {rule.source.version}",
        effect=rule.effect,
        fingerprint=fingerprint(chosen.target, rule.name, op),
    )


def _unlisted(op: Operator, chosen: Chosen) -> Finding:
    custom = op.domain not in ("", "ai.onnx")
    code, rule = ("ACL204", "custom-operator") if custom else ("ACL201", "operator-unsupported")
    return Finding(
        code, rule, "error" if chosen.pack.default == "rejected" else "warning", op.id,
        f"{chosen.pack.title} has no {operator_key(op)}", evidence="source", source=chosen.pack.title,
        effect=chosen.pack.default, fingerprint=fingerprint(chosen.target, rule, op),
    )  # fmt: skip


def fingerprint(target: str, rule: str, op: Operator) -> str:
    """Names a finding across edits of the model: by target, rule and the operator's own words, never by its
    index.
    """
    words: tuple[Any, ...] = (target, rule, op.type, op.label)
    return hashlib.sha256("\0".join(map(str, words)).encode()).hexdigest()[:16]
