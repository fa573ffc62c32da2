"""What a check answers: verdicts, findings and partitions of one model on one target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...rules.verdict import PHASES, Verdict

if TYPE_CHECKING:
    from ..errors import AccelintError
    from ..ir.graph import Graph, Shape
    from ..ir.model import Model


@dataclass(frozen=True, slots=True)
class Finding:
    """One diagnostic about one operator. ``fix`` names the rewrite that repairs it, where there is one, and
    ``safe`` says whether that is applied without being asked for. ``phase`` is where the model is rejected,
    of findings whose effect is that.
    """

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
    phase: str = ""
    fix: str | None = None
    safe: bool = True
    fingerprint: str = ""
    ignored: str = ""
    """Why it may stay and counts in no gate; empty for one that counts."""

    def named(self, fingerprint: str) -> Finding:
        """The same under a fingerprint; ``replace`` takes twice as long, and there are tens of thousands."""
        return Finding(
            self.code, self.rule, self.severity, self.operator, self.message, self.seen, self.limit,
            self.evidence, self.source, self.effect, self.phase, self.fix, self.safe, fingerprint,
            self.ignored,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class OperatorVerdict:
    """What becomes of one operator; ``findings`` index into the coverage's findings.

    ``gone`` is the optimizer's pass that took it away, ``into`` the operator that computes its result now.
    ``named``: the name is the file's own, and not that of an output.
    """

    id: str
    name: str
    type: str
    verdict: Verdict
    findings: tuple[int, ...] = ()
    macs: int | None = 0
    code: str | None = None
    gone: str = ""
    into: str = ""
    named: bool = True


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
    options: tuple[str, ...] = ()
    """What asks for this target again on a command line."""
    purpose: str = "accelerates"
    """What the target does: accelerates, converts or runs. Operators that are convertible, or plainly run,
    have the verdict accelerated too; reports say it in the purpose's words.
    """
    optimize: str | None = None
    """The optimization level of ONNX Runtime that it holds for; None where no runtime optimizes."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What was asked for beside: keys of a target in the report."""

    @property
    def accelerated(self) -> int:
        """Operators that the accelerator runs."""
        return self.count(Verdict.ACCELERATED)

    @property
    def boundary_bytes(self) -> int | None:
        """Bytes that cross the boundaries of the partitions; None where a size is unknown."""
        moved = [count for part in self.partitions for count in (part.bytes_in, part.bytes_out)]
        return None if None in moved else sum(count or 0 for count in moved)

    def count_gone(self) -> int:
        """Operators that an optimizer's pass took away."""
        return sum(1 for op in self.operators if op.gone)

    def count(self, verdict: Verdict) -> int:
        """Operators with that verdict."""
        return self._counts[verdict]

    @cached_property
    def _counts(self) -> Counter[Verdict]:
        return Counter([op.verdict for op in self.operators])

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
    def phase(self) -> str:
        """Where the runtime rejects the model: the first of ``PHASES`` that a finding names; empty for one
        that it takes.
        """
        if self.verdict != "rejected":
            return ""
        found = {finding.phase for finding in self.findings if finding.effect == "rejected"}
        return next((phase for phase in PHASES if phase in found), "")

    @property
    def elsewhere_by_design(self) -> bool:
        """Whether all that runs falls back for reasons that are notes: a model of a kind that no accelerator
        of the runtime is for (trees, linear models), which is no trouble of an operator.
        """
        left = [op for op in self.operators if op.verdict is not Verdict.FOLDED]
        return all(
            op.verdict is Verdict.FALLBACK
            and bool(op.findings)
            and all(self.findings[index].severity == "note" for index in op.findings)
            for op in left
        )

    @property
    def by_operators(self) -> float:
        """Share of the running operators that is accelerated, 1.0 when none run."""
        return self.count(Verdict.ACCELERATED) / self.running if self.running else 1.0

    @cached_property
    def by_macs(self) -> float | None:
        """Share of the multiply-accumulates that is accelerated; None when a count is unknown or there are
        none.
        """
        total = accelerated = 0
        for op in self.operators:
            if op.macs is None:
                return None
            total += op.macs
            accelerated += op.macs if op.verdict is Verdict.ACCELERATED else 0
        return accelerated / total if total else None

    def with_fixes(self, fixes: Mapping[int, tuple[str, bool]]) -> Coverage:
        """The same coverage, findings naming the rewrite that repairs them and whether that is a safe one; by
        the positions of the findings.
        """
        findings = list(self.findings)
        for index, (fix, safe) in fixes.items():
            findings[index] = replace(findings[index], fix=fix, safe=safe)
        return replace(self, findings=tuple(findings))


Interface = tuple[str, str, "Shape"]
"""Name, dtype and shape of an input or output."""


@dataclass(frozen=True, slots=True)
class About:
    """What a report says of a model itself; the graph is not needed after that."""

    format: str
    dialect: str
    sha256: str | None
    operators: int
    inputs: tuple[Interface, ...]
    outputs: tuple[Interface, ...]
    graphs: tuple[tuple[str, str], ...] = ()
    """First part of operators' ids -> what the file calls that graph."""
    ignores: str = ""
    """What the model's own metadata says of findings that may stay."""

    @classmethod
    def of(cls, model: Model) -> About:
        """From a model that was read."""
        graph = model.graph
        count = 0
        named: dict[str, str] = {}
        for owner, _ in model.operators():
            count += 1
            if owner.name not in named:
                named[owner.name] = str(owner.attrs.get("name", owner.name))
        inputs, outputs = (
            tuple(_interface(graph, name) for name in names) for names in (graph.inputs, graph.outputs)
        )
        return cls(
            model.format, model.dialect, model.sha256, count, inputs, outputs, tuple(named.items()),
            _property(model),
        )  # fmt: skip


IGNORES = "accelint.ignore"
"""The property of a model that names findings which may stay, an entry a line."""
_LONGEST = 1 << 16


def _property(model: Model) -> str:
    words = model.metadata.get("properties", {}).get(IGNORES, "")
    stored = model.metadata.get("metadata", {}).get(IGNORES)
    if stored is not None and 0 < stored.elements <= _LONGEST:
        words = stored.raw().decode("utf-8", "replace").rstrip("\0")
    return words[:_LONGEST] if isinstance(words, str) else ""


def _interface(graph: Graph, name: str) -> Interface:
    tensor = graph.find(name)
    return (name, "unknown", None) if tensor is None else (name, tensor.dtype, tensor.shape)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a model came from that the user's own code builds.

    Attributes:
        by: which exporter wrote it; empty where the user's code did.
        place: ``file.py:line`` where the user wrote it.
        files: the user's own files that took part.
        printed: what the user's code printed.
        stored: the exported model, where it stays.
    """

    by: str
    place: str | None
    files: tuple[str, ...]
    printed: str
    stored: Path | None = None


@dataclass(eq=False)
class Entry:
    """One model of a call: what was read and found, or the error.

    Attributes:
        about: what a report says of the model; None where it cannot be read.
        model: the model itself, while somebody needs it.
        skipped: targets of the call that do not take the model, and why.
        failures: targets that it could not be checked for, and why.
        extra: what verify adds, by target.
        origin: where a model that the user's own code builds came from.
    """

    path: Path
    model: Model | None = None
    about: About | None = None
    coverages: list[Coverage] = field(default_factory=list)
    error: AccelintError | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    failures: dict[str, AccelintError] = field(default_factory=dict)
    extra: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def raise_errors(self) -> None:
        """Raise what the model, or a target of it, could not be checked for."""
        for error in (self.error, *self.failures.values()):
            if error is not None:
                raise error

    origin: Origin | None = None
