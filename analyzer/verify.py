"""verify: run the target's real runtime, and hold the prediction and the numbers against it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..rules.pack import Chosen
from ..rules.verdict import Verdict
from .check import Coverage, OperatorVerdict
from .errors import AccelintError, RuntimeFailure, UsageError
from .model import Model
from .runtimes import Answer, Placed, Request, Session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .parity import Parity, Tolerance

REFERENCES = {"onnx": "onnxruntime/cpu", "tflite": "litert/cpu"}
"""Dialect -> the runtime whose numbers count as right."""
PRECISION = {"float32": "fp32", "float16": "fp16", "int8": "int8"}
MOVES = {
    ("accelerator", Verdict.ACCELERATED), ("cpu", Verdict.FALLBACK), ("folded", Verdict.FOLDED),
    ("cpu", Verdict.FOLDED), ("folded", Verdict.FALLBACK),
}  # fmt: skip
"""Device and verdict that agree. A constant operator that the host computes once is folded by either name."""


@dataclass(frozen=True)
class Options:
    """What the user asks of a verification."""

    against: Path | None = None
    inputs: Path | None = None
    bounds: Tolerance | None = None
    promise: str = "rounding"
    seed: int = 0
    sizes: Mapping[str, int] = field(default_factory=dict)
    latency_runs: int = 0
    timeout: float = 300.0
    runtime_options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verified:
    """What the runtime did, beside what was predicted."""

    answer: Answer
    agreement: Mapping[str, int]
    contradictions: tuple[str, ...]
    parity: Parity | None = None
    parity_skipped: str = ""
    first: Mapping[str, str] | None = None
    """The first operator whose result differs, where parity fails."""

    def to_json(self) -> dict[str, Any]:
        """The keys that verify adds to a target of the report."""
        answer = self.answer
        added: dict[str, Any] = {
            "placement": [
                {"id": item.id, "name": item.name, "type": item.type, "device": item.device, "reason": item.reason}
                for item in answer.placement
            ],
            "runtime_status": answer.status,
            "runtime_reason": answer.reason,
            "actual_partitions": answer.partitions,
            "agreement": dict(self.agreement),
            "contradictions": list(self.contradictions),
        }
        if self.parity is not None:
            added["parity"] = {"ok": self.parity.agrees, "summary": summary(self.parity), **self.parity.to_json()}
            added["parity"]["first_divergence"] = None if self.first is None else dict(self.first)
        elif self.parity_skipped:
            added["parity_skipped"] = self.parity_skipped
        if answer.latency is not None:
            lat = answer.latency
            added["latency_ms"] = {"median": lat.median, "low": lat.low, "high": lat.high, "runs": lat.runs, "threads": lat.threads}
        if answer.status == "crashed":
            added["crash"] = {"signal": answer.signal, "exit_code": answer.exit_code}
        return added

    @property
    def exit_code(self) -> int:
        """4: the runtime contradicts the prediction, crashed or gave no answer; 5: the numbers differ; else 0."""
        if self.contradictions or self.answer.status not in ("ok", "refused"):
            return 4
        return 5 if self.parity is not None and not self.parity.agrees else 0


def verify(model: Model, chosen: Chosen, coverage: Coverage, options: Options) -> Verified:
    """Ask the target's runtime where each operator ran and what it computed.

    Raises RuntimeFailure when the runtime or the reference is not here, UsageError for inputs that do not fit.
    """
    reference = REFERENCES.get(model.dialect)
    if reference is None:
        raise UsageError(f"{model.path}: {model.dialect} models cannot be run here: convert it and verify the result")
    with tempfile.TemporaryDirectory(prefix="accelint-") as folder:
        feeds = _write_inputs(model, options, Path(folder))
        right = _reference_outputs(model, reference, feeds, options)
        _hold_sizes(model, right, options)
        with Session(chosen.target, timeout=options.timeout) as session:
            request = Request(
                model.path, inputs=feeds, outputs=True, latency_runs=options.latency_runs, options=dict(options.runtime_options)
            )
            answer = session.ask(request)
            if answer.status == "missing":
                raise RuntimeFailure(f"{chosen.target} is not here: {answer.reason}" + (f": {answer.advice}" if answer.advice else ""))
            parity, skipped = _parity(right, answer, chosen, options)
            first = _first_divergence(model, session, feeds, parity, chosen, options)
        agreement, contradictions = compare_placement(coverage, answer)
    return Verified(answer, agreement, contradictions, parity, skipped, first)


def _first_divergence(
    model: Model, session: Session, feeds: Path, parity: Parity | None, chosen: Chosen, options: Options
) -> dict[str, str] | None:
    """The first operator whose result differs, where parity fails and both runtimes keep intermediate results."""
    if parity is None or parity.agrees:
        return None
    from .formats import load
    from .runtimes.locate import locate

    try:
        other = model if options.against is None else load(options.against)
        with Session(REFERENCES[other.dialect], timeout=options.timeout) as right:
            found = locate(
                other.graph, (right, other.path), (session, model.path), feeds,
                promise=options.promise, precision=PRECISION.get(chosen.pack.precision, "fp32"),
            )  # fmt: skip
    except AccelintError:  # a runtime that fuses its operators keeps no results between them
        return None
    if found is None:
        return None
    op = found.operator
    return {"id": op.id, "name": op.label, "type": op.type, "problem": "; ".join(found.difference.problems[:2])}


def _write_inputs(model: Model, options: Options, folder: Path) -> Path:
    from .runtimes import inputs, tensors

    if options.inputs is not None:
        return tensors.write(folder / "inputs.npz", inputs.load(options.inputs, model.graph))
    known = dict.fromkeys(dim for name in model.graph.inputs for dim in model.graph.tensor(name).shape or () if isinstance(dim, str))
    strange = [name for name in options.sizes if name not in known]
    if strange:
        raise UsageError(f"--size {strange[0]}: no input of {model.path} has that dimension: there are {', '.join(known) or 'none'}")
    return tensors.write(folder / "inputs.npz", inputs.for_graph(model.graph, seed=options.seed, sizes=options.sizes))


def _hold_sizes(model: Model, right: dict[str, NDArray[Any]] | str, options: Options) -> None:
    """Raise UsageError when the reference fails on inputs whose open sizes were made up: that tells nothing about the target."""
    if options.inputs is not None or not isinstance(right, str) or "running the model" not in right:
        return
    graph = model.graph
    dims = dict.fromkeys(dim for name in graph.inputs for dim in graph.tensor(name).shape or () if isinstance(dim, str))
    if dims:
        sizes = ", ".join(f"{dim}={options.sizes.get(dim, 1)}" for dim in dims)
        raise UsageError(f"{model.path} does not run with {sizes}: give sizes that fit with --size, or --inputs; {right}"[:600])


def _reference_outputs(model: Model, reference: str, feeds: Path, options: Options) -> dict[str, NDArray[Any]] | str:
    """Outputs of the unmodified model on the reference runtime, or why there are none."""
    path = model.path
    if options.against is not None:
        from .formats import load
        from .runtimes import tensors

        path = options.against
        other = load(path)
        reference = REFERENCES.get(other.dialect, "")
        if not reference:
            raise UsageError(f"{path}: {other.dialect} models cannot be run here: give an ONNX or TFLite reference")
        feeds = _renamed(feeds, model, other, tensors)
    with Session(reference, timeout=options.timeout) as session:
        answer = session.ask(Request(path, inputs=feeds, outputs=True, placement=False))
        if answer.status == "missing":
            raise RuntimeFailure(f"{reference}, the reference, is not here: {answer.reason}: {answer.advice}")
        return answer.tensors() if answer.ok else f"{reference} {answer.status}: {answer.reason}"


def _renamed(feeds: Path, model: Model, other: Model, tensors: Any) -> Path:
    """The same arrays under the reference model's input names, paired by position where the names differ."""
    arrays: dict[str, Any] = tensors.read(feeds)
    names = [name for name in other.graph.inputs if other.graph.tensor(name).const is None]
    if set(names) == set(arrays):
        return feeds
    if len(names) != len(arrays):
        raise UsageError(f"{other.path} has {len(names)} inputs and {model.path} has {len(arrays)}: they are not the same model")
    written: Path = tensors.write(feeds.with_name("reference.npz"), dict(zip(names, arrays.values(), strict=True)))
    return written


