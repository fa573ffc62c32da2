"""fix: freeze what the user names, let the planner improve the placement, prove every step on the reference
runtime.
"""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...rewrites.engine import Parity
from ...rewrites.freeze import Frozen, freeze
from ...rewrites.planner import Passed, Proof, Prover, Score, Step, plan, promise_of, score, tidy, weakest
from ...rewrites.registry import allowed
from ..check.run import check
from ..errors import AccelintError, RuntimeFailure, UsageError
from ..formats import emit
from ..processes.scratch import make

if TYPE_CHECKING:
    from ...rules.pack import Chosen
    from ..check.coverage import Coverage
    from ..ir.graph import Graph, Operator, Tensor
    from ..ir.model import Model

REFERENCES: Mapping[str, str] = {"onnx": "onnxruntime/cpu", "tflite": "litert/cpu"}
"""The runtime that says what a model of a dialect computes."""
SETS = (("random", 1), ("random", 2), ("boundary", 3))
"""Inputs of a proof: kind and seed."""
OPEN_SIZES = (2, 3, 5, 4, 7, 6)
"""Sizes that unknown dimensions take in a proof, in turn: distinct, so that swapped axes show."""


@dataclass(frozen=True)
class FixResult:
    """What a fix did. ``model`` is edited and ready for ``analyzer.formats.emit``; its ``path`` still names
    the original file.
    """

    model: Model
    before: Coverage
    after: Coverage
    steps: tuple[Step, ...]
    passed: tuple[Passed, ...]
    frozen: Frozen | None
    diff: str

    @property
    def kept(self) -> tuple[Step, ...]:
        """The steps that are in the model."""
        return tuple(step for step in self.steps if step.kept)

    @property
    def changed(self) -> bool:
        """True when the model differs from the one that was given."""
        return bool(self.kept)

    @property
    def scores(self) -> tuple[Score, Score]:
        """Before and after."""
        return score(self.before), score(self.after)

    def to_json(self) -> dict[str, Any]:
        """For the report."""
        return {
            "before": self.scores[0].text,
            "after": self.scores[1].text,
            "freeze": None if self.frozen is None else self.frozen.text,
            "steps": [
                {
                    "rewrite": step.rewrite,
                    "title": step.title,
                    "parity": str(step.parity),
                    "places": list(step.places),
                    "kept": step.kept,
                    "reason": step.reason,
                    "proof": None if step.proof is None else step.proof.text,
                }
                for step in self.steps
            ],
            "not_applied": [
                {"rewrite": item.rewrite, "operator": item.operator, "reason": item.reason}
                for item in self.passed
            ],
        }


def fix(
    model: Model,
    chosen: Chosen,
    sizes: Sequence[str] = (),
    level: str = "safe",
    prover: Callable[[Model], Prover] | None = None,
) -> FixResult:
    """Change the model, in place, so that more of it runs on the target.

    Args:
        model: as it was loaded; its file is the reference of the proofs.
        chosen: the target's pack.
        sizes: what the user gave to ``--freeze``.
        level: ``safe`` applies bit-exact and rounding rewrites, ``unsafe`` all.
        prover: makes the function that compares the model as it is now with the original; the reference
            runtime by default.

    Raises UsageError for a target of another dialect, a level or a name in ``sizes`` that does not exist, or
    contradicting sizes.
    """
    if model.dialect != chosen.pack.dialect:
        raise UsageError(
            f"{chosen.target} takes {chosen.pack.dialect} models and {model.path} is "
            f"{model.dialect}: convert it first"
        )
    rewrites = allowed(model.dialect, level)
    lines = listing(model.graph)
    before = check(model, chosen)
    with Reference(model) as reference:
        prove = reference if prover is None else prover(model)
        steps: list[Step] = []
        frozen = _frozen(model, chosen, sizes, before, prove, steps) if sizes or _derivable(model) else None
        done = plan(model.graph, rewrites, lambda: check(model, chosen), prove)
    after = check(model, chosen)
    return FixResult(
        model,
        before,
        after,
        (*steps, *done.steps),
        tuple(done.passed),
        frozen,
        difference(lines, listing(model.graph)),
    )


def _derivable(model: Model) -> bool:
    """True when every input is static and a tensor is not: the file leaves out shapes that follow from its
    inputs.
    """
    graph = model.graph
    closed = all(graph.tensor(name).static for name in graph.inputs)
    return closed and any(not tensor.static for tensor in graph.tensors.values())


