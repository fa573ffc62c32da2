"""The planner: which rewrites a target's findings ask for, kept only where they help and the proof holds.

It is handed the check of a target and a prover, so it knows neither targets nor runtimes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..analyzer.check.arity import misfits
from ..analyzer.words import counted
from ..rules.verdict import Verdict
from .engine import AnyRewrite, run
from .promise import Promise, weakest
from .registry import answering

if TYPE_CHECKING:
    from ..analyzer.check.coverage import Coverage
    from ..analyzer.ir.graph import Graph, Operator

ROUNDS = 16
FOLLOW_UPS = 4
"""How often rewrites are tried on the operators that another rewrite has just made, before the score
decides.
"""
WRONG = "ACL701"
"""The code of operators that are accelerated and known to compute wrong numbers."""
SINGLES = 24
"""When all places of a rewrite together do not help, as many are tried one by one."""


@dataclass(frozen=True, slots=True, order=True)
class Score:
    """How well a model fits a target; smaller is better, the first difference decides."""

    rejected: int
    nothing: int
    """Whether no operator is accelerated: fewer findings are no gain then."""
    findings: int
    dropped: int
    wrong: int
    partitions: int
    crossing: float
    accelerated_macs: int

    @property
    def text(self) -> str:
        """In words, for a report."""
        if self.rejected:
            return f"the model is rejected, {counted(self.findings, 'finding')}"
        crossing = "unknown" if self.crossing == float("inf") else f"{int(self.crossing)}"
        alone = counted(self.dropped, "supported operator") + " outside of partitions"
        dropped = f" and {alone}" if self.dropped else ""
        dropped += f", {self.wrong} known to compute wrong numbers" if self.wrong else ""
        partitions = (
            f"{counted(self.partitions, 'partition')}, {crossing} bytes cross the boundary, "
            f"{-self.accelerated_macs} MACs accelerated"
        )
        return f"{counted(self.findings, 'finding')}{dropped}, {partitions}"


def score(coverage: Coverage) -> Score:
    """The score of a coverage; notes do not count but those of wrong numbers (ACL701), a boundary of unknown
    size is the worst.

    Operators that are taken but left out of every group (ACL6..) follow from the findings of others, so they
    count after those.
    """
    accelerated = {op.id for op in coverage.operators if op.verdict is Verdict.ACCELERATED}
    real = [item for item in coverage.findings if item.effect != "note"]
    dropped = sum(1 for item in real if item.code.startswith("ACL6"))
    sizes = [part.bytes_in for part in coverage.partitions] + [part.bytes_out for part in coverage.partitions]
    crossing = float("inf") if None in sizes else float(sum(size or 0 for size in sizes))
    return Score(
        rejected=int(coverage.verdict == "rejected"),
        nothing=int(coverage.verdict == "none"),
        findings=len(real) - dropped,
        dropped=dropped,
        wrong=sum(1 for item in coverage.findings if item.code == WRONG and item.operator in accelerated),
        partitions=len(coverage.partitions),
        crossing=crossing,
        accelerated_macs=-sum(op.macs or 0 for op in coverage.operators if op.verdict is Verdict.ACCELERATED),
    )


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of comparing the changed model with the original on a reference runtime."""

    status: str
    """``proved``, ``failed`` or ``not proved``."""
    words: str
    waived: bool = False
    """The caller wants to keep what could not be compared."""

    @property
    def accepted(self) -> bool:
        """Whether the change may stay."""
        return self.status == "proved" or (self.waived and self.status != "failed")

    @property
    def text(self) -> str:
        """``proved: ...``"""
        return f"{self.status}: {self.words}" if self.words else self.status


KEPT_MACS = 0.99
"""Share of the accelerated MACs that the changes must keep, unless the model was refused before them."""


def loses_macs(before: Score, after: Score) -> bool:
    """True when less of what takes the time would be accelerated."""
    return not before.rejected and after.accelerated_macs > KEPT_MACS * before.accelerated_macs


def objection_to(before: Score, after: Score, *, guard_macs: bool = False) -> str:
    """Why a step is no improvement; empty when it is one."""
    if after >= before:
        return "it does not improve the placement"
    if guard_macs and loses_macs(before, after):
        return (
            f"fewer MACs would be accelerated: {-after.accelerated_macs} instead of "
            f"{-before.accelerated_macs}"
        )
    return ""


Check = Callable[[], "Coverage"]

REMEMBERED = 8
"""States of a graph whose coverage is kept: an undone step brings the last one back."""


class Asked:
    """The check of a graph that is edited and put back, each of its states asked about once."""

    def __init__(self, graph: Graph, check: Callable[[Graph], Coverage]) -> None:
        self.graph = graph
        self.check = check
        self.known: dict[tuple[int, ...], tuple[list[object], Coverage]] = {}

    def __call__(self) -> Coverage:
        """The coverage of the graph as it is now."""
        items: list[object] = []
        for graph in {id(self.graph): self.graph, **{id(g): g for g, _ in self.graph.walk()}}.values():
            items += [*graph.ops(), *graph.tensors.values(), graph.inputs, graph.outputs]
        state = tuple(map(id, items))
        if state not in self.known:
            if len(self.known) == REMEMBERED:
                self.known.pop(next(iter(self.known)))
            self.known[state] = (items, self.check(self.graph))  # the items stay alive, and so do their ids
        return self.known[state][1]


