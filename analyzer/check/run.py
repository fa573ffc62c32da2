"""check: every operator against the rules of a target, then the partitions that the runtime would make of
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from ...rules.pack import Chosen
from ...rules.registry import choose, load_pack
from ...rules.subjects import operator_key
from ...rules.verdict import Verdict
from ..ir.graph import Graph, Operator
from ..ir.model import Model
from ..policies import policy_of
from ..policies.base import BottomUp, BranchWise, Dropped
from ..policies.tables import tables_for
from .coverage import Coverage, Finding, OperatorVerdict, Partition
from .fingerprints import Place, marked
from .judge import Judge, of_the_user
from .prepared import Prepared, Seen


def check(model: Model | Graph | Prepared, chosen: Chosen) -> Coverage:
    """Predict what becomes of every operator of a model on a target. The pack's dialect must be the graph's.

    ONNX models are checked with their local functions inlined, as runtimes take them; verdicts are those of
    the calls. Checks of one model for several targets share what they find out when each is given the same
    ``Prepared``.
    """
    prepared = Prepared.of(model)
    if problem := prepared.model.metadata.get("unloadable"):
        return _Check(prepared, chosen).unloadable(str(problem))
    if prepared.misfits:
        return _Check(prepared, chosen).damaged(prepared.model, prepared.misfits)
    if prepared.flat_misfits:
        coverage = _Check(prepared, chosen).damaged(prepared.flat[0], prepared.flat_misfits)
    else:
        state = _walked(prepared, chosen)
        if chosen.pack.baseline and not state.rejected:
            state.flex(_walked(prepared, choose(chosen.pack.baseline)))
        coverage = state.coverage()
    if prepared.flat[0] is prepared.model:
        return coverage
    from .inlining import lifted

    return lifted(coverage, prepared.model, prepared.flat[1], chosen)


def _walked(prepared: Prepared, chosen: Chosen) -> _Check:
    """Every operator judged and grouped, each for itself."""
    state = _Check(prepared, chosen)
    for graph in prepared.graphs:
        state.graph(graph, placed=True)
    return state


class _Check:
    """One check in progress."""

    def __init__(self, prepared: Prepared, chosen: Chosen) -> None:
        self.prepared = prepared
        self.chosen = chosen
        self.policy = policy_of(chosen.pack.policy, tables_for(chosen.pack.runtime, chosen.version))
        self.options = {**chosen.pack.policy_options, **chosen.context.parameters}
        self.verdicts: dict[str, OperatorVerdict] = {}
        self.findings: list[Finding] = []
        self.unneeded: set[int] = set()
        self.partitions: list[Partition] = []
        self.rejected = False
        self.lasting = {
            rule.name for rule in chosen.pack.rules if rule.scope == "model" and rule.effect == "rejected"
        }
        self.seen: set[int] = set()
        self.graphs: list[Graph] = []
        self.notes: list[str] = []

    def graph(self, graph: Graph, *, placed: bool) -> None:
        """Check one graph and the bodies in it; operators of a graph that is not placed run on the host."""
        if id(graph) in self.seen:
            return
        self.seen.add(id(graph))
        seen = self._seen(graph)
        judge = self.prepared.judge(seen.graph, self.chosen)
        macs = self.prepared.macs(graph, seen.graph)
        for op in graph.ops():
            verdict, findings = self._operator(judge, seen, op, placed=placed)
            self._record(op, verdict, findings, macs)
        self.graphs.append(graph)
        first = isinstance(self.policy, BottomUp)
        if first:
            self._bodies(graph, placed=placed)
        if placed:
            self._partition(graph)
        if first:
            self._held(graph)
        else:
            self._bodies(graph, placed=placed)

    def damaged(self, model: Model, misfits: Mapping[str, str]) -> Coverage:
        """The coverage of a model that no runtime loads, ``misfits`` saying why by operator; nobody looks at
        operands.
        """
        self.rejected = True
        self.graphs = list({id(graph): graph for graph, _ in model.operators()}.values())
        for _, op in model.operators():
            findings = []
            if op.id in misfits:
                words = f"{misfits[op.id]}: no runtime loads the model, export it again"
                made = self._made(op, Dropped("ACL504", "operator-schema", words))
                findings = [replace(made, severity="error", effect="rejected", phase="load")]
            self._record(op, Verdict.REJECTED, findings, {})
        return self.coverage()

    def unloadable(self, problem: str) -> Coverage:
        """The coverage of a model that the runtime's own loader rejects as a whole."""
        self.rejected = True
        self.graphs = list({id(graph): graph for graph, _ in self.prepared.model.operators()}.values())
        words = f"{problem}: save it again without, as a function or with model.export"
        for _, op in self.prepared.model.operators():
            made = self._made(op, Dropped("ACL703", "objects-that-do-not-load", words))
            first = (
                [] if self.findings else [replace(made, severity="error", effect="rejected", phase="load")]
            )
            self._record(op, Verdict.REJECTED, first, {})
        return self.coverage()

    def flex(self, builtins: _Check) -> None:
        """Note the nodes that only this target converts, and what that means."""
        from .flex import notes, summary

        found = list(notes(self.verdicts.values(), builtins.verdicts, builtins.findings, self.chosen))
        for finding in found:
            self._note(finding)
        self.notes += [summary(len(found))] if found else []

    def _note(self, finding: Finding) -> None:
        self.findings.append(finding)
        old = self.verdicts[finding.operator]
        self.verdicts[finding.operator] = replace(old, findings=(*old.findings, len(self.findings) - 1))

    def _seen(self, graph: Graph) -> Seen:
        return self.prepared.seen(graph, self.chosen.pack.policy, self.policy, self.options)

    def _bodies(self, graph: Graph, *, placed: bool) -> None:
        for op in graph.ops():
            for body in op.graphs.values():
                self.graph(body, placed=placed and self.policy.bodies)

    def _held(self, graph: Graph) -> None:
        """Bodies go with the operator that holds them, unless a partition was made in one before: that cannot
        be compiled.
        """
        for op in graph.ops():
            if not op.graphs or self.verdicts[op.id].verdict is not Verdict.ACCELERATED:
                continue
            inner = {id for body in op.graphs.values() for id in _inside(body)}
            if any(id in inner for partition in self.partitions for id in partition.operators):
                words = (
                    f"operators of its subgraphs were assigned before {op.type} itself: their partition "
                    f"fails to compile, and session creation fails"
                )
                self._reject(op, Dropped("ACL703", "partition-in-a-subgraph", words))
            else:
                inner -= {id for id in inner if self.verdicts[id].verdict is Verdict.FOLDED}
                self.verdicts.update(
                    (id, replace(self.verdicts[id], verdict=Verdict.ACCELERATED, findings=())) for id in inner
                )

    def _operator(
        self, judge: Judge, seen: Seen, op: Operator, *, placed: bool
    ) -> tuple[Verdict, list[Finding]]:
        """An operator that the view does not show is placed with its neighbours or not at all."""
        if op.id in seen.folded:
            return Verdict.FOLDED, []
        if not placed:
            words = f"{op.type} is inside a subgraph, which runs on the CPU"
            return Verdict.FALLBACK, [self._made(op, Dropped("ACL203", "inside-a-subgraph", words))]
        shown = seen.shown.get(op.id)
        if shown is None:
            return Verdict.ACCELERATED, []
        verdict, findings = judge.verdict(shown)
        if op.graphs and verdict is not Verdict.FALLBACK and isinstance(self.policy, BranchWise):
            inner = self._of_bodies(op)
            return _worst(verdict, inner), findings + self._held_up(op, inner)
        return verdict, findings

    def _of_bodies(self, op: Operator) -> dict[str, Verdict]:
        """Type -> verdict of the operators of the bodies, by the rules alone."""
        found: dict[str, Verdict] = {}
        for body in op.graphs.values():
            seen = self._seen(body)
            judge = self.prepared.judge(seen.graph, self.chosen)
            for inner in seen.graph.ops():
                if inner.id not in seen.folded:
                    verdict = judge.verdict(inner)[0]
                    verdict = _worst(verdict, self._of_bodies(inner)) if inner.graphs else verdict
                    found[inner.type] = _worst(verdict, {"": found.get(inner.type, verdict)})
        return found

    def _held_up(self, op: Operator, inner: Mapping[str, Verdict]) -> list[Finding]:
        """What in the bodies keeps an operator from being supported, or makes the runtime reject it."""
        found: list[Finding] = []
        for verdict, rule, words in _OF_BODIES:
            types = ", ".join(sorted(name for name, met in inner.items() if met is verdict))
            if types:
                made = self._made(
                    op,
                    Dropped(
                        "ACL203",
                        rule,
                        f"{op.type} needs all operators of its subgraphs supported: {types} {words}",
                    ),
                )
                found.append(
                    replace(made, severity="error", effect="rejected", phase=self.chosen.pack.phase)
                    if verdict is Verdict.REJECTED
                    else made
                )
        return found

    def _record(
        self, op: Operator, verdict: Verdict, findings: list[Finding], macs: Mapping[str, int | None]
    ) -> None:
        indexes: tuple[int, ...] = ()
        if findings:
            start = len(self.findings)
            self.findings += findings
            indexes = tuple(range(start, len(self.findings)))
        cost = 0 if verdict is Verdict.FOLDED else macs.get(op.id, 0)
        shared = None if indexes else self.prepared.verdicts.get(op.id)
        if shared is None or shared.verdict is not verdict or shared.macs != cost:
            shared = OperatorVerdict(
                op.id, op.label, operator_key(op), verdict, indexes, cost, op.source.code,
                named=op.source.named and bool(op.name),
            )  # fmt: skip
            if not indexes:
                self.prepared.verdicts[op.id] = shared
        self.verdicts[op.id] = shared

    def _partition(self, graph: Graph) -> None:
        supported = {
            op.id
            for op in graph.ops()
            if self.verdicts[op.id].verdict in (Verdict.ACCELERATED, Verdict.REJECTED)
        }
        partitioning, boundaries = self.prepared.partitioning(
            graph, self.chosen.pack.policy, self.policy, self.options, supported
        )
        for id, why in partitioning.dropped.items():
            self._drop(graph.op(id), why)
        self.rejected |= any(self.verdicts[id].verdict is Verdict.REJECTED for id in supported)
        for id in partitioning.unneeded:
            self._leave_out(id)
        for id, why in partitioning.rejected.items():
            self._reject(graph.op(id), why)
        for partition, (entering, leaving) in zip(partitioning.partitions, boundaries, strict=True):
            self.partitions.append(Partition(partition, entering, leaving, self._macs(partition)))

    def _reject(self, op: Operator, why: Dropped) -> None:
        """The runtime rejects the model because of what is assigned with an operator."""
        self.rejected = True
        phase = why.phase or self.chosen.pack.phase
        made = replace(self._made(op, why), severity="error", effect="rejected", phase=phase)
        self.findings.append(made)
        old = self.verdicts[op.id]
        self.verdicts[op.id] = replace(old, findings=(*old.findings, len(self.findings) - 1))

    def _drop(self, op: Operator, why: Dropped) -> None:
        """An operator that is supported and not assigned stays on the host; what the accelerator would reject
        in it matters no more.

        A rejection of the file as such (``scope = "model"``) stands.
        """
        old = self.verdicts[op.id]
        if any(self._of_the_file(self.findings[index]) for index in old.findings):
            return
        for index in old.findings:
            if self.findings[index].effect == "rejected":
                self.findings[index] = replace(self.findings[index], effect="note", severity="note", phase="")
        self.findings.append(self._made(op, why))
        self.verdicts[op.id] = replace(
            old, verdict=Verdict.FALLBACK, findings=(*old.findings, len(self.findings) - 1)
        )

    def _leave_out(self, id: str) -> None:
        """An operator that never runs: what would keep it from the accelerator matters no more, what makes
        the runtime reject the file does.
        """
        old = self.verdicts[id]
        if old.verdict is not Verdict.REJECTED:
            self.unneeded.update(old.findings)
            self.verdicts[id] = replace(old, verdict=Verdict.FOLDED, findings=(), macs=0)

    def _of_the_file(self, finding: Finding) -> bool:
        return finding.effect == "rejected" and finding.rule in self.lasting

    def _macs(self, partition: Iterable[str]) -> int | None:
        counts = [self.verdicts[id].macs for id in partition]
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
        )

    def _host(self) -> None:
        """What is left goes to the host, which may have no kernel for it; some hosts prepare everything
        before the accelerator is asked. Then the model fails to load, or to run.
        """
        pack = self.chosen.pack
        if self.rejected or not self.chosen.host:
            return
        left = {id for id, found in self.verdicts.items() if found.verdict is Verdict.FALLBACK}
        if not left and not pack.host_prepares:
            return
        name, _, version = self.chosen.host.partition("@")
        host = load_pack(name).chosen(version=version)
        for graph in self.graphs:
            judge = self.prepared.judge(graph, host)
            for op in graph.ops():
                if op.id in left or pack.host_prepares:
                    self._ask_host(judge, op, host, left=op.id in left)

    def _ask_host(self, judge: Judge, op: Operator, host: Chosen, *, left: bool) -> None:
        rejection = _rejection(judge, op, host, runs=left)
        if rejection is None:
            return
        title, phase = host.pack.title, rejection.phase or host.pack.phase
        fails = "session creation fails" if host.pack.dialect == "onnx" else f"the model fails to {phase}"
        words = f"it falls back to {title}, which does not support it, and {fails}: {rejection.message}"
        if phase == "run":
            words = f"it falls back to {title}, which takes it and does not run it: {rejection.message}"
        if not left:
            words = f"{fails}, since {title} prepare every operator first: {rejection.message}"
        self._reject(op, Dropped("ACL703", "not-supported-by-the-host", words, phase))

    def coverage(self) -> Coverage:
        """What was found; a rejection of any operator rejects every operator, since none of the model
        runs.
        """
        self._host()
        self._compact()
        operators = tuple(self.verdicts.values())
        partitions = tuple(self.partitions)
        if self.rejected:
            operators = tuple(
                op if op.verdict is Verdict.FOLDED else replace(op, verdict=Verdict.REJECTED)
                for op in operators
            )
            partitions = ()
        pack = self.chosen.pack
        if pack.partial and any(op.verdict is Verdict.FALLBACK for op in operators):
            self.notes.append(pack.partial)
        return Coverage(
            self.chosen.target,
            f"{pack.runtime} {self.chosen.version}",
            operators,
            self._marked(),
            partitions,
            tuple(self.notes),
            purpose=pack.purpose,
        )

    def _compact(self) -> None:
        """Let go of the findings about operators that never run."""
        if not self.unneeded:
            return
        kept = [index for index in range(len(self.findings)) if index not in self.unneeded]
        place = {old: new for new, old in enumerate(kept)}
        self.findings = [self.findings[index] for index in kept]
        for id, verdict in self.verdicts.items():
            if verdict.findings:
                moved = tuple(place[index] for index in verdict.findings)
                self.verdicts[id] = replace(verdict, findings=moved)

    def _marked(self) -> tuple[Finding, ...]:
        """The findings with their fingerprints."""
        if not self.findings:
            return ()
        wanted = {finding.operator for finding in self.findings}
        places: dict[str, Place] = {
            op.id: (graph, op) for graph in self.graphs for op in graph.ops() if op.id in wanted
        }
        found = [places.get(finding.operator) for finding in self.findings]
        return marked(self.findings, found, self.chosen.target, self.chosen.pack)