def _frozen(
    model: Model, chosen: Chosen, sizes: Sequence[str], before: Coverage, prove: Prover, steps: list[Step]
) -> Frozen | None:
    """Freeze and record it; what the user asked for stays whatever the score says, what only follows from the
    file when it helps.
    """
    clean = allowed(model.dialect, "safe")
    state = model.graph.state()
    try:
        frozen = freeze(model, sizes, inference(model.dialect), lambda graph: tidy(graph, clean))
    except RuntimeFailure as error:
        if sizes:
            raise
        model.graph.restore(state)
        failed = Proof("not proved", error.message)
        steps.append(
            Step(
                "infer-shapes",
                "",
                Parity.BIT_EXACT,
                (),
                False,
                error.message,
                score(before),
                score(before),
                failed,
            )
        )
        return None
    after = check(model, chosen)
    change = f"{score(before).text} -> {score(after).text}"
    if not sizes and (not frozen.edits or score(after) >= score(before)):
        model.graph.restore(state)
        return None
    promise = promise_of(frozen.edits, clean)
    proof = prove(promise)
    if not sizes:
        kept = proof.status != "failed"
        if not kept:
            model.graph.restore(state)
        title = "shapes that follow from the inputs are written in, and what becomes constant is folded"
        places = tuple(f"{id} x{count}" for id, count in frozen.edits.items())
        steps.append(
            Step("infer-shapes", title, promise, places, kept, change, score(before), score(after), proof)
        )
        return None
    title = f"shapes are frozen: {frozen.text}"
    reason = f"asked for by --freeze: {change}"
    steps.append(
        Step("freeze", title, Parity.CONTRACT, tuple(sizes), True, reason, score(before), score(after), proof)
    )
    return frozen


def inference(dialect: str) -> Callable[[Model], None]:
    """The function that works out shapes after a freeze. Raises UsageError for a dialect that has none."""
    if dialect == "onnx":
        from ...rewrites.onnx.infer import infer_onnx

        return infer_onnx
    if dialect == "tflite":
        from .litert_shapes import infer_litert

        return infer_litert
    raise UsageError(f"shapes of {dialect} models cannot be frozen: freeze them in ONNX or TFLite")


# ---- the proof -------------------------------------------------------------------------------


