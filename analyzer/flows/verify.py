"""verify: run the target's real runtime, and hold the prediction and the numbers against it."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...rules.pack import Chosen
from ...rules.verdict import NOTHING
from ..check.coverage import Coverage
from ..errors import AccelintError, RuntimeFailure, UsageError
from ..ir.model import Model
from ..processes.scratch import temporary
from ..proof.agreement import compare_placement
from ..proof.drift import stale_data
from ..proof.feeds import Feed, feeds, has_nan, milder, renamed
from ..proof.phases import phase_of
from ..proof.reference import Reference, computes_integers
from ..runtimes import Answer, Request, Session, catalog

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..proof.drift import Drift
    from ..proof.latency import Comparison
    from ..proof.parity import Parity, Tolerance
    from ..source.export import Exporting

PRECISION = {"float32": "fp32", "float16": "fp16", "int8": "int8"}
ROUNDS = 3
"""Turns of each model when two are timed against each other."""


@dataclass(frozen=True)
class Options:
    """What the user asks of a verification.

    Attributes:
        against: the reference model; None for the model itself.
        inputs: ``random``, ``boundary``, files and folders of arrays; see ``feeds.feeds``.
        bounds: the user's tolerance in place of the promise's.
        parity: compare the numbers.
        latency_runs: timed runs; with ``against`` both models are timed by turns.
        exporting: how ``against`` is exported where it is the user's code.
        runtime_options: for the target's worker (``optimize``).
    """

    against: Path | None = None
    inputs: tuple[str, ...] = ()
    bounds: Tolerance | None = None
    promise: str = "rounding"
    seed: int = 0
    sizes: Mapping[str, int] = field(default_factory=dict)
    parity: bool = True
    latency_runs: int = 0
    timeout: float = 300.0
    exporting: Exporting | None = None
    runtime_options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Compared:
    """The numbers of one set of inputs, or why there are none. ``against`` says what they are compared with,
    where that is not the reference.
    """

    feed: Feed
    parity: Parity | None = None
    skipped: str = ""
    against: str = ""

    @property
    def label(self) -> str:
        """What the report calls it."""
        return f"{self.feed.label}, {self.against}" if self.against else self.feed.label

    @property
    def differs(self) -> bool:
        """Whether numbers were compared and differ."""
        return self.parity is not None and not self.parity.agrees

    def to_json(self) -> dict[str, Any]:
        """A row of ``parity.sets``."""
        if self.parity is None:
            return {"inputs": self.label, "ok": None, "summary": self.skipped}
        return {"inputs": self.label, "ok": self.parity.agrees, "summary": summary(self.parity)}


@dataclass(frozen=True)
class Verified:
    """What the runtime did, beside what was predicted."""

    answer: Answer
    agreement: Mapping[str, int]
    contradictions: tuple[str, ...]
    compared: tuple[Compared, ...] = ()
    first: Mapping[str, str] | None = None
    """The first operator whose result differs, where parity fails."""
    drift: Drift | None = None
    """That the installed runtime is not the one that the rules were measured for."""
    nothing: bool = False
    """Whether it was predicted that nothing is accelerated."""
    phase: str = ""
    """In which phase the runtime rejected the model, where it did and tells."""
    timed: Comparison | None = None
    """The reference model's latency against this one's, where both were timed."""

    @property
    def shown(self) -> Compared | None:
        """The set of inputs that the report tells in full: the first that differs, else the first that was
        compared.
        """
        told = [item for item in self.compared if item.parity is not None]
        return next((item for item in told if item.differs), told[0] if told else None)

    @property
    def holds(self) -> bool | None:
        """Whether the numbers agree: None when that is not known of every set of inputs and none differs."""
        if any(item.differs for item in self.compared):
            return False
        return True if all(item.parity is not None for item in self.compared) else None

    def to_json(self) -> dict[str, Any]:
        """The keys that verify adds to a target of the report."""
        answer = self.answer
        added: dict[str, Any] = {
            "placement": [
                {
                    "id": item.id,
                    "name": item.name,
                    "type": item.type,
                    "device": item.device,
                    "reason": item.reason,
                }
                for item in answer.placement
            ],
            "runtime_status": answer.status,
            "runtime_reason": answer.reason,
            "runtime_phase": self.phase or None,
            "actual_partitions": answer.partitions,
            "agreement": dict(self.agreement),
            "contradictions": list(self.contradictions),
        }
        if self.drift is not None:
            added["drift"] = self.drift.to_json()
        shown = self.shown
        if shown is not None and shown.parity is not None:
            added["parity"] = {**shown.to_json(), **shown.parity.to_json()}
            added["parity"]["ok"] = self.holds
            added["parity"]["sets"] = [item.to_json() for item in self.compared]
            added["parity"]["first_divergence"] = None if self.first is None else dict(self.first)
        elif self.compared:
            added["parity_skipped"] = self.compared[0].skipped
        if answer.latency is not None:
            lat = answer.latency
            added["latency_ms"] = {
                "median": lat.median,
                "low": lat.low,
                "high": lat.high,
                "runs": lat.runs,
                "threads": lat.threads,
            }
            added["latency_ms"] |= {} if self.timed is None else {"against": _ratio(self.timed)}
        if answer.status == "crashed":
            added["crash"] = {"signal": answer.signal, "exit_code": answer.exit_code}
        return added

    @property
    def exit_code(self) -> int:
        """6: its worker was ended from outside; 4: the runtime contradicts the prediction, crashed or gave no
        answer; 5: the numbers differ, or could not be compared; 1: none of the model runs on the
        accelerator; else 0.
        """
        if self.answer.status == "killed":
            return 6
        if self.contradictions or not (self.answer.ok or self.rejected):
            return 4
        if not self.holds:
            return 5
        return int(self.rejected or self.useless)

    @property
    def rejected(self) -> bool:
        """Whether the runtime said no to the model: to loading or compiling it, or to running it."""
        return self.answer.status == "refused" or self.phase == "run"

    @property
    def useless(self) -> bool:
        """Whether nothing is accelerated, by the runtime's word, else by the prediction."""
        devices = {item.device for item in self.answer.placement} - {"unmapped", "unknown"}
        return not devices & {"accelerator", "folded"} if devices else self.nothing