_OF_BODIES = (
    (Verdict.FALLBACK, "operator-of-a-subgraph", "is not supported"),
    (Verdict.UNKNOWN, "operator-of-a-subgraph", "is not known to be supported"),
    (Verdict.REJECTED, "operator-of-a-subgraph-fails-to-compile", "fails to compile"),
)
_RANK = (Verdict.FALLBACK, Verdict.UNKNOWN, Verdict.REJECTED)


def _worst(own: Verdict, inner: Mapping[str, Verdict]) -> Verdict:
    """What an operator with bodies comes to: supported when all in them are supported."""
    met = {own, *inner.values()}
    return next((verdict for verdict in _RANK if verdict in met), own)


def _rejection(judge: Judge, op: Operator, host: Chosen, *, runs: bool = True) -> Finding | None:
    """Why the host stops at an operator, by the rules that are not about files; an operator of another domain
    may be registered there. What the host does not run is only prepared.
    """
    verdict, findings = judge.verdict(op)
    if verdict is not Verdict.REJECTED:
        return None
    of_files = {rule.name for rule in host.rules_for(op) if rule.scope == "model" and "*" in rule.ops}
    registrable = of_the_user(op)
    gone = {*of_files, *(["custom-operator"] if registrable else [])}
    found = [item for item in findings if item.effect == "rejected" and item.rule not in gone]
    return next((item for item in found if runs or item.phase != "run"), None)


def _inside(graph: Graph) -> Iterator[str]:
    """Ids of the operators of a body and of the bodies in it."""
    for op in graph.ops():
        yield op.id
        for body in op.graphs.values():
            yield from _inside(body)