class Reference:
    """Proves on the reference runtime: the original file and the model as it is now get the same inputs.

    Nothing runs before the first proof is asked for. A runtime that is missing, and a model that it cannot
    run, are said and not hidden.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.original = model.path
        self.folder: Path | None = None
        self.session: Any = None
        self.expected: list[tuple[Path, dict[str, Any]]] = []
        self.problem = ""
        self.asked = 0

    def __enter__(self) -> Reference:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.session is not None:
            self.session.close()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __call__(self, promise: Parity) -> Proof:
        """Compare within what ``promise`` allows."""
        try:
            if self.folder is None:
                self._open()
            return Proof("not proved", self.problem) if self.problem else self._compare(promise)
        except AccelintError as error:
            return Proof("not proved", error.message)

    def _open(self) -> None:
        """Start the runtime and run the original on every set of inputs."""
        from ..runtimes import Session

        self.folder = make("proof-")
        name = REFERENCES.get(self.model.dialect)
        if name is None:
            self.problem = f"there is no reference runtime for {self.model.dialect}"
            return
        self.session = Session(name)
        self.problem = self._run_original({}) and self._run_original(self._sizes())
        if not self.problem:
            return
        self.problem = self._run_original(dict.fromkeys(self._sizes(), 1))

    def _sizes(self) -> dict[str, int]:
        names = [
            dim
            for name in self.model.graph.inputs
            for dim in self.model.graph.tensor(name).shape or ()
            if isinstance(dim, str)
        ]
        return {
            "": OPEN_SIZES[0],
            **{name: OPEN_SIZES[index % len(OPEN_SIZES)] for index, name in enumerate(dict.fromkeys(names))},
        }

    def _run_original(self, sizes: dict[str, int]) -> str:
        """The outputs that are expected; what went wrong, or nothing."""
        from ..runtimes import inputs, tensors

        self.expected = []
        if not sizes and any(not self.model.graph.tensor(name).static for name in self.model.graph.inputs):
            return "sizes are open"
        assert self.folder is not None
        for number, (kind, seed) in enumerate(SETS):
            feeds = inputs.for_graph(self.model.graph, seed=seed, boundary=kind == "boundary", sizes=sizes)
            file = tensors.write(self.folder / f"inputs-{number}.npz", feeds)
            answer = self._ask(self.original, file)
            if not answer.ok:
                return f"{self.session.name} does not run the original: {answer.status}, {answer.reason}"[
                    :500
                ]
            self.expected.append((file, answer.tensors()))
        return ""

    def _ask(self, model: Path, feeds: Path) -> Any:
        from ..runtimes import Request

        return self.session.ask(Request(model, feeds, outputs=True, placement=False))

    def _compare(self, promise: Parity) -> Proof:
        from ..proof.parity import compare

        assert self.folder is not None
        self.asked += 1
        place = self.folder / str(self.asked)
        place.mkdir()
        file = place / f"changed{self.original.suffix}"
        emit(self.model, file)
        worst, runtime = 0.0, ""
        precision = "fp32"
        if _has_halves(
            self.model.graph
        ):  # runtimes compute float16 in float32 here and there, and round where the graph lets them
            promise, precision = weakest(promise, Parity.ROUNDING), "fp16"
        for feeds, expected in self.expected:
            answer = self._ask(file, feeds)
            if not answer.ok:
                return Proof(
                    "failed",
                    f"{self.session.name} does not run the changed model: {answer.status}, {answer.reason}"[
                        :500
                    ],
                )
            found = compare(expected, answer.tensors(), str(promise), precision)
            if not found.agrees:
                return Proof("failed", "; ".join(found.problems[:3]))
            worst = max([worst, *(item.max_abs or 0.0 for item in found.outputs)])
            runtime = answer.runtime
        shutil.rmtree(place)
        return Proof(
            "proved",
            f"largest difference {worst:g} on {len(self.expected)} sets of inputs, "
            f"{runtime or self.session.name}, as {promise}",
        )


def _has_halves(graph: Graph) -> bool:
    return any(tensor.dtype in ("float16", "bfloat16") for tensor in graph.tensors.values())


# ---- the difference --------------------------------------------------------------------------


def listing(graph: Graph) -> list[str]:
    """One line for each input, operator and output, bodies indented."""
    lines = [f"input {_typed(graph.tensor(name))}" for name in graph.inputs]
    lines += [f"{'  ' * owner.name.count('/')}{line(owner, op)}" for owner, op in graph.walk()]
    return lines + [f"output {_typed(graph.tensor(name))}" for name in graph.outputs]


def line(graph: Graph, op: Operator) -> str:
    """``y: float32[1,8] = Add(x, bias)``, with attributes behind it."""
    results = ", ".join("-" if name is None else _typed(graph.tensor(name)) for name in op.outputs)
    reads = ", ".join("-" if name is None else _read(graph, name) for name in op.inputs)
    attrs = {
        key: value
        for key, value in sorted(op.attrs.items())
        if isinstance(value, int | float | str | tuple) and value != ()
    }
    words = " ".join(f"{key}={_short(value)}" for key, value in attrs.items())
    kind = f"{op.domain}:{op.type}" if op.domain else op.type
    return f"{results} = {kind}({reads})" + (f" {{{words}}}" if words else "")


def _read(graph: Graph, name: str) -> str:
    const = graph.constant(name)
    if const is None or const.elements > 8 or const.dtype in ("string", "unknown"):
        return name
    return f"{name}={_short(tuple(const.read().reshape(-1).tolist()))}"


def _typed(tensor: Tensor) -> str:
    shape = (
        "[?]"
        if tensor.shape is None
        else "[" + ",".join("?" if dim is None else str(dim) for dim in tensor.shape) + "]"
    )
    return f"{tensor.name}: {tensor.dtype}{shape}"


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_short(item) for item in value[:8]) + (", ..." if len(value) > 8 else "") + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def difference(before: Iterable[str], after: Iterable[str]) -> str:
    """A unified diff of two listings; empty when they are equal."""
    return "\n".join(difflib.unified_diff(list(before), list(after), "original", "fixed", lineterm="", n=2))


def without_proof(model: Model) -> Prover:
    """A prover that proves nothing and says so."""
    return lambda promise: Proof("not proved", "no proof was asked for")
