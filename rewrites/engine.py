"""The engine: what a rewrite is, and running rewrites until nothing changes.

A rewrite matches first and edits after. A guard that does not hold is a ``Miss`` with its reason, so that a
user can be told why a model was left as it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from ..analyzer.errors import GraphError
from .promise import Promise as Promise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..analyzer.ir.graph import Graph, Operator

EDITS_PER_OPERATOR = 16
"""More edits than this for each operator of a graph mean that rewrites undo each other."""


LEVELS = ("safe", "unsafe")


@dataclass(frozen=True, slots=True)
class Miss:
    """Why a rewrite does not apply to an operator."""

    reason: str


Found = TypeVar("Found")


class Rewrite(ABC, Generic[Found]):
    """One change of a graph that keeps its meaning.

    Attributes:
        id: stable name, kebab-case.
        title: pattern and replacement in one sentence.
        dialect: of the graphs that it edits.
        root: operator types that it starts from.
        parity: the promise about the numbers.
        after: ids of rewrites that run before this one.
        answers: finding codes and names of pack rules that it repairs; empty for the clean-ups that always
        run.
        atomic: ``apply`` makes one edit, or edits that cannot be refused after the first: nothing is to
        be put back.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    dialect: ClassVar[str]
    root: ClassVar[tuple[str, ...]]
    parity: ClassVar[Promise]
    after: ClassVar[tuple[str, ...]] = ()
    answers: ClassVar[tuple[str, ...]] = ()
    atomic: ClassVar[bool] = True

    @abstractmethod
    def match(self, graph: Graph, op: Operator) -> Found | Miss:
        """What there is to replace around ``op``, or why nothing; changes nothing."""

    @abstractmethod
    def apply(self, graph: Graph, found: Found) -> None:
        """Make the edit that ``match`` found, through the methods of ``Graph``."""

    def speaks_of(self, op: Operator) -> bool:
        """True when the operator's type is one that the rewrite starts from."""
        return op.domain in ("", "ai.onnx") and op.type in self.root

    def look(self, graph: Graph, op: Operator) -> Found | Miss:
        """``match`` for graphs of strangers: at an operator that does not fit its schema there is a miss."""
        try:
            return self.match(graph, op)
        except MALFORMED as error:
            return Miss(f"{UNFIT} ({type(error).__name__})")

    def attempt(self, graph: Graph, op: Operator) -> Miss | None:
        """Match and apply; None when the edit was made. A refused edit is a miss, and changes nothing.

        Raises GraphError when an edit of several steps fails half-way at a malformed operator.
        """
        found = self.look(graph, op)
        if isinstance(found, Miss):
            return found
        state = None if self.atomic else graph.state()
        before = graph.edits
        try:
            self.apply(graph, found)
        except GraphError as error:
            if state is not None:
                graph.restore(state)
            return Miss(f"the edit would break the graph: {error.message}")
        except MALFORMED as error:
            if state is not None:
                graph.restore(state)
            elif graph.edits != before:
                raise GraphError(f"{self.id} at {op.label!r}: {UNFIT}") from error
            return Miss(f"{UNFIT} ({type(error).__name__})")
        return None


AnyRewrite = Rewrite[Any]
MALFORMED = (IndexError, KeyError, TypeError, ValueError, ArithmeticError, AttributeError, AssertionError)
"""What a rewrite meets at operators with too few operands, of other ranks and with attributes of another
type. A reader does not refuse them: whether a file fits its format is one question, whether each operator
fits its schema another.
"""
UNFIT = "an operator here does not fit its own schema"


def run(graph: Graph, rewrites: Sequence[AnyRewrite], *, bodies: bool = True) -> dict[str, int]:
    """Apply rewrites everywhere until none applies; returns the number of edits by rewrite id.

    Raises GraphError when they do not settle.
    """
    edits = {rewrite.id: 0 for rewrite in rewrites}
    budget = EDITS_PER_OPERATOR * (sum(1 for _ in graph.walk()) + 8)
    while sweep := _sweep(graph, rewrites, bodies):
        for id in sweep:
            edits[id] += 1
        budget -= len(sweep)
        if budget < 0:
            busy = ", ".join(id for id, count in edits.items() if count)
            raise GraphError(f"the rewrites {busy} do not settle on graph {graph.name!r}")
    return {id: count for id, count in edits.items() if count}


def _sweep(graph: Graph, rewrites: Sequence[AnyRewrite], bodies: bool) -> list[str]:
    """One walk over the operators; the ids of the rewrites that made an edit, once for each."""
    done: list[str] = []
    for owner, op in list(_operators(graph, bodies)):
        for rewrite in rewrites:
            if op not in owner:
                break
            if rewrite.speaks_of(op) and rewrite.attempt(owner, op) is None:
                done.append(rewrite.id)
    return done


def _operators(graph: Graph, bodies: bool) -> Iterator[tuple[Graph, Operator]]:
    return graph.walk() if bodies else ((graph, op) for op in graph.ops())


def ordered(rewrites: Iterable[AnyRewrite]) -> tuple[AnyRewrite, ...]:
    """By their declared order, ids deciding between equals; raises GraphError on a circle or an unknown
    id.
    """
    waiting = {rewrite.id: rewrite for rewrite in sorted(rewrites, key=lambda rewrite: rewrite.id)}
    known, result = set(waiting), []
    unknown = sorted({id for rewrite in waiting.values() for id in rewrite.after} - known)
    if unknown:
        raise GraphError(f"rewrites are declared to come after {', '.join(unknown)}, which do not exist")
    while waiting:
        ready = next((id for id, rewrite in waiting.items() if not set(rewrite.after) & set(waiting)), None)
        if ready is None:
            raise GraphError(f"the order of the rewrites {', '.join(waiting)} is a circle")
        result.append(waiting.pop(ready))
    return tuple(result)
