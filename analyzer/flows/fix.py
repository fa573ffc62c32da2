"""fix: freeze what the user names, let the planner improve the placement, prove every step on the reference
runtime, and believe only the file that comes out.
"""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...rewrites.freeze import Frozen, freeze
from ...rewrites.planner import Passed, Proof, Score, Step, Veto, no_veto, plan, promise_of, score, tidy
from ...rewrites.promise import Promise, weakest
from ...rewrites.registry import allowed, shape_inference
from ..errors import AccelintError, InternalError, RuntimeFailure, UsageError
from ..files import atomic, is_stream, sha256
from ..formats import emit, load
from ..processes.scratch import temporary
from ..proof.reference import Prover, state
from .left import Left, fewest_partitions, left
from .optimized import DEFAULT, OF_ORT, OFF, check_at, leveled
from .several import PASSES, Outcome, View, fitness, ran, worse

if TYPE_CHECKING:
    from ...rules.pack import Chosen
    from ..check.coverage import Coverage
    from ..ir.graph import Graph, Operator, Tensor
    from ..ir.model import Model


@dataclass(frozen=True)
class FixResult:
    """What a fix did. ``model`` is edited and ready for ``deliver``; its ``path`` still names the original
    file. ``after`` is the coverage of the file that it becomes, read back, and ``digest`` is of that file.
    """

    model: Model
    before: Coverage
    after: Coverage
    steps: tuple[Step, ...]
    passed: tuple[Passed, ...]
    frozen: Frozen | None
    diff: str
    digest: str = ""
    not_written: str = ""
    """Why there is nothing to write although something was asked for; empty when there is no reason."""
    worse: bool = False
    """Whether what was asked for is refused because the target would run less of the model."""
    optimize: str | None = None
    """The optimization level that was asked for."""
    unproved: str = ""
    """Why changes could not be proved; empty when they could, or none was tried."""
    level: str = "safe"
    """Which rewrites were allowed."""
    fewest: int = 0
    """The fewest partitions that the operators which stay on the CPU leave."""
    targets: tuple[Outcome, ...] = ()
    """What was done for each of several targets, ``before`` and ``after`` being of the first."""

    @property
    def left(self) -> tuple[Left, ...]:
        """The findings that are still there, each with the rewrite that came closest and what held it
        back.
        """
        return left(self.after, self.steps, self.passed, self.model.dialect, self.level)

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
            "changed": self.changed,
            "not_written": self.not_written or None,
            "unproved": self.unproved or None,
            **({} if self.before.optimize is None else {"optimize": self.before.optimize}),
            "verdict": {"before": self.before.verdict, "after": self.after.verdict},
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
                    **({"target": step.target} if self.targets else {}),
                }
                for step in self.steps
            ],
            "not_applied": [
                {"rewrite": item.rewrite, "operator": item.operator, "reason": item.reason}
                for item in self.passed
            ],
            "partitions": {
                "before": len(self.before.partitions),
                "after": len(self.after.partitions),
                "fewest": self.fewest,
            },
            "left": [item.to_json() for item in self.left],
            **({"targets": [item.to_json() for item in self.targets]} if self.targets else {}),
        }


def fix(
    model: Model,
    chosen: Chosen,
    sizes: Sequence[str] = (),
    level: str = "safe",
    *,
    unproved: bool = False,
    optimize: str | None = None,
    further: Sequence[Chosen] = (),
) -> FixResult:
    """Change the model, in place, so that more of it runs on the target.

    Args:
        model: as it was loaded; its file is the reference of the proofs.
        chosen: the target's pack.
        sizes: what the user gave to ``--freeze``.
        level: ``safe`` applies bit-exact and rounding rewrites, ``unsafe`` all.
        unproved: keep steps that could not be compared; those whose numbers differ are never kept.
        optimize: ONNX Runtime's optimization level, as ``check_at`` takes it: every step is judged by what
            becomes of the model at that level, and its numbers are compared as stored and at that level.
        further: more targets of the dialect: the file is improved for each and worse for none.

    Raises UsageError for a target of another dialect, or without optimization levels where one is given, for
    a level or a name in ``sizes`` that does not exist, or contradicting sizes; RuntimeFailure, with the
    command that brings it, when the reference runtime is not here and ``unproved`` is not set.
    """
    for item in (chosen, *further):
        if model.dialect != item.pack.dialect:
            raise UsageError(
                f"{item.target} takes {item.pack.dialect} models and {model.path} is "
                f"{model.dialect}: convert it first"
            )
    if model.format == "ort":
        raise UsageError(f"{model.path} is in ONNX Runtime's own format: {OF_ORT}")
    if optimize is not None and not leveled(chosen):
        raise UsageError(
            f"--optimize and --optimizer are ONNX Runtime's: {chosen.target} takes {model.dialect} models"
        )
    rewrites = allowed(model.dialect, level)
    _need_reference(model, unproved=unproved)
    fixing = _Fixing(model, (chosen, *further), sizes, unproved=unproved, optimize=optimize)
    result = fixing.result(rewrites, level)
    return replace(result, level=level)