Prover = Callable[[Promise], Proof]
"""Compares the model as it is now with the original, within what the weakest kept promise allows."""


Veto = Callable[[], str]
"""What speaks against the graph as it is now, from those that the planner does not improve it for; empty
where nothing does.
"""


def no_veto() -> str:
    """The veto of a target alone."""
    return ""


@dataclass(frozen=True, slots=True)
class Step:
    """One rewrite that was tried: where, whether it was kept, why, and its proof."""

    rewrite: str
    title: str
    parity: Promise
    places: tuple[str, ...]
    kept: bool
    reason: str
    before: Score
    after: Score
    proof: Proof | None = None
    target: str = ""
    """The target that it was made for, where there are several."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A place where a rewrite was asked for and did not apply."""

    rewrite: str
    operator: str
    reason: str


@dataclass
class Plan:
    """What the planner did, in order, and what did not apply."""

    steps: list[Step] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)

    @property
    def kept(self) -> tuple[Step, ...]:
        """The steps that are in the model now."""
        return tuple(step for step in self.steps if step.kept)


def not_asked(parity: Promise) -> Proof:
    """The prover for callers that want none."""
    return Proof("not proved", "no prover was given", waived=True)


def plan(
    graph: Graph,
    rewrites: Sequence[AnyRewrite],
    check: Check,
    prove: Prover = not_asked,
    first: Sequence[AnyRewrite] | None = None,
    *,
    brief: bool = False,
    veto: Veto = no_veto,
) -> Plan:
    """Improve the graph for the target behind ``check``, in place; every step that does not help or is not
    proved is undone.

    A step may lose accelerated MACs for a while, where the target takes only the largest group and another
    one grows first. When they are still lost in the end, everything is undone and done again with steps that
    lose none. A graph with an operator that does not fit its schema is left alone. ``first``: the only ones
    that the stored operators are asked about; all repair what these make. ``brief``: one
    round, no place by itself. ``veto``: has a word about every step.
    """
    unfit = misfits(graph.walk())
    if unfit:
        return Plan(passed=[Passed("fix", id, words) for id, words in unfit.items()])
    state = graph.state()
    free = _Planner(graph, rewrites, check, prove, first, guard_macs=False, brief=brief, veto=veto)
    start = score(free.coverage)
    done = free.plan()
    if not loses_macs(start, score(free.coverage)):
        return done
    graph.restore(state)
    return _Planner(graph, rewrites, check, prove, first, guard_macs=True, brief=brief, veto=veto).plan()


def tidy(graph: Graph, rewrites: Iterable[AnyRewrite]) -> dict[str, int]:
    """Run the clean-ups (rewrites that answer no finding) to the end and drop what is dead; edits by
    rewrite.
    """
    edits = run(graph, [item for item in rewrites if not item.answers])
    dead = graph.prune()
    return {**edits, "dead-operators": dead} if dead else edits


def promise_of(edits: Iterable[str], rewrites: Iterable[AnyRewrite]) -> Promise:
    """The weakest promise of the rewrites that made edits, told by id."""
    made = set(edits)
    parity = Promise.BIT_EXACT
    for item in rewrites:
        parity = weakest(parity, item.parity) if item.id in made else parity
    return parity


def _in_the_way(known: set[str], coverage: Coverage) -> str:
    """What the target says of the first operator that was just made; empty where it takes all of them."""
    new = (item for item in coverage.findings if item.operator not in known and item.effect != "note")
    return next((item.message for item in new), "")