def _ratio(timed: Comparison) -> dict[str, float]:
    """How many times the latency of this model the reference model took, with the lowest and highest of the
    rounds.
    """
    return {"ratio": timed.ratio, "low": timed.low, "high": timed.high, "rounds": len(timed.first)}


class _Against:
    """The reference model on its reference runtime."""

    def __init__(self, model: Model, options: Options) -> None:
        from ..proof.parity import input_changes
        from .check_file import loaded

        self.own = model
        self.options = options
        self.model = model if options.against is None else loaded(options.against, options.exporting)[0]
        self.contract = input_changes(self.model.graph, model.graph) if options.against is not None else ()
        self.allowed = options.promise == "contract"
        self.runtime = Reference(self.model.dialect, timeout=options.timeout)
        self.integers = computes_integers(self.model.graph)

    @property
    def session(self) -> Session:
        """The reference's worker."""
        return self.runtime.session

    def outputs(self, feed: Feed) -> dict[str, NDArray[Any]] | str:
        """What the reference computes from the arrays, or why there is nothing."""
        try:
            return self.runtime.outputs(self.model.path, renamed(feed, self.own, self.model))
        except UsageError as error:
            return error.message

    def meaningful(self, feed: Feed) -> tuple[Feed, dict[str, NDArray[Any]] | str]:
        """A set of inputs with what the reference computes of it; values that were made up are replaced where
        the result is NaN.
        """
        first = self.outputs(feed)
        if isinstance(first, str) or not has_nan(first):
            return feed, first
        for other in milder(feed, self.own, self.options.seed, self.options.sizes):
            found = self.outputs(other)
            if not isinstance(found, str) and not has_nan(found):
                return other, found
        return feed, first

    def spread(self, feed: Feed, outputs: Mapping[str, NDArray[Any]]) -> dict[str, float]:
        """By output, what the reference's own kernels differ by; nothing where that is not known."""
        return self.runtime.spread(self.model.path, renamed(feed, self.own, self.model), outputs)

    def hold(self, compared: Compared) -> Compared:
        """With what changed in the inputs, which is a change of the contract like one of the outputs."""
        if not self.contract:
            return compared
        if compared.parity is not None:
            changed = (*self.contract, *compared.parity.contract)
            return replace(compared, parity=replace(compared.parity, contract=changed))
        words = "; ".join(self.contract)
        return replace(compared, skipped=f"the interface changed: {words}; {compared.skipped}")