def _need_reference(model: Model, *, unproved: bool) -> None:
    found = state(model.dialect)
    if unproved or found is None or found.available:
        return
    raise RuntimeFailure(
        f"{found.name}, which proves the changes, needs {found.missing}: {found.command} "
        f"(--unproved keeps changes without proof)"
    )


FREEZE = "freeze"
"""The step that the user asks for."""


class _Fixing:
    """One fix in progress."""

    def __init__(
        self,
        model: Model,
        targets: Sequence[Chosen],
        sizes: Sequence[str],
        *,
        unproved: bool,
        optimize: str | None,
    ) -> None:
        self.model = model
        self.optimize = optimize
        self.sizes = sizes
        self.unproved = unproved
        self.lines = listing(model.graph)
        self.start = model.graph.state()
        self.views = [View(model, chosen, optimize) for chosen in targets]
        self.files: dict[str, tuple[Model, Coverage]] = {}
        """By digest, what was read back of written files, and the prediction for each."""
        self.before = self.views[0].before
        self.bar = fitness(self.before)
        """What the written file may not be worse than."""
        self.floor = Promise.ROUNDING if sizes else Promise.BIT_EXACT
        """The most that is asked of a proof: in other sizes a runtime may take other kernels."""
        loaded = any(map(leveled, targets)) and optimize != OFF
        self.prover = Prover(model, self.look, loaded=DEFAULT if loaded else None)
        self.steps: list[Step] = []
        self.frozen: Frozen | None = None
        self.worse = False
        self.stored = model

    def result(self, rewrites: Sequence[Any], level: str) -> FixResult:
        """Freeze, plan, and take the word of the file that comes out."""
        passed: list[Passed] = []
        with self.prover:
            self.inline()
            not_written = self.freeze() if self.sizes or _derivable(self.model) else ""
            if not not_written:
                passed = self.plans(rewrites)
            after, digest = self.before, ""
            outcomes = [
                Outcome(view.chosen.target, view.before, view.before, view.fewest) for view in self.views
            ]
            if any(step.kept for step in self.steps):
                with temporary("fix-") as folder:
                    outcomes, digest, not_written = self.settle(folder, outcomes)
            after = outcomes[0].after
        told = [
            replace(item, left=left(item.after, self.steps, passed, self.model.dialect, level))
            for item in outcomes
        ]
        return FixResult(
            self.model, self.before, after, tuple(self.steps), tuple(passed), self.frozen,
            difference(self.lines, listing(self.model.graph)), digest, not_written, self.worse,
            self.optimize, self.prover.problem, fewest=outcomes[0].fewest,
            targets=tuple(told) if len(told) > 1 else (),
        )  # fmt: skip

    def plans(self, rewrites: Sequence[Any]) -> list[Passed]:
        """Plan for every target in turn, no step making it worse for another; what did not apply."""
        passed: dict[Passed, None] = {}
        for _ in range(PASSES if len(self.views) > 1 else 1):
            count = 0
            for view in self.views:
                done = plan(
                    self.model.graph,
                    rewrites,
                    lambda view=view: view.ask(self.model),  # type: ignore[misc]
                    self.prove,
                    veto=self.veto(view),
                )
                target = view.chosen.target if len(self.views) > 1 else ""
                self.steps += [replace(step, target=target) for step in done.steps]
                passed.update(dict.fromkeys(done.passed))
                count += len(done.kept)
            if not count:
                break
        return list(passed)

    def veto(self, view: View) -> Veto:
        """What the other targets say about a step for one: none may fit worse than before its turn."""
        bars = [(other, other.ask(self.model)) for other in self.views if other is not view]

        def told() -> str:
            for other, before in bars:
                if words := worse(other.chosen.target, before, other.ask(self.model)):
                    return words
            return ""

        return told if bars else no_veto

    def ask(self) -> Coverage:
        """The first target's prediction for the model as it is now."""
        return self.views[0].ask(self.model)

    def written(self, file: Path, digest: str) -> tuple[Model, Coverage]:
        """A written file, read back, and the prediction for it; the same bytes are read once."""
        if digest not in self.files:
            model = load(file)
            self.files = {digest: (model, self.views[0].stored(model))}
        return self.files[digest]

    def prove(self, promise: Promise) -> Proof:
        """What decides about a step; one that could not be compared counts when the user said so."""
        proof = self.prover(weakest(promise, self.floor))
        return replace(proof, waived=self.unproved and proof.status == "not proved")

    def look(self, file: Path) -> str:
        """What speaks against a written file: it is not what the graph in memory was taken for."""
        try:
            _, coverage = self.written(file, sha256(file))
        except AccelintError as error:
            return f"the written file cannot be read: {error.message}"
        if fitness(coverage) <= self.bar:
            return ""
        return f"the written file is worse: {coverage.verdict}, {score(coverage).text}"

    def settle(self, folder: Path, before: list[Outcome]) -> tuple[list[Outcome], str, str]:
        """Write the result, read it back, check and prove that file: what it is for each target, its digest,
        and what speaks against it. Everything is undone when something does.
        """
        file = folder / f"fixed{self.model.path.suffix}"
        try:
            emit(self.model, file)
            digest = sha256(file)
            written, after = self.written(file, digest)
            found = [after, *(view.stored(written) for view in self.views[1:])]
            against = self.against(file, found, digest)
        except AccelintError as error:
            against = f"the result cannot be used: {error.message}"
        if not against:
            return self.outcomes(file, written, found), digest, ""
        asked = f"--freeze {' '.join(self.sizes)}: " if self.sizes else ""
        self.undo(against)
        return before, "", f"{asked}{against}" if asked else ""

    def outcomes(self, file: Path, written: Model, found: Sequence[Coverage]) -> list[Outcome]:
        """What the file is for each target; where there are several, what their runtimes say of it."""
        rows = []
        for view, after in zip(self.views, found, strict=True):
            fewest = fewest_partitions(written.graph, after)
            row = Outcome(view.chosen.target, view.before, after, fewest)
            if len(found) > 1:
                words, differs = ran(file, self.stored.path, view.chosen, after, self.sizes)
                row = replace(row, ran=words, differs=differs)
            rows.append(row)
        return rows

    def against(self, file: Path, found: Sequence[Coverage], digest: str) -> str:
        """Why the written file is not to be kept; empty when it is."""
        for view, after in zip(self.views, found, strict=True):
            name = view.chosen.target if len(found) > 1 else "the model"
            if words := worse(name, view.before, after):
                self.worse = True
                return words
        if digest == self.prover.proved:
            return ""
        self.bar = fitness(found[0])
        promise = self.floor
        for step in self.steps:
            counts = step.kept and step.rewrite != FREEZE
            promise = weakest(promise, step.parity) if counts else promise
        proof = self.prover.file(file, promise)
        fine = proof.status == "proved" or (proof.status == "not proved" and self.unproved)
        return "" if fine else proof.text

    def undo(self, reason: str) -> None:
        """Put the original back; what was kept says why it is not."""
        self.model = self.prover.model = self.stored
        self.model.graph.restore(self.start)
        self.frozen = None
        self.steps = [replace(step, kept=False, reason=reason) if step.kept else step for step in self.steps]

    # ---- local functions ---------------------------------------------------------------------

    def inline(self) -> None:
        """Put local functions in place of their calls and fold what follows from that, where the target runs
        more of the model then: without optimizations a call is offered to it as one operator.
        """
        if not self.model.functions:
            return
        from ..formats.onnx.inline import inlined

        flat, _ = inlined(self.model)
        clean = allowed(flat.dialect, "safe")
        try:
            edits = freeze(flat, (), inference(flat.dialect), lambda graph: tidy(graph, clean)).edits
        except RuntimeFailure:  # without the reference runtime there is no shape inference
            edits = {}
        self.model = self.prover.model = flat
        coverage = self.ask()
        if fitness(coverage) >= self.bar:
            self.model = self.prover.model = self.stored
            return
        first, after = score(self.before), score(coverage)
        promise = promise_of(edits, clean)
        proof = self.prove(promise)
        if not proof.accepted:
            self.model = self.prover.model = self.stored
        title = "local functions are put in place of their calls, and what becomes constant is folded"
        places, change = tuple(self.stored.functions), f"{first.text} -> {after.text}"
        self.steps.append(
            Step("inline-functions", title, promise, places, proof.accepted, change, first, after, proof)
        )

    # ---- freezing ----------------------------------------------------------------------------

    def freeze(self) -> str:
        """Freeze and record it. What only follows from the file stays when it helps; what the user asked for
        stays when it is proved, and is judged with all that follows. Returns why it is not there, or nothing.
        """
        graph = self.model.graph
        clean = allowed(self.model.dialect, "safe")
        known = graph.state()
        first = score(self.before)
        try:
            frozen = freeze(
                self.model, self.sizes, inference(self.model.dialect), lambda graph: tidy(graph, clean)
            )
        except RuntimeFailure as error:
            if self.sizes:
                raise
            graph.restore(known)
            failed = Proof("not proved", error.message)
            self.steps.append(
                Step("infer-shapes", "", Promise.BIT_EXACT, (), False, error.message, first, first, failed)
            )
            return ""
        coverage = self.ask()
        after = score(coverage)
        change = f"{first.text} -> {after.text}"
        if not self.sizes and (not frozen.edits or after >= first):
            graph.restore(known)
            return ""
        promise = promise_of(frozen.edits, clean)
        if self.sizes:
            self.bar = max(self.bar, fitness(coverage))
        proof = self.prove(promise)
        kept = proof.accepted
        if not kept:
            graph.restore(known)
        if not self.sizes:
            title = "shapes that follow from the inputs are written in, and what becomes constant is folded"
            places = tuple(f"{id} x{count}" for id, count in frozen.edits.items())
            self.steps.append(Step("infer-shapes", title, promise, places, kept, change, first, after, proof))
            return ""
        title = f"shapes are frozen: {frozen.text}"
        reason = f"asked for by --freeze: {change}"
        self.steps.append(
            Step(FREEZE, title, Promise.CONTRACT, tuple(self.sizes), kept, reason, first, after, proof)
        )
        self.frozen = frozen if kept else None
        return "" if kept else f"--freeze {' '.join(self.sizes)}: {proof.text}"