def _parity(right: dict[str, NDArray[Any]] | str, answer: Answer, chosen: Chosen, options: Options) -> tuple[Parity | None, str]:
    if not answer.ok:
        return None, f"the runtime gave no outputs ({answer.status}): {answer.reason}"
    if isinstance(right, str):
        return None, f"the reference gave no outputs: {right}"
    if not right:
        return None, "the model has no outputs"
    if answer.outputs is None:
        return None, "the runtime compiles the model here and does not run it"
    from .parity import compare

    precision = PRECISION.get(chosen.pack.precision, "fp32")
    return compare(right, answer.tensors(), options.promise, precision, bounds=options.bounds), ""


def compare_placement(coverage: Coverage, answer: Answer) -> tuple[dict[str, int], tuple[str, ...]]:
    """Counts of predicted against actual, and each contradiction in words."""
    if answer.status != "ok":
        return _compare_refusal(coverage, answer)
    placed = {item.id: item for item in answer.placement}
    agreement: dict[str, int] = {}
    wrong: list[str] = []
    for op in coverage.operators:
        actual = placed.get(op.id)
        key = f"predicted_{op.verdict}_{_ran(actual)}"
        agreement[key] = agreement.get(key, 0) + 1
        if actual is not None and contradicts(op.verdict, actual.device):
            wrong.append(_contradiction(op, actual))
    if answer.partitions is not None and answer.partitions != len(coverage.partitions):
        agreement["partitions_predicted"], agreement["partitions_actual"] = len(coverage.partitions), answer.partitions
    return agreement, tuple(wrong)


def contradicts(verdict: Verdict, device: str) -> bool:
    """Whether what the runtime told rules the prediction out; an unknown prediction or device contradicts nothing."""
    if verdict is Verdict.UNKNOWN or device in ("unmapped", "unknown"):
        return False
    return (device, verdict) not in MOVES


def _ran(actual: Placed | None) -> str:
    if actual is None or actual.device in ("unmapped", "unknown"):
        return "not_told"
    return "ran_accelerated" if actual.device == "accelerator" else "ran_elsewhere"


def _contradiction(op: OperatorVerdict, actual: Placed) -> str:
    reason = f": {actual.reason}" if actual.reason else ""
    return f"{op.id} {op.type} {op.name!r} was predicted {op.verdict} and ran on the {actual.device}{reason}"


def _compare_refusal(coverage: Coverage, answer: Answer) -> tuple[dict[str, int], tuple[str, ...]]:
    agreement: dict[str, int] = {}
    for op in coverage.operators:
        key = f"predicted_{op.verdict}_ran_nowhere"
        agreement[key] = agreement.get(key, 0) + 1
    if coverage.verdict == "rejected":
        return agreement, ()
    return agreement, (
        f"the model was predicted {coverage.verdict} and the runtime {answer.status}: {answer.reason or answer.signal or ''}".rstrip(": "),
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