def verify(model: Model, chosen: Chosen, coverage: Coverage, options: Options) -> Verified:
    """Ask the target's runtime where each operator ran and what it computed.

    Raises RuntimeFailure when the runtime or the reference is not here, UsageError for inputs that do not
    fit.
    """
    if catalog.reference(model.dialect) is None:
        raise UsageError(
            f"{model.path}: {model.dialect} models cannot be run here: convert it and verify the result"
        )
    if model.format == "ort":
        from .optimized import OF_ORT

        raise UsageError(f"{model.path} is in ONNX Runtime's own format: {OF_ORT}")
    with ExitStack() as stack:
        folder = stack.enter_context(temporary("verify-"))
        sets = feeds(model, options.inputs, folder, seed=options.seed, sizes=options.sizes)
        session = stack.enter_context(Session(chosen.target, timeout=options.timeout))
        reference = _Against(model, options)
        stack.enter_context(reference.session)
        sets[0], right = reference.meaningful(sets[0]) if options.parity else (sets[0], {})
        _hold_sizes(model, right, sets[0], options)
        answer = _asked(session, model, sets[0], options, first=True)
        compared: list[Compared] = []
        for index, feed in enumerate(sets if options.parity else ()):
            feed, wanted = (feed, right) if index == 0 else reference.meaningful(feed)
            given = answer if index == 0 else _asked(session, model, feed, options)
            compared += _compared(feed, wanted, given, reference, chosen, options)
        first = _first_divergence(model, session, reference, compared, chosen, options)
        timed = _timed(session, model, sets[0], reference, answer, options)
        agreement, contradictions = compare_placement(coverage, answer)
    package, _, version = answer.runtime.rpartition(" ")
    drift = stale_data(chosen.pack, version) if package == chosen.pack.runtime else None
    nothing = coverage.verdict in NOTHING
    phase = phase_of(chosen.target, answer.status, answer.reason)
    numbers = tuple(compared)
    return Verified(answer, agreement, contradictions, numbers, first, drift, nothing, phase, timed)


def _asked(session: Session, model: Model, feed: Feed, options: Options, *, first: bool = False) -> Answer:
    """The runtime's answer; placement and latency are asked for once."""
    request = Request(
        model.path,
        inputs=feed.path,
        outputs=True,
        placement=first,
        latency_runs=options.latency_runs if first else 0,
        options=dict(options.runtime_options),
    )
    answer = session.ask(request)
    if answer.status == "missing":
        raise RuntimeFailure(
            f"{session.name} is not here: {answer.reason}" + (f": {answer.advice}" if answer.advice else "")
        )
    return answer


def _timed(
    session: Session, model: Model, feed: Feed, reference: _Against, answer: Answer, options: Options
) -> Comparison | None:
    """Both models on the target's runtime by turns, where there is another model that it can load."""
    if answer.latency is None or options.against is None or reference.model.dialect != model.dialect:
        return None
    from ..proof.latency import compare

    try:
        other = (reference.model.path, renamed(feed, model, reference.model))
        return compare(session, other, (model.path, feed.path), rounds=ROUNDS, runs=options.latency_runs)
    except RuntimeFailure:  # a model that the runtime refuses has no latency there
        return None


def _first_divergence(
    model: Model,
    session: Session,
    reference: _Against,
    compared: list[Compared],
    chosen: Chosen,
    options: Options,
) -> dict[str, str] | None:
    """The first operator whose result differs, where parity fails and both runtimes keep intermediate
    results.
    """
    wrong = next((item for item in compared if item.differs and not item.against), None)
    if wrong is None:
        return None
    from ..proof.locate import locate

    try:
        found = locate(
            reference.model.graph,
            (reference.session, reference.model.path),
            (session, model.path),
            wrong.feed.path,
            promise=options.promise,
            precision=PRECISION.get(chosen.pack.precision, "fp32"),
        )
    except AccelintError:  # a runtime that fuses its operators keeps no results between them
        return None
    if found is None:
        return None
    op = found.operator
    return {
        "id": op.id,
        "name": op.label,
        "type": op.type,
        "problem": "; ".join(found.difference.problems[:2]),
    }