def _derivable(model: Model) -> bool:
    """True when every input is static and a tensor is not: the file leaves out shapes that follow from its
    inputs.
    """
    graph = model.graph
    closed = all(graph.tensor(name).static for name in graph.inputs)
    return closed and any(not tensor.static for tensor in graph.tensors.values())


def deliver(result: FixResult, chosen: Chosen, output: Path) -> None:
    """Write what came out: the file that was checked and proved, or the input's bytes where nothing changed.

    Raises UsageError where ``output`` cannot be written, InternalError when something else came out than what
    was proved; nothing is left at ``output`` then.
    """
    if not result.changed:
        copy(result.model, output)
        return
    emit(result.model, output)
    if is_stream(output) or sha256(output) == result.digest:  # what went into a device cannot be read back
        return
    # data that lies beside the model is written otherwise in another folder
    found = check_at(load(output), chosen, result.optimize)
    if score(found) != score(result.after):
        shutil.rmtree(output) if output.is_dir() else output.unlink()
        raise InternalError(f"{output}: the written file is not the one that was proved; it was removed")


def copy(model: Model, output: Path) -> None:
    """The input's bytes, at another place; its external data goes with it."""
    source = model.path
    if _external(model):
        emit(model, output)  # carries the data files, or takes them in where the format asks for that
        if model.format != "onnx":
            return
    with atomic(output, source=source, folder=source.is_dir()) as draft:
        if source.is_dir():
            shutil.copytree(source, draft, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, draft)


def _external(model: Model) -> bool:
    """Whether values of the model lie in other files than its own."""
    if model.path.is_dir():
        return False
    graphs = dict.fromkeys(graph for graph, _ in model.operators())
    tensors = (tensor for graph in (model.graph, *graphs) for tensor in graph.tensors.values())
    return any(tensor.const is not None and tensor.const.file not in (None, model.path) for tensor in tensors)


def inference(dialect: str) -> Callable[[Model], None]:
    """The function that works out shapes after a freeze. Raises UsageError for a dialect that has none."""
    if dialect == "tflite":  # by the runtime itself, which no rewrite may know
        from .litert_shapes import infer_litert

        return infer_litert
    found = shape_inference(dialect)
    if found is not None:
        return found
    raise UsageError(f"shapes of {dialect} models cannot be frozen: freeze them in ONNX or TFLite")


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
