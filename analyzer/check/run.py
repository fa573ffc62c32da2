"""check: every operator against the rules of a target, then the groups that the runtime would make of
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from ...rules.pack import Chosen
from ...rules.registry import choose
from ...rules.subjects import operator_key
from ...rules.verdict import Verdict
from ..ir.graph import Graph, Operator
from ..ir.model import Model
from ..policies import BottomUp, BranchWise, Dropped, Policy, Viewing, policy_of
from .cost import boundary, macs
from .coverage import Coverage, Finding, OperatorVerdict, Partition
from .judge import fingerprint, judge


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
    flat.graph.facts = replace(flat.graph.facts, inlined=True)
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