def _compared(
    feed: Feed,
    right: dict[str, NDArray[Any]] | str,
    answer: Answer,
    reference: _Against,
    chosen: Chosen,
    options: Options,
) -> list[Compared]:
    """The numbers beside the reference's, and beside those that came with the inputs."""
    row = _parity(feed, right, answer, chosen, options, integers=reference.integers)
    if row.differs and options.bounds is None and not isinstance(right, str) and reference.integers:
        spread = reference.spread(feed, right)
        row = _parity(feed, right, answer, chosen, options, spread=spread, integers=True) if spread else row
    rows = [reference.hold(row)]
    if feed.golden is None:
        return rows
    golden = dict(feed.golden)
    row = _parity(feed, golden, answer, chosen, options, only=golden)
    if row.parity is not None and rows[0].parity is None and options.against is None:
        rows = []  # the user's own outputs are the reference where the runtime has none
    return [*rows, replace(row, against="golden outputs")]


def _parity(
    feed: Feed,
    right: dict[str, NDArray[Any]] | str,
    answer: Answer,
    chosen: Chosen,
    options: Options,
    only: Container[str] | None = None,
    spread: Mapping[str, float] | None = None,
    *,
    integers: bool = False,
) -> Compared:
    """``only``: the outputs that there is something for; ``spread``: by output, what the reference's own
    kernels differ by.
    """
    if not answer.ok:
        return Compared(feed, skipped=f"the runtime gave no outputs ({answer.status}): {answer.reason}")
    if isinstance(right, str):
        return Compared(feed, skipped=f"the reference gave no outputs: {right}{_open(feed, options)}")
    if not right:
        return Compared(feed, skipped="the model has no outputs")
    if answer.outputs is None:
        words = "the runtime compiles the model here and does not run it: --no-parity asks for placement only"
        return Compared(feed, skipped=words)
    from ..proof.parity import compare

    precision = "int8" if integers else PRECISION.get(chosen.pack.precision, "fp32")
    found = {name: array for name, array in answer.tensors().items() if only is None or name in only}
    parity = compare(right, found, options.promise, precision, bounds=options.bounds, spread=spread)
    return Compared(feed, parity)


def _open(feed: Feed, options: Options) -> str:
    """What to do about sizes that were made up and do not fit, where there are some."""
    if options.inputs or not feed.open:
        return ""
    return f" (with {_made_up(feed.open, options)}: give sizes that fit with --size, or --inputs)"


def _made_up(dims: Sequence[str], options: Options) -> str:
    return ", ".join(f"{dim}={options.sizes.get(dim, 1)}" for dim in dims)


def _hold_sizes(model: Model, right: dict[str, NDArray[Any]] | str, feed: Feed, options: Options) -> None:
    """Raise UsageError when the model itself does not run in sizes that were made up: that tells nothing
    about the target.
    """
    if options.against is not None or options.inputs or not feed.open:
        return
    if isinstance(right, str) and "running the model" in right:
        raise UsageError(
            f"{model.path} does not run with {_made_up(feed.open, options)}: give sizes that fit with "
            f"--size, or --inputs; {right}"[:600]
        )


def summary(parity: Parity) -> str:
    """One line about the numbers."""
    if not parity.agrees:
        return "; ".join(parity.problems[:3])
    worst = max((item.max_abs or 0.0 for item in parity.outputs), default=0.0)
    noise = [item.sqnr for item in parity.outputs if item.sqnr is not None]
    dB = f", SQNR {min(noise):.0f} dB" if noise and min(noise) != float("inf") else ""
    count = len(parity.outputs)
    return f"{count} output{'' if count == 1 else 's'}, largest difference {worst:.3g}{dB}"