class _Planner:
    def __init__(
        self,
        graph: Graph,
        rewrites: Sequence[AnyRewrite],
        check: Check,
        prove: Prover,
        first: Sequence[AnyRewrite] | None,
        *,
        guard_macs: bool,
        brief: bool,
        veto: Veto,
    ) -> None:
        self.graph = graph
        self.veto = veto
        self.guard_macs = guard_macs
        self.all = tuple(rewrites)
        self.asked = tuple(item for item in rewrites if item.answers)
        self.rounds, self.singles = (1, 0) if brief else (ROUNDS, SINGLES)
        self.first = self.asked if first is None else tuple(first)
        self.check = check
        self.prove = prove
        self.plan_ = Plan()
        self.coverage = check()
        self.promise = Promise.BIT_EXACT
        self.tried: set[tuple[str, str]] = set()

    def plan(self) -> Plan:
        self.clean()
        for _ in range(self.rounds):
            if not sum(self.improve(rewrite) for rewrite in self.first):
                break
        return self.plan_

    def clean(self) -> None:
        """The clean-ups stay unless they make something worse: other rewrites build on them."""
        state = self.graph.state()
        before = score(self.coverage)
        edits = tidy(self.graph, self.all)
        if not edits:
            return
        places = tuple(f"{id} x{count}" for id, count in edits.items())
        coverage = self.check()
        worse = score(coverage) > before
        title = "constants are folded, no-ops and dead operators removed"
        objection = "it would make things worse" if worse else ""
        self.settle("clean-up", title, promise_of(edits, self.all), places, state, coverage, objection)

    def improve(self, rewrite: AnyRewrite) -> bool:
        """Try a rewrite everywhere it is asked for, then, when that does not help, place by place."""
        places = self.places(rewrite, self.coverage)
        if not places:
            return False
        if self.attempt(rewrite, places, everywhere=True):
            return True
        singles = places[: self.singles] if len(places) > 1 else []
        return sum(self.attempt(rewrite, [place]) for place in singles) > 0

    def places(self, rewrite: AnyRewrite, coverage: Coverage) -> list[tuple[Graph, Operator]]:
        wanted = {item.operator for item in coverage.findings if answering(item, (rewrite,))}
        found = [(owner, op) for owner, op in self.graph.walk() if op.id in wanted and rewrite.speaks_of(op)]
        return [(owner, op) for owner, op in found if (rewrite.id, op.id) not in self.tried]

    def attempt(
        self, rewrite: AnyRewrite, places: list[tuple[Graph, Operator]], *, everywhere: bool = False
    ) -> bool:
        """Apply at the places that are still there; keep what improves the score and is proved.

        ``everywhere``: also at places that only show once the clean-ups have run (a weight behind an Identity
        is a constant then).
        """
        state = self.graph.state()
        known = {op.id for _, op in self.graph.walk()}
        done = self.apply(rewrite, places)
        if not done:
            return False
        parity = weakest(rewrite.parity, promise_of(tidy(self.graph, self.all), self.all))
        coverage = self.check()
        for _ in range(FOLLOW_UPS if everywhere else 0):
            more = self.apply(rewrite, self.places(rewrite, coverage))
            if not more:
                break
            done += more
            coverage = self.check()
        parity = self.follow(known, coverage, parity)
        coverage = self.check()
        objection = objection_to(score(self.coverage), score(coverage), guard_macs=self.guard_macs)
        better = not objection
        if not better and (made := _in_the_way(known, coverage)):
            objection += f"; of what it makes: {made}"
        if not better and len(places) == 1:
            self.tried.update((rewrite.id, op.id) for _, op in places)
        return self.settle(rewrite.id, rewrite.title, parity, done, state, coverage, objection)

    def apply(self, rewrite: AnyRewrite, places: list[tuple[Graph, Operator]]) -> tuple[str, ...]:
        done: list[str] = []
        for owner, op in places:
            if op not in owner:
                continue
            miss = rewrite.attempt(owner, op)
            if miss is None:
                done.append(op.label)
            else:
                self.tried.add((rewrite.id, op.id))
                passed = Passed(rewrite.id, op.label, miss.reason)
                self.plan_.passed += [] if passed in self.plan_.passed else [passed]
        return tuple(done)

    def follow(self, known: set[str], coverage: Coverage, parity: Promise) -> Promise:
        """Repair what a rewrite has just made, so that it is judged by where it leads; the weakest promise of
        the chain.
        """
        for _ in range(FOLLOW_UPS):
            edits = 0
            for rewrite in self.asked:
                wanted = {
                    item.operator
                    for item in coverage.findings
                    if item.operator not in known and answering(item, (rewrite,))
                }
                for owner, op in [
                    pair for pair in self.graph.walk() if pair[1].id in wanted and rewrite.speaks_of(pair[1])
                ]:
                    if op in owner and rewrite.attempt(owner, op) is None:
                        edits += 1
                        parity = weakest(parity, rewrite.parity)
            if not edits:
                break
            tidy(self.graph, self.all)
            coverage = self.check()
        return parity

    def settle(
        self,
        id: str,
        title: str,
        parity: Promise,
        places: tuple[str, ...],
        state: object,
        coverage: Coverage,
        objection: str,
    ) -> bool:
        """Keep what was just done, or put the state back; either way it is recorded. Returns whether it was
        kept.
        """
        before, after = score(self.coverage), score(coverage)
        promise = weakest(self.promise, parity)
        objection = objection or self.veto()
        proof = None if objection else self.prove(promise)
        if proof is not None and not proof.accepted:
            objection = proof.text
            self.tried.update((id, op.id) for _, op in self.graph.walk())
        kept = not objection
        if kept:
            self.coverage, self.promise = coverage, promise
        else:
            self.graph.restore(state)  # type: ignore[arg-type]
        reason = objection or f"{before.text} -> {after.text}"
        self.plan_.steps.append(Step(id, title, parity, places, kept, reason, before, after, proof))
        return kept
